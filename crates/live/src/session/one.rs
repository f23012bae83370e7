//! One process of a session.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Answer;
use crate::limits::BREAKPOINTS_KEPT;
use crate::submission::Submission;

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The orchestrator has not made it yet.
    Planned,
    /// It has not reached a breakpoint yet.
    Absent,
    /// It waits at a breakpoint.
    Held,
    /// It may go to its next breakpoint.
    Moving,
    /// It has passed its last breakpoint.
    Finished,
    /// It did not come in time.
    Stuck,
}

/// What was reported at one breakpoint, under the names of the original's table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breakpoint {
    /// The number of the breakpoint, from 1; that of the one before if it sleeps.
    pub bp_num: u32,
    /// When it was reported, in milliseconds of the session's clock.
    pub bp_reg: u64,
    /// The tag.
    pub bp_tag: String,
    /// What the script reported.
    pub bp_data: Map<String, Value>,
    /// Whether the breakpoint did not stop.
    pub asleep: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) id: Option<String>,
    pub(super) stage: Stage,
    pub(super) number: u32,
    pub(super) is_refreshed: bool,
    /// Whether it knows that it may go on.
    is_told: bool,
    pub(super) deadline_ms: Option<u64>,
    pub(super) latest: Option<Submission>,
    pub(super) history: VecDeque<Breakpoint>,
}

impl Process {
    pub(super) const fn new(deadline_ms: Option<u64>) -> Self {
        Self {
            id: None,
            stage: if deadline_ms.is_some() {
                Stage::Absent
            } else {
                Stage::Planned
            },
            number: 0,
            is_refreshed: false,
            is_told: false,
            deadline_ms,
            latest: None,
            history: VecDeque::new(),
        }
    }

    /// Says whether a report is the last one again: the answer was lost.
    pub(super) fn is_repetition(&self, submission: &Submission) -> bool {
        let Some(latest) = &self.latest else {
            return false;
        };
        let is_same_tag = latest.tag == submission.tag;
        match (&latest.visit, &submission.visit) {
            (Some(latest), Some(visit)) => is_same_tag && latest == visit,
            _ => is_same_tag && !self.is_told,
        }
    }

    /// Says whether what it reported stays as it is.
    pub(super) fn is_steady(&self) -> bool {
        self.latest.as_ref().is_some_and(Submission::is_steady)
    }

    pub(super) fn arrive(&mut self, submission: Submission, now_ms: u64) {
        self.number += 1;
        self.stage = if submission.is_last() {
            Stage::Finished
        } else {
            Stage::Held
        };
        self.is_refreshed = true;
        self.is_told = false;
        self.deadline_ms = None;
        self.keep(submission, now_ms, false);
    }

    /// Passes a breakpoint that does not stop.
    pub(super) fn sleep(&mut self, submission: Submission, now_ms: u64, deadline_ms: u64) {
        self.is_told = false;
        if self.deadline_ms.is_some() {
            self.deadline_ms = Some(deadline_ms);
        }
        self.keep(submission, now_ms, true);
    }

    fn keep(&mut self, submission: Submission, now_ms: u64, asleep: bool) {
        if self.history.len() == BREAKPOINTS_KEPT {
            self.history.pop_front();
        }
        self.history.push_back(Breakpoint {
            bp_num: self.number,
            bp_reg: now_ms,
            bp_tag: submission.tag.clone(),
            bp_data: submission.user_data.clone(),
            asleep,
        });
        self.latest = Some(submission);
    }

    /// Takes the variables of the current breakpoint anew; its tag stays.
    pub(super) fn replace(&mut self, mut submission: Submission) {
        if let Some(breakpoint) = self.history.back_mut() {
            breakpoint.bp_data.clone_from(&submission.user_data);
            submission.tag.clone_from(&breakpoint.bp_tag);
        }
        self.latest = Some(submission);
    }

    pub(super) const fn let_go(&mut self, deadline_ms: u64) {
        self.stage = Stage::Moving;
        self.is_told = false;
        self.deadline_ms = Some(deadline_ms);
    }

    pub(super) fn answer(&mut self, is_free: bool) -> Answer {
        let is_asleep = self.history.back().is_some_and(|last| last.asleep);
        let goes = is_free
            || is_asleep
            || matches!(self.stage, Stage::Moving | Stage::Finished | Stage::Stuck);
        if goes {
            self.is_told = true;
            return Answer::Go;
        }
        if self.stage == Stage::Held && !self.is_refreshed {
            return Answer::Refresh;
        }
        Answer::Wait
    }
}
