//! What the tests share: short forms of requests, and choosers with a will.

use zenekar_base::{
    CallId, Fingerprint, InfrastructureId, InstanceKey, InstanceTag, ProviderError, ResourceId,
    ResourceView, Timestamp, Token,
};
use zenekar_simcloud::{
    Benign, ChoiceKind, Chooser, CreateInstance, Footprint, Outcome, Request, Response, Scope,
    Settings, SimCloud, SpanRange, Spans,
};

/// All calls take 100 ms, boots 1 s, contextualisations 2 s, deletions 500 ms.
pub(crate) fn fixed() -> Settings {
    let call = SpanRange::fixed(100);
    Settings {
        spans: Spans {
            create: call,
            observe: call,
            delete: call,
            recontextualise: call,
            probe: call,
            boot: SpanRange::fixed(1_000),
            contextualise: SpanRange::fixed(2_000),
            deletion: SpanRange::fixed(500),
            life_fault: SpanRange::fixed(5_000),
        },
        ..Settings::calm()
    }
}

pub(crate) fn infrastructure() -> InfrastructureId {
    InfrastructureId::new("demo")
}

pub(crate) fn tag(instance: u32) -> InstanceTag {
    InstanceTag::derive(&infrastructure(), InstanceKey(instance))
}

pub(crate) fn token(instance: u32, attempt: u32) -> Token {
    Token::derive(&infrastructure(), InstanceKey(instance), attempt)
}

pub(crate) fn create(instance: u32) -> Request {
    create_with(instance, 1, |_| {})
}

pub(crate) fn create_with(
    instance: u32,
    attempt: u32,
    edit: impl FnOnce(&mut CreateInstance),
) -> Request {
    let mut request = CreateInstance {
        infrastructure: infrastructure(),
        instance: tag(instance),
        token: token(instance, attempt),
        name: format!("node/{instance}"),
        fingerprint: Fingerprint(1),
        cores: 2,
        create: None,
        boot: None,
        contextualise: None,
        boot_failure: None,
    };
    edit(&mut request);
    Request::Create(Box::new(request))
}

pub(crate) fn list() -> Request {
    Request::Observe {
        infrastructure: infrastructure(),
        scope: Scope::All,
    }
}

pub(crate) fn describe(resources: &[&ResourceId]) -> Request {
    Request::Observe {
        infrastructure: infrastructure(),
        scope: Scope::Resources(resources.iter().map(|&id| id.clone()).collect()),
    }
}

pub(crate) fn delete(resource: &ResourceId) -> Request {
    Request::Delete {
        infrastructure: infrastructure(),
        resource: resource.clone(),
    }
}

pub(crate) fn probe(resource: &ResourceId) -> Request {
    Request::Probe {
        infrastructure: infrastructure(),
        resource: resource.clone(),
        ports: vec![],
    }
}

pub(crate) fn recontextualise(resource: &ResourceId, revision: u32) -> Request {
    Request::Recontextualise {
        infrastructure: infrastructure(),
        resource: resource.clone(),
        revision,
    }
}

/// A caller that waits for each reply before it makes the next call.
pub(crate) struct Caller {
    pub(crate) cloud: SimCloud,
    calls: u64,
}

impl Caller {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            cloud: SimCloud::new(settings),
            calls: 0,
        }
    }

    pub(crate) fn call(&mut self, request: Request) -> Result<Response, ProviderError> {
        self.call_with(request, &mut Benign)
    }

    pub(crate) fn call_with(
        &mut self,
        request: Request,
        chooser: &mut dyn Chooser,
    ) -> Result<Response, ProviderError> {
        self.calls += 1;
        let call = CallId(self.calls);
        let due = self.cloud.submit(self.cloud.now(), call, request, chooser);
        let mut replies = self.cloud.advance(due, chooser);
        assert_eq!(replies.len(), 1, "one caller, one call, one reply");
        let reply = replies.remove(0);
        assert_eq!((reply.call, reply.at), (call, due));
        reply.result
    }

    pub(crate) fn created(&mut self, instance: u32) -> ResourceView {
        view(self.call(create(instance)))
    }

    pub(crate) fn listed(&mut self) -> Vec<ResourceView> {
        views(self.call(list()))
    }

    pub(crate) fn wait(&mut self, ms: i64) {
        let later = Timestamp(self.cloud.now().0 + ms);
        assert_eq!(
            self.cloud.advance(later, &mut Benign),
            [],
            "no call is in flight"
        );
    }
}

pub(crate) fn view(result: Result<Response, ProviderError>) -> ResourceView {
    match result {
        Ok(Response::Created(view)) => view,
        other => panic!("not the reply to a create call: {other:?}"),
    }
}

pub(crate) fn views(result: Result<Response, ProviderError>) -> Vec<ResourceView> {
    match result {
        Ok(Response::Observed(views)) => views,
        other => panic!("not the reply to an observe call: {other:?}"),
    }
}

/// Wants one outcome for every call, and the last alternative of everything
/// else that it was told to spoil.
pub(crate) struct Wilful {
    pub(crate) outcome: Outcome,
    pub(crate) spoil: fn(ChoiceKind) -> bool,
}

impl Wilful {
    pub(crate) fn outcome(outcome: Outcome) -> Self {
        Self {
            outcome,
            spoil: |_| false,
        }
    }

    pub(crate) fn spoil(spoil: fn(ChoiceKind) -> bool) -> Self {
        Self {
            outcome: Outcome::Served,
            spoil,
        }
    }
}

impl Chooser for Wilful {
    fn choose(&mut self, kind: ChoiceKind, alternatives: u32, _footprint: &Footprint) -> u32 {
        match kind {
            ChoiceKind::Outcome { enabled, .. } => {
                let position = enabled
                    .iter()
                    .position(|outcome| outcome == self.outcome)
                    .expect("the settings enable it");
                u32::try_from(position).expect("few outcomes")
            }
            _ if (self.spoil)(kind) => alternatives - 1,
            _ => 0,
        }
    }
}
