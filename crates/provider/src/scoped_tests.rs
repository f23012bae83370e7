//! A provider that answers as it is told to, behind what keeps to accounts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zenekar_base::{Addresses, InstanceTag};
use zenekar_model::Rendered;

use super::*;
use crate::Identity;

#[path = "scoped_look_tests.rs"]
mod looks;

/// What the scripted cloud does, and what was asked of it.
#[derive(Default)]
struct Script {
    /// Whom it takes us for; `None` if it does not tell.
    pin: Option<String>,
    /// Whom it takes us for once a call for an infrastructure was made.
    pin_after: Option<String>,
    identity_fails: Option<ErrorClass>,
    /// Its adapter leaves the question to the trait's default.
    is_silent: bool,
    /// Questions who we are are never answered.
    identity_hangs: bool,
    /// What it shows.
    views: Vec<ResourceView>,
    delete_answers: Option<Result<Deleted, ErrorClass>>,
    calls: Vec<&'static str>,
}

#[derive(Default)]
struct Scripted {
    script: Mutex<Script>,
}

impl Scripted {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, call: &'static str) {
        let mut script = self.script();
        script.calls.push(call);
        if script.pin_after.is_some() {
            script.pin = script.pin_after.take();
        }
    }

    /// Returns what was asked since the last time.
    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.script().calls)
    }
}

fn answer<'a, T: Send + 'a>(answer: Result<T, ErrorClass>) -> Call<'a, T> {
    let answer = answer.map_err(|class| ProviderError::new(class, "as the script says"));
    Box::pin(async move {
        tokio::task::yield_now().await;
        answer
    })
}

impl Provider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            is_shared: true,
            ..Capabilities::default()
        }
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        self.asked("create");
        let token = request.token.as_str().to_owned();
        answer(Ok(view("tag", Some(&token))))
    }

    fn observe(
        &self,
        _infrastructure: InfrastructureId,
        _scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        self.asked("observe");
        let views = self.script().views.clone();
        answer(Ok(views))
    }

    fn delete(&self, _: InfrastructureId, _: ResourceId) -> Call<'_, Deleted> {
        self.asked("delete");
        let told = self.script().delete_answers;
        answer(told.unwrap_or(Ok(Deleted::Accepted)))
    }

    fn recontextualise(
        &self,
        _infrastructure: InfrastructureId,
        _request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        self.asked("recontextualise");
        answer(Err(ErrorClass::NotFound))
    }

    fn probe(
        &self,
        _infrastructure: InfrastructureId,
        _resource: ResourceId,
        _spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        self.asked("probe");
        answer(Ok(ProbeResult::Healthy))
    }

    fn release(&self, _infrastructure: InfrastructureId) -> Call<'_, ()> {
        self.asked("release");
        answer(Ok(()))
    }

    fn check(&self, _request: CheckRequest) -> Call<'_, Vec<Problem>> {
        self.asked("check");
        answer(Ok(Vec::new()))
    }

    fn identity(&self) -> Call<'_, Identity> {
        let mut script = self.script();
        script.calls.push("identity");
        if script.identity_hangs {
            return Box::pin(std::future::pending());
        }
        if script.is_silent {
            return answer(Ok(Identity::untold("scripted")));
        }
        let told = match script.identity_fails {
            Some(class) => Err(class),
            None => Ok(Identity {
                account: "somebody".to_owned(),
                pin: script.pin.clone(),
                user: None,
                product: "a script".to_owned(),
                credentials: None,
            }),
        };
        answer(told)
    }
}

/// Bindings in memory: those that are there were durable before.
#[derive(Default)]
struct Kept {
    accounts: Mutex<BTreeMap<String, Account>>,
    is_full: bool,
}

impl Kept {
    fn pin(&self) -> Option<String> {
        let accounts = self.accounts.lock().expect("no test panics with it");
        accounts.get("shop").map(|account| account.pin.clone())
    }
}

impl Bindings for Kept {
    fn binding(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<Option<Binding>, ProviderError> {
        assert_eq!(provider, "scripted");
        let accounts = self.accounts.lock().expect("no test panics with it");
        Ok((infrastructure.as_str() == "shop").then(|| Binding {
            origin: origin("0123456789ab"),
            account: accounts.get("shop").cloned(),
        }))
    }

    fn bind(
        &self,
        infrastructure: &InfrastructureId,
        _provider: &str,
        account: &Account,
    ) -> Result<Account, ProviderError> {
        if self.is_full {
            return Err(ProviderError::new(
                ErrorClass::Retryable,
                "the disk is full",
            ));
        }
        let mut accounts = self.accounts.lock().expect("no test panics with it");
        let kept = accounts
            .entry(infrastructure.to_string())
            .or_insert_with(|| account.clone());
        Ok(kept.clone())
    }

    fn unbind(
        &self,
        infrastructure: &InfrastructureId,
        _provider: &str,
    ) -> Result<(), ProviderError> {
        let mut accounts = self.accounts.lock().expect("no test panics with it");
        accounts.remove(infrastructure.as_str());
        Ok(())
    }
}

struct Bench {
    cloud: Arc<Scripted>,
    kept: Arc<Kept>,
    provider: Scoped,
}

/// Makes a cloud with an account, and an infrastructure that is tied to one or none.
fn bench(answering: Option<&str>, bound: Option<&str>) -> Bench {
    bench_with(answering, bound, Kept::default())
}

fn bench_with(answering: Option<&str>, bound: Option<&str>, kept: Kept) -> Bench {
    let cloud = Arc::new(Scripted::default());
    cloud.script().pin = answering.map(str::to_owned);
    if let Some(pin) = bound {
        let account = Account {
            pin: pin.to_owned(),
            name: "shop's".to_owned(),
        };
        let mut accounts = kept.accounts.lock().expect("no test panics with it");
        accounts.insert("shop".to_owned(), account);
    }
    let kept = Arc::new(kept);
    let provider = Scoped::new(
        Arc::clone(&cloud) as Arc<dyn Provider>,
        Arc::clone(&kept) as Arc<dyn Bindings>,
    );
    Bench {
        cloud,
        kept,
        provider,
    }
}

impl Bench {
    async fn create(&self) -> Result<ResourceView, ProviderError> {
        let request = CreateRequest {
            infrastructure: shop(),
            instance: InstanceTag::new("tag"),
            token: Token::new("t-1"),
            name: "web/1".to_owned(),
            rendered: Rendered::default(),
        };
        self.provider.create(request).await
    }

    async fn observe(&self) -> Result<Vec<ResourceView>, ProviderError> {
        self.provider.observe(shop(), ObserveScope::All).await
    }

    async fn delete(&self) -> Result<Deleted, ProviderError> {
        self.provider.delete(shop(), ResourceId::new("i-1")).await
    }

    fn shows(&self, state: ResourceState) {
        let mut shown = view("tag", Some("t-1-0123456789ab"));
        shown.state = state;
        self.cloud.script().views = vec![shown];
    }
}

fn shop() -> InfrastructureId {
    InfrastructureId::new("shop")
}

fn origin(text: &str) -> Origin {
    text.parse().expect("the test names an origin")
}

fn view(instance: &str, token: Option<&str>) -> ResourceView {
    ResourceView {
        instance: InstanceTag::new(instance),
        resource: ResourceId::new("i-1"),
        state: ResourceState::Running,
        addresses: Addresses::default(),
        token: token.map(Token::new),
        revision: 0,
        detail: None,
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("an async runtime can be made")
        .block_on(work)
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, ProviderError>) {
    let error = answer.expect_err("it is another account");
    assert_eq!(error.class, ErrorClass::Auth, "{error}");
    for part in [
        "`shop` is tied to account `one` (`shop's`)",
        "`two`",
        "nothing of it is there, set `ZENEKAR_ACCEPT_ACCOUNT=two`",
    ] {
        assert!(error.message.contains(part), "{part} in {error}");
    }
}

#[test]
fn scoped_names_are_split_again() {
    let origin = origin("0123456789ab");
    for name in ["shop", "shop.eu", "0123456789ab"] {
        let name = InfrastructureId::new(name);
        let scoped = scoped_infrastructure(&name, &origin);
        assert_eq!(split_scoped(&scoped), Some((name, origin.clone())));
    }
    for text in [
        "shop",
        "shop.0123456789a",
        "shop.0123456789AB",
        ".0123456789ab",
    ] {
        assert_eq!(split_scoped(&InfrastructureId::new(text)), None, "{text}");
    }
}

#[test]
fn tokens_of_other_origins_are_not_ours() {
    let own = origin("0123456789ab");
    let seen = unscoped(view("tag", Some("t-1-0123456789ab")), &own);
    assert_eq!(seen, Some(view("tag", Some("t-1"))));
    assert_eq!(unscoped(view("tag", None), &own), Some(view("tag", None)));
    for token in ["t-1-0123456789ac", "t-1", "0123456789ab"] {
        assert_eq!(unscoped(view("tag", Some(token)), &own), None, "{token}");
        // One that was adopted carries no tag of ours.
        let adopted = unscoped(view("", Some(token)), &own);
        assert_eq!(adopted, Some(view("", None)), "{token}");
    }
}

#[test]
fn the_account_is_noted_before_the_first_thing_is_made() {
    block_on(async {
        let bench = bench(Some("one"), None);
        assert_eq!(bench.observe().await, Ok(Vec::new()));
        assert_eq!(bench.kept.pin(), None, "nothing is there yet");
        assert_eq!(bench.cloud.calls(), ["identity", "observe"]);
        let made = bench.create().await.expect("it is made");
        assert_eq!(made.token, Some(Token::new("t-1")));
        assert_eq!(bench.kept.pin().as_deref(), Some("one"));
        assert_eq!(bench.cloud.calls(), ["identity", "create"]);
        bench.create().await.expect("it is made");
        assert_eq!(bench.cloud.calls(), ["create"], "the account is known");
    });
}

#[test]
fn nothing_is_made_where_the_account_cannot_be_noted() {
    block_on(async {
        let full = Kept {
            is_full: true,
            ..Kept::default()
        };
        let bench = bench_with(Some("one"), None, full);
        let error = bench.create().await.expect_err("the disk is full");
        assert_eq!(error.class, ErrorClass::Retryable);
        assert_eq!(bench.cloud.calls(), ["identity"]);
        bench.shows(ResourceState::Running);
        assert_eq!(bench.observe().await.map(|views| views.len()), Ok(1));
    });
}

#[test]
fn many_calls_at_once_ask_once_or_twice() {
    block_on(async {
        let bench = bench(Some("one"), None);
        let mut calls: Vec<_> = (0..50).map(|_| Box::pin(bench.create())).collect();
        // All begin before one ends, as calls of one engine do.
        std::future::poll_fn(|context| {
            calls.retain_mut(|call| call.as_mut().poll(context).is_pending());
            if calls.is_empty() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        let calls = bench.cloud.calls();
        let count = |name: &str| calls.iter().filter(|call| **call == name).count();
        assert_eq!(count("create"), 50);
        assert!(count("identity") <= 2, "{calls:?}");
    });
}

#[test]
fn another_account_is_asked_nothing() {
    block_on(async {
        let bench = bench(Some("two"), Some("one"));
        bench.shows(ResourceState::Running);
        assert_refused(bench.create().await);
        assert_refused(bench.observe().await);
        assert_refused(bench.delete().await);
        assert_refused(bench.provider.release(shop()).await);
        let spec = ProbeSpec::default();
        let resource = ResourceId::new("i-1");
        assert_refused(bench.provider.probe(shop(), resource.clone(), spec).await);
        let reached = bench.provider.reach(shop(), resource, 80).await;
        assert_refused(reached);
        assert_eq!(bench.cloud.calls(), ["identity"]);
        assert_eq!(bench.kept.pin().as_deref(), Some("one"));
    });
}

#[test]
fn a_check_tells_of_another_account_and_of_nothing_else() {
    block_on(async {
        let bench = bench(Some("two"), Some("one"));
        let request = CheckRequest {
            infrastructure: shop(),
            nodes: Vec::new(),
        };
        let problems = bench.provider.check(request.clone()).await.expect("told");
        let [problem] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert_eq!(problem.kind, crate::ProblemKind::Account);
        assert!(!problem.is_warning && problem.message.contains("`two`"));
        let hint = problem.hint.as_deref().unwrap_or_default();
        assert!(hint.contains("`ZENEKAR_ACCEPT_ACCOUNT=two`"), "{hint}");
        assert_eq!(bench.cloud.calls(), ["identity"]);
        // Why it does not answer is for the check to tell.
        for class in [ErrorClass::Auth, ErrorClass::Invalid, ErrorClass::NotFound] {
            bench.cloud.script().identity_fails = Some(class);
            let fresh = Scoped::new(Arc::clone(&bench.cloud) as _, Arc::clone(&bench.kept) as _);
            assert_eq!(fresh.check(request.clone()).await, Ok(Vec::new()));
            assert_eq!(bench.cloud.calls(), ["identity", "check"]);
        }
    });
}

#[test]
fn it_may_begin_again_elsewhere_once_it_is_released() {
    block_on(async {
        let bench = bench(Some("one"), Some("one"));
        assert_eq!(bench.provider.release(shop()).await, Ok(()));
        assert_eq!(bench.kept.pin(), None);
        // What is still listed as gone ties it to nothing.
        bench.shows(ResourceState::Gone);
        assert_eq!(bench.observe().await.map(|views| views.len()), Ok(1));
        assert_eq!(bench.kept.pin(), None);
        bench.cloud.script().pin = Some("two".to_owned());
        bench.create().await.expect("it is made");
        assert_eq!(bench.kept.pin().as_deref(), Some("two"));
    });
}

#[test]
fn an_account_that_is_named_takes_the_place_of_the_other() {
    block_on(async {
        let accepting = |pin: &str| {
            let mut bench = bench(Some("two"), Some("one"));
            bench.provider = Scoped::new(
                Arc::clone(&bench.cloud) as Arc<dyn Provider>,
                Arc::clone(&bench.kept) as Arc<dyn Bindings>,
            )
            .accepting(Some(pin.to_owned()));
            bench
        };
        assert_refused(accepting("three").observe().await);
        let bench = accepting("two");
        assert_eq!(bench.observe().await, Ok(Vec::new()));
        assert_eq!(bench.kept.pin().as_deref(), Some("two"));
    });
}
