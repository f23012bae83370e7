//! The suite that every provider has to pass, for each isolation.

use std::pin::Pin;
use std::time::Duration;

use zenekar_base::{InfrastructureId, Millis, ProbeSpec};
use zenekar_provider::conformance::{Pause, Setup, run};
use zenekar_provider_local::Isolation;

use crate::bench::Bench;
use crate::place::with;

/// The longest pause: what this provider says is true at once, so that the
/// suite need not let anything settle.
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

fn conforms(bench: &Bench) {
    let setup = Setup {
        provider: &bench.provider,
        pause: &Clock,
        infrastructure: InfrastructureId::new("conformance"),
        foreign: InfrastructureId::new("foreign"),
        rendered: Bench::request_script("conformance", 1, "true").rendered,
        probe: ProbeSpec {
            ping: true,
            ..ProbeSpec::default()
        },
        poll: Millis(100),
        ready_max: Millis::from_secs(60),
    };
    let report = bench
        .block_on(run(&setup))
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(
        report.skipped,
        [
            "a token with other parameters does not create",
            "the token of a deleted instance creates nothing",
            "a call that fails has the effect and the class that it should",
            "too much user-data is refused",
            "what is impossible is refused",
            "what is ours is listed and can be deleted",
        ]
    );
    assert_eq!(report.passed.len(), 14, "{report:?}");
}

#[test]
fn namespaces_conform() {
    let name = "conformance::namespaces_conform";
    with(&[Isolation::Namespaces], name, conforms);
}

#[test]
fn user_namespaces_conform() {
    let name = "conformance::user_namespaces_conform";
    with(&[Isolation::UserNamespaces], name, conforms);
}

#[test]
fn plain_directories_conform() {
    let name = "conformance::plain_directories_conform";
    with(&[Isolation::Plain], name, conforms);
}
