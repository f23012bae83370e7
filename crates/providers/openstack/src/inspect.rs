//! What can be asked of the cloud without changing it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_provider::{Identity, Image, ImageQuery, Offer, QuotaItem};

use crate::lookup;
use crate::openstack::OpenStack;
use crate::session::{Ask, Service, segment};

/// Limits of Nova: our name, its name of the limit, its name of what is used.
const COMPUTE_LIMITS: &[(&str, &str, &str)] = &[
    ("instances", "maxTotalInstances", "totalInstancesUsed"),
    ("cores", "maxTotalCores", "totalCoresUsed"),
    ("memory_mib", "maxTotalRAMSize", "totalRAMUsed"),
    ("server_groups", "maxServerGroups", "totalServerGroupsUsed"),
    ("server_group_members", "maxServerGroupMembers", ""),
];

/// Limits of Neutron: our name, its name.
const NETWORK_LIMITS: &[(&str, &str)] = &[
    ("floating_ips", "floatingip"),
    ("ports", "port"),
    ("security_groups", "security_group"),
    ("security_group_rules", "security_group_rule"),
];

#[derive(Deserialize)]
struct Limits {
    limits: Absolute,
}

#[derive(Deserialize)]
struct Absolute {
    absolute: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct Quota {
    quota: BTreeMap<String, Json>,
}

impl OpenStack {
    pub(crate) async fn identity(&self) -> Result<Identity, ProviderError> {
        let token = self.session.token().await?;
        let product = match self.session.newest_microversion().await {
            Ok(Some(version)) => format!("OpenStack, Nova 2.1 to 2.{}", version.0),
            Ok(None) => "OpenStack, Nova without microversions".to_owned(),
            // The token says who we are, whatever is wrong with Nova.
            Err(error) => format!("OpenStack, Nova cannot be asked: {}", error.message),
        };
        let label = |thing: &crate::keystone::Reference| {
            if thing.name.is_empty() {
                thing.id.clone()
            } else {
                thing.name.clone()
            }
        };
        Ok(Identity {
            account: token.project.as_ref().map(label).unwrap_or_default(),
            // Names can be given to another project.
            pin: token.project.as_ref().map(|project| project.id.clone()),
            user: token.user.as_ref().map(label),
            product,
            credentials: self.session.settings().origin.clone(),
        })
    }

    pub(crate) async fn images(&self, query: &ImageQuery) -> Result<Vec<Image>, ProviderError> {
        let all: Vec<lookup::Image> = self
            .session
            .list("list images", Service::Image, "images", &[], None)
            .await?;
        let wanted = query.text.as_deref().map(str::to_lowercase);
        let fits = |image: &lookup::Image| {
            image.status == "active"
                && wanted.as_deref().is_none_or(|wanted| {
                    image.label().to_lowercase().contains(wanted)
                        || image.id.to_lowercase().contains(wanted)
                })
        };
        let mut images: Vec<Image> = all
            .into_iter()
            .filter(fits)
            .map(|image| Image {
                name: image.label().to_owned(),
                id: image.id,
                size_bytes: image.size,
                created: image.created_at,
            })
            .collect();
        images.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        images.truncate(query.count_max);
        Ok(images)
    }

    pub(crate) async fn offers(&self) -> Result<Vec<Offer>, ProviderError> {
        let mut flavors = lookup::flavors(&self.session).await?;
        flavors.sort_by(|one, other| {
            let size = |flavor: &lookup::Flavor| (flavor.vcpus, flavor.ram, flavor.disk);
            size(one).cmp(&size(other)).then(one.name.cmp(&other.name))
        });
        let offers = flavors.into_iter().map(|flavor| Offer {
            name: flavor.name,
            cores: Some(flavor.vcpus),
            memory_mib: Some(flavor.ram),
            disk_gib: Some(flavor.disk).filter(|disk| *disk > 0),
        });
        Ok(offers.collect())
    }

    pub(crate) async fn quota(&self) -> Result<Vec<QuotaItem>, ProviderError> {
        let ask = Ask::get("read limits of Nova", Service::Compute, "limits");
        let limits: Limits = self.session.ask_for(ask).await?;
        let absolute = limits.limits.absolute;
        let number = |name: &str| absolute.get(name).copied();
        let mut items: Vec<QuotaItem> = COMPUTE_LIMITS
            .iter()
            .filter(|(_, limit, _)| number(limit).is_some())
            .map(|(name, limit, used)| QuotaItem {
                name: (*name).to_owned(),
                used: number(used).and_then(|used| u64::try_from(used).ok()),
                limit: number(limit).and_then(|limit| u64::try_from(limit).ok()),
            })
            .collect();
        if self.session.has(Service::Network).await? {
            items.extend(self.network_quota().await?);
        }
        Ok(items)
    }

    async fn network_quota(&self) -> Result<Vec<QuotaItem>, ProviderError> {
        let token = self.session.token().await?;
        let project = token.project.as_ref().map_or("", |project| &project.id);
        let mut path = format!("quotas/{}", segment(project));
        if self.session.has_extension("quota_details").await? {
            path.push_str("/details.json");
        }
        let ask = Ask::get("read limits of Neutron", Service::Network, path);
        let quota: Quota = match self.session.ask_for(ask).await {
            Ok(quota) => quota,
            // Old installations show limits to administrators only.
            Err(error) if matches!(error.class, ErrorClass::Auth | ErrorClass::NotFound) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let items = NETWORK_LIMITS.iter().filter_map(|(name, theirs)| {
            let told = quota.quota.get(*theirs)?;
            let number = |key: &str| told.get(key).and_then(Json::as_i64);
            let limit = number("limit").or_else(|| told.as_i64())?;
            let used = number("used").map(|used| used + number("reserved").unwrap_or(0));
            Some(QuotaItem {
                name: (*name).to_owned(),
                used: used.and_then(|used| u64::try_from(used).ok()),
                limit: u64::try_from(limit).ok(),
            })
        });
        Ok(items.collect())
    }
}
