//! The same inputs and choices give the same bytes, however time is cut up.

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use zenekar_base::{CallId, Random, ResourceId, Timestamp};
use zenekar_simcloud::{Intervention, Quota, Reply, Request, SeededChooser, Settings, SimCloud};

use crate::support::{create_with, delete, describe, list, probe, recontextualise};

/// One input of a random history.
#[derive(Clone, Debug)]
enum Input {
    Call(Request),
    Intervene(Intervention),
    ForgetCaller,
}

fn input(random: &mut Random) -> Input {
    let mut below =
        |bound: u32| u32::try_from(random.below(u64::from(bound))).expect("below a u32");
    let resource = ResourceId::new(format!("sim-{:06}", below(30)));
    let (instance, attempt) = (below(20), below(3));
    match below(100) {
        0..40 => Input::Call(create_with(instance, attempt, |_| {})),
        40..60 => Input::Call(delete(&resource)),
        60..70 => Input::Call(list()),
        70..75 => Input::Call(describe(&[&resource])),
        75..83 => Input::Call(probe(&resource)),
        83..90 => Input::Call(recontextualise(&resource, attempt)),
        90..92 => Input::Intervene(Intervention::Kill(resource)),
        92..94 => Input::Intervene(Intervention::Stop(resource)),
        94..96 => Input::Intervene(Intervention::Lose(resource)),
        96..97 => Input::Intervene(Intervention::Outage(zenekar_base::Millis(500))),
        97..98 => Input::Intervene(Intervention::SetQuota(Quota {
            instances: Some(instance),
            cores: None,
        })),
        98..99 => Input::Intervene(Intervention::SetSettings(Box::new(Settings {
            seed: 3,
            ..Settings::typical()
        }))),
        _ => Input::ForgetCaller,
    }
}

fn history(seed: u64, length: usize) -> Vec<(Timestamp, Input)> {
    let mut random = Random::from_seed(seed);
    let mut at = Timestamp::ZERO;
    let mut next = || {
        at = Timestamp(at.0 + i64::try_from(random.below(2_000)).expect("small"));
        (at, input(&mut random))
    };
    (0..length).map(|_| next()).collect()
}

/// Runs a history; `stop_every_ms` cuts the time between the inputs into pieces.
fn run(
    seed: u64,
    history: &[(Timestamp, Input)],
    stop_every_ms: Option<i64>,
) -> (SimCloud, Vec<Reply>) {
    let mut cloud = SimCloud::new(Settings {
        seed,
        ..Settings::hostile()
    });
    let mut replies = Vec::new();
    for (number, (at, input)) in (0_u64..).zip(history) {
        if let Some(step) = stop_every_ms {
            while cloud.now().0 + step < at.0 {
                let dice = &mut SeededChooser::new(&cloud.settings().clone());
                replies.extend(cloud.advance(Timestamp(cloud.now().0 + step), dice));
            }
        }
        let dice = &mut SeededChooser::new(&cloud.settings().clone());
        match input {
            Input::Call(request) => {
                cloud.submit(*at, CallId(number), request.clone(), dice);
            }
            Input::Intervene(intervention) => {
                cloud.intervene(*at, intervention, dice);
            }
            Input::ForgetCaller => {
                replies.extend(cloud.advance(*at, dice));
                cloud.forget_caller();
            }
        }
    }
    let end = Timestamp(cloud.now().0 + 2_000_000);
    let dice = &mut SeededChooser::new(&cloud.settings().clone());
    replies.extend(cloud.advance(end, dice));
    (cloud, replies)
}

fn bytes(cloud: &SimCloud) -> String {
    serde_json::to_string(cloud).expect("serialises")
}

fn hash(cloud: &SimCloud) -> u64 {
    let mut hasher = DefaultHasher::new();
    cloud.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_same_seed_gives_the_same_bytes(seed in any::<u64>(), length in 1_usize..200, step in 1_i64..700) {
        let history = history(seed, length);
        let (whole, replies) = run(seed, &history, None);
        let (again, replies_again) = run(seed, &history, None);
        prop_assert_eq!(bytes(&whole), bytes(&again));
        prop_assert!(whole.is_sound());
        prop_assert_eq!(&replies, &replies_again);
        let (pieces, replies_in_pieces) = run(seed, &history, Some(step));
        prop_assert_eq!(bytes(&whole), bytes(&pieces));
        prop_assert_eq!(&replies, &replies_in_pieces);
        prop_assert_eq!(hash(&whole), hash(&pieces));
    }

    #[test]
    fn a_stored_cloud_goes_on_as_if_nothing_had_happened(seed in any::<u64>(), length in 2_usize..120) {
        let history = history(seed, length);
        let (head, tail) = history.split_at(length / 2);
        let mut cloud = SimCloud::new(Settings { seed, ..Settings::hostile() });
        for (number, (at, input)) in (0_u64..).zip(head) {
            if let Input::Call(request) = input {
                cloud.submit(*at, CallId(number), request.clone(), &mut SeededChooser::new(&cloud.settings().clone()));
            }
        }
        let mut loaded: SimCloud = serde_json::from_str(&bytes(&cloud)).expect("loads");
        prop_assert!(loaded.is_sound());
        prop_assert_eq!(&loaded, &cloud);
        for (number, (at, input)) in (10_000_u64..).zip(tail) {
            if let Input::Call(request) = input {
                for cloud in [&mut cloud, &mut loaded] {
                    cloud.submit(*at, CallId(number), request.clone(), &mut SeededChooser::new(&cloud.settings().clone()));
                }
            }
        }
        prop_assert_eq!(bytes(&loaded), bytes(&cloud));
    }
}

#[test]
fn different_seeds_differ() {
    let history = history(1, 100);
    assert_ne!(
        bytes(&run(1, &history, None).0),
        bytes(&run(2, &history, None).0)
    );
}

#[test]
fn a_clone_shares_nothing_that_changes() {
    let (cloud, _) = run(5, &history(5, 50), None);
    let before = bytes(&cloud);
    let mut copy = cloud.clone();
    for (at, input) in history(6, 50) {
        if let Input::Call(request) = input {
            copy.submit(
                Timestamp(copy.now().0 + at.0),
                CallId(0),
                request,
                &mut SeededChooser::new(&cloud.settings().clone()),
            );
        }
    }
    assert_eq!(bytes(&cloud), before);
    assert_ne!(bytes(&copy), before);
}
