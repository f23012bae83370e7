//! User-data that providers or cloud-init refuse: `ZK0716`, `ZK0721`.

use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceKey, InstanceTag, NodeKey,
};
use zenekar_diagnostics::codes::lint as codes;
use zenekar_diagnostics::{Diagnostic, Severity};
use zenekar_model::{NodeIndex, RenderInput, Renderer as _, Topology};
use zenekar_occopus::OccopusRenderer;

use crate::landscape::{Landscape, Subject};
use crate::report::Report;

/// Nodes whose user-data is rendered to measure it: all nodes of one
/// implementation get about the same.
const RENDERED_MAX: usize = 256;

/// Instances of another node whose addresses are made up.
const GIVEN_MAX: u32 = 1_000;

/// What a provider takes.
struct Limit {
    provider: &'static str,
    bytes: usize,
    /// Whether the limit is that of the text in base64.
    is_encoded: bool,
}

/// The limits that providers document; the page of the code has the sources.
const LIMITS: &[Limit] = &[
    Limit {
        provider: "ec2",
        bytes: 16_384,
        is_encoded: false,
    },
    Limit {
        provider: "nova",
        bytes: 65_535,
        is_encoded: true,
    },
    Limit {
        provider: "azure_vm",
        bytes: 65_535,
        is_encoded: false,
    },
];

/// Beginnings of texts that cloud-init reads.
const KNOWN_STARTS: &[&str] = &[
    "#cloud-config",
    "#!",
    "#include",
    "#cloud-boothook",
    "#upstart-job",
    "#part-handler",
    "## template: jinja",
    "Content-Type:",
    "MIME-Version:",
    "From ",
    "{{",
    "{%",
];

pub(super) fn check(landscape: &Landscape<'_>, topology: Option<&Topology>, report: &mut Report) {
    let renderer = OccopusRenderer::new();
    let mut rendered = 0;
    for subject in &landscape.subjects {
        check_start(subject, report);
        let Some(limit) = LIMITS
            .iter()
            .find(|limit| limit.provider == subject.provider)
        else {
            continue;
        };
        let Some(topology) = topology else { continue };
        let mut largest = None;
        for user in &subject.users {
            if rendered >= RENDERED_MAX {
                break;
            }
            rendered += 1;
            largest = largest.max(size_of(&renderer, topology, user.index, subject));
        }
        if let Some(size) = largest {
            judge(subject, limit, size, report);
        }
    }
}

fn judge(subject: &Subject<'_>, limit: &Limit, size: usize, report: &mut Report) {
    let (counted, how) = if limit.is_encoded {
        (size.div_ceil(3) * 4, "in base64")
    } else {
        (size, "before encoding")
    };
    let severity = if counted > limit.bytes {
        Severity::Error
    } else if counted > limit.bytes / 10 * 9 {
        Severity::Warning
    } else {
        return;
    };
    let place = subject
        .section
        .view
        .get("contextualisation")
        .and_then(|context| context.get_entry("context_template"));
    report.say(
        severity,
        &codes::USER_DATA_TOO_LARGE,
        place.map_or(subject.section.type_span, |entry| entry.key.span()),
        format!(
            "the user-data has {counted} bytes {how}; `{}` takes {}",
            limit.provider, limit.bytes
        ),
        "let the instance fetch large files, and compare their checksums",
    );
}

/// Renders a node's user-data with made-up addresses, and returns its size.
fn size_of(
    renderer: &OccopusRenderer,
    topology: &Topology,
    position: usize,
    subject: &Subject<'_>,
) -> Option<usize> {
    let node = topology.nodes().get(position)?;
    let candidate = node
        .candidates
        .iter()
        .position(|candidate| *candidate as usize == subject.section.position)?;
    let infrastructure = InfrastructureId::new("00000000-0000-4000-8000-000000000000");
    let tag = |number: u32| InstanceTag::derive(&infrastructure, InstanceKey(number));
    let given: Vec<GivenNode> = node
        .references
        .iter()
        .map(|other| {
            let count = topology.node(*other).count.min.clamp(1, GIVEN_MAX);
            let address = |number| GivenAddress {
                instance: tag(number),
                addresses: Addresses {
                    all: vec!["203.0.113.100".to_owned()],
                    private: Some("10.0.0.100".to_owned()),
                },
            };
            GivenNode {
                node: NodeKey(other.0),
                name: topology.node(*other).name.clone(),
                instances: (0..count).map(address).collect(),
            }
        })
        .collect();
    let input = RenderInput {
        infrastructure: &infrastructure,
        node: NodeIndex(u32::try_from(position).ok()?),
        candidate,
        instance: &tag(u32::MAX),
        given: &given,
    };
    // What cannot be rendered with made-up addresses was reported when it was loaded.
    let user_data = renderer.render(topology, &input).ok()?.user_data?;
    Some(user_data.len())
}

/// Looks at the first line of user-data that is one text.
fn check_start(subject: &Subject<'_>, report: &mut Report) {
    let context = subject.section.view.get("contextualisation");
    let is_cloud_init = context
        .and_then(|context| context.get("type"))
        .is_some_and(|kind| kind.as_str() == Some("cloudinit"));
    let Some(template) = context
        .and_then(|context| context.get("context_template"))
        .filter(|_| is_cloud_init)
    else {
        return;
    };
    let Some(text) = template.as_str() else {
        return;
    };
    let is_known = KNOWN_STARTS.iter().any(|start| text.starts_with(start));
    let first = text.lines().next().unwrap_or("");
    let is_mistyped = first.starts_with("#cloud-config")
        && first.trim_end() != "#cloud-config"
        && !first.starts_with("#cloud-config ")
        && !first.starts_with("#cloud-config-archive")
        && !first.starts_with("#cloud-config-jsonp");
    if text.trim().is_empty() || is_known && !is_mistyped {
        return;
    }
    report.add(
        Diagnostic::warning(
            &codes::NOT_USER_DATA,
            "cloud-init ignores text that begins like this",
        )
        .at(template.range_in(0, first.len()))
        .help("begin with `#cloud-config`, or with `#!` and an interpreter"),
    );
}
