//! What people have asked for, counted without the engine: its own belief of it
//! may be what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_model::Topology;

use crate::setting::{Demand, Setting};

/// How many instances of each node are to be there, by the place of the node.
type Counts = Vec<u32>;

/// The counts after each step of a script.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// By the number of steps that are done; none where the engine may have
    /// refused something.
    after: Vec<Option<Counts>>,
}

impl Asked {
    pub(crate) fn new(setting: &Setting, nodes: &[String]) -> Self {
        let mut wish = Some(Wish::default());
        let mut after = vec![Some(vec![0; nodes.len()])];
        for step in &setting.script {
            wish = wish.and_then(|wish| wish.with(&step.demand, setting));
            let counts = wish.as_ref().map(|wish| {
                let count = |name: &String| wish.counts.get(name).copied().unwrap_or(0);
                nodes.iter().map(count).collect()
            });
            after.push(counts);
        }
        Self { after }
    }

    /// Says whether nodes have as many instances as was asked for; `counted`
    /// says how many a node has.
    pub(crate) fn are(&self, done: usize, counted: impl Fn(usize) -> usize) -> bool {
        let Some(Some(counts)) = self.after.get(done) else {
            return true;
        };
        let mut counts = counts.iter().enumerate();
        counts.all(|(node, count)| counted(node) == *count as usize)
    }
}

/// What people want at some time.
#[derive(Clone, Debug, Default)]
struct Wish {
    topology: Option<Arc<Topology>>,
    counts: BTreeMap<String, u32>,
    /// Nodes whose counts were asked for.
    scaled: BTreeSet<String>,
    is_down: bool,
}

impl Wish {
    /// Returns what is wanted after another demand; none if the engine may refuse it.
    fn with(mut self, demand: &Demand, setting: &Setting) -> Option<Self> {
        if self.is_down {
            return None;
        }
        match demand {
            Demand::Up => self.describe(Arc::clone(&setting.topology))?,
            Demand::Update(topology) => self.describe(Arc::clone(topology))?,
            Demand::Scale { node, count } => {
                let topology = self.topology.as_ref()?;
                let described = topology.node(topology.find(node)?);
                let count = described.count.clamp(*count);
                self.counts.insert(node.clone(), count);
                self.scaled.insert(node.clone());
            }
            Demand::Down => {
                self.counts.clear();
                self.is_down = true;
            }
        }
        Some(self)
    }

    fn describe(&mut self, topology: Arc<Topology>) -> Option<()> {
        let mut counts = BTreeMap::new();
        for index in topology.indices() {
            let node = topology.node(index);
            if node.update.refuse_replacement {
                return None;
            }
            let kept = self.counts.get(&node.name);
            let kept = kept.filter(|_| self.scaled.contains(&node.name));
            let count = kept.map_or(node.count.min, |kept| node.count.clamp(*kept));
            counts.insert(node.name.clone(), count);
        }
        // Of a node that comes back nobody says how many there are to be.
        if !self.scaled.iter().all(|name| counts.contains_key(name)) {
            return None;
        }
        self.counts = counts;
        self.topology = Some(topology);
        Some(())
    }
}
