//! Stale lists: wrong in both directions, and never beyond the bound.

use proptest::prelude::*;
use zenekar_base::{CallId, Millis, ResourceState, Timestamp};
use zenekar_simcloud::{ChoiceKind, Rates, Response, SeededChooser, Settings, SimCloud};

use crate::support::{Caller, Wilful, create, delete, fixed, list, views};

fn stale() -> Settings {
    Settings {
        list_staleness_max: Millis(3_000),
        rates: Rates {
            stale_list: 500_000,
            ..Rates::default()
        },
        ..fixed()
    }
}

#[test]
fn a_stale_list_misses_the_new_and_shows_the_deleted() {
    let mut caller = Caller::new(stale());
    let mut lagging = Wilful::spoil(|kind| kind == ChoiceKind::ListLag);
    let resource = caller.created(1).resource;
    assert_eq!(
        views(caller.call_with(list(), &mut lagging)),
        [],
        "created less than 3 s ago"
    );
    assert_eq!(caller.listed().len(), 1, "the truth");
    caller.wait(3_000);
    assert_eq!(
        views(caller.call_with(list(), &mut lagging))[0].state,
        ResourceState::Pending,
        "as it was 3 s ago"
    );
    caller.call(delete(&resource)).expect("served");
    caller.wait(600);
    assert_eq!(caller.listed()[0].state, ResourceState::Gone);
    let past = views(caller.call_with(list(), &mut lagging)).remove(0);
    assert_eq!(
        (past.state, past.addresses.all.len()),
        (ResourceState::Running, 1)
    );
    caller.wait(3_000);
    assert_eq!(
        views(caller.call_with(list(), &mut lagging))[0].state,
        ResourceState::Gone
    );
}

#[test]
fn a_vanished_machine_is_shown_within_the_bound_only() {
    let mut caller = Caller::new(stale());
    let mut lagging = Wilful::spoil(|kind| kind == ChoiceKind::ListLag);
    let resource = caller.created(1).resource;
    caller.wait(10_000);
    let now = caller.cloud.now();
    caller.cloud.intervene(
        now,
        &zenekar_simcloud::Intervention::Lose(resource),
        &mut lagging,
    );
    assert_eq!(caller.listed(), []);
    assert_eq!(views(caller.call_with(list(), &mut lagging)).len(), 1);
    caller.wait(3_000);
    assert_eq!(views(caller.call_with(list(), &mut lagging)), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was created or deleted longer ago than the bound shows as it is.
    #[test]
    fn staleness_is_bounded(seed in any::<u64>(), pauses in proptest::collection::vec(0_i64..4_000, 1..12)) {
        let settings = Settings { seed, ..stale() };
        let mut cloud = SimCloud::new(settings);
        let mut dice = SeededChooser::new(&cloud.settings().clone());
        let mut call = 0;
        for (index, pause) in (0_u32..).zip(pauses) {
            let now = Timestamp(cloud.now().0 + pause);
            call += 1;
            cloud.submit(now, CallId(call), create(index), &mut dice);
            call += 1;
            let asked_at = cloud.now();
            let due = cloud.submit(asked_at, CallId(call), list(), &mut dice);
            let replies = cloud.advance(due, &mut dice);
            let Some(Ok(Response::Observed(seen))) = replies.into_iter().find(|reply| reply.call == CallId(call)).map(|reply| reply.result) else {
                panic!("nothing fails here");
            };
            for entry in cloud.ledger().entries() {
                let shown = seen.iter().find(|view| view.resource == entry.resource);
                if asked_at.since(entry.created_at) >= Millis(3_000) {
                    prop_assert!(shown.is_some(), "{entry:?} is missing from the list asked for at {asked_at:?}");
                }
                if let Some(view) = shown {
                    prop_assert_eq!(&view.instance, &entry.instance);
                }
            }
        }
    }
}
