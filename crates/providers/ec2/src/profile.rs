//! Profiles of the shared files of Amazon's tools, and the environment's say in them.

use std::ffi::OsStr;
use std::path::PathBuf;

use aws_config::Region;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use zenekar_base::{ErrorClass, ProviderError};

use crate::credentials::Bridge;

/// The variables that name the region, the first one first.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The shared files: the variable that names one, and its usual place at home.
const FILES: [(&str, &str); 2] = [
    ("AWS_CONFIG_FILE", ".aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
];

/// Returns a variable that has a value: an empty one says nothing.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the profile that the environment names. To Amazon's crates an empty
/// variable names one without a name, while it is the usual one.
pub(crate) fn of_environment() -> Option<String> {
    std::env::var_os("AWS_PROFILE")?;
    variable("AWS_PROFILE").or_else(|| Some("default".to_owned()))
}

/// Returns the shared files.
fn files() -> Vec<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    let place = |(name, usual): (&str, &str)| match variable(name) {
        Some(given) => match given.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => PathBuf::from(given),
        },
        None => home.join(usual),
    };
    FILES.into_iter().map(place).collect()
}

/// Returns the shared files, for messages.
pub(crate) fn files_in_words() -> String {
    let files = files();
    let names = files.iter().map(|file| format!("`{}`", file.display()));
    names.collect::<Vec<_>>().join(" and ")
}

/// Refuses a profile that no shared file has. Amazon's crates would go on with
/// whatever else there is, and that would be somebody else's credentials.
pub(crate) fn must_exist(name: &str) -> Result<(), ProviderError> {
    // Keys of the environment come before profiles, the metadata's after them.
    let is_there = name == "default"
        || variable("AWS_ACCESS_KEY_ID").is_some()
        || files().iter().any(|file| {
            let text = std::fs::read(file).unwrap_or_default();
            has_profile(&String::from_utf8_lossy(&text), name)
        });
    if is_there {
        return Ok(());
    }
    let files = files_in_words();
    Err(ProviderError::new(
        ErrorClass::Auth,
        format!("no credentials: there is no profile `{name}` in {files}"),
    ))
}

/// Says whether a shared file has a profile. Its section is `[NAME]` in the file
/// of credentials, and `[profile NAME]` in that of settings.
fn has_profile(text: &str, name: &str) -> bool {
    let sections = text.lines().filter_map(|line| {
        let (section, _) = line.trim().strip_prefix('[')?.split_once(']')?;
        Some(section.trim())
    });
    sections
        .map(|section| match section.split_once(char::is_whitespace) {
            Some(("profile", name)) => name.trim(),
            _ => section,
        })
        .any(|found| found == name)
}

/// Returns where the region is looked for where a variable for it is there and
/// empty: to Amazon's crates that is a region without a name, while it is none.
pub(crate) fn region_beside_empty_variables(
    profile: Option<&str>,
    bridge: Bridge,
) -> Option<RegionProviderChain> {
    let is_empty = |name: &str| std::env::var_os(name).as_deref() == Some(OsStr::new(""));
    if !REGION_VARIABLES.into_iter().any(is_empty) {
        return None;
    }
    let given = REGION_VARIABLES.into_iter().find_map(variable);
    let settings = ProviderConfig::without_region().with_http_client(bridge);
    let mut of_profile = ProfileFileRegionProvider::builder().configure(&settings);
    if let Some(profile) = profile {
        of_profile = of_profile.profile_name(profile);
    }
    let of_machine = ImdsRegionProvider::builder().configure(&settings);
    let chain = RegionProviderChain::first_try(given.map(Region::new))
        .or_else(of_profile.build())
        .or_else(of_machine.build());
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_in_both_files() {
        let settings = "[default]\nregion=x\n [ profile  one ] # comment\n[sso-session two]\n";
        assert!(has_profile(settings, "one"));
        assert!(has_profile(settings, "default"));
        for missing in ["two", "profile", "region", "on"] {
            assert!(!has_profile(settings, missing), "{missing}");
        }
        assert!(has_profile("aws=1\n[three]\nx=[four]", "three"));
        assert!(!has_profile("aws=1\n[three]\nx=[four]", "four"));
    }
}
