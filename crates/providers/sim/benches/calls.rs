//! What a call costs: processor time per call for 10,000 instances, the log included.
//!
//! Run with `cargo bench -p zenekar-provider-sim`. It measures and prints; it
//! asserts counts only, so that a slow machine is not a failure.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;
use zenekar_base::{
    InfrastructureId, InstanceKey, InstanceTag, ProbeSpec, ResourceId, Timestamp, Token, Value,
};
use zenekar_model::Rendered;
use zenekar_provider::{CreateRequest, ObserveScope, Provider};
use zenekar_provider_sim::{BoxFuture, SimClock, SimProvider};

/// Instances that are created.
const INSTANCES: u32 = 10_000;

/// Calls in flight: a batch of tasks that the scheduler runs in one turn.
const IN_FLIGHT: usize = 256;

#[derive(Default)]
struct JumpClock(AtomicI64);

impl SimClock for JumpClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_> {
        Box::pin(async move {
            self.0.fetch_max(at.0, Ordering::SeqCst);
        })
    }
}

fn request(key: u32) -> CreateRequest {
    let infrastructure = InfrastructureId::new("bench-0123456789");
    let resource = Value::Map(vec![
        ("region".to_owned(), "north".into()),
        ("cores".to_owned(), 2.into()),
    ]);
    CreateRequest {
        instance: InstanceTag::derive(&infrastructure, InstanceKey(key)),
        token: Token::derive(&infrastructure, InstanceKey(key), 1),
        name: format!("worker/{key}"),
        rendered: Rendered {
            resource,
            user_data: Some("#cloud-config\n".repeat(64)),
            ..Rendered::default()
        },
        infrastructure,
    }
}

/// Runs calls, some at a time, and returns their results in no particular order.
async fn all<T: Send + 'static>(
    calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    let mut results = Vec::new();
    for call in calls {
        if tasks.len() >= IN_FLIGHT {
            results.extend(tasks.join_next().await.expect("there are tasks").ok());
        }
        tasks.spawn(call);
    }
    while let Some(result) = tasks.join_next().await {
        results.extend(result.ok());
    }
    results
}

/// Returns the processor time of this process in microseconds, where the system tells it.
fn processor_us() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // The unit of these fields is 10 ms wherever Linux runs today.
    Some(ticks * 10_000)
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
async fn measure<T: Send + 'static>(
    name: &str,
    calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let (start, before) = (Instant::now(), processor_us());
    let results = all(calls).await;
    let count = results.len().max(1);
    let wall_us = start.elapsed().as_micros() / count as u128;
    let processor = before
        .zip(processor_us())
        .map(|(before, after)| (after - before) / count as u64);
    let processor = processor.map_or_else(|| "unknown".to_owned(), |us| format!("{us} us"));
    println!(
        "{name:<16} {count:>6} calls   processor {processor:>8} per call   wall {wall_us:>4} us per call"
    );
    results
}

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(JumpClock::default());
    let provider = SimProvider::open(directory.path(), clock).expect("opens");
    // The bench ends with the process, so tasks may borrow it for good.
    let provider: &'static SimProvider = Box::leak(Box::new(provider));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    runtime.block_on(async {
        let owner = || InfrastructureId::new("bench-0123456789");
        let requests: Vec<_> = (0..INSTANCES).map(request).collect();
        let created = measure(
            "create",
            requests.into_iter().map(|request| provider.create(request)),
        )
        .await;
        let ids: Vec<ResourceId> = created
            .into_iter()
            .filter_map(|view| Some(view.ok()?.resource))
            .collect();
        assert_eq!(ids.len(), INSTANCES as usize);
        let probes = ids.iter().cycle().take(3 * ids.len()).cloned();
        measure(
            "probe",
            probes.map(|id| provider.probe(owner(), id, ProbeSpec::default())),
        )
        .await;
        let batches: Vec<Vec<ResourceId>> = ids.chunks(1_000).map(<[_]>::to_vec).collect();
        let batches = batches.iter().cycle().take(200).cloned();
        measure(
            "observe 1,000",
            batches.map(|batch| provider.observe(owner(), ObserveScope::Resources(batch))),
        )
        .await;
        measure(
            "observe one",
            ids.iter()
                .cloned()
                .map(|id| provider.observe(owner(), ObserveScope::Resources(vec![id]))),
        )
        .await;
        measure(
            "delete",
            ids.iter().cloned().map(|id| provider.delete(owner(), id)),
        )
        .await;
        measure(
            "reopen",
            std::iter::once(async move {
                let files = zenekar_provider_sim::SimFiles::open(directory.path()).expect("opens");
                assert_eq!(files.cloud().counters().created, u64::from(INSTANCES));
            }),
        )
        .await;
    });
}
