//! Mistakes that several files make together, with places in the right one.

use zenekar_diagnostics::SourceMap;
use zenekar_occopus::{LoadOptions, load, load_definitions};

use crate::mistakes::check;
use crate::support::{Files, PLAIN};

const TWO_NODES: &str = "user_id: tester
infra_name: demo
nodes:
  - &web
    name: web
    type: web
  - &db
    name: db
    type: db
dependencies:
  - [*web, *db]
";

#[test]
fn across_files() {
    let db = "'node_def:db':\n  - resource:\n      type: sim\n";
    let web = "'node_def:web':
  - resource:
      type: sim
    contextualisation:
      type: cloudinit
      context_template: !yaml_import
        url: file://cloud_init_web.yaml
";
    let text_web = web.replace("yaml_import", "text_import");
    let both = format!("{web}{db}");
    let text_both = format!("{text_web}{db}");
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("file_missing", &[]),
        ("file_without_definitions", &[("infra.yaml", TWO_NODES)]),
        (
            "file_with_other_keys",
            &[
                ("infra.yaml", TWO_NODES),
                (
                    "nodes/node_definitions.yaml",
                    "web:\n  - resource:\n      type: sim\n",
                ),
            ],
        ),
        (
            "definition_in_two_files",
            &[
                ("infra.yaml", TWO_NODES),
                ("nodes/a.yaml", db),
                ("nodes/b.yaml", &both),
                (
                    "nodes/cloud_init_web.yaml",
                    "#cloud-config\npackages: [curl]\n",
                ),
            ],
        ),
        (
            "imported_template_unknown_node",
            &[
                ("infra.yaml", TWO_NODES),
                ("nodes/node_definitions.yaml", &both),
                (
                    "nodes/cloud_init_web.yaml",
                    "#cloud-config\nwrite_files:\n- path: /etc/app.conf\n  content: |\n    # the application\n    host: {{ getip('database') }}\n    port: 5432\n",
                ),
            ],
        ),
        (
            "imported_template_syntax",
            &[
                ("infra.yaml", TWO_NODES),
                ("nodes/node_definitions.yaml", &both),
                (
                    "nodes/cloud_init_web.yaml",
                    "#cloud-config\nruncmd:\n- \"echo \\\"{% if variables.a %}\\\"\"\n- echo done\n",
                ),
            ],
        ),
        (
            "imported_text_syntax",
            &[
                ("infra.yaml", TWO_NODES),
                ("nodes/node_definitions.yaml", &text_both),
                (
                    "nodes/cloud_init_web.yaml",
                    "#!/bin/sh\necho one\necho {{range service \"db\"}}\n",
                ),
            ],
        ),
        (
            "imported_text_not_yaml",
            &[
                ("infra.yaml", TWO_NODES),
                ("nodes/node_definitions.yaml", &text_both),
                (
                    "nodes/cloud_init_web.yaml",
                    "#cloud-config\nruncmd:\n- echo {{ 'a: b' }}\n  - too: deep\n",
                ),
            ],
        ),
        (
            "import_missing",
            &[
                ("infra.yaml", TWO_NODES),
                ("nodes/node_definitions.yaml", &both),
            ],
        ),
    ];
    for (name, files) in cases {
        check(name, Files::new(files).load());
    }
}

#[test]
fn given_definition_files_are_the_only_ones() {
    let files = Files::new(&[
        ("infra.yaml", TWO_NODES),
        ("nodes/node_definitions.yaml", PLAIN),
        ("other.yaml", PLAIN),
    ]);
    let options = LoadOptions {
        definitions: vec![files.path().join("other.yaml")],
        ..LoadOptions::default()
    };
    let (loaded, _) = files.load_with(&options);
    assert_eq!(
        loaded.summary.files,
        [
            files.path().join("infra.yaml"),
            files.path().join("other.yaml")
        ]
    );
    check("definitions_given", files.load_with(&options));
}

const ONE_NODE: &str = "user_id: tester\ninfra_name: demo\nnodes:\n- {name: web, type: plain}\n";

#[test]
fn of_given_definition_files_the_last_counts() {
    let files = Files::new(&[
        ("infra.yaml", ONE_NODE),
        (
            "one.yaml",
            "'node_def:plain':\n- resource: {type: sim, region: one}\n",
        ),
        (
            "two.yaml",
            "'node_def:plain':\n- resource: {type: sim, region: two}\n",
        ),
    ]);
    let options = LoadOptions {
        definitions: vec![files.path().join("one.yaml"), files.path().join("two.yaml")],
        ..LoadOptions::default()
    };
    let (loaded, findings) = files.load_with(&options);
    let topology = loaded.topology.expect("a warning does not stop it");
    let resource = &topology.definitions()[0].implementations[0].resource;
    assert_eq!(resource.get("region"), Some(&"two".into()), "{findings}");
    assert!(findings.contains("warning[ZK0309]"), "{findings}");
}

#[test]
fn definitions_elsewhere_include_from_around_their_usual_folder() {
    let include = "'node_def:plain':\n- resource: {type: sim}\n  contextualisation:\n    type: cloudinit\n    context_template: !text_import {url: file://../scripts/start.sh}\n";
    let files = Files::new(&[
        ("infra/infra.yaml", ONE_NODE),
        ("nodes/definitions.yaml", include),
        ("other/definitions.yaml", include),
        ("scripts/start.sh", "#!/bin/sh\n"),
    ]);
    let findings = |folder: &str| {
        let options = LoadOptions {
            definitions: vec![files.path().join(folder).join("definitions.yaml")],
            ..LoadOptions::default()
        };
        let mut sources = SourceMap::new();
        let loaded = load(
            &files.path().join("infra/infra.yaml"),
            &options,
            &mut sources,
        );
        let read = load_definitions(
            &options.definitions[0],
            &LoadOptions::default(),
            &mut sources,
        );
        (loaded.diagnostics.len(), read.diagnostics.len())
    };
    assert_eq!(findings("nodes"), (0, 0));
    assert_eq!(findings("other"), (1, 1));
}
