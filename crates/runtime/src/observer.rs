//! Watching a session.

use zenekar_engine::{Engine, Entry, Notice};

/// Whoever wants to know what a session does. All methods may be left out.
pub trait Observer: Send {
    /// A fact has become durable.
    fn entry(&mut self, _engine: &Engine, _entry: &Entry) {}

    /// Something happened that is not a durable fact.
    fn notice(&mut self, _engine: &Engine, _notice: &Notice) {}

    /// Some time has passed; at most ten times per second of real time.
    fn tick(&mut self, _engine: &Engine) {}
}

/// An observer that wants to know nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
