//! `zenekar cloud test`, `images`, `offers` and `quota`: asks clouds and changes nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use zenekar_base::{CloudKey, ErrorClass, ProviderError};
use zenekar_credentials::Origin;
use zenekar_provider::{Identity, ImageQuery, Offer, Provider};

use super::{failure, find, refused};
use crate::arguments::{
    CloudArgument, CloudImagesArguments, CloudOffersArguments, CloudTestArguments,
};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::output::{Output, SCHEMA_VERSION, columns};
use crate::place::Place;
use crate::world;

/// How long one answer may take: lists of images of a large cloud take seconds,
/// and a person waits for it.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits for an answer of a cloud, but not for ever.
pub(super) async fn answer<T>(
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    tokio::time::timeout(ANSWER_TIMEOUT, call)
        .await
        .unwrap_or_else(|_| {
            Err(ProviderError::new(
                ErrorClass::Unknown,
                format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()),
            ))
        })
}

/// Asks one cloud something.
fn ask<T>(
    place: &Place,
    text: &str,
    question: impl AsyncFnOnce(Arc<dyn Provider>) -> Result<T, ProviderError>,
) -> Result<(CloudKey, T), Failure> {
    let key = find(place, text)?;
    let provider = opening::open_key(place, &key)?;
    world::block_on(async {
        let answer = world::until_stopped(async {
            answer(question(provider))
                .await
                .map_err(|error| refused(&key, &error))
        })
        .await?;
        Ok((key, answer))
    })
}

pub(super) fn test(
    arguments: &CloudTestArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let mut names = arguments.clouds.clone();
    if names.is_empty() {
        names = opening::registry(place).names().map_err(failure)?;
    }
    if names.is_empty() {
        return Err(Failure::usage("no cloud has a name")
            .hint("say which kind you mean: `zenekar cloud test ec2`, or give one a name with `zenekar cloud add`"));
    }
    let mut items = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for name in &names {
        match who_is(place, name) {
            Ok((key, identity, credentials)) => {
                let credentials = credentials.as_deref();
                items.push(identity_json(name, &key, &identity, credentials));
                if !output.is_json() {
                    output.data(&identity_text(name, &identity, credentials, output))?;
                }
            }
            Err(failed) if names.len() == 1 => return Err(failed),
            Err(failed) => {
                if !output.is_json() {
                    let mark = output.data_paint.bad("✗");
                    output.data(&format!("{mark} {name}: {}\n", failed.summary()))?;
                }
                items.push(json!({
                    "cloud": name,
                    "works": false,
                    "error": failed.exit.name(),
                    "message": failed.summary(),
                }));
                failures.push(failed);
            }
        }
    }
    if output.is_json() {
        output.json(
            &json!({ "schema_version": SCHEMA_VERSION, "kind": "cloud-test", "clouds": items }),
        )?;
    }
    let Some(first) = failures.first() else {
        return Ok(Exit::Success);
    };
    let count = failures.len();
    Err(Failure::new(
        first.exit,
        format!("{count} of {} clouds do not work", names.len()),
    ))
}

/// Asks a cloud who we are there, and finds out whence we have the credentials.
fn who_is(place: &Place, text: &str) -> Result<(CloudKey, Identity, Option<String>), Failure> {
    let key = find(place, text)?;
    let (provider, origin) = opening::open_with_origin(place, &key)?;
    let identity = world::block_on(async {
        world::until_stopped(async {
            answer(provider.identity())
                .await
                .map_err(|error| refused(&key, &error))
        })
        .await
    })?;
    let credentials = match origin {
        // An engine wants none, or certificates, which its description names.
        _ if key.kind == "docker" => None,
        Origin::Named(name) => Some(format!("sealed here as cloud `{name}`")),
        Origin::AuthenticationFile => Some(origin.to_string()),
        Origin::NamedStandard(_) | Origin::Standard => {
            let found = identity.credentials.clone();
            Some(found.unwrap_or_else(|| origin.to_string()))
        }
    };
    Ok((key, identity, credentials))
}

fn identity_json(
    name: &str,
    key: &CloudKey,
    identity: &Identity,
    credentials: Option<&str>,
) -> Json {
    json!({
        "cloud": name,
        "provider": key.to_string(),
        "works": true,
        "product": identity.product,
        "account": identity.account,
        "user": identity.user,
        "credentials": credentials,
    })
}

fn identity_text(
    name: &str,
    identity: &Identity,
    credentials: Option<&str>,
    output: Output,
) -> String {
    let paint = output.data_paint;
    let user = identity
        .user
        .as_deref()
        .map(|user| format!(", user {user}"))
        .unwrap_or_default();
    let credentials = credentials
        .map(|from| format!("\n  credentials: {from}"))
        .unwrap_or_default();
    format!(
        "{} {}: {}, account {}{user}{credentials}\n",
        paint.good("✓"),
        paint.strong(name),
        identity.product,
        identity.account
    )
}

pub(super) fn images(
    arguments: &CloudImagesArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let count_max = usize::from(arguments.lines);
    let query = ImageQuery {
        text: arguments.text.clone(),
        // One more tells whether there are more.
        count_max: count_max + 1,
    };
    let (key, mut images) = ask(place, &arguments.cloud.cloud, async |provider| {
        provider.images(query).await
    })?;
    let has_more = images.len() > count_max;
    images.truncate(count_max);
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "images",
            "provider": key.to_string(),
            "images": images,
            "has_more": has_more,
        }))?;
        return Ok(Exit::Success);
    }
    let rows = images.iter().map(|image| {
        vec![
            image.id.clone(),
            or_dash(image.size_bytes.map(size_text)),
            or_dash(image.created.clone()),
            one_line(&image.name),
        ]
    });
    table(
        &["IMAGE", "SIZE", "CREATED", "NAME"],
        rows,
        "no images",
        output,
    )?;
    if has_more {
        output.line(&format!(
            "there are more than these {count_max}: name a part of what you look for, or raise `--lines`"
        ));
    }
    Ok(Exit::Success)
}

pub(super) fn offers(
    arguments: &CloudOffersArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let (key, mut offers) = ask(place, &arguments.cloud.cloud, async |provider| {
        provider.offers().await
    })?;
    let count = offers.len();
    offers.retain(|offer| fits(offer, arguments));
    offers.sort_by(|one, other| size_of(one).cmp(&size_of(other)));
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "offers",
            "provider": key.to_string(),
            "offers": offers,
        }))?;
        return Ok(Exit::Success);
    }
    let rows = offers.iter().map(|offer| {
        vec![
            offer.name.clone(),
            or_dash(offer.cores),
            or_dash(offer.memory_mib),
            or_dash(offer.disk_gib),
        ]
    });
    let nothing = if count == 0 {
        "no sizes of instances"
    } else {
        "no size of instances is large enough"
    };
    table(
        &["OFFER", "CORES", "MEMORY (MIB)", "DISK (GIB)"],
        rows,
        nothing,
        output,
    )?;
    Ok(Exit::Success)
}

/// Says whether an offer is large enough; what a cloud does not tell counts as
/// large enough, so that nothing is hidden.
fn fits(offer: &Offer, arguments: &CloudOffersArguments) -> bool {
    let has_cores = match (offer.cores, arguments.cores) {
        (Some(has), Some(wanted)) => has >= wanted,
        _ => true,
    };
    let has_memory = match (offer.memory_mib, arguments.memory_mib) {
        (Some(has), Some(wanted)) => has >= wanted,
        _ => true,
    };
    has_cores && has_memory
}

/// Returns what offers are sorted by: the least that is enough comes first.
fn size_of(offer: &Offer) -> (u32, u64, u64, &str) {
    (
        offer.cores.unwrap_or(u32::MAX),
        offer.memory_mib.unwrap_or(u64::MAX),
        offer.disk_gib.unwrap_or(0),
        &offer.name,
    )
}

pub(super) fn quota(
    argument: &CloudArgument,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let (key, items) = ask(place, &argument.cloud, async |provider| {
        provider.quota().await
    })?;
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "quota",
            "provider": key.to_string(),
            "quota": items,
        }))?;
        return Ok(Exit::Success);
    }
    let rows = items.iter().map(|item| {
        let free = match (item.used, item.limit) {
            (Some(used), Some(limit)) => Some(limit.saturating_sub(used)),
            _ => None,
        };
        let limit = item
            .limit
            .map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
        vec![item.name.clone(), or_dash(item.used), limit, or_dash(free)]
    });
    table(
        &["WHAT", "USED", "LIMIT", "FREE"],
        rows,
        "the cloud tells no limits",
        output,
    )?;
    Ok(Exit::Success)
}

/// Shows a table, or says that it is empty.
pub(super) fn table(
    heads: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    nothing: &str,
    output: Output,
) -> Result<(), Failure> {
    let mut table = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    table.extend(rows);
    if table.len() == 1 {
        output.line(nothing);
        return Ok(());
    }
    output.data(&format!("{}\n", columns(&table, 0).join("\n")))
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Makes one line of a name that others have chosen.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

/// Writes a size for people: `2.1 GiB`.
fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut unit, mut divisor) = (0, 1024_u128);
    while u128::from(bytes) >= divisor * 1024 && unit + 1 < UNITS.len() {
        divisor *= 1024;
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10 + divisor / 2) / divisor;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &str, cores: Option<u32>, memory_mib: Option<u64>) -> Offer {
        Offer {
            name: name.to_owned(),
            cores,
            memory_mib,
            disk_gib: None,
        }
    }

    #[test]
    fn the_smallest_offer_that_is_enough_comes_first() {
        let wanted = CloudOffersArguments {
            cloud: CloudArgument {
                cloud: "lab".to_owned(),
            },
            cores: Some(2),
            memory_mib: Some(4096),
        };
        let mut offers = vec![
            offer("large", Some(8), Some(16_384)),
            offer("tiny", Some(1), Some(16_384)),
            offer("narrow", Some(2), Some(2048)),
            offer("unknown", None, None),
            offer("right", Some(2), Some(4096)),
        ];
        offers.retain(|offer| fits(offer, &wanted));
        offers.sort_by(|one, other| size_of(one).cmp(&size_of(other)));
        let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
        assert_eq!(names, ["right", "large", "unknown"]);
    }

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (2_254_857_830, "2.1 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }
}
