//! Breakpoints in what a front-end renders.

use std::sync::Arc;

use zenekar_base::{
    Addresses, Fingerprint, GivenAddress, GivenNode, InfrastructureId, InstanceKey, InstanceTag,
    NodeKey, ProbeSpec, Value,
};
use zenekar_live::instrument::InstrumentError;
use zenekar_live::{SteeredRenderer, Steering};
use zenekar_model::{
    CountRange, Definition, Implementation, Node, NodeFingerprint, NodeIndex, RenderError,
    RenderInput, Rendered, Renderer, Topology, TopologyParts, UpdateLimits,
};

/// Renders the same for everybody.
struct Fixed(Option<&'static str>);

impl Renderer for Fixed {
    fn render(&self, _: &Topology, _: &RenderInput<'_>) -> Result<Rendered, RenderError> {
        Ok(Rendered {
            user_data: self.0.map(str::to_owned),
            ..Rendered::default()
        })
    }

    fn probes(
        &self,
        _: &Topology,
        _: &RenderInput<'_>,
        _: &Addresses,
    ) -> Result<ProbeSpec, RenderError> {
        Ok(ProbeSpec::default())
    }
}

fn topology() -> Topology {
    let parts = TopologyParts {
        name: "demo".to_owned(),
        definitions: vec![Definition {
            name: "server".to_owned(),
            implementations: vec![Implementation::default()],
        }],
        nodes: vec![Node {
            name: "srv".to_owned(),
            definition: 0,
            candidates: vec![0],
            fingerprints: vec![NodeFingerprint {
                resource: Fingerprint::default(),
                context: Fingerprint::default(),
            }],
            count: CountRange { min: 1, max: 1 },
            variables: Value::Null,
            filter: Value::Null,
            scaling: Value::Null,
            dependencies: Vec::new(),
            references: Vec::new(),
            update: UpdateLimits::default(),
        }],
        ..TopologyParts::default()
    };
    Topology::new(parts).expect("it is well formed")
}

fn render(user_data: Option<&'static str>) -> (Option<String>, Option<Steering>) {
    let infrastructure = InfrastructureId::new("demo-1");
    let instance = InstanceTag::derive(&infrastructure, InstanceKey(1));
    let given = [GivenNode {
        node: NodeKey(7),
        name: "db".to_owned(),
        instances: vec![GivenAddress {
            instance: InstanceTag::derive(&infrastructure, InstanceKey(2)),
            addresses: Addresses {
                all: vec!["db.example".to_owned()],
                private: Some("10.0.0.7".to_owned()),
            },
        }],
    }];
    let renderer = SteeredRenderer::new(Arc::new(Fixed(user_data)), "http://10.0.0.1:5000", None);
    let input = RenderInput {
        infrastructure: &infrastructure,
        node: NodeIndex(0),
        candidate: 0,
        instance: &instance,
        given: &given,
    };
    let rendered = renderer.render(&topology(), &input).expect("it renders");
    if let Some(text) = &rendered.user_data {
        assert_eq!(
            text.contains(instance.as_str()),
            matches!(renderer.steering("srv"), Some(Steering::Points(_)))
        );
    }
    (rendered.user_data, renderer.steering("srv"))
}

#[test]
fn commands_with_addresses_of_others_get_breakpoints() {
    let (text, steering) = render(Some(
        "#cloud-config\nruncmd:\n- echo hello\n- join db.example\n- ping 10.0.0.7\n- ping 10.0.0.70\n",
    ));
    let Some(Steering::Points(points)) = steering else {
        panic!("{steering:?}");
    };
    let after: Vec<Option<usize>> = points.iter().map(|point| point.after).collect();
    assert_eq!(after, [None, Some(1), Some(2), Some(3)]);
    let text = text.expect("there is user-data");
    assert!(text.contains(
        "- join db.example\n- ${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint bp_1 status=$?\n"
    ));
    assert!(text.contains("\"nodeName\":\"srv\""));
}

#[test]
fn what_cannot_have_breakpoints_stays_as_it_is() {
    assert_eq!(render(None), (None, Some(Steering::NoUserData)));
    let text = "#cloud-config\nruncmd: [ls]\n";
    let unsteered = Steering::Unsteered(InstrumentError::Unusual);
    assert_eq!(render(Some(text)), (Some(text.to_owned()), Some(unsteered)));
}
