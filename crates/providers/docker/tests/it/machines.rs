//! Machines: user-data that our agent carries out inside a plain image.

use zenekar_base::ResourceState;
use zenekar_provider::{LogSource, Provider};

use crate::bench::{Bench, docker, eventually, inside, text_of};

const USER_DATA: &str = "#cloud-config
write_files:
  - path: /etc/greeting
    content: \"it's $HOME\\n\"
    permissions: '0640'
users:
  - name: ann
    ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 ann]
runcmd:
  - [sh, -c, 'echo printed; sleep 0.1 & cat /etc/greeting > /done']
";

#[test]
fn user_data_is_carried_out_in_a_plain_image() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.request("vm", 1, Vec::new());
    request.rendered.user_data = Some(USER_DATA.to_owned());
    let view = bench.create(&request);
    assert_eq!(view.state, ResourceState::Running);
    let report = eventually("report", || {
        let text = inside(&view, "cat /var/lib/zenekar/report.json 2>/dev/null");
        (!text.is_empty()).then_some(text)
    });
    assert!(!report.contains("\"failed\""), "{report}");
    assert_eq!(inside(&view, "cat /done"), "it's $HOME");
    assert_eq!(inside(&view, "stat -c %a /etc/greeting"), "640");
    assert_eq!(inside(&view, "id -un ann"), "ann");
    assert_eq!(
        inside(&view, "stat -c %a /var/lib/zenekar/task.json"),
        "600"
    );
    let log = bench.log(&view, LogSource::Contextualisation);
    assert!(log.contains("printed"), "{log}");
    let shown = text_of(&docker(&["inspect", view.resource.as_str()]));
    assert!(
        !shown.contains("/etc/greeting"),
        "user-data can be seen from outside"
    );
    // There are keys, so that the image's server of secure shells runs; and
    // whoever died was buried.
    eventually("server of secure shells", || {
        let table = inside(&view, "ps -eo stat,comm");
        assert!(!table.contains("defunct"), "{table}");
        table.contains("sshd").then_some(())
    });
    // A machine ends when it is asked to, and is not contextualised twice.
    let id = view.resource.as_str();
    assert!(docker(&["exec", id, "rm", "/done"]).status.success());
    assert!(docker(&["restart", "-t", "20", id]).status.success());
    assert_eq!(inside(&view, "ls /done 2>/dev/null"), "");
}

#[test]
fn machines_share_one_agent_which_goes_with_the_last() {
    let Some(bench) = Bench::new() else { return };
    let requests: Vec<_> = (1..=6)
        .map(|number| {
            let mut request = bench.request("vm", number, Vec::new());
            request.rendered.user_data = Some("#!/bin/sh\necho ran >/ran\n".to_owned());
            request
        })
        .collect();
    let views: Vec<_> = bench.block_on(async {
        let calls = requests
            .iter()
            .map(|request| bench.provider.create(request.clone()));
        futures_util::future::join_all(calls).await
    });
    for view in &views {
        let view = view.as_ref().unwrap_or_else(|error| panic!("{error}"));
        eventually("script", || {
            (inside(view, "cat /ran") == "ran").then_some(())
        });
    }
    let volume = |format: &str| {
        let id = views[0].as_ref().unwrap().resource.clone();
        text_of(&docker(&["inspect", "-f", format, id.as_str()]))
    };
    let name = volume("{{range .Mounts}}{{.Name}}{{end}}");
    assert!(name.starts_with("zenekar-agent-"), "{name}");
    let helpers = docker(&[
        "ps",
        "-aq",
        "--filter",
        "label=io.zenekar.role=upload",
        "--filter",
        &format!("label=io.zenekar.infrastructure={}", bench.infrastructure),
    ]);
    assert_eq!(text_of(&helpers), "");
}
