//! Accounts: noted once, kept through everything until they are given up.

use zenekar_base::Account;
use zenekar_store::{ExportMode, Store, StoreError, StoreOptions};

use crate::support::{NOW, holder, id, lease, open, scratch, store_with_demo, tamper};

fn account(pin: &str) -> Account {
    Account {
        pin: pin.to_owned(),
        name: format!("name of {pin}"),
    }
}

fn of_demo(store: &Store, provider: &str) -> Option<Account> {
    store.account(&id("demo"), provider).unwrap()
}

#[test]
fn the_first_one_counts_until_it_is_given_up() {
    let (directory, mut store) = store_with_demo();
    assert_eq!(of_demo(&store, "ec2"), None);
    let mut bind = |provider: &str, pin: &str| {
        store
            .bind_account(&id("demo"), provider, &account(pin))
            .unwrap()
    };
    assert_eq!(bind("ec2", "1"), account("1"));
    assert_eq!(bind("ec2", "2"), account("1"));
    assert_eq!(bind("docker", "2"), account("2"));
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(of_demo(&store, "ec2"), Some(account("1")));
    store.unbind_account(&id("demo"), "ec2").unwrap();
    store.unbind_account(&id("demo"), "ec2").unwrap();
    assert_eq!(of_demo(&store, "ec2"), None);
    assert_eq!(of_demo(&store, "docker"), Some(account("2")));
    assert!(store.check().unwrap().is_intact());
}

#[test]
fn what_cannot_be_noted_is_an_error() {
    let (directory, mut store) = store_with_demo();
    assert_eq!(store.account(&id("nobody"), "ec2").unwrap(), None);
    let error = store
        .bind_account(&id("nobody"), "ec2", &account("1"))
        .unwrap_err();
    assert!(
        matches!(error, StoreError::UnknownInfrastructure { .. }),
        "{error}"
    );
    let long = account(&"1".repeat(2_000));
    let error = store.bind_account(&id("demo"), "ec2", &long).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    let mut reader = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    let error = reader
        .bind_account(&id("demo"), "ec2", &account("1"))
        .unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert_eq!(of_demo(&reader, "ec2"), None);
}

#[test]
fn they_are_exported_and_imported_and_purged() {
    let (_directory, mut store) = store_with_demo();
    store
        .bind_account(&id("demo"), "ec2", &account("1"))
        .unwrap();
    let mut lines = Vec::new();
    store
        .export(&id("demo"), ExportMode::Complete, &mut lines)
        .unwrap();
    let elsewhere = scratch();
    let mut target = open(elsewhere.path());
    target.import(&mut lines.as_slice()).unwrap();
    assert_eq!(of_demo(&target, "ec2"), Some(account("1")));
    let lease = lease(&mut target, "demo");
    target.mark_removed(&lease, NOW).unwrap();
    target.purge(lease).unwrap();
    target
        .create_infrastructure(&id("demo"), "Demo", NOW)
        .unwrap();
    assert_eq!(of_demo(&target, "ec2"), None);
}

#[test]
fn one_damaged_copy_costs_nothing() {
    for damage in [
        "UPDATE accounts SET accounts = '{}' WHERE copy = 1",
        "UPDATE accounts SET checksum = zeroblob(16) WHERE copy = 2",
        "DELETE FROM accounts WHERE copy = 1",
    ] {
        let (directory, mut store) = store_with_demo();
        store
            .bind_account(&id("demo"), "ec2", &account("1"))
            .unwrap();
        drop(store);
        tamper(directory.path(), damage);
        let mut store = open(directory.path());
        assert_eq!(of_demo(&store, "ec2"), Some(account("1")));
        assert_eq!(
            store.check().unwrap().infrastructures[0].problems,
            ["one of the two copies of its accounts has changed"]
        );
        let repaired = store.repair(&holder(9), NOW, &|_| false).unwrap();
        assert!(!repaired.losses[0].is_state_affected);
        assert!(store.check().unwrap().is_intact());
        assert_eq!(of_demo(&store, "ec2"), Some(account("1")));
    }
}

#[test]
fn lost_ones_are_reported_and_given_up_only_by_a_repair() {
    let (directory, mut store) = store_with_demo();
    store
        .bind_account(&id("demo"), "ec2", &account("1"))
        .unwrap();
    drop(store);
    tamper(directory.path(), "DELETE FROM accounts");
    let mut store = open(directory.path());
    let error = store.account(&id("demo"), "ec2").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the accounts of infrastructure `demo` have changed"),
        "{error}"
    );
    assert!(!store.check().unwrap().is_intact());
    let mut lines = Vec::new();
    let salvaged = store
        .export(&id("demo"), ExportMode::Salvage, &mut lines)
        .unwrap();
    assert!(
        salvaged.problems[0].contains("no longer known"),
        "{salvaged:?}"
    );
    let repaired = store.repair(&holder(9), NOW, &|_| false).unwrap();
    assert!(repaired.losses[0].is_state_affected);
    assert_eq!(of_demo(&store, "ec2"), None);
}
