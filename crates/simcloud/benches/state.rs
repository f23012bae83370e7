//! What an explorer pays for a state: time to clone and to hash clouds of several sizes.
//!
//! Run with `cargo bench -p zenekar-simcloud`. It measures and prints.
#![expect(
    clippy::disallowed_types,
    reason = "the crate is pure, what measures it needs a clock"
)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::time::Instant;

use zenekar_base::{
    CallId, Fingerprint, InfrastructureId, InstanceKey, InstanceTag, Millis, Timestamp, Token,
};
use zenekar_simcloud::{CreateInstance, Request, SeededChooser, Settings, SimCloud};

/// How often each operation is measured.
const ROUNDS: u32 = 1_000;

fn cloud_of(instances: u32) -> SimCloud {
    let mut cloud = SimCloud::new(Settings::typical());
    let mut dice = SeededChooser::new(&cloud.settings().clone());
    let infrastructure = InfrastructureId::new("bench");
    for key in 0..instances {
        let request = CreateInstance {
            infrastructure: infrastructure.clone(),
            instance: InstanceTag::derive(&infrastructure, InstanceKey(key)),
            token: Token::derive(&infrastructure, InstanceKey(key), 1),
            name: format!("worker/{key}"),
            fingerprint: Fingerprint(1),
            cores: 1,
            create: None,
            boot: None,
            contextualise: None,
            boot_failure: None,
        };
        cloud.submit(
            Timestamp::ZERO,
            CallId(u64::from(key)),
            Request::Create(Box::new(request)),
            &mut dice,
        );
    }
    // Half of the boots are still to come.
    cloud.advance(Timestamp::ZERO + Millis(11_000), &mut dice);
    cloud
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn main() {
    for instances in [4, 40, 400] {
        let cloud = cloud_of(instances);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            black_box(black_box(&cloud).clone());
        }
        let clone_ns = start.elapsed().as_nanos() / u128::from(ROUNDS);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let mut hasher = DefaultHasher::new();
            black_box(&cloud).hash(&mut hasher);
            black_box(hasher.finish());
        }
        let hash_ns = start.elapsed().as_nanos() / u128::from(ROUNDS);
        println!("{instances:>4} instances   clone {clone_ns:>7} ns   hash {hash_ns:>7} ns");
    }
}
