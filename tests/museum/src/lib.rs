//! A museum of mistakes: each exhibit is a descriptor with a defect, or an
//! engine with one, and has a healthy twin that differs in nothing else.
//!
//! Exhibits are read like everybody's descriptors. What is expected of
//! verification: the defect is found, told with a run that can be carried out
//! again, and nothing is found at the twin within the same bounds.

mod catalog;
mod engines;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zenekar_diagnostics::{FileId, SourceMap, Span, render_concise};
use zenekar_document::{Limits, load_file};
use zenekar_engine::Defect;
use zenekar_model::{Behaviours, Topology};
use zenekar_occopus::{LoadOptions, load};
use zenekar_property::{PropertySet, Reader};
use zenekar_search::{Budget, Outcome, Strategy, never, search};
use zenekar_verify::{
    Action, Allowance, Breach, Comparison, Demand, Fault, Header, Provenance, ReplayFile, Setting,
    Step, Verdict, World, add_circle, record, replay,
};

/// What people ask for at a step.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// To bring it up.
    Up,
    /// The descriptor that comes next: `NAME.next`.
    Update,
    /// So many instances of a node.
    Scale(&'static str, u32),
    /// To take it down.
    Down,
    /// The same, without waiting for what was asked before.
    DownAtOnce,
}

/// One mistake, and what is to be said of it.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// Its name; that of its descriptor, unless it is an engine's defect.
    pub name: &'static str,
    /// The descriptor.
    pub descriptor: &'static str,
    /// The descriptor of the twin; the same where the engine has the defect.
    pub twin: String,
    /// The engine's defect, if it is the engine that has one.
    pub defect: Option<Defect>,
    /// What has to be found.
    pub expected: Breach,
    /// What people ask for.
    pub script: Vec<Ask>,
    /// What may go wrong.
    pub faults: Vec<Fault>,
    /// How often.
    pub faults_max: u8,
    /// How often the world may be slower than the engine.
    pub delays_max: u8,
    /// How many machines may be had.
    pub quota: Option<u32>,
    /// Whether people state properties, in `NAME.properties`.
    pub is_stated: bool,
}

impl Exhibit {
    /// A descriptor's defect: nothing has to go wrong to show it, unless it is said.
    fn descriptor(name: &'static str, expected: Breach) -> Self {
        Self {
            name,
            descriptor: name,
            twin: format!("{name}.healthy"),
            defect: None,
            expected,
            script: vec![Ask::Up, Ask::Down],
            faults: Vec::new(),
            faults_max: 0,
            delays_max: 1,
            quota: None,
            is_stated: false,
        }
    }

    /// An engine's defect.
    fn engine(
        name: &'static str,
        descriptor: &'static str,
        defect: Defect,
        expected: Breach,
    ) -> Self {
        Self {
            descriptor,
            twin: descriptor.to_owned(),
            defect: Some(defect),
            delays_max: 0,
            ..Self::descriptor(name, expected)
        }
    }

    fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self.faults_max += 1;
        self
    }

    fn asking(mut self, script: &[Ask]) -> Self {
        self.script = script.to_vec();
        self
    }

    fn delayed(mut self, delays_max: u8) -> Self {
        self.delays_max = delays_max;
        self
    }

    fn within(mut self, quota: u32) -> Self {
        self.quota = Some(quota);
        self
    }

    fn stated(mut self) -> Self {
        self.is_stated = true;
        self
    }

    /// Returns the setting of the exhibit, or of its twin.
    pub fn setting(&self, is_twin: bool) -> Setting {
        let name = if is_twin { &self.twin } else { self.descriptor };
        let (topology, behaviours) = read(name);
        let mut setting = Setting::new(topology, behaviours);
        setting.script = self.script.iter().map(|ask| step(name, *ask)).collect();
        // Before anything was asked for there is nothing to wait for.
        setting.script[0].waits = false;
        setting.faults = self.faults.iter().copied().collect();
        setting.quota = self.quota;
        setting.allowance = Allowance {
            faults: self.faults_max,
            delays: self.delays_max,
            ..Allowance::default()
        };
        if self.is_stated {
            setting.properties = Arc::new(properties(self.name));
        }
        setting.engine.defect = self.defect.filter(|_| !is_twin);
        setting
    }
}

/// Returns all exhibits.
pub fn exhibits() -> Vec<Exhibit> {
    let mut all = catalog::descriptors();
    all.extend(engines::engines());
    all
}

fn step(name: &str, ask: Ask) -> Step {
    let (demand, waits) = match ask {
        Ask::Up => (Demand::Up, true),
        Ask::Update => (Demand::Update(read(&format!("{name}.next")).0), true),
        Ask::Scale(node, count) => {
            let node = node.to_owned();
            (Demand::Scale { node, count }, true)
        }
        Ask::Down => (Demand::Down, true),
        Ask::DownAtOnce => (Demand::Down, false),
    };
    Step { demand, waits }
}

/// Returns the file of a descriptor.
pub fn file_of(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors");
    folder.join(format!("{name}.yaml"))
}

/// Reads a descriptor as the program does.
fn read(name: &str) -> (Arc<Topology>, Behaviours) {
    let mut sources = SourceMap::new();
    let loaded = load(&file_of(name), &LoadOptions::default(), &mut sources);
    let findings = render_concise(&loaded.diagnostics, &sources);
    let Some(topology) = loaded.topology else {
        panic!("`{name}` is no descriptor: {findings}");
    };
    let behaviours = zenekar_behaviour::derive(&topology, &loaded.annotations, &sources);
    (Arc::new(topology), behaviours)
}

/// Explores a world up to a number of states, as `verify` does.
pub fn explore(world: &World, strategy: &Strategy, states_max: u64) -> Outcome<Action> {
    let budget = Budget {
        states_max,
        threads: 2,
        ..Budget::default()
    };
    let mut outcome = search(world, strategy, &budget, &never);
    add_circle(world, &mut outcome, &never);
    outcome
}

/// Reads what people state of an exhibit.
fn properties(name: &str) -> PropertySet {
    let mut sources = SourceMap::new();
    let file = file_of(&format!("{name}.properties"));
    let loaded = load_file(&file, &Limits::default(), &mut sources);
    let mut reader = Reader::new();
    reader.document(&loaded.document);
    let (set, mistakes) = reader.finish();
    let findings = render_concise(&mistakes, &sources);
    assert!(mistakes.is_empty(), "{}: {findings}", file.display());
    set
}

/// Writes a run into a replay file, reads it again and carries it out. Returns
/// what is wrong at its end, if all that happens is as it was.
pub fn replayed(setting: &Setting, actions: &[Action]) -> Option<String> {
    let run = record(&World::new(setting.clone()), actions).ok()?;
    let header = Header::of(setting, &setting.topology, Provenance::default());
    let text = ReplayFile::new(header, &run, false).to_text();
    let (file, mistakes) = ReplayFile::parse(&text, FileId(0));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let file = file?;
    let updates = setting.script.iter().filter_map(|step| match &step.demand {
        Demand::Update(topology) => Some(Arc::clone(topology)),
        _ => None,
    });
    let behaviours = setting.behaviours.clone();
    let place = Span::empty(FileId(0), 0);
    let again = file
        .header
        .setting(&setting.topology, behaviours, updates.collect(), place);
    let mut again = again.ok()?;
    again.engine = setting.engine.clone();
    again.properties = Arc::clone(&setting.properties);
    let replayed = replay(&World::new(again), &file);
    match (replayed.comparison, replayed.run.verdict) {
        (Comparison::Same, Verdict::Violated { property, .. }) => Some(property),
        _ => None,
    }
}
