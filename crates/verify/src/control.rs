//! The engine with the calls that it waits for: one part of a state.

use std::hash::{Hash, Hasher};

use zenekar_base::{CallId, InstanceKey, ProviderError, Timestamp};
use zenekar_engine::{Effect, Engine, Input, Operation, Phase, Response, State};

/// An answer to a call.
pub(crate) type Answer = Result<Response, ProviderError>;

/// What kind of call it is; explorers treat them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Create,
    Observe,
    Delete,
    Recontextualise,
    Probe,
    Release,
}

impl Kind {
    pub(crate) const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Create { .. } => Self::Create,
            Operation::Observe { .. } => Self::Observe,
            Operation::Delete { .. } => Self::Delete,
            Operation::Recontextualise { .. } => Self::Recontextualise,
            Operation::Probe { .. } => Self::Probe,
            Operation::Release => Self::Release,
        }
    }

    /// Says whether the call changes the cloud.
    pub(crate) const fn changes(self) -> bool {
        !matches!(self, Self::Observe | Self::Probe)
    }
}

/// A call that has been sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outstanding {
    /// The engine's number; of an abandoned call, zero.
    pub(crate) id: CallId,
    /// The provider's place in the engine's table.
    pub(crate) place: u16,
    /// What was asked.
    pub(crate) operation: Operation,
    /// When it has come to its end at the latest.
    pub(crate) due: Timestamp,
    /// Its effect has taken place, and this answer is on its way.
    pub(crate) answer: Option<Answer>,
}

impl Outstanding {
    /// Returns the instance that the call is about, if it is about one.
    pub(crate) fn instance(&self) -> Option<InstanceKey> {
        match &self.operation {
            Operation::Create { instance, .. }
            | Operation::Recontextualise { instance, .. }
            | Operation::Probe { instance, .. } => Some(*instance),
            Operation::Delete { instance, .. } => *instance,
            Operation::Observe { .. } | Operation::Release => None,
        }
    }
}

/// The engine, what it waits for, and what nobody waits for any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) engine: Engine,
    /// Calls in flight, by number.
    pub(crate) calls: Vec<Outstanding>,
    /// Calls whose caller has given up or died, and which may still take effect.
    pub(crate) abandoned: Vec<Outstanding>,
}

impl Hash for Control {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.engine, &self.calls, &self.abandoned).hash(state);
    }
}

/// Where the engine dies while it does what an input has made it ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Death {
    /// Not at all.
    Never,
    /// Before anything of it is durable.
    BeforeItIsDurable,
    /// After so many calls of it were sent.
    AfterCalls(u8),
}

impl Control {
    /// Begins with an engine that was told nothing.
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            calls: Vec::new(),
            abandoned: Vec::new(),
        }
    }

    /// Tells the engine something, and sends the calls that it asks for.
    pub(crate) fn tell(&mut self, now: Timestamp, input: Input, limits: &Limits, death: Death) {
        if death == Death::BeforeItIsDurable {
            self.die(now, limits);
            return;
        }
        self.engine.handle(now, input);
        let mut sent = 0_u8;
        while let Some(effect) = self.engine.poll() {
            let Effect::Call(call) = effect else { continue };
            if death == Death::AfterCalls(sent) {
                continue;
            }
            sent = sent.saturating_add(1);
            let mut places = self.engine.state().providers.iter();
            let place = places.position(|name| *name == call.provider).unwrap_or(0);
            self.calls.push(Outstanding {
                id: call.id,
                place: u16::try_from(place).unwrap_or(u16::MAX),
                operation: call.operation,
                due: now + limits.call_timeout,
                answer: None,
            });
        }
        if death == Death::Never {
            self.tidy(now, limits);
        } else {
            self.die(now, limits);
        }
    }

    /// Moves all times, so that the present becomes `to`, and returns it as it was.
    pub(crate) fn rebase(&mut self, to: Timestamp) -> Timestamp {
        let now = self.engine.now();
        self.engine.rebase(to);
        for call in self.calls.iter_mut().chain(&mut self.abandoned) {
            call.due = to + call.due.since(now);
        }
        now
    }

    /// Answers a call, if the engine still waits for it.
    pub(crate) fn answer(
        &mut self,
        now: Timestamp,
        index: usize,
        answer: Answer,
        limits: &Limits,
        death: Death,
    ) {
        if index >= self.calls.len() {
            return;
        }
        let call = self.calls.remove(index).id;
        let input = Input::Completion {
            call,
            result: answer,
        };
        self.tell(now, input, limits, death);
    }

    /// Lets the caller give up, with an answer of its own making, a call that may still take effect.
    pub(crate) fn abandon(
        &mut self,
        now: Timestamp,
        index: usize,
        answer: Answer,
        limits: &Limits,
    ) {
        let Some(call) = self.calls.get(index) else {
            return;
        };
        self.abandoned.push(Outstanding {
            id: CallId(0),
            due: now + limits.late_effect_max,
            ..call.clone()
        });
        self.answer(now, index, answer, limits, Death::Never);
    }

    /// Lets the engine die, and another one take over from what is durable.
    pub(crate) fn die(&mut self, now: Timestamp, limits: &Limits) {
        let calls = std::mem::take(&mut self.calls);
        let lost = calls.into_iter().filter(|call| call.answer.is_none());
        let lost = lost.filter(|call| Kind::of(&call.operation).changes());
        self.abandoned.extend(lost.map(|call| Outstanding {
            id: CallId(0),
            due: now + limits.late_effect_max,
            ..call
        }));
        let settings = limits.engine.clone();
        self.engine = Engine::recover(self.engine.state().clone(), settings);
        self.tell(now, Input::Tick, limits, Death::Never);
    }

    /// Puts calls into the order and under the numbers that follow from what they are.
    fn tidy(&mut self, now: Timestamp, limits: &Limits) {
        let order = self.engine.renumber_calls();
        let calls = std::mem::take(&mut self.calls);
        for mut call in calls {
            match order.iter().position(|old| *old == call.id) {
                Some(at) => {
                    call.id = CallId(at as u64 + 1);
                    self.calls.push(call);
                }
                // The engine has stopped waiting.
                None if call.answer.is_none() && Kind::of(&call.operation).changes() => {
                    call.id = CallId(0);
                    call.due = now + limits.late_effect_max;
                    self.abandoned.push(call);
                }
                None => {}
            }
        }
        self.calls.sort_by_key(|call| call.id);
        self.abandoned
            .sort_by_cached_key(|call| (call.due, call.place, format!("{:?}", call.operation)));
    }

    /// Says whether all that is waited for is creations, and an answer to one
    /// makes the engine do nothing about what is there already: nothing is
    /// outdated, broken, to be deleted or due.
    pub(crate) fn is_building(&self) -> bool {
        let state = self.state();
        let is_first = state.generation() <= 1 && !state.teardown() && state.orphans.is_empty();
        let mut instances = state.instances.values();
        let now = self.engine.now();
        is_first
            && self.engine.next_deadline().is_none_or(|due| due > now)
            && self.abandoned.is_empty()
            && self
                .calls
                .iter()
                .all(|call| Kind::of(&call.operation) == Kind::Create && call.answer.is_none())
            && instances.all(|instance| {
                instance.doom.is_none()
                    && instance.breakage.is_none()
                    && instance.phase != Phase::Restarting
            })
    }

    /// Returns the durable state.
    pub(crate) fn state(&self) -> &State {
        self.engine.state()
    }
}

/// How long things take at most, and what the engine is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) call_timeout: zenekar_base::Millis,
    pub(crate) late_effect_max: zenekar_base::Millis,
    pub(crate) list_lag_max: zenekar_base::Millis,
    pub(crate) engine: std::sync::Arc<zenekar_engine::Settings>,
}
