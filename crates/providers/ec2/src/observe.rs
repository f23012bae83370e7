//! Looks at instances: in pages by tag, in batches by id.

use zenekar_base::{InfrastructureId, ResourceId, ResourceView};
use zenekar_provider::ObserveScope;

use crate::error::ApiError;
use crate::instance::{Seen, of_reservations};
use crate::limits::{FILTER_VALUES_MAX, PAGE_ITEMS};
use crate::provider::Ec2Provider;
use crate::request::Request;
use crate::spot;
use crate::tags::{TAG_INFRASTRUCTURE, TAG_TOKEN};

impl Ec2Provider {
    /// Shows instances to an infrastructure.
    pub(crate) async fn look(
        &self,
        infrastructure: &InfrastructureId,
        scope: ObserveScope,
    ) -> Result<Vec<ResourceView>, ApiError> {
        let mut seen = match scope {
            ObserveScope::All => {
                let request = listing().filtered(
                    &format!("tag:{TAG_INFRASTRUCTURE}"),
                    [infrastructure.as_str()],
                );
                let mut seen = self.api.pages(&request, of_reservations).await?;
                seen.retain(|one| one.is_of(infrastructure));
                seen
            }
            ObserveScope::Resources(resources) => {
                let mut seen = self.by_ids(&resources).await?;
                seen.retain(|one| one.is_open_to(infrastructure));
                seen
            }
        };
        spot::note(&self.api, &mut seen).await?;
        for one in &seen {
            self.known.note(one);
        }
        Ok(seen.into_iter().map(|one| one.view).collect())
    }

    /// Looks at instances with these ids, of whichever infrastructure. Ids that
    /// do not exist are left out: a filter does not mind them, unlike a request
    /// that names them.
    pub(crate) async fn by_ids(&self, resources: &[ResourceId]) -> Result<Vec<Seen>, ApiError> {
        let ids: Vec<&str> = resources
            .iter()
            .map(ResourceId::as_str)
            .filter(|id| is_id(id))
            .collect();
        let mut seen = Vec::new();
        for batch in ids.chunks(FILTER_VALUES_MAX as usize) {
            let request = listing().filtered("instance-id", batch.iter().copied());
            let page = self.api.pages(&request, of_reservations).await?;
            seen.extend(
                page.into_iter()
                    .filter(|one| batch.contains(&one.view.resource.as_str())),
            );
        }
        Ok(seen)
    }

    /// Looks at one instance.
    pub(crate) async fn by_id(&self, resource: &ResourceId) -> Result<Option<Seen>, ApiError> {
        let seen = self.by_ids(std::slice::from_ref(resource)).await?;
        Ok(seen.into_iter().next())
    }

    /// Looks for what a token created: by what was sent with the request, and
    /// by our tag, because a spot instance may show its spot request's token.
    pub(crate) async fn by_token(&self, token: &str) -> Result<Option<Seen>, ApiError> {
        for filter in ["client-token".to_owned(), format!("tag:{TAG_TOKEN}")] {
            let request = listing().filtered(&filter, [token]);
            let seen = self.api.pages(&request, of_reservations).await?;
            let mut matching = seen.into_iter().filter(|one| {
                let its = one.view.token.as_ref();
                its.is_some_and(|its| its.as_str() == token)
            });
            if let Some(found) = matching.next() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Makes a request for a list of instances, in pages.
pub(crate) fn listing() -> Request {
    Request::reading("DescribeInstances").with("MaxResults", PAGE_ITEMS.to_string())
}

/// Says whether a text can be the id of an instance: what cannot be need not be
/// asked for, and some clouds refuse it.
fn is_id(text: &str) -> bool {
    text.strip_prefix("i-")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|one| one.is_ascii_alphanumeric()))
}
