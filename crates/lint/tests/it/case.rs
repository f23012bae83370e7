//! A small descriptor, with one thing in it that a rule looks at.

use crate::support::Findings;

/// The node definitions of the tests: an implementation whose user-data is in
/// `context.yaml`.
const DEFINITIONS: &str = "'node_def:app':
  - resource:
      type: PROVIDER
      endpoint: e
      regionname: r
      image_id: i
      instance_type: t
    contextualisation:
      type: cloudinit
      context_template: !yaml_import
        url: file://context.yaml
HEALTH";

const EC2: &str = "      type: ec2";

/// A descriptor with one kind of instances.
pub(crate) struct Case {
    pub(crate) infra: String,
    pub(crate) definitions: String,
    pub(crate) context: String,
}

impl Case {
    /// One node, checked on a port, with this user-data.
    pub(crate) fn new(context: &str) -> Self {
        Self {
            infra: "infra_name: test\nuser_id: me\nnodes:\n  - name: app\n    type: app\n    scaling: { min: 1, max: 1 }\ndependencies: []\n".to_owned(),
            definitions: DEFINITIONS.replace("      type: PROVIDER", EC2).replace(
                "HEALTH",
                "    health_check:\n      ping: false\n      timeout: 900\n      urls: ['http://{{ip}}:7000/']\n",
            ),
            context: context.to_owned(),
        }
    }

    /// One node that runs these lines of a script.
    pub(crate) fn script(lines: &str) -> Self {
        let lines: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
        let body = lines.concat();
        Self::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /opt/setup.sh\n  permissions: '755'\n  content: |\n    #!/bin/bash\n    set -e\n{body}runcmd:\n- /opt/setup.sh\n"
        ))
    }

    pub(crate) fn scaled(mut self, min: u32, max: u32) -> Self {
        self.infra = self.infra.replace(
            "{ min: 1, max: 1 }",
            &format!("{{ min: {min}, max: {max} }}"),
        );
        self
    }

    pub(crate) fn health(mut self, lines: &str) -> Self {
        let start = self
            .definitions
            .find("    health_check:")
            .expect("there is a health check");
        self.definitions.truncate(start);
        self.definitions.push_str(lines);
        self
    }

    pub(crate) fn variables(mut self, lines: &str) -> Self {
        self.infra.push_str("variables:\n");
        self.infra.push_str(lines);
        self
    }

    pub(crate) fn findings(&self) -> Findings {
        Findings::of_texts(&[
            ("infra.yaml", &self.infra),
            ("nodes/node_definitions.yaml", &self.definitions),
            ("nodes/context.yaml", &self.context),
        ])
    }

    /// Asserts that a rule finds these texts, in the order of the lines.
    pub(crate) fn finds(&self, code: &str, expected: &[&str]) {
        let findings = self.findings();
        let places = findings.places(code);
        let texts: Vec<&str> = places.iter().map(|(_, _, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            expected,
            "{code} in\n{}\n{}",
            self.context,
            findings.concise()
        );
    }

    /// Asserts that a rule finds nothing.
    pub(crate) fn is_free_of(&self, code: &str) {
        self.finds(code, &[]);
    }
}
