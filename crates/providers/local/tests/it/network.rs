//! Networks of infrastructures, in a network namespace that stands for the machine.
//!
//! Each test makes a machine of its own: a thread enters a new network
//! namespace, and all that it starts is there. So no test meets another one or
//! the real network, and nothing is left when the test ends. That needs root;
//! what ordinary users do is tried as one of them.

#![expect(
    clippy::print_stderr,
    reason = "what is skipped, and how long a transfer took, is for people"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::place::copy_program;

/// The address of the machine that the tests make.
const MACHINE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Where instances ask for names.
const DNS: &str = "100.100.53.53:53";

/// Anybody but root.
const USER: u32 = 48_113;

/// What is sent through the gateway in each direction.
const TRANSFER_BYTES: usize = 20 * 1024 * 1024;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names what an instance does: tests start themselves as the program of an instance.
pub(crate) const GUEST: &str = "ZENEKAR_TEST_GUEST";

/// Runs a test on a machine of its own, once as root and once as an ordinary user.
fn on_machines(test: fn(&Machine)) {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can make a machine to test on");
        return;
    }
    let tests = [None, Some(USER)].map(|user| {
        thread::spawn(move || {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                eprintln!("skipped: there are no network namespaces ({error})");
                return;
            }
            let machine = Machine::new(user);
            if machine.has_namespaces() {
                test(&machine);
            } else {
                eprintln!("skipped: there are no user namespaces");
            }
        })
    });
    for test in tests {
        test.join()
            .expect("the test passes as root and as an ordinary user");
    }
}

/// A network namespace with an address, and programs that a user can run.
struct Machine {
    user: Option<u32>,
    directory: tempfile::TempDir,
}

impl Machine {
    fn new(user: Option<u32>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let own = std::env::current_exe().expect("a test has a program");
        for (name, program) in [
            (
                "process",
                PathBuf::from(env!("CARGO_BIN_EXE_zenekar-local-process")),
            ),
            ("test", own),
        ] {
            // Where programs are built may be closed to others.
            copy_program(&program, &directory.path().join(name));
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("own");
        if let Some(user) = user {
            chown(directory.path(), Some(user), Some(user)).expect("root may");
        }
        let machine = Self { user, directory };
        let mut loopback = Command::new(machine.program());
        loopback
            .args(["__local", "network", "loopback", "/"])
            .arg(MACHINE.to_string());
        if let Some(resolver) = resolver() {
            loopback.arg(resolver.to_string());
        }
        assert!(loopback.status().expect("it runs").success());
        machine
    }

    fn program(&self) -> PathBuf {
        self.directory.path().join("process")
    }

    fn has_namespaces(&self) -> bool {
        self.user.is_none()
            || Command::new("/bin/true")
                .uid(USER)
                .gid(USER)
                .status()
                .is_ok_and(|status| status.success())
                && fs::read_to_string("/proc/sys/user/max_user_namespaces")
                    .map_or(true, |most| most.trim() != "0")
    }

    fn isolation(&self) -> &'static str {
        match self.user {
            None => "namespaces",
            Some(_) => "user-namespaces",
        }
    }

    fn infrastructure(&self, name: &str) -> Infrastructure<'_> {
        let directory = self.directory.path().join(name).join("network");
        fs::create_dir_all(&directory).expect("a directory");
        if let Some(user) = self.user {
            chown(&directory, Some(user), Some(user)).expect("root may");
        }
        Infrastructure {
            machine: self,
            directory,
        }
    }
}

/// The nameserver of the machine: tests are asked in its place.
fn resolver() -> Option<Ipv4Addr> {
    fs::read_to_string("/etc/resolv.conf")
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("nameserver "))?
        .trim()
        .parse()
        .ok()
}

/// The network of an infrastructure; it is stopped when the test ends, however it ends.
struct Infrastructure<'m> {
    machine: &'m Machine,
    directory: PathBuf,
}

/// What `ensure` says.
#[derive(Clone, Debug, PartialEq)]
struct Ensured {
    subnet: String,
    gateway: Ipv4Addr,
    switch: i32,
}

impl Ensured {
    fn instance(&self, number: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.gateway.octets();
        Ipv4Addr::new(a, b, c, number)
    }
}

impl Infrastructure<'_> {
    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(self.machine.program());
        command
            .args(["__local", "network", what])
            .arg(&self.directory);
        if let Some(user) = self.machine.user {
            command.uid(user).gid(user);
        }
        command
    }

    fn ensure(&self, siblings: &[u32]) -> Ensured {
        let output = self
            .command("ensure")
            .arg(self.machine.isolation())
            .args(siblings.iter().map(ToString::to_string))
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let line = String::from_utf8(output.stdout).expect("it is text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [subnet, gateway, switch] = words[..] else {
            panic!("instances reach no other network: {line}");
        };
        Ensured {
            subnet: subnet.to_owned(),
            gateway: gateway.parse().expect("an address"),
            switch: switch.parse().expect("a pid"),
        }
    }

    /// Starts an instance that does something, and returns when it says the first word.
    fn instance(&self, number: u8, does: &str) -> Instance {
        let mut command = self.command("node");
        command
            .arg(number.to_string())
            .arg(self.machine.directory.path().join("test"))
            .args(["--exact", "network::guest", "--ignored", "--nocapture"])
            .env(GUEST, does)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Instance::start(&mut command)
    }

    /// Returns what an instance says that does something and ends.
    fn ask(&self, number: u8, does: &str) -> String {
        self.instance(number, does).word()
    }

    fn stop(&self) {
        let output = self.command("stop").output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// Returns the processes that belong to the network.
    fn processes(&self, role: &str) -> Vec<i32> {
        let directory = self.directory.to_str().expect("it is text");
        fs::read_dir("/proc")
            .expect("it is there")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                    line.contains(directory) && line.split('\0').any(|word| word == role)
                })
            })
            .collect()
    }
}

impl Drop for Infrastructure<'_> {
    fn drop(&mut self) {
        let _ = self.command("stop").status();
    }
}

/// A process in the network, with an address.
pub(crate) struct Instance {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Instance {
    /// Starts a process that says something.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("it runs");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, output }
    }

    /// Returns the next thing that the instance says.
    pub(crate) fn word(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let count = self.output.read_line(&mut line).expect("it is open");
            assert_ne!(count, 0, "the instance ended without a word");
            if let Some((_, word)) = line.split_once("guest: ") {
                return word.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Its other half inside ends with the pipe between them, if it has not ended.
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        for child in fs::read_to_string(children)
            .unwrap_or_default()
            .split_whitespace()
        {
            if let Ok(pid) = child.parse() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What instances do: it runs inside, as a test of its own that is otherwise ignored.
#[test]
#[ignore = "instances run it"]
fn guest() {
    let Ok(does) = std::env::var(GUEST) else {
        return;
    };
    let words: Vec<&str> = does.split_whitespace().collect();
    let said = match words[..] {
        ["serve", address] => {
            let listener = TcpListener::bind(address).expect("an own address");
            println!("guest: listening");
            serve_all(&listener);
            return;
        }
        ["reach", address] => match TcpStream::connect_timeout(&parse(address), PATIENCE) {
            Ok(mut stream) => {
                stream.write_all(b"who").expect("it is open");
                stream.shutdown(Shutdown::Write).expect("it is open");
                let mut answer = String::new();
                match stream.read_to_string(&mut answer) {
                    Ok(_) => format!("answer {answer}"),
                    Err(error) => format!("broken {:?}", error.kind()),
                }
            }
            Err(error) => format!("error {:?}", error.kind()),
        },
        ["datagram", address, length] => {
            ask_by_datagram(address, length.parse().expect("a length"))
        }
        ["transfer", address] => transfer(address),
        _ => panic!("no such thing to do: {does}"),
    };
    println!("guest: {said}");
}

fn parse(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

fn ask_by_datagram(address: &str, length: usize) -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("it is a socket");
    let question = pattern(length);
    socket
        .send_to(&question, address)
        .expect("there is a route");
    let mut answer = vec![0; 65_535];
    let count = socket.recv(&mut answer).expect("an answer");
    let is_same = count.is_multiple_of(length)
        && answer[..count]
            .chunks(length)
            .all(|piece| piece == question);
    format!("{count} {is_same}")
}

/// Sends much and gets it back; the other side ends first on the way back.
fn transfer(address: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&parse(address), PATIENCE).expect("it listens");
    let sent = pattern(TRANSFER_BYTES);
    let start = Instant::now();
    stream.write_all(&sent).expect("it is open");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut first = [0];
    stream
        .read_exact(&mut first)
        .expect("it answers when it has all");
    let up = start.elapsed();
    let mut received = first.to_vec();
    stream
        .read_to_end(&mut received)
        .expect("it is closed in order");
    let down = start.elapsed().saturating_sub(up);
    format!(
        "{} {} {}",
        received == sent,
        up.as_millis(),
        down.as_millis()
    )
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// Answers each connection with the address that it came to and all that it sent.
fn serve_all(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        thread::spawn(move || {
            let mut received = Vec::new();
            if stream.read_to_end(&mut received).is_ok() {
                if received == b"who" {
                    let own = stream.local_addr().expect("it is connected");
                    received = own.ip().to_string().into_bytes();
                }
                let _ = stream.write_all(&received);
            }
        });
    }
}

/// Serves on the machine, in the background, until the test ends.
fn serve(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("an address of the machine");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || serve_all(&listener));
    address
}

/// Answers datagrams with three times what they are.
fn serve_datagrams(address: &str) -> SocketAddr {
    let socket = UdpSocket::bind(address).expect("an address of the machine");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut question = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let _ = socket.send_to(&question[..length].repeat(3), from);
        }
    });
    address
}

#[test]
fn instances_reach_each_other_and_nobody_elses() {
    on_machines(|machine| {
        let (one, other) = (
            machine.infrastructure("one"),
            machine.infrastructure("other"),
        );
        let (here, there) = (one.ensure(&[]), other.ensure(&[]));
        assert_ne!(here.subnet, there.subnet);
        let server = here.instance(3);
        let mut serving = one.instance(3, &format!("serve {server}:7000"));
        assert_eq!(serving.word(), "listening");
        let reach = format!("reach {server}:7000");
        assert_eq!(one.ask(4, &reach), format!("answer {server}"));
        assert_eq!(other.ask(3, &reach), "error ConnectionRefused");
        // Numbers are the infrastructure's own: the other one's third instance was no obstacle.
        assert_eq!(one.ask(5, &reach), format!("answer {server}"));
        if machine.user.is_none() {
            let address = SocketAddr::from((server, 7000));
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a direct way");
            stream.write_all(b"who").expect("it is open");
            stream.shutdown(Shutdown::Write).expect("it is open");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("it answers");
            assert_eq!(answer, server.to_string());
        }
    });
}

#[test]
fn an_address_that_another_instance_takes_over_is_reached_at_once() {
    on_machines(|machine| {
        if machine.user.is_some() {
            return; // Nothing of an ordinary user's machine is in the network.
        }
        let network = machine.infrastructure("one");
        let server = network.ensure(&[]).instance(3);
        for _ in 0..3 {
            let mut serving = network.instance(3, &format!("serve {server}:7000"));
            assert_eq!(serving.word(), "listening");
            // Whoever remembered another hardware address would speak to nobody for many seconds.
            let address = SocketAddr::from((server, 7000));
            TcpStream::connect_timeout(&address, Duration::from_secs(3)).expect("a direct way");
        }
    });
}

#[test]
fn other_networks_are_reached_and_the_machines_own_services_are_not() {
    on_machines(|machine| {
        let infrastructure = machine.infrastructure("one");
        let network = infrastructure.ensure(&[]);
        let public = serve(&format!("{MACHINE}:0"));
        let local = serve("127.0.0.1:0");
        assert_eq!(
            infrastructure.ask(3, &format!("reach {public}")),
            format!("answer {MACHINE}")
        );
        for refused in [
            local.to_string(),
            format!("{}:{}", network.gateway, local.port()),
            format!("{MACHINE}:1"),
            "169.254.169.254:80".to_owned(),
            "0.0.0.0:80".to_owned(),
            "100.100.53.53:80".to_owned(),
        ] {
            assert_eq!(
                infrastructure.ask(3, &format!("reach {refused}")),
                "error ConnectionRefused",
                "{refused}"
            );
        }
        let echo = serve_datagrams(&format!("{MACHINE}:0"));
        for length in [1, 500, 1472] {
            assert_eq!(
                infrastructure.ask(3, &format!("datagram {echo} {length}")),
                format!("{} true", 3 * length)
            );
        }
    });
}

#[test]
fn names_are_asked_of_the_machines_resolver() {
    let Some(resolver) = resolver() else {
        eprintln!("skipped: the machine has no resolver");
        return;
    };
    on_machines(|machine| {
        let resolver = self::resolver().expect("it was there just now");
        let infrastructure = machine.infrastructure("one");
        infrastructure.ensure(&[]);
        serve_datagrams(&format!("{resolver}:53"));
        serve(&format!("{resolver}:53"));
        assert_eq!(
            infrastructure.ask(3, &format!("datagram {DNS} 40")),
            "120 true"
        );
        assert_eq!(
            infrastructure.ask(3, &format!("reach {DNS}")),
            format!("answer {resolver}")
        );
    });
    assert!(!resolver.is_unspecified());
}

#[test]
fn much_goes_through_unchanged() {
    on_machines(|machine| {
        let infrastructure = machine.infrastructure("one");
        infrastructure.ensure(&[]);
        let server = serve(&format!("{MACHINE}:0"));
        let mut transfers: Vec<Instance> = (3..5)
            .map(|number| infrastructure.instance(number, &format!("transfer {server}")))
            .collect();
        for transfer in &mut transfers {
            let word = transfer.word();
            let (is_same, milliseconds) = word.split_once(' ').expect("three words");
            eprintln!("{TRANSFER_BYTES} bytes up and down in ms: {milliseconds}");
            assert_eq!(is_same, "true");
        }
    });
}

/// Kills a process and waits until it is gone.
fn end(process: i32) {
    let process = rustix::process::Pid::from_raw(process).expect("it is a pid");
    let handle = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty())
        .expect("it lives");
    rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::KILL).expect("root may");
    let mut ended = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ended, PollTimeout::MAX), Ok(1));
}

#[test]
fn a_network_outlives_its_processes() {
    on_machines(|machine| {
        let infrastructure = machine.infrastructure("one");
        let first = infrastructure.ensure(&[]);
        let public = serve(&format!("{MACHINE}:0"));
        let server = first.instance(3);
        let mut serving = infrastructure.instance(3, &format!("serve {server}:7000"));
        assert_eq!(serving.word(), "listening");
        let sibling = serving.process.id();
        let reach = format!("reach {server}:7000");

        end(first.switch);
        // Neither a process that is not there nor one that is elsewhere leads astray.
        let second = infrastructure.ensure(&[u32::MAX >> 1, std::process::id(), sibling]);
        assert_ne!(first.switch, second.switch);
        assert_eq!(first.subnet, second.subnet);
        assert_eq!(infrastructure.ask(4, &reach), format!("answer {server}"));
        assert_eq!(
            infrastructure.ask(4, &format!("reach {public}")),
            format!("answer {MACHINE}")
        );

        let gateways = infrastructure.processes("gateway");
        assert_eq!(gateways.len(), 1);
        end(gateways[0]);
        assert_eq!(infrastructure.ensure(&[sibling]), second);
        assert_eq!(
            infrastructure.ask(4, &format!("reach {public}")),
            format!("answer {MACHINE}")
        );

        // A switch that is not ready, or hangs, is of no use.
        kill(Pid::from_raw(second.switch), Signal::SIGSTOP).expect("it lives");
        let woken = infrastructure.ensure(&[sibling]);
        assert_ne!(woken.switch, second.switch);
        assert_eq!(infrastructure.ask(4, &reach), format!("answer {server}"));

        // Without an instance that holds the old network there is a new one.
        drop(serving);
        end(woken.switch);
        let third = infrastructure.ensure(&[sibling]);
        assert_eq!(first.subnet, third.subnet);
        assert_eq!(
            infrastructure.ask(4, &format!("reach {public}")),
            format!("answer {MACHINE}")
        );
        assert_eq!(infrastructure.processes("switch"), [third.switch]);
        assert_eq!(infrastructure.processes("gateway").len(), 1);
    });
}

#[test]
fn many_may_start_a_network_and_stopping_leaves_nothing() {
    on_machines(|machine| {
        let infrastructure = machine.infrastructure("one");
        let all: Vec<Ensured> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| infrastructure.ensure(&[])))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("it succeeds"))
                .collect()
        });
        assert!(all.iter().all(|ensured| *ensured == all[0]));
        assert_eq!(infrastructure.processes("switch"), [all[0].switch]);
        assert_eq!(infrastructure.processes("gateway").len(), 1);

        infrastructure.stop();
        infrastructure.stop();
        assert_eq!(infrastructure.processes("switch"), [0; 0]);
        assert_eq!(infrastructure.processes("gateway"), [0; 0]);
        let links = fs::read_to_string("/proc/thread-self/net/dev").expect("it is there");
        assert!(!links.contains("zk-"), "{links}");
        let left: Vec<_> = fs::read_dir(&infrastructure.directory)
            .expect("it is there")
            .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
            .collect();
        assert_eq!(left, ["ensure.lock"]);
    });
}
