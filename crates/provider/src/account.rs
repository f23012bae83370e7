//! Keeping to the account that an infrastructure is tied to.
//!
//! Credentials of another account show nothing of ours, and what is not shown
//! counts as gone. So the account is noted before the first thing is made in
//! it, and whoever else answers is asked nothing and believed nothing.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;
use zenekar_base::{Account, ErrorClass, InfrastructureId, Origin, ProviderError};

use crate::{Identity, Problem, ProblemKind, Provider};

/// How long an answer to "who are we" counts. Credentials are replaced while a
/// process runs (files of profiles are read again when they expire), and a
/// call a minute is little beside a list every few seconds.
pub(crate) const IDENTITY_AGE_MAX: Duration = Duration::from_mins(1);

/// How long a look waits to hear whom it is shown what it is shown: it is as
/// true without, and engines give up looks after a minute.
pub(crate) const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// What an infrastructure is tied to at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What its things are marked with.
    pub origin: Origin,
    /// The account that they are in; `None` while nothing was seen or made there,
    /// or where the cloud does not tell.
    pub account: Option<Account>,
}

/// Knows what infrastructures are tied to.
pub trait Bindings: Send + Sync {
    /// Returns what an infrastructure is tied to at a provider; `None` if it was never brought up here.
    fn binding(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<Option<Binding>, ProviderError>;

    /// Notes durably which account it has its things in, unless one is noted;
    /// returns the one that counts.
    fn bind(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
        account: &Account,
    ) -> Result<Account, ProviderError>;

    /// Notes that it has nothing there any more.
    fn unbind(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<(), ProviderError>;
}

/// Who answered, and when that was asked.
struct Seen {
    account: Option<Account>,
    asked_at: Instant,
}

impl Seen {
    fn is_young(&self) -> bool {
        self.asked_at.elapsed() <= IDENTITY_AGE_MAX
    }
}

/// Finds out which account answers, once for all that want to know.
#[derive(Default)]
pub(crate) struct Answering {
    seen: Mutex<Option<Seen>>,
    /// When a look was not told.
    look_failed_at: std::sync::Mutex<Option<Instant>>,
}

impl Answering {
    /// Returns the account that answered lately; `None` if the cloud does not tell.
    pub(crate) async fn lately(
        &self,
        provider: &dyn Provider,
    ) -> Result<Option<Account>, ProviderError> {
        self.find(provider, Seen::is_young).await
    }

    /// Returns the account that answers from an instant on.
    pub(crate) async fn since(
        &self,
        provider: &dyn Provider,
        instant: Instant,
    ) -> Result<Option<Account>, ProviderError> {
        self.find(provider, |seen| seen.asked_at >= instant).await
    }

    /// Returns the account that answers now, for something to be tied to. A
    /// cloud that did not tell lately is not asked again: there is nothing to tie to.
    pub(crate) async fn to_bind(
        &self,
        provider: &dyn Provider,
    ) -> Result<Option<Account>, ProviderError> {
        let now = Instant::now();
        let counts =
            |seen: &Seen| seen.asked_at >= now || (seen.account.is_none() && seen.is_young());
        self.find(provider, counts).await
    }

    /// Returns the account that answers from an instant on, or that answered
    /// lately, if a look can know it without waiting for long. Where that
    /// failed, looks do without for a while.
    pub(crate) async fn of_look(
        &self,
        provider: &dyn Provider,
        since: Option<Instant>,
        patience: Duration,
    ) -> Option<Account> {
        let failed_at = *self.look_failed_at();
        if failed_at.is_some_and(|at| at.elapsed() <= IDENTITY_AGE_MAX) {
            return None;
        }
        let told = match since {
            Some(instant) => timeout(patience, self.since(provider, instant)).await,
            None => timeout(patience, self.lately(provider)).await,
        };
        if let Ok(Ok(account)) = told {
            return account;
        }
        *self.look_failed_at() = Some(Instant::now());
        None
    }

    fn look_failed_at(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.look_failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(
        &self,
        provider: &dyn Provider,
        counts: impl Fn(&Seen) -> bool,
    ) -> Result<Option<Account>, ProviderError> {
        // Those who come meanwhile wait here, and take the answer.
        let mut seen = self.seen.lock().await;
        if let Some(seen) = seen.as_ref().filter(|seen| counts(seen)) {
            return Ok(seen.account.clone());
        }
        let asked_at = Instant::now();
        let identity = provider.identity().await.map_err(without_effect)?;
        let account = identity.to_account();
        *seen = Some(Seen {
            account: account.clone(),
            asked_at,
        });
        Ok(account)
    }
}

/// Says why the account is not known, and that the call that needed to know it
/// was not made: nothing is gone, and nothing may have been made.
fn without_effect(error: ProviderError) -> ProviderError {
    let class = match error.class {
        ErrorClass::Auth | ErrorClass::Throttled | ErrorClass::Invalid => error.class,
        _ => ErrorClass::Retryable,
    };
    ProviderError { class, ..error }
}

impl Identity {
    /// Returns the account as it is remembered; `None` if nothing of it is sure to stay.
    pub fn to_account(&self) -> Option<Account> {
        let pin = self.pin.clone().filter(|pin| !pin.is_empty())?;
        Some(Account {
            pin,
            name: self.account.clone(),
        })
    }
}

/// Says that it is not the account that has the infrastructure's things.
pub(crate) fn refusal(
    infrastructure: &InfrastructureId,
    bound: &Account,
    answering: Option<&Account>,
) -> ProviderError {
    let mut text = refusal_text(infrastructure, bound, answering);
    if let Some(answering) = answering {
        text.push_str("; ");
        text.push_str(&way_out(answering));
    }
    ProviderError::new(ErrorClass::Auth, text)
}

fn refusal_text(
    infrastructure: &InfrastructureId,
    bound: &Account,
    answering: Option<&Account>,
) -> String {
    let who = answering.map_or_else(
        || "the cloud no longer says which account answers".to_owned(),
        |account| format!("it is account {account} that answers"),
    );
    format!(
        "infrastructure `{infrastructure}` is tied to account {bound}, but {who}: nothing is done there; use the credentials, project or engine of account `{}`",
        bound.pin
    )
}

/// Names what helps where the account was never the right one, or is gone.
fn way_out(answering: &Account) -> String {
    format!(
        "or, if nothing of it is there, set `ZENEKAR_ACCEPT_ACCOUNT={}`",
        answering.pin
    )
}

/// Tells the same before anything is created.
pub(crate) fn problem(
    infrastructure: &InfrastructureId,
    bound: &Account,
    answering: Option<&Account>,
) -> Problem {
    let mut hint = format!(
        "to move, take it down first: `zenekar down {infrastructure}` with what leads to account `{}`",
        bound.pin
    );
    if let Some(answering) = answering {
        hint.push_str("; ");
        hint.push_str(&way_out(answering));
    }
    Problem {
        kind: ProblemKind::Account,
        nodes: Vec::new(),
        key: None,
        message: refusal_text(infrastructure, bound, answering),
        hint: Some(hint),
        is_warning: false,
    }
}
