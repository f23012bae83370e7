//! When waiting for an infrastructure is given up.

use std::collections::BTreeMap;

use zenekar_base::InstanceKey;
use zenekar_engine::{Engine, Entry, Notice, Record};
use zenekar_runtime::{CancelHandle, Observer};

/// Instances in a row, each in place of the one before, that may break down
/// before they were ever ready. Occopus gives up after the first one; a second
/// one tells a bad machine from a node that can never work.
const BROKEN_IN_A_ROW_MAX: u32 = 2;

/// Watches a session on behalf of another observer, and stops it when the
/// replacement of an instance that never became ready never becomes ready either.
///
/// An engine goes on replacing, which is right for one that keeps an
/// infrastructure; whoever waits for the end of a command has to be told.
pub(crate) struct Judge<'a> {
    inner: &'a mut dyn Observer,
    handle: CancelHandle,
    broken: BTreeMap<InstanceKey, u32>,
    verdict: Option<(String, String)>,
}

impl<'a> Judge<'a> {
    /// Watches for an observer; `handle` stops the session.
    pub(crate) fn new(inner: &'a mut dyn Observer, handle: CancelHandle) -> Self {
        Self {
            inner,
            handle,
            broken: BTreeMap::new(),
            verdict: None,
        }
    }

    /// Returns the instance for which it was given up, and why.
    pub(crate) fn into_verdict(self) -> Option<(String, String)> {
        self.verdict
    }
}

impl Observer for Judge<'_> {
    fn entry(&mut self, engine: &Engine, entry: &Entry) {
        self.inner.entry(engine, entry);
        let Record::Broke { instance, breakage } = &entry.record else {
            return;
        };
        let Some(found) = engine.state().instances.get(instance) else {
            return;
        };
        if found.ready_at.is_some() || self.verdict.is_some() {
            return;
        }
        let before = found
            .replaces
            .and_then(|one| self.broken.get(&one).copied());
        let in_a_row = before.unwrap_or(0) + 1;
        self.broken.insert(*instance, in_a_row);
        if in_a_row >= BROKEN_IN_A_ROW_MAX {
            let name = engine.state().instance_name(found);
            self.verdict = Some((name, breakage.to_string()));
            self.handle.cancel();
        }
    }

    fn notice(&mut self, engine: &Engine, notice: &Notice) {
        self.inner.notice(engine, notice);
    }

    fn tick(&mut self, engine: &Engine) {
        self.inner.tick(engine);
    }
}
