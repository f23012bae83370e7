//! What rendering sees of an infrastructure, before and after it is a topology.

use zenekar_base::Value;
use zenekar_model::{Definition, Node, NodeIndex, Topology, TopologyParts};

/// The parts of an infrastructure that templates can refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) name: &'a str,
    pub(crate) user_id: &'a Value,
    pub(crate) variables: &'a Value,
    pub(crate) definitions: &'a [Definition],
    pub(crate) nodes: &'a [Node],
}

impl<'a> From<&'a Topology> for Scene<'a> {
    fn from(topology: &'a Topology) -> Self {
        Self {
            name: topology.name(),
            user_id: topology.user_id(),
            variables: topology.variables(),
            definitions: topology.definitions(),
            nodes: topology.nodes(),
        }
    }
}

impl<'a> From<&'a TopologyParts> for Scene<'a> {
    fn from(parts: &'a TopologyParts) -> Self {
        Self {
            name: &parts.name,
            user_id: &parts.user_id,
            variables: &parts.variables,
            definitions: &parts.definitions,
            nodes: &parts.nodes,
        }
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn node(self, index: NodeIndex) -> &'a Node {
        &self.nodes[index.index()]
    }

    /// Returns the node's mappings as templates see them: by the other node's name,
    /// `inbound` from those that it depends on and `outbound` to those that depend on it.
    pub(crate) fn mappings_of(self, index: NodeIndex) -> Value {
        let inbound = self
            .node(index)
            .dependencies
            .iter()
            .filter_map(|dependency| {
                let other = &self.nodes.get(dependency.on.index())?.name;
                Some((other.clone(), mapping_list(&dependency.mappings)))
            });
        let outbound = self.nodes.iter().filter_map(|node| {
            let dependency = node
                .dependencies
                .iter()
                .find(|dependency| dependency.on == index)?;
            Some((node.name.clone(), mapping_list(&dependency.mappings)))
        });
        Value::Map(vec![
            ("inbound".to_owned(), Value::Map(inbound.collect())),
            ("outbound".to_owned(), Value::Map(outbound.collect())),
        ])
    }
}

fn mapping_list(mappings: &[zenekar_model::Mapping]) -> Value {
    let one = |mapping: &zenekar_model::Mapping| {
        let attributes = vec![
            mapping.source.as_str().into(),
            mapping.destination.as_str().into(),
        ];
        Value::Map(vec![
            ("attributes".to_owned(), Value::List(attributes)),
            ("synch".to_owned(), Value::Bool(mapping.synchronous)),
        ])
    };
    Value::List(mappings.iter().map(one).collect())
}
