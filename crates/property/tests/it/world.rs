//! Global states as tables, and properties read from text.

use std::collections::BTreeMap;

use zenekar_diagnostics::{Diagnostic, SourceMap, render_concise};
use zenekar_document::{Limits, load_text};
use zenekar_property::{Datum, Monitor, NameRef, NodeRef, PropertySet, Reader, Valuation, Verdict};

/// A reported value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reported {
    Truth(bool),
    Integer(i64),
    Text(String),
}

/// One instance of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Instance {
    pub(crate) ready: bool,
    pub(crate) serving: bool,
    pub(crate) finished: bool,
    pub(crate) breakpoint: u32,
    pub(crate) values: BTreeMap<String, Reported>,
}

/// The instances of each node.
pub(crate) type State = BTreeMap<String, Vec<Instance>>;

/// A state behind the names of a set.
pub(crate) struct Table<'t> {
    pub(crate) state: &'t State,
    pub(crate) set: &'t PropertySet,
}

impl Table<'_> {
    fn instances(&self, node: NodeRef) -> &[Instance] {
        let name = &self.set.nodes()[node.index()];
        self.state.get(name).map_or(&[], Vec::as_slice)
    }

    fn number(&self, node: NodeRef, counts: impl Fn(&Instance) -> bool) -> u32 {
        let count = self
            .instances(node)
            .iter()
            .filter(|one| counts(one))
            .count();
        u32::try_from(count).expect("tests are small")
    }
}

impl Valuation for Table<'_> {
    fn count(&self, node: NodeRef) -> u32 {
        self.number(node, |_| true)
    }
    fn ready(&self, node: NodeRef) -> u32 {
        self.number(node, |instance| instance.ready)
    }
    fn serving(&self, node: NodeRef) -> u32 {
        self.number(node, |instance| instance.serving)
    }
    fn finished(&self, node: NodeRef) -> u32 {
        self.number(node, |instance| instance.finished)
    }
    fn breakpoint(&self, node: NodeRef, instance: u32) -> u32 {
        self.instances(node)[instance as usize].breakpoint
    }
    fn value(&self, node: NodeRef, instance: u32, name: NameRef) -> Option<Datum<'_>> {
        let name = &self.set.names()[name.index()];
        let value = self.instances(node)[instance as usize].values.get(name)?;
        Some(match value {
            Reported::Truth(truth) => Datum::Truth(*truth),
            Reported::Integer(number) => Datum::Integer(*number),
            Reported::Text(text) => Datum::Text(text),
        })
    }
}

/// An instance that reported some values.
pub(crate) fn reporting(values: &[(&str, Reported)]) -> Instance {
    Instance {
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..Instance::default()
    }
}

/// Reads a file of properties.
pub(crate) fn read(text: &str) -> (PropertySet, Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::new();
    let loaded = load_text("properties.yaml", text, &Limits::default(), &mut sources);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let mut reader = Reader::new();
    reader.document(&loaded.document);
    let (set, diagnostics) = reader.finish();
    (set, diagnostics, sources)
}

/// Reads a file of properties that is well formed.
pub(crate) fn read_well(text: &str) -> PropertySet {
    let (set, diagnostics, sources) = read(text);
    let errors: Vec<_> = diagnostics
        .into_iter()
        .filter(Diagnostic::is_error)
        .collect();
    assert!(errors.is_empty(), "{}", render_concise(&errors, &sources));
    set
}

/// What is wrong with a file, one line for each finding.
pub(crate) fn findings(text: &str) -> String {
    let (_, diagnostics, sources) = read(text);
    render_concise(&diagnostics, &sources)
}

/// Reads one formula.
pub(crate) fn formula(text: &str) -> Result<PropertySet, Box<Diagnostic>> {
    let mut sources = SourceMap::new();
    let file = sources.add("formula", text);
    let mut reader = Reader::new();
    reader.formula("the formula", text, file);
    let (set, mut diagnostics) = reader.finish();
    diagnostics
        .pop()
        .map_or(Ok(set), |finding| Err(Box::new(finding)))
}

/// Follows a run by the first property of a set; the states with the time before each.
pub(crate) fn follow(set: &PropertySet, run: &[(u64, State)]) -> (Vec<Verdict>, Verdict) {
    let monitor: Monitor = set.properties[0].compile();
    let mut state = monitor.initial();
    let mut verdicts = Vec::new();
    for (elapsed_ms, table) in run {
        let (next, verdict) = monitor.step(state, &Table { state: table, set }, *elapsed_ms);
        assert_eq!(verdict, monitor.verdict(next));
        state = next;
        verdicts.push(verdict);
    }
    (verdicts, monitor.at_end(state, true))
}

/// Says whether a predicate holds in a state.
pub(crate) fn holds(predicate: &str, state: &State) -> bool {
    let set = formula(&format!("always {predicate}"))
        .unwrap_or_else(|finding| panic!("{predicate}: {}", finding.message));
    follow(&set, &[(0, state.clone())]).1 == Verdict::Holds
}
