//! The suite that every provider has to pass.

use std::pin::Pin;
use std::time::Duration;

use zenekar_base::{InfrastructureId, Millis, ProbeSpec};
use zenekar_model::Rendered;
use zenekar_provider::Provider;
use zenekar_provider::conformance::{Extras, Pause, Setup, run_with};

use crate::bench::Bench;

/// The longest pause: what an engine says is true at once.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Real time.
struct Clock;

impl Pause for Clock {
    fn pause(&self, span: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(
            Duration::from_millis(span.0).min(PAUSE_MAX),
        ))
    }
}

fn conforms(bench: &Bench, rendered: Rendered) {
    let foreign = InfrastructureId::new(format!("{}-foreign", bench.infrastructure));
    let mut impossible = rendered.clone();
    impossible.resource = bench
        .request("x", 1, vec![("memory_mb", "nonsense".into())])
        .rendered
        .resource;
    let setup = Setup {
        provider: &bench.provider,
        pause: &Clock,
        infrastructure: bench.infrastructure.clone(),
        foreign: foreign.clone(),
        rendered,
        probe: ProbeSpec {
            ping: true,
            ..ProbeSpec::default()
        },
        poll: Millis(100),
        ready_max: Millis::from_secs(60),
    };
    let extras = Extras {
        impossible: Some(impossible),
        ..Extras::default()
    };
    let report = bench
        .block_on(run_with(&setup, &extras))
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.passed.len() >= 9, "{report:?}");
    bench
        .block_on(bench.provider.release(foreign))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn containers_conform() {
    let Some(bench) = Bench::new() else { return };
    let rendered = bench.shell("x", 1, "exec sleep 600", Vec::new()).rendered;
    conforms(&bench, rendered);
}

#[test]
fn machines_conform() {
    let Some(bench) = Bench::new() else { return };
    let mut rendered = bench.request("x", 1, Vec::new()).rendered;
    rendered.user_data = Some("#!/bin/sh\ntrue\n".to_owned());
    conforms(&bench, rendered);
}
