//! Durable life cycles on the simulated cloud, in jumping time.
//!
//! `cargo bench -p zenekar-runtime --bench life_cycles [-- [--compare] INSTANCES…]`
//! prints for each size the processor time of the whole process, life cycles (from
//! planned to ready) per second, and the makespan as a ratio to the critical
//! path of the simulated latencies. Numbers are for reading: nothing fails.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints rounded numbers, and ends where something fails"
)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use zenekar_base::{Addresses, Fingerprint, InfrastructureId, ProbeSpec, Value};
use zenekar_engine::{Engine, Entry, Input};
use zenekar_model::{
    CountRange, Definition, Dependency, Implementation, Node, NodeFingerprint, NodeIndex,
    RenderError, RenderInput, Rendered, Renderer, Topology, TopologyParts, UpdateLimits,
};
use zenekar_provider::Provider;
use zenekar_provider_sim::{SimFiles, SimProvider};
use zenekar_runtime::{Cancel, Clock, Host, Observer, Outcome, Pace, Session, SharedStore, Until};
use zenekar_store::{Store, StoreOptions};

/// Layers of nodes, each of which needs the one before.
const LAYERS: u32 = 5;

/// What a machine of the benchmark takes: exact, so that the critical path is known.
const CREATE_MS: i64 = 500;
const BOOT_MS: i64 = 12_000;
const CONTEXTUALISE_MS: i64 = 12_000;

struct Plain;

impl Renderer for Plain {
    fn render(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
    ) -> Result<Rendered, RenderError> {
        let candidate = topology
            .candidate(input.node, input.candidate)
            .ok_or_else(|| RenderError {
                message: "no such candidate".to_owned(),
            })?;
        Ok(Rendered {
            resource: candidate.resource.clone(),
            user_data: Some("#cloud-config\n".to_owned()),
            ..Rendered::default()
        })
    }
    fn probes(
        &self,
        _: &Topology,
        _: &RenderInput<'_>,
        _: &Addresses,
    ) -> Result<ProbeSpec, RenderError> {
        Ok(ProbeSpec {
            ping: true,
            ..ProbeSpec::default()
        })
    }
}

fn topology(instances: u32) -> Arc<Topology> {
    let pairs = [
        ("create_ms", CREATE_MS),
        ("boot_ms", BOOT_MS),
        ("contextualise_ms", CONTEXTUALISE_MS),
    ];
    let resource = Value::Map(
        pairs
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .into(),
    );
    let implementation = Implementation {
        provider: "sim".to_owned(),
        resource,
        ..Implementation::default()
    };
    let count = instances / LAYERS;
    let nodes = (0..LAYERS).map(|layer| Node {
        name: format!("layer-{layer}"),
        definition: 0,
        candidates: vec![0],
        fingerprints: vec![NodeFingerprint {
            resource: Fingerprint::of_text("bench"),
            context: Fingerprint::default(),
        }],
        count: CountRange {
            min: count,
            max: count,
        },
        variables: Value::Null,
        filter: Value::Null,
        scaling: Value::Null,
        dependencies: layer
            .checked_sub(1)
            .map(|on| Dependency {
                on: NodeIndex(on),
                on_address_change: None,
                mappings: Vec::new(),
            })
            .into_iter()
            .collect(),
        references: Vec::new(),
        update: UpdateLimits::default(),
    });
    let definitions = vec![Definition {
        name: "machine".to_owned(),
        implementations: vec![implementation],
    }];
    Arc::new(
        Topology::new(TopologyParts {
            name: "bench".to_owned(),
            definitions,
            nodes: nodes.collect(),
            ..TopologyParts::default()
        })
        .unwrap(),
    )
}

#[derive(Default)]
struct Counter {
    entries: u64,
}

impl Observer for Counter {
    fn entry(&mut self, _: &Engine, _: &Entry) {
        self.entries += 1;
    }
}

/// Returns the processor time of this process in seconds, with the share of the system.
fn cpu_seconds() -> (f64, f64) {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    // The kernel counts in hundredths of a second on all common builds.
    let field = |place: usize| {
        fields
            .get(place)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
            / 100.0
    };
    (field(11) + field(12), field(12))
}

async fn up(instances: u32) {
    let directory = tempfile::tempdir().unwrap();
    let files = SimFiles::open(&directory.path().join("cloud")).unwrap();
    let clock = Clock::start(Pace::Jump, files.anchor().unwrap().cloud);
    let sim: Arc<dyn Provider> =
        Arc::new(SimProvider::new(files, Arc::new(clock.clone())).unwrap());
    let host = Arc::new(Host {
        store: SharedStore::new(
            Store::open(&directory.path().join("state"), StoreOptions::read_write()).unwrap(),
        ),
        providers: BTreeMap::from([("sim".to_owned(), sim)]),
        renderer: Arc::new(Plain),
        clock: clock.clone(),
        parallel: None,
        seed: 1,
    });
    let (cpu_before, system_before) = cpu_seconds();
    let (wall_before, simulated_before) = (Instant::now(), clock.now());
    let id = InfrastructureId::new("bench");
    let mut session = Session::lead(host, &id, "bench", "bench").unwrap();
    let mut counter = Counter::default();
    let outcome = session
        .run(
            vec![Input::Intent(topology(instances))],
            Until::Settled,
            Cancel::never(),
            &mut counter,
        )
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Converged);
    let makespan_ms = clock.now().since(simulated_before).0;
    session.close().unwrap();
    let wall = wall_before.elapsed().as_secs_f64();
    let (cpu_after, system_after) = cpu_seconds();
    let cpu = cpu_after - cpu_before;
    let path_ms =
        u64::from(LAYERS) * u64::try_from(CREATE_MS + BOOT_MS + CONTEXTUALISE_MS).unwrap();
    println!(
        "{instances:>7} instances: {cpu:.2} CPU-s ({:.2} of it system), {wall:.2} s wall, {:.0} life cycles/s, {:.1} µs CPU each, {} facts, makespan {:.1} s = {:.3} x the critical path",
        system_after - system_before,
        f64::from(instances) / wall,
        cpu * 1e6 / f64::from(instances),
        counter.entries,
        makespan_ms as f64 / 1000.0,
        makespan_ms as f64 / path_ms as f64,
    );
}

fn main() {
    let sizes: Vec<u32> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![1_000, 10_000]
    } else {
        sizes
    };
    // As the command line does it, and for comparison.
    let both = std::env::args().any(|argument| argument == "--compare");
    for threads in if both { 1..=2 } else { 1..=1 } {
        println!("{threads} thread(s)");
        for instances in &sizes {
            let runtime = if threads == 1 {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
            } else {
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build()
            };
            runtime.unwrap().block_on(up(*instances));
        }
    }
}
