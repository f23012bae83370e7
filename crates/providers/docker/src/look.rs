//! What an engine is and has.

use bollard::Docker;
use bollard::models::{SystemInfo, SystemVersion};
use bollard::query_parameters::ListImagesOptions;
use zenekar_base::ProviderError;
use zenekar_provider::{Identity, Image, ImageQuery, Offer, QuotaItem};

use crate::error::failed;
use crate::network;

/// Networks for which engines have addresses, as they are made.
const NETWORKS_MAX: u64 = 31;

async fn info(docker: &Docker) -> Result<SystemInfo, ProviderError> {
    docker
        .info()
        .await
        .map_err(failed("ask the engine about itself"))
}

/// Says which engine it is.
pub(crate) async fn identity(docker: &Docker) -> Result<Identity, ProviderError> {
    let told = info(docker).await?;
    let again = info(docker).await?;
    let version: SystemVersion = docker
        .version()
        .await
        .map_err(failed("ask for the engine's version"))?;
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    Ok(Identity {
        account: or_unknown(told.name),
        // Others with this interface draw another id for each answer.
        pin: told.id.filter(|id| again.id.as_ref() == Some(id)),
        user: None,
        product: format!(
            "Docker Engine {} (interface {})",
            or_unknown(version.version),
            or_unknown(version.api_version)
        ),
        credentials: None,
    })
}

/// Lists images by their names and tags.
pub(crate) async fn images(
    docker: &Docker,
    query: &ImageQuery,
) -> Result<Vec<Image>, ProviderError> {
    let all = docker
        .list_images(None::<ListImagesOptions>)
        .await
        .map_err(failed("list images"))?;
    let wanted = query.text.as_ref().map(|text| text.to_lowercase());
    let mut images: Vec<Image> = all
        .iter()
        .flat_map(|image| image.repo_tags.iter().map(move |tag| (image, tag)))
        .filter(|(_, tag)| tag.as_str() != "<none>:<none>")
        .filter(|(_, tag)| {
            wanted
                .as_ref()
                .is_none_or(|text| tag.to_lowercase().contains(text))
        })
        .map(|(image, tag)| Image {
            id: tag.clone(),
            name: tag.clone(),
            size_bytes: u64::try_from(image.size).ok(),
            created: Some(image.created.to_string()),
        })
        .collect();
    images.sort_by(|one, other| one.id.cmp(&other.id));
    images.truncate(query.count_max);
    Ok(images)
}

/// Tells the one size that there is: an engine gives what its machine has.
pub(crate) async fn offers(docker: &Docker) -> Result<Vec<Offer>, ProviderError> {
    let info = info(docker).await?;
    Ok(vec![Offer {
        name: info.name.unwrap_or_else(|| "engine".to_owned()),
        cores: info.ncpu.and_then(|count| u32::try_from(count).ok()),
        memory_mib: info
            .mem_total
            .and_then(|bytes| u64::try_from(bytes >> 20).ok()),
        disk_gib: None,
    }])
}

/// Tells what is limited, and how much of it is used.
pub(crate) async fn quota(docker: &Docker) -> Result<Vec<QuotaItem>, ProviderError> {
    let info = info(docker).await?;
    let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let item = |name: &str, used, limit| QuotaItem {
        name: name.to_owned(),
        used,
        limit,
    };
    let networks = network::count(docker).await? as u64;
    Ok(vec![
        item("instances", number(info.containers), None),
        item("cores", None, number(info.ncpu)),
        item(
            "memory_mib",
            None,
            number(info.mem_total.map(|bytes| bytes >> 20)),
        ),
        item("networks", Some(networks), Some(NETWORKS_MAX)),
    ])
}
