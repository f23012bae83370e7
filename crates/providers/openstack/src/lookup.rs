//! From what a descriptor names to what the services know it by.
//!
//! What was found is kept for a short while, and several that look for the same
//! at once look once: fifty servers of one image cost one call, not fifty.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;
use zenekar_base::{ErrorClass, ProviderError};

use crate::keystone::listed;
use crate::mark::Mark;
use crate::network::SecurityGroup;
use crate::page::Listed;
use crate::section::PortRule;
use crate::session::{Ask, Service, Session, invalid, segment};

/// How long what was found is taken to be so: a wave of creations is over by then.
const KEPT: Duration = Duration::from_secs(30);

/// How many names are kept; more than descriptors have.
const KEPT_MAX: usize = 1_000;

const GIB: u64 = 1 << 30;

/// Results of looking, by what was looked for.
pub(crate) struct Kept<T>(Mutex<BTreeMap<String, (Instant, T)>>);

impl<T: Clone> Kept<T> {
    fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Returns what is kept, or finds it. Others wait meanwhile.
    async fn get(
        &self,
        key: &str,
        find: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let mut kept = self.0.lock().await;
        if let Some((at, value)) = kept.get(key)
            && at.elapsed() < KEPT
        {
            return Ok(value.clone());
        }
        let value = find.await?;
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key.to_owned(), (Instant::now(), value.clone()));
        Ok(value)
    }

    async fn clear(&self) {
        self.0.lock().await.clear();
    }
}

/// An image.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) status: String,
    pub(crate) size: Option<u64>,
    pub(crate) virtual_size: Option<u64>,
    #[serde(default)]
    pub(crate) min_disk: u64,
    #[serde(default)]
    pub(crate) min_ram: u64,
    pub(crate) created_at: Option<String>,
}

impl Listed for Image {
    const KEY: &'static str = "images";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Image {
    /// Returns the GiB that a disk for the image has at least.
    pub(crate) fn disk_gib(&self) -> u64 {
        let bytes = self.virtual_size.or(self.size).unwrap_or_default();
        bytes.div_ceil(GIB).max(self.min_disk).max(1)
    }

    /// Returns the name for people.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// A flavour.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Flavor {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) vcpus: u32,
    #[serde(default)]
    pub(crate) ram: u64,
    #[serde(default)]
    pub(crate) disk: u64,
}

impl Listed for Flavor {
    const KEY: &'static str = "flavors";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct OneFlavor {
    flavor: Flavor,
}

/// A network.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Network {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default, rename = "router:external")]
    is_external: bool,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    tenant_id: String,
}

impl Listed for Network {
    const KEY: &'static str = "networks";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct OneNetwork {
    network: Network,
}

#[derive(Deserialize)]
struct OneGroup {
    security_group: SecurityGroup,
}

/// What was found lately.
pub(crate) struct Lookups {
    images: Kept<Image>,
    flavors: Kept<Vec<Flavor>>,
    networks: Kept<Network>,
    security_groups: Kept<String>,
    own_groups: Kept<String>,
}

impl Lookups {
    pub(crate) fn new() -> Self {
        Self {
            images: Kept::new(),
            flavors: Kept::new(),
            networks: Kept::new(),
            security_groups: Kept::new(),
            own_groups: Kept::new(),
        }
    }

    /// Forgets everything: something that was found may not be so any more.
    pub(crate) async fn clear(&self) {
        self.images.clear().await;
        self.flavors.clear().await;
        self.networks.clear().await;
        self.security_groups.clear().await;
        self.own_groups.clear().await;
    }

    /// Finds an image by id or name.
    pub(crate) async fn image(
        &self,
        session: &Session,
        wanted: &str,
    ) -> Result<Image, ProviderError> {
        self.images.get(wanted, find_image(session, wanted)).await
    }

    /// Finds a flavour by id or name.
    pub(crate) async fn flavor(
        &self,
        session: &Session,
        wanted: &str,
    ) -> Result<Flavor, ProviderError> {
        let all = self.flavors.get("", flavors(session)).await?;
        let by_id = all.iter().find(|one| one.id == wanted);
        let named: Vec<&Flavor> = all.iter().filter(|one| one.name == wanted).collect();
        match (by_id, named.as_slice()) {
            (Some(flavor), _) => Ok(flavor.clone()),
            (None, [flavor]) => Ok((*flavor).clone()),
            (None, []) => {
                // One that is not listed can be there all the same.
                let path = format!("flavors/{}", segment(wanted));
                let ask = Ask::get("look for the flavour", Service::Compute, path);
                let one = found(session.ask_for::<OneFlavor>(ask).await)?;
                one.map(|one| one.flavor).ok_or_else(|| {
                    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
                    invalid(format!(
                        "there is no flavour `{wanted}`; there are {}",
                        listed(&names)
                    ))
                })
            }
            (None, several) => {
                let ids = several.iter().map(|one| one.id.as_str());
                Err(ambiguous("flavours", wanted, ids))
            }
        }
    }

    /// Finds a network by id or name.
    pub(crate) async fn network(
        &self,
        session: &Session,
        wanted: &str,
    ) -> Result<Network, ProviderError> {
        let find = find_network(session, wanted);
        self.networks.get(wanted, find).await
    }

    /// Finds the network of those who name none: the only one of the project.
    pub(crate) async fn only_network(&self, session: &Session) -> Result<Network, ProviderError> {
        self.networks.get("", find_only_network(session)).await
    }

    /// Finds the network that floating addresses are from: the one that is named,
    /// or the only external one.
    pub(crate) async fn pool(
        &self,
        session: &Session,
        wanted: Option<&str>,
    ) -> Result<Option<Network>, ProviderError> {
        if let Some(wanted) = wanted {
            return self.network(session, wanted).await.map(Some);
        }
        let external: Vec<Network> = session
            .list(
                "list external networks",
                Service::Network,
                "networks",
                &[("router:external", "True")],
                None,
            )
            .await?;
        Ok(match external.as_slice() {
            [network] => Some(network.clone()),
            _ => None,
        })
    }

    /// Finds a security group by id or name.
    pub(crate) async fn security_group(
        &self,
        session: &Session,
        wanted: &str,
    ) -> Result<String, ProviderError> {
        let find = find_security_group(session, wanted);
        self.security_groups.get(wanted, find).await
    }

    /// Finds or makes the security group of a node.
    pub(crate) async fn own_group(
        &self,
        session: &Session,
        mark: &Mark,
        rules: &[PortRule],
    ) -> Result<String, ProviderError> {
        let ensure = session.ensure_security_group(mark, rules);
        self.own_groups.get(&mark.to_string(), ensure).await
    }
}

/// Makes nothing of what is not there.
fn found<T>(answer: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        // Some services call an id malformed that is just a name.
        Err(error) if matches!(error.class, ErrorClass::NotFound | ErrorClass::Invalid) => Ok(None),
        Err(error) => Err(error),
    }
}

fn ambiguous<'a>(
    what: &str,
    wanted: &str,
    ids: impl IntoIterator<Item = &'a str>,
) -> ProviderError {
    let ids: Vec<&str> = ids.into_iter().collect();
    invalid(format!(
        "several {what} are called `{wanted}`; name one by its id: {}",
        listed(&ids)
    ))
}

async fn find_image(session: &Session, wanted: &str) -> Result<Image, ProviderError> {
    let operation = "look for the image";
    let path = format!("images/{}", segment(wanted));
    let by_id: Option<Image> = found(
        session
            .ask_for(Ask::get(operation, Service::Image, path))
            .await,
    )?;
    if let Some(image) = by_id {
        if image.status == "active" {
            return Ok(image);
        }
        return Err(invalid(format!(
            "image `{wanted}` cannot be used: its status is {}",
            image.status
        )));
    }
    let named: Vec<Image> = session
        .list(
            operation,
            Service::Image,
            "images",
            &[("name", wanted)],
            None,
        )
        .await?;
    let usable: Vec<&Image> = named.iter().filter(|one| one.status == "active").collect();
    match usable.as_slice() {
        [image] => Ok((*image).clone()),
        [] => Err(invalid(format!("there is no image `{wanted}`"))),
        several => {
            let ids = several.iter().map(|one| one.id.as_str());
            Err(ambiguous("images", wanted, ids))
        }
    }
}

/// Lists all flavours that the project may use.
pub(crate) async fn flavors(session: &Session) -> Result<Vec<Flavor>, ProviderError> {
    let operation = "list flavours";
    session
        .list(operation, Service::Compute, "flavors/detail", &[], None)
        .await
}

async fn find_network(session: &Session, wanted: &str) -> Result<Network, ProviderError> {
    let operation = "look for the network";
    let path = format!("networks/{}", segment(wanted));
    let ask = Ask::get(operation, Service::Network, path);
    if let Some(one) = found(session.ask_for::<OneNetwork>(ask).await)? {
        return Ok(one.network);
    }
    let named: Vec<Network> = session
        .list(
            operation,
            Service::Network,
            "networks",
            &[("name", wanted)],
            None,
        )
        .await?;
    match named.as_slice() {
        [network] => Ok(network.clone()),
        [] => Err(invalid(format!("there is no network `{wanted}`"))),
        several => {
            let ids = several.iter().map(|one| one.id.as_str());
            Err(ambiguous("networks", wanted, ids))
        }
    }
}

async fn find_only_network(session: &Session) -> Result<Network, ProviderError> {
    let token = session.token().await?;
    let project = token.project.as_ref().map_or("", |project| &project.id);
    let all: Vec<Network> = session
        .list("list networks", Service::Network, "networks", &[], None)
        .await?;
    let usable: Vec<Network> = all
        .into_iter()
        .filter(|one| (one.shared || one.tenant_id == project) && !one.subnets.is_empty())
        .collect();
    let inner: Vec<&Network> = usable.iter().filter(|one| !one.is_external).collect();
    match (inner.as_slice(), usable.as_slice()) {
        ([network], _) => Ok((*network).clone()),
        ([], [network]) => Ok(network.clone()),
        ([], []) => Err(invalid(
            "the project has no network with addresses; make one, or name one with `network_id`",
        )),
        _ => {
            let names: Vec<&str> = usable.iter().map(|one| one.name.as_str()).collect();
            Err(invalid(format!(
                "the project has several networks; name one with `network_id`: {}",
                listed(&names)
            )))
        }
    }
}

async fn find_security_group(session: &Session, wanted: &str) -> Result<String, ProviderError> {
    let operation = "look for the security group";
    let named: Vec<SecurityGroup> = session.list_network(operation, &[("name", wanted)]).await?;
    match named.as_slice() {
        [group] => return Ok(group.id.clone()),
        [] => {}
        several => {
            let ids = several.iter().map(|one| one.id.as_str());
            return Err(ambiguous("security groups", wanted, ids));
        }
    }
    let path = format!("security-groups/{}", segment(wanted));
    let ask = Ask::get(operation, Service::Network, path);
    let one = found(session.ask_for::<OneGroup>(ask).await)?;
    one.map(|one| one.security_group.id)
        .ok_or_else(|| invalid(format!("there is no security group `{wanted}`")))
}
