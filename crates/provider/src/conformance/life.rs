//! One instance: made once, healthy, contextualised, deleted for good.

use zenekar_base::{ErrorClass, ResourceId, ResourceState};

use super::suite::{Suite, exists, keys, require};
use crate::{Deleted, ObserveScope, RecontextualiseRequest};

impl Suite<'_> {
    pub(super) async fn create_is_idempotent(&self) -> Result<bool, String> {
        let first = self.create(keys::IDEMPOTENT).await?;
        require(first.instance == self.tag(keys::IDEMPOTENT), || {
            format!("the tag is another one: {first:?}")
        })?;
        let token = self.request(keys::IDEMPOTENT).token;
        require(
            first.token.as_ref().is_none_or(|shown| *shown == token),
            || format!("the token is another one: {first:?}"),
        )?;
        for _ in 0..3 {
            let again = self.create(keys::IDEMPOTENT).await?;
            require(again.resource == first.resource, || {
                format!(
                    "a repeated call made `{}` besides `{}`",
                    again.resource, first.resource
                )
            })?;
        }
        self.settle().await;
        let all = self.observe_own(ObserveScope::All).await?;
        let same: Vec<_> = all
            .iter()
            .filter(|view| view.instance == first.instance)
            .collect();
        require(same.len() <= 1, || {
            format!("one token made several resources: {same:?}")
        })?;
        self.remove(&first.resource).await?;
        Ok(true)
    }

    pub(super) async fn token_conflict(&self) -> Result<bool, String> {
        if !self.provider().capabilities().native_tokens {
            return Ok(false);
        }
        let created = self.create(keys::CONFLICT).await?;
        let mut other = self.request(keys::CONFLICT);
        other.rendered.user_data = Some("#cloud-config\n# something else\n".to_owned());
        let answer = self
            .patiently(|| self.provider().create(other.clone()))
            .await;
        require(
            answer
                .as_ref()
                .is_err_and(|error| error.class == ErrorClass::Conflict),
            || format!("not a conflict: {answer:?}"),
        )?;
        self.remove(&created.resource).await?;
        Ok(true)
    }

    pub(super) async fn gets_healthy(&self) -> Result<bool, String> {
        let view = self.healthy(keys::HEALTHY).await?;
        require(view.addresses.primary().is_some(), || {
            format!("healthy without an address: {view:?}")
        })?;
        self.remove(&view.resource).await?;
        Ok(true)
    }

    pub(super) async fn probe_of_nothing(&self) -> Result<bool, String> {
        let result = self
            .probe(&ResourceId::new("zenekar-no-such-resource"))
            .await?;
        require(result.is_none(), || format!("it is {result:?}"))?;
        Ok(true)
    }

    pub(super) async fn recontextualise(&self) -> Result<bool, String> {
        if !self.provider().capabilities().recontextualise {
            return Ok(false);
        }
        let view = self.healthy(keys::RECONTEXTUALISE).await?;
        for revision in [2, 2, 1] {
            let request = RecontextualiseRequest {
                resource: view.resource.clone(),
                instance: view.instance.clone(),
                revision,
                rendered: self.setup.rendered.clone(),
            };
            let infrastructure = &self.setup.infrastructure;
            let done = self
                .patiently(|| {
                    self.provider()
                        .recontextualise(infrastructure.clone(), request.clone())
                })
                .await;
            done.map_err(|error| format!("revision {revision} failed: {error}"))?;
        }
        self.settle().await;
        if let Some(now) = self.describe(&view.resource).await?.filter(exists) {
            require(now.revision == 2, || {
                format!("revision 2 was the newest, shown is {}", now.revision)
            })?;
        }
        self.remove(&view.resource).await?;
        Ok(true)
    }

    pub(super) async fn delete_ends(&self) -> Result<bool, String> {
        let left: Vec<_> = self
            .observe_own(ObserveScope::All)
            .await?
            .into_iter()
            .filter(exists)
            .collect();
        for view in &left {
            self.remove(&view.resource).await?;
            require(self.delete(&view.resource).await? == Deleted::Gone, || {
                "a repeated delete call is not `Gone`".to_owned()
            })?;
        }
        let left: Vec<_> = self
            .observe_own(ObserveScope::All)
            .await?
            .into_iter()
            .filter(exists)
            .collect();
        require(left.is_empty(), || format!("left behind: {left:?}"))?;
        Ok(true)
    }

    pub(super) async fn token_after_delete(&self) -> Result<bool, String> {
        if !self.provider().capabilities().native_tokens {
            return Ok(false);
        }
        let created = self.create(keys::TOKEN_AFTER_DELETE).await?;
        self.remove(&created.resource).await?;
        let again = self.create(keys::TOKEN_AFTER_DELETE).await?;
        require(
            again.resource == created.resource && again.state == ResourceState::Gone,
            || format!("a new machine: {again:?}"),
        )?;
        Ok(true)
    }
}
