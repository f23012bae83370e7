//! What ends an exploration from outside: time, memory, and people.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use zenekar_search::Progress;

use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, grouped};
use crate::world;

/// Between two looks at the memory, and two lines of progress.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Why an exploration was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Time,
    Memory,
    Interrupt,
}

/// Looks at the clock for those who explore.
pub(crate) struct Watchdog {
    started_at: Instant,
    time: Duration,
    memory_bytes_max: u64,
    output: Output,
    /// When the memory was last looked at, in ms since the start.
    looked_at_ms: AtomicU64,
    is_full: AtomicBool,
    is_interrupted: &'static AtomicBool,
}

impl Watchdog {
    /// Begins to look at the clock, and to listen for signals.
    pub(crate) fn start(
        time: Duration,
        memory_bytes_max: u64,
        output: Output,
    ) -> Result<Self, Failure> {
        Ok(Self {
            started_at: Instant::now(),
            time,
            memory_bytes_max,
            output,
            looked_at_ms: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            is_interrupted: listen()?,
        })
    }

    /// Returns how long it has been.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Returns why it is over, if it is.
    pub(crate) fn reason(&self) -> Option<Reason> {
        if self.is_interrupted.load(Ordering::Relaxed) {
            Some(Reason::Interrupt)
        } else if self.is_full.load(Ordering::Relaxed) {
            Some(Reason::Memory)
        } else {
            (self.elapsed() >= self.time).then_some(Reason::Time)
        }
    }

    /// Says whether it is over; shows how far it is.
    pub(crate) fn stops(&self, progress: &Progress, label: &str) -> bool {
        let now_ms = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked_at_ms = self.looked_at_ms.load(Ordering::Relaxed);
        let is_due = u128::from(now_ms.saturating_sub(looked_at_ms)) >= LOOK_EVERY.as_millis();
        let swap = |to| {
            let order = Ordering::Relaxed;
            self.looked_at_ms
                .compare_exchange(looked_at_ms, to, order, order)
        };
        if is_due && swap(now_ms).is_ok() {
            if resident_bytes().is_some_and(|bytes| bytes > self.memory_bytes_max) {
                self.is_full.store(true, Ordering::Relaxed);
            }
            self.show(progress, label);
        }
        self.reason().is_some()
    }

    fn show(&self, progress: &Progress, label: &str) {
        if !self.output.is_talk_terminal || self.output.is_json() {
            return;
        }
        let count = |number: u64| grouped(usize::try_from(number).unwrap_or(usize::MAX));
        self.output.talk(&format!(
            "\r\u{1b}[2K{label}: {} states, {} to look at, {} steps deep, {}s",
            count(progress.unique),
            count(progress.frontier),
            progress.depth,
            self.elapsed().as_secs(),
        ));
    }

    /// Removes the line of progress.
    pub(crate) fn clear(&self) {
        if self.output.is_talk_terminal && !self.output.is_json() {
            self.output.talk("\r\u{1b}[2K");
        }
    }
}

/// Returns how much memory this process has, where the system tells.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// Ends the program.
#[expect(
    clippy::exit,
    reason = "nothing is lost: an exploration has no effects"
)]
fn leave() -> ! {
    std::process::exit(i32::from(Exit::Cancelled.number()))
}

/// Listens for interrupts: the first one ends the exploration, so that what
/// was found so far is told, the second one ends the program.
fn listen() -> Result<&'static AtomicBool, Failure> {
    static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| Failure::internal("cannot listen for signals").because_of(Some(&error)))?;
    let mut signals = runtime.block_on(async { world::signals() })?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = signals.0.recv() => {}
                    _ = signals.1.recv() => {}
                }
                if IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
                    leave();
                }
            }
        });
    });
    Ok(&IS_INTERRUPTED)
}
