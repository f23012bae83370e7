//! Time: never backwards, jumping only when nobody is busy.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use zenekar_base::{Millis, Timestamp};
use zenekar_runtime::{Clock, Pace};

use crate::world::block_on;

#[test]
fn a_jumping_clock_wakes_sleepers_in_order_without_waiting() {
    let clock = Clock::start(Pace::Jump, Timestamp(1_000));
    let order = Arc::new(Mutex::new(Vec::new()));
    block_on(async {
        let tasks: Vec<_> = [30_000, 10_000, 20_000]
            .map(|at| {
                let (clock, order, participant) =
                    (clock.clone(), Arc::clone(&order), clock.participate());
                tokio::spawn(async move {
                    let _participant = participant;
                    clock.sleep_until(Timestamp(at)).await;
                    order.lock().unwrap().push((at, clock.now()));
                })
            })
            .into();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let woken = order.lock().unwrap().clone();
    assert_eq!(
        woken,
        [10_000, 20_000, 30_000].map(|at| (at, Timestamp(at)))
    );
}

#[test]
fn a_jumping_clock_stands_still_while_somebody_is_busy() {
    let clock = Clock::start(Pace::Jump, Timestamp::ZERO);
    block_on(async {
        let busy = clock.participate();
        let sleeper = {
            let (clock, participant) = (clock.clone(), clock.participate());
            tokio::spawn(async move {
                let _participant = participant;
                clock.sleep_until(Timestamp(5_000)).await;
            })
        };
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.now(), Timestamp::ZERO);
        drop(busy);
        sleeper.await.unwrap();
        assert_eq!(clock.now(), Timestamp(5_000));
    });
}

#[test]
fn a_dropped_sleeper_is_busy_again_and_wakes_nobody() {
    let clock = Clock::start(Pace::Jump, Timestamp::ZERO);
    block_on(async {
        let (_one, _other) = (clock.participate(), clock.participate());
        tokio::select! {
            biased;
            () = clock.sleep_until(Timestamp(9_000)) => panic!("the other participant is busy"),
            () = std::future::ready(()) => {}
        }
        tokio::select! {
            biased;
            () = clock.sleep_until(Timestamp(8_000)) => panic!("the other participant is still busy"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(clock.now(), Timestamp::ZERO);
    });
}

#[test]
fn compressed_time_goes_as_fast_as_asked_and_never_backwards() {
    let clock = Clock::start(Pace::Compressed(10_000.0), Timestamp(77));
    let before = clock.now();
    block_on(clock.sleep_until(before + Millis::from_secs(100)));
    let after = clock.now();
    assert!(
        after >= before + Millis::from_secs(100),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_resumed_clock_bears_a_wall_clock_that_was_set_by_hours() {
    let last = Timestamp(1_000_000);
    let hour = Duration::from_hours(1);
    let set_back = Clock::resume(Pace::Real, last, SystemTime::now() + hour);
    assert!(
        set_back.now().since(last) < Millis::from_secs(60),
        "time stood still"
    );
    let set_forward = Clock::resume(Pace::Real, last, SystemTime::now() - 1_000 * 24 * hour);
    assert!(
        set_forward.now().since(last) <= Millis::from_secs(2 * 24 * 3_600),
        "and does not run for years"
    );
    let jumping = Clock::resume(Pace::Jump, last, SystemTime::now() - hour);
    assert_eq!(jumping.now(), last);
}

#[test]
fn an_engine_that_is_ahead_sets_the_clock_forward_but_never_back() {
    for pace in [Pace::Real, Pace::Jump] {
        let clock = Clock::start(pace, Timestamp(1_000));
        clock.advance_to(Timestamp(50_000_000));
        assert!(clock.now() >= Timestamp(50_000_000));
        clock.advance_to(Timestamp(5));
        assert!(clock.now() >= Timestamp(50_000_000));
    }
}
