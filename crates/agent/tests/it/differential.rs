//! The agent leaves behind what cloud-init leaves behind.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;

use crate::rig::{Change, Changes, Outcome, carry_out, missing};

/// Compares what both leave behind. Returns the steps that the agent reported;
/// none if the comparison cannot run here.
fn compare(user_data: &[u8]) -> Option<String> {
    if let Some(reason) = missing() {
        skipped(&reason);
        return None;
    }
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| carry_out("cloud-init", user_data));
        let ours = carry_out("agent", user_data);
        (theirs.join().unwrap(), ours)
    });
    let (Some(theirs), Some(ours)) = (theirs, ours) else {
        skipped("mounts are not granted");
        return None;
    };
    let steps = ours.changes["/var/log/zenekar-steps"]
        .content
        .clone()
        .unwrap_or_default();
    let differences = differences(&theirs, &ours);
    assert!(differences.is_empty(), "{differences}\nsteps:\n{steps}");
    // What others see of it must fit what was reported.
    let status = if steps.contains(": failed") {
        "status: error"
    } else {
        "status: done"
    };
    assert!(ours.status.contains(status), "{}", ours.status);
    Some(steps)
}

#[expect(
    clippy::print_stderr,
    reason = "people want to know what was not tested"
)]
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

fn differences(theirs: &Outcome, ours: &Outcome) -> String {
    let mut text = String::new();
    if theirs.host_name != ours.host_name {
        let _ = writeln!(
            text,
            "host name: {:?} {:?}",
            theirs.host_name, ours.host_name
        );
    }
    let (theirs, ours) = (relevant(&theirs.changes), relevant(&ours.changes));
    for (path, change) in &theirs {
        if ours.get(path) != Some(change) {
            let _ = writeln!(
                text,
                "{path}\n  cloud-init: {change:?}\n  agent:      {:?}",
                ours.get(path)
            );
        }
    }
    for path in ours.keys().filter(|path| !theirs.contains_key(*path)) {
        let _ = writeln!(text, "{path}\n  only the agent: {:?}", ours[path]);
    }
    text
}

/// Leaves out what the two keep for themselves, and what differs from run to run.
fn relevant(changes: &Changes) -> Changes {
    changes
        .iter()
        .filter(|(path, _)| is_relevant(path))
        .filter(|(path, change)| {
            // cloud-init makes empty ones for everybody, and folders for them.
            !(path.ends_with("/authorized_keys") && change.content.as_deref() == Some(""))
        })
        .map(|(path, change)| (path.clone(), normal(path, change)))
        .collect()
}

fn is_relevant(path: &str) -> bool {
    if let Some(of_instance) = path.strip_prefix("/var/lib/cloud/instances/i-0001/") {
        return ["scripts/", "boothooks/", "user-data.txt"]
            .iter()
            .any(|kept| of_instance.starts_with(kept) && of_instance != "user-data.txt.i");
    }
    let own = [
        "/var/lib/cloud",
        "/var/log",
        "/var/cache",
        "/etc/.pwd.lock",
        "/etc/cloud",
        "/var/lib/dpkg",
        "/var/lib/apt",
    ];
    let backup = path.starts_with("/etc/") && path.ends_with('-');
    // Folders that contain only what is left out.
    let holder = ["/var", "/var/lib", "/root", "/etc", "/usr", "/usr/games"].contains(&path);
    let keys = path.ends_with("/.ssh");
    !(own.iter().any(|own| path.starts_with(own)) || backup || holder || keys)
}

fn normal(path: &str, change: &Change) -> Change {
    let mut change = change.clone();
    let Some(text) = change.content.take() else {
        return change;
    };
    let text = match path {
        "/etc/shadow" => text.lines().map(without_salt).collect(),
        "/etc/sudoers" | "/etc/sudoers.d/90-cloud-init-users" | "/etc/hosts" => text
            .lines()
            .filter(|line| !line.starts_with("# ") || line.starts_with("# User rules"))
            .filter(|line| !line.is_empty())
            .fold(String::new(), |text, line| text + line + "\n"),
        // A package knows when it was built.
        "/opt/repo/Packages" => text
            .lines()
            .filter(|line| !line.starts_with("SHA256") && !line.starts_with("Size"))
            .collect(),
        _ if path.starts_with("/opt/repo/") => String::new(),
        // The words in which root is refused are ours, and to cloud-init the
        // order of keys does not matter.
        _ if path.ends_with("/authorized_keys") => {
            let mut keys: Vec<&str> = text
                .lines()
                .map(|line| line.split("\" ").last().unwrap_or(line))
                .collect();
            keys.sort_unstable();
            keys.join("\n")
        }
        _ => text,
    };
    change.content = Some(text);
    change
}

/// Keeps of a password only its method, for it is hashed with another salt each time.
fn without_salt(line: &str) -> String {
    let mut fields: Vec<&str> = line.split(':').collect();
    let password = fields.get(1).copied().unwrap_or("");
    let kept = match password.strip_prefix("$y$") {
        Some(_) => "$y$",
        None => password.strip_prefix("!$y$").map_or(password, |_| "!$y$"),
    };
    if fields.len() > 1 {
        fields[1] = kept;
    }
    fields.join(":") + "\n"
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn files() {
    let packed = base64(&gzip(b"packed\n"));
    let raw = base64(&[0, 159, 146, 150, 255]);
    let user_data = format!(
        r#"#cloud-config
write_files:
- {{path: /opt/a/plain, content: "text without end"}}
- {{path: /opt/a/b/c/modes, content: x, permissions: '0640'}}
- {{path: /opt/a/number, content: x, permissions: 0600}}
- {{path: /opt/a/decimal, content: x, permissions: 644}}
- {{path: /opt/a/special, content: x, permissions: "4755"}}
- {{path: /opt/a/prefix, content: x, permissions: 0o644}}
- {{path: /opt/a/nonsense, content: x, permissions: rw-r--r--}}
- {{path: /opt/a/owner, content: x, owner: "daemon:adm"}}
- {{path: /opt/a/user, content: x, owner: daemon, permissions: '0600'}}
- {{path: /opt/a/group, content: x, owner: "-1:adm"}}
- {{path: /opt/a/raw, encoding: b64, content: {raw}}}
- {{path: /opt/a/base64, encoding: Base64, content: "aGVs bG8="}}
- {{path: /opt/a/gzip64, encoding: gz+b64, content: {packed}}}
- {{path: /opt/a/gzip64b, encoding: GZIP+BASE64, content: {packed}}}
- {{path: /opt/a/binary, content: !!binary {raw}}}
- {{path: /opt/a/unknown, encoding: rot13, content: uryyb}}
- {{path: /opt/a/empty}}
- {{content: nowhere}}
- {{path: relative/file, content: x}}
- {{path: /opt/../opt/a/dots, content: x}}
- {{path: /opt/a/plain, content: " and more", append: true}}
- {{path: /opt/a/appended, content: one, append: yes, permissions: '0600'}}
- {{path: /opt/a/appended, content: " two", append: "yes"}}
- {{path: /opt/a/late, content: late, defer: true, owner: "backup:backup"}}
- path: /opt/a/block
  content: |
    a literal block
      with more space

    and an empty line
- path: /opt/a/folded
  content: >-
    folded
    into one
- path: /etc/motd
  content: over what is there
"#
    );
    let Some(steps) = compare(user_data.as_bytes()) else {
        return;
    };
    assert!(
        steps.contains("init write_files entry 18: failed (it has no path)"),
        "{steps}"
    );
    assert!(
        steps.contains("final write_files /opt/a/late: done"),
        "{steps}"
    );
}

#[test]
fn the_first_broken_file_keeps_the_others_from_being_written() {
    let user_data = br"#cloud-config
write_files:
- {path: /opt/one, content: x}
- {path: /opt/two, content: x, owner: 'nosuchuser:adm'}
- {path: /opt/three, content: x}
- {path: /opt/four, content: x, defer: true}
- {path: /opt/five, content: 5, defer: true}
- {path: /opt/six, content: x, defer: true}
runcmd:
- touch /opt/ran
- 'false'
- [sh, -c, 'exit 3']
- echo $((1+1)) > /opt/after
- cd /opt
- export WORD='two words'
- [sh, -c, 'echo $WORD, $0, $(pwd) > here', 'a b', 1, true, null]
- 'for n in 1 2; do
    echo $n >> /opt/loop; done'
-
- |
  cat > /opt/document <<END
  $WORD
  END
- exit 7
- touch /opt/never
";
    let Some(steps) = compare(user_data) else {
        return;
    };
    assert!(
        steps.contains("final runcmd touch /opt/ran (and 13 lines more): failed (exit status 7)"),
        "{steps}"
    );
    assert!(
        steps.contains(
            "init write_files /opt/three: failed (not written, because `/opt/two` failed)"
        ),
        "{steps}"
    );
}

#[test]
fn parts() {
    let script = base64(b"#!/bin/sh\r\necho $0 >> /opt/order\r\n");
    let packed = base64(&gzip(b"#!/bin/sh\necho packed $0 >> /opt/order\n"));
    let user_data = format!(
        r#"Content-Type: multipart/mixed; boundary="===1=="
MIME-Version: 1.0

--===1==
Content-Type: text/cloud-config; charset="us-ascii"
MIME-Version: 1.0
Content-Transfer-Encoding: 7bit
Content-Disposition: attachment; filename="one.yaml"

#cloud-config
write_files: [{{path: /opt/one, content: one}}]
runcmd: [echo one >> /opt/order]
timezone: Europe/Budapest
--===1==
Content-Type: text/cloud-config
Merge-Type: list(append)+dict(recurse_array)+str()

write_files: [{{path: /opt/two, content: two}}]
runcmd: [echo two >> /opt/order]
timezone: Europe/Vienna
--===1==
Content-Type: text/x-shellscript
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="zz last/one.sh"

{script}
--===1==
Content-Type: text/plain
Content-Transfer-Encoding: quoted-printable

#!/bin/sh
echo plain =24(basename =240) =
>> /opt/order
--===1==
Content-Type: application/x-gzip
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=packed.sh

{packed}
--===1==
Content-Type: text/cloud-boothook

#cloud-boothook
#!/bin/sh
echo hook $INSTANCE_ID >> /opt/order
--===1==
Content-Type: multipart/mixed; boundary="inner"

--inner
Content-Type: text/x-shellscript; name="inner.sh"

#!/bin/sh
echo inner >> /opt/order
exit 1
--inner
Content-Type: text/x-shellscript

no interpreter named
--inner--

--===1==
Content-Type: text/x-shellscript-per-boot
Content-Disposition: attachment; filename="boot.sh"

#!/bin/sh
echo per boot >> /opt/order
--===1==
Content-Type: text/cloud-config

#cloud-config
broken: [
--===1==
Content-Type: application/x-unheard-of

nothing
--===1==--
"#
    );
    let Some(steps) = compare(user_data.as_bytes()) else {
        return;
    };
    for step in [
        "init boothook part-006: done",
        "final script inner.sh: failed (exit status 1)",
        "final script zzlast_one.sh: done",
        "final runcmd echo one >> /opt/order (and 1 line more): done",
        "unknown (nothing knows the content type `application/x-unheard-of`)",
    ] {
        assert!(steps.contains(step), "{step}\n{steps}");
    }
}

#[test]
fn accounts_and_names() {
    let user_data = br"#cloud-config
hostname: web.example.org
manage_etc_hosts: true
timezone: Asia/Tokyo
groups:
- crew
- pilots: [backup, nobodyknows]
- adm: [games]
users:
- default
- {name: amy, gecos: Amy A, shell: /bin/bash, groups: 'crew, newcomers', sudo: ALL=(ALL) NOPASSWD:ALL, uid: 4321, ssh_authorized_keys: [ssh-ed25519 AAAAC3Nz amy@x, not a key]}
- {name: bob, lock_passwd: false, plain_text_passwd: secret, primary-group: crew, homedir: /srv/bob, sudo: [ALL=NOPASSWD:/bin/ls, ALL=NOPASSWD:/bin/cat]}
- {name: eve, system: true, hashed_passwd: $6$salt$hash}
- {name: games, sudo: null, lock_passwd: false}
- carl
ssh_authorized_keys:
- ssh-rsa AAAAB3Nz me@there
- no-pty ssh-rsa AAAAB3Nw opts@there
chpasswd:
  expire: false
  list: |
    amy:opensesame
    carl:$6$rounds$abcdef
ssh_pwauth: true
runcmd:
- su amy -c 'echo $HOME > ~/mine'
- [chown, 'bob:crew', /srv/bob]
";
    let Some(steps) = compare(user_data) else {
        return;
    };
    assert!(!steps.contains("failed"), "{steps}");
    for word in ["secret", "opensesame", "hash"] {
        assert!(!steps.contains(word), "{steps}");
    }
}

#[test]
fn older_forms() {
    let user_data = br##"#cloud-config-archive
- type: text/cloud-config
  content: |
    bootcmd:
    - echo boot $INSTANCE_ID > /opt/boot
    - [sh, -c, 'echo list >> /opt/boot']
    user: web
    password: first
    chpasswd: {expire: yes}
    fqdn: db.example.org
    manage_etc_hosts: localhost
    write_files: [{path: /opt/old, content: old}]
- filename: second.yaml
  content: |
    #cloud-config
    write_files: [{path: /opt/new, content: new}]
    write_files: [{path: /opt/newest, content: newest}]
    base: &base {path: /opt/merged, content: merged, permissions: 0600}
    final_message: up since $UPTIME
- "#!/bin/sh\ntouch /opt/script\n"
- |
  #cloud-config
  merge_how:
  - {name: list, settings: [append]}
  - {name: dict, settings: [no_replace, recurse_list]}
  write_files:
  - &file {path: /opt/anchor, content: anchor, permissions: 0600}
  - {<<: *file, path: /opt/alias}
"##;
    let Some(steps) = compare(user_data) else {
        return;
    };
    for step in ["init base : unknown", "final final_message : done"] {
        assert!(steps.contains(step), "{step}\n{steps}");
    }
}

#[test]
fn a_script_alone() {
    compare(b"#!/bin/bash\nset -e\necho \"$BASH_VERSION\" > /dev/null\nid -un > /opt/who\npwd > /opt/where\numask > /opt/umask\ntest -t 0 || cat > /opt/input\n");
}

/// Makes a package and a place of packages out of nothing, where no network is.
const OWN_PACKAGES: &str = r"#cloud-config
bootcmd:
- |
  rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
  mkdir -p /opt/repo /tmp/build/DEBIAN /tmp/build/opt/installed
  cd /tmp/build
  for version in 1.0 2.0; do
    printf 'Package: zenekar-test\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: nothing\n' $version > DEBIAN/control
    echo $version > opt/installed/version
    dpkg-deb --build . /opt/repo/zenekar-test_$version.deb
    cat DEBIAN/control > /tmp/entry
    printf 'Filename: ./zenekar-test_%s.deb\nSize: %s\nSHA256: %s\n\n' $version $(stat -c %s /opt/repo/zenekar-test_$version.deb) $(sha256sum < /opt/repo/zenekar-test_$version.deb | cut -c1-64) >> /tmp/entry
    cat /tmp/entry >> /opt/repo/Packages
  done
  rm /opt/repo/*.deb.tmp 2>/dev/null
  touch -d 2020-01-01 /opt/repo/*
apt:
  sources:
    own:
      source: 'deb [trusted=yes] file:/opt/repo ./'
    other.list:
      source: '# for $RELEASE from $PRIMARY'
      append: false
  conf: |
    APT::Install-Suggests false;
  proxy: http://127.0.0.1:9
package_update: true
packages:
- [zenekar-test, '1.0']
runcmd:
- cp /opt/installed/version /opt/at-runcmd
";

#[test]
fn packages() {
    let Some(steps) = compare(OWN_PACKAGES.as_bytes()) else {
        return;
    };
    for step in [
        "config apt_configure update: done",
        "final package_update_upgrade_install install zenekar-test=1.0: done",
    ] {
        assert!(steps.contains(step), "{step}\n{steps}");
    }
    let gone = OWN_PACKAGES.replace("'1.0'", "'9.0'");
    let steps = compare(gone.as_bytes()).unwrap_or_default();
    let failed = "install zenekar-test=9.0: failed (exit status 100)";
    assert!(steps.contains(failed), "{steps}");
}
