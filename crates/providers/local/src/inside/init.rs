//! The first process of an instance: builds its world, starts what it is for,
//! and buries its dead.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use zenekar_agent::{HOSTS_BEGIN, HOSTS_END};

use super::root;
use super::service::{NOT_FOUND, NOT_RUNNABLE, Place, Running, start_command};
use crate::control::Link;
use crate::layout::InstancePaths;
use crate::network::{self, DNS_ADDRESS};
use crate::processes;
use crate::skeleton;
use crate::state::{self, Contextualisation, Description, FromInit, ToInit};
use crate::{Isolation, LocalError};

/// Runs as the role `init`: the argument is the instance's directory, and
/// standard input is the connection to the shim.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        return ExitCode::FAILURE;
    };
    // Without the shim nobody would find this instance: then it ends too.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let Ok(descriptor) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        return ExitCode::FAILURE;
    };
    let mut shim = Link::new(UnixStream::from(descriptor));
    let paths = InstancePaths::new(directory);
    match Init::boot(&paths, &mut shim) {
        Ok(mut init) => {
            let _ = shim.send(&FromInit::Booted);
            init.live(&mut shim);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let reason = error.chain();
            let _ = shim.send(&FromInit::Failed {
                reason,
                lacks_space: error.lacks_space(),
            });
            ExitCode::FAILURE
        }
    }
}

struct Init {
    place: Place,
    log: File,
    signals: SignalFd,
    contextualising: Option<Running>,
    /// Asked for while another one still runs; only the newest counts.
    next: Option<Contextualisation>,
    command: Option<i32>,
}

impl Init {
    fn boot(paths: &InstancePaths, shim: &mut Link) -> Result<Self, LocalError> {
        let path = paths.description();
        let description: Description = state::read(&path)
            .map_err(LocalError::file("read", &path))?
            .ok_or_else(|| LocalError::Invalid(format!("`{}` is broken", path.display())))?;
        let log_path = paths.contextualisation_log();
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&log_path)
            .map_err(LocalError::file("open", &log_path))?;
        let signals = processes::block_signals()?;
        let root = if description.isolation == Isolation::Plain {
            Self::settle_in_directory(paths, &description, shim)?
        } else {
            Self::settle_in_namespaces(paths, &description, shim)?;
            PathBuf::from("/")
        };
        Ok(Self {
            place: Place {
                isolation: description.isolation,
                root,
                host_name: description.host_name(),
                instance_id: description.instance.to_string(),
                mark: description.mark.clone(),
                address: description.address.to_string(),
            },
            log,
            signals,
            contextualising: None,
            next: None,
            command: None,
        })
    }

    fn settle_in_namespaces(
        paths: &InstancePaths,
        description: &Description,
        shim: &mut Link,
    ) -> Result<(), LocalError> {
        let own = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC;
        unshare(own).map_err(LocalError::system("make namespaces"))?;
        let hosts = wait_for_go(shim)?;
        if let Some(subnet) = description.subnet {
            network::configure(description.address, subnet)?;
        }
        let host_name = description.host_name();
        nix::unistd::sethostname(&host_name).map_err(LocalError::system("set the host name"))?;
        // `local`, the infrastructure, `instances`, the instance.
        let local = paths.root().ancestors().nth(3).unwrap_or(paths.root());
        let state = local.parent().unwrap_or(local);
        let skeleton = description
            .skeleton
            .as_deref()
            .map(|name| skeleton::directory(local, name));
        root::build(paths, skeleton.as_deref(), description.isolation, state)?;
        write_names(Path::new("/"), &host_name, &hosts)?;
        skeleton::prepare_packages(description.isolation)
    }

    fn settle_in_directory(
        paths: &InstancePaths,
        description: &Description,
        shim: &mut Link,
    ) -> Result<PathBuf, LocalError> {
        prctl::set_child_subreaper(true).map_err(LocalError::system("look after all processes"))?;
        let hosts = wait_for_go(shim)?;
        let root = paths.files();
        for name in ["etc", "root", "tmp", "var/log", "var/lib", "run"] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(LocalError::file("make", &path))?;
        }
        write_names(&root, &description.host_name(), &hosts)?;
        Ok(root)
    }

    /// Does what the shim says until the shim is gone.
    fn live(&mut self, shim: &mut Link) {
        loop {
            let (spoken, signalled) = wait(shim.stream().as_fd(), self.signals.as_fd());
            if signalled {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.bury(shim);
            }
            if !spoken {
                continue;
            }
            loop {
                match shim.next::<ToInit>() {
                    Ok(ToInit::Go { hosts } | ToInit::Hosts(hosts)) => {
                        let _ = write_names(&self.place.root, &self.place.host_name, &hosts);
                    }
                    Ok(ToInit::Contextualise(wanted)) => {
                        self.next = Some(wanted);
                        self.contextualise(shim);
                    }
                    Err(_) => return,
                }
                if !shim.has_message() {
                    break;
                }
            }
        }
    }

    /// Starts the contextualisation that was asked for last, unless one still runs.
    fn contextualise(&mut self, shim: &mut Link) {
        if self.contextualising.is_some() {
            return;
        }
        let Some(wanted) = self.next.take() else {
            return;
        };
        if let Some(arguments) = &wanted.command {
            if let Some(pid) = self.command.take() {
                let _ = processes::signal(-pid, Signal::SIGKILL);
            }
            match start_command(&self.place, arguments, &wanted.environment) {
                Ok(pid) => self.command = Some(pid),
                Err(error) => {
                    let detail = error.chain();
                    let _ = shim.send(&FromInit::CommandEnded { detail });
                }
            }
        }
        let user_data = wanted.user_data.unwrap_or_default();
        match Running::start(&self.place, wanted.revision, user_data, &self.log) {
            Ok(running) => self.contextualising = Some(running),
            Err(error) => {
                let _ = writeln!(&self.log, "zenekar: {}", error.chain());
            }
        }
    }

    /// Buries all processes that have ended.
    fn bury(&mut self, shim: &mut Link) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let (pid, detail) = match status {
                WaitStatus::Exited(pid, code) => (pid, format!("ended with exit code {code}")),
                WaitStatus::Signaled(pid, signal, _) => (pid, format!("was ended by {signal}")),
                WaitStatus::StillAlive => break,
                _ => continue,
            };
            if self.command == Some(pid.as_raw()) {
                self.command = None;
                let detail = format!("the command {detail}{}", why_not(status));
                // Standard error is the console: whoever reads the log learns it there too.
                let _ = writeln!(io::stderr(), "[zenekar] {detail}");
                let _ = shim.send(&FromInit::CommandEnded { detail });
            }
            if self
                .contextualising
                .as_ref()
                .is_some_and(|running| running.pid == pid.as_raw())
                && let Some(running) = self.contextualising.take()
            {
                let report = running.report();
                let _ = shim.send(&FromInit::Contextualised { report });
                self.contextualise(shim);
            }
        }
    }
}

/// Explains an ending that people with a container's image in mind do not expect.
fn why_not(status: WaitStatus) -> &'static str {
    match status {
        WaitStatus::Exited(_, code) if [NOT_RUNNABLE, NOT_FOUND].map(i32::from).contains(&code) => {
            "; it ran on this machine's files, since instances here have no image"
        }
        _ => "",
    }
}

/// Says that the namespaces are there, and waits until the shim has filled them.
fn wait_for_go(shim: &mut Link) -> Result<String, LocalError> {
    let failed = || LocalError::system::<io::Error>("talk to the shim");
    shim.send(&FromInit::Separated).map_err(failed())?;
    match shim.next::<ToInit>().map_err(failed())? {
        ToInit::Go { hosts } => Ok(hosts),
        _ => Err(LocalError::Invalid(
            "the shim said something else".to_owned(),
        )),
    }
}

/// Waits until one of two descriptors has something; says which.
fn wait(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> (bool, bool) {
    let mut descriptors = [
        PollFd::new(one, PollFlags::POLLIN),
        PollFd::new(other, PollFlags::POLLIN),
    ];
    let _ = poll(&mut descriptors, PollTimeout::NONE);
    let [one, other] = descriptors.map(|descriptor| descriptor.any().unwrap_or(false));
    (one, other)
}

/// Makes host name, names of all nodes and the name server known, in the files of the instance.
fn write_names(root: &Path, host_name: &str, hosts: &str) -> Result<(), LocalError> {
    let directory = root.join("etc");
    write_over(&directory.join("hostname"), &format!("{host_name}\n"))?;
    let path = directory.join("hosts");
    let before = fs::read_to_string(&path).unwrap_or_default();
    write_over(&path, &with_hosts(&before, hosts))?;
    if root == Path::new("/") {
        write_over(
            &directory.join("resolv.conf"),
            &format!("nameserver {DNS_ADDRESS}\n"),
        )?;
    }
    Ok(())
}

/// Replaces our lines of `/etc/hosts`; without any, they come first, since the
/// machine's own file may give its host name to an address of its own.
fn with_hosts(before: &str, hosts: &str) -> String {
    let ours = format!("{HOSTS_BEGIN}\n{hosts}{HOSTS_END}\n");
    match (before.find(HOSTS_BEGIN), before.find(HOSTS_END)) {
        (Some(begin), Some(end)) if begin < end => {
            let after = before[end + HOSTS_END.len()..].trim_start_matches('\n');
            format!("{}{ours}{after}", &before[..begin])
        }
        _ => format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{ours}"),
    }
}

/// Writes a file; if it is a link or belongs to somebody else, it is replaced.
fn write_over(path: &Path, text: &str) -> Result<(), LocalError> {
    if fs::read_to_string(path).is_ok_and(|before| before == text)
        && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
    {
        return Ok(());
    }
    let beside = path.with_extension("zenekar-new");
    fs::write(&beside, text).map_err(LocalError::file("write", &beside))?;
    fs::rename(&beside, path).map_err(LocalError::file("replace", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_others_stay_in_the_hosts_file() {
        let first = with_hosts("127.0.1.1 machine\n", "10.0.0.3 a\n");
        assert!(
            first.contains("localhost") && !first.contains("machine"),
            "{first}"
        );
        let own = format!("1.2.3.4 before\n{first}5.6.7.8 after\n");
        let second = with_hosts(&own, "10.0.0.4 b\n");
        assert!(second.starts_with("1.2.3.4 before\n"), "{second}");
        assert!(second.ends_with("5.6.7.8 after\n"), "{second}");
        assert!(
            second.contains("10.0.0.4 b\n") && !second.contains("10.0.0.3"),
            "{second}"
        );
        assert_eq!(with_hosts(&second, "10.0.0.4 b\n"), second);
    }
}
