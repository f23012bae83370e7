//! The only clock: real, compressed or jumping.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use zenekar_base::{Millis, Timestamp};
use zenekar_provider_sim::{BoxFuture, SimClock};

use crate::limits::{JUMP_GRID, RESUME_GAP_MAX, TIMER_MAX};

/// How fast the engine's time goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the time of people.
    Real,
    /// This many seconds per second of real time.
    Compressed(f64),
    /// From event to event: whenever all that is waited for lies in simulated
    /// time, the clock jumps there.
    Jump,
}

impl Pace {
    /// Returns the seconds per second of real time; `None` where real time does not matter.
    fn factor(self) -> Option<f64> {
        match self {
            Self::Compressed(factor) if factor.is_finite() && factor > 0.0 => Some(factor),
            // Where the factor is no sensible wish, the pace that is safe for everybody.
            Self::Real | Self::Compressed(_) => Some(1.0),
            Self::Jump => None,
        }
    }
}

/// The time of the engines and of simulated clouds. It never goes backwards,
/// whatever is done to the wall clock.
#[derive(Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

struct Shared {
    pace: Pace,
    state: Mutex<State>,
}

struct State {
    /// The time at `started`, or the present of a jumping clock.
    base: Timestamp,
    started: Instant,
    /// Participants that do something now instead of sleeping.
    busy: i64,
    next_sleeper: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Clock")
            .field("pace", &self.shared.pace)
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl Clock {
    /// Starts a clock at `anchor`.
    pub fn start(pace: Pace, anchor: Timestamp) -> Self {
        let state = State {
            base: anchor,
            started: Instant::now(),
            busy: 0,
            next_sleeper: 0,
            sleepers: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(Shared {
                pace,
                state: Mutex::new(state),
            }),
        }
    }

    /// Starts a clock that goes on from a simulated world that was last seen
    /// at `last`, when the wall clock showed `seen_at`. The world went on
    /// meanwhile, but for one that jumps.
    pub fn resume(pace: Pace, last: Timestamp, seen_at: SystemTime) -> Self {
        let passed = SystemTime::now()
            .duration_since(seen_at)
            .unwrap_or(Duration::ZERO)
            .min(RESUME_GAP_MAX);
        let anchor = pace
            .factor()
            .map_or(last, |factor| last + scaled(passed, factor));
        Self::start(pace, anchor)
    }

    /// Starts a clock that shows the time of people.
    pub fn real() -> Self {
        Self::start(Pace::Real, wall_now())
    }

    /// Returns how fast it goes.
    pub fn pace(&self) -> Pace {
        self.shared.pace
    }

    /// Returns the present.
    pub fn now(&self) -> Timestamp {
        self.shared.now(&self.shared.state())
    }

    /// Sets the clock forward to `at`, if it is not there yet: the engine's
    /// time goes on from its journal even if the wall clock was set back since.
    pub fn advance_to(&self, at: Timestamp) {
        let mut state = self.shared.state();
        let now = self.shared.now(&state);
        if now < at {
            state.base += at.since(now);
            let due = state.take_due(at);
            drop(state);
            due.into_iter().for_each(Waker::wake);
        }
    }

    /// Takes part in the time: a jumping clock stands still while a
    /// participant does something other than sleeping.
    pub fn participate(&self) -> Participant {
        self.shared.state().busy += 1;
        Participant {
            clock: self.clone(),
        }
    }

    /// Returns how many participants do something other than sleeping.
    pub(crate) fn busy(&self) -> usize {
        usize::try_from(self.shared.state().busy).unwrap_or(0)
    }

    /// Sleeps until `at`. On a jumping clock to be awaited by participants, each
    /// of which sleeps once at a time.
    pub fn sleep_until(&self, at: Timestamp) -> Sleep {
        match self.shared.pace.factor() {
            None => Sleep(Kind::Jump(JumpSleep {
                shared: Arc::clone(&self.shared),
                at,
                registered: None,
            })),
            Some(factor) => Sleep(Kind::Timer(Box::pin(sleep_real(self.clone(), at, factor)))),
        }
    }
}

impl SimClock for Clock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_> {
        match self.shared.pace.factor() {
            None => Box::pin(JumpSleep {
                shared: Arc::clone(&self.shared),
                at,
                registered: None,
            }),
            Some(factor) => Box::pin(sleep_real(self.clone(), at, factor)),
        }
    }
}

async fn sleep_real(clock: Clock, at: Timestamp, factor: f64) {
    loop {
        let left = at.since(clock.now());
        if left == Millis::ZERO {
            return;
        }
        let real = Duration::try_from_secs_f64(left.as_secs_f64() / factor).unwrap_or(TIMER_MAX);
        tokio::time::sleep(real.min(TIMER_MAX)).await;
    }
}

/// Returns the wall clock's time. Only for what people and other processes
/// read: leases, lists.
pub(crate) fn wall_now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "casts of floats saturate; spans here are far below 2^52 ms"
)]
fn scaled(span: Duration, factor: f64) -> Millis {
    Millis((span.as_micros() as f64 / 1000.0 * factor) as u64)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self, state: &State) -> Timestamp {
        match self.pace.factor() {
            None => state.base,
            Some(factor) => state.base + scaled(state.started.elapsed(), factor),
        }
    }
}

impl State {
    /// Jumps to the earliest sleeper if nobody is busy, and returns whom to wake.
    fn jump(&mut self) -> Vec<Waker> {
        match self.sleepers.first_key_value() {
            Some((&(at, _), _)) if self.busy <= 0 && at < Timestamp::MAX => {
                self.base = self.base.max(on_grid(at));
                self.take_due(self.base)
            }
            _ => Vec::new(),
        }
    }

    /// Takes those out whose time has come; they are busy from now on.
    fn take_due(&mut self, now: Timestamp) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(entry) = self.sleepers.first_entry()
            && entry.key().0 <= now
        {
            due.push(entry.remove());
            self.busy += 1;
        }
        due
    }
}

/// Rounds up to the grid of a jumping clock.
fn on_grid(at: Timestamp) -> Timestamp {
    let grid = i64::try_from(JUMP_GRID.0).expect("the grid is a small constant");
    Timestamp(
        at.0.saturating_add(grid - 1)
            .div_euclid(grid)
            .saturating_mul(grid)
            .max(at.0),
    )
}

/// The part of somebody in the time of a clock, as long as it lives.
#[derive(Debug)]
pub struct Participant {
    clock: Clock,
}

impl Drop for Participant {
    fn drop(&mut self) {
        let mut state = self.clock.shared.state();
        state.busy -= 1;
        let due = state.jump();
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }
}

/// The future of [`Clock::sleep_until`].
pub struct Sleep(Kind);

enum Kind {
    Jump(JumpSleep),
    Timer(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Jump(sleep) => Pin::new(sleep).poll(context),
            Kind::Timer(timer) => timer.as_mut().poll(context),
        }
    }
}

struct JumpSleep {
    shared: Arc<Shared>,
    at: Timestamp,
    registered: Option<u64>,
}

impl Future for JumpSleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.shared.state();
        match this.registered {
            Some(number) => match state.sleepers.get_mut(&(this.at, number)) {
                Some(waker) => {
                    waker.clone_from(context.waker());
                    return Poll::Pending;
                }
                None => this.registered = None,
            },
            None if this.at <= state.base => {}
            None => {
                let number = state.next_sleeper;
                state.next_sleeper += 1;
                state
                    .sleepers
                    .insert((this.at, number), context.waker().clone());
                state.busy -= 1;
                let due = state.jump();
                let is_due = !state.sleepers.contains_key(&(this.at, number));
                drop(state);
                due.into_iter().for_each(Waker::wake);
                if !is_due {
                    this.registered = Some(number);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }
}

impl Drop for JumpSleep {
    fn drop(&mut self) {
        if let Some(number) = self.registered {
            let mut state = self.shared.state();
            if state.sleepers.remove(&(self.at, number)).is_some() {
                state.busy += 1;
            }
        }
    }
}
