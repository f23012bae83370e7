//! The suite that every provider has to pass.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use zenekar_base::{
    Account, Capabilities, ErrorClass, InfrastructureId, Millis, Origin, ProbeResult, ProbeSpec,
    ProviderError, ResourceId, ResourceView, Token, Value,
};

use zenekar_model::Rendered;
use zenekar_provider::conformance::{Extras, Failure, Fault, Provoke, Report, Setup, run_with};
use zenekar_provider::{
    Binding, Bindings, Call, CreateRequest, Deleted, Identity, ObserveScope, Owned, Provider,
    RecontextualiseRequest, Scoped,
};
use zenekar_provider_sim::{SimClock, SimProvider};
use zenekar_simcloud::{Intervention, Rates, Settings};

use crate::support::{JumpClock, block_on, open, rendered, write_settings};

fn check(settings: &Settings) -> Report {
    check_with(settings, None).unwrap_or_else(|failure| panic!("seed {}: {failure}", settings.seed))
}

fn check_with(settings: &Settings, defect: Option<Defect>) -> Result<Report, Failure> {
    let directory = tempfile::tempdir().expect("a directory");
    write_settings(directory.path(), settings);
    let clock = JumpClock::at(1_000);
    let provider = open(directory.path(), &clock);
    let defective = Defective {
        provider: &provider,
        defect,
        calls: AtomicU32::new(0),
    };
    let setup = setup(&defective, &clock);
    let faults = Faults {
        provider: &provider,
        clock: &clock,
        settings,
    };
    let impossible = Value::Map(vec![("cores".to_owned(), "many".into())]);
    let extras = Extras {
        impossible: Some(Rendered {
            resource: impossible,
            ..rendered()
        }),
        provoke: Some(&faults),
    };
    let report = block_on(run_with(&setup, &extras))?;
    let left = provider
        .with_files(|files| files.overview(clock.now()))
        .expect("readable");
    assert_eq!(
        (left.resources, left.networks),
        (Vec::new(), Vec::new()),
        "seed {}: the suite cleans up",
        settings.seed
    );
    Ok(report)
}

fn setup<'a>(provider: &'a dyn Provider, clock: &'a JumpClock) -> Setup<'a> {
    Setup {
        provider,
        pause: clock,
        infrastructure: InfrastructureId::new("conformance"),
        foreign: InfrastructureId::new("foreign"),
        rendered: rendered(),
        probe: ProbeSpec {
            ping: true,
            ..ProbeSpec::default()
        },
        poll: Millis::from_secs(2),
        ready_max: Millis::from_secs(300),
    }
}

/// Faults of the simulated cloud itself.
struct Faults<'a> {
    provider: &'a SimProvider,
    clock: &'a JumpClock,
    settings: &'a Settings,
}

impl Faults<'_> {
    fn set(&self, settings: Settings) {
        let change = Intervention::SetSettings(Box::new(settings));
        self.provider
            .with_files(|files| files.intervene(self.clock.now(), change))
            .expect("settings are taken");
    }
}

impl Provoke for Faults<'_> {
    fn provoke(&self, fault: Fault) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        let mut settings = Settings {
            rates: Rates::default(),
            ..self.settings.clone()
        };
        let rates = &mut settings.rates;
        match fault {
            Fault::TimeoutAfterEffect => rates.timeout_after_effect = ALWAYS,
            Fault::TimeoutWithoutEffect => rates.timeout_without_effect = ALWAYS,
            Fault::ServerError => rates.server_error = ALWAYS,
            Fault::Throttled => rates.throttled = ALWAYS,
            Fault::Capacity => rates.capacity = ALWAYS,
            Fault::Quota => settings.quota.instances = Some(0),
            Fault::Unreachable => return Box::pin(ready(false)),
        }
        self.set(settings);
        Box::pin(ready(true))
    }

    fn relent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.set(self.settings.clone());
        Box::pin(ready(()))
    }
}

/// A way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    IgnoresTokens,
    IgnoresParameters,
    ListsNothing,
    ListsForeign,
    DeletesForeign,
    InventsUnknown,
    NeverHealthy,
    ProbesNothing,
    IgnoresRevisions,
    DeletesNothing,
    RefusesRepeatedDelete,
    ForgetsNetworks,
    ReleasesInstances,
    HidesWhatIsOurs,
    DeletesWhatIsNotOurs,
    CallsFailuresPassing,
    IgnoresImpossible,
}

/// A provider with a defect; without one it passes everything on.
struct Defective<'a> {
    provider: &'a SimProvider,
    defect: Option<Defect>,
    calls: AtomicU32,
}

impl Defective<'_> {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }
}

fn own() -> InfrastructureId {
    InfrastructureId::new("conformance")
}

impl Provider for Defective<'_> {
    fn name(&self) -> &str {
        self.provider.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    fn create(&self, mut request: CreateRequest) -> Call<'_, ResourceView> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.has(Defect::IgnoresTokens) {
            request.token = Token::new(format!("{call}"));
        }
        if self.has(Defect::IgnoresParameters) {
            request.rendered = rendered();
        }
        if self.has(Defect::IgnoresImpossible) && request.rendered.resource != rendered().resource {
            request.rendered = rendered();
        }
        Box::pin(async move {
            let answer = self.provider.create(request).await;
            answer.map_err(|error| ProviderError {
                class: if self.has(Defect::CallsFailuresPassing) {
                    match error.class {
                        ErrorClass::Unknown => ErrorClass::Retryable,
                        class => class,
                    }
                } else {
                    error.class
                },
                ..error
            })
        })
    }

    fn identity(&self) -> Call<'_, Identity> {
        self.provider.identity()
    }

    fn owned(&self) -> Call<'_, Vec<Owned>> {
        Box::pin(async move {
            let mut owned = self.provider.owned().await?;
            if self.has(Defect::HidesWhatIsOurs) {
                owned.clear();
            }
            Ok(owned)
        })
    }

    fn delete_owned(&self, mut owned: Owned) -> Call<'_, Deleted> {
        if self.has(Defect::DeletesWhatIsNotOurs) {
            owned.infrastructure = own();
        }
        self.provider.delete_owned(owned)
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        Box::pin(async move {
            if self.has(Defect::ForgetsNetworks) {
                return Ok(());
            }
            if self.has(Defect::ReleasesInstances) {
                let views = self
                    .provider
                    .observe(infrastructure.clone(), ObserveScope::All);
                for view in views.await? {
                    self.provider
                        .delete(infrastructure.clone(), view.resource)
                        .await?;
                }
                return Ok(());
            }
            self.provider.release(infrastructure).await
        })
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        Box::pin(async move {
            let asked = match &scope {
                ObserveScope::All => Vec::new(),
                ObserveScope::Resources(resources) => resources.clone(),
            };
            let whose = if self.has(Defect::ListsForeign) {
                own()
            } else {
                infrastructure
            };
            let mut views = self.provider.observe(whose, scope.clone()).await?;
            if self.has(Defect::ListsNothing) && scope == ObserveScope::All {
                views.clear();
            }
            if self.has(Defect::IgnoresRevisions) {
                for view in &mut views {
                    view.revision = view.revision.min(1);
                }
            }
            if self.has(Defect::InventsUnknown) && views.len() < asked.len() && !views.is_empty() {
                let invented = asked
                    .into_iter()
                    .find(|id| views.iter().all(|view| view.resource != *id));
                views.push(ResourceView {
                    resource: invented.expect("one is missing"),
                    ..views[0].clone()
                });
            }
            Ok(views)
        })
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        if self.has(Defect::DeletesNothing) {
            return Box::pin(async { Ok(Deleted::Gone) });
        }
        let foreign = infrastructure != own();
        let whose = if self.has(Defect::DeletesForeign) {
            own()
        } else {
            infrastructure
        };
        Box::pin(async move {
            match self.provider.delete(whose, resource).await? {
                Deleted::Gone if self.has(Defect::RefusesRepeatedDelete) => {
                    Err(ProviderError::new(ErrorClass::NotFound, "not found"))
                }
                _ if foreign => Ok(Deleted::Gone),
                deleted => Ok(deleted),
            }
        })
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        self.provider.recontextualise(infrastructure, request)
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(async move {
            match self.provider.probe(infrastructure, resource, spec).await {
                Ok(ProbeResult::Healthy) if self.has(Defect::NeverHealthy) => {
                    Ok(ProbeResult::Unhealthy("no".to_owned()))
                }
                Err(_) if self.has(Defect::ProbesNothing) => {
                    Ok(ProbeResult::Unhealthy("no".to_owned()))
                }
                other => other,
            }
        })
    }
}

/// Of a million.
const ALWAYS: u32 = 1_000_000;

#[test]
fn every_defect_is_found_by_the_check_for_it() {
    let found = [
        (
            Defect::IgnoresTokens,
            "a create call returns its instance, and so does its repetition",
        ),
        (
            Defect::IgnoresParameters,
            "a token with other parameters does not create",
        ),
        (
            Defect::ListsNothing,
            "lists and batches show what was created",
        ),
        (Defect::InventsUnknown, "what does not exist is left out"),
        (
            Defect::ListsForeign,
            "another infrastructure is invisible and untouchable",
        ),
        (
            Defect::DeletesForeign,
            "another infrastructure is invisible and untouchable",
        ),
        (
            Defect::NeverHealthy,
            "an instance gets an address and healthy",
        ),
        (Defect::ProbesNothing, "a probe of nothing is not found"),
        (
            Defect::IgnoresRevisions,
            "a contextualisation in place counts once",
        ),
        (
            Defect::DeletesNothing,
            "a create call returns its instance, and so does its repetition",
        ),
        (
            Defect::RefusesRepeatedDelete,
            "a create call returns its instance, and so does its repetition",
        ),
        (Defect::ForgetsNetworks, "nothing is left"),
        (
            Defect::ReleasesInstances,
            "a release breaks nothing, takes the rest, and can be repeated",
        ),
        (
            Defect::HidesWhatIsOurs,
            "what is ours is listed and can be deleted",
        ),
        (
            Defect::DeletesWhatIsNotOurs,
            "what is ours is listed and can be deleted",
        ),
        (
            Defect::CallsFailuresPassing,
            "a call that fails has the effect and the class that it should",
        ),
        (Defect::IgnoresImpossible, "what is impossible is refused"),
    ];
    for (defect, check) in found {
        let failure =
            check_with(&Settings::calm(), Some(defect)).expect_err(&format!("{defect:?} is found"));
        assert_eq!(failure.check, check, "{defect:?}: {failure}");
    }
}

/// The check that needs a limit, which the simulated cloud does not have.
const NO_LIMIT: &str = "too much user-data is refused";

#[test]
fn a_calm_cloud_conforms() {
    let report = check(&Settings::calm());
    assert_eq!(report.skipped, [NO_LIMIT]);
    assert_eq!(report.passed.len(), 19);
}

/// Origins that follow from the names, at a cloud that has one account only.
struct NamedOrigins;

impl Bindings for NamedOrigins {
    fn binding(
        &self,
        infrastructure: &InfrastructureId,
        _provider: &str,
    ) -> Result<Option<Binding>, ProviderError> {
        let mut bytes = [0; 6];
        for (byte, letter) in bytes.iter_mut().zip(infrastructure.as_str().bytes()) {
            *byte = letter;
        }
        Ok(Some(Binding {
            origin: Origin::from_bytes(bytes),
            account: None,
        }))
    }

    fn bind(
        &self,
        _infrastructure: &InfrastructureId,
        _provider: &str,
        account: &Account,
    ) -> Result<Account, ProviderError> {
        Ok(account.clone())
    }

    fn unbind(
        &self,
        _infrastructure: &InfrastructureId,
        _provider: &str,
    ) -> Result<(), ProviderError> {
        Ok(())
    }
}

#[test]
fn a_shared_cloud_conforms() {
    let directory = tempfile::tempdir().expect("a directory");
    write_settings(directory.path(), &Settings::calm());
    let clock = JumpClock::at(1_000);
    let provider: Arc<dyn Provider> = Arc::new(open(directory.path(), &clock));
    let scoped = Scoped::new(provider, Arc::new(NamedOrigins));
    let setup = setup(&scoped, &clock);
    let report = block_on(run_with(&setup, &Extras::default()));
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.passed.len(), 17, "{report:?}");
}

#[test]
fn a_typical_and_a_hostile_cloud_conform_whatever_the_seed() {
    for seed in 0..20 {
        for settings in [Settings::typical(), Settings::hostile()] {
            let report = check(&Settings { seed, ..settings });
            assert_eq!(report.skipped, [NO_LIMIT]);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let files = |seed: u64| {
        let directory = tempfile::tempdir().expect("a directory");
        write_settings(
            directory.path(),
            &Settings {
                seed,
                ..Settings::hostile()
            },
        );
        let clock = JumpClock::at(0);
        let provider = open(directory.path(), &clock);
        block_on(async {
            for key in 0..50 {
                // Failures are part of what has to be the same.
                let _ = provider.create(crate::support::request(key)).await;
            }
        });
        drop(provider);
        std::fs::read(directory.path().join("inputs-0.jsonl")).expect("the log")
    };
    assert_eq!(files(1), files(1));
    assert_ne!(files(1), files(2));
}
