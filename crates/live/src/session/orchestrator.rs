//! What the session and the orchestrator tell each other.
//!
//! An orchestrator that waits until a node is ready makes the nodes that depend
//! on it later, so that not all processes are there from the beginning; and what
//! it does follows from what the processes did. So it is asked at each boundary
//! of a macrostep, before the next state counts as consistent.

use crate::process::ProcessName;

use super::one::Stage;
use super::{Event, Refusal, Session};

impl Session {
    /// Says that the orchestrator has made a process, which is waited for from now on.
    pub fn expect(&mut self, now_ms: u64, name: &ProcessName) -> Result<(), Refusal> {
        let arrival_ms = self.settings.arrival_ms;
        let is_over = self.outcome.is_some();
        let process = self.processes.get_mut(name);
        let process = process.ok_or_else(|| Refusal::NotExpected(name.to_string()))?;
        if process.stage == Stage::Planned {
            process.stage = Stage::Absent;
            process.deadline_ms = (!is_over).then(|| now_ms.saturating_add(arrival_ms));
            self.round += 1;
        }
        Ok(())
    }

    /// Returns the number of the round in which the orchestrator is asked whether
    /// it has anything more to do; none while processes move, and once it
    /// answered.
    pub fn consultation(&self) -> Option<u64> {
        let is_asked = self.settings.is_orchestrated
            && !self.is_free()
            && self.state.is_none()
            && self.settled != Some(self.round)
            && !self.is_moving();
        let is_waited_for = self
            .processes
            .values()
            .any(|process| process.stage == Stage::Held && !process.is_refreshed);
        (is_asked && !is_waited_for).then_some(self.round)
    }

    /// Says that the orchestrator has nothing more to do, in the round that it
    /// was asked in. An answer to an earlier round has no effect.
    pub fn settled(&mut self, now_ms: u64, round: u64) {
        if self.consultation() == Some(round) {
            self.settled = Some(round);
            self.settle(now_ms);
        }
    }

    /// Says whether somebody can still be let go.
    pub fn has_unfinished(&self) -> bool {
        self.processes
            .values()
            .any(|process| process.stage == Stage::Held)
    }

    /// Says whether the schedule lets somebody go next whom the orchestrator has
    /// not made yet.
    pub fn awaits_next(&self) -> bool {
        let next = self.schedule.front();
        next.and_then(|next| self.processes.get(next))
            .is_some_and(|process| process.stage == Stage::Planned)
    }

    /// Gives up the processes that were never made, if nothing can happen any more
    /// that would make the orchestrator do so. Returns whether there were any.
    pub(super) fn give_up_planned(&mut self) -> bool {
        if self.has_unfinished() {
            return false;
        }
        let mut given_up = Vec::new();
        for (name, process) in &mut self.processes {
            if process.stage == Stage::Planned {
                process.stage = Stage::Stuck;
                given_up.push(name.clone());
            }
        }
        for name in &given_up {
            self.tell(Event::Stuck(name.clone()));
        }
        !given_up.is_empty()
    }
}
