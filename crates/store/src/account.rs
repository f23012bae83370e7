//! The accounts that infrastructures have things in, by provider.
//!
//! Whoever asks another account sees nothing there, and would take everything
//! for gone. So what was seen or made in an account is asked of that one only,
//! and which one it is is stored twice, each copy with a checksum of its own.

use std::collections::BTreeMap;

use zenekar_base::{Account, InfrastructureId};

use crate::error::StoreError;
use crate::infrastructure::{Record, check_text};
use crate::session::Session;
use crate::store::Store;
use crate::twice::{Damage, Twice, numbers};

/// Accounts by the names of providers.
pub(crate) type Accounts = BTreeMap<String, Account>;

/// Where accounts are.
pub(crate) const ACCOUNTS: Twice<Accounts> = Twice {
    domain: "accounts",
    format_since: 3,
    insert:
        "INSERT INTO accounts (infrastructure, copy, accounts, checksum) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (infrastructure, copy) DO UPDATE SET accounts = ?3, checksum = ?4",
    select: "SELECT accounts, checksum FROM accounts WHERE infrastructure = ?1 AND copy = ?2",
    half: "one of the two copies of its accounts has changed",
    full: "its accounts have changed",
    lost: ("the accounts", "have changed"),
    parse: |text| serde_json::from_str(text).ok(),
};

impl Store {
    /// Returns the account at a provider that an infrastructure has things in;
    /// `None` if it has none there that is known.
    pub fn account(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<Option<Account>, StoreError> {
        self.read_with("look up an account", |session| {
            let Some(record) = Record::find(session, infrastructure)? else {
                return Ok(None);
            };
            Ok(read(session, &record)?.remove(provider))
        })
    }

    /// Notes the account at a provider that an infrastructure has things in
    /// from now on, unless one is noted; returns the one that counts.
    pub fn bind_account(
        &mut self,
        infrastructure: &InfrastructureId,
        provider: &str,
        account: &Account,
    ) -> Result<Account, StoreError> {
        check(provider, account)?;
        self.write_with("note an account", |session| {
            let record = Record::get(session, infrastructure)?;
            let mut accounts = read(session, &record)?;
            if let Some(known) = accounts.get(provider) {
                return Ok(known.clone());
            }
            accounts.insert(provider.to_owned(), account.clone());
            write(session, record.number, &accounts)?;
            Ok(account.clone())
        })
    }

    /// Notes that an infrastructure has nothing at a provider any more.
    pub fn unbind_account(
        &mut self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<(), StoreError> {
        self.write_with("forget an account", |session| {
            let record = Record::get(session, infrastructure)?;
            let mut accounts = read(session, &record)?;
            if accounts.remove(provider).is_some() {
                write(session, record.number, &accounts)?;
            }
            Ok(())
        })
    }
}

/// Refuses texts that are too long for a line.
pub(crate) fn check(provider: &str, account: &Account) -> Result<(), StoreError> {
    check_text("the name of a provider", provider)?;
    check_text("the id of an account", &account.pin)?;
    check_text("the name of an account", &account.name)
}

/// Reads all accounts of an infrastructure; none where stores had none yet.
pub(crate) fn read(session: Session<'_>, record: &Record) -> Result<Accounts, StoreError> {
    Ok(ACCOUNTS.read(session, record)?.unwrap_or_default())
}

/// Stores all accounts of an infrastructure.
pub(crate) fn write(
    session: Session<'_>,
    number: i64,
    accounts: &Accounts,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(accounts)
        .map_err(|error| session.corrupt(format!("accounts cannot be written: {error}")))?;
    ACCOUNTS.write(session, number, &text)
}

/// Gives the infrastructures of a store that had no accounts an empty list.
pub(crate) fn fill(session: Session<'_>) -> Result<(), StoreError> {
    for number in numbers(session)? {
        write(session, number, &Accounts::new())?;
    }
    Ok(())
}

/// Makes both copies the same again: that of the intact one, or else an empty list.
pub(crate) fn repair(session: Session<'_>, record: &Record) -> Result<Option<Damage>, StoreError> {
    let Some(damage) = ACCOUNTS.damage(session, record)? else {
        return Ok(None);
    };
    let kept = match damage {
        Damage::Half => read(session, record)?,
        Damage::Full => Accounts::new(),
    };
    write(session, record.number, &kept)?;
    Ok(Some(damage))
}
