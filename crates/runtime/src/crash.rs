//! A test hook: ends the process at a chosen boundary between its steps.
//!
//! `ZENEKAR_TEST_CRASH_AT=n` aborts the process at the n-th boundary.
//! `ZENEKAR_TEST_CRASH_LOG=file` writes how many boundaries there were when a
//! session ends. Boundaries lie before and after each durable step, before
//! each provider call, and between an answer and its handling.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static IS_ARMED: AtomicBool = AtomicBool::new(false);
static PASSED: AtomicU64 = AtomicU64::new(0);
static CRASH_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static READ_ENVIRONMENT: Once = Once::new();

/// Arms the hook if the environment asks for it.
pub(crate) fn arm() {
    READ_ENVIRONMENT.call_once(|| {
        let crash_at = std::env::var("ZENEKAR_TEST_CRASH_AT")
            .ok()
            .and_then(|text| text.parse().ok());
        if crash_at.is_some() || std::env::var_os("ZENEKAR_TEST_CRASH_LOG").is_some() {
            CRASH_AT.store(crash_at.unwrap_or(u64::MAX), Ordering::Relaxed);
            IS_ARMED.store(true, Ordering::Relaxed);
        }
    });
}

/// Marks a boundary; costs one relaxed load when the hook is off.
pub(crate) fn boundary() {
    if IS_ARMED.load(Ordering::Relaxed)
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == CRASH_AT.load(Ordering::Relaxed)
    {
        // No destructor runs and nothing is flushed, as with SIGKILL.
        std::process::abort();
    }
}

/// Writes how many boundaries there were, if the environment asks for it.
pub(crate) fn write_log() {
    if IS_ARMED.load(Ordering::Relaxed)
        && let Some(path) = std::env::var_os("ZENEKAR_TEST_CRASH_LOG")
    {
        // A test hook: who asked for the file notices that it is missing.
        let _ = std::fs::write(path, PASSED.load(Ordering::Relaxed).to_string());
    }
}
