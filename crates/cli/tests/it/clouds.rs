//! `zenekar cloud`: names, credentials, and what is left over.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value;

use crate::real::{Cloud, Ec2Cloud, UP, describe, down, run_at, unique, variable};
use crate::sandbox::{Run, Sandbox, run};

/// Runs a command with something on its stdin.
fn with_input(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Run {
    let mut command = sandbox.command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A command that refuses at once does not read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the command ends");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

const KEYS: &str = "accesskey=AKIDEXAMPLE\nsecretkey=not-so-secret\n";

/// Returns the region of the simulated EC2.
fn region() -> String {
    variable("ZENEKAR_TEST_EC2_REGION").expect("the environment tells the region")
}

fn add_ec2(sandbox: &Sandbox, name: &str, endpoint: &str, region: &str) {
    let arguments = [
        "cloud",
        "add",
        name,
        "--type",
        "ec2",
        "--region",
        region,
        "--endpoint",
        endpoint,
        "--secret-stdin",
    ];
    with_input(sandbox, &arguments, KEYS).expect(0);
}

#[test]
fn a_cloud_is_added_listed_and_removed() {
    let sandbox = Sandbox::new();
    let empty = sandbox.ok(&["cloud", "list"]);
    assert_eq!(
        empty.stderr,
        "no cloud has a name; `zenekar cloud add NAME --type KIND` gives one\n"
    );
    add_ec2(&sandbox, "lab", "http://127.0.0.1:1/", "mars");
    sandbox.ok(&[
        "cloud",
        "add",
        "engine",
        "--type",
        "docker",
        "--endpoint",
        "tcp://10.0.0.5:2375",
    ]);
    sandbox.ok(&[
        "cloud",
        "add",
        "work",
        "--type",
        "aws",
        "--from-environment",
        "--set",
        "profile=work",
        "--default",
        "image_id=ami-1",
    ]);
    assert_eq!(
        sandbox.ok(&["cloud", "list"]).stdout,
        "NAME    TYPE    ENDPOINT             REGION  CREDENTIALS\n\
         engine  docker  tcp://10.0.0.5:2375  -       none\n\
         lab     ec2     http://127.0.0.1:1/  mars    sealed (key file)\n\
         work    ec2     -                    -       environment\n"
    );
    let list = sandbox.ok(&["cloud", "list", "--output", "json"]);
    assert!(!list.stdout.contains("AKIDEXAMPLE") && !list.stdout.contains("not-so-secret"));
    let clouds = list.json();
    assert_eq!(clouds["clouds"][1]["provider"], "ec2@cloud=lab,mars");
    assert_eq!(clouds["clouds"][1]["sealed_with"], "key file");
    assert_eq!(clouds["clouds"][2]["defaults"]["image_id"], "ami-1");

    let key = sandbox.path(".config/zenekar/key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the key is apart from the state");

    let again = with_input(
        &sandbox,
        &["cloud", "add", "lab", "--type", "ec2", "--secret-stdin"],
        KEYS,
    );
    let again = again.expect(9);
    assert!(
        again.stderr.contains("there is a cloud `lab` already"),
        "{}",
        again.stderr
    );
    sandbox.ok(&["cloud", "remove", "lab"]);
    let gone = sandbox.run(&["cloud", "remove", "lab"]).expect(2);
    assert!(
        gone.stderr.contains("there is no cloud `lab`"),
        "{}",
        gone.stderr
    );
}

#[test]
fn credentials_are_taken_from_files() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("secrets", "OS_USERNAME=me\nOS_PASSWORD=not-so-secret\n");
    let arguments = [
        "cloud",
        "add",
        "lab",
        "--type",
        "openstack",
        "--endpoint",
        "https://127.0.0.1:1/v3",
        "--secrets-file",
        "secrets",
    ];
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = sandbox.run(&arguments).expect(4);
    assert!(
        refused.stderr.contains("its mode is 644"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("chmod go="), "{}", refused.stderr);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.ok(&arguments);
    sandbox.write(
        "auth_data.yaml",
        "resource:\n  - type: ec2\n    regionname: mars\n    auth_data: {accesskey: a, secretkey: b}\n",
    );
    sandbox.ok(&[
        "cloud",
        "add",
        "mars",
        "--type",
        "ec2",
        "--region",
        "mars",
        "--from-auth-data",
        "auth_data.yaml",
    ]);
    let none = sandbox.run(&[
        "cloud",
        "add",
        "venus",
        "--type",
        "ec2",
        "--region",
        "venus",
        "--from-auth-data",
        "auth_data.yaml",
    ]);
    let none = none.expect(2);
    assert!(
        none.stderr.contains("has no entry for `ec2@venus`"),
        "{}",
        none.stderr
    );
    let mut passphrase = sandbox.command(&arguments);
    passphrase.arg("--replace");
    sandbox.write("passphrase", "correct horse battery\n");
    let path = sandbox.path("passphrase");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    passphrase.env("ZENEKAR_PASSPHRASE_FILE", &path);
    run(passphrase).expect(0);
    let list = sandbox.ok(&["cloud", "list", "--output", "json"]).json();
    assert_eq!(list["clouds"][0]["sealed_with"], "passphrase");
    // Without it, and with nobody to ask, the cloud cannot be used.
    let locked = sandbox.run(&["cloud", "test", "lab"]).expect(4);
    assert!(locked.stderr.contains("passphrase"), "{}", locked.stderr);
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["add", "lab", "--type", "moon"],
            2,
            "is no kind of cloud that can have a name",
        ),
        (
            &["add", "ec2", "--type", "ec2"],
            2,
            "it is the name of a kind of cloud",
        ),
        (
            &["add", "a b", "--type", "ec2"],
            2,
            "cannot be the name of a cloud",
        ),
        (
            &["add", "lab", "--type", "ec2"],
            2,
            "cannot ask for credentials",
        ),
        (
            &["add", "lab", "--type", "nova", "--secret-stdin"],
            2,
            "needs an endpoint",
        ),
        (
            &["add", "lab", "--type", "ec2", "--set", "secretkey=hunter2"],
            2,
            "is a secret",
        ),
        (
            &["add", "lab", "--type", "ec2", "--set", "hunter2"],
            2,
            "`--set` wants `KEY=VALUE`",
        ),
        (
            &[
                "add",
                "lab",
                "--type",
                "ec2",
                "--default",
                "password=hunter2",
            ],
            2,
            "is a secret",
        ),
        (
            &[
                "add",
                "lab",
                "--type",
                "ec2",
                "--endpoint",
                "http://me:hunter2@x/",
            ],
            2,
            "leave them out",
        ),
        (
            &["add", "lab", "--type", "ec2", "--project", "p"],
            2,
            "`ec2` has no setting `project`",
        ),
        (
            &[
                "add",
                "lab",
                "--type",
                "docker",
                "--set",
                "certificates=nowhere",
            ],
            2,
            "is not there",
        ),
        (
            &["add", "lab", "--type", "docker", "--secret-stdin"],
            2,
            "has no credentials",
        ),
        (
            &["add", "lab", "--type", "ec2", "--secret-stdin"],
            2,
            "and there are none",
        ),
        (
            &[
                "add",
                "lab",
                "--type",
                "ec2",
                "--secret-stdin",
                "--from-environment",
            ],
            2,
            "cannot be used with",
        ),
        (&["test"], 2, "no cloud has a name"),
        (&["test", "lab"], 2, "there is no cloud `lab`"),
        (&["test", "ec3"], 2, "did you mean `ec2`?"),
        (&["test", "local"], 2, "there is no cloud `local`"),
        (&["test", "ec2@cloud=gone"], 4, "there is no cloud `gone`"),
        (&["images", "ec2@a b"], 2, "is no name of a provider"),
        (
            &["orphans"],
            2,
            "no cloud has a name, and no infrastructure uses one",
        ),
        (&["orphans", "docker", "--yes"], 2, "--delete"),
        (&["remove", "../x"], 2, "there is no cloud"),
    ];
    for (arguments, code, reason) in cases {
        let words: Vec<&str> = ["cloud"].iter().chain(*arguments).copied().collect();
        let refused = sandbox.run(&words).expect(*code);
        assert!(
            refused.stderr.contains(reason),
            "{words:?}: {}",
            refused.stderr
        );
        assert!(
            !refused.stderr.contains("hunter2"),
            "{words:?}: {}",
            refused.stderr
        );
    }
    assert_eq!(sandbox.ok(&["cloud", "list"]).stdout, "");
}

#[test]
fn a_cloud_that_does_not_answer_is_told_of_within_its_time() {
    let sandbox = Sandbox::new();
    add_ec2(&sandbox, "lab", "http://127.0.0.1:1/", "mars");
    for command in [
        &["test", "lab"] as &[&str],
        &["images", "lab"],
        &["orphans", "lab"],
    ] {
        let words: Vec<&str> = ["cloud"].iter().chain(command).copied().collect();
        let failed = sandbox.run(&words).expect(5);
        assert!(failed.stderr.contains("127.0.0.1:1"), "{}", failed.stderr);
    }
    add_ec2(&sandbox, "other", "http://127.0.0.1:2/", "mars");
    let both = sandbox.run(&["cloud", "test"]).expect(5);
    assert!(
        both.stderr.contains("2 of 2 clouds do not work"),
        "{}",
        both.stderr
    );
    assert_eq!(both.stdout.lines().count(), 2);
}

#[test]
fn an_edited_endpoint_gets_no_secrets() {
    let sandbox = Sandbox::new();
    add_ec2(&sandbox, "lab", "http://127.0.0.1:1/", "mars");
    let path = sandbox.state().join("clouds/lab.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("127.0.0.1:1", "127.0.0.1:2")).unwrap();
    let refused = sandbox.run(&["cloud", "test", "lab"]).expect(4);
    assert!(
        refused
            .stderr
            .contains("were stored for endpoint `http://127.0.0.1:1/`"),
        "{}",
        refused.stderr
    );
}

/// Asks a cloud without a name: its credentials are where Amazon's tools look.
fn finds_out_whence_credentials_are(ec2: &Ec2Cloud) {
    let sandbox = Sandbox::new();
    let cloud = format!("ec2@{},{}", region(), ec2.endpoint);
    let words = ["cloud", "test", cloud.as_str(), "--output", "json"];
    let of = |tested: &Run| {
        let told = tested.json()["clouds"][0]["credentials"].clone();
        told.as_str().expect("it is told").to_owned()
    };
    let tested = run_at(&sandbox, ec2, &words).expect(0);
    assert_eq!(
        of(&tested),
        "the variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`"
    );
    let keys = "[work]\naws_access_key_id = test\naws_secret_access_key = test\n";
    sandbox.write("keys", keys);
    let mut command = sandbox.command(&words);
    command
        .env("AWS_PROFILE", "work")
        .env("AWS_SHARED_CREDENTIALS_FILE", sandbox.path("keys"));
    let told = of(&run(command).expect(0));
    assert!(told.starts_with("profile `work` of "), "{told}");
    assert!(told.contains("/keys`"), "{told}");
}

/// Endpoints that are none are refused before anybody types a secret.
#[test]
fn endpoints_are_addresses() {
    let sandbox = Sandbox::new();
    for (endpoint, reason) in [
        ("ftp://a", "is of `ftp`"),
        ("https://", "has no host"),
        ("https://a/?token=hunter2", "has a query"),
        ("https://a:99999", "has the port `99999`"),
        ("https://me:hunter2@a", "password before its `@`"),
    ] {
        let words = [
            "cloud",
            "add",
            "lab",
            "--type",
            "ec2",
            "--endpoint",
            endpoint,
        ];
        let refused = sandbox.run(&words).expect(2);
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }
}

#[test]
fn an_ec2_is_looked_at() {
    let Some(ec2) = Ec2Cloud::find() else { return };
    let sandbox = Sandbox::new();
    add_ec2(&sandbox, "lab", &ec2.endpoint, &region());
    let tested = run_at(
        &sandbox,
        &ec2,
        &["cloud", "test", "lab", "--output", "json"],
    )
    .expect(0);
    assert_eq!(tested.json()["clouds"][0]["works"], true);
    assert!(tested.json()["clouds"][0]["account"].is_string());
    let text = run_at(&sandbox, &ec2, &["cloud", "test"]).expect(0).stdout;
    assert!(text.starts_with("✓ lab: "), "{text}");
    assert!(
        text.contains("credentials: sealed here as cloud `lab`"),
        "{text}"
    );
    finds_out_whence_credentials_are(&ec2);
    let images = run_at(
        &sandbox,
        &ec2,
        &["cloud", "images", "lab", "--output", "json"],
    )
    .expect(0);
    assert!(!images.json()["images"].as_array().unwrap().is_empty());
    let one = run_at(
        &sandbox,
        &ec2,
        &["cloud", "images", "lab", "-n", "1", "--output", "json"],
    );
    assert_eq!(one.expect(0).json()["images"].as_array().unwrap().len(), 1);
    let offers = run_at(
        &sandbox,
        &ec2,
        &["cloud", "offers", "lab", "--cores", "2", "--output", "json"],
    );
    for offer in offers.expect(0).json()["offers"].as_array().unwrap() {
        assert!(
            offer["cores"].as_u64().is_none_or(|cores| cores >= 2),
            "{offer}"
        );
    }
    run_at(&sandbox, &ec2, &["cloud", "quota", "lab"]).expect(0);
}

/// Returns the kinds, names and standings of what is listed of an infrastructure.
fn standings(run: &Run, infrastructure: &str) -> Vec<(String, String, String)> {
    let value = run.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String, String)> = value["clouds"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|cloud| cloud["things"].as_array().expect("a list"))
        .filter(|thing| text(&thing["infrastructure"]).starts_with(infrastructure))
        .map(|thing| {
            (
                text(&thing["kind"]),
                text(&thing["infrastructure"]),
                text(&thing["standing"]),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn what_is_left_over_is_told_apart_and_deleted() {
    let Some(ec2) = Ec2Cloud::find() else { return };
    let cloud: &dyn Cloud = &ec2;
    let sandbox = Sandbox::new();
    let name = unique("orphans");
    describe(&sandbox, cloud, &name, 1);
    run_at(&sandbox, cloud, &UP).expect(0);
    let list = ["cloud", "orphans", "--output", "json"];
    let all = standings(&run_at(&sandbox, cloud, &list).expect(0), &name);
    assert!(
        all.iter().filter(|(kind, ..)| kind == "instance").count() == 2,
        "{all:?}"
    );
    assert!(
        all.iter().all(|(.., standing)| standing == "wanted"),
        "{all:?}"
    );
    let idle = run_at(&sandbox, cloud, &["cloud", "orphans", "--delete", "--yes"]);
    assert!(idle.expect(0).stderr.contains("nothing is left over"));
    assert_eq!(cloud.machines(&name).len(), 2);

    // An older copy of the state does not know what was made since.
    let copy = Sandbox::new();
    let exported = sandbox.path("exported").display().to_string();
    sandbox.ok(&["state", "export", &name, "--file", &exported]);
    copy.ok(&["state", "import", &exported]);
    run_at(
        &sandbox,
        cloud,
        &["scale", &name, "web=2", "--timeout", "180s"],
    )
    .expect(0);
    assert_eq!(cloud.machines(&name).len(), 3);
    let detailed = [
        "cloud",
        "orphans",
        "--detailed-exit-code",
        "--output",
        "json",
    ];
    let left = standings(&run_at(&copy, cloud, &detailed).expect(10), &name);
    let count = |wanted: &str| {
        let of_kind = |(kind, _, standing): &&(String, String, String)| {
            kind == "instance" && standing == wanted
        };
        left.iter().filter(of_kind).count()
    };
    assert_eq!(
        (count("wanted"), count("left-over"), count("foreign")),
        (2, 1, 0),
        "{left:?}"
    );
    let asked = run_at(&copy, cloud, &["cloud", "orphans", "--delete"]).expect(2);
    assert!(
        asked.stderr.contains("cannot ask for confirmation"),
        "{}",
        asked.stderr
    );
    assert_eq!(cloud.machines(&name).len(), 3);
    let deleted = run_at(&copy, cloud, &["cloud", "orphans", "--delete", "--yes"]).expect(0);
    assert!(
        deleted.stderr.contains("1 thing deleted"),
        "{}",
        deleted.stderr
    );
    assert_eq!(cloud.machines(&name).len(), 2);

    // To another state all of it is somebody else's.
    let stranger = Sandbox::new();
    let key = format!("ec2@{},{}", region(), ec2.endpoint);
    let key = key.as_str();
    let list = ["cloud", "orphans", key, "--output", "json"];
    let foreign = standings(&run_at(&stranger, cloud, &list).expect(0), &name);
    assert!(
        foreign.iter().all(|(.., standing)| standing == "foreign"),
        "{foreign:?}"
    );
    run_at(
        &stranger,
        cloud,
        &["cloud", "orphans", key, "--delete", "--yes"],
    )
    .expect(0);
    assert_eq!(cloud.machines(&name).len(), 2, "what is foreign stays");
    let tag = foreign[0].1.clone();
    let wrong = ["cloud", "orphans", key, "--of", "nobody.000000000000"];
    run_at(&stranger, cloud, &wrong).expect(2);
    let own = run_at(&sandbox, cloud, &["cloud", "orphans", "--of", &tag]).expect(2);
    assert!(own.stderr.contains("is in this state"), "{}", own.stderr);
    let words = [
        "cloud", "orphans", key, "--of", &tag, "--delete", "--yes", "--output", "json",
    ];
    let deleted = run_at(&stranger, cloud, &words).expect(0).json();
    for outcome in deleted["deletions"].as_array().unwrap() {
        assert_eq!(outcome["gone"], true, "{outcome}");
    }
    assert!(cloud.machines(&name).is_empty());
    assert!(cloud.others(&name).is_empty(), "{:?}", cloud.others(&name));
    // Who made it notices, and takes what is left of it down.
    run_at(&sandbox, cloud, &down(&name)).expect(0);
}

#[test]
fn a_cloud_in_use_is_kept() {
    let Some(ec2) = Ec2Cloud::find() else { return };
    let cloud: &dyn Cloud = &ec2;
    let sandbox = Sandbox::new();
    add_ec2(&sandbox, "lab", &ec2.endpoint, &region());
    let name = unique("kept");
    describe(&sandbox, cloud, &name, 1);
    let words: Vec<&str> = UP.iter().copied().chain(["--on", "lab"]).collect();
    run_at(&sandbox, cloud, &words).expect(0);
    let refused = run_at(&sandbox, cloud, &["cloud", "remove", "lab"]).expect(9);
    assert!(
        refused.stderr.contains(&format!("is used by `{name}`")),
        "{}",
        refused.stderr
    );
    run_at(&sandbox, cloud, &down(&name)).expect(0);
    run_at(&sandbox, cloud, &["cloud", "remove", "lab"]).expect(0);
}
