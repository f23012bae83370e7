//! Rules about what works only sometimes: what each finds, and what looks alike and is left alone.

use zenekar_diagnostics::Severity;

use crate::case::Case;

const DATANODE: &str = "/opt/hadoop/bin/hdfs --daemon start datanode";

#[test]
fn a_single_copy_on_instances_that_can_go_away() {
    let with = |copies: &str, min, max| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /opt/hdfs-site.xml\n  content: |\n    <property>\n      <name>dfs.replication</name>\n      <value>{copies}</value>\n    </property>\nruncmd:\n- {DATANODE}\n"
        ))
        .scaled(min, max)
    };
    with("1", 1, 5).finds("ZK0701", &["<value>1</value>"]);
    with("3", 1, 5).is_free_of("ZK0701");
    with("1", 5, 5).is_free_of("ZK0701");
    Case::script("echo 'default.replication.factor=1' >> /etc/kafka.properties\nkafka-server-start.sh -daemon x")
        .scaled(1, 3)
        .finds("ZK0701", &["echo 'default.replication.factor=1' >> /etc/kafka.properties"]);
}

#[test]
fn scale_in_of_what_keeps_data() {
    for start in [
        DATANODE,
        "apt-get install -y mysql-server",
        "systemctl enable --now mongod",
        "docker run -d redis:7",
    ] {
        Case::script(start)
            .scaled(1, 4)
            .finds("ZK0702", &["{ min: 1, max: 4 }"]);
        Case::script(start).scaled(4, 4).is_free_of("ZK0702");
    }
    Case::new("#cloud-config\npackages: [postgresql-15]\n")
        .scaled(2, 4)
        .finds("ZK0702", &["{ min: 2, max: 4 }"]);
    Case::new("#cloud-config\npackages: [postgresql-client]\n")
        .scaled(2, 4)
        .is_free_of("ZK0702");
    // Something drains it, or it keeps nothing.
    Case::script(&format!("{DATANODE}\nhdfs dfsadmin -refreshNodes"))
        .scaled(1, 4)
        .is_free_of("ZK0702");
    Case::script("apt-get install -y nginx")
        .scaled(1, 4)
        .is_free_of("ZK0702");
    Case::script("mysql -h db -e 'select 1'")
        .scaled(1, 4)
        .is_free_of("ZK0702");
}

#[test]
fn a_central_service_that_restarts_when_members_change() {
    let with = |hook: &str, action: &str| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /opt/members.sh\n  content: |\n    #!/bin/sh\n    {action}\nruncmd:\n- consul-template -template \"/opt/hosts.ctmpl:/etc/hosts{hook}\" &\n- /opt/members.sh\n"
        ))
    };
    with(":/opt/members.sh", "systemctl restart slurmctld")
        .finds("ZK0703", &["systemctl restart slurmctld"]);
    with(
        ":/opt/members.sh",
        "/opt/hdfs --daemon stop namenode; /opt/hdfs --daemon start namenode",
    )
    .finds("ZK0703", &["/opt/hdfs --daemon stop namenode"]);
    with(":/opt/members.sh", "systemctl reload slurmctld").is_free_of("ZK0703");
    with(":/opt/members.sh", "systemctl restart exporter").is_free_of("ZK0703");
    // The script runs once, at the start.
    with("", "systemctl restart slurmctld").is_free_of("ZK0703");
    Case::new(
        "#cloud-config\nruncmd:\n- consul-template -template \"a:b:service mysql restart\" &\n",
    )
    .finds(
        "ZK0703",
        &["consul-template -template \"a:b:service mysql restart\""],
    );
    Case::new(
        "#cloud-config\nruncmd:\n- consul-template -template \"a:b:service haproxy reload\" &\n",
    )
    .is_free_of("ZK0703");
}

#[test]
fn components_that_nothing_starts() {
    let unit = |start: &str| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /etc/systemd/system/worker.service\n  content: |\n    [Service]\n    User=w\n    ExecStart=/opt/worker\nruncmd:\n- {start}\n"
        ))
    };
    unit("systemctl daemon-reload").finds("ZK0704", &["/etc/systemd/system/worker.service"]);
    for start in [
        "systemctl start worker",
        "systemctl enable --now worker.service",
        "service worker start",
        "sudo systemctl restart worker",
    ] {
        unit(start).is_free_of("ZK0704");
    }
    let file = |path: &str, run: &str| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: {path}\n  content: |\n    #!/bin/sh\n    true\nruncmd:\n- {run}\n"
        ))
    };
    file("/opt/forgotten.sh", "echo hello").finds("ZK0704", &["/opt/forgotten.sh"]);
    for run in [
        "/opt/forgotten.sh",
        "sh /opt/forgotten.sh",
        "cd /opt && ./forgotten.sh",
        "for s in /opt/*; do $s; done",
    ] {
        file("/opt/forgotten.sh", run).is_free_of("ZK0704");
    }
    Case::script("yum install -y httpd").finds("ZK0704", &["httpd"]);
    Case::script("yum install -y httpd\nsystemctl enable --now httpd").is_free_of("ZK0704");
    Case::script("apt-get install -y apache2").is_free_of("ZK0704");
    let yarn = |start: &str| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /opt/yarn-site.xml\n  content: |\n    <name>yarn.resourcemanager.hostname</name>\nruncmd:\n- hdfs --daemon start namenode\n- {start}\n"
        ))
    };
    yarn("echo done").finds("ZK0704", &["/opt/yarn-site.xml"]);
    yarn("yarn --daemon start resourcemanager").is_free_of("ZK0704");
    file("/etc/cron.hourly/clean.sh", "echo hello").is_free_of("ZK0704");
    Case::new("#cloud-config\nwrite_files:\n- path: /opt/slaves.ctmpl\n  content: x\nruncmd:\n- consul-template -template /opt/hosts.ctmpl:/etc/hosts\n")
        .finds("ZK0704", &["/opt/slaves.ctmpl"]);
}

#[test]
fn ports_that_nothing_opens() {
    let checked = |script: &str, port: u16| {
        Case::script(script).health(&format!(
            "    health_check:\n      ping: false\n      timeout: 9\n      ports: [{port}]\n"
        ))
    };
    checked("apt-get install -y nginx", 3306).finds("ZK0704", &["3306"]);
    checked("apt-get install -y nginx", 80).is_free_of("ZK0704");
    checked("/opt/server --port 9123 &", 9123).is_free_of("ZK0704");
    checked("/opt/server --port 9123 &", 9124).is_free_of("ZK0704");
    checked("systemctl start unheard-of", 9124).is_free_of("ZK0704");
    checked("wget -qO- https://e.org/x | sh", 3306).is_free_of("ZK0704");
    checked("apt-get install -y nginx", 22).is_free_of("ZK0704");
}

#[test]
fn configuration_that_is_printed() {
    Case::script("echo \"MASTER=$IP >> /opt/spark-env.sh\"")
        .finds("ZK0707", &["echo \"MASTER=$IP >> /opt/spark-env.sh\""]);
    Case::script("echo 'a=1' >> /etc/x\necho 'b=2'\necho 'c=3' >> /etc/x")
        .finds("ZK0707", &["echo 'b=2'"]);
    for lines in [
        "echo \"MASTER=$IP\" >> /opt/spark-env.sh",
        "echo 'Setup starts: wait'\necho 'a=1' >> /etc/x",
        "echo \"address: $ip\"\necho \"$ip $host\" >> /etc/hosts",
        "echo \"<value>x</value>\"",
        "echo \"see -> /etc/x\"",
        "echo 'a=1' | tee /etc/x\necho 'b=2' | tee -a /etc/x",
        "X=$(echo \"a > /b\")",
    ] {
        Case::script(lines).is_free_of("ZK0707");
    }
}

#[test]
fn readiness_that_comes_too_early() {
    let checked = |script: &str, ports: &str| {
        Case::script(script).health(&format!(
            "    health_check:\n      ping: false\n      timeout: 9\n      ports: {ports}\n"
        ))
    };
    checked("apt-get install -y nginx", "[22]").finds("ZK0708", &["22"]);
    checked("systemctl restart docker\ndocker swarm init", "[22, 2375]").finds("ZK0708", &["2375"]);
    checked(
        "apt-get install -y mysql-server\nmysql -e 'create database x'",
        "[3306]",
    )
    .finds("ZK0708", &["3306"]);
    checked("kubeadm init\nkubectl apply -f net.yaml", "[10250]").finds("ZK0708", &["10250"]);
    checked("systemctl restart docker\necho done", "[2375]").is_free_of("ZK0708");
    checked(
        "mysqld --initialize\nmysql -e 'x'\nsystemctl restart mysql",
        "[3306]",
    )
    .is_free_of("ZK0708");
    // The other port opens at the end.
    checked(
        "systemctl restart docker\ndocker swarm init\nsystemctl start nginx",
        "[2375, 80]",
    )
    .is_free_of("ZK0708");
    Case::script("apt-get install -y nginx").is_free_of("ZK0708");
}

#[test]
fn files_that_several_instances_edit() {
    let remote = "ssh master \"echo $(hostname -I) >> /etc/slurm/nodes.conf\"";
    Case::script(remote)
        .scaled(1, 3)
        .finds("ZK0709", &["echo $(hostname -I) >> /etc/slurm/nodes.conf"]);
    Case::script(remote).scaled(1, 1).is_free_of("ZK0709");
    Case::script("ssh -i /k -o A=b master sudo sed -i s/a/b/ /etc/slurm.conf")
        .scaled(1, 3)
        .finds("ZK0709", &["sudo sed -i s/a/b/ /etc/slurm.conf"]);
    Case::script("scp /tmp/own m:/etc/members")
        .scaled(1, 3)
        .finds("ZK0709", &["scp /tmp/own m:/etc/members"]);
    let table =
        "cat >> /etc/fstab <<EOF\nm:/srv /srv nfs defaults 0 0\nEOF\nsed -i s/a/b/ /srv/conf";
    Case::script(table)
        .scaled(1, 3)
        .finds("ZK0709", &["sed -i s/a/b/ /srv/conf"]);
    for copy in [
        "scp m:/etc/members /tmp/x",
        "scp /tmp/own m:/results/$HOSTNAME",
        "scp /tmp/own m:/results/",
    ] {
        Case::script(copy).scaled(1, 3).is_free_of("ZK0709");
    }
    let mounted = "mount -t nfs {{getip('app')}}:/srv /mnt/shared\necho x >> /mnt/shared/members";
    Case::script(mounted)
        .scaled(2, 2)
        .finds("ZK0709", &["echo x >> /mnt/shared/members"]);
    Case::script("echo x >> /etc/hosts\nsed -i s/a/b/ /etc/fstab")
        .scaled(2, 2)
        .is_free_of("ZK0709");
    Case::script("mount -t nfs h:/srv /mnt\nflock /mnt/lock sh -c 'echo x >> /mnt/members'")
        .scaled(2, 2)
        .is_free_of("ZK0709");
    Case::script("ssh master \"systemctl reload slurmctld\"")
        .scaled(2, 2)
        .is_free_of("ZK0709");
}

#[test]
fn instances_that_nothing_checks() {
    let unchecked = "    health_check:\n      ping: false\n";
    let key = ["health_check"];
    Case::script("/opt/worker &")
        .scaled(1, 3)
        .health(unchecked)
        .finds("ZK0710", &key);
    Case::script("/opt/worker &")
        .health(unchecked)
        .finds("ZK0710", &key);
    assert_eq!(
        Case::script("/opt/worker &")
            .health(unchecked)
            .findings()
            .places("ZK0710")[0]
            .0,
        Severity::Note
    );
    Case::script("/opt/worker &")
        .scaled(1, 3)
        .is_free_of("ZK0710");
    // Nothing runs that could be checked.
    Case::new("#cloud-config\nwrite_files:\n- { path: /a, content: b }\n")
        .scaled(1, 3)
        .health(unchecked)
        .is_free_of("ZK0710");
    Case::script("echo done")
        .health(unchecked)
        .is_free_of("ZK0710");
}

#[test]
fn pings_that_firewalls_drop() {
    let case = |health: &str| Case::new("#cloud-config\nruncmd: [true]\n").health(health);
    case("").finds("ZK0711", &["'node_def:app'"]);
    case("    health_check:\n      ports: [80]\n").finds("ZK0711", &["health_check"]);
    case("    health_check:\n      ping: true\n").finds("ZK0711", &["ping"]);
    case("    health_check:\n      ping: false\n").is_free_of("ZK0711");
    let mut local = case("");
    local.definitions = "'node_def:app':\n  - resource:\n      type: sim\n".to_owned();
    local.is_free_of("ZK0711");
}

#[test]
fn variables_that_nobody_defines() {
    let with = |text: &str| Case::script(text).variables("  version: '1.2'\n  db: { host: h }\n");
    with("echo {{variables.verson}}").finds("ZK0715", &["variables.verson"]);
    with("echo {{ variables.db.port }}").finds("ZK0715", &["variables.db.port"]);
    with("echo {{ version }}").finds("ZK0715", &["version"]);
    for text in [
        "echo {{variables.version}} {{ variables.db.host }} {{infra_id}}",
        "echo {{ variables.port | default('80') }}",
        "{% if variables.port is defined %}echo {{variables.port}}{% endif %}",
        "{% for key in variables.db %}echo {{key}}{% endfor %}",
        "{% raw %}{{range service \"x\"}}{{end}}{% endraw %}",
        "echo {{'{{'}}",
        "echo {{ variables.version.replace('.', '_') }} {{ variables.db.items() | length }}",
        "{% set port = 80 %}echo {{port}}",
        "echo {{cut(infra_id,0,4)}} {{getip('app')}}",
    ] {
        with(text).is_free_of("ZK0715");
    }
}

#[test]
fn user_data_beyond_the_limit() {
    let with = |bytes: usize| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /a\n  content: {}\n",
            "x".repeat(bytes)
        ))
    };
    with(17_000).finds("ZK0716", &["context_template"]);
    assert_eq!(
        with(17_000).findings().places("ZK0716")[0].0,
        Severity::Error
    );
    assert_eq!(
        with(15_500).findings().places("ZK0716")[0].0,
        Severity::Warning
    );
    with(10_000).is_free_of("ZK0716");
}

#[test]
fn failures_that_nobody_notices() {
    Case::script("set +e\napt-get install -y nginx").finds("ZK0717", &["set +e"]);
    Case::script("systemctl start nginx || true").finds("ZK0717", &["true"]);
    Case::new("#cloud-config\nruncmd:\n- /opt/a && /opt/b && echo done || echo \"it failed\"\n")
        .finds("ZK0717", &["echo \"it failed\""]);
    Case::script("set +euo pipefail\nmake").finds("ZK0717", &["set +euo pipefail"]);
    Case::new("#cloud-config\nruncmd:\n- set +e\n- make\n").finds("ZK0717", &["set +e"]);
    Case::new("#cloud-config\nruncmd:\n- make\n- set +e\n").is_free_of("ZK0717");
    Case::script("set +x\nmake").is_free_of("ZK0717");
    Case::script("make || exit 0").finds("ZK0717", &["exit 0"]);
    for lines in [
        "rm -f /x || true",
        "systemctl stop nginx || true",
        "grep -q x /y || true",
        "id app || useradd app",
        "make || { echo failed; exit 1; }",
        "make || (echo failed && exit 1)",
        "set +e\nmake\ncode=$?\nset -e",
        "docker rm -f x || true",
    ] {
        Case::script(lines).is_free_of("ZK0717");
    }
}

#[test]
fn loops_without_an_end() {
    Case::script("while ! nc -z db 3306; do sleep 1; done")
        .finds("ZK0720", &["while ! nc -z db 3306; do sleep 1; done"]);
    Case::script("until curl -sf http://localhost/; do\n  sleep 5\ndone")
        .finds("ZK0720", &["until curl -sf http://localhost/; do"]);
    Case::script("while true; do\n  nc -z db 1 && break\n  sleep 1\ndone")
        .finds("ZK0720", &["while true; do"]);
    for lines in [
        "for i in $(seq 30); do nc -z db 1 && break; sleep 1; done",
        "n=0\nwhile ! nc -z db 1; do sleep 1; n=$((n+1)); [ $n -lt 30 ] || exit 1; done",
        "timeout 300 sh -c 'until nc -z db 1; do sleep 1; done'",
        "while read line; do sleep 1; done < /x",
        "while true; do /opt/report; sleep 60; done &",
        "while [ -n \"$1\" ]; do shift; done",
    ] {
        Case::script(lines).is_free_of("ZK0720");
    }
}

#[test]
fn health_checks_without_a_limit_of_their_own() {
    let health = "    health_check:\n      ping: false\n      ports: [80]\n";
    Case::script("apt-get install -y nginx")
        .health(health)
        .finds("ZK0720", &["health_check"]);
    Case::script("apt-get install -y nginx").is_free_of("ZK0720");
    Case::script("systemctl start nginx")
        .health(health)
        .is_free_of("ZK0720");
}

#[test]
fn texts_that_cloud_init_ignores() {
    let with = |text: &str| {
        let mut case = Case::new(text);
        case.definitions = case.definitions.replace("!yaml_import", "!text_import");
        case
    };
    with("#cloud-configc\nruncmd: [a]\n").finds("ZK0721", &["#cloud-configc"]);
    with("runcmd: [a]\n").finds("ZK0721", &["runcmd: [a]"]);
    with("#cloud-config\nruncmd: [a]\n").is_free_of("ZK0721");
    with("#!/bin/sh\na\n").is_free_of("ZK0721");
}

#[test]
fn texts_are_read_like_documents() {
    let mut case = Case::new(
        "#cloud-config\n{% if variables.x is defined %}\n{% endif %}\nruncmd:\n - wget http://example.org/a\n",
    );
    case.definitions = case.definitions.replace("!yaml_import", "!text_import");
    let places = case.findings().places("ZK0713");
    assert_eq!(
        places,
        [(Severity::Warning, 5, "http://example.org/a".to_owned())]
    );
    let mut script = Case::new("#!/bin/sh\nwget http://example.org/a\n");
    script.definitions = script.definitions.replace("!yaml_import", "!text_import");
    assert_eq!(
        script.findings().places("ZK0713"),
        [(Severity::Warning, 2, "http://example.org/a".to_owned())]
    );
}

#[test]
fn comments_accept_findings() {
    let line = "wget http://example.org/a";
    for accepted in [
        format!("{line} # zenekar: allow ZK0713 it is ours"),
        format!("# zenekar: allow zk0713\n{line}"),
        format!("# zenekar: allow ZK0714, ZK0713 ours\n{line}"),
    ] {
        Case::script(&accepted).is_free_of("ZK0713");
    }
    for other in [
        format!("# zenekar: allow ZK0714\n{line}"),
        format!("# zenekar: allow ZK0713\ntrue\n{line}"),
    ] {
        Case::script(&other).finds("ZK0713", &["http://example.org/a"]);
    }
}
