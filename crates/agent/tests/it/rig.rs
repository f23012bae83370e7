//! Throw-away root file systems in which cloud-init and the agent do the same.
//!
//! Each is a layer over the machine's own files, in namespaces of its own, so
//! that what was changed is exactly what is in the layer.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What is in a layer, by path.
pub(crate) type Changes = BTreeMap<String, Change>;

/// A file, folder or link that was made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// The content of a file, or where a link leads.
    pub(crate) content: Option<String>,
}

/// Ends with this status where the machine does not grant what is needed.
const NOT_GRANTED: i32 = 77;

/// Lays the root out, and runs the commands given as arguments in it.
const SCRIPT: &str = r#"
work=$1; exe=$2; who=$3
mount --make-rprivate / && mount -t tmpfs tmpfs "$work/mnt" || exit 77
mnt=$work/mnt
mkdir -p $mnt/upper $mnt/work $mnt/root $mnt/seed/etc/cloud/cloud.cfg.d $mnt/seed/var/lib/cloud/seed/nocloud
cp "$work/settings" $mnt/seed/etc/cloud/cloud.cfg.d/99-test.cfg
printf 'instance-id: i-0001\nlocal-hostname: node-1\n' > $mnt/seed/var/lib/cloud/seed/nocloud/meta-data
cp "$work/user-data" $mnt/seed/var/lib/cloud/seed/nocloud/user-data
mount -t overlay overlay -o lowerdir=$mnt/seed:/,upperdir=$mnt/upper,workdir=$mnt/work $mnt/root || exit 77
root=$mnt/root
mount -t proc proc $root/proc || exit 77
mount --rbind /dev $root/dev || exit 77
mount -t tmpfs tmpfs $root/run || exit 77
mount -t tmpfs tmpfs $root/tmp || exit 77
rm -rf $root/var/lib/cloud/instance $root/var/lib/cloud/instances $root/var/lib/cloud/scripts
hostname before
cd /
umask 022
if [ "$who" = cloud-init ]; then
    for stage in init 'modules --mode=config' 'modules --mode=final'; do
        chroot $root /usr/bin/cloud-init $stage
    done
else
    touch $root/run/agent-test
    mount --bind "$exe" $root/run/agent-test || exit 77
    chroot $root /run/agent-test --exact inside::the_agent_runs --ignored --nocapture || exit 1
    chroot $root /usr/bin/cloud-init status --wait --long > "$work/status"
fi
hostname > "$work/hostname"
cp -a $mnt/upper "$work/out"
"#;

/// How the image is set up: nothing that every image does anyway.
const SETTINGS: &str = "\
datasource_list: [NoCloud]
network: {config: disabled}
ssh_deletekeys: false
ssh_genkeytypes: []
locale: false
users: []
";

/// What came of one run.
pub(crate) struct Outcome {
    pub(crate) changes: Changes,
    pub(crate) host_name: String,
    /// What `cloud-init status` says about the work of the agent.
    pub(crate) status: String,
}

/// Says why the comparison cannot run here; none if it can.
pub(crate) fn missing() -> Option<String> {
    let works = |words: &[&str]| {
        Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !nix::unistd::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    if !works(&["/usr/bin/cloud-init", "--version"]) {
        return Some("cloud-init is not installed".to_owned());
    }
    if !works(&[
        "unshare", "--mount", "--uts", "--pid", "--fork", "--net", "true",
    ]) {
        return Some("namespaces are not granted".to_owned());
    }
    None
}

/// Lets `cloud-init` or the `agent` carry user-data out. None where mounts are not granted.
pub(crate) fn carry_out(who: &str, user_data: &[u8]) -> Option<Outcome> {
    let work = tempfile::tempdir().unwrap();
    fs::create_dir(work.path().join("mnt")).unwrap();
    fs::write(work.path().join("settings"), SETTINGS).unwrap();
    fs::write(work.path().join("user-data"), user_data).unwrap();
    let output = run_script(work.path(), who);
    if output.status.code() == Some(NOT_GRANTED) {
        return None;
    }
    assert!(
        output.status.success(),
        "{who}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some(outcome_of(&work))
}

fn run_script(work: &Path, who: &str) -> Output {
    Command::new("unshare")
        .args([
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["sh", "-c", SCRIPT, "sh"])
        .args([
            work.as_os_str(),
            std::env::current_exe().unwrap().as_os_str(),
        ])
        .arg(OsStr::new(who))
        .env("ZENEKAR_AGENT_INSIDE", "1")
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env_remove("HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn outcome_of(work: &TempDir) -> Outcome {
    let mut changes = Changes::new();
    collect(&work.path().join("out"), "", &mut changes);
    Outcome {
        changes,
        host_name: fs::read_to_string(work.path().join("hostname")).unwrap(),
        status: fs::read_to_string(work.path().join("status")).unwrap_or_default(),
    }
}

fn collect(folder: &Path, below: &str, changes: &mut Changes) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.path().symlink_metadata().unwrap();
        let path = format!("{below}/{}", entry.file_name().display());
        let content = if metadata.is_symlink() {
            let link = fs::read_link(entry.path()).unwrap();
            Some(format!("link to {}", link.display()))
        } else if metadata.is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            Some(String::from_utf8(bytes).unwrap_or_else(|bytes| format!("{:?}", bytes.as_bytes())))
        } else {
            None
        };
        changes.insert(
            path.clone(),
            Change {
                mode: metadata.mode() & 0o7777,
                owner: (metadata.uid(), metadata.gid()),
                content,
            },
        );
        if metadata.is_dir() {
            collect(&entry.path(), &path, changes);
        }
    }
}
