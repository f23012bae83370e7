//! Calls through the provider trait.

use std::sync::Arc;

use zenekar_base::{ErrorClass, Millis, ProbeResult, ProbeSpec, ResourceId, Value};
use zenekar_provider::{Deleted, ObserveScope, Provider};
use zenekar_provider_sim::{SimClock, SimProvider};
use zenekar_simcloud::{Intervention, Settings};

use crate::support::{JumpClock, block_on, infrastructure, listed, open, request};

#[test]
fn calls_made_in_one_turn_are_all_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = Arc::new(open(directory.path(), &clock));
    block_on(async {
        let calls: Vec<_> = (0..200)
            .map(|key| {
                let provider = Arc::clone(&provider);
                tokio::spawn(async move {
                    provider
                        .create(request(key))
                        .await
                        .map(|view| (view.instance, view.resource))
                })
            })
            .collect();
        for (key, call) in (0..200).zip(calls) {
            let (instance, _) = call.await.expect("no panic").expect("nothing fails");
            assert_eq!(instance, request(key).instance);
        }
        assert_eq!(listed(&provider).await.len(), 200);
    });
}

#[test]
fn a_call_takes_cloud_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(5_000);
    let provider = open(directory.path(), &clock);
    let view = block_on(provider.create(request(1))).expect("nothing fails");
    let spans = Settings::calm().spans;
    let took = clock.now().since(zenekar_base::Timestamp(5_000));
    assert!(
        (spans.create.low..=spans.create.high).contains(&took),
        "{took}"
    );
    assert_eq!(view.addresses.primary(), None);
    block_on(clock.sleep_until(clock.now() + spans.boot.high));
    let views =
        block_on(provider.observe(infrastructure(), ObserveScope::All)).expect("nothing fails");
    assert_eq!(views[0].addresses.primary(), Some("10.0.0.1"));
    block_on(clock.sleep_until(clock.now() + spans.contextualise.high));
    let probe = block_on(provider.probe(infrastructure(), view.resource, ProbeSpec::default()))
        .expect("nothing fails");
    assert_eq!(probe, ProbeResult::Healthy);
}

#[test]
fn a_dropped_call_takes_effect_once_it_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = Arc::new(open(directory.path(), &clock));
    block_on(async {
        let (one, two) = (Arc::clone(&provider), Arc::clone(&provider));
        let dropped = tokio::spawn(async move { one.create(request(1)).await });
        let kept = tokio::spawn(async move { two.create(request(2)).await });
        tokio::task::yield_now().await;
        dropped.abort();
        kept.await.expect("no panic").expect("nothing fails");
        assert_eq!(listed(&provider).await.len(), 2);
    });
}

#[test]
fn wrong_requests_are_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = open(directory.path(), &clock);
    let mut wrong = request(1);
    wrong.rendered.resource = Value::Map(vec![("boot_ms".to_owned(), "soon".into())]);
    let error = block_on(provider.create(wrong)).expect_err("not a number");
    assert_eq!(error.class, ErrorClass::Invalid);
    assert!(error.message.contains("`boot_ms`"), "{error}");
    let many = (0..=1_000)
        .map(|number| ResourceId::new(format!("sim-{number:06}")))
        .collect();
    let error = block_on(provider.observe(infrastructure(), ObserveScope::Resources(many)))
        .expect_err("too many");
    assert_eq!(error.class, ErrorClass::Invalid);
    assert_eq!(
        block_on(provider.delete(infrastructure(), ResourceId::new("sim-000000"))),
        Ok(Deleted::Gone)
    );
}

#[test]
fn capabilities_follow_the_settings() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = open(directory.path(), &clock);
    assert_eq!(provider.capabilities().settle, Millis(2_000));
    let hostile = Intervention::SetSettings(Box::new(Settings::hostile()));
    assert!(
        provider
            .with_files(|files| files.intervene(clock.now(), hostile))
            .expect("written")
    );
    assert_eq!(provider.capabilities().settle, Millis(40_000));
    assert_eq!(
        (provider.name(), provider.capabilities().native_tokens),
        ("sim", true)
    );
}

#[test]
fn a_reset_in_the_middle_of_a_call_is_an_unknown_outcome() {
    /// Resets the cloud while the first sleeper sleeps.
    struct ResettingClock {
        directory: std::path::PathBuf,
        inner: Arc<JumpClock>,
    }
    impl SimClock for ResettingClock {
        fn now(&self) -> zenekar_base::Timestamp {
            self.inner.now()
        }
        fn sleep_until(&self, at: zenekar_base::Timestamp) -> zenekar_provider_sim::BoxFuture<'_> {
            let mut files = zenekar_provider_sim::SimFiles::open(&self.directory).expect("opens");
            files.reset(self.now(), Settings::calm()).expect("written");
            self.inner.sleep_until(at)
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ResettingClock {
        directory: directory.path().to_owned(),
        inner: JumpClock::at(0),
    };
    let provider = SimProvider::open(directory.path(), Arc::new(clock)).expect("opens");
    let error = block_on(provider.create(request(1))).expect_err("nobody answers");
    assert_eq!(error.class, ErrorClass::Unknown);
}
