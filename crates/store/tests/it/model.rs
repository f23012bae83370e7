//! Random sequences of operations against a plain model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zenekar_base::{Millis, RequestId};
use zenekar_store::{Applied, Lease, Store, StoreError};

use crate::support::{NOW, TTL, copy_files, entry, holder, id, open, scratch};

/// What a store should hold of one infrastructure.
#[derive(Clone, Debug, Default)]
struct Model {
    entries: BTreeMap<u64, Vec<u8>>,
    last: u64,
    snapshots: Vec<u64>,
    requests: Vec<(String, Option<String>)>,
    fence: u64,
    /// Leases that were given out, the last one valid unless released.
    leases: Vec<Lease>,
    is_held: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        which: usize,
        payloads: Vec<Vec<u8>>,
    },
    Snapshot {
        which: usize,
        back: u64,
    },
    Compact {
        which: usize,
        kept: u64,
    },
    Take {
        which: usize,
    },
    Release {
        which: usize,
    },
    AppendStale {
        which: usize,
    },
    Submit {
        which: usize,
        request: u8,
    },
    Apply {
        which: usize,
        request: usize,
    },
    Reopen,
    Crash,
    ExportImport {
        which: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..2_usize;
    let payloads = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8);
    let step = prop_oneof![
        6 => (which.clone(), payloads).prop_map(|(which, payloads)| Step::Append { which, payloads }),
        2 => (which.clone(), 0..6_u64).prop_map(|(which, back)| Step::Snapshot { which, back }),
        1 => (which.clone(), 0..12_u64).prop_map(|(which, kept)| Step::Compact { which, kept }),
        2 => which.clone().prop_map(|which| Step::Take { which }),
        1 => which.clone().prop_map(|which| Step::Release { which }),
        1 => which.clone().prop_map(|which| Step::AppendStale { which }),
        2 => (which.clone(), 0..6_u8).prop_map(|(which, request)| Step::Submit { which, request }),
        1 => (which.clone(), 0..6_usize).prop_map(|(which, request)| Step::Apply { which, request }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => which.prop_map(|which| Step::ExportImport { which }),
    ];
    prop::collection::vec(step, 1..40)
}

const NAMES: [&str; 2] = ["one", "two"];

/// The store under test and what it should hold.
struct World {
    directory: tempfile::TempDir,
    store: Store,
    models: [Model; 2],
}

impl World {
    fn new() -> Self {
        let directory = scratch();
        let mut store = open(directory.path());
        for name in NAMES {
            store.create_infrastructure(&id(name), name, NOW).unwrap();
        }
        Self {
            directory,
            store,
            models: [Model::default(), Model::default()],
        }
    }

    /// The valid lease, taken if nobody holds it.
    fn lease(&mut self, which: usize) -> Lease {
        if !self.models[which].is_held {
            self.take(which);
        }
        self.models[which].leases.last().unwrap().clone()
    }

    fn take(&mut self, which: usize) {
        // Everybody else is dead, so a lease can always be taken.
        let lease = self
            .store
            .acquire(&id(NAMES[which]), &holder(1), NOW, TTL, &|_| false)
            .unwrap();
        let model = &mut self.models[which];
        model.fence += 1;
        assert_eq!(lease.fence(), model.fence);
        model.leases.push(lease);
        model.is_held = true;
    }

    fn append(&mut self, which: usize, payloads: &[Vec<u8>]) {
        let lease = self.lease(which);
        let entries: Vec<_> = payloads.iter().map(|payload| entry(7, payload)).collect();
        let last = self.store.append(&lease, &entries).unwrap();
        let model = &mut self.models[which];
        for payload in payloads {
            model.last += 1;
            model.entries.insert(model.last, payload.clone());
        }
        assert_eq!(last, model.last);
    }

    fn snapshot(&mut self, which: usize, back: u64) {
        let lease = self.lease(which);
        let sequence = self.models[which].last.saturating_sub(back);
        if sequence == 0 || !self.models[which].entries.contains_key(&sequence) {
            return;
        }
        self.store
            .write_snapshot(&lease, sequence, 1, &sequence.to_be_bytes())
            .unwrap();
        let snapshots = &mut self.models[which].snapshots;
        snapshots.push(sequence);
        snapshots.sort_unstable();
        snapshots.dedup();
        let excess = snapshots.len().saturating_sub(2);
        snapshots.drain(..excess);
    }

    fn compact(&mut self, which: usize, kept: u64) {
        let lease = self.lease(which);
        let deleted = self.store.compact(&lease, kept).unwrap();
        let model = &mut self.models[which];
        let through = match model.snapshots.as_slice() {
            [oldest, _] => (*oldest).min(model.last.saturating_sub(kept)),
            _ => 0,
        };
        let before = model.entries.len();
        model.entries.retain(|sequence, _| *sequence > through);
        assert_eq!(deleted, (before - model.entries.len()) as u64);
    }

    fn submit(&mut self, which: usize, request: u8) {
        let name = format!("r{request}");
        let submitted = self
            .store
            .submit_request(
                &id(NAMES[which]),
                &RequestId::new(&*name),
                "scale",
                &[request],
                NOW,
            )
            .unwrap();
        let requests = &mut self.models[which].requests;
        let known = requests.iter().position(|(other, _)| *other == name);
        assert_eq!(submitted.is_new, known.is_none());
        let place = known.unwrap_or(requests.len());
        assert_eq!(submitted.number, place as u64 + 1);
        if known.is_none() {
            requests.push((name, None));
        }
    }

    fn apply(&mut self, which: usize, request: usize) {
        let lease = self.lease(which);
        let outcome = format!("at {}", self.models[which].last);
        let applied = Applied {
            number: request as u64 + 1,
            outcome: &outcome,
        };
        let result = self.store.mark_applied(&lease, &[applied], NOW);
        match self.models[which].requests.get_mut(request) {
            Some((_, known)) => {
                result.unwrap();
                known.get_or_insert(outcome);
            }
            None => assert!(matches!(result, Err(StoreError::UnknownRequest { .. }))),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append { which, payloads } => self.append(which, &payloads),
            Step::Snapshot { which, back } => self.snapshot(which, back),
            Step::Compact { which, kept } => self.compact(which, kept),
            Step::Take { which } => self.take(which),
            Step::Release { which } => {
                let lease = self.lease(which);
                self.store.release(lease).unwrap();
                self.models[which].is_held = false;
            }
            Step::AppendStale { which } => {
                let model = &self.models[which];
                let stale = model.leases.len() - usize::from(model.is_held);
                for lease in &model.leases[..stale] {
                    assert!(matches!(
                        self.store.append(lease, &[entry(1, b"stale")]),
                        Err(StoreError::Fenced { .. })
                    ));
                }
            }
            Step::Submit { which, request } => self.submit(which, request),
            Step::Apply { which, request } => self.apply(which, request),
            Step::Reopen => self.store = open(self.directory.path()),
            Step::Crash => {
                // The files as they are on disk, without the process that wrote them.
                self.directory = copy_files(self.directory.path());
                self.store = open(self.directory.path());
            }
            Step::ExportImport { which } => self.export_and_import(which),
        }
    }

    fn export_and_import(&self, which: usize) {
        let mut lines = Vec::new();
        self.store
            .export(
                &id(NAMES[which]),
                zenekar_store::ExportMode::Complete,
                &mut lines,
            )
            .unwrap();
        let directory = scratch();
        let mut copy = open(directory.path());
        copy.import(&mut lines.as_slice()).unwrap();
        assert_eq!(
            copy.load(&id(NAMES[which])).unwrap(),
            self.store.load(&id(NAMES[which])).unwrap()
        );
    }

    fn check(&self) {
        for (name, model) in NAMES.iter().zip(&self.models) {
            let read: BTreeMap<u64, Vec<u8>> = self
                .store
                .read(&id(name), 1, usize::MAX)
                .unwrap()
                .into_iter()
                .map(|entry| (entry.sequence, entry.payload))
                .collect();
            assert_eq!(read, model.entries);
            let loaded = self.store.load(&id(name)).unwrap();
            let newest = model.snapshots.last().copied();
            assert_eq!(
                loaded.snapshot.as_ref().map(|snapshot| snapshot.sequence),
                newest
            );
            assert!(
                loaded
                    .snapshot
                    .is_none_or(|snapshot| snapshot.payload == snapshot.sequence.to_be_bytes())
            );
            let expected: Vec<u64> = (newest.unwrap_or(0) + 1..=model.last).collect();
            assert_eq!(
                loaded
                    .entries
                    .iter()
                    .map(|entry| entry.sequence)
                    .collect::<Vec<_>>(),
                expected
            );
            let pending: Vec<String> = self
                .store
                .pending_requests(&id(name), 0)
                .unwrap()
                .into_iter()
                .map(|request| request.id.to_string())
                .collect();
            let expected: Vec<String> = model
                .requests
                .iter()
                .filter(|(_, outcome)| outcome.is_none())
                .map(|(name, _)| name.clone())
                .collect();
            assert_eq!(pending, expected);
            assert_eq!(
                self.store
                    .holder(&id(name), NOW + Millis(1))
                    .unwrap()
                    .is_some(),
                model.is_held
            );
        }
        assert!(self.store.check().unwrap().is_intact());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_is_what_the_model_says(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.check();
    }
}
