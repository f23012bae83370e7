//! Descriptors with planted races, of commands that every Debian has and two
//! small servers that are written onto the instances.

use super::descriptor::{CASE, Case, NODE, Node, Wrong};

/// All of them.
pub(super) const CASES: &[Case] = &[
    Case {
        name: "early-join",
        nodes: &[
            Node {
                name: "master",
                commands: &[
                    "mkdir -p /srv/master",
                    "/opt/serve 8000 /srv/master &",
                    "echo secret > /srv/master/token",
                ],
                ports: &[8000],
                ..NODE
            },
            Node {
                name: "worker",
                count: 2,
                after: &["master"],
                commands: &["curl -sf -o /tmp/token http://{{ getip('master') }}:8000/token"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "wrong-check",
        nodes: &[
            Node {
                name: "database",
                commands: &["/opt/serve 9000 /srv &", "/opt/serve 8080 /srv &"],
                ports: &[9000],
                ..NODE
            },
            Node {
                name: "shop",
                after: &["database"],
                commands: &["wget -q --tries=1 -O /tmp/page http://{{ getip('database') }}:8080/"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "store-not-open",
        nodes: &[
            Node {
                name: "registry",
                commands: &["/opt/serve 9000 /srv &", "/opt/store 6379 &"],
                ports: &[9000],
                ..NODE
            },
            Node {
                name: "user",
                after: &["registry"],
                commands: &["redis-cli -h {{ getip('registry') }} ping"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "no-dependency",
        nodes: &[
            Node {
                name: "database",
                commands: &[
                    "/opt/serve 3306 /srv &",
                    "until curl -s http://localhost:3306/; do sleep 0.1; done",
                ],
                ports: &[3306],
                ..NODE
            },
            Node {
                name: "shop",
                states: &["needs: ['database:3306']"],
                commands: &["curl -sf --max-time 5 http://database:3306/"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "members-incomplete",
        nodes: &[
            Node {
                name: "member",
                count: 2,
                states: &[
                    "segments: [{label: start, gives: [6999]}, {label: serve, gives: [7000]}]",
                ],
                commands: &["/opt/serve 6999 /srv &", "/opt/serve 7000 /srv &"],
                ports: &[6999],
                ..NODE
            },
            Node {
                name: "zhead",
                after: &["member"],
                states: &["segments: [{label: configure all members, needs: ['all member:7000']}]"],
                commands: &[
                    "(for member in {{ getipall('member') | join(' ') }}; do curl -sf http://$member:7000/ || exit 9; done)",
                ],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "schema-too-late",
        nodes: &[
            Node {
                name: "database",
                commands: &[
                    "mkdir -p /srv/database",
                    "/opt/serve 3306 /srv/database &",
                    "echo tables > /srv/database/schema",
                ],
                ports: &[3306],
                ..NODE
            },
            Node {
                name: "shop",
                after: &["database"],
                commands: &[
                    "curl -sf http://{{ getip('database') }}:3306/schema",
                    "/opt/serve 8080 /srv &",
                ],
                ports: &[8080],
                ..NODE
            },
            Node {
                name: "web",
                after: &["shop"],
                commands: &["curl -sf http://{{ getip('shop') }}:8080/"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "key-not-written",
        nodes: &[
            Node {
                name: "master",
                commands: &[
                    "mkdir -p /srv/www",
                    "/opt/serve 8000 /srv/www &",
                    "sleep 0.2; date > /srv/www/first",
                    "date > /srv/www/key",
                ],
                ports: &[8000],
                ..NODE
            },
            Node {
                name: "worker",
                count: 3,
                after: &["master"],
                commands: &["wget -q --tries=1 -O /tmp/key http://{{ getip('master') }}:8000/key"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "two-of-two",
        nodes: &[
            Node {
                name: "left",
                commands: &["/opt/serve 9001 /srv &", "/opt/serve 7001 /srv &"],
                ports: &[9001],
                ..NODE
            },
            Node {
                name: "right",
                commands: &["/opt/serve 7002 /srv &"],
                ports: &[7002],
                ..NODE
            },
            Node {
                name: "user",
                after: &["left", "right"],
                commands: &[
                    "curl -sf http://{{ getip('right') }}:7002/",
                    "curl -sf http://{{ getip('left') }}:7001/",
                ],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "three-tiers",
        nodes: &[
            Node {
                name: "database",
                commands: &["/opt/serve 3306 /srv &"],
                ports: &[3306],
                ..NODE
            },
            Node {
                name: "shop",
                after: &["database"],
                commands: &[
                    "curl -sf http://{{ getip('database') }}:3306/",
                    "/opt/serve 9000 /srv &",
                    "/opt/serve 8080 /srv &",
                ],
                ports: &[9000],
                ..NODE
            },
            Node {
                name: "web",
                after: &["shop"],
                commands: &["curl -sf http://{{ getip('shop') }}:8080/"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "peers-in-a-hurry",
        nodes: &[Node {
            name: "peer",
            count: 2,
            states: &[
                "segments: [{label: listen, gives: [7000]}, {label: join another peer, needs: ['peer:7000']}]",
            ],
            commands: &[
                "/opt/serve 7000 /srv &",
                "(for peer in peer-1 peer-2; do [ $peer = $(hostname) ] || curl -sf --max-time 5 http://$peer:7000/ || exit 9; done)",
            ],
            ..NODE
        }],
        good: Some("peer[1],peer[2]"),
        ..CASE
    },
    Case {
        name: "stated-token",
        nodes: &[
            Node {
                name: "master",
                states: &[
                    "segments: [{label: listen, gives: [8000]}, {label: make the token, gives: [token]}, {label: clean}]",
                ],
                commands: &[
                    "/opt/serve 8000 /srv/x &",
                    "mkdir -p /srv/x; echo secret > /srv/x/token",
                    "rm -f /srv/x/old",
                ],
                ports: &[8000],
                ..NODE
            },
            Node {
                name: "worker",
                count: 2,
                after: &["master"],
                states: &["segments: [{label: join, needs: ['master:8000', master.token]}]"],
                commands: &["curl -sf http://{{ getip('master') }}:8000/token"],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "taken-and-put-back",
        nodes: &[
            Node {
                name: "registry",
                commands: &["/opt/store 6379 &"],
                ports: &[6379],
                ..NODE
            },
            Node {
                name: "tmember",
                count: 2,
                after: &["registry"],
                reports: "#!/bin/sh\necho members=\"$(redis-cli -h registry get members | wc -w)\"\n",
                commands: &[
                    "redis-cli -h {{ getip('registry') }} get members > /tmp/members",
                    "redis-cli -h {{ getip('registry') }} set members \"$(cat /tmp/members) $(hostname)\"",
                ],
                ..NODE
            },
        ],
        stated: "properties:\n- name: nobody is forgotten\n  always: not all finished(tmember) or any var(tmember, members) = 2\n",
        ..CASE
    },
    Case {
        name: "two-leaders",
        nodes: &[
            Node {
                name: "registry",
                commands: &["/opt/store 6379 &"],
                ports: &[6379],
                ..NODE
            },
            Node {
                name: "candidate",
                count: 2,
                after: &["registry"],
                reports: "#!/bin/sh\n[ ! -e /tmp/leads ] || echo leads=true\n",
                commands: &[
                    "redis-cli -h {{ getip('registry') }} get leader > /tmp/leader",
                    "grep -q . /tmp/leader || { redis-cli -h {{ getip('registry') }} set leader $(hostname); touch /tmp/leads; }",
                ],
                ..NODE
            },
        ],
        stated: "properties:\n- name: one leads\n  always: not at_least 2 var(candidate, leads) = true\n",
        good: Some("registry[1],candidate[1],candidate[1]"),
        ..CASE
    },
    Case {
        name: "lock-too-late",
        nodes: &[
            Node {
                name: "registry",
                commands: &["/opt/store 6379 &"],
                ports: &[6379],
                ..NODE
            },
            Node {
                name: "tmember",
                count: 2,
                after: &["registry"],
                reports: "#!/bin/sh\necho count=\"$(redis-cli -h registry get count)\"\n",
                commands: &[
                    "redis-cli -h {{ getip('registry') }} get count > /tmp/count",
                    "until redis-cli -h {{ getip('registry') }} setnx lock 1 | grep -q 1; do sleep 0.1; done\nredis-cli -h {{ getip('registry') }} set count $((0$(cat /tmp/count) + 1))\nredis-cli -h {{ getip('registry') }} del lock",
                ],
                ..NODE
            },
        ],
        stated: "properties:\n- name: all are counted\n  always: not all finished(tmember) or any var(tmember, count) = 2\n",
        ..CASE
    },
    Case {
        name: "joined-before-configured",
        wrong: Wrong::Stated,
        nodes: &[
            Node {
                name: "master",
                states: &[
                    "segments: [{label: listen, gives: [7077]}, {label: configure, gives: [configured]}]",
                ],
                reports: "#!/bin/sh\n[ ! -e /srv/configured ] || echo configured=true\n",
                commands: &["/opt/serve 7077 /srv &", "touch /srv/configured"],
                ports: &[7077],
                ..NODE
            },
            Node {
                name: "worker",
                after: &["master"],
                states: &[
                    "segments: [{label: join, needs: ['master:7077'], retries: true, gives: [joined]}]",
                ],
                reports: "#!/bin/sh\n[ ! -e /tmp/joined ] || echo joined=true\n",
                commands: &["curl -sf http://{{ getip('master') }}:7077/ && touch /tmp/joined"],
                ..NODE
            },
        ],
        stated: "variables:\n  configured: { vm: master, name: configured, group: any, expected: true }\n  joined: { vm: worker, name: joined, group: any, expected: true }\nproperties:\n- name: first configured, then joined\n  always: not joined or once(configured)\n",
        ..CASE
    },
    Case {
        name: "open-while-empty",
        wrong: Wrong::Stated,
        nodes: &[
            Node {
                name: "database",
                states: &[
                    "segments: [{label: start, gives: [3306]}, {label: fill, gives: [filled]}]",
                ],
                reports: "#!/bin/sh\n[ ! -e /srv/filled ] || echo filled=true\n",
                commands: &["/opt/serve 3306 /srv &", "touch /srv/filled"],
                ports: &[3306],
                ..NODE
            },
            Node {
                name: "shop",
                after: &["database"],
                states: &["segments: [{label: open, needs: ['database:3306'], gives: [80]}]"],
                reports: "#!/bin/sh\n! curl -s http://localhost/ > /dev/null || echo 80=true\n",
                commands: &[
                    "curl -sf http://{{ getip('database') }}:3306/; /opt/serve 80 /srv & until curl -s http://localhost/; do sleep 0.1; done",
                ],
                ports: &[80],
                ..NODE
            },
        ],
        stated: "scenario_name: shop\nspecification:\n  variables:\n    open: { vm: shop, name: \"80\", group: any, expected: true }\n    filled: { vm: database, name: filled, group: all, expected: true }\n  statements:\n  - filled or not open\n",
        ..CASE
    },
    Case {
        name: "waiting-cycle",
        nodes: &[
            Node {
                name: "left",
                states: &[
                    "segments: [{label: wait for the right one, needs: ['right:7002'], retries: true}, {label: serve, gives: [7001]}]",
                ],
                commands: &[
                    "until curl -sf --max-time 2 http://right:7002/; do sleep 0.2; done",
                    "/opt/serve 7001 /srv &",
                ],
                ..NODE
            },
            Node {
                name: "right",
                states: &[
                    "segments: [{label: wait for the left one, needs: ['left:7001'], retries: true}, {label: serve, gives: [7002]}]",
                ],
                commands: &[
                    "until curl -sf --max-time 2 http://left:7001/; do sleep 0.2; done",
                    "/opt/serve 7002 /srv &",
                ],
                ..NODE
            },
        ],
        deadline: "20s",
        good: None,
        ..CASE
    },
    Case {
        name: "head-waits-first",
        nodes: &[
            Node {
                name: "head",
                states: &[
                    "segments: [{label: wait for the worker, needs: [worker], retries: true}, {label: serve, gives: [9000]}]",
                ],
                commands: &[
                    "until curl -sf --max-time 2 http://worker:7000/; do sleep 0.2; done",
                    "/opt/serve 9000 /srv &",
                ],
                ports: &[9000],
                ..NODE
            },
            Node {
                name: "worker",
                after: &["head"],
                commands: &["/opt/serve 7000 {{ getip('head') }} &"],
                ..NODE
            },
        ],
        deadline: "20s",
        good: None,
        ..CASE
    },
    Case {
        name: "peers-wait",
        nodes: &[Node {
            name: "peer",
            count: 2,
            states: &[
                "segments: [{label: join another peer, needs: ['peer:7000'], retries: true}, {label: listen, gives: [7000]}]",
            ],
            commands: &[
                "for peer in peer-1 peer-2; do until [ $peer = $(hostname) ] || curl -sf --max-time 2 http://$peer:7000/; do sleep 0.2; done; done",
                "/opt/serve 7000 /srv &",
            ],
            ..NODE
        }],
        deadline: "20s",
        good: None,
        ..CASE
    },
    Case {
        name: "lock-order",
        nodes: &[
            Node {
                name: "registry",
                commands: &["/opt/store 6379 &"],
                ports: &[6379],
                ..NODE
            },
            Node {
                name: "sleft",
                after: &["registry"],
                states: &[
                    "segments: [{label: take users, holds: [users]}, {label: take orders too, holds: [users, orders]}, {label: let go}]",
                ],
                commands: &[
                    "until redis-cli -h {{ getip('registry') }} setnx users 1 | grep -q 1; do sleep 0.2; done",
                    "until redis-cli -h {{ getip('registry') }} setnx orders 1 | grep -q 1; do sleep 0.2; done",
                    "redis-cli -h {{ getip('registry') }} del users; redis-cli -h {{ getip('registry') }} del orders",
                ],
                ..NODE
            },
            Node {
                name: "tright",
                after: &["registry"],
                states: &[
                    "segments: [{label: take orders, holds: [orders]}, {label: take users too, holds: [orders, users]}, {label: let go}]",
                ],
                commands: &[
                    "until redis-cli -h {{ getip('registry') }} setnx orders 1 | grep -q 1; do sleep 0.2; done",
                    "until redis-cli -h {{ getip('registry') }} setnx users 1 | grep -q 1; do sleep 0.2; done",
                    "redis-cli -h {{ getip('registry') }} del users; redis-cli -h {{ getip('registry') }} del orders",
                ],
                ..NODE
            },
        ],
        deadline: "20s",
        ..CASE
    },
    Case {
        name: "edited-in-place",
        wrong: Wrong::Impossible,
        nodes: &[
            Node {
                name: "registry",
                commands: &["/opt/store 6379 &"],
                ports: &[6379],
                ..NODE
            },
            Node {
                name: "tmember",
                count: 2,
                after: &["registry"],
                states: &["segments: [{label: add itself, reads: [members], writes: [members]}]"],
                commands: &[
                    "redis-cli -h {{ getip('registry') }} set members \"$(redis-cli -h {{ getip('registry') }} get members) $(hostname)\"",
                ],
                ..NODE
            },
        ],
        ..CASE
    },
    Case {
        name: "quota",
        wrong: Wrong::Impossible,
        nodes: &[Node {
            name: "server",
            count: 3,
            commands: &["'true'"],
            ..NODE
        }],
        explored_with: &["--quota", "2"],
        ..CASE
    },
];
