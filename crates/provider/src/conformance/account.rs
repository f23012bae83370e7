//! Limits, what is ours in an account, and what is left besides instances.

use zenekar_base::{ErrorClass, InfrastructureId, ProviderError, Random};
use zenekar_model::Rendered;

use super::suite::{Fate, Suite, exists, keys, require};
use crate::{
    CheckNode, CheckRequest, CreateRequest, Deleted, ObserveScope, Owned, OwnedKind, ProblemKind,
    split_scoped,
};

/// Limits above this are not tried: nobody writes as much.
const USER_DATA_BYTES_TRIED_MAX: u64 = 4 * 1024 * 1024;

/// Instances that are tried where one may break by itself.
const TRIES: u32 = 3;

/// Numbers between two tries of a release: each may need several instances.
const RELEASED_KEYS: usize = 20;

/// How often a release is repeated while something of it still goes away.
const RELEASES_MAX: u32 = 60;

/// Returns `None` where the provider cannot answer such a question at all.
fn supported<T>(answer: Result<T, ProviderError>, what: &str) -> Result<Option<T>, String> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class == ErrorClass::Invalid => Ok(None),
        Err(error) => Err(format!("{what} failed: {error}")),
    }
}

/// Makes a comment that compression makes hardly shorter.
fn noise(bytes: u64) -> String {
    let mut random = Random::from_seed(bytes);
    let mut text = String::from("#cloud-config\n# ");
    while (text.len() as u64) < bytes {
        let digit = u32::try_from(random.below(36)).unwrap_or(0);
        text.push(char::from_digit(digit, 36).unwrap_or('0'));
    }
    text.push('\n');
    text
}

impl Suite<'_> {
    fn request_of(&self, key: u32, rendered: Rendered) -> CreateRequest {
        CreateRequest {
            rendered,
            ..self.request(key)
        }
    }

    /// A request that is refused for good must have made nothing.
    async fn is_refused(&self, key: u32, rendered: Rendered) -> Result<(), String> {
        let request = self.request_of(key, rendered);
        let answer = self
            .patiently(|| self.provider().create(request.clone()))
            .await;
        let class = answer.as_ref().err().map(|error| error.class);
        require(
            matches!(class, Some(ErrorClass::Invalid | ErrorClass::NotFound)),
            || format!("not refused: {answer:?}"),
        )?;
        self.settle().await;
        let all = self.observe_own(ObserveScope::All).await?;
        let tag = self.tag(key);
        let made = all.iter().find(|view| view.instance == tag && exists(view));
        require(made.is_none(), || {
            format!("refused with {class:?}, and yet there is {made:?}")
        })
    }

    pub(super) async fn user_data_limit(&self) -> Result<bool, String> {
        let limit = self.provider().capabilities().user_data_bytes_max;
        let Some(limit) = limit.filter(|limit| *limit <= USER_DATA_BYTES_TRIED_MAX) else {
            return Ok(false);
        };
        let rendered = Rendered {
            user_data: Some(noise(limit * 2)),
            ..self.setup.rendered.clone()
        };
        let request = CheckRequest {
            infrastructure: self.setup.infrastructure.clone(),
            nodes: vec![CheckNode {
                name: "conformance".to_owned(),
                count: 1,
                rendered: rendered.clone(),
            }],
        };
        let problems = self
            .patiently(|| self.provider().check(request.clone()))
            .await
            .map_err(|error| format!("check failed: {error}"))?;
        let is_foreseen = problems
            .iter()
            .any(|problem| problem.kind == ProblemKind::UserData && !problem.is_warning);
        if !is_foreseen {
            self.is_refused(keys::USER_DATA, rendered).await?;
        }
        Ok(true)
    }

    pub(super) async fn impossible(&self) -> Result<bool, String> {
        let Some(rendered) = &self.extras.impossible else {
            return Ok(false);
        };
        self.is_refused(keys::IMPOSSIBLE, rendered.clone()).await?;
        Ok(true)
    }

    pub(super) async fn identity(&self) -> Result<bool, String> {
        let ask = async || {
            let answer = self.patiently(|| self.provider().identity()).await;
            answer.map_err(|error| format!("identity failed: {error}"))
        };
        let identity = ask().await?;
        require(
            !identity.account.is_empty() && !identity.product.is_empty(),
            || format!("it says nothing: {identity:?}"),
        )?;
        // Infrastructures are kept to it, so it may not change by itself.
        let again = ask().await?;
        let pins = [&identity, &again].map(|one| one.pin.as_deref());
        require(pins[0] == pins[1] && pins[0] != Some(""), || {
            format!("the account has no lasting id: {pins:?}")
        })?;
        Ok(true)
    }

    /// Lists what an infrastructure has, of every kind; `None` where that is not possible.
    async fn owned_by(&self, whose: &InfrastructureId) -> Result<Option<Vec<Owned>>, String> {
        let answer = self.patiently(|| self.provider().owned()).await;
        let owned = supported(answer, "listing what is ours")?;
        Ok(owned.map(|mut owned| {
            owned.retain(|one| {
                // `Scoped` leaves what is listed as it is.
                let name = split_scoped(&one.infrastructure).map(|(name, _)| name);
                one.infrastructure == *whose || name.as_ref() == Some(whose)
            });
            owned
        }))
    }

    async fn delete_owned(&self, owned: &Owned) -> Result<Deleted, String> {
        self.patiently(|| self.provider().delete_owned(owned.clone()))
            .await
            .map_err(|error| format!("deleting `{}` failed: {error}", owned.id))
    }

    pub(super) async fn owned(&self) -> Result<bool, String> {
        if self.owned_by(&self.setup.infrastructure).await?.is_none() {
            return Ok(false);
        }
        // An instance may break by itself meanwhile, but hardly three in a row.
        for key in keys::OWNED..keys::OWNED + TRIES {
            if self.owned_and_deleted(key).await? {
                return Ok(true);
            }
        }
        Err("it is not listed, or was deleted as something of another infrastructure".to_owned())
    }

    /// Says whether an instance is listed, stays when another one's tag is
    /// named, and goes when its own is.
    async fn owned_and_deleted(&self, key: u32) -> Result<bool, String> {
        let created = self.create(key).await?;
        self.settle().await;
        let find = async || -> Result<Option<Owned>, String> {
            let listed = self.owned_by(&self.setup.infrastructure).await?;
            let mut listed = listed.unwrap_or_default().into_iter();
            Ok(listed.find(|one| one.kind == OwnedKind::Instance && one.id == created.resource))
        };
        let mut stays = false;
        if let Some(found) = find().await? {
            let tag = self.tag(key);
            require(found.instance.as_ref() == Some(&tag), || {
                format!("it should be of {tag}: {found:?}")
            })?;
            let mistaken = Owned {
                infrastructure: self.setup.foreign.clone(),
                ..found.clone()
            };
            // Refusing it is as good as finding nothing to delete.
            let _ = self.provider().delete_owned(mistaken).await;
            self.settle().await;
            let view = self.describe(&created.resource).await?;
            stays = view.is_some_and(|view| exists(&view));
            self.eventually("what is ours does not go", async || {
                Ok((self.delete_owned(&found).await? == Deleted::Gone).then_some(()))
            })
            .await?;
            self.delete_owned(&found).await?;
        }
        self.remove(&created.resource).await?;
        Ok(stays)
    }

    /// Releases an infrastructure as the engine does: again and again while something is in use.
    async fn released(&self, whose: &InfrastructureId) -> Result<(), String> {
        let mut last = None;
        for _ in 0..RELEASES_MAX {
            match self
                .patiently(|| self.provider().release(whose.clone()))
                .await
            {
                Ok(()) => return Ok(()),
                Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
                Err(error) => last = Some(error),
            }
            self.setup.pause.pause(self.setup.poll).await;
        }
        Err(format!("release failed: {last:?}"))
    }

    pub(super) async fn release(&self) -> Result<bool, String> {
        let infrastructure = &self.setup.infrastructure;
        let mut survived = false;
        for key in (keys::RELEASED..)
            .step_by(RELEASED_KEYS)
            .take(TRIES as usize)
        {
            survived = self.survives_release(key).await?;
            self.released(infrastructure).await?;
            if survived {
                break;
            }
        }
        require(survived, || {
            "a release with an instance there breaks it".to_owned()
        })?;
        self.released(infrastructure).await?;
        // What a release took is made again.
        let after = self.healthy(keys::RELEASED_AFTER).await?;
        self.remove(&after.resource).await?;
        self.released(infrastructure).await?;
        Ok(true)
    }

    /// Says whether a healthy instance stays so when its infrastructure is
    /// released: that may be refused, but it may not hurt.
    async fn survives_release(&self, first_key: u32) -> Result<bool, String> {
        let view = self.healthy(first_key).await?;
        let _ = self
            .provider()
            .release(self.setup.infrastructure.clone())
            .await;
        self.settle().await;
        let healthy = self
            .eventually("it is not healthy, failed or gone", async || {
                self.fate(&view.resource).await
            })
            .await;
        self.remove(&view.resource).await?;
        Ok(matches!(healthy, Ok(Fate::Healthy(_))))
    }

    pub(super) async fn nothing_is_left(&self) -> Result<bool, String> {
        for whose in [&self.setup.infrastructure, &self.setup.foreign] {
            self.released(whose).await?;
            let views = self.observe(whose, ObserveScope::All).await?;
            let left: Vec<_> = views.into_iter().filter(exists).collect();
            require(left.is_empty(), || format!("left behind: {left:?}"))?;
            self.settle().await;
            let owned = self.owned_by(whose).await?.unwrap_or_default();
            require(owned.is_empty(), || format!("left behind: {owned:?}"))?;
        }
        Ok(true)
    }
}
