//! The same infrastructure on another provider.

use zenekar_base::{InfrastructureId, InstanceTag, Value};
use zenekar_model::{NodeIndex, RenderInput, Renderer};
use zenekar_occopus::{OccopusRenderer, retarget};

use crate::support::topology_of;

const CLOUD: &str = "user_id: tester
infra_name: demo
nodes:
  - name: web
    type: web
'node_def:web':
  - resource:
      type: ec2
      endpoint: https://ec2.example.org
      regionname: north
      image_id: ami-7
      instance_type: t3.small
      key_name: mine
    contextualisation:
      type: cloudinit
      context_template:
        runcmd: ['echo {{name}}']
    health_check:
      ports: [80]
";

#[test]
fn what_the_target_knows_is_kept_and_the_rest_is_listed() {
    let topology = topology_of(CLOUD);
    let (moved, lost) = retarget(&topology, "sim", &Vec::new());
    let implementation = moved.candidate(NodeIndex(0), 0).expect("one");
    assert_eq!(implementation.provider, "sim");
    assert_eq!(
        implementation.resource.get("region"),
        Some(&Value::from("north"))
    );
    assert_eq!(
        implementation.resource.get("instance_type"),
        Some(&Value::from("t3.small"))
    );
    assert_eq!(implementation.health.ports, [80]);
    let lost: Vec<String> = lost
        .iter()
        .map(|one| format!("{} {}: {}", one.definition, one.key, one.reason))
        .collect();
    insta::assert_snapshot!(lost.join("\n"), @r"
    web endpoint: `sim`: it needs no account
    web image_id: `sim`: it has no images
    web key_name: `sim`: nobody logs in there
    ");
}

#[test]
fn user_data_stays_and_the_resource_counts_as_changed() {
    let topology = topology_of(CLOUD);
    let (moved, _) = retarget(&topology, "local", &Vec::new());
    let (before, after) = (
        topology.nodes()[0].fingerprints[0],
        moved.nodes()[0].fingerprints[0],
    );
    assert_eq!(before.context, after.context);
    assert_ne!(before.resource, after.resource);
    let infrastructure = InfrastructureId::new("i");
    let instance = InstanceTag::new("n");
    let input = RenderInput {
        infrastructure: &infrastructure,
        node: NodeIndex(0),
        candidate: 0,
        instance: &instance,
        given: &[],
    };
    let rendered = OccopusRenderer::new()
        .render(&moved, &input)
        .expect("renderable");
    assert_eq!(
        rendered.user_data.as_deref(),
        Some("#cloud-config\nruncmd:\n- echo web")
    );
    assert_eq!(
        rendered.resource,
        Value::Map(vec![("type".to_owned(), "local".into())])
    );
}

#[test]
fn moving_to_where_it_is_changes_nothing() {
    let topology = topology_of(CLOUD);
    let (same, lost) = retarget(&topology, "ec2", &Vec::new());
    assert_eq!(same, topology);
    assert!(lost.is_empty());
    let (moved, _) = retarget(&topology, "sim", &Vec::new());
    assert_eq!(retarget(&moved, "sim", &Vec::new()).0, moved);
}
