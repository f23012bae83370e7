//! What an instance sees, what it may do, and what the machine sees of it.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use zenekar_base::{ResourceId, Value};
use zenekar_provider::{LogRequest, LogSource, Provider, Reach, RecontextualiseRequest};
use zenekar_provider_local::Isolation;

use crate::bench::{Bench, finish};
use crate::place::{PATIENCE, wait_until, with, with_each_isolation, with_each_isolation_in_view};

/// Isolations with which an instance has a root and a network of its own.
const NAMESPACES: [Isolation; 2] = [Isolation::UserNamespaces, Isolation::Namespaces];

#[test]
fn instances_know_their_own_names_and_all_others() {
    with_each_isolation(
        "inside::instances_know_their_own_names_and_all_others",
        |bench| {
            let requests = [1, 2].map(|key| Bench::request("one", key));
            let addresses = requests.each_ref().map(|request| {
                let view = bench.create_ready(request);
                view.addresses.primary().expect("it has one").to_owned()
            });
            let [first, second] = &requests;
            assert_eq!(bench.say(first, "echo $ZENEKAR_ADDRESS"), addresses[0]);
            assert_eq!(
                bench.say(first, "echo $ZENEKAR_ISOLATION"),
                bench.isolation.name()
            );
            let knows = |command: &str, what: &str| {
                let is_known = wait_until(PATIENCE, || {
                    let output = bench.shell(first, command);
                    String::from_utf8_lossy(&output.stdout).contains(what)
                });
                assert!(is_known, "`{command}`: {:?}", bench.shell(first, command));
            };
            if bench.isolation == Isolation::Plain {
                for address in &addresses {
                    knows("cat $ZENEKAR_ROOT/etc/hosts", &format!("{address}\tnode-"));
                }
            } else {
                assert_eq!(bench.say(first, "cat /proc/sys/kernel/hostname"), "node-1");
                assert_eq!(bench.say(first, "cat /etc/hostname"), "node-1");
                knows("getent ahostsv4 node-2", &addresses[1]);
                for address in &addresses {
                    // All instances of a node share its name.
                    knows("getent ahostsv4 node", address);
                }
                knows("cat /proc/net/fib_trie", &addresses[0]);
                bench.delete(second);
                let is_forgotten = wait_until(PATIENCE, || {
                    !bench.say(first, "cat /etc/hosts").contains("node-2")
                });
                assert!(is_forgotten, "a name outlives its instance");
            }
            for request in &requests {
                bench.delete(request);
            }
        },
    );
}

#[test]
fn what_is_written_inside_stays_inside() {
    with_each_isolation_in_view("inside::what_is_written_inside_stays_inside", |bench| {
        let name = format!("zenekar-it-{}", std::process::id());
        let script = match bench.isolation {
            Isolation::Plain => "echo made > $ZENEKAR_ROOT/tmp/x",
            _ => "echo made > /tmp/x",
        };
        let request = Bench::request_script("one", 1, script);
        bench.create_ready(&request);
        let files = bench.instance_directory(&request).join("files");
        let made = fs::read_to_string(files.join("tmp/x")).expect("it was made");
        assert_eq!(made, "made\n");
        let tops = ["usr", "etc", "var/lib", "tmp", "home", "root", "opt"];
        for top in tops {
            if bench.isolation == Isolation::Plain {
                let output = bench.shell(&request, &format!("echo new > /{top}/{name}"));
                assert!(!output.status.success(), "/{top} can be written to");
            } else {
                bench.say(
                    &request,
                    &format!("mkdir -p /{top}; echo new > /{top}/{name}"),
                );
                let own = files.join(top).join(&name);
                assert_eq!(fs::read_to_string(own).expect("it was made"), "new\n");
            }
            let path = format!("/{top}/{name}");
            assert!(!fs::exists(&path).unwrap_or(false), "{path}");
        }
        if bench.isolation != Isolation::Plain {
            bench.say(
                &request,
                "rm /etc/passwd /usr/bin/env && test ! -e /etc/passwd",
            );
            assert!(fs::exists("/etc/passwd").expect("it is readable"));
        }
        bench.delete(&request);
    });
}

#[test]
fn homes_and_the_files_of_other_instances_are_invisible() {
    with_each_isolation_in_view(
        "inside::homes_and_the_files_of_other_instances_are_invisible",
        |bench| {
            let requests = [1, 2].map(|key| Bench::request("one", key));
            for request in &requests {
                bench.create_ready(request);
            }
            let place = bench.directory.to_str().expect("it is text");
            let secret = bench.directory.join("secret");
            fs::write(&secret, "secret").expect("it is ours");
            let other = bench.instance_directory(&requests[1]);
            for path in [
                secret.as_path(),
                &bench
                    .instance_directory(&requests[0])
                    .join("contextualisation.json"),
                &other.join("contextualisation.json"),
                &other.join("files/etc/hosts"),
            ] {
                assert!(path.exists(), "{}", path.display());
                let path = path.to_str().expect("it is text");
                let output = bench.shell(&requests[0], &format!("cat {path}"));
                assert!(!output.status.success(), "{path} can be read");
                let before = fs::read(path).expect("it is ours");
                bench.shell(&requests[0], &format!("echo x >> {path}"));
                let after = fs::read(path).expect("it is ours");
                assert_eq!(before, after, "{path} can be written to");
            }
            let output = bench.shell(&requests[0], &format!("ls -A {place} /home /root"));
            if bench.isolation == Isolation::Plain {
                assert!(!output.status.success(), "{output:?}");
                let seen = String::from_utf8_lossy(&output.stdout);
                assert_eq!(seen.trim(), "");
            } else {
                let seen = bench.say(&requests[0], "ls -A /home /root");
                assert_eq!(seen, "/home:\n\n/root:");
            }
            fs::remove_file(&secret).expect("it is ours");
            for request in &requests {
                bench.delete(request);
            }
        },
    );
}

#[test]
fn other_processes_are_invisible() {
    with(
        &NAMESPACES,
        "inside::other_processes_are_invisible",
        |bench| {
            let request = Bench::request("one", 1);
            bench.create_ready(&request);
            let seen = bench.say(&request, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
            assert!(seen.contains("__local init"), "{seen}");
            assert!(!seen.contains("__local shim"), "{seen}");
            let output = bench.shell(&request, &format!("kill -0 {}", std::process::id()));
            assert!(!output.status.success());
            bench.delete(&request);
        },
    );
}

#[test]
fn limits_are_enforced() {
    with(
        &[Isolation::Namespaces],
        "inside::limits_are_enforced",
        |bench| {
            let mut request = Bench::request("one", 1);
            request.rendered.resource = Value::Map(vec![
                ("cores".to_owned(), 2.into()),
                ("memory_mb".to_owned(), 64.into()),
            ]);
            let view = bench.create_ready(&request);
            let view_detail = bench.look(&request).expect("it is there").detail;
            if let Some(detail) = view_detail {
                assert!(detail.contains("limits not enforced"), "{detail}");
                crate::place::note(&format!("skipped: {detail}"));
                bench.delete(&request);
                return;
            }
            let mark = bench.mark(&request);
            let group = |name: &str| {
                ["cpu", "."]
                    .map(|tree| format!("/sys/fs/cgroup/{tree}/zenekar/{mark}/{name}"))
                    .iter()
                    .find_map(|path| fs::read_to_string(path).ok())
            };
            let quota = group("cpu.cfs_quota_us").or_else(|| group("cpu.max"));
            let quota = quota.expect("one of both is there");
            assert!(quota.starts_with("200000"), "{quota}");
            // Whoever enters is bounded as well.
            let greedy = "head -c 300000000 /dev/zero | tail -c 250000000 > /dev/null";
            let output = bench.shell(&request, greedy);
            assert_eq!(output.status.code(), Some(137), "{output:?}");
            let modest = "head -c 30000000 /dev/zero | tail -c 25000000 > /dev/null";
            bench.say(&request, modest);
            let after = bench.look(&request).expect("it survives");
            assert_eq!(after.state, view.state);
            bench.delete(&request);
        },
    );
}

#[test]
fn infrastructures_side_by_side_do_not_meet() {
    with(
        &NAMESPACES,
        "inside::infrastructures_side_by_side_do_not_meet",
        |bench| {
            let [server, client] = [1, 2].map(|key| Bench::request("one", key));
            let stranger = Bench::request("other", 1);
            let views = [&server, &client, &stranger].map(|request| bench.create_ready(request));
            let address = views[0].addresses.primary().expect("it has one");
            let mut serving = bench.guest(&server, &format!("serve {address}:7000"));
            assert_eq!(serving.word(), "listening");
            let reach = format!("reach {address}:7000");
            let answer = format!("answer {address}");
            assert_eq!(bench.guest(&client, &reach).word(), answer);
            let refused = bench.guest(&stranger, &reach).word();
            assert!(refused.starts_with("error "), "{refused}");
            // This process stands for the machine: it reaches both.
            let id = server.infrastructure.clone();
            let resource = views[0].resource.clone();
            let reach = bench
                .block_on(bench.provider.reach(id.clone(), resource.clone(), 7000))
                .expect("it exists");
            assert_eq!(
                matches!(reach, Reach::Direct(_)),
                bench.isolation == Isolation::Namespaces
            );
            let mut stream = bench
                .block_on(bench.provider.connect(id, resource, 7000))
                .expect("it listens");
            stream.write_all(b"who").expect("it is open");
            stream
                .shutdown(std::net::Shutdown::Write)
                .expect("it is open");
            assert_eq!(
                std::io::read_to_string(stream).expect("it answers"),
                address
            );
            drop(serving);
            for request in [&server, &client, &stranger] {
                bench.delete(request);
            }
        },
    );
}

#[test]
fn contextualisation_is_repeated_for_newer_revisions_only() {
    let name = "inside::contextualisation_is_repeated_for_newer_revisions_only";
    with_each_isolation(name, |bench| {
        let script = |word: &str| format!("echo {word} >> \"${{ZENEKAR_ROOT:-}}/tmp/runs\"");
        let request = Bench::request_script("one", 1, &script("first"));
        let view = bench.create_ready(&request);
        let runs = bench.instance_directory(&request).join("files/tmp/runs");
        let again = |revision: u32, word: &str| {
            let rendered = Bench::request_script("one", 1, &script(word)).rendered;
            let request = RecontextualiseRequest {
                resource: view.resource.clone(),
                instance: view.instance.clone(),
                revision,
                rendered,
            };
            bench
                .block_on(
                    bench
                        .provider
                        .recontextualise(zenekar_base::InfrastructureId::new("one"), request),
                )
                .expect("it runs");
        };
        again(2, "second");
        again(2, "repeated");
        again(1, "old");
        let read = || fs::read_to_string(&runs).expect("it ran before");
        assert!(
            wait_until(PATIENCE, || read().lines().count() >= 2),
            "{}",
            read()
        );
        again(3, "third");
        assert!(
            wait_until(PATIENCE, || read().lines().count() >= 3),
            "{}",
            read()
        );
        assert_eq!(read(), "first\nsecond\nthird\n");
        assert_eq!(bench.look(&request).expect("it is there").revision, 3);
        bench.delete(&request);
    });
}

#[test]
fn commands_inside_are_like_commands_outside() {
    with_each_isolation(
        "inside::commands_inside_are_like_commands_outside",
        |bench| {
            let request = Bench::request("one", 1);
            bench.create_ready(&request);
            let code = |command: &[&str]| {
                let mut program = bench.enter(&request, command);
                let program = program.stderr(Stdio::null()).spawn().expect("it runs");
                finish(program).status.code()
            };
            assert_eq!(code(&["/bin/sh", "-c", "exit 7"]), Some(7));
            assert_eq!(code(&["/bin/sh", "-c", "kill -9 $$"]), Some(137));
            assert_eq!(code(&["no-such-program"]), Some(127));
            assert_eq!(code(&["/etc/passwd"]), Some(126));
            assert_eq!(code(&["true"]), Some(0));

            let text = "a line\n".repeat(100_000);
            let mut program = bench.enter(&request, &["cat"]);
            let mut program = program
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it runs");
            let mut input = program.stdin.take().expect("it is piped");
            let sent = text.clone();
            let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
            let output = finish(program);
            writer.join().expect("no panic").expect("it reads all");
            assert_eq!(output.stdout, text.as_bytes());
            // Arguments arrive as they are.
            let mut program = bench.enter(&request, &["printf", "%s|", "a b", "", "$x"]);
            let program = program.stdout(Stdio::piped()).spawn().expect("it runs");
            assert_eq!(finish(program).stdout, b"a b||$x|");
            bench.delete(&request);
        },
    );
}

#[test]
fn logs_are_read_piece_by_piece() {
    with_each_isolation("inside::logs_are_read_piece_by_piece", |bench| {
        let script = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i + 1)); done";
        let request = Bench::request_script("one", 1, script);
        let view = bench.create_ready(&request);
        let whole = bench.log(&request.infrastructure, &view.resource);
        assert!(
            whole.contains("line 0\nline 1\n") && whole.contains("line 499\n"),
            "{whole}"
        );
        let mut pieces = Vec::new();
        let mut from = 0;
        loop {
            let piece = LogRequest {
                resource: view.resource.clone(),
                source: LogSource::Contextualisation,
                from,
                bytes_max: 1000,
            };
            let chunk = bench
                .block_on(bench.provider.log(request.infrastructure.clone(), piece))
                .expect("it exists");
            assert!(chunk.data.len() <= 1000);
            assert_eq!(chunk.next, from + chunk.data.len() as u64);
            if chunk.data.is_empty() {
                break;
            }
            from = chunk.next;
            pieces.extend(chunk.data);
        }
        assert_eq!(String::from_utf8_lossy(&pieces), whole);
        bench.delete(&request);
        let gone = LogRequest {
            resource: ResourceId::new(request.token.as_str()),
            source: LogSource::Console,
            from: 0,
            bytes_max: 1000,
        };
        let answer = bench.block_on(bench.provider.log(request.infrastructure.clone(), gone));
        let class = answer.expect_err("it is gone").class;
        assert_eq!(class, zenekar_base::ErrorClass::NotFound);
    });
}
