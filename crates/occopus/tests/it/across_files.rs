//! Mistakes that several files make together, with places in the right one.

use zenekar_occopus::LoadOptions;

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
