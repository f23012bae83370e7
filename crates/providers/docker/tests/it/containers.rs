//! Container nodes: environment, command, ports, volumes, limits, names.

use std::io::{Read, Write};

use zenekar_base::{ResourceState, Value};
use zenekar_provider::{EnterRequest, LogSource, Provider, Reach};

use crate::bench::{Bench, docker, eventually, inside, text_of};

fn texts(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

#[test]
fn environment_command_and_host_name_arrive() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.shell(
        "web",
        3,
        "echo \"<$GREETING> on $(hostname)\"; exec sleep 600",
        vec![(
            "labels",
            Value::Map(vec![("mine".to_owned(), "x y".into())]),
        )],
    );
    request.rendered.environment = vec![("GREETING".to_owned(), "it's $HOME \"so\"".to_owned())];
    let view = bench.create(&request);
    assert_eq!(view.state, ResourceState::Running);
    assert_eq!(view.token.as_ref(), Some(&request.token));
    bench.wait_for_output(&view, "<it's $HOME \"so\"> on web-3");
    let label = docker(&[
        "inspect",
        "-f",
        "{{.Config.Labels.mine}}",
        view.resource.as_str(),
    ]);
    assert_eq!(text_of(&label), "x y");
    let known = format!("label=io.zenekar.instance={}", request.instance);
    let found = docker(&["ps", "-q", "--no-trunc", "--filter", &known]);
    assert_eq!(text_of(&found), view.resource.as_str());
}

#[test]
fn names_resolve_between_containers() {
    let Some(bench) = Bench::new() else { return };
    let one = bench.create(&bench.shell("db", 1, "exec sleep 600", Vec::new()));
    let two = bench.create(&bench.shell("db", 2, "exec sleep 600", Vec::new()));
    let other = bench.create(&bench.shell("web", 1, "exec sleep 600", Vec::new()));
    let address = |name: &str| {
        inside(
            &other,
            &format!("getent ahostsv4 {name} | cut -d' ' -f1 | sort -u"),
        )
    };
    assert_eq!(Some(address("db-1").as_str()), one.addresses.primary());
    assert_eq!(Some(address("db-2").as_str()), two.addresses.primary());
    let both = address("db");
    for view in [&one, &two] {
        let own = view.addresses.primary().expect("it runs");
        assert!(both.lines().any(|line| line == own), "{both} has no {own}");
    }
    // Another infrastructure is another network.
    let Some(foreign) = Bench::new() else { return };
    let stranger = foreign.create(&foreign.shell("web", 1, "exec sleep 600", Vec::new()));
    assert_eq!(inside(&stranger, "getent hosts db-1"), "");
}

#[test]
fn ports_are_published_and_reached() {
    let Some(bench) = Bench::new() else { return };
    let server = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' >/tmp/answer; \
                  exec python3 -c \"import socket\ns=socket.create_server(('',80))\nwhile True:\n c=s.accept()[0]; c.sendall(b'hello'); c.close()\"";
    let view = bench.create(&bench.shell("web", 1, server, vec![("ports", Value::Int(80))]));
    let outside = text_of(&docker(&["port", view.resource.as_str(), "80/tcp"]));
    assert!(outside.contains(':'), "{outside}");
    let reach = bench
        .block_on(
            bench
                .provider
                .reach(bench.infrastructure.clone(), view.resource.clone(), 80),
        )
        .unwrap();
    let own = view.addresses.primary().unwrap();
    assert_eq!(reach, Reach::Direct(format!("{own}:80").parse().unwrap()));
    let answer = eventually("answer of the server", || {
        let connected = bench.block_on(bench.provider.connect(
            bench.infrastructure.clone(),
            view.resource.clone(),
            80,
        ));
        let mut text = String::new();
        connected.ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    });
    assert_eq!(answer, "hello");
}

#[test]
fn volumes_are_there_and_go_with_the_infrastructure() {
    let Some(bench) = Bench::new() else { return };
    let volumes = texts(&["data:/data", "/own", "/etc/hostname:/outside:ro"]);
    let keys = || vec![("volumes", volumes.clone())];
    let one = bench.create(&bench.shell("a", 1, "echo kept >/data/x; exec sleep 600", keys()));
    let two = bench.create(&bench.shell("a", 2, "exec sleep 600", keys()));
    let shared = eventually("shared file", || {
        let text = inside(&two, "cat /data/x");
        (!text.is_empty()).then_some(text)
    });
    assert_eq!(shared, "kept");
    assert_eq!(inside(&one, "touch /outside || echo refused"), "refused");
    let label = format!("label=io.zenekar.infrastructure={}", bench.infrastructure);
    let listed = || text_of(&docker(&["volume", "ls", "-q", "--filter", &label]));
    assert_eq!(listed().lines().count(), 1);
    bench.delete(&one);
    bench.delete(&two);
    assert_eq!(listed().lines().count(), 1, "it outlives instances");
    for _ in 0..2 {
        bench
            .block_on(bench.provider.release(bench.infrastructure.clone()))
            .unwrap();
    }
    assert_eq!(listed(), "");
    let networks = docker(&["network", "ls", "-q", "--filter", &label]);
    assert_eq!(text_of(&networks), "");
}

#[test]
fn limits_are_enforced() {
    let Some(bench) = Bench::new() else { return };
    let keys = vec![
        ("memory_mb", Value::Int(64)),
        ("cpus", "0.5".into()),
        ("pids_max", Value::Int(20)),
    ];
    let hungry = "exec python3 -c 'x = bytearray(300 << 20); print(len(x))'";
    let view = bench.create(&bench.shell("hungry", 1, hungry, keys));
    let ended = bench.wait_for_state(&view, ResourceState::Failed);
    let detail = ended.detail.unwrap();
    assert!(detail.contains("exit code 137"), "{detail}");
    assert!(detail.contains("for want of memory"), "{detail}");
    let crowd = "for i in 1 2 3 4 5 6 7 8 9; do sleep 600 & done; echo all started; exec sleep 600";
    let keys = vec![("pids_max", Value::Int(5))];
    let crowded = bench.create(&bench.shell("crowd", 2, crowd, keys));
    eventually("refusal of processes", || {
        let output = bench.log(&crowded, LogSource::Console);
        output.contains("ork").then_some(())
    });
}

#[test]
fn output_is_read_in_pieces_and_commands_run_inside() {
    let Some(bench) = Bench::new() else { return };
    let view =
        bench.create(&bench.shell("a", 1, "echo one; echo two >&2; exec sleep 600", Vec::new()));
    bench.wait_for_output(&view, "two");
    let piece = |from, bytes_max| {
        let request = zenekar_provider::LogRequest {
            resource: view.resource.clone(),
            source: LogSource::Console,
            from,
            bytes_max,
        };
        bench
            .block_on(bench.provider.log(bench.infrastructure.clone(), request))
            .unwrap()
    };
    let all = piece(0, 100);
    assert_eq!((all.data.len(), all.next), (8, 8));
    let (first, rest) = (piece(0, 3), piece(3, 100));
    assert_eq!([first.data, rest.data].concat(), all.data);
    assert_eq!((first.next, rest.next), (3, 8));
    assert_eq!(piece(8, 100).next, 8);

    let request = EnterRequest {
        resource: view.resource.clone(),
        command: ["sh", "-c", "cat; echo err >&2; exit 7"]
            .map(Into::into)
            .to_vec(),
    };
    let command = bench
        .block_on(bench.provider.enter(bench.infrastructure.clone(), request))
        .unwrap();
    let mut child = std::process::Command::new(command.program)
        .args(command.arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(text_of(&ended), "typed");
    assert_eq!(ended.stderr, b"err\n");
    assert_eq!(ended.status.code(), Some(7));
}
