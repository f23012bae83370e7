//! The public tutorials, where they are at hand: everything loads, and every
//! instance gets the same user-data as from the original.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey, Value,
};
use zenekar_diagnostics::{SourceMap, render_concise};
use zenekar_document::{Limits, View, load_text};
use zenekar_model::{NodeIndex, RenderInput, Renderer, Topology};
use zenekar_occopus::{LoadOptions, OccopusRenderer, load};

/// The infrastructure id of the recorded run.
const INFRASTRUCTURE: &str = "11111111-2222-3333-4444-555555555555";

fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/occopus");
    path.is_dir().then_some(path)
}

fn description_in(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a tutorial is a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    assert_eq!(files.len(), 1, "{}", folder.display());
    files.remove(0)
}

/// Loads a tutorial, and returns the warnings too.
fn load_tutorial(path: &Path) -> (Topology, String) {
    let mut sources = SourceMap::new();
    let loaded = load(path, &LoadOptions::default(), &mut sources);
    let findings = render_concise(&loaded.diagnostics, &sources);
    let Some(topology) = loaded.topology else {
        panic!("{}:\n{findings}", path.display())
    };
    (topology, findings)
}

/// Nodes in the order in which the original creates them: level by level.
fn creation_order(topology: &Topology) -> Vec<NodeIndex> {
    let mut order: Vec<NodeIndex> = topology.indices().collect();
    order.sort_by_key(|node| topology.level(*node));
    order
}

fn sorted(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        Value::Map(mut entries) => {
            entries.sort_by(|one, two| one.0.cmp(&two.0));
            Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, sorted(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

/// Indents the further lines of quoted texts, which the original's reader does not ask for.
fn with_indented_quotes(text: &str) -> String {
    let mut lines = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        lines.push(if is_open {
            format!("      {line}")
        } else {
            line.to_owned()
        });
        let value = line
            .split_once(": \"")
            .or_else(|| line.split_once("- \""))
            .map(|(_, value)| value);
        let inner = if is_open {
            line
        } else {
            value.unwrap_or_default()
        };
        if is_open || value.is_some() {
            let unescaped = inner.replace("\\\\", "").replace("\\\"", "");
            is_open = !unescaped.contains('"');
        }
    }
    lines.join("\n")
}

fn parsed(text: &str) -> Value {
    let mut sources = SourceMap::new();
    let loaded = load_text(
        "user-data",
        &with_indented_quotes(text),
        &Limits::default(),
        &mut sources,
    );
    let findings = render_concise(&loaded.diagnostics, &sources);
    assert!(
        loaded.diagnostics.iter().all(|one| !one.is_error()),
        "{findings}\n{text}"
    );
    sorted(
        loaded
            .document
            .root()
            .map(View::to_value)
            .unwrap_or_default(),
    )
}

fn as_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => number.as_i64().map_or_else(
            || Value::Float(zenekar_base::Float(number.as_f64().expect("a number"))),
            Value::from,
        ),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::List(items.iter().map(as_value).collect()),
        Json::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), as_value(value)))
                .collect(),
        ),
    }
}

/// The recorded run lists the addresses of several instances in no fixed order.
fn with_sorted_addresses(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        match (line.find("['"), line.find("']")) {
            (Some(start), Some(end)) if start < end => {
                let mut items: Vec<&str> = line[start + 2..end].split("', '").collect();
                items.sort_unstable();
                lines.push(format!(
                    "{}['{}']{}",
                    &line[..start],
                    items.join("', '"),
                    &line[end + 2..]
                ));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[derive(Default)]
struct Score {
    instances: usize,
    equal_bytes: usize,
    equal_data: usize,
    findings: String,
    faults: Vec<String>,
}

#[test]
fn tutorials_render_as_recorded() {
    let Some(corpus) = corpus() else {
        println!("skipped: the corpus of tutorials is not here");
        return;
    };
    let golden = std::fs::read_to_string(corpus.join("golden.jsonl")).expect("readable");
    let mut by_tutorial: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for line in golden.lines() {
        let record: Json = serde_json::from_str(line).expect("JSON");
        let tutorial = record["tutorial"].as_str().expect("text").to_owned();
        by_tutorial.entry(tutorial).or_default().push(record);
    }
    let mut score = Score::default();
    for (tutorial, records) in &by_tutorial {
        replay(&corpus.join(tutorial), records, &mut score);
    }
    let Score {
        instances,
        equal_bytes,
        equal_data,
        findings,
        faults,
    } = score;
    println!(
        "{findings}{} tutorials, {instances} instances: {equal_data} equal as data, {equal_bytes} byte by byte",
        by_tutorial.len()
    );
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert_eq!(equal_data, instances);
}

fn replay(folder: &Path, records: &[Json], score: &mut Score) {
    let (topology, findings) = load_tutorial(&description_in(folder));
    score.findings.push_str(&findings);
    let renderer = OccopusRenderer::new();
    let infrastructure = InfrastructureId::new(INFRASTRUCTURE);
    let mut given: Vec<GivenNode> = Vec::new();
    let mut counter = 0;
    let mut records = records.iter();
    for node in creation_order(&topology) {
        for index in 0..topology.node(node).count.min {
            counter += 1;
            let instance = InstanceTag::new(format!("00000000-0000-0000-0000-{counter:012}"));
            let record = records
                .next()
                .expect("the recorded run has as many instances");
            let name = &topology.node(node).name;
            assert_eq!(
                (record["node"].as_str(), record["idx"].as_u64()),
                (Some(name.as_str()), Some(u64::from(index)))
            );
            let input = RenderInput {
                infrastructure: &infrastructure,
                node,
                candidate: 0,
                instance: &instance,
                given: &given,
            };
            compare(&topology, &renderer, &input, record, score);
            let addresses = Addresses {
                all: vec![format!("203.0.113.{counter}")],
                private: Some(format!("10.0.0.{counter}")),
            };
            register(
                &mut given,
                node,
                name,
                GivenAddress {
                    instance,
                    addresses,
                },
            );
        }
    }
    assert!(records.next().is_none());
}

fn register(given: &mut Vec<GivenNode>, node: NodeIndex, name: &str, address: GivenAddress) {
    match given.iter_mut().find(|known| known.name == name) {
        Some(known) => known.instances.push(address),
        None => given.push(GivenNode {
            node: NodeKey(node.0),
            name: name.to_owned(),
            instances: vec![address],
        }),
    }
}

fn compare(
    topology: &Topology,
    renderer: &OccopusRenderer,
    input: &RenderInput<'_>,
    record: &Json,
    score: &mut Score,
) {
    score.instances += 1;
    let label = format!(
        "{} {}[{}]",
        record["tutorial"], record["node"], record["idx"]
    );
    let rendered = match renderer.render(topology, input) {
        Ok(rendered) => rendered,
        Err(error) => {
            score.faults.push(format!("{label}: {error}"));
            return;
        }
    };
    let mut is_equal = true;
    if sorted(rendered.resource.clone()) != sorted(as_value(&record["resource"])) {
        score.faults.push(format!(
            "{label}: resource\n{:?}\n{}",
            rendered.resource, record["resource"]
        ));
        is_equal = false;
    }
    if let Some(wanted) = record["context"].as_str() {
        let found = rendered.user_data.as_deref().unwrap_or_default();
        let (found, wanted) = (with_sorted_addresses(found), with_sorted_addresses(wanted));
        score.equal_bytes += usize::from(found == wanted);
        if parsed(&found) != parsed(&wanted) {
            score.faults.push(format!(
                "{label}: user-data\n--- found\n{found}\n--- wanted\n{wanted}"
            ));
            is_equal = false;
        }
    } else {
        let pairs = record["attributes"]["env"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item.as_str().expect("text"));
        let wanted: Vec<(String, String)> = pairs
            .map(|item| item.split_once('=').expect("a pair"))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        is_equal &= rendered.environment == wanted && rendered.command.is_some();
        score.equal_bytes += usize::from(rendered.environment == wanted);
    }
    score.equal_data += usize::from(is_equal);
}
