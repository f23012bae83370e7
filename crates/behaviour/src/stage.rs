//! Renders a node with made-up addresses that tell whose they are.

use std::fmt::Write as _;

use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey, ProbeSpec,
};
use zenekar_document::{Document, Limits, load_text};
use zenekar_lint::machine::{Machine, inner_document};
use zenekar_model::{NodeIndex, RenderInput, Rendered, Renderer, Topology};
use zenekar_occopus::{HostCommands, OccopusRenderer};

/// Instances of each node that are made up: two, so that a command that takes
/// all of them looks different from one that takes the first.
const INSTANCES_MAX: usize = 2;

/// The first two numbers of made-up addresses: a network for measurements
/// (RFC 2544), which nobody's descriptor names.
const PUBLIC: &str = "198.18.";
const PRIVATE: &str = "198.19.";

/// Nodes that can be told apart by address.
pub(crate) const NODES_MAX: usize = (1 << 16) / INSTANCES_MAX;

/// An instance that was made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host {
    /// The position of its node.
    pub(crate) node: usize,
    /// Which of the node's.
    pub(crate) instance: usize,
}

impl Host {
    fn given(self) -> GivenAddress {
        let number = self.node * INSTANCES_MAX + self.instance;
        let (high, low) = (number / 256, number % 256);
        GivenAddress {
            instance: InstanceTag::new(format!("instance-{}-{}", self.node, self.instance)),
            addresses: Addresses {
                all: vec![format!("{PUBLIC}{high}.{low}")],
                private: Some(format!("{PRIVATE}{high}.{low}")),
            },
        }
    }
}

/// Finds the made-up addresses of a text: whose, and where each begins and ends.
pub(crate) fn addresses_in(text: &str) -> Vec<(Host, usize, usize)> {
    let mut found = Vec::new();
    for prefix in [PUBLIC, PRIVATE] {
        for (start, _) in text.match_indices(prefix) {
            let rest = &text[start + prefix.len()..];
            let length = rest
                .bytes()
                .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
                .count();
            let digits = rest[..length].trim_end_matches('.');
            let Some((high, low)) = digits.split_once('.') else {
                continue;
            };
            let (Ok(high), Ok(low)) = (high.parse::<u8>(), low.parse::<u8>()) else {
                continue;
            };
            let number = usize::from(high) * 256 + usize::from(low);
            let host = Host {
                node: number / INSTANCES_MAX,
                instance: number % INSTANCES_MAX,
            };
            found.push((host, start, start + prefix.len() + digits.len()));
        }
    }
    found.sort_by_key(|(_, start, _)| *start);
    found
}

/// Lets templates have the output of commands without running any.
#[derive(Debug)]
struct NoCommands;

impl HostCommands for NoCommands {
    fn run(&self, _: &[String]) -> Result<String, String> {
        Ok("output-of-a-command".to_owned())
    }
}

/// Renders the nodes of one topology.
pub(crate) struct Stage<'t> {
    topology: &'t Topology,
    renderer: OccopusRenderer,
    infrastructure: InfrastructureId,
}

/// What an instance gets, as a document that can be read like a descriptor.
#[derive(Debug)]
pub(crate) struct Performance {
    document: Document,
    inner: Option<Document>,
    /// The image of a container, if it has one.
    pub(crate) image: Option<String>,
    pub(crate) probes: ProbeSpec,
}

impl Performance {
    /// Returns what is put onto the instance.
    pub(crate) fn machine(&self) -> Machine<'_> {
        self.document
            .root()
            .map(|root| Machine::read(root, self.inner.as_ref()))
            .unwrap_or_default()
    }
}

impl<'t> Stage<'t> {
    pub(crate) fn new(topology: &'t Topology) -> Self {
        Self {
            topology,
            renderer: OccopusRenderer::new().with_host_commands(std::sync::Arc::new(NoCommands)),
            infrastructure: InfrastructureId::new("00000000-0000-4000-8000-000000000000"),
        }
    }

    /// Returns what the first instance of a node gets; none where its templates fail.
    pub(crate) fn perform(&self, node: NodeIndex) -> Option<Performance> {
        let (rendered, probes) = self.render(node)?;
        let document = document_of(&rendered);
        let inner = document.root().and_then(inner_document);
        let image = rendered.resource.get("image");
        Some(Performance {
            image: image.and_then(|image| image.as_str()).map(str::to_owned),
            document,
            inner,
            probes,
        })
    }

    /// Renders what the first instance of a node gets, and its health checks.
    pub(crate) fn render(&self, node: NodeIndex) -> Option<(Rendered, ProbeSpec)> {
        let own = Host {
            node: node.index(),
            instance: 0,
        };
        let others = self.topology.node(node).references.iter().copied();
        let given: Vec<GivenNode> = others
            .chain([node])
            .map(|other| self.given(other))
            .collect();
        let own = own.given();
        let input = RenderInput {
            infrastructure: &self.infrastructure,
            node,
            candidate: 0,
            instance: &own.instance,
            given: &given,
        };
        let rendered = self.renderer.render(self.topology, &input).ok()?;
        let probes = self
            .renderer
            .probes(self.topology, &input, &own.addresses)
            .ok()?;
        Some((rendered, probes))
    }

    fn given(&self, node: NodeIndex) -> GivenNode {
        let count = self.topology.node(node).count.min as usize;
        let instances = (0..count.clamp(1, INSTANCES_MAX)).map(|instance| {
            let host = Host {
                node: node.index(),
                instance,
            };
            host.given()
        });
        GivenNode {
            node: NodeKey(node.0),
            name: self.topology.node(node).name.clone(),
            instances: instances.collect(),
        }
    }
}

/// Writes what was rendered as a section of a descriptor, and reads it again.
fn document_of(rendered: &Rendered) -> Document {
    let environment: Vec<String> = rendered
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let section = serde_json::json!({
        "contextualisation": {
            "context_template": rendered.user_data,
            "command": rendered.command,
            "env": environment,
        }
    });
    // JSON is YAML, except for this one letter, which YAML takes for a line end.
    let mut text = String::new();
    for letter in section.to_string().chars() {
        match letter {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _infallible = write!(text, "\\u{:04x}", u32::from(letter));
            }
            other => text.push(other),
        }
    }
    let mut scratch = zenekar_diagnostics::SourceMap::new();
    load_text("rendered", &text, &Limits::default(), &mut scratch).document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_addresses_tell_whose_they_are() {
        for (node, instance) in [(0, 0), (0, 1), (300, 1), (NODES_MAX - 1, 1)] {
            let host = Host { node, instance };
            let given = host.given();
            let public = given.addresses.primary().expect("it has one");
            let private = given.addresses.private().expect("it has one");
            assert_ne!(public, private);
            let text = format!("http://{public}:80/ and {private}.");
            let found: Vec<Host> = addresses_in(&text).iter().map(|found| found.0).collect();
            assert_eq!(found, [host, host], "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_found() {
        assert!(addresses_in("198.18. 198.18.1 198.18.300.1 10.18.1.1").is_empty());
    }

    #[test]
    fn rendered_text_is_read_as_it_is() {
        let text = "#cloud-config\nruncmd:\n- \"echo 'é \u{85}\u{2028}\u{1f600}'\"\n";
        let rendered = Rendered {
            user_data: Some(text.to_owned()),
            ..Rendered::default()
        };
        let document = document_of(&rendered);
        let root = document.root().expect("a mapping");
        let context = root.get("contextualisation").expect("a section");
        let template = context.get("context_template").expect("a text");
        assert_eq!(template.as_str(), Some(text));
    }
}
