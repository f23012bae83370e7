//! Breakpoints in cloud-configs, and the helper that they call.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use zenekar_base::{Map, Value};
use zenekar_live::instrument::{
    Access, CONFIGURATION_PATH, HELPER_PATH, InstrumentError, commands_with_references,
    commands_with_words, configure, instrument, instrument_user_data,
};
use zenekar_live::{Event, Mode, Outcome, ProcessName, Settings};

use crate::client::Running;
use crate::nodes::processes;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn config(commands: &[Value]) -> Map {
    vec![
        ("packages".to_owned(), Value::List(vec![text("curl")])),
        ("runcmd".to_owned(), Value::List(commands.to_vec())),
    ]
}

fn commands(config: &Map) -> Vec<Value> {
    match config.iter().find(|(key, _)| key == "runcmd") {
        Some((_, Value::List(commands))) => commands.clone(),
        other => panic!("{other:?}"),
    }
}

fn file(config: &Map, path: &str) -> (String, String) {
    let Some((_, Value::List(files))) = config.iter().find(|(key, _)| key == "write_files") else {
        panic!("there are files");
    };
    let found: Vec<&Value> = files
        .iter()
        .filter(|file| file.get("path").and_then(Value::as_str) == Some(path))
        .collect();
    assert_eq!(found.len(), 1);
    let part = |key| {
        found[0]
            .get(key)
            .and_then(Value::as_str)
            .expect(key)
            .to_owned()
    };
    (part("permissions"), part("content"))
}

fn access(server: &str) -> Access {
    Access {
        server: server.to_owned(),
        infrastructure: "i 1".to_owned(),
        infrastructure_name: "it's".to_owned(),
        node: "n-1".to_owned(),
        node_name: "srv".to_owned(),
        token: None,
    }
}

#[test]
fn breakpoints_stand_behind_what_refers_to_others() {
    let original = config(&[
        text("echo {{ variables.greeting }}"),
        text("connect {{ getprivip('srv') }} --all"),
        Value::List(vec![text("ping"), text("{{getip('db')}}")]),
        text("echo done {{ getip('db') }}"),
    ]);
    let (done, points) =
        instrument(&original, &commands_with_references(&original)).expect("it is well formed");
    let call = |tag: &str| text(&format!("${{ZENEKAR_ROOT:-}}{HELPER_PATH} {tag}"));
    let old = commands(&original);
    assert_eq!(
        commands(&done),
        [
            call("first"),
            old[0].clone(),
            old[1].clone(),
            call("bp_1 status=$?"),
            old[2].clone(),
            call("bp_2 status=$?"),
            old[3].clone(),
            call("'last last_bp' status=$?"),
        ]
    );
    let places: Vec<(&str, Option<usize>)> = points
        .iter()
        .map(|point| (point.tag.as_str(), point.after))
        .collect();
    assert_eq!(
        places,
        [
            ("first", None),
            ("bp_1", Some(1)),
            ("bp_2", Some(2)),
            ("last last_bp", Some(3))
        ]
    );
    let (mode, helper) = file(&done, HELPER_PATH);
    assert_eq!(mode, "0755");
    assert!(helper.starts_with("#!/bin/sh\n"));
    // Templates are rendered after it: nothing in it looks like one.
    assert!(!helper.contains("{{") && !helper.contains("{%") && !helper.contains("{#"));
    let again = instrument(&done, &(0..9).collect()).expect("it is well formed");
    assert_eq!(again, (done, Vec::new()));
}

#[test]
fn what_has_no_commands_has_two_breakpoints() {
    for empty in [
        Map::new(),
        vec![("runcmd".to_owned(), Value::Null)],
        config(&[]),
    ] {
        let (done, points) = instrument(&empty, &(0..9).collect()).expect("it is well formed");
        assert_eq!((commands(&done).len(), points.len()), (2, 2));
    }
    let wrong = vec![("runcmd".to_owned(), text("ls"))];
    let refused = instrument(&wrong, &BTreeSet::new()).expect_err("it is no list");
    assert_eq!(refused, InstrumentError::NotAList("runcmd"));
}

#[test]
fn addresses_are_words() {
    let config = config(&[
        text("mysql -h 10.0.0.12 -P 3306"),
        Value::List(vec![text("ping"), text("10.0.0.12")]),
        text("getip('srv') {{ name }}"),
        text("{{ my_getip }} {{"),
        text("{{ name }}{{ getipall('srv')|join(',') "),
    ]);
    let found = |words: &[&str]| commands_with_words(&config, words);
    assert_eq!(found(&["10.0.0.12"]), [0, 1].into());
    assert_eq!(found(&["10.0.0.1", "0.0.12.3", ""]), BTreeSet::new());
    assert_eq!(commands_with_references(&config), [4].into());
}

#[test]
fn files_lead_from_commands_to_addresses() {
    let file = |path: &str, content: &str| {
        Value::Map(vec![
            ("path".to_owned(), text(path)),
            ("content".to_owned(), text(content)),
        ])
    };
    let mut config = config(&[
        text("mkdir -p /srv"),
        text("opt/app/start"),
        text("systemctl restart shop"),
        text("cat /etc/motd"),
    ]);
    let files = vec![
        // It is found last: its script is known only after the settings are.
        file(
            "/etc/systemd/system/shop.service",
            "ExecStart=/opt/app/start",
        ),
        file("/opt/app/start", ". /etc/app/settings"),
        file("/etc/app/settings", "DATABASE=10.0.0.7"),
        file("/etc/motd", "hello"),
    ];
    config.push(("write_files".to_owned(), Value::List(files)));
    assert_eq!(commands_with_words(&config, &["10.0.0.7"]), [1, 2].into());
    assert_eq!(commands_with_words(&config, &["10.0.0.8"]), BTreeSet::new());
}

/// A helper and its configuration in a folder.
pub(crate) fn install(folder: &Path, access: &Access) {
    let (done, _) = instrument(&Map::new(), &BTreeSet::new()).expect("it is well formed");
    let done = configure(&done, access).expect("it is well formed");
    for (path, name) in [
        (HELPER_PATH, "breakpoint"),
        (CONFIGURATION_PATH, "debugger"),
    ] {
        std::fs::write(folder.join(name), file(&done, path).1).expect("the file is written");
    }
}

fn helper(folder: &Path, path: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg(folder.join("breakpoint"))
        .env("ZENEKAR_DEBUGGER", folder.join("debugger"))
        .env("ZENEKAR_VARIABLES", folder.join("variables"))
        .env("PATH", path)
        .stdin(Stdio::null());
    command
}

/// A folder of programs in which one client of HTTP is missing.
fn without(client: &str, folder: &Path) -> Option<String> {
    let programs = folder.join(format!("without-{client}"));
    std::fs::create_dir(&programs).expect("the folder is made");
    for name in [
        "sh", "tr", "sed", "cut", "hostname", "sleep", "curl", "wget",
    ] {
        let found = std::env::var("PATH")
            .unwrap_or_default()
            .split(':')
            .map(|part| Path::new(part).join(name))
            .find(|path| path.exists());
        match found {
            Some(_) if name == client => {}
            Some(path) => std::os::unix::fs::symlink(path, programs.join(name)).expect("a link"),
            None if ["curl", "wget"].contains(&name) => return None,
            None => {}
        }
    }
    Some(programs.to_string_lossy().into_owned())
}

#[test]
fn the_helper_stops_until_it_may_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(Some("tok'en"));
    let mut own = access(&format!("http://{}/", running.address));
    own.token = Some("tok'en".to_owned());
    install(folder.path(), &own);
    let collector = folder.path().join("variables");
    std::fs::write(&collector, "#!/bin/sh\necho \"shell=yes\"\necho nonsense\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&collector, mode).expect("it can be run");
    let server = ProcessName::new("srv", 1);
    for missing in ["wget", "curl"] {
        let Some(path) = without(missing, folder.path()) else {
            continue;
        };
        let settings = Settings::new(processes(&[("srv", 1)]), Mode::Manual);
        running
            .controller
            .open("i 1", settings)
            .expect("the session opens");
        let mut child = helper(folder.path(), &path)
            .args(["bp_1", "quote=a \"b\" \\c", "line=1\n2"])
            .spawn()
            .expect("it starts");
        let event = running.runtime.block_on(async {
            let event = running.controller.next_event("i 1");
            tokio::time::timeout(Duration::from_secs(30), event).await
        });
        let Ok(Some(Event::Entered { state, .. })) = event else {
            panic!("without {missing}: {event:?}");
        };
        let user = &state.data["srv"][0].user;
        assert_eq!(user["quote"], "a \"b\" \\c");
        assert_eq!(user["line"], "1 2");
        assert_eq!(user["shell"], "yes");
        assert_eq!(state.data["srv"][0].process["infraName"], "it's");
        assert!(
            child.try_wait().expect("it can be asked").is_none(),
            "it waits"
        );
        let stepped = running
            .controller
            .with("i 1", |session, now_ms| session.step(now_ms, &server));
        assert_eq!(stepped, Some(Ok(())));
        assert!(child.wait().expect("it ends").success());
        let last = helper(folder.path(), &path).arg("last last_bp").output();
        assert!(last.expect("it runs").status.success());
        let outcome = running
            .controller
            .look("i 1", |session| session.outcome().cloned());
        assert_eq!(outcome, Some(Some(Outcome::Finished)), "without {missing}");
        running.controller.close("i 1");
    }
}

#[test]
fn the_helper_never_keeps_a_node_from_starting() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let run = |arguments: &[&str]| -> Output {
        let output = helper(folder.path(), &path).args(arguments).output();
        output.expect("it runs")
    };
    // Nobody listens there: port 1 is for nothing that still exists.
    install(folder.path(), &access("http://127.0.0.1:1"));
    let output = run(&["first"]);
    assert!(output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("going on without it"), "{told}");
    assert_eq!(run(&[]).status.code(), Some(64));
    // Without a debugger its breakpoints sleep.
    std::fs::remove_file(folder.path().join("debugger")).expect("it was there");
    let output = run(&["first"]);
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn lines_are_put_into_user_data() {
    let user_data = "\
#cloud-config
write_files:
  - path: /etc/greeting
    permissions: 0644
    content: yes
runcmd:
  - echo hello
  # a remark
  - |
    mysql -h 10.0.0.7 < /tmp/x
    echo done
  - [ping, 10.0.0.7]
packages: [curl]";
    let own = access("http://10.0.0.1:5000");
    let refers = |config: &Map| commands_with_words(config, &["10.0.0.7"]);
    let (text, points) = instrument_user_data(user_data, &own, &refers).expect("it is well formed");
    assert_eq!(points.len(), 3);
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| *line == "runcmd:")
        .expect("it is there");
    assert_eq!(
        lines[at..],
        [
            "runcmd:",
            "  - ${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint first",
            "  - echo hello",
            "  # a remark",
            "  - |",
            "    mysql -h 10.0.0.7 < /tmp/x",
            "    echo done",
            "  - ${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint bp_1 status=$?",
            "  - [ping, 10.0.0.7]",
            "  - ${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint 'last last_bp' status=$?",
            "packages: [curl]",
        ]
    );
    // What was there is there as it was.
    assert!(text.starts_with(&user_data[..user_data.find("runcmd").expect("it is there")]));
    assert!(text.contains("  - path: /etc/zenekar/debugger\n    permissions: '0600'\n"));
    assert!(text.contains("\n      server='http://10.0.0.1:5000'\n"));
    // A text block at the end has no end of line by itself.
    let block = "#cloud-config\nruncmd:\n- |\n  echo hello";
    let (text, points) = instrument_user_data(block, &own, &refers).expect("it is well formed");
    assert_eq!(points.len(), 2, "{text}");
    assert!(
        text.contains("first\n- |\n  echo hello\n- ${ZENEKAR_ROOT:-}"),
        "{text}"
    );
    // What has a debugger already is none of ours.
    let again = instrument_user_data(&text, &own, &refers);
    assert_eq!(again, Err(InstrumentError::Unusual));
}

#[test]
fn other_user_data_is_wrapped_or_refused() {
    let own = access("http://10.0.0.1:5000");
    let make = |text: &str| instrument_user_data(text, &own, &|_| (0..9).collect());
    let (text, points) = make("#!/bin/sh\necho hello").expect("it is a script");
    assert_eq!(points.len(), 2);
    assert!(text.contains(
        "- ${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint first\n- /opt/zenekar/user-script\n"
    ));
    assert!(text.contains("\n    #!/bin/sh\n    echo hello\n"));
    let (text, points) = make("#cloud-config\npackages: [x]\n").expect("it is well formed");
    assert_eq!(points.len(), 2);
    assert!(
        text.contains("packages: [x]\nruncmd:\n- ${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint first\n")
    );
    for (text, error) in [
        ("", InstrumentError::NotCloudConfig),
        ("hello", InstrumentError::NotCloudConfig),
        ("#cloud-config\n- a\n", InstrumentError::NotCloudConfig),
        ("#cloud-config\na: [\n", InstrumentError::NotCloudConfig),
        ("#cloud-config\nruncmd: [a, b]\n", InstrumentError::Unusual),
        (
            "#cloud-config\nruncmd: ls\n",
            InstrumentError::NotAList("runcmd"),
        ),
        (
            "#cloud-config\nx: &a\n- ls\nruncmd: *a\n",
            InstrumentError::Unusual,
        ),
    ] {
        assert_eq!(make(text), Err(error), "{text}");
    }
}
