//! The whole descriptor, as the rules see it: implementations with what they
//! put onto their instances, and the nodes that use them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use zenekar_diagnostics::Span;
use zenekar_document::{Document, View};
use zenekar_model::Topology;
use zenekar_occopus::{ImplementationSection, NodeSection, Sections};

use crate::machine::Machine;

/// A node that uses an implementation.
#[derive(Clone, Debug)]
pub(crate) struct User<'d> {
    pub(crate) section: NodeSection<'d>,
    /// Its position in the topology.
    pub(crate) index: usize,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Whether other nodes wait for it or read its address.
    pub(crate) is_needed: bool,
}

impl User<'_> {
    /// Says whether instances can be taken away while the node stays.
    pub(crate) fn can_shrink(&self) -> bool {
        self.max > self.min
    }
}

/// An implementation, what it puts onto its instances, and who uses it.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'d> {
    pub(crate) section: ImplementationSection<'d>,
    pub(crate) provider: &'d str,
    pub(crate) health: Option<View<'d>>,
    pub(crate) machine: Machine<'d>,
    pub(crate) users: Vec<User<'d>>,
}

impl<'d> Subject<'d> {
    /// Returns the user with the most instances.
    pub(crate) fn largest_user(&self) -> Option<&User<'d>> {
        self.users.iter().max_by_key(|user| user.max)
    }

    /// Returns a user from which instances can be taken away.
    pub(crate) fn shrinking_user(&self) -> Option<&User<'d>> {
        self.users.iter().find(|user| user.can_shrink())
    }

    /// Returns the place that stands for the health checks.
    pub(crate) fn health_place(&self) -> Span {
        let key = self
            .section
            .view
            .get_entry("health_check")
            .map(|entry| entry.key.span());
        key.unwrap_or(self.section.type_span)
    }

    /// Returns the ports that are checked, and where they are written.
    pub(crate) fn checked_ports(&self) -> Vec<(u16, Span)> {
        let ports = self.health.and_then(|health| health.get("ports"));
        let items = ports.into_iter().flat_map(View::items);
        items
            .filter_map(|item| Some((u16::try_from(item.as_int()?).ok()?, item.definition_span())))
            .collect()
    }

    /// Says whether URLs or databases are checked.
    pub(crate) fn checks_answers(&self) -> bool {
        ["urls", "mysqldbs"].iter().any(|key| {
            let list = self.health.and_then(|health| health.get(key));
            list.is_some_and(|list| list.items().len() > 0)
        })
    }
}

/// The whole descriptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Landscape<'d> {
    pub(crate) subjects: Vec<Subject<'d>>,
    pub(crate) variables: Option<View<'d>>,
    pub(crate) nodes: Vec<NodeSection<'d>>,
    /// Which words were looked for, and whether they are there.
    mentioned: RefCell<BTreeMap<&'static str, bool>>,
}

impl<'d> Landscape<'d> {
    /// Puts sections and the checked topology together. `inner` has, for every
    /// implementation, the document that its user-data is.
    pub(crate) fn new(
        sections: &'d Sections,
        topology: Option<&Topology>,
        inner: &'d [Option<Document>],
    ) -> Self {
        let nodes = sections.nodes();
        let implementations = sections.implementations();
        let mut users = users(&nodes, topology);
        let subjects = implementations
            .into_iter()
            .zip(inner)
            .map(|(section, inner)| Subject {
                section,
                provider: section
                    .view
                    .get("resource")
                    .and_then(|resource| resource.get("type"))
                    .and_then(View::as_str)
                    .unwrap_or_default(),
                health: section.view.get("health_check"),
                machine: Machine::read(section.view, inner.as_ref()),
                users: users
                    .remove(&(section.type_name, section.position))
                    .unwrap_or_default(),
            })
            .collect();
        Self {
            subjects,
            variables: sections.variables(),
            nodes,
            mentioned: RefCell::default(),
        }
    }

    /// Says whether a text of any implementation has a word.
    pub(crate) fn mentions(&self, word: &'static str) -> bool {
        let known = self.mentioned.borrow().get(word).copied();
        known.unwrap_or_else(|| {
            let found = self
                .subjects
                .iter()
                .any(|subject| subject.machine.mentions(word));
            self.mentioned.borrow_mut().insert(word, found);
            found
        })
    }
}

/// The users of implementations, by node type and position.
type Users<'d, 't> = BTreeMap<(&'t str, usize), Vec<User<'d>>>;

/// Returns the users of all implementations.
fn users<'d, 't>(nodes: &[NodeSection<'d>], topology: Option<&'t Topology>) -> Users<'d, 't> {
    let mut users = Users::new();
    let Some(topology) = topology else {
        return users;
    };
    let sections: BTreeMap<&str, &NodeSection<'d>> = nodes
        .iter()
        .map(|section| (section.name, section))
        .collect();
    let mut needed = vec![false; topology.nodes().len()];
    for node in topology.nodes() {
        let waited = node.dependencies.iter().map(|dependency| dependency.on);
        for other in waited.chain(node.references.iter().copied()) {
            if let Some(flag) = needed.get_mut(other.index()) {
                *flag = true;
            }
        }
    }
    for (index, node) in topology.nodes().iter().enumerate() {
        let definition = topology.definitions().get(node.definition as usize);
        let (Some(section), Some(definition)) = (sections.get(node.name.as_str()), definition)
        else {
            continue;
        };
        let user = User {
            section: **section,
            index,
            min: node.count.min,
            max: node.count.max,
            is_needed: needed[index],
        };
        for candidate in &node.candidates {
            let key = (definition.name.as_str(), *candidate as usize);
            users.entry(key).or_default().push(user.clone());
        }
    }
    users
}
