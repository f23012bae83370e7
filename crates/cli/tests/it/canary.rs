//! Secrets that are put in everywhere, and must come out nowhere.
//!
//! Each secret is a random text. Everything that is written (files, both
//! streams, the words and the environment of processes) is searched for it: as
//! it is, in base64 and in the writing of URLs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::sandbox::Sandbox;

/// A secret that is easy to recognise and has letters that writings change.
struct Canary {
    /// Where it was put in.
    place: &'static str,
    core: String,
    secret: String,
}

impl Canary {
    fn new(place: &'static str) -> Self {
        let core = uuid::Uuid::new_v4().simple().to_string();
        Self {
            place,
            secret: format!("Zk/{core}+%&"),
            core,
        }
    }

    /// Returns the texts that give the secret away. Its middle is the same in
    /// clear and in URLs; in base64 it depends on where it begins.
    fn forms(&self) -> Vec<Vec<u8>> {
        let mut forms = vec![
            self.core.clone().into_bytes(),
            self.core.to_uppercase().into_bytes(),
        ];
        for shift in 0..3 {
            let mut bytes = vec![b'x'; shift];
            bytes.extend_from_slice(self.core.as_bytes());
            let encoded = base64(&bytes);
            // What is mixed with neighbours is left off at both ends.
            let end = encoded.len() - 4;
            forms.push(encoded.as_bytes()[4..end].to_vec());
        }
        forms
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms().iter().any(|form| {
            bytes
                .windows(form.len())
                .any(|window| window == form.as_slice())
        })
    }
}

/// Encodes bytes; the product's own encoder is not asked.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut number = 0_usize;
        for position in 0..3 {
            number = number << 8 | usize::from(chunk.get(position).copied().unwrap_or(0));
        }
        for position in (0..=chunk.len()).map(|index| 18 - 6 * index) {
            text.push(char::from(LETTERS[number >> position & 63]));
        }
        text.extend(std::iter::repeat_n('=', 3 - chunk.len()));
    }
    text
}

/// All secrets of a test, and what was found of them.
struct Aviary {
    canaries: Vec<Canary>,
    found: BTreeSet<String>,
}

impl Aviary {
    fn search(&mut self, what: &str, bytes: &[u8]) {
        for canary in &self.canaries {
            if canary.is_in(bytes) {
                self.found.insert(format!("{} in {what}", canary.place));
            }
        }
    }

    fn search_files(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            self.search("the name of a file", path.as_os_str().as_encoded_bytes());
            if path.is_dir() {
                self.search_files(&path);
            } else if let Ok(bytes) = fs::read(&path) {
                self.search(&path.display().to_string(), &bytes);
            }
        }
    }

    /// Looks at a process and those below it, as everybody on the machine can.
    fn search_process(&mut self, process: u32, what: &str, is_environment_clean: bool) {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        self.search(&format!("the words of {what}"), &read("cmdline"));
        if is_environment_clean {
            self.search(&format!("the environment of {what}"), &read("environ"));
        }
        let children = read(&format!("task/{process}/children"));
        for child in String::from_utf8_lossy(&children).split_whitespace() {
            if let Ok(child) = child.parse() {
                self.search_process(child, &format!("a child of {what}"), is_environment_clean);
            }
        }
    }
}

/// A cloud that refuses everything, and repeats all that it was sent in its answer.
struct Parrot {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Parrot {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hears = Arc::clone(&hears);
                thread::spawn(move || answer(stream, &hears));
            }
        });
        Self { port, heard }
    }

    fn has_heard(&self, canary: &Canary) -> bool {
        canary.is_in(&self.heard.lock().expect("nobody panics with it"))
    }
}

/// Reads one request and sends it back as an error message.
fn answer(mut stream: TcpStream, heard: &Mutex<Vec<u8>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    heard
        .lock()
        .expect("nobody panics with it")
        .extend_from_slice(&request);
    // The body comes first: words of services are cut after some hundred letters.
    let text = String::from_utf8_lossy(&request).replace(['\r', '\n'], " ");
    let (head, sent) = text.split_once("    ").unwrap_or((&text, ""));
    let text = format!("{sent} {}", without_usual_headers(head));
    let body = if text.contains("Action=") {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<Response><Errors><Error><Code>AuthFailure</Code><Message>refused: {text}</Message></Error></Errors></Response>"
        )
    } else {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!(
            "{{\"error\": {{\"code\": 401, \"title\": \"Unauthorized\", \"message\": \"refused: {text}\"}}}}"
        )
    };
    let text = text.replace(['\u{0}'], "");
    let head: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(2000)
        .collect();
    let _ = write!(
        stream,
        "HTTP/1.1 401 Unauthorized\r\nX-Echo: {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Leaves what every request has out of an echo.
fn without_usual_headers(head: &str) -> String {
    let secret = head
        .split("  ")
        .filter(|line| line.to_ascii_lowercase().contains("token"));
    secret.collect::<Vec<_>>().join(" ")
}

fn descriptor(resource: &str) -> String {
    format!(
        "infra_name: cage\nuser_id: somebody\nnodes:\n  - {{name: bird, type: bird}}\n'node_def:bird':\n  - resource: {resource}\n    contextualisation: {{type: cloudinit, context_template: \"#!/bin/sh\\ntrue\\n\"}}\n"
    )
}

/// What a story needs of its place.
struct Story {
    sandbox: Sandbox,
    aviary: Aviary,
    parrot: Parrot,
}

impl Story {
    fn new(places: &[&'static str]) -> Self {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("temporary")).expect("the sandbox can be written");
        Self {
            sandbox,
            aviary: Aviary {
                canaries: places.iter().copied().map(Canary::new).collect(),
                found: BTreeSet::new(),
            },
            parrot: Parrot::start(),
        }
    }

    fn secret(&self, place: &str) -> String {
        let canary = self.aviary.canaries.iter().find(|one| one.place == place);
        canary.expect("the place was named").secret.clone()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.sandbox.command(words);
        command.env("TMPDIR", self.sandbox.path("temporary"));
        // Amazon's chain must not wait for a machine that is none of Amazon's.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Runs a command, and searches it while it runs and what it said.
    fn watch(&mut self, mut command: Command, input: Option<&str>, is_environment_clean: bool) {
        let words: Vec<String> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let what = format!("`{}`", words.join(" "));
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child: Child = command.spawn().expect("the binary was built");
        if let Some(input) = input {
            let mut stdin = child.stdin.take().expect("stdin is a pipe");
            let _ = stdin.write_all(input.as_bytes());
        }
        let streams = [
            Box::new(child.stdout.take().expect("stdout is a pipe"))
                as Box<dyn std::io::Read + Send>,
            Box::new(child.stderr.take().expect("stderr is a pipe")),
        ];
        let readers = streams.map(|mut stream| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes);
                bytes
            })
        });
        while child.try_wait().expect("it is our child").is_none() {
            self.aviary
                .search_process(child.id(), &what, is_environment_clean);
            thread::sleep(Duration::from_millis(5));
        }
        for (reader, name) in readers.into_iter().zip(["stdout", "stderr"]) {
            let bytes = reader.join().expect("reading does not panic");
            self.aviary.search(&format!("{name} of {what}"), &bytes);
        }
    }

    fn run(&mut self, words: &[&str]) {
        for format in ["human", "json"] {
            let mut command = self.command(words);
            command.args(["--output", format, "-v"]);
            self.watch(command, None, true);
        }
    }

    /// Does with a descriptor all that there is to do, while its cloud refuses.
    fn live(&mut self, extra: &[&str]) {
        let with = |words: &[&'static str]| -> Vec<String> {
            let words = words.iter().map(|word| (*word).to_owned());
            words
                .chain(extra.iter().map(|word| (*word).to_owned()))
                .collect()
        };
        for words in [
            with(&["plan", "cage.yaml"]),
            with(&["up", "cage.yaml", "--yes", "--timeout", "3s"]),
            with(&[
                "up",
                "cage.yaml",
                "--yes",
                "--skip-checks",
                "--timeout",
                "2s",
            ]),
        ] {
            self.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for words in [
            &["status", "cage"] as &[&str],
            &["why", "cage", "bird"],
            &["logs", "cage"],
            &["events", "cage", "-n", "0"],
            &["list", "--all"],
            &["state", "export", "cage", "--file", "exported"],
            &["state", "check"],
            &["cloud", "orphans"],
            &["down", "cage", "--yes", "--timeout", "2s"],
        ] {
            self.run(words);
        }
    }

    /// Searches all that is left, and fails if anything was found.
    #[track_caller]
    fn finish(mut self, inputs: &[&str]) {
        for input in inputs {
            fs::remove_file(self.sandbox.path(input)).expect("the test wrote it");
        }
        let root = self.sandbox.path("");
        self.aviary.search_files(&root);
        assert!(self.aviary.found.is_empty(), "{:#?}", self.aviary.found);
    }

    fn write_private(&self, name: &str, text: &str) {
        let path = self.sandbox.write(name, text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
}

#[test]
fn stored_secrets_come_out_nowhere() {
    let mut story = Story::new(&["secret key", "session token", "password", "passphrase"]);
    let port = story.parrot.port;
    let (here, keystone) = (
        format!("http://127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/v3"),
    );
    let secrets = format!(
        "accesskey=AK\nsecretkey={}\nsessiontoken={}\n",
        story.secret("secret key"),
        story.secret("session token")
    );
    for (name, endpoint) in [("birds", here.as_str()), ("nowhere", "http://127.0.0.1:1/")] {
        let command = story.command(&[
            "cloud",
            "add",
            name,
            "--type",
            "ec2",
            "--endpoint",
            endpoint,
            "--region",
            "mars",
            "--default",
            "image_id=ami-1",
            "--default",
            "instance_type=t1",
            "--secret-stdin",
        ]);
        story.watch(command, Some(&secrets), true);
    }
    story.write_private(
        "in-1",
        &format!("username=me\npassword={}\n", story.secret("password")),
    );
    story.write_private("in-2", &story.secret("passphrase"));
    let mut command = story.command(&[
        "cloud",
        "add",
        "stack",
        "--type",
        "nova",
        "--endpoint",
        &keystone,
        "--project",
        "p",
        "--default",
        "image_id=i",
        "--default",
        "flavor_name=f",
        "--secrets-file",
        "in-1",
    ]);
    command.env("ZENEKAR_PASSPHRASE_FILE", story.sandbox.path("in-2"));
    story.watch(command, None, true);
    story.run(&["cloud", "list"]);
    for words in [
        ["cloud", "test"],
        ["cloud", "images"],
        ["cloud", "offers"],
        ["cloud", "quota"],
    ] {
        for cloud in ["birds", "nowhere", "stack"] {
            let mut command = story.command(&[words[0], words[1], cloud, "-v"]);
            command.env("ZENEKAR_PASSPHRASE_FILE", story.sandbox.path("in-2"));
            story.watch(command, None, true);
        }
    }
    let resource = "{type: ec2, endpoint: 'http://127.0.0.1:9/', regionname: r, image_id: ami-1, instance_type: t1}";
    story.sandbox.write("cage.yaml", &descriptor(resource));
    for cloud in ["birds", "nowhere"] {
        story.live(&["--on", cloud]);
    }
    let canaries = &story.aviary.canaries;
    assert!(
        story.parrot.has_heard(&canaries[1]),
        "the session token was used"
    );
    assert!(
        story.parrot.has_heard(&canaries[2]),
        "the password was used"
    );
    story.finish(&["in-1", "in-2"]);
}

#[test]
fn secrets_of_occopus_come_out_nowhere() {
    let mut story = Story::new(&["secret key", "password"]);
    let port = story.parrot.port;
    let text = format!(
        "resource:\n  - type: ec2\n    endpoint: http://127.0.0.1:{port}/\n    auth_data:\n      accesskey: AK\n      secretkey: {:?}\n  - type: nova\n    endpoint: http://127.0.0.1:{port}/v3\n    auth_data:\n      username: me\n      password: {:?}\n",
        story.secret("secret key"),
        story.secret("password"),
    );
    story.write_private(".occopus/auth_data.yaml", &text);
    for resource in [
        format!(
            "{{type: ec2, endpoint: 'http://127.0.0.1:{port}/', regionname: mars, image_id: ami-1, instance_type: t1}}"
        ),
        format!(
            "{{type: nova, endpoint: 'http://127.0.0.1:{port}/v3', project_id: p, user_domain_name: Default, image_id: i, flavor_name: f}}"
        ),
    ] {
        story.sandbox.write("cage.yaml", &descriptor(&resource));
        story.live(&[]);
        // The next one begins anew: what is half taken down takes no changes.
        let state = story.sandbox.state();
        story.aviary.search_files(&state);
        fs::remove_dir_all(&state).expect("the sandbox can be changed");
    }
    assert!(
        story.parrot.has_heard(&story.aviary.canaries[1]),
        "the password was used"
    );
    story.finish(&[".occopus/auth_data.yaml"]);
}

#[test]
fn secrets_of_the_environment_come_out_nowhere() {
    let mut story = Story::new(&["AWS secret", "AWS token", "OS password"]);
    let port = story.parrot.port;
    for words in [
        &["cloud", "test", "ec2"] as &[&str],
        &["cloud", "orphans", "ec2"],
        &["cloud", "test", "nova"],
        &["cloud", "quota", "openstack"],
        &[
            "cloud",
            "add",
            "mine",
            "--replace",
            "--type",
            "ec2",
            "--from-environment",
        ],
        &["cloud", "list"],
    ] {
        for format in ["human", "json"] {
            let mut command = story.command(words);
            command
                .args(["--output", format, "-v"])
                .env("AWS_ACCESS_KEY_ID", "AK")
                .env("AWS_SECRET_ACCESS_KEY", story.secret("AWS secret"))
                .env("AWS_SESSION_TOKEN", story.secret("AWS token"))
                .env("AWS_REGION", "mars")
                .env("AWS_ENDPOINT_URL_EC2", format!("http://127.0.0.1:{port}/"))
                .env("OS_AUTH_URL", format!("http://127.0.0.1:{port}/v3"))
                .env("OS_USERNAME", "me")
                .env("OS_PASSWORD", story.secret("OS password"))
                .env("OS_PROJECT_NAME", "p");
            // Its own environment is where the secrets come from.
            story.watch(command, None, false);
        }
    }
    assert!(
        story.parrot.has_heard(&story.aviary.canaries[1]),
        "the token was used"
    );
    assert!(
        story.parrot.has_heard(&story.aviary.canaries[2]),
        "the password was used"
    );
    story.finish(&[]);
}

#[test]
fn the_search_finds_what_is_planted() {
    let mut story = Story::new(&["a secret"]);
    let secret = story.secret("a secret");
    for shift in ["", "a", "ab", "abc"] {
        let hidden = base64(format!("{shift}{secret}").as_bytes());
        assert!(
            story.aviary.canaries[0].is_in(hidden.as_bytes()),
            "{hidden}"
        );
    }
    assert!(!story.aviary.canaries[0].is_in(base64(&[b'x'; 64]).as_bytes()));
    for (name, text) in [
        ("state/clear", format!("x{secret}x")),
        (
            "temporary/encoded",
            base64(format!("password={secret}").as_bytes()),
        ),
        ("state/url", secret.replace('/', "%2F").replace('+', "%2B")),
    ] {
        story.sandbox.write(name, &text);
        story.aviary.found.clear();
        let root = story.sandbox.path("");
        story.aviary.search_files(&root);
        assert_eq!(story.aviary.found.len(), 1, "{name}");
        fs::remove_file(story.sandbox.path(name)).expect("the test wrote it");
    }
    // On the command line, in the environment, and in what a command says.
    story.aviary.found.clear();
    let mut command = story.command(&["cloud", "test", &secret]);
    command.env("LEAK", &secret);
    story.watch(command, None, true);
    let found = story
        .aviary
        .found
        .iter()
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(found.contains("stderr"), "{found}");
    let mut sleeping = Command::new("/bin/sh");
    sleeping
        .args(["-c", "sleep 5; true", &secret])
        .env("LEAK", &secret)
        .stdout(Stdio::null());
    let mut child = sleeping.spawn().expect("there is a shell");
    thread::sleep(Duration::from_millis(200));
    story.aviary.found.clear();
    story.aviary.search_process(child.id(), "a shell", true);
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    let found = story
        .aviary
        .found
        .iter()
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(found.contains("the words of a shell"), "{found}");
    assert!(found.contains("the environment of a shell"), "{found}");
    assert!(
        found.contains("the environment of a child of a shell"),
        "{found}"
    );
}
