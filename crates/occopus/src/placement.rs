//! Says at which cloud nodes are: from what their resource sections name
//! (endpoint, region, project) to the provider's name that engines use.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use zenekar_base::{InfrastructureId, InstanceTag, Value};
use zenekar_model::{
    Contextualisation, Definition, Implementation, Node, NodeIndex, RenderInput, Renderer,
    Topology, TopologyParts,
};

use crate::render::OccopusRenderer;

/// Keys of resource sections that tell where a cloud is; those of all kinds.
const PLACE_KEYS: &[&str] = &[
    "type",
    "endpoint",
    "regionname",
    "region_name",
    "region",
    "project_id",
];

/// Gives every implementation the name that `name_of` makes of its kind and of
/// what its resource section says of the place, templates rendered. Where nodes
/// of one definition turn out to be at different places, each place gets a
/// definition of its own. Fingerprints stay: what the place is made from is part
/// of the resource section anyway.
pub fn place(topology: &Topology, mut name_of: impl FnMut(&str, &Value) -> String) -> Topology {
    // Most descriptors name no place by a template: then nothing is rendered.
    let reduced = LazyCell::new(|| reduce(topology));
    let renderer = OccopusRenderer::default();
    let mut definitions: Vec<Definition> = Vec::new();
    let mut known: BTreeMap<(u32, Vec<String>), u32> = BTreeMap::new();
    let mut nodes: Vec<Node> = topology.nodes().to_vec();
    let mut is_same = true;
    // Most nodes name their place without templates: then all of a definition agree.
    let mut constant: BTreeMap<u32, u32> = BTreeMap::new();
    for (position, node) in nodes.iter_mut().enumerate() {
        if let Some(settled) = constant.get(&node.definition) {
            node.definition = *settled;
            continue;
        }
        let index = NodeIndex(u32::try_from(position).unwrap_or(u32::MAX));
        let original = &topology.definitions()[node.definition as usize];
        let mut is_constant = true;
        let names: Vec<String> = original
            .implementations
            .iter()
            .enumerate()
            .map(|(number, implementation)| {
                let raw = only_place(implementation);
                if !has_template(&raw) {
                    return name_of(&implementation.provider, &raw);
                }
                is_constant = false;
                let candidate = node
                    .candidates
                    .iter()
                    .position(|one| *one as usize == number);
                let rendered = candidate
                    .and_then(|candidate| render_place(&renderer, &reduced, index, candidate))
                    .unwrap_or(raw);
                name_of(&implementation.provider, &rendered)
            })
            .collect();
        let mut named = original.implementations.iter().zip(&names);
        is_same &= named.all(|(one, name)| one.provider == *name);
        let before = node.definition;
        node.definition = *known.entry((before, names.clone())).or_insert_with(|| {
            let mut definition = original.clone();
            for (implementation, name) in definition.implementations.iter_mut().zip(names) {
                implementation.provider = name;
            }
            definitions.push(definition);
            u32::try_from(definitions.len() - 1).unwrap_or(u32::MAX)
        });
        if is_constant {
            constant.insert(before, node.definition);
        }
    }
    if is_same {
        return topology.clone();
    }
    let parts = TopologyParts {
        name: topology.name().to_owned(),
        user_id: topology.user_id().clone(),
        variables: topology.variables().clone(),
        definitions,
        nodes,
    };
    Topology::new(parts).expect("names, counts and dependencies are those of a valid topology")
}

/// Returns the topology with nothing in it but places, so that rendering a
/// node's place renders no user-data.
fn reduce(topology: &Topology) -> Topology {
    let definitions = topology.definitions().iter().map(|definition| Definition {
        name: definition.name.clone(),
        implementations: definition
            .implementations
            .iter()
            .map(|implementation| Implementation {
                provider: implementation.provider.clone(),
                resource: only_place(implementation),
                contextualisation: Contextualisation::None,
                ..Implementation::default()
            })
            .collect(),
    });
    let parts = TopologyParts {
        definitions: definitions.collect(),
        ..topology.to_parts()
    };
    Topology::new(parts).expect("names, counts and dependencies are those of a valid topology")
}

fn only_place(implementation: &Implementation) -> Value {
    let entries = implementation.resource.as_map().into_iter().flatten();
    let kept = entries.filter(|(key, _)| PLACE_KEYS.contains(&key.as_str()));
    Value::Map(kept.cloned().collect())
}

fn has_template(place: &Value) -> bool {
    let values = place.as_map().into_iter().flatten();
    let mut texts = values.filter_map(|(_, value)| value.as_str());
    texts.any(|text| text.contains("{{") || text.contains("{%"))
}

fn render_place(
    renderer: &OccopusRenderer,
    reduced: &Topology,
    node: NodeIndex,
    candidate: usize,
) -> Option<Value> {
    let infrastructure = InfrastructureId::new(reduced.name());
    let instance = InstanceTag::new("");
    let input = RenderInput {
        infrastructure: &infrastructure,
        node,
        candidate,
        instance: &instance,
        given: &[],
    };
    // What cannot be rendered was reported when the descriptor was read.
    Some(renderer.render(reduced, &input).ok()?.resource)
}
