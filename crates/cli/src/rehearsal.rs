//! Plays how an infrastructure comes up, to see what its instances get.

use std::sync::Arc;

use zenekar_base::{Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey};
use zenekar_diagnostics::did_you_mean;
use zenekar_model::{Implementation, NodeIndex, RenderInput, Rendered, Renderer as _, Topology};
use zenekar_occopus::OccopusRenderer;

use crate::errors::Failure;
use crate::exit::Exit;
use crate::host_commands::ThisMachine;

/// What stands for the addresses that instances will have: the documentation's
/// range for public ones (RFC 5737), a private range for private ones.
const PUBLIC_FIRST: u32 = 0xCB00_7100;
const PRIVATE_FIRST: u32 = 0x0A00_0000;

/// One instance that was rendered.
pub(crate) struct Shown<'a> {
    pub(crate) node: &'a str,
    pub(crate) index: u32,
    pub(crate) instance: InstanceTag,
    pub(crate) implementation: &'a Implementation,
    pub(crate) rendered: Rendered,
}

/// Which node, and which of its instances.
pub(crate) struct Subject {
    node: String,
    index: Option<u32>,
}

impl Subject {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let Some((node, index)) = text.split_once('/') else {
            return Ok(Self {
                node: text.to_owned(),
                index: None,
            });
        };
        let index = index.parse().map_err(|_| {
            Failure::usage(format!("`{text}` names no instance"))
                .hint(format!("the first one is `{node}/0`"))
        })?;
        Ok(Self {
            node: node.to_owned(),
            index: Some(index),
        })
    }

    pub(crate) fn check(&self, topology: &Topology) -> Result<(), Failure> {
        let nodes = || topology.nodes().iter();
        let Some(node) = nodes().find(|node| node.name == self.node) else {
            let failure = Failure::usage(format!("there is no node `{}`", self.node));
            let names = nodes().map(|node| node.name.as_str());
            return Err(match did_you_mean(&self.node, names) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure.hint("`zenekar render FILE` shows all nodes"),
            });
        };
        match self.index {
            Some(index) if index >= node.count.max => Err(Failure::usage(format!(
                "node `{}` has at most {} instances, numbered from 0",
                node.name, node.count.max
            ))),
            _ => Ok(()),
        }
    }

    fn is(&self, node: &str) -> bool {
        self.node == node
    }
}

/// Plays how an infrastructure comes up, one instance after the other, with
/// made-up addresses. The same descriptor always gives the same.
pub(crate) struct Rehearsal {
    renderer: OccopusRenderer,
    pub(crate) infrastructure: InfrastructureId,
    given: Vec<GivenNode>,
    counter: u32,
}

impl Rehearsal {
    pub(crate) fn new(
        topology: &Topology,
        infrastructure: InfrastructureId,
        allow_host_commands: bool,
    ) -> Self {
        let renderer = OccopusRenderer::new();
        let renderer = if allow_host_commands {
            renderer.with_host_commands(Arc::new(ThisMachine))
        } else {
            renderer
        };
        Self {
            renderer,
            infrastructure,
            given: Vec::with_capacity(topology.nodes().len()),
            counter: 0,
        }
    }

    pub(crate) fn run<'a>(
        &mut self,
        topology: &'a Topology,
        wanted: Option<&Subject>,
        all_instances: bool,
    ) -> Result<Vec<Shown<'a>>, Failure> {
        let mut order: Vec<NodeIndex> = topology.indices().collect();
        order.sort_by_key(|node| topology.level(*node));
        let mut shown = Vec::new();
        for node in order {
            let name = topology.node(node).name.as_str();
            let subject = wanted.filter(|subject| subject.is(name));
            let asked = subject.and_then(|subject| subject.index);
            let count = topology.node(node).count.min;
            for index in 0..count.max(asked.map_or(0, |index| index + 1)) {
                self.counter += 1;
                let instance =
                    InstanceTag::new(format!("00000000-0000-0000-0000-{:012}", self.counter));
                let is_asked = match (subject, asked) {
                    (Some(_), Some(asked)) => index == asked,
                    (Some(_), None) => all_instances || index == 0,
                    (None, _) => wanted.is_none() && (all_instances || index == 0),
                };
                if is_asked {
                    shown.push(self.render(topology, node, index, &instance)?);
                }
                if index < count {
                    self.register(node, name, instance);
                }
            }
        }
        Ok(shown)
    }

    fn render<'a>(
        &self,
        topology: &'a Topology,
        node: NodeIndex,
        index: u32,
        instance: &InstanceTag,
    ) -> Result<Shown<'a>, Failure> {
        let input = RenderInput {
            infrastructure: &self.infrastructure,
            node,
            candidate: 0,
            instance,
            given: &self.given,
        };
        let rendered = self
            .renderer
            .render(topology, &input)
            .map_err(|error| Failure::new(Exit::InvalidDescriptor, error.to_string()))?;
        let implementation = topology.candidate(node, 0).ok_or_else(|| {
            Failure::internal("a checked descriptor has a node without implementation")
        })?;
        Ok(Shown {
            node: &topology.node(node).name,
            index,
            instance: instance.clone(),
            implementation,
            rendered,
        })
    }

    /// Returns the made-up addresses that were given so far.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let instances = self.given.iter().flat_map(|node| &node.instances);
        let all = instances.flat_map(|one| {
            let private = one.addresses.private.iter();
            one.addresses.all.iter().chain(private)
        });
        all.cloned().collect()
    }

    fn register(&mut self, node: NodeIndex, name: &str, instance: InstanceTag) {
        let address = |first: u32| std::net::Ipv4Addr::from(first + self.counter).to_string();
        let address = GivenAddress {
            instance,
            addresses: Addresses {
                all: vec![address(PUBLIC_FIRST)],
                private: Some(address(PRIVATE_FIRST)),
            },
        };
        match self.given.last_mut().filter(|last| last.name == name) {
            Some(known) => known.instances.push(address),
            None => self.given.push(GivenNode {
                node: NodeKey(node.0),
                name: name.to_owned(),
                instances: vec![address],
            }),
        }
    }
}
