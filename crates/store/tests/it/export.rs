//! Exports and imports.

use zenekar_base::{InfrastructureId, Random};
use zenekar_store::{ExportMode, Store, StoreError};

use crate::support::{
    NOW, dump, entry, id, lease, open, rich_store, scratch, store_with_demo, tamper,
};

fn export(store: &Store, infrastructure: &str) -> Vec<u8> {
    let mut output = Vec::new();
    store
        .export(&id(infrastructure), ExportMode::Complete, &mut output)
        .unwrap();
    output
}

#[test]
fn an_import_restores_all_but_the_lease() {
    let directory = rich_store();
    let store = open(directory.path());
    let original = dump(&store).unwrap();
    let target = scratch();
    let mut fresh = open(target.path());
    for name in ["alpha", "beta"] {
        let imported = fresh.import(&mut export(&store, name).as_slice()).unwrap();
        assert_eq!(
            (
                imported.entries,
                imported.snapshots,
                imported.requests,
                imported.problems.len()
            ),
            (120, 2, 3, 0)
        );
        assert_eq!(
            export(&fresh, name),
            export(&store, name),
            "exports of equal state are equal"
        );
    }
    let mut copy = dump(&fresh).unwrap();
    for (part, original) in copy.parts.iter_mut().zip(&original.parts) {
        assert_eq!(part.holder, None);
        part.holder.clone_from(&original.holder);
    }
    assert_eq!(copy, original);
    assert!(fresh.check().unwrap().is_intact());
    let again = fresh.import(&mut export(&store, "beta").as_slice());
    assert!(
        matches!(again, Err(StoreError::AlreadyExists { .. })),
        "nothing is overwritten"
    );
}

#[test]
fn bytes_that_are_not_text_survive() {
    let (_directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    let all: Vec<u8> = (0..=255).collect();
    store
        .append(
            &demo,
            &[
                entry(1, &all),
                entry(2, "\u{feff}\r\n\"\\\u{0}é".as_bytes()),
            ],
        )
        .unwrap();
    let target = scratch();
    let mut fresh = open(target.path());
    fresh
        .import(&mut export(&store, "demo").as_slice())
        .unwrap();
    assert_eq!(
        fresh.load(&id("demo")).unwrap(),
        store.load(&id("demo")).unwrap()
    );
}

#[test]
fn a_compacted_journal_keeps_its_place() {
    let directory = rich_store();
    let mut store = open(directory.path());
    let alpha = lease(&mut store, "alpha");
    store.compact(&alpha, 0).unwrap();
    let target = scratch();
    let mut fresh = open(target.path());
    fresh
        .import(&mut export(&store, "alpha").as_slice())
        .unwrap();
    assert_eq!(
        fresh.load(&id("alpha")).unwrap(),
        store.load(&id("alpha")).unwrap()
    );
    assert_eq!(fresh.list_infrastructures().unwrap()[0].first_sequence, 61);
}

#[test]
fn a_changed_or_cut_file_is_refused_and_leaves_nothing_behind() {
    let directory = rich_store();
    let output = export(&open(directory.path()), "alpha");
    let target = scratch();
    let mut fresh = open(target.path());
    let mut random = Random::from_seed(13);
    for case in 0..200 {
        let mut damaged = output.clone();
        let position = usize::try_from(random.below(output.len() as u64)).unwrap();
        if case % 2 == 0 {
            damaged[position] ^= 1 << random.below(8);
        } else {
            damaged.truncate(position);
        }
        let result = fresh.import(&mut damaged.as_slice());
        let error = result.expect_err("a damaged file was accepted");
        let is_explained = matches!(
            error,
            StoreError::ImportMalformed { .. } | StoreError::TooLarge { .. }
        );
        assert!(is_explained, "case {case}: {error:?}");
    }
    assert_eq!(fresh.list_infrastructures().unwrap(), []);
    let longer = [output.as_slice(), b"more\n"].concat();
    let error = fresh.import(&mut longer.as_slice()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot import: line 128: there is more after the last line"
    );
    assert!(
        fresh.import(&mut output.as_slice()).is_ok(),
        "the original is fine"
    );
}

#[test]
fn lines_describe_themselves() {
    let (_directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    store.append(&demo, &[entry(1, b"{\"a\":1}")]).unwrap();
    let text = String::from_utf8(export(&store, "demo")).unwrap();
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["line"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, ["header", "entry", "end"]);
    assert!(text.starts_with(r#"{"line":"header","format":"zenekar-state","version":2,"infrastructure":"demo","name":"Demo""#), "{text}");
    let future = text.replacen("\"version\":2", "\"version\":4", 1);
    let target = scratch();
    let error = open(target.path())
        .import(&mut future.as_bytes())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot import: line 1: it has format `zenekar-state` 4, but this version reads `zenekar-state` 1 to 3"
    );
}

#[test]
fn a_salvage_takes_what_is_intact_and_says_what_is_not() {
    let directory = rich_store();
    tamper(
        directory.path(),
        "UPDATE journal SET kind = 'x' WHERE infrastructure = 1 AND sequence IN (80, 105);
         UPDATE requests SET kind = 'x' WHERE infrastructure = 1 AND number = 2",
    );
    let store = open(directory.path());
    let mut output = Vec::new();
    assert!(matches!(
        store.export(&id("alpha"), ExportMode::Complete, &mut output),
        Err(StoreError::Corrupt { .. })
    ));
    output.clear();
    let exported = store
        .export(&id("alpha"), ExportMode::Salvage, &mut output)
        .unwrap();
    assert_eq!(
        exported.problems,
        [
            "entries 80 to 100: its checksum does not fit its content or its predecessor; a snapshot covers them",
            "entry 105 of infrastructure `alpha`: its checksum does not fit its content or its predecessor",
            "request 2: its checksum does not fit its content",
        ]
    );
    let target = scratch();
    let mut fresh = open(target.path());
    let imported = fresh.import(&mut output.as_slice()).unwrap();
    assert_eq!(
        (imported.entries, imported.requests, imported.snapshots),
        (83, 2, 2)
    );
    assert_eq!(
        imported.problems, exported.problems,
        "the losses travel with the file"
    );
    let pending = fresh.pending_requests(&id("alpha"), 0).unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|request| (request.number, request.id.as_str()))
            .collect::<Vec<_>>(),
        [(3, "scale-3")],
        "requests keep their places"
    );
    assert_eq!(fresh.load(&id("alpha")).unwrap().last_sequence, 104);
    assert!(fresh.check().unwrap().is_intact());
}

#[test]
fn a_full_output_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_directory, mut store) = store_with_demo();
    store
        .create_infrastructure(&InfrastructureId::new("other"), "Other", NOW)
        .unwrap();
    let result = store.export(&id("demo"), ExportMode::Salvage, &mut Full);
    assert!(matches!(result, Err(StoreError::Stream { .. })));
}
