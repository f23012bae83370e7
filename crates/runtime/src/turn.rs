//! One turn of a session: what the engine gave between two durable steps.

use zenekar_base::Timestamp;
use zenekar_engine::{Effect, Engine, Entry, Input, Notice, RECORD_VERSION, Record, Refusal};
use zenekar_store::{Applied, Lease, Store, StoreError};

use crate::calls::{self, PreparedCall};
use crate::clock::wall_now;
use crate::error::RuntimeError;
use crate::host::Host;
use crate::limits::APPEND_ENTRIES_MAX;
use crate::recovery::{EncodedEntry, encode};

/// Something to tell an observer.
pub(crate) enum Told {
    Entry(Entry),
    Notice(Notice),
}

/// What is to be made durable in one step. It travels to the thread that
/// writes, and back, so that its memory is used again.
#[derive(Default)]
pub(crate) struct Pages {
    entries: Vec<EncodedEntry>,
    bytes: Vec<u8>,
    /// Requests of the inbox: place and what came of it.
    applied: Vec<(u64, String)>,
}

impl Pages {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.applied.is_empty()
    }

    pub(crate) fn entry_count(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.applied.clear();
    }

    pub(crate) fn apply(&mut self, place: u64, outcome: String) {
        self.applied.push((place, outcome));
    }

    /// Makes the pages durable and returns the number of the last entry.
    pub(crate) fn append(&self, store: &mut Store, lease: &Lease) -> Result<u64, StoreError> {
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|entry| zenekar_store::Entry {
                at: entry.at,
                kind: entry.kind,
                version: RECORD_VERSION,
                payload: &self.bytes[entry.payload.clone()],
            })
            .collect();
        let applied: Vec<_> = self
            .applied
            .iter()
            .map(|(number, outcome)| Applied {
                number: *number,
                outcome,
            })
            .collect();
        // Requests are marked with the last part: if a part before fails, they
        // are applied again, and the engine knows them by their ids.
        let last_part = entries.len().saturating_sub(1) / APPEND_ENTRIES_MAX * APPEND_ENTRIES_MAX;
        for part in entries[..last_part].chunks(APPEND_ENTRIES_MAX) {
            store.append(lease, part)?;
        }
        store.append_applying(lease, &entries[last_part..], &applied, wall_now())
    }
}

/// What one input came to, for the one who asked.
#[derive(Default)]
pub(crate) struct Reaction {
    pub(crate) refusal: Option<Refusal>,
}

/// The effects of a turn, in the order in which they have to happen.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) pages: Pages,
    pub(crate) told: Vec<Told>,
    pub(crate) calls: Vec<PreparedCall>,
    /// The infrastructure is wanted (again) or gone from this turn on.
    pub(crate) is_wanted: Option<bool>,
    pub(crate) inputs: usize,
}

impl Turn {
    /// Hands an input to the engine and takes all that it gives.
    pub(crate) fn handle(
        &mut self,
        host: &Host,
        engine: &mut Engine,
        now: Timestamp,
        input: Input,
    ) -> Result<Reaction, RuntimeError> {
        engine.handle(now, input);
        self.inputs += 1;
        let mut reaction = Reaction::default();
        while let Some(effect) = engine.poll() {
            match effect {
                Effect::Persist(entry) => {
                    let encoded = encode(&entry, &mut self.pages.bytes)?;
                    self.pages.entries.push(encoded);
                    match entry.record {
                        Record::IntentSet { .. } | Record::Adopted { .. } => {
                            self.is_wanted = Some(true);
                        }
                        Record::TornDown => self.is_wanted = Some(false),
                        _ => {}
                    }
                    self.told.push(Told::Entry(entry));
                }
                // With the engine as it is now: its topology is the call's.
                Effect::Call(call) => self.calls.push(calls::prepare(host, engine, call)),
                Effect::Notify(notice) => {
                    if let Notice::Refused { reason } = &notice {
                        reaction.refusal = Some(reason.clone());
                    }
                    self.told.push(Told::Notice(notice));
                }
            }
        }
        Ok(reaction)
    }
}
