//! An engine whose world is the test's own: every answer is given by hand.

use std::collections::BTreeMap;

use zenekar_base::{
    Addresses, Capabilities, ErrorClass, InfrastructureId, InstanceTag, ProbeResult, ProviderError,
    ResourceId, ResourceState, ResourceView, Timestamp,
};
use zenekar_engine::{
    Call, Effect, Engine, Entry, Input, Notice, Operation, Response, Settings, State,
};

pub(crate) type Answer = Result<Response, ProviderError>;

/// An engine, its journal, and the calls that nobody has answered yet.
pub(crate) struct Script {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) calls: Vec<Call>,
    pub(crate) journal: Vec<Entry>,
    pub(crate) settings: Settings,
    pub(crate) notices: Vec<Notice>,
}

impl Script {
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        let known = ["sim", "a", "b"].map(|name| (name.to_owned(), capabilities.clone()));
        let settings = Settings {
            capabilities: BTreeMap::from(known),
            seed: 1,
            ..Settings::default()
        };
        let engine = Engine::new(InfrastructureId::new("scripted"), settings.clone());
        Self {
            engine,
            now: Timestamp(1),
            calls: Vec::new(),
            journal: Vec::new(),
            settings,
            notices: Vec::new(),
        }
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        while let Some(effect) = self.engine.poll() {
            match effect {
                Effect::Call(call) => self.calls.push(call),
                Effect::Persist(entry) => self.journal.push(entry),
                Effect::Notify(notice) => self.notices.push(notice),
            }
        }
    }

    pub(crate) fn answer(&mut self, call: &Call, result: Answer) {
        self.tell(Input::Completion {
            call: call.id,
            result,
        });
    }

    /// Lets time pass until `end`, answering every call at once.
    pub(crate) fn play(
        &mut self,
        end: Timestamp,
        mut answer: impl FnMut(Timestamp, &Operation) -> Answer,
    ) {
        while self.now < end {
            for call in std::mem::take(&mut self.calls) {
                let result = answer(self.now, &call.operation);
                self.answer(&call, result);
            }
            if self.calls.is_empty() {
                let Some(at) = self.engine.next_deadline() else {
                    return;
                };
                self.now = self.now.max(at).min(end);
                self.tell(Input::Tick);
            }
        }
    }

    /// Lets another engine take over from the journal.
    pub(crate) fn crash(&mut self) {
        let mut state = State::new(InfrastructureId::new("scripted"));
        for entry in &self.journal {
            state.apply(entry);
        }
        self.engine = Engine::recover(state, self.settings.clone());
        self.calls.clear();
    }
}

pub(crate) fn view(tag: &InstanceTag, resource: &str, state: ResourceState) -> ResourceView {
    ResourceView {
        instance: tag.clone(),
        resource: ResourceId::new(resource),
        state,
        addresses: Addresses::default(),
        token: None,
        revision: 0,
        detail: None,
    }
}

/// A cloud that does at once what it is told.
#[derive(Default)]
pub(crate) struct Obedient {
    pub(crate) machines: BTreeMap<ResourceId, InstanceTag>,
    pub(crate) deletions: u32,
    pub(crate) releases: u32,
}

impl Obedient {
    pub(crate) fn shown(&self, state: ResourceState) -> Vec<ResourceView> {
        let machines = self.machines.iter();
        machines
            .map(|(resource, tag)| view(tag, resource.as_str(), state))
            .collect()
    }

    pub(crate) fn answer(&mut self, operation: &Operation) -> Response {
        match operation {
            Operation::Create { tag, .. } => {
                let resource = format!("machine-{tag}");
                let shown = view(tag, &resource, ResourceState::Running);
                self.machines.insert(ResourceId::new(resource), tag.clone());
                Response::Created(shown)
            }
            Operation::Observe { .. } => Response::Observed(self.shown(ResourceState::Running)),
            Operation::Delete { resource, .. } => {
                self.deletions += 1;
                self.machines.remove(resource);
                Response::Deleted { gone: true }
            }
            Operation::Recontextualise { .. } => Response::Recontextualised,
            Operation::Probe { .. } => Response::Probed(ProbeResult::Healthy),
            Operation::Release => {
                self.releases += 1;
                Response::Released
            }
        }
    }
}

pub(crate) fn error(class: ErrorClass, message: &str) -> Answer {
    Err(ProviderError::new(class, message))
}
