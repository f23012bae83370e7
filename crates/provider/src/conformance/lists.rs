//! What is shown, and to whom.

use zenekar_base::ResourceId;

use super::suite::{Suite, exists, keys, require};
use crate::{Deleted, ObserveScope};

/// Instances that exist at once for the checks of lists.
const BATCH: u32 = 5;

impl Suite<'_> {
    pub(super) fn capabilities(&self) -> Result<bool, String> {
        let capabilities = self.provider().capabilities();
        require(!self.provider().name().is_empty(), || {
            "the provider has no name".to_owned()
        })?;
        require(
            capabilities.calls_in_flight_max > 0 && capabilities.describe_batch_max > 0,
            || format!("a bound is zero: {capabilities:?}"),
        )?;
        require(self.setup.infrastructure != self.setup.foreign, || {
            "the setup names one infrastructure twice".to_owned()
        })?;
        Ok(true)
    }

    pub(super) async fn lists_and_batches(&self) -> Result<bool, String> {
        let mut created = Vec::new();
        for key in keys::BATCH..keys::BATCH + BATCH {
            created.push(self.create(key).await?);
        }
        self.settle().await;
        let all = self.observe_own(ObserveScope::All).await?;
        let batch_max = self
            .provider()
            .capabilities()
            .describe_batch_max
            .min(BATCH - 1) as usize;
        let mut described = Vec::new();
        for batch in created.chunks(batch_max) {
            let wanted = batch.iter().map(|view| view.resource.clone()).collect();
            described.extend(self.observe_own(ObserveScope::Resources(wanted)).await?);
        }
        for view in &created {
            for (name, answer) in [("list", &all), ("batch", &described)] {
                let shown: Vec<_> = answer
                    .iter()
                    .filter(|other| other.resource == view.resource)
                    .collect();
                // One that is not shown after the settling time must really be gone.
                let gone = shown.is_empty()
                    && self
                        .describe(&view.resource)
                        .await?
                        .is_none_or(|view| !exists(&view));
                let right = gone || (shown.len() == 1 && shown[0].instance == view.instance);
                require(right, || {
                    format!("a {name} shows `{}` as {shown:?}", view.resource)
                })?;
            }
        }
        for view in &created {
            self.remove(&view.resource).await?;
        }
        Ok(true)
    }

    pub(super) async fn unknown_is_left_out(&self) -> Result<bool, String> {
        let created = self.create(keys::UNKNOWN).await?;
        let unknown = ResourceId::new("zenekar-no-such-resource");
        let views = self
            .observe_own(ObserveScope::Resources(vec![
                unknown.clone(),
                created.resource.clone(),
            ]))
            .await?;
        require(
            views.iter().all(|view| view.resource == created.resource),
            || format!("something else is shown: {views:?}"),
        )?;
        require(self.delete(&unknown).await? == Deleted::Gone, || {
            "deleting what never existed is not `Gone`".to_owned()
        })?;
        self.remove(&created.resource).await?;
        Ok(true)
    }

    pub(super) async fn foreign_is_invisible(&self) -> Result<bool, String> {
        // An instance may break by itself meanwhile, but hardly three in a row.
        for key in keys::FOREIGN..keys::FOREIGN + 3 {
            if self.survives_foreign_calls(key).await? {
                return Ok(true);
            }
        }
        Err("deleting it from another infrastructure deletes it".to_owned())
    }

    async fn survives_foreign_calls(&self, key: u32) -> Result<bool, String> {
        let created = self.create(key).await?;
        self.settle().await;
        let foreign = &self.setup.foreign;
        for scope in [
            ObserveScope::All,
            ObserveScope::Resources(vec![created.resource.clone()]),
        ] {
            let views = self.observe(foreign, scope).await?;
            require(views.is_empty(), || {
                format!("another infrastructure sees {views:?}")
            })?;
        }
        let deleted = self
            .patiently(|| {
                self.provider()
                    .delete(foreign.clone(), created.resource.clone())
            })
            .await;
        require(deleted == Ok(Deleted::Gone), || {
            format!("deleting it from there gives {deleted:?}")
        })?;
        self.settle().await;
        let survives = self
            .describe(&created.resource)
            .await?
            .is_some_and(|view| exists(&view));
        self.remove(&created.resource).await?;
        Ok(survives)
    }
}
