//! What is left over from us, of whichever infrastructure.

use roxmltree::Node;
use zenekar_base::{
    ErrorClass, InfrastructureId, InstanceTag, ProviderError, ResourceId, ResourceState,
};
use zenekar_provider::{Deleted, Owned, OwnedKind};

use crate::answer::{items, tag, text};
use crate::error::ApiError;
use crate::groups::{self, Group};
use crate::instance::of_reservations;
use crate::limits::PAGE_ITEMS;
use crate::observe::listing;
use crate::provider::Ec2Provider;
use crate::request::Request;
use crate::tags::{TAG_CONSOLE_NAME, TAG_INFRASTRUCTURE, TAG_INSTANCE, TAG_NAME};

impl Ec2Provider {
    /// Lists everything with a tag of ours. Disks that are in use are not listed:
    /// they go with their instances.
    pub(crate) async fn list_owned(&self) -> Result<Vec<Owned>, ProviderError> {
        let (instances, groups, volumes) = tokio::try_join!(
            self.owned_instances(),
            self.owned_groups(groups_listing()),
            self.owned_volumes(volumes_listing()),
        )?;
        let mut all = instances;
        all.extend(groups.into_iter().filter_map(|group| {
            Some(Owned {
                kind: OwnedKind::SecurityGroup,
                infrastructure: InfrastructureId::new(group.infrastructure?),
                instance: None,
                state: "available".to_owned(),
                created: None,
                id: ResourceId::new(group.id),
                name: group.name,
            })
        }));
        all.extend(volumes);
        all.sort();
        Ok(all)
    }

    /// Deletes one thing that still carries the tag of the infrastructure that
    /// it was listed with.
    pub(crate) async fn remove_owned(&self, owned: Owned) -> Result<Deleted, ProviderError> {
        match owned.kind {
            OwnedKind::Instance => {
                let seen = self.by_id(&owned.id).await?;
                let is_ours = seen.is_some_and(|seen| seen.is_of(&owned.infrastructure));
                if !is_ours {
                    return Ok(Deleted::Gone);
                }
                Ok(self.terminate_owned(&owned).await?)
            }
            OwnedKind::SecurityGroup => {
                let request = groups_listing().filtered("group-id", [owned.id.as_str()]);
                let found = self.owned_groups(request).await?;
                let is_ours = |group: &Group| {
                    group.id == owned.id.as_str()
                        && group.infrastructure.as_deref() == Some(owned.infrastructure.as_str())
                };
                if found.iter().any(is_ours) {
                    groups::delete(&self.api, owned.id.as_str()).await?;
                    self.groups.forget().await;
                }
                Ok(Deleted::Gone)
            }
            OwnedKind::Volume => {
                let request = volumes_listing().filtered("volume-id", [owned.id.as_str()]);
                let found = self.owned_volumes(request).await?;
                let is_ours = found
                    .iter()
                    .any(|one| one.id == owned.id && one.infrastructure == owned.infrastructure);
                if is_ours {
                    self.delete_volume(owned.id.as_str()).await?;
                }
                Ok(Deleted::Gone)
            }
            _ => Ok(Deleted::Gone),
        }
    }

    /// Deletes the disks that instances of an infrastructure have left behind:
    /// images can say that theirs stay. Those that are in use go with their
    /// instances, or are left behind a moment later.
    pub(crate) async fn release_volumes(
        &self,
        infrastructure: &InfrastructureId,
    ) -> Result<(), ApiError> {
        let request = Request::reading("DescribeVolumes")
            .with("MaxResults", PAGE_ITEMS.to_string())
            .filtered(
                &format!("tag:{TAG_INFRASTRUCTURE}"),
                [infrastructure.as_str()],
            );
        let volumes = match self.api.pages(&request, left_volumes).await {
            Ok(volumes) => volumes,
            // Who may not look at disks has none from here that stay.
            Err(error) if error.class == ErrorClass::Auth && !error.is_expired() => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut failed = None;
        for volume in volumes
            .iter()
            .filter(|one| one.of == infrastructure.as_str())
        {
            let deleted = if volume.is_in_use {
                Err(ApiError::new(
                    ErrorClass::Retryable,
                    format!("volume `{}` is still attached", volume.id),
                ))
            } else {
                self.delete_volume(&volume.id).await
            };
            failed = failed.or(deleted.err());
        }
        failed.map_or(Ok(()), Err)
    }

    async fn delete_volume(&self, id: &str) -> Result<(), ApiError> {
        let request = Request::changing("DeleteVolume").with("VolumeId", id);
        match self.api.call(&request, |_| Some(())).await {
            Err(error) if !error.is(&["InvalidVolume.NotFound"]) => Err(error),
            _ => Ok(()),
        }
    }

    async fn terminate_owned(&self, owned: &Owned) -> Result<Deleted, ApiError> {
        self.terminate(&owned.infrastructure, &owned.id).await
    }

    async fn owned_instances(&self) -> Result<Vec<Owned>, ApiError> {
        let request = listing().filtered("tag-key", [TAG_INFRASTRUCTURE]);
        let seen = self.api.pages(&request, of_reservations).await?;
        let live = seen.into_iter().filter(|one| {
            !matches!(
                one.view.state,
                ResourceState::Gone | ResourceState::Deleting
            )
        });
        Ok(live
            .filter_map(|one| {
                Some(Owned {
                    kind: OwnedKind::Instance,
                    id: one.view.resource,
                    infrastructure: one.infrastructure?,
                    instance: Some(one.view.instance),
                    name: one.name,
                    state: one.state,
                    created: one.launched,
                })
            })
            .collect())
    }

    async fn owned_groups(&self, request: Request) -> Result<Vec<Group>, ApiError> {
        let mut found = self.api.pages(&request, groups::read_all).await?;
        found.retain(|group| group.infrastructure.is_some());
        Ok(found)
    }

    async fn owned_volumes(&self, request: Request) -> Result<Vec<Owned>, ApiError> {
        self.api
            .pages(&request, |root, found| {
                found.extend(items(root, "volumeSet").filter_map(|item| {
                    let state = text(item, "status")?;
                    if state == "in-use" || state == "deleting" {
                        return None;
                    }
                    let name = tag(item, TAG_NAME).or_else(|| tag(item, TAG_CONSOLE_NAME));
                    Some(Owned {
                        kind: OwnedKind::Volume,
                        id: ResourceId::new(text(item, "volumeId")?),
                        infrastructure: InfrastructureId::new(tag(item, TAG_INFRASTRUCTURE)?),
                        instance: tag(item, TAG_INSTANCE).map(InstanceTag::new),
                        name: name.unwrap_or_default().to_owned(),
                        state: state.to_owned(),
                        created: text(item, "createTime").map(str::to_owned),
                    })
                }));
            })
            .await
    }
}

/// A disk that stays when its instance goes.
struct LeftVolume {
    id: String,
    of: String,
    is_in_use: bool,
}

fn left_volumes(root: Node<'_, '_>, found: &mut Vec<LeftVolume>) {
    for item in items(root, "volumeSet") {
        let state = text(item, "status").unwrap_or_default();
        let goes_along = items(item, "attachmentSet")
            .any(|attachment| text(attachment, "deleteOnTermination") != Some("false"));
        let (Some(id), Some(of)) = (text(item, "volumeId"), tag(item, TAG_INFRASTRUCTURE)) else {
            continue;
        };
        if goes_along || matches!(state, "deleting" | "deleted") {
            continue;
        }
        found.push(LeftVolume {
            id: id.to_owned(),
            of: of.to_owned(),
            is_in_use: state != "available" && state != "error",
        });
    }
}

fn groups_listing() -> Request {
    Request::reading("DescribeSecurityGroups")
        .with("MaxResults", PAGE_ITEMS.to_string())
        .filtered("tag-key", [TAG_INFRASTRUCTURE])
}

fn volumes_listing() -> Request {
    Request::reading("DescribeVolumes")
        .with("MaxResults", PAGE_ITEMS.to_string())
        .filtered("tag-key", [TAG_INFRASTRUCTURE])
}
