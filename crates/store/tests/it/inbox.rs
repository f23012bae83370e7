//! Requests from one process to another.

use zenekar_base::{RequestId, Timestamp};
use zenekar_store::{Applied, StoreError, limits};

use crate::support::{NOW, entry, id, lease, open, store_with_demo};

#[test]
fn a_request_is_stored_once_and_applied_once() {
    let (directory, mut store) = store_with_demo();
    let mut asker = open(directory.path());
    let request = RequestId::new("r1");
    let first = asker
        .submit_request(&id("demo"), &request, "scale", b"worker=3", NOW)
        .unwrap();
    let again = asker
        .submit_request(&id("demo"), &request, "scale", b"worker=3", Timestamp(1))
        .unwrap();
    assert_eq!(
        (first.number, first.is_new, again.number, again.is_new),
        (1, true, 1, false)
    );
    let conflict = asker
        .submit_request(&id("demo"), &request, "scale", b"worker=4", NOW)
        .unwrap_err();
    assert!(matches!(conflict, StoreError::RequestConflict { .. }));
    asker
        .submit_request(
            &id("demo"),
            &RequestId::new("r2"),
            "scale",
            b"worker=5",
            NOW,
        )
        .unwrap();

    let lease = lease(&mut store, "demo");
    let pending = store.pending_requests(&id("demo"), 0).unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|one| (one.number, one.payload.as_slice()))
            .collect::<Vec<_>>(),
        [(1, &b"worker=3"[..]), (2, b"worker=5")]
    );
    assert_eq!(store.pending_requests(&id("demo"), 1).unwrap().len(), 1);
    let applied = [Applied {
        number: 1,
        outcome: "3 workers",
    }];
    assert_eq!(
        store
            .append_applying(&lease, &[entry(1, b"scaled")], &applied, NOW)
            .unwrap(),
        1
    );
    store
        .mark_applied(
            &lease,
            &[Applied {
                number: 1,
                outcome: "too late",
            }],
            Timestamp(1),
        )
        .unwrap();
    assert_eq!(store.pending_requests(&id("demo"), 0).unwrap().len(), 1);
    let answer = asker.request(&id("demo"), &request).unwrap().unwrap();
    assert_eq!(
        (answer.applied_at, answer.outcome.as_str()),
        (Some(NOW), "3 workers")
    );
    assert!(
        !asker
            .submit_request(&id("demo"), &request, "scale", b"worker=3", NOW)
            .unwrap()
            .is_new,
        "also after it was applied"
    );
    assert_eq!(
        asker.request(&id("demo"), &RequestId::new("r9")).unwrap(),
        None
    );
}

#[test]
fn entries_and_the_mark_are_one_step() {
    let (_directory, mut store) = store_with_demo();
    let lease = lease(&mut store, "demo");
    let result = store.append_applying(
        &lease,
        &[entry(1, b"scaled")],
        &[Applied {
            number: 4,
            outcome: "",
        }],
        NOW,
    );
    assert!(matches!(
        result,
        Err(StoreError::UnknownRequest { number: 4, .. })
    ));
    assert_eq!(
        store.load(&id("demo")).unwrap().last_sequence,
        0,
        "nothing was written"
    );
}

#[test]
fn an_inbox_that_nobody_reads_fills_up() {
    let (_directory, mut store) = store_with_demo();
    let mut submit = |number: usize| {
        store.submit_request(
            &id("demo"),
            &RequestId::new(format!("r{number}")),
            "scale",
            b"",
            NOW,
        )
    };
    for number in 0..limits::REQUESTS_PENDING_MAX {
        submit(number).unwrap();
    }
    assert!(matches!(
        submit(limits::REQUESTS_PENDING_MAX),
        Err(StoreError::InboxFull { .. })
    ));
    assert!(
        !submit(3).unwrap().is_new,
        "a known request is still answered"
    );
}
