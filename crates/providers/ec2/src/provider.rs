//! The provider: what is asked of it, in EC2's terms.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use zenekar_base::{
    Capabilities, ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ProviderError, ResourceId,
    ResourceState, ResourceView,
};
use zenekar_provider::{
    Call, CheckRequest, CreateRequest, Deleted, Identity, Image, ImageQuery, LogChunk, LogRequest,
    ObserveScope, Offer, Owned, Problem, Provider, QuotaItem, Reach, RecontextualiseRequest,
};

use crate::answer::{items, text};
use crate::api::{Api, CallCounts};
use crate::error::ApiError;
use crate::groups::Groups;
use crate::instance::{Seen, of_reservation};
use crate::known::Known;
use crate::launch::{Launch, Resolved};
use crate::limits::{CALLS_IN_FLIGHT_MAX, FILTER_VALUES_MAX, SETTLE};
use crate::request::Request;
use crate::settings::Ec2Settings;
use crate::user_data;

/// Provider `ec2`.
pub struct Ec2Provider {
    name: String,
    pub(crate) api: Api,
    pub(crate) groups: Groups,
    pub(crate) known: Known,
    /// Root devices of images: they never change.
    root_devices: Mutex<HashMap<String, String>>,
}

impl Ec2Provider {
    /// Opens the cloud. Makes no call.
    pub fn open(settings: Ec2Settings) -> Result<Self, ProviderError> {
        Ok(Self {
            api: Api::new(&settings)?,
            name: settings.name,
            groups: Groups::default(),
            known: Known::default(),
            root_devices: Mutex::new(HashMap::new()),
        })
    }

    /// Returns how many requests were sent, by action: what the cloud counts too.
    pub fn call_counts(&self) -> CallCounts {
        self.api.counts()
    }

    async fn launch(&self, create: CreateRequest) -> Result<ResourceView, ProviderError> {
        let launch = Launch::read(&create.rendered.resource)?;
        let resolved =
            Resolved {
                groups: self
                    .groups
                    .resolve(&self.api, &create.infrastructure, &launch)
                    .await?,
                root_device: self.root_device(&launch).await?,
                user_data: match create.rendered.user_data.as_deref() {
                    None | Some("") => None,
                    Some(text) => Some(user_data::encode(text).map_err(|error| {
                        ProviderError::new(ErrorClass::Invalid, error.to_string())
                    })?),
                },
            };
        let request = launch.request(&create, &resolved)?;
        let answer = self.api.call(&request, |root| {
            let mut found = Vec::new();
            of_reservation(root, &mut found);
            found.into_iter().next()
        });
        match answer.await {
            Ok(mut seen) => {
                // Some clouds show tags and tokens only in lists; they are ours all the same.
                seen.infrastructure = Some(create.infrastructure);
                seen.view.instance = create.instance;
                seen.view.token = Some(create.token);
                self.known.note(&seen);
                Ok(seen.view)
            }
            Err(error) if error.is(&["IdempotentInstanceTerminated"]) => {
                self.terminated(&create, error).await
            }
            Err(error) if error.is(&["InvalidGroup.NotFound"]) => {
                // It may be one that was found earlier and is gone, or one that was
                // made a moment ago: the next call looks again.
                self.groups.forget().await;
                let is_passing = !launch.rules.is_empty();
                Err(ProviderError::from(if is_passing {
                    ApiError {
                        class: ErrorClass::Retryable,
                        ..error
                    }
                } else {
                    error
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the view of the terminated instance that a token belongs to.
    async fn terminated(
        &self,
        create: &CreateRequest,
        error: ApiError,
    ) -> Result<ResourceView, ProviderError> {
        let Some(seen) = self.by_token(create.token.as_str()).await? else {
            // It is not shown any more. Who it was cannot be said: the token is used up.
            return Err(error.into());
        };
        let mut view = seen.view;
        if view.state != ResourceState::Deleting {
            view.state = ResourceState::Gone;
        }
        view.instance = create.instance.clone();
        Ok(view)
    }

    /// Returns the root device of the image, if the root disk is asked for.
    async fn root_device(&self, launch: &Launch) -> Result<Option<String>, ApiError> {
        if !launch.asks_for_root() {
            return Ok(None);
        }
        let lock = || {
            self.root_devices
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = lock().get(&launch.image).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let request = Request::reading("DescribeImages").with("ImageId.1", &launch.image);
        let missing = || {
            ApiError::new(
                ErrorClass::Invalid,
                format!("there is no image `{}`", launch.image),
            )
        };
        let found = self.api.call(&request, |root| {
            let first = items(root, "imagesSet").next();
            Some(first.and_then(|item| text(item, "rootDeviceName").map(str::to_owned)))
        });
        let device = match found.await {
            Ok(found) => found.ok_or_else(missing)?,
            Err(error) if error.class == ErrorClass::NotFound => return Err(missing()),
            Err(error) => return Err(error),
        };
        lock().insert(launch.image.clone(), device.clone());
        Ok(Some(device))
    }

    pub(crate) async fn terminate(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Result<Deleted, ApiError> {
        if !self.known.is_surely_of(infrastructure, resource) {
            match self.by_id(resource).await? {
                None => return Ok(Deleted::Gone),
                Some(seen) if !seen.is_open_to(infrastructure) => return Ok(Deleted::Gone),
                Some(seen) => match seen.view.state {
                    ResourceState::Gone => {
                        self.known.forget(resource);
                        return Ok(Deleted::Gone);
                    }
                    ResourceState::Deleting => return Ok(Deleted::Accepted),
                    _ => {}
                },
            }
        }
        let request =
            Request::changing("TerminateInstances").with("InstanceId.1", resource.as_str());
        // Whatever comes of it: the next call looks first.
        self.known.forget(resource);
        match self.api.call(&request, |_| Some(())).await {
            Ok(()) => Ok(Deleted::Accepted),
            Err(error) if error.class == ErrorClass::NotFound => Ok(Deleted::Gone),
            Err(error) => Err(error),
        }
    }

    /// Returns what is known of an instance, or looks at it.
    pub(crate) async fn seen(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Result<Seen, ProviderError> {
        let known = self.known.get(infrastructure, resource);
        if let Some(seen) = known.filter(|seen| seen.private.is_some() || seen.public.is_some()) {
            return Ok(seen);
        }
        let seen = self
            .by_id(resource)
            .await?
            .filter(|seen| {
                seen.is_open_to(infrastructure) && seen.view.state != ResourceState::Gone
            })
            .ok_or_else(|| {
                ProviderError::new(
                    ErrorClass::NotFound,
                    format!("there is no instance `{resource}`"),
                )
            })?;
        self.known.note(&seen);
        Ok(seen)
    }
}

impl Provider for Ec2Provider {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            calls_in_flight_max: CALLS_IN_FLIGHT_MAX,
            describe_batch_max: FILTER_VALUES_MAX,
            settle: SETTLE,
            recontextualise: false,
            native_tokens: true,
            // What is too large may fit when it is compressed; `create` and `check` say.
            user_data_bytes_max: None,
            is_shared: true,
        }
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        Box::pin(self.launch(request))
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        Box::pin(async move { Ok(self.look(&infrastructure, scope).await?) })
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        Box::pin(async move { Ok(self.terminate(&infrastructure, &resource).await?) })
    }

    fn recontextualise(
        &self,
        _: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        Box::pin(async move {
            Err(ProviderError::new(
                ErrorClass::Invalid,
                format!(
                    "instance `{}` cannot be contextualised in place: EC2 hands out user-data once",
                    request.resource
                ),
            ))
        })
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(self.check_health(infrastructure, resource, spec))
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        Box::pin(async move {
            // What cannot be removed is no reason to leave the rest.
            let volumes = self.release_volumes(&infrastructure).await;
            let groups = self.groups.release(&self.api, &infrastructure).await;
            Ok(volumes.and(groups)?)
        })
    }

    fn check(&self, request: CheckRequest) -> Call<'_, Vec<Problem>> {
        Box::pin(self.preflight(request))
    }

    fn identity(&self) -> Call<'_, Identity> {
        Box::pin(self.who())
    }

    fn images(&self, query: ImageQuery) -> Call<'_, Vec<Image>> {
        Box::pin(self.list_images(query))
    }

    fn offers(&self) -> Call<'_, Vec<Offer>> {
        Box::pin(self.list_types())
    }

    fn quota(&self) -> Call<'_, Vec<QuotaItem>> {
        Box::pin(self.list_limits())
    }

    fn owned(&self) -> Call<'_, Vec<Owned>> {
        Box::pin(self.list_owned())
    }

    fn delete_owned(&self, owned: Owned) -> Call<'_, Deleted> {
        Box::pin(self.remove_owned(owned))
    }

    fn log(&self, infrastructure: InfrastructureId, request: LogRequest) -> Call<'_, LogChunk> {
        Box::pin(self.console(infrastructure, request))
    }

    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        Box::pin(async move { self.find_way(&infrastructure, &resource, port).await })
    }

    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, std::net::TcpStream> {
        Box::pin(async move { self.dial(&infrastructure, &resource, port).await })
    }
}
