//! How many states a three-tier architecture has, with and without what makes
//! fewer of them, and what one of them costs.
//!
//! Run with `cargo bench -p zenekar-verify`. It counts, measures and prints.
//! Counts are the same everywhere, times are not.

#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]
#![expect(
    clippy::disallowed_types,
    reason = "the crate is pure, what measures it needs a clock"
)]

#[path = "../tests/it/setting.rs"]
#[expect(dead_code, reason = "tests make more of it than this bench")]
mod setting;

use std::time::Instant;

use zenekar_model::behaviour::{Give, Segment};
use zenekar_search::{Budget, Strategy, never, search};
use zenekar_verify::{Setting, World};

use crate::setting::{behaviours, port_of, segment, topology};

/// Instances of the tiers, faults and delays.
const CASES: [([u32; 3], u8, u8); 5] = [
    ([1, 3, 3], 0, 0),
    ([1, 3, 3], 0, 1),
    ([1, 2, 2], 0, 2),
    ([1, 1, 1], 1, 0),
    ([1, 1, 1], 1, 1),
];

fn serves(port: u16) -> Segment {
    Segment {
        gives: vec![Give::Port(port)],
        ..segment("serve")
    }
}

fn joins(node: &str, port: u16) -> Segment {
    Segment {
        needs: vec![port_of(node, port)],
        retries: true,
        ..segment("join")
    }
}

/// A database, servers that join it, and front-ends that join those.
fn tiers(counts: [u32; 3], faults: u8, delays: u8) -> Setting {
    let rows = [
        ("db", counts[0], &[][..]),
        ("app", counts[1], &[0][..]),
        ("web", counts[2], &[1][..]),
    ];
    let nodes = behaviours(vec![
        ("db", vec![serves(3306)], vec![Give::Port(3306)]),
        (
            "app",
            vec![joins("db", 3306), serves(8080)],
            vec![Give::Port(8080)],
        ),
        (
            "web",
            vec![joins("app", 8080), serves(80)],
            vec![Give::Port(80)],
        ),
    ]);
    let mut setting = Setting::new(topology("ec2", &rows), nodes);
    setting.allowance.faults = faults;
    setting.allowance.delays = delays;
    setting
}

fn main() {
    let budget = Budget {
        states_max: 10_000_000,
        memory_bytes_max: 1 << 33,
        threads: 2,
        ..Budget::default()
    };
    for (counts, faults, delays) in CASES {
        let setting = tiers(counts, faults, delays);
        let all = search(
            &World::telling_apart(setting.clone()),
            &Strategy::Breadth,
            &budget,
            &never,
        );
        let world = World::new(setting);
        let started_at = Instant::now();
        let outcome = search(&world, &Strategy::Breadth, &budget, &never);
        let taken_ns = started_at.elapsed().as_nanos().max(1);
        let generated = u128::from(outcome.generated).max(1);
        let (engines, clouds) = world.parts_seen();
        println!(
            "{counts:?}, {faults} faults, {delays} delays: {} of {} states, {generated} generated, {engines} engines, {clouds} clouds, {} ns each, {:?}",
            outcome.unique,
            all.unique,
            taken_ns / generated,
            outcome.end,
        );
    }
}
