//! What would keep servers from being created, found by calls that only read.

use std::collections::BTreeMap;

use serde::Deserialize;
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_provider::{CheckNode, CheckRequest, Problem, ProblemKind};

use crate::create::USER_DATA_BYTES_MAX;
use crate::keystone::listed;
use crate::lookup::{Flavor, Image};
use crate::network::FloatingAddress;
use crate::openstack::OpenStack;
use crate::section::{Disk, Section};
use crate::session::{Ask, Service, segment};

/// The names under which catalogs have Cinder.
const VOLUME_SERVICES: [&str; 4] = ["volumev3", "block-storage", "volumev2", "volume"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zones {
    availability_zone_info: Vec<Zone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zone {
    zone_name: String,
}

/// What is found, the same for several nodes told once.
#[derive(Default)]
struct Findings(Vec<Problem>);

/// What all nodes together take.
#[derive(Default)]
struct Needs {
    amounts: BTreeMap<&'static str, u64>,
}

impl Needs {
    fn add(&mut self, name: &'static str, amount: u64) {
        let sum = self.amounts.entry(name).or_default();
        *sum = sum.saturating_add(amount);
    }
}

impl Findings {
    fn add(
        &mut self,
        kind: ProblemKind,
        node: Option<&str>,
        key: Option<&str>,
        message: impl Into<String>,
    ) -> &mut Problem {
        let message = message.into();
        let same = self.0.iter().position(|one| {
            one.kind == kind && one.message == message && one.key.as_deref() == key
        });
        let index = same.unwrap_or_else(|| {
            self.0.push(Problem {
                kind,
                nodes: Vec::new(),
                key: key.map(str::to_owned),
                message,
                hint: None,
                is_warning: false,
            });
            self.0.len() - 1
        });
        let problem = &mut self.0[index];
        if let Some(node) = node
            && !problem.nodes.iter().any(|known| known == node)
        {
            problem.nodes.push(node.to_owned());
        }
        problem
    }

    /// Adds what a failed look means for what was looked for.
    fn failed(&mut self, kind: ProblemKind, node: &str, key: &str, error: &ProviderError) {
        let kind = match error.class {
            ErrorClass::Invalid | ErrorClass::NotFound => kind,
            ErrorClass::Auth => ProblemKind::Permission,
            _ => ProblemKind::Unreachable,
        };
        let (node, key) = match kind {
            ProblemKind::Unreachable => (None, None),
            _ => (Some(node), Some(key)),
        };
        self.add(kind, node, key, error.message.clone());
    }
}

impl OpenStack {
    pub(crate) async fn check(
        &self,
        request: &CheckRequest,
    ) -> Result<Vec<Problem>, ProviderError> {
        let mut findings = Findings::default();
        if let Err(error) = self.session.token().await {
            let kind = match error.class {
                ErrorClass::Auth => ProblemKind::Credentials,
                _ => ProblemKind::Unreachable,
            };
            findings.add(kind, None, None, error.message);
            return Ok(findings.0);
        }
        // What was found a while ago is no answer to a question of now.
        self.lookups.clear().await;
        let mut needs = Needs::default();
        for node in &request.nodes {
            self.check_node(node, &mut needs, &mut findings).await;
        }
        self.check_quotas(&needs, &mut findings).await;
        Ok(findings.0)
    }

    async fn check_node(&self, node: &CheckNode, needs: &mut Needs, findings: &mut Findings) {
        let section = match Section::read_telling_key(&node.rendered.resource) {
            Ok(section) => section,
            Err((key, error)) => {
                let name = Some(node.name.as_str());
                findings.add(ProblemKind::Setting, name, Some(key), error.message);
                return;
            }
        };
        let bytes = node.rendered.user_data.as_deref().map_or(0, str::len);
        if bytes > USER_DATA_BYTES_MAX {
            let message =
                format!("the user-data has {bytes} bytes, and Nova takes {USER_DATA_BYTES_MAX}");
            let problem = findings.add(ProblemKind::UserData, Some(&node.name), None, message);
            problem.hint = Some("let the instance fetch large files by itself".to_owned());
        }
        let image = self.check_image(node, &section, findings).await;
        let flavor = self.check_flavor(node, &section, findings).await;
        if let (Some(image), Some(flavor)) = (&image, &flavor) {
            check_size(node, &section, image, flavor, findings);
        }
        let count = u64::from(node.count);
        needs.add("instances", count);
        if let Some(flavor) = flavor {
            needs.add("cores", count.saturating_mul(u64::from(flavor.vcpus)));
            needs.add("memory_mib", count.saturating_mul(flavor.ram));
        }
        self.check_machine_settings(node, &section, findings).await;
        self.check_network(node, &section, needs, findings).await;
    }

    async fn check_image(
        &self,
        node: &CheckNode,
        section: &Section,
        findings: &mut Findings,
    ) -> Option<Image> {
        let key = "image_id";
        let Some(wanted) = &section.image else {
            let message =
                format!("resource key `{key}` is missing: it names an image by id or name");
            findings.add(ProblemKind::Setting, Some(&node.name), Some(key), message);
            return None;
        };
        match self.lookups.image(&self.session, wanted).await {
            Ok(image) => Some(image),
            Err(error) => {
                findings.failed(ProblemKind::Image, &node.name, key, &error);
                None
            }
        }
    }

    async fn check_flavor(
        &self,
        node: &CheckNode,
        section: &Section,
        findings: &mut Findings,
    ) -> Option<Flavor> {
        let key = "flavor_name";
        let Some(wanted) = &section.flavor else {
            let message =
                format!("resource key `{key}` is missing: it names a flavour by name or id");
            findings.add(ProblemKind::Setting, Some(&node.name), Some(key), message);
            return None;
        };
        match self.lookups.flavor(&self.session, wanted).await {
            Ok(flavor) => Some(flavor),
            Err(error) => {
                findings.failed(ProblemKind::InstanceType, &node.name, key, &error);
                None
            }
        }
    }

    /// Checks key pair, availability zone and volume.
    async fn check_machine_settings(
        &self,
        node: &CheckNode,
        section: &Section,
        findings: &mut Findings,
    ) {
        if let Some(wanted) = &section.key_name {
            let path = format!("os-keypairs/{}", segment(wanted));
            let ask = Ask::get("look for the key pair", Service::Compute, path);
            if let Err(mut error) = self.session.ask(ask).await {
                if error.class == ErrorClass::NotFound {
                    error.message = format!("there is no key pair `{wanted}`");
                }
                findings.failed(ProblemKind::KeyPair, &node.name, "key_name", &error);
            }
        }
        if let Some(wanted) = &section.availability_zone {
            let key = "availability_zone";
            let path = "os-availability-zone";
            let ask = Ask::get("list availability zones", Service::Compute, path);
            match self.session.ask_for::<Zones>(ask).await {
                Ok(zones) => {
                    let names = zones.availability_zone_info.iter();
                    let names: Vec<&str> = names.map(|zone| zone.zone_name.as_str()).collect();
                    let zone = wanted.split(':').next().unwrap_or_default();
                    if !names.contains(&zone) {
                        let there = listed(&names);
                        let message =
                            format!("there is no availability zone `{zone}`; there are {there}");
                        findings.add(ProblemKind::Setting, Some(&node.name), Some(key), message);
                    }
                }
                Err(error) => findings.failed(ProblemKind::Setting, &node.name, key, &error),
            }
        }
        if let Disk::Volume { .. } = section.disk
            && let Ok(token) = self.session.token().await
            && !VOLUME_SERVICES.iter().any(|kind| token.has(kind))
        {
            let message = "the cloud has no service for volumes (Cinder)";
            let key = Some("volume_size");
            let problem = findings.add(ProblemKind::Volume, Some(&node.name), key, message);
            problem.hint = Some("remove `volume_size` to boot from the image".to_owned());
        }
    }

    async fn check_network(
        &self,
        node: &CheckNode,
        section: &Section,
        needs: &mut Needs,
        findings: &mut Findings,
    ) {
        match self.session.has(Service::Network).await {
            Ok(true) => {}
            Ok(false) => {
                if section.has_floating || section.ports.is_some() {
                    let message = "`floating_ip`, `floating_ip_pool` and `ports` need the service `network`, which this cloud has not";
                    findings.add(ProblemKind::Network, Some(&node.name), None, message);
                }
                return;
            }
            Err(error) => {
                findings.failed(ProblemKind::Network, &node.name, "network_id", &error);
                return;
            }
        }
        let count = u64::from(node.count);
        let key = "network_id";
        for wanted in &section.networks {
            if let Err(error) = self.lookups.network(&self.session, wanted).await {
                findings.failed(ProblemKind::Network, &node.name, key, &error);
            }
        }
        if section.networks.is_empty()
            && let Err(error) = self.lookups.only_network(&self.session).await
        {
            findings.failed(ProblemKind::Network, &node.name, key, &error);
        }
        needs.add(
            "ports",
            count.saturating_mul(section.networks.len().max(1) as u64),
        );
        for wanted in &section.security_groups {
            let found = self.lookups.security_group(&self.session, wanted).await;
            if let Err(error) = found {
                let kind = ProblemKind::SecurityGroup;
                findings.failed(kind, &node.name, "security_groups", &error);
            }
        }
        if let Some(rules) = &section.ports {
            needs.add("security_groups", 1);
            let own: usize = rules.iter().map(|rule| rule.from.len()).sum();
            // Every group begins with two.
            needs.add("security_group_rules", own as u64 + 2);
        }
        if section.apart.is_some() {
            needs.add("server_groups", 1);
        }
        if section.has_floating {
            self.check_floating(node, section, needs, findings).await;
        }
    }

    async fn check_floating(
        &self,
        node: &CheckNode,
        section: &Section,
        needs: &mut Needs,
        findings: &mut Findings,
    ) {
        let key = "floating_ip_pool";
        let pool = section.floating_pool.as_deref();
        let network = match self.lookups.pool(&self.session, pool).await {
            Ok(network) => network.map(|network| network.id),
            Err(error) => {
                findings.failed(ProblemKind::Network, &node.name, key, &error);
                return;
            }
        };
        let operation = "list floating addresses";
        let all: Result<Vec<FloatingAddress>, _> = self.session.list_network(operation, &[]).await;
        let free = match &all {
            Ok(all) => all.iter().filter(|one| {
                let fits = pool.is_none() || Some(&one.network) == network.as_ref();
                one.port_id.is_none() && one.mark().is_none() && fits
            }),
            Err(error) => {
                findings.failed(ProblemKind::Network, &node.name, key, error);
                return;
            }
        };
        let free = free.count() as u64;
        let to_allocate = u64::from(node.count).saturating_sub(free);
        if to_allocate > 0 && network.is_none() {
            let message = "no floating address is free, and there is not exactly one external network; name one with `floating_ip_pool`";
            findings.add(ProblemKind::Network, Some(&node.name), Some(key), message);
        }
        needs.add("floating_ips", to_allocate);
    }

    async fn check_quotas(&self, needs: &Needs, findings: &mut Findings) {
        let quota = match self.quota().await {
            Ok(quota) => quota,
            Err(error) => {
                let message = format!("the limits of the project are not known: {}", error.message);
                findings
                    .add(ProblemKind::Quota, None, None, message)
                    .is_warning = true;
                return;
            }
        };
        for item in quota {
            let needed = needs.amounts.get(item.name.as_str()).copied().unwrap_or(0);
            let Some(limit) = item.limit.filter(|_| needed > 0) else {
                continue;
            };
            let used = item.used.unwrap_or(0);
            if used.saturating_add(needed) > limit {
                let message = format!(
                    "the limit of `{}` is {limit}: {used} are in use, and {needed} more are needed",
                    item.name
                );
                findings.add(ProblemKind::Quota, None, None, message);
            }
        }
    }
}

/// Checks that the image fits onto the flavour.
fn check_size(
    node: &CheckNode,
    section: &Section,
    image: &Image,
    flavor: &Flavor,
    findings: &mut Findings,
) {
    let mut tell = |kind, key, message: String| {
        findings.add(kind, Some(&node.name), Some(key), message);
    };
    let (image_name, flavor_name) = (image.label(), &flavor.name);
    if image.min_ram > flavor.ram {
        let message = format!(
            "image `{image_name}` needs {} MiB of memory, and flavour `{flavor_name}` has {}",
            image.min_ram, flavor.ram
        );
        tell(ProblemKind::InstanceType, "flavor_name", message);
    }
    let needed = image.disk_gib();
    match section.disk {
        Disk::Image if flavor.disk > 0 && flavor.disk < needed => {
            let message = format!(
                "image `{image_name}` needs a disk of {needed} GiB, and flavour `{flavor_name}` has {}",
                flavor.disk
            );
            tell(ProblemKind::InstanceType, "flavor_name", message);
        }
        Disk::Volume {
            size_gib: Some(size),
            ..
        } if size < needed => {
            let message = format!(
                "image `{image_name}` needs a disk of {needed} GiB, and `volume_size` is {size}"
            );
            tell(ProblemKind::Volume, "volume_size", message);
        }
        Disk::Image | Disk::Volume { .. } => {}
    }
}
