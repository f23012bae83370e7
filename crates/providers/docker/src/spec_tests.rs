//! What resource sections mean.

use zenekar_base::Value;

use super::*;

fn rendered(keys: &[(&str, Value)]) -> Rendered {
    Rendered {
        resource: Value::Map(
            keys.iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        ),
        user_data: None,
        environment: vec![("A".to_owned(), "b c".to_owned())],
        command: None,
        attributes: Value::Null,
    }
}

fn spec(keys: &[(&str, Value)]) -> Result<Spec, Unfit> {
    Spec::of(&rendered(keys), "base:1")
}

fn texts(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

#[test]
fn names_of_images_are_put_together() {
    for (image, tag, expected) in [
        ("nginx", None, "nginx:latest"),
        ("nginx", Some("1.2"), "nginx:1.2"),
        ("host:5000/nginx", Some("1"), "host:5000/nginx:1"),
        ("host:5000/nginx", None, "host:5000/nginx:latest"),
        ("nginx:1", None, "nginx:1"),
        ("nginx:1", Some("2"), "nginx:2"),
        ("nginx@sha256:00", Some("2"), "nginx@sha256:00"),
    ] {
        let mut keys = vec![("image", Value::from(image))];
        keys.extend(tag.map(|tag| ("tag", Value::from(tag))));
        assert_eq!(spec(&keys).unwrap().image, expected);
    }
    assert_eq!(spec(&[("tag", "9".into())]).unwrap().image, "base:1");
    assert_eq!(spec(&[("image", "a b".into())]).unwrap_err().key, "image");
}

#[test]
fn a_machine_of_which_nothing_is_said_runs_the_agent() {
    assert!(spec(&[]).unwrap().has_agent);
    assert!(!spec(&[("image", "nginx".into())]).unwrap().has_agent);
    let mut machine = rendered(&[("image", "nginx".into())]);
    machine.user_data = Some("#!/bin/sh\n".to_owned());
    assert!(Spec::of(&machine, "base:1").unwrap().has_agent);
    // What a named cloud gives to those that name none is no choice.
    let filled_in = [("image", "base".into()), ("tag", "1".into())];
    assert!(spec(&filled_in).unwrap().has_agent);
    let mut command = rendered(&[]);
    command.command = Some(vec!["true".to_owned()]);
    let command = Spec::of(&command, "base:1").unwrap();
    assert!(!command.has_agent);
    assert_eq!(command.environment, ["A=b c"]);
}

#[test]
fn ports_are_read_as_people_write_them() {
    let ports = Value::List(vec![
        Value::Int(80),
        "8080:81".into(),
        "127.0.0.1:53:53/udp".into(),
        "127.0.0.1::82".into(),
    ]);
    let found: Vec<_> = spec(&[("ports", ports)])
        .unwrap()
        .ports
        .into_iter()
        .map(|port| (port.inside(), port.host_port, port.address))
        .collect();
    let here = || Some("127.0.0.1".to_owned());
    assert_eq!(
        found,
        [
            ("80/tcp".to_owned(), None, None),
            ("81/tcp".to_owned(), Some(8080), None),
            ("53/udp".to_owned(), Some(53), here()),
            ("82/tcp".to_owned(), None, here()),
        ]
    );
    for wrong in ["0", "x", "70000", "80/icmp", "1:2:3:x", ""] {
        let error = spec(&[("ports", texts(&[wrong]))]).unwrap_err();
        assert_eq!(error.key, "ports", "{wrong}");
    }
}

#[test]
fn volumes_are_read_as_people_write_them() {
    let external = Value::Map(vec![
        ("source".to_owned(), "kept".into()),
        ("target".to_owned(), "/d".into()),
        ("external".to_owned(), Value::Bool(true)),
    ]);
    let Value::List(mut entries) = texts(&["/a", "data:/b", "/srv:/c:ro"]) else {
        unreachable!("a list")
    };
    entries.push(external);
    let volumes = spec(&[("volumes", Value::List(entries))]).unwrap().volumes;
    let found: Vec<_> = volumes
        .iter()
        .map(|volume| (&volume.source, volume.target.as_str(), volume.is_read_only))
        .collect();
    assert_eq!(
        found,
        [
            (&Source::Anonymous, "/a", false),
            (&Source::Named("data".to_owned()), "/b", false),
            (&Source::Folder("/srv".to_owned()), "/c", true),
            (&Source::External("kept".to_owned()), "/d", false),
        ]
    );
    for wrong in ["a", "../a:/b", "data:b", "/", "a:/b:/c"] {
        let error = spec(&[("volumes", texts(&[wrong]))]).unwrap_err();
        assert_eq!(error.key, "volumes", "{wrong}");
    }
}

#[test]
fn limits_are_numbers() {
    let found = spec(&[
        ("memory_mb", Value::Int(64)),
        ("cpus", "0.25".into()),
        ("pids_max", Value::Int(50)),
    ])
    .unwrap();
    assert_eq!(found.memory_bytes, Some(64 << 20));
    assert_eq!(found.nano_cpus, Some(250_000_000));
    assert_eq!(found.pids_max, Some(50));
    let cores = spec(&[("cores", Value::Int(2))]).unwrap();
    assert_eq!(cores.nano_cpus, Some(2_000_000_000));
    for (key, value) in [
        ("memory_mb", "5"),
        ("memory_mb", "1g"),
        ("cpus", "0"),
        ("cpus", "-1"),
        ("cores", "many"),
        ("pids_max", "0"),
        ("stop_grace_s", "600"),
    ] {
        assert_eq!(spec(&[(key, value.into())]).unwrap_err().key, key);
    }
}

#[test]
fn what_would_reach_the_machine_is_refused() {
    for (key, value) in [
        ("privileged", Value::Bool(true)),
        ("network", "host".into()),
        ("network", "container:x".into()),
        ("origin", "file:///etc".into()),
    ] {
        assert_eq!(spec(&[(key, value)]).unwrap_err().key, key);
    }
    let own = Value::Map(vec![("io.zenekar.token".to_owned(), "x".into())]);
    assert_eq!(spec(&[("labels", own)]).unwrap_err().key, "labels");
    assert!(spec(&[("privileged", Value::Bool(false))]).is_ok());
}

#[test]
fn host_names_are_made_of_names() {
    for (name, expected) in [
        ("spark-worker/3", "spark-worker-3"),
        ("a_b/1", "a-b-1"),
        ("/", "instance"),
    ] {
        assert_eq!(host_name(name), expected);
    }
    assert_eq!(host_name(&"x".repeat(100)).len(), 63);
}

#[test]
fn all_mistakes_of_a_section_are_told_and_the_rest_is_read() {
    let read = |keys: &[(&str, Value)]| Spec::read(&rendered(keys), "base:1");
    let (found, mistakes) = read(&[
        ("image", "nginx".into()),
        ("ports", texts(&["80", "x", "y"])),
        ("memory_mb", "much".into()),
        ("privileged", Value::Bool(true)),
        ("hostname", "h".repeat(64).into()),
        ("network", "own".into()),
    ]);
    let mut keys: Vec<_> = mistakes.iter().map(|unfit| unfit.key).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["hostname", "memory_mb", "ports", "ports", "privileged"]
    );
    assert_eq!(found.image, "nginx:latest");
    assert_eq!(found.ports.len(), 1);
    assert_eq!(found.network.as_deref(), Some("own"));
    let (found, mistakes) = read(&[("image", "nginx".into()), ("origin", "ftp://x".into())]);
    assert_eq!(found.image, "");
    assert_eq!(mistakes.len(), 1);
}

#[test]
fn volumes_that_cannot_be_meant_are_told() {
    let misspelt = Value::Map(vec![
        ("target".to_owned(), "/d".into()),
        ("readonly".to_owned(), Value::Bool(true)),
    ]);
    for (volumes, words) in [
        (misspelt, "a volume has no member `readonly`"),
        (
            texts(&["a:/data", "b:/data/"]),
            "two volumes have the target `/data`",
        ),
    ] {
        let error = spec(&[("volumes", volumes)]).unwrap_err();
        assert_eq!(error.key, "volumes");
        assert!(error.message.starts_with(words), "{error}");
    }
    assert!(spec(&[("volumes", texts(&["a:/data", "a:/data/x"]))]).is_ok());
}
