//! Authentication and configuration files: what is read, chosen and told, and
//! that no secret is ever shown.

use std::path::Path;

use zenekar_base::Value;
use zenekar_diagnostics::{SourceMap, render_concise, render_human};
use zenekar_occopus::{
    AuthenticationFile, AuthenticationSection, OccopusConfiguration, RedisSettings,
};

use crate::support::Files;

const RESOURCE: AuthenticationSection = AuthenticationSection::Resource;

/// Reads an authentication file; findings come as people see them.
fn read(text: &str) -> (Option<AuthenticationFile>, String) {
    let mut sources = SourceMap::new();
    let (file, diagnostics) = AuthenticationFile::load_text("auth_data.yaml", text, &mut sources);
    (file, render_human(&diagnostics, &sources, false))
}

fn section(parts: &[(&str, &str)]) -> Value {
    Value::Map(
        parts
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect(),
    )
}

const TWO_CLOUDS: &str = "
resource:
  -
    type: ec2
    auth_data:
      accesskey: AKIA1
      secretkey: first
  - type: nova
    endpoint: https://one.example.org:5000/v3
    auth_data: {username: me, password: second}
  - type: nova
    endpoint: https://two.example.org:5000/v3
    auth_data: {type: application_credential, id: seven, secret: third}
config_management:
  - type: chef
    endpoint: https://chef.example.org
    auth_data: {client_name: admin, client_key: fourth}
";

#[test]
fn an_entry_fits_if_all_its_keys_equal_those_of_the_section() {
    let (file, findings) = read(TWO_CLOUDS);
    assert_eq!(findings, "");
    let file = file.expect("a file without findings is read");
    assert_eq!(file.len(), 4);
    let secret = |resource: &Value, part: &str| {
        let found = file.find(RESOURCE, resource).expect("one fits at most");
        found.and_then(|secret| secret.get(part)).map(str::to_owned)
    };
    let ec2 = section(&[("image_id", "ami-1"), ("type", "ec2")]);
    assert_eq!(secret(&ec2, "secretkey").as_deref(), Some("first"));
    let two = section(&[
        ("type", "nova"),
        ("endpoint", "https://two.example.org:5000/v3"),
    ]);
    assert_eq!(secret(&two, "secret").as_deref(), Some("third"));
    let other = section(&[("type", "nova"), ("endpoint", "https://three.example.org")]);
    assert_eq!(secret(&other, "secret"), None);
    let chef = section(&[("type", "chef"), ("endpoint", "https://chef.example.org")]);
    assert_eq!(
        secret(&chef, "client_key"),
        None,
        "that is in the other list"
    );
    let found = file
        .find(AuthenticationSection::ConfigManagement, &chef)
        .expect("one fits")
        .expect("one fits");
    assert_eq!(
        found.names().collect::<Vec<_>>(),
        ["client_name", "client_key"]
    );
}

#[test]
fn several_entries_that_fit_are_an_error_that_names_them() {
    let text = "resource:\n  - {type: ec2, auth_data: {accesskey: a, secretkey: b}}\n  - {type: ec2, regionname: eu, auth_data: {accesskey: c, secretkey: d}}\n";
    let (file, _) = read(text);
    let file = file.expect("both are in order");
    let elsewhere = section(&[("type", "ec2"), ("regionname", "us")]);
    assert!(file.find(RESOURCE, &elsewhere).is_ok());
    let both = section(&[("type", "ec2"), ("regionname", "eu")]);
    let error = file.find(RESOURCE, &both).expect_err("two fit");
    assert_eq!(
        error.to_string(),
        "cannot determine authorization information: 2 entries of `resource` fit, those with `type: ec2` and `type: ec2, regionname: eu`"
    );
}

#[test]
fn secrets_are_not_shown_by_anything() {
    let (file, _) = read(TWO_CLOUDS);
    let shown = format!("{file:?}");
    for secret in ["AKIA1", "first", "second", "third", "fourth", "seven"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Each of these texts has a mistake beside or inside of the secret.
    let texts = [
        "resource:\n  - type: ec2\n    auth_data: {acceskey: TOPSECRET, secretkey: TOPSECRET}\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey: TOPSECRET: x\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey:TOPSECRET\n      secretkey: b\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey: \"TOPSECRET\n      secretkey: TOPSECRET\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey: \"\\qTOPSECRET\"\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey: {{TOPSECRET}}\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey: !TOPSECRET x\n",
        "resource:\n  - type: ec2\n    auth_data:\n      accesskey: *TOPSECRET\n",
        "resource:\n  - type: ec2\n    auth_data: TOPSECRET\n",
        "resource:\n  - type: ec2\n    auth_data: [TOPSECRET]\n",
        "resource: TOPSECRET\n",
        "TOPSECRET\n",
        "resource:\n  - type: nova\n    auth_data: {type: TOPSECRET}\n",
        "resources:\n  - type: ec2\n    auth_data: {accesskey: TOPSECRET}\n",
        "resource:\n  - type: chef\n    auth_data:\n      client_key: |\n        -----BEGIN\n        TOPSECRET\n       TOPSECRET\n",
    ];
    for text in texts {
        let (_, findings) = read(text);
        assert_ne!(findings, "", "{text}");
        assert!(!findings.contains("TOPSECRET"), "{text}\n{findings}");
    }
}

#[test]
fn imported_secrets_are_read_and_masked() {
    let files = Files::new(&[
        (
            "auth.yaml",
            "config_management:\n  - type: chef\n    auth_data:\n      client_nam: admin\n      client_key: !text_import {url: file://key.pem}\n",
        ),
        ("key.pem", "-----BEGIN-----\nTOPSECRET\n"),
    ]);
    let mut sources = SourceMap::new();
    let (file, diagnostics) =
        AuthenticationFile::load(&files.path().join("auth.yaml"), &mut sources);
    let chef = section(&[("type", "chef")]);
    let file = file.expect("warnings do not stop it");
    let secret = file
        .find(AuthenticationSection::ConfigManagement, &chef)
        .expect("one fits")
        .expect("one fits");
    assert_eq!(
        secret.get("client_key"),
        Some("-----BEGIN-----\nTOPSECRET\n")
    );
    let told: Vec<&str> = diagnostics.iter().map(|found| found.code.id).collect();
    assert_eq!(told, ["ZK0603", "ZK0602"]);
    let held: Vec<&str> = sources.ids().map(|id| sources.text(id)).collect();
    assert!(!held.concat().contains("TOPSECRET"));
}

#[test]
fn unsuitable_entries_are_told_and_do_not_stop_the_others() {
    let text = "
resource:
  - type: ec2
    auth_data: {accesskey: a, secretkey: b}
  - type: nova
    auth_data: {type: voms, proxy: x}
  - type: cloudsigma
    auth_data: {email: a@b.c, password: 0123, user: x}
  - type: cloudbroker
  - type: own
    auth_data: {anything: goes}
  - auth_data: {a: b}
";
    let (file, findings) = read(text);
    insta::assert_snapshot!("authentication_warnings", findings);
    let file = file.expect("warnings do not stop it");
    let sigma = section(&[("type", "cloudsigma")]);
    // The entry without any key fits everything, which is told above.
    assert!(file.find(RESOURCE, &sigma).is_err());
}

#[test]
fn files_of_another_shape_are_refused() {
    for text in [
        "- type: ec2\n",
        "resource: {type: ec2}\n",
        "resource: [ec2]\n",
        "resource:\n  - type: ec2\n    auth_data: [a]\n",
    ] {
        let (file, findings) = read(text);
        assert!(file.is_none(), "{text}");
        assert!(findings.contains("[ZK0601]"), "{text}\n{findings}");
    }
    let (file, findings) = read("resource:\n");
    assert!(file.expect("nothing is wrong").is_empty());
    assert_eq!(findings, "");
}

#[test]
fn a_missing_file_is_told() {
    let mut sources = SourceMap::new();
    let (file, diagnostics) =
        AuthenticationFile::load(Path::new("no/such/auth.yaml"), &mut sources);
    assert!(file.is_none());
    assert_eq!(diagnostics[0].code.id, "ZK0150");
}

fn configure(text: &str) -> (Option<OccopusConfiguration>, String) {
    let files = Files::new(&[("occopus_config.yaml", text)]);
    let mut sources = SourceMap::new();
    let path = files.path().join("occopus_config.yaml");
    let (configuration, diagnostics) = OccopusConfiguration::load(&path, &mut sources);
    let findings = render_concise(&diagnostics, &sources);
    let prefix = format!("{}/", files.path().display());
    (configuration, findings.replace(&prefix, ""))
}

#[test]
fn the_configuration_of_an_installation_is_taken() {
    let text = "
plugins: !python_import
  - occo.infobroker
  - occo.infobroker.uds
  - occo.plugins.resourcehandler.nova
components:
  rest:
    host: 0.0.0.0
    port: 5001
  resourcehandler: !ResourceHandler &rh
    protocol: null
  configmanager: !ConfigManager &cm
    protocol: null
  uds: !UDS &uds
    protocol: redis
    host: redis
    port: '6380'
    db: 2
    altdbs:
      node_def: 1
      infra: 10
  infobroker: !InfoRouter
    sub_providers:
      - !DynamicStateProvider
        resource_handler: *rh
        config_manager: *cm
      - !SynchronizationProvider
      - *uds
  eventlog: !EventLog
    protocol: logging
  dry_run: False
logging:
  version: 1
  handlers:
    console: {class: logging.StreamHandler, stream: ext://sys.stdout}
";
    let (configuration, findings) = configure(text);
    assert_eq!(findings, "");
    let configuration = configuration.expect("nothing is wrong");
    assert_eq!(configuration.rest_host.as_deref(), Some("0.0.0.0"));
    assert_eq!(configuration.rest_port, Some(5001));
    let redis = configuration.redis.expect("it is configured");
    assert_eq!((redis.host.as_str(), redis.port), ("redis", 6380));
    assert_eq!(redis.database_of("node_def"), 1);
    assert_eq!(redis.database_of("infra"), 10);
    assert_eq!(redis.database_of("other"), 2);
    assert!(!configuration.dry_run);
    assert_eq!(RedisSettings::default().port, 6379);
}

#[test]
fn what_cannot_be_used_of_a_configuration_is_told() {
    let text = "
plugins: !python_import [occo.plugins.resourcehandler.occi, mine.own]
components:
  uds: !UDS {protocol: dict}
  dry_run: true
extra: 1
";
    let (configuration, findings) = configure(text);
    insta::assert_snapshot!("configuration_warnings", findings);
    let configuration = configuration.expect("warnings do not stop it");
    assert!(configuration.dry_run);
    assert_eq!(configuration.redis, None);
}

#[test]
fn a_malformed_configuration_is_refused() {
    for (text, code) in [
        ("- a\n", "ZK0611"),
        ("components: [a]\n", "ZK0611"),
        ("components: {rest: {port: 70000}}\n", "ZK0611"),
        ("components: {uds: {altdbs: [1]}}\n", "ZK0611"),
        ("components: {dry_run: 'no'}\n", "ZK0611"),
        ("a: !!python/object/apply:os.system [date]\n", "ZK0118"),
        ("a: !Unknown {b: c}\n", "ZK0117"),
    ] {
        let (configuration, findings) = configure(text);
        assert_eq!(configuration, None, "{text}");
        assert!(findings.contains(code), "{text}\n{findings}");
    }
}

#[test]
fn tags_of_a_configuration_are_refused_in_descriptors() {
    let files = Files::new(&[(
        "infra.yaml",
        "plugins: !python_import [occo.infobroker]\nuds: !UDS {}\n",
    )]);
    let (loaded, findings) = files.load();
    assert!(loaded.topology.is_none());
    assert!(
        findings.contains("[ZK0118]") && findings.contains("[ZK0117]"),
        "{findings}"
    );
}
