//! Origins: drawn once, kept through everything.

use zenekar_store::{ExportMode, Store};

use crate::support::{NOW, holder, id, lease, open, scratch, store_with_demo, tamper};

fn export(store: &Store) -> Vec<u8> {
    let mut lines = Vec::new();
    store
        .export(&id("demo"), ExportMode::Complete, &mut lines)
        .unwrap();
    lines
}

#[test]
fn every_infrastructure_has_one_of_its_own() {
    let (directory, mut store) = store_with_demo();
    store
        .create_infrastructure(&id("other"), "Other", NOW)
        .unwrap();
    let demo = store.origin(&id("demo")).unwrap().unwrap();
    let other = store.origin(&id("other")).unwrap().unwrap();
    assert_ne!(demo, other);
    assert_eq!(store.origin(&id("nobody")).unwrap(), None);
    store
        .create_infrastructure(&id("demo"), "Demo", NOW)
        .unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.origin(&id("demo")).unwrap(), Some(demo.clone()));
    let (_elsewhere, store) = store_with_demo();
    assert_ne!(store.origin(&id("demo")).unwrap(), Some(demo));
}

#[test]
fn an_infrastructure_takes_it_along_to_another_directory() {
    let (_directory, store) = store_with_demo();
    let elsewhere = scratch();
    let mut target = open(elsewhere.path());
    target.import(&mut export(&store).as_slice()).unwrap();
    assert_eq!(
        target.origin(&id("demo")).unwrap(),
        store.origin(&id("demo")).unwrap()
    );
}

#[test]
fn one_that_begins_again_after_a_purge_is_another() {
    let (_directory, mut store) = store_with_demo();
    let before = store.origin(&id("demo")).unwrap();
    let lease = lease(&mut store, "demo");
    store.mark_removed(&lease, NOW).unwrap();
    store.purge(lease).unwrap();
    assert_eq!(store.origin(&id("demo")).unwrap(), None);
    store
        .create_infrastructure(&id("demo"), "Demo", NOW)
        .unwrap();
    assert_ne!(store.origin(&id("demo")).unwrap(), before);
}

#[test]
fn one_damaged_copy_costs_nothing() {
    for damage in [
        "UPDATE origins SET origin = '000000000000' WHERE copy = 1",
        "UPDATE origins SET checksum = zeroblob(16) WHERE copy = 2",
        "DELETE FROM origins WHERE copy = 1",
    ] {
        let (directory, store) = store_with_demo();
        let origin = store.origin(&id("demo")).unwrap();
        drop(store);
        tamper(directory.path(), damage);
        let mut store = open(directory.path());
        assert_eq!(store.origin(&id("demo")).unwrap(), origin);
        assert_eq!(
            store.check().unwrap().infrastructures[0].problems,
            ["one of the two copies of its origin has changed"]
        );
        let repaired = store.repair(&holder(9), NOW, &|_| false).unwrap();
        assert!(!repaired.losses[0].is_state_affected);
        assert!(store.check().unwrap().is_intact());
        assert_eq!(store.origin(&id("demo")).unwrap(), origin);
    }
}

#[test]
fn a_lost_one_is_reported_and_drawn_again_only_by_a_repair() {
    let (directory, store) = store_with_demo();
    let origin = store.origin(&id("demo")).unwrap();
    drop(store);
    tamper(directory.path(), "DELETE FROM origins");
    let mut store = open(directory.path());
    let error = store.origin(&id("demo")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the origin of infrastructure `demo` has changed"),
        "{error}"
    );
    assert!(!store.check().unwrap().is_intact());
    let repaired = store.repair(&holder(9), NOW, &|_| false).unwrap();
    assert!(repaired.losses[0].is_state_affected);
    let drawn = store.origin(&id("demo")).unwrap();
    assert!(drawn.is_some() && drawn != origin);
}
