//! Small descriptors, each with one thing that can go wrong, and its healthy twin.

use crate::support::{of_texts, table};

/// Writes a description of a master and workers with these scripts and checks.
fn check(master: &str, health: &str, worker: &str, expected: &str) {
    check_annotated(master, health, worker, "", expected);
}

fn check_annotated(master: &str, health: &str, worker: &str, annotation: &str, expected: &str) {
    let infrastructure = format!(
        "infra_name: demo\nuser_id: somebody@example.org\nnodes:\n- &m {{name: master, type: master}}\n\
         - &w\n  name: worker\n  type: worker\n  scaling: {{min: 2, max: 4}}\n{annotation}\
         dependencies:\n- [*w, *m]\n"
    );
    let definitions = format!(
        "'node_def:master':\n- resource: {{type: sim}}\n  contextualisation:\n    type: cloudinit\n    \
         context_template: !yaml_import {{url: 'file://master.yaml'}}\n  health_check: {health}\n\
         'node_def:worker':\n- resource: {{type: sim}}\n  contextualisation:\n    type: cloudinit\n    \
         context_template: !yaml_import {{url: 'file://worker.yaml'}}\n  health_check: {{ping: false}}\n"
    );
    let behaviours = of_texts(&[
        ("infra.yaml", &infrastructure),
        ("nodes/definitions.yaml", &definitions),
        ("nodes/master.yaml", &format!("#cloud-config\n{master}")),
        ("nodes/worker.yaml", &format!("#cloud-config\n{worker}")),
    ]);
    let table = table(&behaviours);
    assert_eq!(table.trim_end(), expected.trim(), "\n{table}");
}

const TOKEN_MASTER: &str = "runcmd:
  - docker swarm init
  - docker swarm join-token -q worker > /srv/token
  - python3 -m http.server 8000 --directory /srv &
";

#[test]
fn a_worker_may_join_before_the_token_exists() {
    // The health check is satisfied while the token is not there yet.
    check(
        TOKEN_MASTER,
        "{ping: false, ports: [2377]}",
        "runcmd:
  - TOKEN=$(curl -s http://{{ getip('master') }}:8000/token)
  - docker swarm join --token $TOKEN {{ getip('master') }}:2377
",
        "
master (derived), ready: [2377]
  docker (2377): gives [2377]; at master.yaml:3
  docker (/srv/token): gives [/srv/token]; at master.yaml:4
  python3 (8000): gives [8000]; at master.yaml:5
worker (derived), ready: []
  curl master:8000, master./srv/token: needs [master:8000, master./srv/token]; at worker.yaml:3
  docker master:2377: needs [master:2377]; at worker.yaml:4
",
    );
}

#[test]
fn a_worker_that_waits_for_the_token_says_so() {
    check(
        TOKEN_MASTER,
        "{ping: false, ports: [8000]}",
        "runcmd:
  - |
    until curl -sf http://{{ getip('master') }}:8000/token -o /tmp/token; do
      sleep 2
    done
    docker swarm join --token $(cat /tmp/token) {{ getip('master') }}:2377
",
        "
master (derived), ready: [8000]
  docker (2377): gives [2377]; at master.yaml:3
  docker (/srv/token): gives [/srv/token]; at master.yaml:4
  python3 (8000): gives [8000]; at master.yaml:5
worker (derived), ready: []
  curl master:8000, master./srv/token: needs [master:8000, master./srv/token]; retries; at worker.yaml:4
  docker master:2377: needs [master:2377]; at worker.yaml:7
",
    );
}

#[test]
fn a_port_may_not_be_open_when_the_machine_answers() {
    check(
        "packages: [postgresql]\nruncmd:\n  - sed -i s/local/all/ /etc/postgresql/main.conf\n  - systemctl restart postgresql\n",
        "{ping: true}",
        "write_files:
  - path: /etc/database
    content: \"{{ getprivip('master') }}\\n\"
runcmd:
  - DATABASE=$(cat /etc/database)
  - psql -h \"$DATABASE\" -U shop -c 'select 1'
",
        "
master (derived), ready: []
  systemctl (5432): gives [5432]; at master.yaml:5
worker (derived), ready: []
  psql master:5432: needs [master:5432]; at worker.yaml:7
",
    );
}

#[test]
fn on_this_machine_a_node_without_checks_is_ready_when_it_is_done() {
    let behaviours = |provider: &str, health: &str| {
        of_texts(&[
            (
                "infra.yaml",
                "infra_name: demo\nuser_id: u\nnodes:\n- {name: web, type: web}\n",
            ),
            (
                "nodes/nodes.yaml",
                &format!(
                    "'node_def:web':\n- resource: {{type: {provider}}}\n  health_check: {health}\n  \
                     contextualisation:\n    type: cloudinit\n    context_template: {{runcmd: [/opt/start]}}\n"
                ),
            ),
        ])
    };
    assert_eq!(
        table(&behaviours("local", "{ping: true}")),
        "web (derived), ready: [contextualisation]\n  the setup: gives [contextualisation]\n"
    );
    for (provider, health, ready) in [
        ("sim", "{ping: true}", "[]"),
        ("sim", "{ports: [22]}", "[]"),
        ("local", "{ports: [80]}", "[80]"),
    ] {
        let table = table(&behaviours(provider, health));
        let expected = format!("web (derived), ready: {ready}\n");
        assert!(table.starts_with(&expected), "{table}");
    }
}

#[test]
fn a_port_may_be_open_before_what_it_is_for() {
    check(
        "runcmd:
  - systemctl restart mysql
  - mysql -e \"CREATE DATABASE IF NOT EXISTS shop; GRANT ALL ON shop.* TO shop\"
  - gluster volume create other x:/brick
  - systemctl restart glusterd
  - gluster volume start data
",
        "{ping: false, ports: [3306, 24007]}",
        "runcmd:
  - mysql -h {{ getip('master') }} -u shop -psecret shop
  - mount -t glusterfs {{ getip('master') }}:/data /mnt
",
        "
master (derived), ready: [3306, 24007]
  systemctl (3306): gives [3306]; at master.yaml:3
  mysql (database shop): gives [database shop]; at master.yaml:4
  systemctl (24007): gives [24007]; at master.yaml:6
  gluster (volume data): gives [volume data]; at master.yaml:7
worker (derived), ready: []
  mysql master:3306, master.database shop: needs [master:3306, master.database shop]; at worker.yaml:3
  mount master:24007, master.volume data: needs [master:24007, master.volume data]; at worker.yaml:4
",
    );
}

#[test]
fn loops_and_patient_programs_wait() {
    let master = "runcmd:\n  - systemctl start mysql\n  - systemctl start nginx\n";
    check(
        master,
        "{ping: true}",
        "runcmd:
  - echo \"{{ getip('master') }} head\" >> /etc/hosts
  - timeout 300 bash -c 'until nc -z head 3306; do sleep 1; done'
  - mysql -h head -u shop shop
  - curl --retry 9 --retry-connrefused http://head/
",
        "
master (derived), ready: []
  systemctl (3306): gives [3306]; at master.yaml:3
  systemctl (80): gives [80]; at master.yaml:4
worker (derived), ready: []
  echo master address: needs [master address]; at worker.yaml:3
  nc master:3306: needs [master:3306]; retries; at worker.yaml:4
  mysql master:3306: needs [master:3306]; at worker.yaml:5
  curl master:80: needs [master:80]; retries; at worker.yaml:6
",
    );
}

#[test]
fn what_may_have_waited_is_no_need() {
    let master = "runcmd:\n  - systemctl start mysql\n";
    for worker in [
        "wait_for() { until nc -z $1 $2; do sleep 1; done; }\n    wait_for MASTER 3306\n    mysql -h MASTER shop",
        "./wait.py MASTER\n    mysql -h MASTER shop",
        "if ! mysql -h MASTER shop; then sleep 60; fi\n    mysql -h MASTER shop",
        "mysql -h MASTER shop || true",
        "for host in MASTER; do until nc -z $host 3306; do sleep 1; done; done\n    mysql -h MASTER shop",
        "(sleep 60; mysql -h MASTER shop) &",
        "cat > /x.py <<E\n    connect('MASTER')\n    E\n    python3 /x.py\n    mysql -h MASTER shop",
        "/opt/wait-for-others\n    mysql -h MASTER shop",
        "docker run --rm waiter MASTER:3306\n    mysql -h MASTER shop",
        "mysql -h MASTER shop || { sleep 60; mysql -h MASTER shop; }",
        "[ \"$(mysql -h MASTER -e 'select 1')\" = 1 ] || echo no",
    ] {
        let worker =
            format!("runcmd:\n  - |\n    {worker}\n").replace("MASTER", "{{ getip('master') }}");
        let definitions = "'node_def:any':\n- resource: {type: sim}\n  contextualisation:\n    type: cloudinit\n    context_template: !yaml_import {url: 'file://FILE.yaml'}\n";
        let behaviours = of_texts(&[
            (
                "infra.yaml",
                "infra_name: demo\nuser_id: u\nnodes:\n- &m {name: master, type: master}\n- &w {name: worker, type: worker}\ndependencies:\n- [*w, *m]\n",
            ),
            (
                "nodes/master_node.yaml",
                &definitions
                    .replace("any", "master")
                    .replace("FILE", "master"),
            ),
            (
                "nodes/worker_node.yaml",
                &definitions
                    .replace("any", "worker")
                    .replace("FILE", "worker"),
            ),
            ("nodes/master.yaml", &format!("#cloud-config\n{master}")),
            ("nodes/worker.yaml", &format!("#cloud-config\n{worker}")),
        ]);
        let table = table(&behaviours);
        let needs: Vec<String> = behaviours
            .segments_of("worker")
            .iter()
            .flat_map(|segment| &segment.needs)
            .map(ToString::to_string)
            .collect();
        assert!(
            !needs.is_empty() && needs.iter().all(|need| need == "master address"),
            "{worker}\n{table}"
        );
    }
}

#[test]
fn daemons_that_connect_again_need_no_more_than_the_address() {
    check(
        "runcmd:\n  - /opt/spark/sbin/start-master.sh\n",
        "{ping: true}",
        "runcmd:
  - /opt/spark/sbin/start-worker.sh spark://{{ getip('master') }}:7077
  - consul agent -retry-join {{ getip('master') }} &
  - docker run -d -e MASTER={{ getip('master') }}:7077 worker
",
        "
master (derived), ready: []
  the setup
worker (derived), ready: []
  start-worker.sh master address: needs [master address]; at worker.yaml:3
",
    );
}

#[test]
fn files_of_others_that_are_edited_in_place_are_shared() {
    let master = "runcmd:\n  - systemctl start nfs-server\n";
    check(
        master,
        "{ping: false, ports: [2049]}",
        "runcmd:
  - ssh root@{{ getip('master') }} \"sed -i s/members=/members=$HOSTNAME,/ /etc/cluster\"
  - mount -t nfs {{ getip('master') }}:/srv /mnt/shared
  - echo $HOSTNAME >> /mnt/shared/members
  - flock /mnt/shared/lock sed -i s/a/b/ /mnt/shared/count
  - ssh root@{{ getip('master') }} \"echo $HOSTNAME >> /etc/all\"
",
        "
master (derived), ready: [2049]
  systemctl (2049): gives [2049]; at master.yaml:3
worker (derived), ready: []
  ssh master address: needs [master address]; at worker.yaml:3
  sed master:/etc/cluster: reads [master:/etc/cluster]; writes [master:/etc/cluster]; at worker.yaml:3
  mount master:2049: needs [master:2049]; retries; at worker.yaml:4
  echo shared:/mnt/shared/members: reads [shared:/mnt/shared/members]; writes [shared:/mnt/shared/members]; at worker.yaml:5
  flock shared:/mnt/shared/count: reads [shared:/mnt/shared/count]; writes [shared:/mnt/shared/count]; holds [shared:/mnt/shared/count]; at worker.yaml:6
  ssh master address: needs [master address]; at worker.yaml:7
",
    );
}

#[test]
fn what_is_read_first_and_written_later_is_shared() {
    let master = "runcmd:\n  - systemctl start redis\n";
    check(
        master,
        "{ping: false, ports: [6379]}",
        "runcmd:
  - |
    scp root@{{ getip('master') }}:/etc/members /tmp/members
    echo $HOSTNAME >> /tmp/members
    scp /tmp/members root@{{ getip('master') }}:/etc/members
    NUMBER=$(redis-cli -h {{ getip('master') }} get count)
    redis-cli -h {{ getip('master') }} set count $((NUMBER + 1))
    redis-cli -h {{ getip('master') }} incr total
    redis-cli -h {{ getip('master') }} set first $HOSTNAME NX
",
        "
master (derived), ready: [6379]
  systemctl (6379): gives [6379]; at master.yaml:3
worker (derived), ready: []
  scp master address, master:/etc/members: needs [master address]; reads [master:/etc/members]; at worker.yaml:4
  scp master address, master:/etc/members: needs [master address]; writes [master:/etc/members]; at worker.yaml:6
  redis-cli master:6379, master:count: needs [master:6379]; reads [master:count]; at worker.yaml:7
  redis-cli master:6379, master:count: needs [master:6379]; writes [master:count]; at worker.yaml:8
  redis-cli master:6379: needs [master:6379]; at worker.yaml:9
  redis-cli master:6379: needs [master:6379]; at worker.yaml:10
",
    );
}

#[test]
fn copies_of_shared_files_are_read_and_written() {
    check(
        "runcmd:\n  - systemctl start nfs-server\n",
        "{ping: false, ports: [2049]}",
        "runcmd:
  - mount -t nfs {{ getip('master') }}:/srv /mnt/shared
  - cp /mnt/shared/hosts /tmp/hosts
  - echo $HOSTNAME >> /tmp/hosts
  - cp /tmp/hosts /mnt/shared/hosts
  - cp /tmp/report /mnt/shared/reports/$HOSTNAME
",
        "
master (derived), ready: [2049]
  systemctl (2049): gives [2049]; at master.yaml:3
worker (derived), ready: []
  mount master:2049: needs [master:2049]; retries; at worker.yaml:3
  cp shared:/mnt/shared/hosts: reads [shared:/mnt/shared/hosts]; at worker.yaml:4
  cp shared:/mnt/shared/hosts: writes [shared:/mnt/shared/hosts]; at worker.yaml:6
  the rest
",
    );
}

#[test]
fn a_lock_holds_from_the_reading_to_the_writing() {
    check(
        "runcmd:\n  - systemctl start nfs-server nginx\n",
        "{ping: false, ports: [2049]}",
        "runcmd:
  - |
    mount -t nfs {{ getip('master') }}:/srv /mnt/shared
    exec 9>/mnt/shared/lock
    flock 9
    NUMBER=$(cat /mnt/shared/count)
    curl -d $NUMBER http://{{ getip('master') }}/
    echo $((NUMBER + 1)) > /mnt/shared/count
",
        "
master (derived), ready: [2049]
  systemctl (2049): gives [2049]; at master.yaml:3
worker (derived), ready: []
  mount master:2049: needs [master:2049]; retries; at worker.yaml:4
  cat shared:/mnt/shared/count: reads [shared:/mnt/shared/count]; holds [shared:/mnt/shared/count]; at worker.yaml:7
  curl master address: needs [master address]; holds [shared:/mnt/shared/count]; at worker.yaml:8
  echo shared:/mnt/shared/count: writes [shared:/mnt/shared/count]; holds [shared:/mnt/shared/count]; at worker.yaml:9
",
    );
}

#[test]
fn who_waits_for_those_who_wait_for_him_is_ready_before() {
    // The port of the daemon is only known from the health check.
    check(
        "runcmd:
  - /opt/daemon/start
  - |
    {% for address in getipall('worker') %}
    until nc -z {{ address }} 9001; do sleep 1; done
    {% endfor %}
",
        "{ping: false, ports: [9000]}",
        "runcmd:\n  - /opt/worker --listen 9001 --head {{ getip('master') }}\n",
        "
master (derived), ready: [9000]
  start (9000): gives [9000]; at master.yaml:3
  nc all worker:9001: needs [all worker:9001]; retries; at master.yaml:6
  the rest
worker (derived), ready: []
  worker master address: needs [master address]; at worker.yaml:3
  the rest: gives [9001]
",
    );
}

#[test]
fn annotations_replace_or_refine() {
    let worker = "runcmd:\n  - /opt/join {{ getip('master') }}\n";
    let master = "runcmd:\n  - /opt/start\n";
    check_annotated(
        master,
        "{ping: false, ports: [9000]}",
        worker,
        "  verification: {needs: ['master:9000', master.token], gives: [joined], retries: true}\n",
        "
master (derived), ready: [9000]
  the setup: gives [9000]
worker (refined), ready: []
  join master address: needs [master:9000, master.token]; gives [joined]; retries; at worker.yaml:3
",
    );
    check_annotated(
        master,
        "{ping: false, ports: [9000]}",
        worker,
        "  verification:\n    segments:\n    - {label: install}\n    - {needs: [all master], reads: ['volume:a'], writes: ['volume:a'], holds: ['volume:a']}\n",
        "
master (derived), ready: [9000]
  the setup: gives [9000]
worker (stated), ready: []
  install: at infra.yaml:11
  segment 2: needs [all master]; reads [volume:a]; writes [volume:a]; holds [volume:a]; at infra.yaml:12
",
    );
}

const SECRETS: &str = r#"infra_name: secrets
user_id: someone@example.org
variables:
  region: north
  db_password: 9f27c3a1e0
  mail: {relay: mx, token: 77aa01}
nodes:
- &database {name: database, type: database}
- &own {name: own, type: database, variables: {db_password: another}}
- &dumps {name: dumps, type: dumps}
- &reads {name: reads, type: reads}
- &groups {name: groups, type: groups}
- &boxed {name: boxed, type: boxed}
'node_def:database':
- resource: {type: sim}
  contextualisation:
    type: cloudinit
    context_template: |
      #cloud-config
      runcmd:
      - setup {{variables.db_password}} {{variables.mail.token}}
'node_def:dumps':
- resource: {type: sim}
  contextualisation:
    type: cloudinit
    context_template: |
      #cloud-config
      write_files:
      - path: /etc/all
        content: "{{ variables }}"
'node_def:reads':
- resource: {type: sim}
  contextualisation:
    type: cloudinit
    context_template: |
      #cloud-config
      write_files:
      - path: /etc/env
        content: |
          {% for name, value in variables.items() %}
          {{ name | upper }}={{ value }}
          {% endfor %}
      runcmd:
      - . /etc/env; client --password $DB_PASSWORD $MAIL
'node_def:groups':
- resource: {type: sim}
  contextualisation:
    type: cloudinit
    context_template: |
      #cloud-config
      write_files:
      - path: /etc/mail
        content: "{{ variables.mail }}"
'node_def:boxed':
- resource: {type: docker, endpoint: 'unix:///s', origin: x, image: x, tag: x}
  contextualisation:
    type: docker
    env: ['ALL={{variables}}']
    command: [run]
"#;

#[test]
fn secrets_that_a_node_does_not_name_are_those_of_others() {
    let behaviours = of_texts(&[("infra.yaml", SECRETS)]);
    let foreign: Vec<String> = behaviours
        .nodes
        .iter()
        .flat_map(|(node, behaviour)| {
            let secrets = behaviour.foreign_secrets.iter();
            secrets.map(move |one| format!("{node}: {} of {}", one.variable, one.owner))
        })
        .collect();
    assert_eq!(
        foreign,
        [
            "boxed: db_password of database",
            "boxed: mail.token of database",
            "dumps: db_password of database",
            "dumps: mail.token of database",
            "reads: mail.token of database",
        ]
    );
}
