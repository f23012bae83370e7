//! One suite that every provider has to pass.
//!
//! It uses a provider as the engine does: failures that pass are repeated with
//! the same token, absence is believed only after the settling time, and an
//! instance that breaks is replaced. So it also runs against clouds that fail
//! on purpose. It leaves nothing behind when it succeeds.
//!
//! | module | what it checks |
//! | --- | --- |
//! | `life` | one instance: made once, healthy, contextualised, deleted for good |
//! | `lists` | what is shown, and to whom |
//! | `calls` | calls that are given up, made twice at once, or fail on purpose |
//! | `account` | limits, what is ours in an account, what is left besides instances |

mod account;
mod calls;
mod life;
mod lists;
mod suite;

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use zenekar_base::{InfrastructureId, Millis, ProbeSpec};
use zenekar_model::Rendered;

use crate::Provider;
use suite::Suite;

/// Lets the provider's time pass: real time for real providers.
pub trait Pause: Sync {
    /// Waits for `span`.
    fn pause(&self, span: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What the suite needs to know.
pub struct Setup<'a> {
    /// The provider under test.
    pub provider: &'a dyn Provider,
    /// Its time.
    pub pause: &'a dyn Pause,
    /// An infrastructure that nothing has used before.
    pub infrastructure: InfrastructureId,
    /// Another one.
    pub foreign: InfrastructureId,
    /// What instances are created from.
    pub rendered: Rendered,
    /// What has to hold for an instance to be healthy.
    pub probe: ProbeSpec,
    /// How often to look while waiting.
    pub poll: Millis,
    /// How long an instance may take to be running and healthy, or to be gone.
    pub ready_max: Millis,
}

/// What some environments can do besides; checks without it are skipped.
#[derive(Default)]
pub struct Extras<'a> {
    /// What no instance can ever be created from: an image or a size that does
    /// not exist, say.
    pub impossible: Option<Rendered>,
    /// Makes the cloud fail on purpose.
    pub provoke: Option<&'a dyn Provoke>,
}

/// A way in which a cloud fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The call has its effect, and its answer is lost.
    TimeoutAfterEffect,
    /// The call is lost on its way.
    TimeoutWithoutEffect,
    /// The cloud fails with an error of its own.
    ServerError,
    /// Nothing listens where the cloud should be.
    Unreachable,
    /// The cloud asks for a pause.
    Throttled,
    /// There is no such machine free.
    Capacity,
    /// A limit of the account is reached.
    Quota,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 7] = [
        Self::TimeoutAfterEffect,
        Self::TimeoutWithoutEffect,
        Self::ServerError,
        Self::Unreachable,
        Self::Throttled,
        Self::Capacity,
        Self::Quota,
    ];
}

/// An environment that fails on purpose.
pub trait Provoke: Sync {
    /// Lets create calls fail like this from now on, or the next one at least;
    /// false if that is not possible here.
    fn provoke(&self, fault: Fault) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;

    /// Ends all faults.
    fn relent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A rule that a provider broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The check.
    pub check: &'static str,
    /// What should have been, and what was.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.check, self.message)
    }
}

impl std::error::Error for Failure {}

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Checks that passed.
    pub passed: Vec<&'static str>,
    /// Checks that the capabilities excuse, or that need what is not there.
    pub skipped: Vec<&'static str>,
}

type Check<'a> = (
    &'static str,
    Pin<Box<dyn Future<Output = Result<bool, String>> + 'a>>,
);

/// Runs all checks in order, and stops at the first broken rule.
pub async fn run(setup: &Setup<'_>) -> Result<Report, Failure> {
    run_with(setup, &Extras::default()).await
}

/// Runs all checks in order, those of the extras too, and stops at the first broken rule.
pub async fn run_with(setup: &Setup<'_>, extras: &Extras<'_>) -> Result<Report, Failure> {
    let suite = Suite { setup, extras };
    let mut report = Report::default();
    let checks = checks_of_instances(&suite)
        .into_iter()
        .chain(checks_of_accounts(&suite));
    for (name, check) in checks {
        match check.await {
            Ok(true) => report.passed.push(name),
            Ok(false) => report.skipped.push(name),
            Err(message) => {
                return Err(Failure {
                    check: name,
                    message,
                });
            }
        }
    }
    Ok(report)
}

fn checks_of_instances<'a>(suite: &'a Suite<'_>) -> [Check<'a>; 11] {
    [
        (
            "capabilities make sense",
            Box::pin(ready(suite.capabilities())),
        ),
        (
            "a create call returns its instance, and so does its repetition",
            Box::pin(suite.create_is_idempotent()),
        ),
        (
            "a token with other parameters does not create",
            Box::pin(suite.token_conflict()),
        ),
        (
            "lists and batches show what was created",
            Box::pin(suite.lists_and_batches()),
        ),
        (
            "what does not exist is left out",
            Box::pin(suite.unknown_is_left_out()),
        ),
        (
            "another infrastructure is invisible and untouchable",
            Box::pin(suite.foreign_is_invisible()),
        ),
        (
            "an instance gets an address and healthy",
            Box::pin(suite.gets_healthy()),
        ),
        (
            "a probe of nothing is not found",
            Box::pin(suite.probe_of_nothing()),
        ),
        (
            "a contextualisation in place counts once",
            Box::pin(suite.recontextualise()),
        ),
        (
            "deleting can be repeated, and ends",
            Box::pin(suite.delete_ends()),
        ),
        (
            "the token of a deleted instance creates nothing",
            Box::pin(suite.token_after_delete()),
        ),
    ]
}

fn checks_of_accounts<'a>(suite: &'a Suite<'_>) -> [Check<'a>; 9] {
    [
        (
            "a create call that is given up makes one instance at most",
            Box::pin(suite.given_up()),
        ),
        (
            "two create calls at once make one instance",
            Box::pin(suite.together()),
        ),
        (
            "a call that fails has the effect and the class that it should",
            Box::pin(suite.faults()),
        ),
        (
            "too much user-data is refused",
            Box::pin(suite.user_data_limit()),
        ),
        (
            "what is impossible is refused",
            Box::pin(suite.impossible()),
        ),
        ("the account has a name", Box::pin(suite.identity())),
        (
            "what is ours is listed and can be deleted",
            Box::pin(suite.owned()),
        ),
        (
            "a release breaks nothing, takes the rest, and can be repeated",
            Box::pin(suite.release()),
        ),
        ("nothing is left", Box::pin(suite.nothing_is_left())),
    ]
}
