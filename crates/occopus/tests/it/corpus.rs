//! The public tutorials of Occopus, where they are at hand, against what the
//! original makes of them, in four tiers:
//!
//! 1. the descriptor is accepted,
//! 2. the same instances are created in the same order, from the same resources,
//! 3. they get the same contextualisation, as data,
//! 4. they get the same contextualisation, byte by byte.
//!
//! Nothing here knows a file by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey, Value,
};
use zenekar_diagnostics::{Diagnostic, SourceMap, render_concise};
use zenekar_document::{Limits, View, load_text};
use zenekar_model::{NodeIndex, RenderInput, Rendered, Renderer, Topology};
use zenekar_occopus::{LoadOptions, OccopusRenderer, load};

/// The infrastructure id of the recorded run.
const INFRASTRUCTURE: &str = "11111111-2222-3333-4444-555555555555";

/// What part of the instances has to get the same bytes.
const EQUAL_BYTES_PERCENT_MIN: usize = 95;

/// Returns the folder with the tutorials and the recorded results.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let given = std::env::var_os("ZENEKAR_CORPUS").map_or(beside, PathBuf::from);
    [given.join("occopus"), given]
        .into_iter()
        .find(|folder| folder.join(RECORDS).is_file())
}

/// The recorded results, one line for each instance.
const RECORDS: &str = "golden.jsonl";

/// How many instances, or tutorials, reach a tier.
#[derive(Clone, Copy, Debug, Default)]
struct Tier {
    reached: usize,
    of: usize,
}

impl Tier {
    fn count(&mut self, is_reached: bool) {
        self.of += 1;
        self.reached += usize::from(is_reached);
    }

    fn percent(self) -> usize {
        self.reached * 100 / self.of.max(1)
    }
}

#[derive(Default)]
struct Score {
    tiers: [Tier; 4],
    differences: Vec<String>,
}

#[test]
fn occopus_corpus() {
    let Some(corpus) = corpus() else {
        println!("skipped: there is no corpus of tutorials; ZENEKAR_CORPUS can name its folder");
        return;
    };
    let golden = std::fs::read_to_string(corpus.join(RECORDS)).expect("readable");
    let mut recorded: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for line in golden.lines().filter(|line| !line.trim().is_empty()) {
        let record: Json = serde_json::from_str(line).expect("JSON");
        let tutorial = record["tutorial"].as_str().expect("text").to_owned();
        recorded.entry(tutorial).or_default().push(record);
    }
    let mut score = Score::default();
    for folder in folders_in(&corpus) {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let records = recorded.remove(&*name);
        replay(&folder, &name, records.as_deref(), &mut score);
    }
    for name in recorded.keys() {
        score.tiers[0].count(false);
        score
            .differences
            .push(format!("{name}: the tutorial is not there"));
    }
    for difference in &score.differences {
        println!("{difference}");
    }
    let shown = |at: usize| {
        let Tier { reached, of } = score.tiers[at];
        format!(
            "T{} {reached}/{of} ({} %)",
            at + 1,
            score.tiers[at].percent()
        )
    };
    println!("{}  {}  {}  {}", shown(0), shown(1), shown(2), shown(3));
    assert!(score.tiers[0].of > 0, "no tutorial in {}", corpus.display());
    for tier in &score.tiers[..3] {
        assert_eq!(tier.reached, tier.of, "{}", score.differences.join("\n"));
    }
    assert!(
        score.tiers[3].percent() >= EQUAL_BYTES_PERCENT_MIN,
        "{}",
        score.differences.join("\n")
    );
}

fn entries_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths
}

pub(crate) fn folders_in(corpus: &Path) -> Vec<PathBuf> {
    let mut folders = entries_of(corpus);
    folders.retain(|path| path.is_dir());
    folders
}

/// Finds the description and the files with node definitions by what they hold.
pub(crate) fn descriptor_in(folder: &Path) -> (Option<PathBuf>, Vec<PathBuf>) {
    let (mut description, mut definitions, mut folders) =
        (None, Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in entries_of(&folder) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_yaml = path
                .extension()
                .is_some_and(|end| end == "yaml" || end == "yml");
            let Some(text) = is_yaml
                .then(|| std::fs::read_to_string(&path).ok())
                .flatten()
            else {
                continue;
            };
            if text.lines().any(|line| line.starts_with("infra_name")) {
                description.get_or_insert(path);
            } else if text.contains("node_def:") {
                definitions.push(path);
            }
        }
    }
    (description, definitions)
}

fn replay(folder: &Path, name: &str, records: Option<&[Json]>, score: &mut Score) {
    let (description, definitions) = descriptor_in(folder);
    let Some(description) = description else {
        score.tiers[0].count(false);
        score
            .differences
            .push(format!("{name}: there is no description"));
        return;
    };
    let options = LoadOptions {
        definitions,
        ..LoadOptions::default()
    };
    let mut sources = SourceMap::new();
    let loaded = load(&description, &options, &mut sources);
    score.tiers[0].count(loaded.topology.is_some() == records.is_some());
    match (loaded.topology, records) {
        (None, None) => {}
        (Some(_), None) => score
            .differences
            .push(format!("{name}: the original does not accept it")),
        (None, Some(_)) => score.differences.push(format!(
            "{name}: not accepted\n{}",
            render_concise(&loaded.diagnostics, &sources)
        )),
        (Some(topology), Some(records)) => {
            Replay::new(&topology, name, score).run(records);
        }
    }
}

/// Nodes in the order in which the original creates them: level by level.
fn creation_order(topology: &Topology) -> Vec<NodeIndex> {
    let mut order: Vec<NodeIndex> = topology.indices().collect();
    order.sort_by_key(|node| topology.level(*node));
    order
}

/// Plays the recorded run: the same ids, and the same addresses for what was
/// created before.
struct Replay<'a> {
    topology: &'a Topology,
    name: &'a str,
    score: &'a mut Score,
    renderer: OccopusRenderer,
    infrastructure: InfrastructureId,
    given: Vec<GivenNode>,
}

impl<'a> Replay<'a> {
    fn new(topology: &'a Topology, name: &'a str, score: &'a mut Score) -> Self {
        Self {
            topology,
            name,
            score,
            renderer: OccopusRenderer::new(),
            infrastructure: InfrastructureId::new(INFRASTRUCTURE),
            given: Vec::new(),
        }
    }

    fn run(mut self, records: &[Json]) {
        let mut wanted = records.iter();
        let mut counter = 0;
        for node in creation_order(self.topology) {
            let name = self.topology.node(node).name.clone();
            for index in 0..self.topology.node(node).count.min {
                counter += 1;
                let instance = InstanceTag::new(format!("00000000-0000-0000-0000-{counter:012}"));
                let label = format!("{} {name}[{index}]", self.name);
                let next = wanted.next().filter(|record| {
                    (record["node"].as_str(), record["idx"].as_u64())
                        == (Some(name.as_str()), Some(u64::from(index)))
                });
                if let Some(record) = next {
                    self.instance(node, &instance, &label, record);
                } else {
                    self.score.tiers[1].count(false);
                    let difference = format!("{label}: the original creates another one here");
                    self.score.differences.push(difference);
                }
                let addresses = Addresses {
                    all: vec![format!("203.0.113.{counter}")],
                    private: Some(format!("10.0.0.{counter}")),
                };
                self.register(
                    node,
                    &name,
                    GivenAddress {
                        instance,
                        addresses,
                    },
                );
            }
        }
        for record in wanted {
            self.score.tiers[1].count(false);
            self.score.differences.push(format!(
                "{} {}[{}]: only the original creates it",
                self.name, record["node"], record["idx"]
            ));
        }
    }

    fn register(&mut self, node: NodeIndex, name: &str, address: GivenAddress) {
        match self.given.iter_mut().find(|known| known.name == name) {
            Some(known) => known.instances.push(address),
            None => self.given.push(GivenNode {
                node: NodeKey(node.0),
                name: name.to_owned(),
                instances: vec![address],
            }),
        }
    }

    fn instance(&mut self, node: NodeIndex, instance: &InstanceTag, label: &str, record: &Json) {
        let input = RenderInput {
            infrastructure: &self.infrastructure,
            node,
            candidate: 0,
            instance,
            given: &self.given,
        };
        let rendered = match self.renderer.render(self.topology, &input) {
            Ok(rendered) => rendered,
            Err(error) => {
                for tier in &mut self.score.tiers[1..] {
                    tier.count(false);
                }
                self.score.differences.push(format!("{label}: {error}"));
                return;
            }
        };
        let found = sorted(rendered.resource.clone());
        let wanted = sorted(as_value(&record["resource"]));
        let provider = self
            .topology
            .candidate(node, 0)
            .map(|implementation| implementation.provider.as_str());
        let is_same_call = found == wanted && provider == record["type"].as_str();
        self.score.tiers[1].count(is_same_call);
        if !is_same_call {
            self.score
                .differences
                .push(format!("{label}: resource\n{found:?}\n{wanted:?}"));
        }
        let (equal_data, equal_bytes, difference) = match record["context"].as_str() {
            Some(wanted) => compare_text(&rendered, wanted),
            None => compare_container(&rendered, record),
        };
        let connections = rendered.attributes.get("connections").cloned();
        let connections = connections.unwrap_or_else(|| Value::List(Vec::new()));
        let wanted = as_value(&record["attributes"]["connections"]);
        let is_connected = sorted(connections) == sorted(wanted);
        self.score.tiers[2].count(equal_data && is_connected);
        self.score.tiers[3].count(equal_bytes);
        if !(equal_bytes && is_connected) {
            let kind = if equal_data { "bytes" } else { "data" };
            self.score
                .differences
                .push(format!("{label}: {kind}\n{difference}"));
        }
    }
}

fn compare_text(rendered: &Rendered, wanted: &str) -> (bool, bool, String) {
    let found = rendered.user_data.as_deref().unwrap_or_default();
    let lines = found.lines().zip(wanted.lines());
    let first = lines.clone().take_while(|(one, two)| one == two).count();
    let difference = format!(
        "line {}\n  found:  {:?}\n  wanted: {:?}",
        first + 1,
        found.lines().nth(first),
        wanted.lines().nth(first)
    );
    let equal_data = found == wanted || parsed(found) == parsed(wanted);
    (equal_data, found == wanted, difference)
}

fn compare_container(rendered: &Rendered, record: &Json) -> (bool, bool, String) {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let list = |json: &Json| json.as_array().cloned().unwrap_or_default();
    let environment: Vec<(String, String)> = list(&record["attributes"]["env"])
        .iter()
        .filter_map(|item| {
            let (name, value) = item.as_str()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let command = match &record["attributes"]["command"] {
        Json::Array(words) => Some(words.iter().map(text).collect()),
        Json::String(line) => shlex::split(line),
        _ => None,
    };
    let is_equal = rendered.environment == environment && rendered.command == command;
    let difference = format!(
        "  found:  {:?} {:?}\n  wanted: {environment:?} {command:?}",
        rendered.environment, rendered.command
    );
    (is_equal, is_equal, difference)
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

/// Sorts the items of lists as Python prints them: the recorded run lists the
/// addresses of several instances in no fixed order.
fn with_sorted_addresses(text: &str) -> String {
    let line = |line: &str| {
        let (Some(start), Some(end)) = (line.find("['"), line.find("']")) else {
            return line.to_owned();
        };
        let Some(items) = line.get(start + 2..end) else {
            return line.to_owned();
        };
        let mut items: Vec<&str> = items.split("', '").collect();
        items.sort_unstable();
        format!(
            "{}['{}']{}",
            &line[..start],
            items.join("', '"),
            &line[end + 2..]
        )
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns user-data as data; as text, if it is not YAML.
fn parsed(text: &str) -> Value {
    let mut sources = SourceMap::new();
    let text = &with_sorted_addresses(text);
    let loaded = load_text("user-data", text, &Limits::default(), &mut sources);
    if loaded.diagnostics.iter().any(Diagnostic::is_error) {
        return Value::from(text.as_str());
    }
    let root = loaded.document.root();
    sorted(root.map(View::to_value).unwrap_or_default())
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
