//! A Redis server of Debian's, for one test.

#![expect(clippy::print_stdout, reason = "a test says what it left out")]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, Connection, cmd};
use tempfile::TempDir;

/// The server's program: it is the server if it is called so. The package that
/// is named after it would start one on the machine.
const PROGRAM: &str = "/usr/bin/redis-check-rdb";

/// How long a server may take to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// What an installation of Occopus 1.10 with two users has stored: commands,
/// databases, keys and values.
const INSTALLATION: &str = include_str!("installation.json");

/// A server in a folder of its own, ended with the test.
pub(crate) struct Server {
    directory: TempDir,
    process: Child,
}

impl Server {
    /// Starts an empty server; none if this machine has none.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            println!("skipped: there is no Redis server here (`redis-tools`)");
            return None;
        }
        let directory = tempfile::tempdir().expect("a folder for the server");
        let process = Command::new(PROGRAM)
            .arg0("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(directory.path().join("socket"))
            .arg("--dir")
            .arg(directory.path())
            .args(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server can be started");
        let server = Self { directory, process };
        let started = Instant::now();
        while std::os::unix::net::UnixStream::connect(server.directory.path().join("socket"))
            .is_err()
        {
            assert!(started.elapsed() < START_MAX, "the server does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    /// Starts a server with what Occopus has stored.
    pub(crate) fn of_occopus(settings: &[&str]) -> Option<Self> {
        let server = Self::start(settings)?;
        let mut connection = server.connect();
        let commands: Vec<Vec<serde_json::Value>> =
            serde_json::from_str(INSTALLATION).expect("the file holds commands");
        for command in commands {
            let words: Vec<String> = command
                .iter()
                .map(|word| {
                    word.as_str()
                        .map_or_else(|| word.to_string(), str::to_owned)
                })
                .collect();
            let (database, rest) = (words[1].clone(), &words[2..]);
            run(&mut connection, &["SELECT", &database]);
            let mut full = vec![words[0].as_str()];
            full.extend(rest.iter().map(String::as_str));
            run(&mut connection, &full);
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}/socket", self.directory.path().display())
    }

    /// Connects as a caller that may do everything.
    pub(crate) fn connect(&self) -> Connection {
        let client = Client::open(self.url()).expect("the address is one");
        client.get_connection().expect("the server accepts it")
    }

    /// Sets a value in a database.
    pub(crate) fn set(&self, database: &str, words: &[&str]) {
        let mut connection = self.connect();
        run(&mut connection, &["SELECT", database]);
        run(&mut connection, words);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(connection: &mut Connection, words: &[&str]) {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let _: redis::Value = command
        .query(connection)
        .expect("the server carries it out");
}
