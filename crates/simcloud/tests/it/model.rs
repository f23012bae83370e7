//! The ledger against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use zenekar_base::{CallId, ResourceId, ResourceState, Timestamp, Token};
use zenekar_simcloud::{Benign, Response, SimCloud};

use crate::support::{create_with, delete, fixed, list, tag, token};

#[derive(Clone, Debug)]
enum Step {
    Create { instance: u32, attempt: u32 },
    Delete { created: usize },
    Wait { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u32..6, 0_u32..2).prop_map(|(instance, attempt)| Step::Create { instance, attempt }),
        2 => (0_usize..12).prop_map(|created| Step::Delete { created }),
        2 => (0_i64..2_000).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// What a caller may expect of a cloud in which nothing fails.
#[derive(Default)]
struct Model {
    by_token: BTreeMap<Token, ResourceId>,
    order: Vec<(ResourceId, u32)>,
    deleted: BTreeSet<ResourceId>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_ledger_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        let mut cloud = SimCloud::new(fixed());
        let mut model = Model::default();
        let mut call = 0;
        let mut serve = |cloud: &mut SimCloud, request| {
            call += 1;
            let due = cloud.submit(cloud.now(), CallId(call), request, &mut Benign);
            cloud.advance(due, &mut Benign).remove(0).result.expect("nothing fails")
        };
        for step in steps {
            match step {
                Step::Create { instance, attempt } => {
                    let Response::Created(view) = serve(&mut cloud, create_with(instance, attempt, |_| {})) else { panic!("a create reply") };
                    let expected = model.by_token.entry(token(instance, attempt)).or_insert_with(|| {
                        model.order.push((view.resource.clone(), instance));
                        view.resource.clone()
                    });
                    prop_assert_eq!(&view.resource, expected);
                    prop_assert_eq!(view.instance, tag(instance));
                }
                Step::Delete { created } => {
                    let id = model.order.get(created).map_or(ResourceId::new("sim-000099"), |(id, _)| id.clone());
                    serve(&mut cloud, delete(&id));
                    if created < model.order.len() {
                        model.deleted.insert(id);
                    }
                }
                Step::Wait { ms } => {
                    let later = Timestamp(cloud.now().0 + ms);
                    cloud.advance(later, &mut Benign);
                }
            }
            let entries: Vec<_> = cloud.ledger().entries().map(|entry| (entry.resource, entry.instance)).collect();
            let expected: Vec<_> = model.order.iter().map(|(id, instance)| (id.clone(), tag(*instance))).collect();
            prop_assert_eq!(entries, expected);
            let alive = cloud.ledger().alive().count();
            prop_assert_eq!(alive, cloud.ledger().alive_count() as usize);
            prop_assert_eq!(u32::try_from(alive * 2).expect("few"), cloud.ledger().cores_count());
            prop_assert!(alive >= model.order.len() - model.deleted.len());
        }
        // Once everything has settled, what exists is what was never deleted.
        let later = Timestamp(cloud.now().0 + 5_000);
        cloud.advance(later, &mut Benign);
        let alive: BTreeSet<_> = cloud.ledger().alive().map(|entry| entry.resource).collect();
        let expected: BTreeSet<_> = model.order.iter().map(|(id, _)| id.clone()).filter(|id| !model.deleted.contains(id)).collect();
        prop_assert_eq!(&alive, &expected);
        let Response::Observed(seen) = serve(&mut cloud, list()) else { panic!("an observe reply") };
        let running: BTreeSet<_> = seen.into_iter().filter(|view| view.state == ResourceState::Running).map(|view| view.resource).collect();
        prop_assert_eq!(running, expected);
        let mut addresses: Vec<_> = cloud.ledger().entries().flat_map(|entry| entry.addresses.all).collect();
        let count = addresses.len();
        addresses.sort();
        addresses.dedup();
        prop_assert_eq!(addresses.len(), count, "addresses are never used twice");
    }
}
