//! What can be asked of the cloud: who we are, images, types, limits.

use zenekar_base::{ErrorClass, ProviderError};
use zenekar_provider::{Identity, Image, ImageQuery, Offer, QuotaItem};

use crate::account::who;
use crate::answer::{child, items, text, text_at};
use crate::api::Api;
use crate::error::ApiError;
use crate::instance::of_reservations;
use crate::limits::{PAGE_ITEMS, PAGE_TYPES};
use crate::observe::listing;
use crate::provider::Ec2Provider;
use crate::request::{Request, Service};

/// Asks whom the cloud takes us for: account and user.
pub(crate) async fn caller(api: &Api) -> Result<(String, String), ApiError> {
    let request = Request::reading("GetCallerIdentity").of(Service::Sts);
    api.call(&request, |root| {
        let result = child(root, "GetCallerIdentityResult")?;
        Some((
            text(result, "Account")?.to_owned(),
            text(result, "Arn").unwrap_or_default().to_owned(),
        ))
    })
    .await
}

/// Asks for the region, which shows that endpoint and keys work.
pub(crate) async fn knock(api: &Api) -> Result<(), ApiError> {
    api.call(&Request::reading("DescribeRegions"), |_| Some(()))
        .await
}

/// Says whether an error may mean no more than that there is no such service.
pub(crate) const fn may_lack_service(error: &ApiError) -> bool {
    matches!(error.class, ErrorClass::Invalid | ErrorClass::NotFound)
}

impl Ec2Provider {
    /// Says who asks, and what answers.
    pub(crate) async fn who(&self) -> Result<Identity, ProviderError> {
        let endpoint = self.api.endpoint().await?;
        let host = endpoint.of(Service::Ec2).host_str().unwrap_or_default();
        let product = if endpoint.is_amazon {
            format!("Amazon EC2, {}", endpoint.region)
        } else {
            format!("EC2 interface at {host}, {}", endpoint.region)
        };
        let who = who(&self.api).await?;
        if who.number.is_none() {
            // Private clouds may have instances only.
            knock(&self.api).await?;
        }
        Ok(Identity {
            account: who.number.clone().unwrap_or_else(|| "unknown".to_owned()),
            pin: who.number,
            user: who.user,
            product,
            credentials: self.api.origin().await,
        })
    }

    /// Lists own images, or all with a text in id or name.
    pub(crate) async fn list_images(&self, query: ImageQuery) -> Result<Vec<Image>, ProviderError> {
        let request = Request::reading("DescribeImages");
        let request = match query.text.as_deref().filter(|text| !text.is_empty()) {
            None => request.with("Owner.1", "self"),
            Some(text) if text.starts_with("ami-") => {
                request.filtered_by_patterns("image-id", &[format!("{}*", escaped(text))])
            }
            Some(text) => request.filtered_by_patterns("name", &spellings(text)),
        };
        let request = request
            .filtered("state", ["available"])
            .with("MaxResults", PAGE_ITEMS.to_string());
        let mut images = self
            .api
            .pages(&request, |root, found| {
                found.extend(items(root, "imagesSet").filter_map(|item| {
                    Some(Image {
                        id: text(item, "imageId")?.to_owned(),
                        name: text(item, "name").unwrap_or_default().to_owned(),
                        size_bytes: root_size_gib(item).map(|size| size << 30),
                        created: text(item, "creationDate").map(str::to_owned),
                    })
                }));
            })
            .await?;
        images.sort_by(|one, other| (&other.created, &one.id).cmp(&(&one.created, &other.id)));
        images.truncate(query.count_max);
        Ok(images)
    }

    /// Lists instance types.
    pub(crate) async fn list_types(&self) -> Result<Vec<Offer>, ProviderError> {
        let request =
            Request::reading("DescribeInstanceTypes").with("MaxResults", PAGE_TYPES.to_string());
        let mut offers = self
            .api
            .pages(&request, |root, found| {
                found.extend(items(root, "instanceTypeSet").filter_map(|item| {
                    Some(Offer {
                        name: text(item, "instanceType")?.to_owned(),
                        cores: number(text_at(item, &["vCpuInfo", "defaultVCpus"])),
                        memory_mib: number(text_at(item, &["memoryInfo", "sizeInMiB"])),
                        disk_gib: number(text_at(item, &["instanceStorageInfo", "totalSizeInGB"])),
                    })
                }));
            })
            .await?;
        offers.sort_by(|one, other| {
            (one.cores, one.memory_mib, &one.name).cmp(&(
                other.cores,
                other.memory_mib,
                &other.name,
            ))
        });
        Ok(offers)
    }

    /// Lists limits of the account, as far as EC2 itself tells them.
    pub(crate) async fn list_limits(&self) -> Result<Vec<QuotaItem>, ProviderError> {
        let limit = instance_limit(&self.api).await?;
        let request = listing().filtered("instance-state-name", ["pending", "running"]);
        let used = self.api.pages(&request, of_reservations).await?.len();
        Ok(vec![QuotaItem {
            name: "instances".to_owned(),
            used: Some(used as u64),
            limit,
        }])
    }
}

/// Asks how many instances the account may have, if it is told.
pub(crate) async fn instance_limit(api: &Api) -> Result<Option<u64>, ApiError> {
    let request =
        Request::reading("DescribeAccountAttributes").with("AttributeName.1", "max-instances");
    let answer = api.call(&request, |root| {
        let attribute = items(root, "accountAttributeSet")
            .find(|item| text(*item, "attributeName") == Some("max-instances"));
        Some(attribute.and_then(|item| {
            let value = items(item, "attributeValueSet").next()?;
            number(text(value, "attributeValue"))
        }))
    });
    match answer.await {
        Err(error) if may_lack_service(&error) => Ok(None),
        answer => answer,
    }
}

fn number<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

fn root_size_gib(image: roxmltree::Node<'_, '_>) -> Option<u64> {
    let first = items(image, "blockDeviceMapping").next()?;
    number(text_at(first, &["ebs", "volumeSize"]))
}

/// Names are compared letter by letter: these are the spellings that people use.
fn spellings(text: &str) -> Vec<String> {
    let mut title = text.to_lowercase();
    if let Some(first) = title.get(..1) {
        title = format!("{}{}", first.to_uppercase(), &title[1..]);
    }
    let mut patterns: Vec<String> = [
        text.to_owned(),
        text.to_lowercase(),
        text.to_uppercase(),
        title,
    ]
    .iter()
    .map(|text| format!("*{}*", escaped(text)))
    .collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('*', "\\*")
        .replace('?', "\\?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_in_the_usual_spellings() {
        assert_eq!(spellings("debian"), ["*DEBIAN*", "*Debian*", "*debian*"]);
        assert_eq!(spellings("a*"), ["*A\\**", "*a\\**"]);
        assert_eq!(spellings("ü"), ["*Ü*", "*ü*"]);
    }
}
