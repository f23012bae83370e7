//! Feeds arbitrary text to the document reader and checks what must hold for every text.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/document/tests/it/invariants.rs"]
mod invariants;

/// Longer inputs find nothing that shorter ones do not, only later.
const INPUT_BYTES_MAX: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= INPUT_BYTES_MAX
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        invariants::check(text);
    }
});
