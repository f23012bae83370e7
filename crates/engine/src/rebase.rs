//! The same engine at another time: what tells engines apart that differ only in when.

use zenekar_base::{Millis, Timestamp};

use crate::engine::Engine;
use crate::progress::{About, Progress};
use crate::settings::{
    BLOCK_RETRY_INTERVAL, BREAKER_WINDOW, DELETE_PATIENCE, OBSERVE_STEADY_INTERVAL,
};
use crate::state::{Instance, Phase};
use crate::step::When;
use crate::waiting::Waiting;

/// What lies so far back that it makes no difference how far.
const LONG_AGO: Timestamp = Timestamp::ZERO;

/// Moves times, so that the present becomes another one.
#[derive(Clone, Copy)]
struct Move {
    now: Timestamp,
    to: Timestamp,
    /// No answer is on its way to a look at a provider that was asked before.
    looked_at: Timestamp,
    /// The longest settle span of a provider.
    settle: Millis,
}

impl Move {
    fn time(self, time: &mut Timestamp) {
        if *time != Timestamp::MAX {
            let ahead = time.0.saturating_sub(self.now.0);
            *time = Timestamp(self.to.0.saturating_add(ahead));
        }
    }

    /// Moves a time that makes no difference any more if it is not after `last`.
    fn since(self, time: &mut Timestamp, last: Timestamp) {
        if *time <= last {
            *time = LONG_AGO;
        } else {
            self.time(time);
        }
    }

    /// As [`Move::since`], of what may not have happened at all.
    fn maybe_since(self, time: &mut Option<Timestamp>, last: Timestamp) {
        if let Some(time) = time {
            self.since(time, last);
        }
    }

    fn maybe(self, time: &mut Option<Timestamp>) {
        if let Some(time) = time {
            self.time(time);
        }
    }
}

impl Engine {
    /// Moves all times so that the present becomes `to`, and forgets of the
    /// past what makes no difference: engines that do the same from now on,
    /// only later, become equal.
    ///
    /// Whatever the engine is told thereafter has to be told by the new time.
    /// For those who compare engines: what people are shown of the past is
    /// forgotten too. `to` has to be later than every span that the engine
    /// waits for, so that nothing lies before the beginning of time.
    pub fn rebase(&mut self, to: Timestamp) {
        let looks = self.calls.values();
        let looks =
            looks.filter(|flight| matches!(flight.about, About::ObserveAll | About::Observe(_)));
        let looked_at = looks.map(|flight| flight.asked_at).min();
        let settles = self.providers.iter();
        let settles = settles.map(|provider| provider.capabilities.settle);
        let moves = Move {
            now: self.now,
            to,
            looked_at: looked_at.unwrap_or(self.now),
            settle: settles.max().unwrap_or(Millis::ZERO),
        };
        self.now = to;
        self.rebase_state(moves);
        self.rebase_progress(moves);
        self.rebase_providers(moves);
        self.timers = std::mem::take(&mut self.timers)
            .into_iter()
            .map(|(mut at, timer)| {
                moves.time(&mut at);
                (at, timer)
            })
            .collect();
        self.calls.change_each(|_, flight| {
            moves.time(&mut flight.deadline);
            moves.time(&mut flight.asked_at);
        });
        self.lately_gone
            .retain(|_, at| moves.looked_at < *at + moves.settle);
        for at in self.lately_gone.values_mut() {
            moves.time(at);
        }
    }

    fn rebase_state(&mut self, moves: Move) {
        let state = &mut self.state;
        // Those who take over read it and are told the time of then.
        state.last_at = moves.to;
        for at in state.orphans.values_mut() {
            *at = LONG_AGO;
        }
        state
            .replacements
            .retain(|at| *at > moves.now - BREAKER_WINDOW);
        for at in &mut state.replacements {
            moves.time(at);
        }
        for place in 0..state.nodes.len() {
            if state.nodes[place].block.is_some()
                && let Some(block) = &mut state.nodes[place].block
            {
                moves.since(&mut block.since, moves.now - BLOCK_RETRY_INTERVAL);
            }
        }
        state
            .instances
            .change_each(|_, instance| instance.rebase(moves));
        for place in 0..self.nodes.len() {
            if self.nodes[place].deferred.is_empty() {
                continue;
            }
            for step in &mut self.nodes[place].deferred {
                if let When::Later(Waiting::Breaker { until, .. }) = &mut step.when {
                    moves.time(until);
                }
            }
        }
    }

    fn rebase_progress(&mut self, moves: Move) {
        let instances = &self.state.instances;
        self.progress
            .change_each(|key, progress| progress.rebase(moves, instances.get(key)));
    }

    fn rebase_providers(&mut self, moves: Move) {
        for provider in &mut self.providers {
            moves.since(&mut provider.throttled_until, moves.now);
            let stale = moves.now - OBSERVE_STEADY_INTERVAL;
            moves.since(&mut provider.observed_all_at, stale);
            moves.maybe(&mut provider.observe_due);
            moves.since(&mut provider.release.not_before, moves.now);
            for orphan in provider.orphans_busy.values_mut() {
                moves.since(&mut orphan.not_before, moves.now);
            }
        }
    }
}

impl Instance {
    fn rebase(&mut self, moves: Move) {
        let counts_down = matches!(
            self.phase,
            Phase::Booting | Phase::Checking | Phase::Unready
        );
        if counts_down && self.doom.is_none() {
            moves.time(&mut self.phase_since);
        } else {
            self.phase_since = LONG_AGO;
        }
        // A late effect needs one span to happen and another to show.
        let settled = moves.looked_at - moves.settle;
        moves.maybe_since(&mut self.uncertain_since, settled - moves.settle);
        moves.maybe_since(&mut self.created_at, settled);
        moves.maybe_since(&mut self.ready_at, Timestamp::MAX);
    }
}

impl Progress {
    fn rebase(&mut self, moves: Move, instance: Option<&Instance>) {
        let settled = moves.looked_at - moves.settle;
        let is_uncertain = instance.is_some_and(|instance| instance.uncertain_since.is_some());
        let certain = if is_uncertain {
            settled - moves.settle
        } else {
            moves.now
        };
        moves.since(&mut self.uncertain_until, certain);
        moves.since(&mut self.not_before, moves.now);
        moves.maybe(&mut self.wake);
        let is_doomed = instance.is_none_or(|instance| instance.doom.is_some());
        // What is due is done as soon as it can be, whether it was due before or not.
        self.probe_at = self.probe_at.filter(|at| *at > moves.now && !is_doomed);
        moves.maybe(&mut self.probe_at);
        // Those of an instance that is not ready are counted and not asked for.
        if instance.is_none_or(|instance| instance.phase != Phase::Ready) {
            self.probe_failures = 0;
        }
        moves.maybe_since(&mut self.absent_since, moves.looked_at - Millis(1));
        moves.maybe_since(&mut self.broke_at, settled);
        moves.maybe_since(&mut self.delete_accepted, settled - DELETE_PATIENCE);
    }
}
