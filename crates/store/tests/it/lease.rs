//! Leases: one writer at a time, told by the fence.

use zenekar_base::{Millis, Timestamp};
use zenekar_store::{HolderInfo, Store, StoreError};

use crate::support::{NOW, TTL, entry, holder, id, open, store_with_demo};

fn take(
    store: &mut Store,
    pid: u32,
    now: Timestamp,
    is_alive: bool,
) -> Result<zenekar_store::Lease, StoreError> {
    store.acquire(&id("demo"), &holder(pid), now, TTL, &|_| is_alive)
}

#[test]
fn a_living_holder_keeps_others_out() {
    let (_directory, mut store) = store_with_demo();
    let first = take(&mut store, 1, NOW, true).unwrap();
    let error = take(&mut store, 2, NOW + Millis(5), true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`demo` is in use by process 1 on `here` (`zenekar up #1`)"
    );
    assert!(matches!(error, StoreError::LeaseHeld { expires_at, .. } if expires_at == NOW + TTL));
    assert_eq!(store.holder(&id("demo"), NOW).unwrap(), Some(holder(1)));
    store.release(first).unwrap();
    assert_eq!(store.holder(&id("demo"), NOW).unwrap(), None);
    assert_eq!(take(&mut store, 2, NOW, true).unwrap().fence(), 2);
}

#[test]
fn a_dead_holder_is_followed_at_once_and_fenced_off() {
    let (_directory, mut store) = store_with_demo();
    let first = take(&mut store, 1, NOW, true).unwrap();
    let second = take(&mut store, 2, NOW, false).unwrap();
    assert!(second.fence() > first.fence());
    let error = store.append(&first, &[entry(1, b"late")]).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Fenced {
                ours: 1,
                current: 2,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(matches!(
        store.renew(&first, NOW),
        Err(StoreError::Fenced { .. })
    ));
    assert!(matches!(
        store.write_snapshot(&first, 0, 1, b""),
        Err(StoreError::Fenced { .. })
    ));
    assert!(matches!(
        store.release(first),
        Err(StoreError::Fenced { .. })
    ));
    assert_eq!(store.append(&second, &[entry(1, b"first")]).unwrap(), 1);
}

#[test]
fn a_released_lease_writes_no_more() {
    let (_directory, mut store) = store_with_demo();
    let lease = take(&mut store, 1, NOW, true).unwrap();
    store.release(lease.clone()).unwrap();
    assert!(matches!(
        store.append(&lease, &[entry(1, b"")]),
        Err(StoreError::Fenced { .. })
    ));
}

#[test]
fn another_boot_of_the_same_host_means_dead() {
    let (_directory, mut store) = store_with_demo();
    take(&mut store, 1, NOW, true).unwrap();
    let rebooted = HolderInfo {
        boot_id: "boot-2".into(),
        ..holder(1)
    };
    assert!(
        store
            .acquire(&id("demo"), &rebooted, NOW, TTL, &|_| true)
            .is_ok()
    );
}

#[test]
fn a_holder_on_another_host_is_believed_until_its_lease_runs_out() {
    let (_directory, mut store) = store_with_demo();
    let elsewhere = HolderInfo {
        host: "there".into(),
        boot_id: "boot-9".into(),
        ..holder(1)
    };
    let lease = store
        .acquire(&id("demo"), &elsewhere, NOW, TTL, &|_| true)
        .unwrap();
    assert!(
        take(&mut store, 2, NOW + Millis(TTL.0 - 1), false).is_err(),
        "`is_alive` cannot speak for another host"
    );
    store.renew(&lease, NOW + Millis(TTL.0 - 1)).unwrap();
    assert!(take(&mut store, 2, NOW + TTL, false).is_err(), "renewed");
    assert!(
        take(&mut store, 2, NOW + TTL + TTL, false).is_ok(),
        "run out"
    );
}

#[test]
fn a_clock_that_jumps_back_does_not_extend_a_lease() {
    let (_directory, mut store) = store_with_demo();
    take(&mut store, 1, NOW, true).unwrap();
    let hour = Millis::from_secs(3_600);
    assert!(
        take(&mut store, 2, NOW - Millis(TTL.0), true).is_err(),
        "a small step is believed for one time to live at most"
    );
    let lease = take(&mut store, 2, NOW - hour, true).unwrap();
    store.renew(&lease, NOW + hour).unwrap();
    assert!(
        take(&mut store, 3, NOW, true).is_ok(),
        "a renewal in the far future is not believed"
    );
    assert!(store.renew(&lease, NOW).is_err());
}

#[test]
fn the_time_to_live_has_a_limit() {
    let (_directory, mut store) = store_with_demo();
    store
        .acquire(&id("demo"), &holder(1), NOW, Millis::MAX, &|_| true)
        .unwrap();
    assert!(
        take(
            &mut store,
            2,
            NOW + zenekar_store::limits::LEASE_TTL_MAX,
            true
        )
        .is_ok()
    );
}

#[test]
fn this_process_is_alive_and_its_successor_is_told_from_it() {
    let this = HolderInfo::this_process("test");
    assert!(this.is_alive_here());
    if this.start_time == 0 {
        eprintln!("skipped: the kernel does not say when a process started");
        return;
    }
    let predecessor = HolderInfo {
        start_time: this.start_time - 1,
        ..this.clone()
    };
    assert!(
        !predecessor.is_alive_here(),
        "the same process id, but started at another time"
    );
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = HolderInfo {
        pid: child.id(),
        ..this
    };
    child.wait().unwrap();
    assert!(!dead.is_alive_here());
}

#[test]
fn of_many_threads_exactly_one_gets_the_lease() {
    let (directory, store) = store_with_demo();
    drop(store);
    let winners: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|pid| {
                let path = directory.path();
                scope
                    .spawn(move || take(&mut open(path), pid, NOW, true).map(|lease| lease.fence()))
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().ok())
            .collect()
    });
    assert_eq!(winners, [1]);
}
