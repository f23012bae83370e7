//! Deletes what is left over at a cloud, and looks until it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use zenekar_base::{ErrorClass, InfrastructureId, Millis};
use zenekar_provider::{Deleted, Owned, OwnedKind, Provider};
use zenekar_runtime::SharedStore;
use zenekar_store::{HolderInfo, Lease, StoreError};

use super::look::answer;
use super::orphans::{Found, Thing, is_doomed, list, owned_json};
use super::standing::Records;
use crate::errors::Failure;
use crate::output::Output;
use crate::place::Place;
use crate::world::wall_now;

/// How often is asked: together with the pauses about three minutes, in which
/// machines end, and after them what they hold.
const ROUNDS_MAX: u32 = 24;

/// The pause after the first round; it grows by as much each time.
const PAUSE_STEP: Duration = Duration::from_millis(500);
/// The longest pause between rounds.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long a lease lasts without being renewed: longer than one round takes.
const LEASE_TTL: Millis = Millis::from_secs(120);

/// How deleting one thing ended.
pub(super) struct Outcome {
    owned: Owned,
    /// Why it is still there; none if it is gone.
    problem: Option<String>,
}

impl Outcome {
    pub(super) fn is_gone(&self) -> bool {
        self.problem.is_none()
    }

    pub(super) fn text(&self) -> String {
        let why = self.problem.as_deref().unwrap_or("gone");
        format!("{} `{}`: {why}", self.owned.kind.name(), self.owned.id)
    }

    pub(super) fn json(&self) -> Json {
        let mut item = owned_json(&self.owned);
        item["gone"] = self.is_gone().into();
        item["problem"] = self.problem.clone().into();
        item
    }
}

/// Returns when a kind of thing is deleted: machines first, and what others hold
/// on to after those.
const fn turn(kind: OwnedKind) -> u8 {
    match kind {
        OwnedKind::Instance => 0,
        OwnedKind::Address => 1,
        OwnedKind::Port => 2,
        OwnedKind::Volume => 3,
        OwnedKind::SecurityGroup => 4,
        OwnedKind::ServerGroup => 5,
        OwnedKind::Network => 6,
    }
}

/// What tells things of one cloud apart.
fn identity(owned: &Owned) -> (OwnedKind, String) {
    (owned.kind, owned.id.as_str().to_owned())
}

/// Deletes what is doomed of a cloud, as it was shown; nothing else, whatever
/// comes up meanwhile.
pub(super) async fn all(
    found: &Found,
    of: &[String],
    place: &Place,
    output: Output,
) -> Result<Vec<Outcome>, Failure> {
    let doomed: Vec<Owned> = found
        .things
        .iter()
        .filter(|thing| is_doomed(thing, of))
        .map(|thing| thing.owned.clone())
        .collect();
    let Some(provider) = found.provider.as_ref().filter(|_| !doomed.is_empty()) else {
        return Ok(Vec::new());
    };
    // Leases are written; a state that cannot be needs no guarding.
    let store = match place.look()? {
        Some(_) => Some(SharedStore::new(place.change()?)),
        None => None,
    };
    let mut leases = Leases::take(store.as_ref(), &doomed)?;
    let result = rounds(found, provider, of, &doomed, &mut leases, output).await;
    leases.give_back();
    result
}

async fn rounds(
    found: &Found,
    provider: &Arc<dyn Provider>,
    of: &[String],
    doomed: &[Owned],
    leases: &mut Leases,
    output: Output,
) -> Result<Vec<Outcome>, Failure> {
    let mut left: BTreeMap<(OwnedKind, String), Outcome> = BTreeMap::new();
    for owned in doomed {
        let problem = match leases.refusal(owned) {
            Some(why) => why,
            None => "not yet deleted".to_owned(),
        };
        left.insert(
            identity(owned),
            Outcome {
                owned: owned.clone(),
                problem: Some(problem),
            },
        );
    }
    for round in 0..ROUNDS_MAX {
        let is_final = delete_once(provider, &mut left, leases).await;
        let things = list(&found.key, provider, leases.store.as_ref()).await;
        leases.renew()?;
        match things {
            Ok(things) => settle(&things, of, &mut left),
            // What cannot be listed cannot be called gone.
            Err(error) if output.verbosity > 0 => output.warn(&error.summary()),
            Err(_) => {}
        }
        let is_done = left
            .values()
            .all(|outcome| outcome.is_gone() || leases.refusal(&outcome.owned).is_some());
        if is_done || is_final {
            break;
        }
        tokio::time::sleep(PAUSE_MAX.min(PAUSE_STEP * (round + 1))).await;
    }
    Ok(left.into_values().collect())
}

/// Asks once to delete each thing that is left. Returns whether asking again is
/// no use for any of them.
async fn delete_once(
    provider: &Arc<dyn Provider>,
    left: &mut BTreeMap<(OwnedKind, String), Outcome>,
    leases: &Leases,
) -> bool {
    let mut order: Vec<&mut Outcome> = left
        .values_mut()
        .filter(|outcome| !outcome.is_gone() && leases.refusal(&outcome.owned).is_none())
        .collect();
    order.sort_by_key(|outcome| turn(outcome.owned.kind));
    let mut is_final = true;
    for outcome in order {
        match answer(provider.delete_owned(outcome.owned.clone())).await {
            // Whether it is gone, the next list tells.
            Ok(Deleted::Accepted | Deleted::Gone) => {
                outcome.problem = Some("the cloud still lists it".to_owned());
                is_final = false;
            }
            Err(error) => {
                // Others may hold on to it for now: groups to machines that end.
                is_final &= matches!(error.class, ErrorClass::Auth);
                outcome.problem = Some(error.message);
            }
        }
    }
    is_final
}

/// Takes note of what the cloud does not list any more, and of what must not be
/// deleted any more.
fn settle(things: &[Thing], of: &[String], left: &mut BTreeMap<(OwnedKind, String), Outcome>) {
    let listed: BTreeMap<(OwnedKind, String), &Thing> = things
        .iter()
        .map(|thing| (identity(&thing.owned), thing))
        .collect();
    for (key, outcome) in left.iter_mut() {
        match listed.get(key) {
            None => outcome.problem = None,
            Some(thing) if !is_doomed(thing, of) => {
                outcome.problem = Some("it is wanted by now".to_owned());
            }
            Some(_) => {}
        }
    }
    left.retain(|_, outcome| outcome.problem.as_deref() != Some("it is wanted by now"));
}

/// The leases of the infrastructures of this state that things are deleted of:
/// nobody else may bring them up meanwhile.
struct Leases {
    store: Option<SharedStore>,
    held: Vec<Lease>,
    led: BTreeSet<InfrastructureId>,
}

impl Leases {
    fn take(store: Option<&SharedStore>, doomed: &[Owned]) -> Result<Self, Failure> {
        let mut leases = Self {
            store: store.cloned(),
            held: Vec::new(),
            led: BTreeSet::new(),
        };
        let records = Records::read(store)?;
        let names: BTreeMap<InfrastructureId, InfrastructureId> = doomed
            .iter()
            .filter_map(|owned| {
                let name = records.infrastructure_of(owned)?;
                Some((name, owned.infrastructure.clone()))
            })
            .collect();
        let holder = HolderInfo::this_process("zenekar cloud orphans");
        for (name, tag) in names {
            let Some(store) = store else { break };
            let taken = store.with(|store| {
                store.acquire(
                    &name,
                    &holder,
                    wall_now(),
                    LEASE_TTL,
                    &HolderInfo::is_alive_here,
                )
            });
            match taken {
                Ok(lease) => leases.held.push(lease),
                Err(StoreError::LeaseHeld { .. }) => {
                    leases.led.insert(tag);
                }
                Err(error) => {
                    leases.give_back();
                    return Err(error.into());
                }
            }
        }
        Ok(leases)
    }

    /// Says why a thing is left alone, if it is.
    fn refusal(&self, owned: &Owned) -> Option<String> {
        self.led.contains(&owned.infrastructure).then(|| {
            "another process leads its infrastructure, and deletes what is left over itself"
                .to_owned()
        })
    }

    fn renew(&self) -> Result<(), Failure> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        for lease in &self.held {
            store.with(|store| store.renew(lease, wall_now()))?;
        }
        Ok(())
    }

    fn give_back(&mut self) {
        let Some(store) = &self.store else { return };
        for lease in self.held.drain(..) {
            // It runs out by itself otherwise.
            let _ = store.with(|store| store.release(lease));
        }
    }
}
