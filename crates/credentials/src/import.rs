//! Secrets out of Occopus's authentication file.

use zenekar_base::{CloudKey, Value};
use zenekar_occopus::{AuthenticationFile, AuthenticationSection};

use crate::error::CredentialsError;
use crate::kind::CloudKind;
use crate::secrets::Secrets;

/// What an authentication file has for a cloud.
#[derive(Debug)]
pub struct Imported {
    /// The secrets.
    pub secrets: Secrets,
    /// Names in the entry that the kind of cloud does not have.
    pub unknown: Vec<String>,
}

/// Finds the secrets that an authentication file has for a cloud: those of the
/// entry all of whose keys are what a resource section for this place says.
pub fn import(
    file: &AuthenticationFile,
    key: &CloudKey,
) -> Result<Option<Imported>, CredentialsError> {
    let Some(kind) = CloudKind::from_name(&key.kind) else {
        return Ok(None);
    };
    for section in sections(kind, key) {
        let found = file
            .find(AuthenticationSection::Resource, &section)
            .map_err(|several| CredentialsError::Ambiguous(several.to_string()))?;
        let Some(secret) = found else { continue };
        let mut imported = Imported {
            secrets: Secrets::default(),
            unknown: Vec::new(),
        };
        for name in secret.names() {
            let Some(value) = secret.get(name) else {
                continue;
            };
            if kind.secret_name(name).is_some() {
                imported.secrets.add(kind, name, value.into())?;
            } else if name != "type" {
                imported.unknown.push(name.to_owned());
            }
        }
        return Ok(Some(imported));
    }
    Ok(None)
}

/// Returns the resource sections that may have been meant: an endpoint can be
/// written in several ways, and the usual one of a region left out.
fn sections(kind: CloudKind, key: &CloudKey) -> Vec<Value> {
    let mut endpoints: Vec<Option<String>> = Vec::new();
    match (&key.endpoint, &key.region) {
        (Some(endpoint), _) => {
            let bare = endpoint.trim_end_matches('/');
            let without_scheme = bare.split_once("://").map_or(bare, |(_, rest)| rest);
            for text in [endpoint.as_str(), bare, &format!("{bare}/"), without_scheme] {
                endpoints.push(Some(text.to_owned()));
            }
        }
        (None, Some(region)) if kind == CloudKind::Ec2 => {
            for tail in ["", "/"] {
                endpoints.push(Some(format!("https://ec2.{region}.amazonaws.com{tail}")));
            }
        }
        (None, _) => endpoints.push(None),
    }
    let text = |name: &str, value: &str| (name.to_owned(), Value::String(value.to_owned()));
    let mut sections: Vec<Value> = Vec::new();
    for endpoint in endpoints {
        let mut entries = vec![text("type", kind.name())];
        entries.extend(endpoint.map(|endpoint| text("endpoint", &endpoint)));
        if let Some(region) = &key.region {
            for name in ["regionname", "region_name", "region"] {
                entries.push(text(name, region));
            }
        }
        if let Some(project) = &key.project {
            entries.push(text("project_id", project));
        }
        let section = Value::Map(entries);
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections
}
