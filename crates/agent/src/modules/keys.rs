//! The keys that a cloud-config may have, and what becomes of them.

use zenekar_base::Value;
use zenekar_diagnostics::did_you_mean;

use crate::session::{Ending, Session, Stage};
use crate::values::text_of;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A module carries it out.
    Served,
    /// There is nothing to do on such a node, and nothing is missed.
    Moot,
    /// It is not carried out, in a stage, for a reason.
    Not(Stage, &'static str),
}

const NO_DISKS: &str = "the node has no disks of its own";
const NOT_DONE: &str = "this module is not carried out";
const PROVIDER: &str = "the provider decides it";

/// All keys that cloud-init 22.4 knows, in alphabetical order.
const KEYS: &[(&str, Fate)] = &[
    ("allow_public_ssh_keys", Fate::Moot),
    ("ansible", Fate::Not(Stage::Config, NOT_DONE)),
    ("apk_repos", Fate::Not(Stage::Config, "the node has no apk")),
    ("apt", Fate::Served),
    ("apt_custom_sources_list", Fate::Served),
    ("apt_ftp_proxy", Fate::Served),
    ("apt_http_proxy", Fate::Served),
    ("apt_https_proxy", Fate::Served),
    ("apt_mirror", Fate::Served),
    ("apt_mirror_search", Fate::Served),
    ("apt_mirror_search_dns", Fate::Served),
    ("apt_pipelining", Fate::Not(Stage::Config, NOT_DONE)),
    ("apt_preserve_sources_list", Fate::Served),
    ("apt_proxy", Fate::Served),
    ("apt_reboot_if_required", Fate::Served),
    ("apt_sources", Fate::Served),
    ("apt_update", Fate::Served),
    ("apt_upgrade", Fate::Served),
    ("authkey_hash", Fate::Moot),
    ("autoinstall", Fate::Not(Stage::Config, NOT_DONE)),
    ("bootcmd", Fate::Served),
    ("byobu_by_default", Fate::Not(Stage::Config, NOT_DONE)),
    ("ca-certs", Fate::Not(Stage::Init, NOT_DONE)),
    ("ca_certs", Fate::Not(Stage::Init, NOT_DONE)),
    ("chef", Fate::Not(Stage::Final, NOT_DONE)),
    ("chpasswd", Fate::Served),
    (
        "cloud_config_modules",
        Fate::Not(Stage::Config, "the modules and their order are fixed"),
    ),
    (
        "cloud_final_modules",
        Fate::Not(Stage::Final, "the modules and their order are fixed"),
    ),
    (
        "cloud_init_modules",
        Fate::Not(Stage::Init, "the modules and their order are fixed"),
    ),
    ("datasource", Fate::Moot),
    ("datasource_list", Fate::Moot),
    ("debug", Fate::Moot),
    ("device_aliases", Fate::Not(Stage::Init, NO_DISKS)),
    ("disable_ec2_metadata", Fate::Moot),
    ("disable_root", Fate::Served),
    ("disable_root_opts", Fate::Served),
    ("disk_setup", Fate::Not(Stage::Init, NO_DISKS)),
    ("drivers", Fate::Not(Stage::Config, NOT_DONE)),
    ("fan", Fate::Not(Stage::Final, NOT_DONE)),
    ("final_message", Fate::Served),
    ("fqdn", Fate::Served),
    ("fs_setup", Fate::Not(Stage::Init, NO_DISKS)),
    ("groups", Fate::Served),
    ("growpart", Fate::Moot),
    ("grub-dpkg", Fate::Moot),
    ("grub_dpkg", Fate::Moot),
    ("hostname", Fate::Served),
    ("keyboard", Fate::Moot),
    ("landscape", Fate::Not(Stage::Final, NOT_DONE)),
    ("launch-index", Fate::Moot),
    ("locale", Fate::Served),
    ("locale_configfile", Fate::Served),
    ("lxd", Fate::Not(Stage::Final, NOT_DONE)),
    ("manage_etc_hosts", Fate::Served),
    ("manage_resolv_conf", Fate::Not(Stage::Init, PROVIDER)),
    ("mcollective", Fate::Not(Stage::Final, NOT_DONE)),
    ("migrate", Fate::Moot),
    ("mount_default_fields", Fate::Not(Stage::Init, NO_DISKS)),
    ("mounts", Fate::Not(Stage::Init, NO_DISKS)),
    ("network", Fate::Not(Stage::Init, PROVIDER)),
    ("no_ssh_fingerprints", Fate::Moot),
    (
        "ntp",
        Fate::Not(Stage::Config, "the clock is that of the machine"),
    ),
    (
        "output",
        Fate::Not(
            Stage::Init,
            "all output goes to the log and to `/var/log/cloud-init-output.log`",
        ),
    ),
    ("package_reboot_if_required", Fate::Served),
    ("package_update", Fate::Served),
    ("package_upgrade", Fate::Served),
    ("packages", Fate::Served),
    ("password", Fate::Served),
    (
        "phone_home",
        Fate::Not(Stage::Final, "nothing is sent to other machines"),
    ),
    ("power_state", Fate::Not(Stage::Final, PROVIDER)),
    ("prefer_fqdn_over_hostname", Fate::Served),
    ("preserve_hostname", Fate::Served),
    ("puppet", Fate::Not(Stage::Final, NOT_DONE)),
    (
        "random_seed",
        Fate::Not(Stage::Init, "the randomness is that of the machine"),
    ),
    (
        "reporting",
        Fate::Not(Stage::Init, "nothing is sent to other machines"),
    ),
    ("resize_rootfs", Fate::Moot),
    ("resolv_conf", Fate::Not(Stage::Init, PROVIDER)),
    ("rh_subscription", Fate::Not(Stage::Config, NOT_DONE)),
    ("rsyslog", Fate::Not(Stage::Init, NOT_DONE)),
    ("runcmd", Fate::Served),
    ("salt_minion", Fate::Not(Stage::Final, NOT_DONE)),
    ("snap", Fate::Not(Stage::Config, NOT_DONE)),
    ("spacewalk", Fate::Not(Stage::Config, NOT_DONE)),
    ("ssh", Fate::Moot),
    ("ssh_authorized_keys", Fate::Served),
    ("ssh_deletekeys", Fate::Served),
    ("ssh_fp_console_blacklist", Fate::Moot),
    ("ssh_genkeytypes", Fate::Served),
    (
        "ssh_import_id",
        Fate::Not(Stage::Config, "nothing is fetched from other machines"),
    ),
    ("ssh_key_console_blacklist", Fate::Moot),
    ("ssh_keys", Fate::Served),
    ("ssh_publish_hostkeys", Fate::Moot),
    ("ssh_pwauth", Fate::Served),
    ("ssh_quiet_keygen", Fate::Served),
    ("swap", Fate::Not(Stage::Init, NO_DISKS)),
    ("system_info", Fate::Not(Stage::Init, PROVIDER)),
    ("timezone", Fate::Served),
    ("ubuntu_advantage", Fate::Not(Stage::Config, NOT_DONE)),
    ("unverified_modules", Fate::Moot),
    ("updates", Fate::Moot),
    ("user", Fate::Served),
    ("users", Fate::Served),
    ("vendor_data", Fate::Moot),
    ("wireguard", Fate::Not(Stage::Init, NOT_DONE)),
    ("write_files", Fate::Served),
    (
        "yum_repo_dir",
        Fate::Not(Stage::Config, "the node has no yum"),
    ),
    ("yum_repos", Fate::Not(Stage::Config, "the node has no yum")),
    ("zypper", Fate::Not(Stage::Config, "the node has no zypper")),
];

fn fate_of(key: &str) -> Option<Fate> {
    KEYS.binary_search_by_key(&key, |(name, _)| name)
        .ok()
        .map(|at| KEYS[at].1)
}

/// Reports the keys that nothing in this stage carries out.
pub(super) fn report(session: &mut Session<'_>, config: &[(String, Value)], stage: Stage) {
    for (key, value) in config {
        match fate_of(key) {
            Some(Fate::Moot) if stage == Stage::Init => {
                session.note(key, "", Ending::remark("nothing to do on such a node"));
            }
            Some(Fate::Not(of, reason)) if of == stage => {
                // Most say with it what is done here anyway.
                let usual = key == "output" && text_of(value).contains("cloud-init-output.log");
                let ending = if usual {
                    Ending::remark(reason)
                } else {
                    Ending::impossible(reason)
                };
                session.note(key, "", ending);
            }
            None if stage == Stage::Init => {
                let known = KEYS.iter().map(|(name, _)| *name);
                let message = match did_you_mean(key, known) {
                    Some(near) => format!("no module knows this key; did you mean `{near}`?"),
                    None => "no module knows this key".to_owned(),
                };
                session.note(key, "", Ending::unknown(message));
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_so_that_they_are_found() {
        assert!(KEYS.is_sorted_by(|one, two| one.0 < two.0));
        assert_eq!(fate_of("runcmd"), Some(Fate::Served));
        assert_eq!(fate_of("run_cmd"), None);
    }
}
