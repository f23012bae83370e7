//! The simulation: engine, journal, cloud and adversary in one clock.

use std::collections::BTreeMap;

use zenekar_base::{
    CallId, Capabilities, Fingerprint, InfrastructureId, Millis, Random, Timestamp,
};
use zenekar_engine::{
    Effect, Engine, Entry, Input, Operation, Response, Scope, Settings as EngineSettings, State,
};
use zenekar_simcloud::{
    CreateInstance, Intervention, Reply, Request, SeededChooser, Settings, SimCloud,
};

use crate::order::{early_creation, early_deletion};

/// The provider name of the simulated cloud.
pub(crate) const PROVIDER: &str = "sim";

/// The provider name of the second simulated cloud, where there are two.
pub(crate) const SECOND_PROVIDER: &str = "sim@second";

/// Says whether the life of a seed plays at two clouds.
pub(crate) fn has_two_clouds(seed: u64) -> bool {
    seed % 5 == 2 && !crate::adoption::is_drawn(seed)
}

/// A cloud besides the first, which knows nothing of that.
#[derive(Clone, Debug)]
struct Second {
    cloud: SimCloud,
    chooser: SeededChooser,
}

impl Second {
    fn new(settings: &Settings) -> Self {
        let seed = zenekar_base::random::mix(settings.seed);
        let cloud = SimCloud::new(Settings {
            seed,
            ..settings.clone()
        });
        let chooser = SeededChooser::new(cloud.settings());
        Self { cloud, chooser }
    }
}

/// What the adversary does to the engine and its answers, in parts per million of the occasions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adversary {
    /// The engine dies at a persist or call boundary.
    pub crash: u32,
    /// An answer is lost.
    pub lose: u32,
    /// An answer arrives twice.
    pub repeat: u32,
    /// An answer arrives late, after others.
    pub delay: u32,
}

impl Adversary {
    /// Returns an adversary that the engine has to live with every day.
    pub const fn hostile() -> Self {
        Self {
            crash: 2_000,
            lose: 20_000,
            repeat: 50_000,
            delay: 100_000,
        }
    }
}

/// A world in a moment of simulated time.
#[derive(Clone, Debug)]
pub struct World {
    /// The engine that is alive.
    pub engine: Engine,
    /// What is durable.
    pub journal: Vec<Entry>,
    /// The cloud.
    pub cloud: SimCloud,
    /// The time.
    pub now: Timestamp,
    /// What the adversary may do.
    pub adversary: Adversary,
    /// Engines that died so far.
    pub crashes: u32,
    /// A running fingerprint of everything that happened: equal for equal seeds.
    pub trace: u64,
    second: Option<Box<Second>>,
    chooser: SeededChooser,
    random: Random,
    settings: EngineSettings,
    infrastructure: InfrastructureId,
    /// Cloud calls that the living engine waits for.
    calls: BTreeMap<CallId, CallId>,
    next_call: u64,
    /// Answers on their way to the engine, by arrival.
    answers: BTreeMap<(Timestamp, u64), (CallId, Result<Response, zenekar_base::ProviderError>)>,
    next_answer: u64,
    /// Create requests submitted so far.
    pub creations: u64,
    /// The first call that came too early: before what it depends on, or that depends on it.
    pub disorder: Option<String>,
}

impl World {
    /// Makes a world in which nothing has happened.
    pub fn new(seed: u64, cloud: Settings, adversary: Adversary) -> Self {
        let infrastructure = InfrastructureId::new("simulated");
        let capabilities = Capabilities {
            calls_in_flight_max: 4_096,
            describe_batch_max: 1_000,
            settle: cloud.settle(),
            recontextualise: !seed.is_multiple_of(3),
            native_tokens: true,
            user_data_bytes_max: None,
            is_shared: false,
        };
        let known = [PROVIDER, SECOND_PROVIDER];
        let known = known.map(|name| (name.to_owned(), capabilities.clone()));
        let settings = EngineSettings {
            capabilities: BTreeMap::from(known),
            seed,
            ..EngineSettings::default()
        };
        let cloud = SimCloud::new(Settings { seed, ..cloud });
        let chooser = SeededChooser::new(cloud.settings());
        let second = has_two_clouds(seed).then(|| Box::new(Second::new(cloud.settings())));
        Self {
            engine: Engine::new(infrastructure.clone(), settings.clone()),
            journal: Vec::new(),
            cloud,
            now: Timestamp(1),
            adversary,
            crashes: 0,
            trace: 0,
            second,
            chooser,
            random: Random::from_seed(seed).child(1),
            settings,
            infrastructure,
            calls: BTreeMap::new(),
            next_call: 1,
            answers: BTreeMap::new(),
            next_answer: 0,
            creations: 0,
            disorder: None,
        }
    }

    /// Ends all failures: from now on a patient engine must get where it wants to.
    pub fn make_calm(&mut self, settings: Settings) {
        self.adversary = Adversary::default();
        let settings = Settings {
            seed: self.cloud.settings().seed,
            ..settings
        };
        self.cloud.intervene(
            self.now,
            &Intervention::SetSettings(Box::new(settings)),
            &mut self.chooser,
        );
        self.chooser = SeededChooser::new(self.cloud.settings());
        self.intervene(&Intervention::Recover);
        if let Some(second) = &mut self.second {
            let calm = Settings {
                seed: second.cloud.settings().seed,
                ..(**self.cloud.settings()).clone()
            };
            let change = Intervention::SetSettings(Box::new(calm));
            second
                .cloud
                .intervene(self.now, &change, &mut second.chooser);
            second.chooser = SeededChooser::new(second.cloud.settings());
            self.intervene_at(SECOND_PROVIDER, &Intervention::Recover);
        }
    }

    /// Does something to the first cloud behind the engine's back.
    pub fn intervene(&mut self, intervention: &Intervention) -> bool {
        self.intervene_at(PROVIDER, intervention)
    }

    /// Does something to a cloud behind the engine's back; false if there is no such cloud.
    pub(crate) fn intervene_at(&mut self, provider: &str, intervention: &Intervention) -> bool {
        match &mut self.second {
            Some(second) if provider == SECOND_PROVIDER => {
                second
                    .cloud
                    .intervene(self.now, intervention, &mut second.chooser)
            }
            _ => self
                .cloud
                .intervene(self.now, intervention, &mut self.chooser),
        }
    }

    /// Returns the clouds, each with its provider's name.
    pub(crate) fn clouds(&self) -> impl Iterator<Item = (&'static str, &SimCloud)> {
        let second = self.second.as_ref();
        let second = second.map(|second| (SECOND_PROVIDER, &second.cloud));
        std::iter::once((PROVIDER, &self.cloud)).chain(second)
    }

    /// Tells the engine something, and does what it asks for.
    pub fn tell(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    /// Goes on to the next moment at which something happens; false if nothing ever will.
    pub fn step(&mut self) -> bool {
        let times = [
            self.engine.next_deadline(),
            self.clouds()
                .filter_map(|(_, cloud)| cloud.next_event())
                .min(),
            self.answers.keys().next().map(|(at, _)| *at),
        ];
        let Some(next) = times.into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        let mut replies = self.cloud.advance(self.now, &mut self.chooser);
        if let Some(second) = &mut self.second {
            replies.extend(second.cloud.advance(self.now, &mut second.chooser));
        }
        for reply in replies {
            self.route(reply);
        }
        if let Some((&key, _)) = self.answers.first_key_value()
            && key.0 <= self.now
        {
            if let Some((call, result)) = self.answers.remove(&key) {
                self.tell(Input::Completion { call, result });
            }
        } else if self.engine.next_deadline().is_some_and(|at| at <= self.now) {
            self.tell(Input::Tick);
        }
        true
    }

    /// Sends an answer on its way to the engine, if the one that asked is still alive.
    fn route(&mut self, reply: Reply) {
        let Some(call) = self.calls.remove(&reply.call) else {
            return;
        };
        let result = reply.result.map(response);
        if self.random.chance(self.adversary.lose) {
            return;
        }
        let copies = 1 + u32::from(self.random.chance(self.adversary.repeat));
        for _ in 0..copies {
            let delay = if self.random.chance(self.adversary.delay) {
                self.random.between(1, 90_000)
            } else {
                0
            };
            self.next_answer += 1;
            self.answers.insert(
                (self.now + Millis(delay), self.next_answer),
                (call, result.clone()),
            );
        }
    }

    /// Does what the engine asks for: first makes facts durable, then calls.
    fn drain(&mut self) {
        let mut calls = Vec::new();
        let mut entries = Vec::new();
        while let Some(effect) = self.engine.poll() {
            match effect {
                Effect::Persist(entry) => entries.push(entry),
                Effect::Call(call) => calls.push(call),
                Effect::Notify(_) => {}
            }
        }
        if !entries.is_empty() && self.crash_now() {
            return;
        }
        for entry in &entries {
            self.note(
                entry.at,
                entry.record.kind().len() as u64,
                entry
                    .record
                    .instance()
                    .map_or(u64::MAX, |key| u64::from(key.0)),
            );
        }
        self.journal.append(&mut entries);
        for call in calls {
            if self.crash_now() {
                return;
            }
            self.submit(call);
        }
    }

    fn crash_now(&mut self) -> bool {
        let crashes = self.adversary.crash > 0 && self.random.chance(self.adversary.crash);
        if crashes {
            self.crash();
        }
        crashes
    }

    /// Lets the engine die and another one take over from the journal.
    pub fn crash(&mut self) {
        self.crashes += 1;
        self.calls.clear();
        self.answers.clear();
        self.cloud.forget_caller();
        if let Some(second) = &mut self.second {
            second.cloud.forget_caller();
        }
        let state = replay(&self.infrastructure, &self.journal);
        self.engine = Engine::recover(state, self.settings.clone());
        self.engine.handle(self.now, Input::Tick);
        self.drain();
    }

    fn submit(&mut self, call: zenekar_engine::Call) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(id, call.id);
        let infrastructure = self.infrastructure.clone();
        let request = match call.operation {
            Operation::Create {
                tag,
                token,
                candidate,
                node,
                given,
                ..
            } => {
                self.creations += 1;
                let disorder = early_creation(self.engine.state(), self.engine.now(), &tag);
                self.disorder = disorder.or(self.disorder.take());
                let parameters = format!("{node:?} {candidate} {given:?}");
                Request::Create(Box::new(CreateInstance {
                    infrastructure,
                    instance: tag,
                    token,
                    name: String::new(),
                    fingerprint: Fingerprint::of_text(&parameters),
                    cores: 1,
                    create: None,
                    boot: None,
                    contextualise: None,
                    boot_failure: None,
                }))
            }
            Operation::Observe { scope } => {
                let scope = match scope {
                    Scope::All => zenekar_simcloud::Scope::All,
                    Scope::Instances(list) => zenekar_simcloud::Scope::Resources(
                        list.into_iter().map(|(_, resource)| resource).collect(),
                    ),
                };
                Request::Observe {
                    infrastructure,
                    scope,
                }
            }
            Operation::Delete { resource, .. } => {
                let disorder = early_deletion(self.engine.state(), &call.provider, &resource);
                self.disorder = disorder.or(self.disorder.take());
                Request::Delete {
                    infrastructure,
                    resource,
                }
            }
            Operation::Recontextualise {
                resource, revision, ..
            } => Request::Recontextualise {
                infrastructure,
                resource,
                revision,
            },
            Operation::Probe { resource, .. } => Request::Probe {
                infrastructure,
                resource,
                ports: Vec::new(),
            },
            Operation::Release => Request::Release { infrastructure },
        };
        self.note(self.now, request.kind() as u64, id.0);
        match &mut self.second {
            Some(second) if call.provider == SECOND_PROVIDER => {
                second
                    .cloud
                    .submit(self.now, id, request, &mut second.chooser);
            }
            _ => {
                self.cloud.submit(self.now, id, request, &mut self.chooser);
            }
        }
    }

    fn note(&mut self, at: Timestamp, one: u64, two: u64) {
        let word = at.0.unsigned_abs() ^ one.rotate_left(20) ^ two.rotate_left(40);
        self.trace = zenekar_base::random::mix(self.trace ^ word);
    }
}

/// Adds a journal up.
pub(crate) fn replay(infrastructure: &InfrastructureId, journal: &[Entry]) -> State {
    let mut state = State::new(infrastructure.clone());
    for entry in journal {
        state.apply(entry);
    }
    state
}

fn response(response: zenekar_simcloud::Response) -> Response {
    match response {
        zenekar_simcloud::Response::Created(view) => Response::Created(view),
        zenekar_simcloud::Response::Observed(views) => Response::Observed(views),
        zenekar_simcloud::Response::Deleted { gone } => Response::Deleted { gone },
        zenekar_simcloud::Response::Recontextualised => Response::Recontextualised,
        zenekar_simcloud::Response::Probed(result) => Response::Probed(result),
        zenekar_simcloud::Response::Released => Response::Released,
    }
}
