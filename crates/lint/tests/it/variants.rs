//! Descriptors that mean the same have the same findings.

use crate::case::Case;

/// User-data with findings of many rules.
const CONTEXT: &str = "#cloud-config
package_upgrade: true
write_files:
- path: /tmp/setup.sh
  permissions: '755'
  content: |
    #!/bin/bash
    wget http://example.org/tool-{{variables.version}}.tar.gz
    curl -s https://example.org/install.sh | bash
    while ! nc -z {{getip('app')}} 80; do sleep 1; done
    echo \"A=1 >> /etc/tool.conf\"
    dockerd -H tcp://0.0.0.0:2375 &
runcmd:
- /tmp/setup.sh || true
";

/// Returns the codes of all findings and the texts that they point to, sorted.
fn findings(case: &Case) -> Vec<(&'static str, String)> {
    let found = case.findings();
    let mut all: Vec<(&'static str, String)> = found
        .list
        .iter()
        .filter(|finding| finding.code.id.starts_with("ZK07"))
        .filter_map(|finding| {
            let span = finding.primary.as_ref()?.span;
            let text = found.sources.text(span.file);
            let part = text.get(span.start as usize..span.end as usize)?;
            Some((finding.code.id, part.to_owned()))
        })
        .collect();
    all.sort();
    all
}

fn case() -> Case {
    let mut case = Case::new(CONTEXT).variables("  version: '1.2'\n");
    case.infra = case.infra.replace("user_id: me", "user_id: me # somebody");
    case
}

#[test]
fn how_user_data_is_included_does_not_matter() {
    let imported = findings(&case());
    assert!(imported.len() >= 8, "{imported:?}");
    let mut as_text = case();
    as_text.definitions = as_text.definitions.replace("!yaml_import", "!text_import");
    assert_eq!(findings(&as_text), imported);
    let mut inline = case();
    let body: Vec<String> = CONTEXT
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    inline.definitions = inline.definitions.replace(
        "!yaml_import\n        url: file://context.yaml\n",
        &format!("\n{}", body.concat()),
    );
    assert_eq!(findings(&inline), imported);
    let mut block = case();
    block.definitions = block.definitions.replace(
        "!yaml_import\n        url: file://context.yaml\n",
        &format!("|\n{}", body.concat()),
    );
    assert_eq!(findings(&block), imported);
}

#[test]
fn names_and_the_order_of_keys_do_not_matter() {
    let plain = findings(&case());
    let mut renamed = case();
    renamed.infra = renamed.infra.replace("app", "other");
    renamed.definitions = renamed.definitions.replace("app", "other");
    renamed.context = renamed.context.replace("app", "other");
    assert_eq!(findings(&renamed).len(), plain.len());
    let mut permuted = case();
    let (head, run) = permuted
        .context
        .split_once("runcmd:\n")
        .expect("there are commands");
    let (line, rest) = head.split_once('\n').expect("there is a first line");
    permuted.context = format!("{line}\nruncmd:\n{run}{rest}");
    assert_eq!(findings(&permuted), plain);
}

#[test]
fn how_a_command_is_written_does_not_matter() {
    let url = "http://example.org/a";
    for item in [
        "- wget http://example.org/a",
        "- 'wget http://example.org/a'",
        "- \"wget http://example.org/a\"",
        "- sudo wget 'http://example.org/a'",
        "- >-\n  wget\n  http://example.org/a",
        "- |\n  wget -q \\\n    http://example.org/a",
        "- [sh, -c, 'wget http://example.org/a']",
        "- su - user -c \"wget http://example.org/a\"",
        "- bash -lc 'cd /tmp && wget http://example.org/a'",
        "- if true; then wget http://example.org/a; fi",
        "- x=$(curl -s http://example.org/a)",
    ] {
        let found = Case::new(&format!("#cloud-config\nruncmd:\n{item}\n")).findings();
        let places = found.places("ZK0713");
        let texts: Vec<&str> = places
            .iter()
            .map(|place| place.2.trim_matches('\''))
            .collect();
        assert_eq!(texts, [url], "{item}");
    }
    let list = Case::new("#cloud-config\nruncmd:\n- [wget, -q, http://example.org/a]\n").findings();
    assert_eq!(list.places("ZK0713").len(), 1);
}
