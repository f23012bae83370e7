//! `zenekar cloud list` and `remove`: the clouds that have names.

use serde_json::{Value as Json, json};
use zenekar_base::CloudKey;
use zenekar_credentials::{CredentialsError, NamedCloud, SealWith};
use zenekar_runtime::SharedStore;

use super::failure;
use crate::arguments::CloudRemoveArguments;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::output::{Output, SCHEMA_VERSION, columns};
use crate::place::Place;
use crate::providers::Needs;
use crate::world;

/// Writes a cloud's description as JSON; there are no secrets in it.
pub(super) fn cloud_json(cloud: &NamedCloud) -> Json {
    json!({
        "name": cloud.name,
        "type": cloud.kind.name(),
        "provider": cloud.key().to_string(),
        "settings": cloud.settings,
        "defaults": cloud.defaults,
        "secrets": cloud.secrets.name(),
    })
}

pub(super) fn list(place: &Place, output: Output) -> Result<Exit, Failure> {
    let registry = opening::registry(place);
    let heads = ["NAME", "TYPE", "ENDPOINT", "REGION", "CREDENTIALS"];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    let mut items = Vec::new();
    for name in registry.names().map_err(failure)? {
        let Some(cloud) = registry.get(&name).map_err(failure)? else {
            continue;
        };
        // A damaged file of secrets must not hide the other clouds.
        let sealed_with = registry.sealed_with(&name).map(|with| {
            with.map(|with| match with {
                SealWith::KeyFile => "key file",
                SealWith::Passphrase => "passphrase",
            })
        });
        let credentials = match &sealed_with {
            Ok(Some(with)) => format!("sealed ({with})"),
            Ok(None) => cloud.secrets.name().to_owned(),
            Err(error) => {
                output.warn(&error.to_string());
                "cannot be read".to_owned()
            }
        };
        let setting = |name: &str| cloud.setting(name).unwrap_or("-").to_owned();
        table.push(vec![
            cloud.name.clone(),
            cloud.kind.to_string(),
            setting("endpoint"),
            setting("region"),
            credentials,
        ]);
        let mut item = cloud_json(&cloud);
        item["sealed_with"] = sealed_with.ok().flatten().into();
        items.push(item);
    }
    if output.is_json() {
        output.json(
            &json!({ "schema_version": SCHEMA_VERSION, "kind": "clouds", "clouds": items }),
        )?;
    } else if items.is_empty() {
        output.line("no cloud has a name; `zenekar cloud add NAME --type KIND` gives one");
    } else {
        output.data(&format!("{}\n", columns(&table, 0).join("\n")))?;
    }
    Ok(Exit::Success)
}

pub(super) fn remove(
    arguments: &CloudRemoveArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let registry = opening::registry(place);
    if !registry.names().map_err(failure)?.contains(name) {
        return Err(failure(CredentialsError::Unknown(name.clone())));
    }
    let users = users_of(place, name)?;
    if !users.is_empty() && !arguments.force {
        let shown: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
        return Err(Failure::new(
            Exit::Refused,
            format!("cloud `{name}` is used by {}", shown.join(", ")),
        )
        .hint("take that down first, or force it: then nothing of it can be changed any more"));
    }
    registry.remove(name).map_err(failure)?;
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "removed-cloud", "name": name,
        }))?;
    } else {
        output.line(&format!(
            "cloud `{name}` is forgotten; nothing changed at the cloud"
        ));
    }
    Ok(Exit::Success)
}

/// Returns the infrastructures that need the cloud with a name.
fn users_of(place: &Place, name: &str) -> Result<Vec<String>, Failure> {
    let Some(store) = place.look()? else {
        return Ok(Vec::new());
    };
    let store = SharedStore::new(store);
    let rows = store.with(|store| store.list_infrastructures())?;
    let mut users = Vec::new();
    for row in rows {
        let engine = world::read_shared(&store, &row.id)?;
        let needs = Needs::of(engine.state(), None);
        let is_user = needs.all().into_iter().any(|provider| {
            needs.uses(provider)
                && provider
                    .parse::<CloudKey>()
                    .is_ok_and(|key| key.cloud.as_deref() == Some(name))
        });
        if is_user {
            users.push(row.id.to_string());
        }
    }
    Ok(users)
}
