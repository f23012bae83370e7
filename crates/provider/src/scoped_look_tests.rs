//! What is believed of answers, and how often it is asked who gave them.

use super::*;

/// Makes a cloud whose credentials are replaced during the next call.
fn swapped(bound: Option<&str>) -> Bench {
    let bench = bench(Some("one"), bound);
    bench.cloud.script().pin_after = Some("two".to_owned());
    bench
}

impl Bench {
    async fn look_at(&self, ids: &[&str]) -> Result<Vec<ResourceView>, ProviderError> {
        let asked = ids.iter().map(|id| ResourceId::new(*id)).collect();
        let scope = ObserveScope::Resources(asked);
        self.provider.observe(shop(), scope).await
    }

    fn questions(&self) -> usize {
        let calls = self.cloud.calls();
        calls.iter().filter(|call| **call == "identity").count()
    }
}

#[test]
fn what_is_not_there_is_believed_of_the_right_account_only() {
    block_on(async {
        let bench = swapped(Some("one"));
        assert_refused(bench.observe().await);
        assert_eq!(bench.cloud.calls(), ["identity", "observe", "identity"]);
        for answer in [Ok(Deleted::Gone), Err(ErrorClass::NotFound)] {
            let bench = swapped(Some("one"));
            bench.cloud.script().delete_answers = Some(answer);
            assert_refused(bench.delete().await);
        }
        let bench = swapped(Some("one"));
        let request = RecontextualiseRequest {
            resource: ResourceId::new("i-1"),
            instance: InstanceTag::new("tag"),
            revision: 2,
            rendered: Rendered::default(),
        };
        assert_refused(bench.provider.recontextualise(shop(), request).await);
        let bench = swapped(Some("one"));
        assert_refused(bench.provider.release(shop()).await);
        assert_eq!(bench.kept.pin().as_deref(), Some("one"));
    });
}

#[test]
fn a_list_that_shows_something_is_no_proof() {
    block_on(async {
        // A creation went to the new account, which shows it, and nothing else.
        let bench = swapped(Some("one"));
        bench.create().await.expect("it is made");
        bench.shows(ResourceState::Running);
        assert_refused(bench.observe().await);
        assert_eq!(
            bench.cloud.calls(),
            ["identity", "create", "observe", "identity"]
        );
        // And nothing is believed from then on, though ids of the new account are there.
        assert_refused(bench.look_at(&["i-1"]).await);
        assert_refused(bench.create().await);
        assert_eq!(bench.cloud.calls(), [""; 0]);
        // The right account is believed.
        bench.cloud.script().pin = Some("one".to_owned());
        let fresh = Scoped::new(Arc::clone(&bench.cloud) as _, Arc::clone(&bench.kept) as _);
        let views = fresh.observe(shop(), ObserveScope::All).await;
        assert_eq!(views.map(|views| views.len()), Ok(1));
    });
}

#[test]
fn a_look_at_some_is_a_proof_if_all_of_them_are_there() {
    block_on(async {
        let one_of_two = swapped(Some("one"));
        one_of_two.shows(ResourceState::Running);
        assert_refused(one_of_two.look_at(&["i-1", "i-2"]).await);
        let gone = swapped(Some("one"));
        gone.shows(ResourceState::Gone);
        assert_refused(gone.look_at(&["i-1"]).await);
        for state in [ResourceState::Running, ResourceState::Deleting] {
            let bench = bench(Some("one"), Some("one"));
            bench.shows(state);
            for _ in 0..3 {
                let seen = bench.look_at(&["i-1"]).await;
                assert_eq!(seen.map(|views| views.len()), Ok(1));
            }
            assert_eq!(bench.questions(), 1, "{state:?}");
        }
    });
}

#[test]
fn what_an_older_version_made_is_tied_to_the_account_that_shows_it() {
    block_on(async {
        let bench = bench(Some("one"), None);
        assert_eq!(bench.delete().await, Ok(Deleted::Accepted));
        assert_eq!(bench.kept.pin(), None);
        bench.shows(ResourceState::Running);
        assert_eq!(bench.cloud.calls(), ["delete"]);
        assert_eq!(bench.observe().await.map(|views| views.len()), Ok(1));
        assert_eq!(bench.kept.pin().as_deref(), Some("one"));
        assert_eq!(bench.cloud.calls(), ["identity", "observe", "identity"]);
        // Either of two accounts may have shown it.
        let bench = swapped(None);
        bench.shows(ResourceState::Running);
        assert_eq!(bench.observe().await.map(|views| views.len()), Ok(1));
        assert_eq!(bench.kept.pin(), None);
    });
}

#[test]
fn a_cloud_that_does_not_tell_is_used_as_it_is() {
    block_on(async {
        for is_silent in [false, true] {
            let untold = bench(None, None);
            untold.cloud.script().is_silent = is_silent;
            untold.shows(ResourceState::Running);
            for _ in 0..3 {
                untold.create().await.expect("it is made");
                assert_eq!(untold.observe().await.map(|views| views.len()), Ok(1));
            }
            assert_eq!(untold.kept.pin(), None);
            assert_eq!(untold.questions(), 1);
            // One that told once is another one, as far as can be seen.
            let bound = bench(None, Some("one"));
            bound.cloud.script().is_silent = is_silent;
            let error = bound.observe().await.expect_err("it does not tell");
            assert_eq!(error.class, ErrorClass::Auth);
            assert!(error.message.contains("no longer says"), "{error}");
        }
    });
}

#[test]
fn a_question_that_fails_has_had_no_effect() {
    block_on(async {
        for (class, told) in [
            (ErrorClass::Unknown, ErrorClass::Retryable),
            (ErrorClass::NotFound, ErrorClass::Retryable),
            (ErrorClass::Conflict, ErrorClass::Retryable),
            (ErrorClass::Throttled, ErrorClass::Throttled),
            (ErrorClass::Auth, ErrorClass::Auth),
            (ErrorClass::Invalid, ErrorClass::Invalid),
        ] {
            let unbound = bench(Some("one"), None);
            unbound.cloud.script().identity_fails = Some(class);
            let as_it_is = ProviderError::new(told, "as the script says");
            assert_eq!(unbound.create().await, Err(as_it_is.clone()));
            assert_eq!(unbound.cloud.calls(), ["identity"]);
            unbound.cloud.script().identity_fails = None;
            unbound.create().await.expect("it is asked again");
            let bound = bench(Some("one"), Some("one"));
            bound.cloud.script().identity_fails = Some(class);
            assert_eq!(bound.delete().await, Err(as_it_is));
            assert_eq!(bound.cloud.calls(), ["identity"]);
        }
    });
}

#[test]
fn a_look_goes_on_where_the_account_cannot_be_told() {
    block_on(async {
        for hangs in [false, true] {
            let mut bench = bench(Some("one"), None);
            bench.provider.look_patience = Duration::from_millis(20);
            bench.shows(ResourceState::Running);
            if hangs {
                bench.cloud.script().identity_hangs = true;
            } else {
                bench.cloud.script().identity_fails = Some(ErrorClass::Retryable);
            }
            for _ in 0..3 {
                assert_eq!(bench.observe().await.map(|views| views.len()), Ok(1));
            }
            assert_eq!(bench.questions(), 1, "it is not asked again for a while");
            assert_eq!(bench.kept.pin(), None);
        }
    });
}
