//! Takes away from a process of an instance what it must not have.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};
use nix::libc;
use nix::unistd::geteuid;
use rustix::thread::CapabilitySet;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::{Isolation, LocalError};

/// What root may do inside an instance with real namespaces: what containers
/// usually get, and the network, which is its own. It does not reach to the
/// machine's devices, kernel, clock or mounts.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);

/// Confines this process and all that it starts, for good.
///
/// `root` is the instance's directory where it has no root of its own.
pub(crate) fn confine(isolation: Isolation, root: &Path) -> Result<(), LocalError> {
    match isolation {
        Isolation::Namespaces => drop_capabilities(),
        Isolation::UserNamespaces => {
            pretend_ownership()?;
            drop_capabilities()
        }
        Isolation::Plain => {
            if geteuid().is_root() {
                drop_capabilities()?;
            }
            restrict_files(root)
        }
    }
}

fn drop_capabilities() -> Result<(), LocalError> {
    keep_capabilities(KEPT).map_err(LocalError::system("give up the rights of root"))
}

fn keep_capabilities(kept: CapabilitySet) -> io::Result<()> {
    for capability in CapabilitySet::all().difference(kept).iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know is none that has to be given up.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut sets = rustix::thread::capabilities(None)?;
    sets.effective = sets.effective.intersection(kept);
    sets.permitted = sets.permitted.intersection(kept);
    sets.inheritable = sets.inheritable.intersection(kept);
    rustix::thread::set_capabilities(None, sets)?;
    Ok(())
}

/// System calls that change owners or identities. In a user namespace with one
/// user only they could but fail, and package managers would give up.
const IDENTITY_CALLS: &[i64] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
];

/// Those of them that newer architectures never had.
#[cfg(target_arch = "x86_64")]
const IDENTITY_CALLS_OLD: &[i64] = &[libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const IDENTITY_CALLS_OLD: &[i64] = &[];

/// Makes changes of owners and identities succeed without effect: everything
/// belongs to the one user that there is.
fn pretend_ownership() -> Result<(), LocalError> {
    let failed = |error: &dyn std::fmt::Display| LocalError::System {
        operation: "install a filter of system calls".to_owned(),
        source: io::Error::other(error.to_string()),
    };
    let architecture =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(&error))?;
    let filter = SeccompFilter::new(
        IDENTITY_CALLS
            .iter()
            .chain(IDENTITY_CALLS_OLD)
            .map(|call| (*call, Vec::new()))
            .collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(0),
        architecture,
    )
    .map_err(|error| failed(&error))?;
    let program: BpfProgram = filter
        .try_into()
        .map_err(|error: seccompiler::BackendError| failed(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| failed(&error))
}

/// What a process may read that has no root of its own: programs and their
/// settings, but nobody's home.
const READABLE: &[&str] = &[
    "/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/opt", "/proc", "/run",
    "/sbin", "/snap", "/srv", "/sys", "/usr", "/var/lib",
];

/// What it may write besides its own directory.
const WRITABLE: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
];

/// Lets this process write in one directory only.
fn restrict_files(root: &Path) -> Result<(), LocalError> {
    let failed = |error: &dyn std::fmt::Display| LocalError::System {
        operation: "confine a process to its directory (Landlock)".to_owned(),
        source: io::Error::other(error.to_string()),
    };
    let abi = ABI::V3;
    let all = AccessFs::from_all(abi);
    let readable = READABLE
        .iter()
        .filter_map(|path| PathFd::new(path).ok())
        .map(|path| Ok(PathBeneath::new(path, AccessFs::from_read(abi))));
    let writable = WRITABLE
        .iter()
        .filter_map(|path| Some((PathFd::new(path).ok()?, Path::new(path).is_dir())))
        .map(|(path, is_directory)| {
            let access = if is_directory {
                all
            } else {
                AccessFs::from_file(abi)
            };
            Ok(PathBeneath::new(path, access))
        });
    let own = PathFd::new(root).map_err(|error| failed(&error))?;
    let status = Ruleset::default()
        .handle_access(all)
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(readable))
        .and_then(|rules| rules.add_rules(writable))
        .and_then(|rules| rules.add_rule(PathBeneath::new(own, all)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| failed(&error))?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(failed(&"this kernel does not have it"));
    }
    Ok(())
}

/// Says whether this kernel can confine a process to a directory.
pub(crate) fn has_landlock() -> bool {
    // Asking for a set of rules has no effect until it is enforced.
    Ruleset::default()
        .set_compatibility_hard()
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok()
}

trait HardCompatibility {
    fn set_compatibility_hard(self) -> Self;
}

impl HardCompatibility for Ruleset {
    fn set_compatibility_hard(self) -> Self {
        landlock::Compatible::set_compatibility(self, landlock::CompatLevel::HardRequirement)
    }
}
