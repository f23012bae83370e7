//! The large parts of states, what follows from them, and what is known of them beforehand.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use smallvec::SmallVec;
use zenekar_base::{
    ErrorClass, InstanceKey, Millis, NodeKey, ProbeResult, ProviderError, ResourceState, Timestamp,
};
use zenekar_engine::{Engine, Operation, Response, Scope};
use zenekar_explore::order;
use zenekar_simcloud::{Change, Creation, UntimedCloud};

use crate::breach::Breach;
use crate::care;
use crate::control::{Answer, Control, Death, Kind, Limits, Outstanding};
use crate::intern::{Cache, Interner};
use crate::likeness::{CloudPart, Likeness};
use crate::setting::Setting;

/// What is known of a call without looking at the engine again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallFacts {
    pub(crate) kind: Kind,
    pub(crate) place: u16,
    /// The number of the operation.
    pub(crate) operation: u32,
    /// Whether its effect has taken place.
    pub(crate) is_answered: bool,
}

/// What is known of a [`Control`] without looking at the engine again.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    /// When the first thing in flight has come to its end at the latest.
    pub(crate) due: Timestamp,
    pub(crate) is_converged: bool,
    /// Whether answers can only make what is created for the first time get further.
    pub(crate) is_building: bool,
    pub(crate) calls: SmallVec<[CallFacts; 6]>,
    pub(crate) abandoned: SmallVec<[CallFacts; 2]>,
}

/// What a provider was asked, as clouds see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    place: u16,
    /// The node that it is about, or zero.
    node: u16,
    operation: Operation,
}

/// A control with what is known of it.
#[derive(Debug)]
pub(crate) struct ControlPart {
    pub(crate) control: Control,
    pub(crate) facts: Facts,
    /// The control without who is who, once somebody has asked.
    likeness: OnceLock<Option<Likeness>>,
}

impl Hash for ControlPart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.control.hash(state);
    }
}

/// What an engine is told, by the numbers of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stimulus {
    Answer { call: u8, answer: u32, death: Death },
    Arrive { call: u8 },
    Postpone { call: u8, answer: u32 },
    Abandon { call: u8 },
    Forget { call: u8 },
    Demand(u8),
    Crash,
    Tick,
}

/// What follows from a stimulus.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlStep {
    pub(crate) next: u32,
    /// Calls that are sent thereupon.
    pub(crate) sent: u8,
    pub(crate) breach: Option<Breach>,
    /// Whether the engine holds an instance for broken since then.
    pub(crate) broke: bool,
    /// How much time has passed.
    pub(crate) elapsed_ms: u64,
    /// Whether the engine has learned or done anything but to look.
    pub(crate) is_news: bool,
}

/// What a cloud is told, by the numbers of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloudInput {
    Operation {
        operation: u32,
        lags: bool,
    },
    /// A creation takes effect, whether or not its token has made a machine.
    CreateAgain {
        operation: u32,
    },
    Change {
        machine: u8,
        change: Change,
    },
    /// So much time passes.
    Pass {
        elapsed_ms: u64,
    },
    /// Lists show what is true.
    CatchUp,
}

/// What follows for a cloud.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloudStep {
    pub(crate) next: u32,
    /// The number of the answer.
    pub(crate) answer: u32,
    /// The machine that was made, deleted, contextualised again or probed.
    pub(crate) machine: Option<u8>,
}

/// Answers that explorers give in the cloud's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    pub(crate) healthy: u32,
    pub(crate) unhealthy: u32,
    pub(crate) not_found: u32,
    pub(crate) throttled: u32,
    pub(crate) server_error: u32,
    pub(crate) capacity: u32,
    pub(crate) unknown: u32,
}

/// All parts of all states of one setting.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) setting: Setting,
    pub(crate) limits: Limits,
    pub(crate) controls: Interner<ControlPart>,
    pub(crate) clouds: Interner<CloudPart>,
    pub(crate) answers: Interner<Answer>,
    operations: Interner<Asked>,
    pub(crate) fixed: Fixed,
    control_steps: Cache<(u32, Stimulus), ControlStep>,
    cloud_steps: Cache<(u32, CloudInput, i64), CloudStep>,
    /// Names of nodes: what machines and agents know nodes by.
    pub(crate) nodes: Vec<String>,
    /// Whether states that differ only in when they are become equal. Always so
    /// but in the test that it makes no other difference.
    pub(crate) rebases: bool,
}

/// The time that it always is: later than all spans that anybody waits for.
const PRESENT: Timestamp = Timestamp(1_000_000_000);

/// Looks in one pause. The longest spans that engines wait for have far fewer.
const LOOKS_MAX: u32 = 10_000;

/// Questions of one look.
const QUESTIONS_MAX: u32 = 10_000;

impl Parts {
    pub(crate) fn new(setting: Setting, nodes: Vec<String>) -> Self {
        let answers = Interner::new();
        let error = |class, text: &str| answers.intern(Err(ProviderError::new(class, text)));
        let probed = |result| answers.intern(Ok(Response::Probed(result)));
        let fixed = Fixed {
            healthy: probed(ProbeResult::Healthy),
            unhealthy: probed(ProbeResult::Unhealthy("a check fails".to_owned())),
            not_found: error(ErrorClass::NotFound, "no such machine"),
            throttled: error(ErrorClass::Throttled, "request rate exceeded"),
            server_error: error(ErrorClass::Retryable, "internal error"),
            capacity: error(ErrorClass::Capacity, "no machine is free"),
            unknown: error(ErrorClass::Unknown, "no answer in time"),
        };
        Self {
            limits: setting.limits(),
            setting,
            controls: Interner::new(),
            clouds: Interner::new(),
            answers,
            operations: Interner::new(),
            fixed,
            control_steps: Cache::new(),
            cloud_steps: Cache::new(),
            nodes,
            rebases: true,
        }
    }

    /// Returns the number of the control of an engine that was told nothing.
    pub(crate) fn begin(&self, engine: Engine) -> u32 {
        let mut control = Control::new(engine);
        control.rebase(PRESENT);
        self.keep(control)
    }

    /// Returns the number of a control.
    pub(crate) fn keep(&self, control: Control) -> u32 {
        let call_facts = |call: &Outstanding| CallFacts {
            kind: Kind::of(&call.operation),
            place: call.place,
            operation: self.operations.intern(Asked {
                place: call.place,
                node: self.node_of(&control, call.instance()),
                operation: call.operation.clone(),
            }),
            is_answered: call.answer.is_some(),
        };
        let all = control.calls.iter().chain(&control.abandoned);
        let facts = Facts {
            now: control.engine.now(),
            deadline: control.engine.next_deadline(),
            due: all.map(|call| call.due).min().unwrap_or(Timestamp::MAX),
            is_converged: control.state().intent.is_some()
                && control.engine.verdict() == zenekar_engine::Verdict::Converged,
            is_building: control.is_building(),
            calls: control.calls.iter().map(call_facts).collect(),
            abandoned: control.abandoned.iter().map(call_facts).collect(),
        };
        self.controls.intern(ControlPart {
            control,
            facts,
            likeness: OnceLock::new(),
        })
    }

    /// Returns a control without who is who, if that can be told.
    pub(crate) fn likeness(&self, control: u32) -> Option<&Likeness> {
        let part = self.controls.get(control);
        let likeness = part.likeness.get_or_init(|| part.control.likeness());
        likeness.as_ref()
    }

    /// Returns the place of an instance's node in the table of names.
    fn node_of(&self, control: &Control, instance: Option<InstanceKey>) -> u16 {
        let state = control.state();
        let instance = instance.and_then(|key| state.instances.get(&key));
        let name = instance.map(|instance| &state.node(instance.node).name);
        let place = name.and_then(|name| self.nodes.iter().position(|known| known == name));
        u16::try_from(place.unwrap_or(0)).unwrap_or(u16::MAX)
    }

    /// Returns what follows for the engine.
    pub(crate) fn control_step(&self, control: u32, stimulus: Stimulus) -> ControlStep {
        let compute = || self.compute_control(control, stimulus);
        self.control_steps.get_or((control, stimulus), compute)
    }

    fn compute_control(&self, number: u32, stimulus: Stimulus) -> ControlStep {
        let part = self.controls.get(number);
        let before = &part.control;
        let mut control = before.clone();
        let now = part.facts.now;
        let limits = &self.limits;
        let mut is_unsettled = false;
        match stimulus {
            Stimulus::Answer {
                call,
                answer,
                death,
            } => {
                let answer = self.answers.get(answer).clone();
                control.answer(now, usize::from(call), answer, limits, death);
            }
            Stimulus::Arrive { call } => {
                let sent = control.calls.get(usize::from(call));
                if let Some(answer) = sent.and_then(|call| call.answer.clone()) {
                    control.answer(now, usize::from(call), answer, limits, Death::Never);
                }
            }
            Stimulus::Postpone { call, answer } => {
                if let Some(call) = control.calls.get_mut(usize::from(call)) {
                    call.answer = Some(self.answers.get(answer).clone());
                }
            }
            Stimulus::Abandon { call } => {
                let answer = self.answers.get(self.fixed.unknown).clone();
                control.abandon(now, usize::from(call), answer, limits);
            }
            Stimulus::Forget { call } => {
                if usize::from(call) < control.abandoned.len() {
                    control.abandoned.remove(usize::from(call));
                }
            }
            Stimulus::Demand(step) => {
                if let Some(input) = self.setting.input(usize::from(step)) {
                    control.tell(now, input.clone(), limits, Death::Never);
                    is_unsettled = care::is_unsettled_by(&input, before, &control);
                }
            }
            Stimulus::Crash => control.die(now, limits),
            Stimulus::Tick => {
                let at = part.facts.deadline.unwrap_or(now);
                control.tell(at, zenekar_engine::Input::Tick, limits, Death::Never);
            }
        }
        let new = control.calls.len().saturating_sub(before.calls.len()) + 1;
        let broke = control.state().instances.values().any(|instance| {
            let known = before.state().instances.get(&instance.key);
            instance.breakage.is_some() && known.is_none_or(|known| known.breakage.is_none())
        });
        let unsettled = is_unsettled.then_some(Breach::Reapply);
        let breach = breach_of(before, &control)
            .or_else(|| care::breach_of(before, &control, &self.setting.behaviours))
            .or(unsettled);
        let elapsed_ms = control.engine.now().since(now).0;
        let is_news = match stimulus {
            Stimulus::Tick
            | Stimulus::Answer {
                death: Death::Never,
                ..
            } => control.engine.has_news_since(&before.engine),
            _ => true,
        };
        if self.rebases {
            control.rebase(PRESENT);
        }
        ControlStep {
            is_news,
            breach,
            broke,
            elapsed_ms,
            sent: u8::try_from(new).unwrap_or(u8::MAX),
            next: self.keep(control),
        }
    }

    /// Lets time pass as long as nobody learns anything: until right before the
    /// engine does something else than to look, or `span_max_ms` is over. `look`
    /// answers its questions. Returns the number of the control and how much
    /// time that is, if the engine looks once in it at least.
    pub(crate) fn pause(
        &self,
        number: u32,
        span_max_ms: u64,
        look: &dyn Fn(&Outstanding) -> Option<Answer>,
    ) -> Option<(u32, u64)> {
        let part = self.controls.get(number);
        let start = part.facts.now;
        let mut last: Option<Control> = None;
        for _ in 0..LOOKS_MAX {
            let before = last.as_ref().unwrap_or(&part.control);
            let deadline = before.engine.next_deadline();
            let Some(at) = deadline.filter(|at| at.since(start).0 <= span_max_ms) else {
                break;
            };
            let Some(next) = self.look_once(before, at, look) else {
                break;
            };
            if next.engine.has_news_since(&part.control.engine) {
                break;
            }
            last = Some(next);
        }
        let mut control = last?;
        let elapsed_ms = control.engine.now().since(start).0;
        if self.rebases {
            control.rebase(PRESENT);
        }
        Some((self.keep(control), elapsed_ms))
    }

    /// Lets the engine look, and answers all its questions; nothing if it does more than to ask.
    fn look_once(
        &self,
        before: &Control,
        at: Timestamp,
        look: &dyn Fn(&Outstanding) -> Option<Answer>,
    ) -> Option<Control> {
        let (mut control, limits) = (before.clone(), &self.limits);
        control.tell(at, zenekar_engine::Input::Tick, limits, Death::Never);
        for _ in 0..QUESTIONS_MAX {
            let Some(call) = control.calls.first() else {
                return Some(control);
            };
            let answer = look(call)?;
            control.answer(at, 0, answer, limits, Death::Never);
        }
        None
    }

    /// Returns what follows for the cloud.
    pub(crate) fn cloud_step(&self, cloud: u32, now: Timestamp, input: CloudInput) -> CloudStep {
        let compute = || self.compute_cloud(cloud, now, input);
        self.cloud_steps.get_or((cloud, input, now.0), compute)
    }

    fn compute_cloud(&self, number: u32, now: Timestamp, input: CloudInput) -> CloudStep {
        let mut cloud = self.clouds.get(number).cloud.clone();
        let lag = self.limits.list_lag_max;
        let until = (lag.0 > 0).then(|| now + lag);
        let (answer, machine) = match input {
            CloudInput::Operation { operation, lags } => {
                let asked = self.operations.get(operation);
                let (answer, machine) = self.carry_out(&mut cloud, asked, until, lags);
                (self.answers.intern(answer), machine)
            }
            CloudInput::CreateAgain { operation } => {
                let creation = creation_of(self.operations.get(operation));
                (0, creation.map(|one| cloud.create_again(&one, until)))
            }
            CloudInput::Change { machine, change } => {
                cloud.change(usize::from(machine), change, until);
                (0, Some(usize::from(machine)))
            }
            CloudInput::Pass { elapsed_ms } => {
                let then = now + Millis(elapsed_ms);
                cloud.rebase(then, if self.rebases { now } else { then });
                (0, None)
            }
            CloudInput::CatchUp => {
                cloud.catch_up();
                (0, None)
            }
        };
        CloudStep {
            next: self.clouds.intern(CloudPart::new(cloud)),
            answer,
            machine: machine.and_then(|machine| u8::try_from(machine).ok()),
        }
    }

    /// Lets a call take effect.
    fn carry_out(
        &self,
        cloud: &mut UntimedCloud,
        asked: &Asked,
        until: Option<Timestamp>,
        lags: bool,
    ) -> (Answer, Option<usize>) {
        let place = asked.place;
        match &asked.operation {
            Operation::Create { .. } => {
                let Some(creation) = creation_of(asked) else {
                    return (self.answers.get(self.fixed.server_error).clone(), None);
                };
                let (result, machine) = cloud.create(&creation, self.setting.quota, until);
                (result.map(Response::Created), machine)
            }
            Operation::Observe { scope } => {
                let wanted: Option<Vec<_>> = match scope {
                    Scope::All => None,
                    Scope::Instances(list) => {
                        Some(list.iter().map(|(_, resource)| resource.clone()).collect())
                    }
                };
                let views = cloud.observe(place, wanted.as_deref(), lags);
                (Ok(Response::Observed(views)), None)
            }
            Operation::Delete { resource, .. } => {
                let machine = cloud.find(place, resource);
                let gone = cloud.delete(place, resource, until);
                (Ok(Response::Deleted { gone }), machine)
            }
            Operation::Recontextualise {
                resource, revision, ..
            } => match cloud.recontextualise(place, resource, *revision) {
                Ok(machine) => (Ok(Response::Recontextualised), machine),
                Err(error) => (Err(error), None),
            },
            Operation::Probe { resource, .. } => {
                let machine = cloud.find(place, resource);
                let runs = |at: &usize| cloud.machines()[*at].state == ResourceState::Running;
                let answer = self.answers.get(self.fixed.not_found).clone();
                (answer, machine.filter(runs))
            }
            Operation::Release => (cloud.release(place).map(|()| Response::Released), None),
        }
    }
}

/// Returns what a creation asks a cloud for.
fn creation_of(asked: &Asked) -> Option<Creation> {
    let Operation::Create {
        instance,
        tag,
        token,
        ..
    } = &asked.operation
    else {
        return None;
    };
    Some(Creation {
        place: asked.place,
        node: asked.node,
        instance: *instance,
        tag: tag.clone(),
        token: token.clone(),
    })
}

/// Says what an engine has done that it never may, as far as it alone tells.
fn breach_of(before: &Control, after: &Control) -> Option<Breach> {
    let state = after.state();
    let now = after.engine.now();
    for call in &after.calls {
        let known = before.calls.iter();
        if known.filter(|old| old.operation == call.operation).count() > 0 {
            continue;
        }
        let early = match &call.operation {
            Operation::Create { tag, .. } => order::early_creation(state, now, tag),
            Operation::Delete { resource, .. } => {
                let provider = state.providers.get(usize::from(call.place));
                provider.and_then(|name| order::early_deletion(state, name, resource))
            }
            _ => None,
        };
        if early.is_some() {
            return Some(Breach::Order);
        }
    }
    is_beyond_bounds(after).then_some(Breach::Bounds)
}

/// Says whether a node has more instances than it may ever have.
fn is_beyond_bounds(control: &Control) -> bool {
    let state = control.state();
    let Some(intent) = &state.intent else {
        return false;
    };
    (0u32..).map(NodeKey).zip(&state.nodes).any(|(key, node)| {
        let Some(index) = node.index.filter(|_| !intent.teardown) else {
            return false;
        };
        let described = intent.topology.node(index);
        let counted = node.instances.iter();
        let counted = counted.filter(|key: &&InstanceKey| {
            let instance = state.instances.get(key);
            instance.is_some_and(|instance| instance.doom.is_none())
        });
        let allowed = described.count.max + described.update.surge_max;
        counted.count() > allowed as usize || state.wanted(key) > described.count.max
    })
}
