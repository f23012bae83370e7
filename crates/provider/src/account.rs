//! Keeping to the account that an infrastructure has its things in.
//!
//! Credentials of another account show nothing of ours, and what is not shown
//! counts as gone. So the account is noted before the first thing is made in
//! it, and whoever else answers is asked nothing and believed nothing.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use zenekar_base::{Account, ErrorClass, InfrastructureId, Origin, ProviderError};

use crate::{Identity, Problem, ProblemKind, Provider};

/// How long an answer to "who are we" counts. Credentials are replaced while a
/// process runs (files of profiles are read again when they expire), and a
/// call a minute is little beside a list every few seconds.
pub(crate) const IDENTITY_AGE_MAX: Duration = Duration::from_mins(1);

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

/// Finds out which account answers, once for all that want to know.
#[derive(Default)]
pub(crate) struct Answering {
    seen: Mutex<Option<Seen>>,
}

impl Answering {
    /// Returns the account that answered lately; `None` if the cloud does not tell.
    pub(crate) async fn lately(
        &self,
        provider: &dyn Provider,
    ) -> Result<Option<Account>, ProviderError> {
        self.find(provider, |asked_at| asked_at.elapsed() <= IDENTITY_AGE_MAX)
            .await
    }

    /// Returns the account that answers from an instant on.
    pub(crate) async fn since(
        &self,
        provider: &dyn Provider,
        instant: Instant,
    ) -> Result<Option<Account>, ProviderError> {
        self.find(provider, |asked_at| asked_at >= instant).await
    }

    async fn find(
        &self,
        provider: &dyn Provider,
        is_fresh: impl Fn(Instant) -> bool,
    ) -> Result<Option<Account>, ProviderError> {
        // Those who come meanwhile wait here, and take the answer.
        let mut seen = self.seen.lock().await;
        if let Some(seen) = seen.as_ref().filter(|seen| is_fresh(seen.asked_at)) {
            return Ok(seen.account.clone());
        }
        let asked_at = Instant::now();
        let account = match provider.identity().await {
            Ok(identity) => identity.to_account(),
            // It cannot say who it is.
            Err(error) if error.class == ErrorClass::Invalid => None,
            Err(error) => return Err(without_effect(error)),
        };
        *seen = Some(Seen {
            account: account.clone(),
            asked_at,
        });
        Ok(account)
    }
}

/// Says that a call whose question for the account failed was not made: it can be repeated.
fn without_effect(error: ProviderError) -> ProviderError {
    let class = match error.class {
        ErrorClass::Auth | ErrorClass::Throttled => error.class,
        _ => ErrorClass::Retryable,
    };
    ProviderError {
        class,
        message: format!("cannot tell which account it is: {}", error.message),
        ..error
    }
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
    ProviderError::new(
        ErrorClass::Auth,
        refusal_text(infrastructure, bound, answering),
    )
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
        "infrastructure `{infrastructure}` has its things in account {bound}, but {who}: nothing is done there; use the credentials, project or engine of account `{}`",
        bound.pin
    )
}

/// Tells the same before anything is created.
pub(crate) fn problem(
    infrastructure: &InfrastructureId,
    bound: &Account,
    answering: Option<&Account>,
) -> Problem {
    Problem {
        kind: ProblemKind::Account,
        nodes: Vec::new(),
        key: None,
        message: refusal_text(infrastructure, bound, answering),
        hint: Some(format!(
            "to move, take it down first: `zenekar down {infrastructure}` with what leads to account `{}`",
            bound.pin
        )),
        is_warning: false,
    }
}
