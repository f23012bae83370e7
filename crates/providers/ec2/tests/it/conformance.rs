//! The suite that every provider has to pass.

use std::pin::Pin;
use std::time::Duration;

use zenekar_base::{InfrastructureId, Millis, ProbeSpec};
use zenekar_provider::Provider as _;
use zenekar_provider::conformance::{Extras, Fault, Pause, Provoke, Setup, run_with};

use crate::simulator::{Simulator, simulator};
use crate::support::block_on;

/// The longest pause: what the simulator shows is true at once.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Real time.
struct Clock;

impl Pause for Clock {
    fn pause(&self, span: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(
            Duration::from_millis(span.0).min(PAUSE_MAX),
        ))
    }
}

/// The simulator, failing on purpose.
struct Failing<'a> {
    simulator: &'a Simulator,
    infrastructure: InfrastructureId,
}

impl Provoke for Failing<'_> {
    fn provoke(&self, fault: Fault) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            let name = match fault {
                Fault::TimeoutAfterEffect => "lost-answer",
                Fault::TimeoutWithoutEffect => "lost-request",
                Fault::ServerError => "server-error",
                Fault::Throttled => "throttled",
                Fault::Capacity => "capacity",
                Fault::Quota => "quota",
                // A port on which nobody listens is a test of its own.
                Fault::Unreachable => return false,
            };
            let rule = format!(", \"fault\": \"{name}\"");
            self.simulator.rule(&self.infrastructure, &rule).await;
            true
        })
    }

    fn relent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.simulator.rule(&self.infrastructure, ""))
    }
}

#[test]
fn the_adapter_conforms() {
    let Some(simulator) = simulator() else { return };
    if !simulator.has_hosts {
        println!("skipped: instances of the simulator have no hosts");
        return;
    }
    block_on(async {
        let provider = simulator.open();
        let setup = Setup {
            provider: &provider,
            pause: &Clock,
            infrastructure: Simulator::infrastructure("conformance"),
            foreign: Simulator::infrastructure("foreign"),
            rendered: simulator.rendered(&[]),
            probe: ProbeSpec {
                ping: true,
                ..ProbeSpec::default()
            },
            poll: Millis(200),
            ready_max: Millis::from_secs(120),
        };
        let failing = Failing {
            simulator: &simulator,
            infrastructure: setup.infrastructure.clone(),
        };
        let extras = Extras {
            impossible: Some(simulator.rendered(&[("image_id", "ami-0fff".into())])),
            provoke: Some(&failing),
        };
        let report = run_with(&setup, &extras).await;
        let report = report.unwrap_or_else(|failure| panic!("{failure}"));
        // User-data is handed out once, and too much of it may fit when compressed.
        assert_eq!(
            report.skipped,
            [
                "a contextualisation in place counts once",
                "too much user-data is refused"
            ],
            "{report:?}"
        );
        assert_eq!(report.passed.len(), 18, "{report:?}");
        provider.release(setup.infrastructure).await.unwrap();
    });
}
