//! What a resource section asks for, and the request that makes it.

use zenekar_base::{ErrorClass, ProviderError, Value};
use zenekar_provider::CreateRequest;

use crate::limits::{
    GROUPS_MAX, RULES_MAX, TAG_KEY_CHARACTERS_MAX, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX,
    TOKEN_CHARACTERS_MAX, VOLUMES_MAX,
};
use crate::ports::{self, Rule};
use crate::request::Request;
use crate::tags::{
    PREFIX, TAG_CONSOLE_NAME, TAG_INFRASTRUCTURE, TAG_INSTANCE, TAG_NAME, TAG_TOKEN,
};

/// What descriptors that are handed round have in place of a value.
const PLACEHOLDER: &str = "replace_with_";

/// Tags that every instance has: ours, and the console's name.
const OWN_TAGS: usize = 5;

/// A value of a resource section cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The key.
    pub(crate) key: &'static str,
    /// What is wrong.
    pub(crate) reason: String,
}

impl From<Refused> for ProviderError {
    fn from(refused: Refused) -> Self {
        Self::new(
            ErrorClass::Invalid,
            format!("key `{}`: {}", refused.key, refused.reason),
        )
    }
}

/// A disk besides the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) size_gib: u32,
    pub(crate) kind: Option<String>,
    pub(crate) device: String,
    pub(crate) is_encrypted: Option<bool>,
}

/// A price for spare capacity; none is the price of regular instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) price_max: Option<String>,
}

/// What a resource section asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) key_name: Option<String>,
    /// Ids and names.
    pub(crate) groups: Vec<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) root_size_gib: Option<u32>,
    pub(crate) root_kind: Option<String>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) spot: Option<Spot>,
    pub(crate) profile: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) public_ip: Option<bool>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) name: Option<String>,
}

/// What had to be looked up for a launch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Ids of the security groups.
    pub(crate) groups: Vec<String>,
    /// The image's root device, if its disk is asked for.
    pub(crate) root_device: Option<String>,
    /// User-data in base64.
    pub(crate) user_data: Option<String>,
}

impl Launch {
    /// Reads a resource section; says what is wrong with the first bad key.
    pub(crate) fn read(section: &Value) -> Result<Self, Refused> {
        let (launch, refused) = Self::read_all(section);
        refused.into_iter().next().map_or(Ok(launch), Err)
    }

    /// Reads a resource section, and says all that is wrong with it.
    pub(crate) fn read_all(section: &Value) -> (Self, Vec<Refused>) {
        let mut reader = Reader {
            section,
            refused: Vec::new(),
        };
        let launch = Self {
            image: reader.needed("image_id"),
            instance_type: reader.needed("instance_type"),
            key_name: reader.text("key_name"),
            groups: reader.groups(),
            subnet: reader.text("subnet_id"),
            rules: reader.rules(),
            root_size_gib: reader.size("volume_size"),
            root_kind: reader.text("volume_type"),
            volumes: reader.volumes(),
            spot: reader.spot(),
            profile: reader.text("instance_profile"),
            zone: reader.text("availability_zone"),
            public_ip: reader.truth("public_ip"),
            tags: reader.tags(),
            name: reader.text("name"),
        };
        (launch, reader.refused)
    }

    /// Says whether the image's root device has to be known.
    pub(crate) const fn asks_for_root(&self) -> bool {
        self.root_size_gib.is_some() || self.root_kind.is_some()
    }

    /// Makes the request for one instance. It is the same for the same arguments,
    /// so that the cloud knows a repetition.
    pub(crate) fn request(
        &self,
        create: &CreateRequest,
        resolved: &Resolved,
    ) -> Result<Request, ProviderError> {
        let token = create.token.as_str();
        if token.is_empty() || token.chars().count() > TOKEN_CHARACTERS_MAX || !token.is_ascii() {
            return Err(ProviderError::new(
                ErrorClass::Invalid,
                format!("token `{token}` is not one that EC2 takes"),
            ));
        }
        let mut request = self.bare_request(resolved).with("ClientToken", token);
        let tags = self.all_tags(create);
        let mut kinds = vec!["instance", "volume"];
        if self.spot.is_some() {
            kinds.push("spot-instances-request");
        }
        for (index, kind) in kinds.into_iter().enumerate() {
            push_tags(&mut request, index + 1, kind, &tags);
        }
        Ok(request)
    }

    /// Makes the request without what tells instances apart: what a rehearsal sends.
    pub(crate) fn bare_request(&self, resolved: &Resolved) -> Request {
        let mut request = Request::changing("RunInstances")
            .with("MinCount", "1")
            .with("MaxCount", "1")
            .with("ImageId", &self.image)
            .with("InstanceType", &self.instance_type);
        let optional = [
            ("KeyName", &self.key_name),
            ("Placement.AvailabilityZone", &self.zone),
            ("UserData", &resolved.user_data),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                request.push(name, value);
            }
        }
        if let Some(profile) = &self.profile {
            let form = if profile.starts_with("arn:") {
                "Arn"
            } else {
                "Name"
            };
            request.push(format!("IamInstanceProfile.{form}"), profile);
        }
        self.push_network(&mut request, resolved);
        self.push_disks(&mut request, resolved);
        if let Some(spot) = &self.spot {
            let options = "InstanceMarketOptions.SpotOptions";
            request.push("InstanceMarketOptions.MarketType", "spot");
            request.push(format!("{options}.SpotInstanceType"), "one-time");
            request.push(
                format!("{options}.InstanceInterruptionBehavior"),
                "terminate",
            );
            if let Some(price) = &spot.price_max {
                request.push(format!("{options}.MaxPrice"), price);
            }
        }
        request
    }

    /// Where a public address is asked for or refused, subnet and groups belong
    /// to the network interface.
    fn push_network(&self, request: &mut Request, resolved: &Resolved) {
        let prefix = match self.public_ip {
            Some(public_ip) => {
                request.push("NetworkInterface.1.DeviceIndex", "0");
                request.push(
                    "NetworkInterface.1.AssociatePublicIpAddress",
                    public_ip.to_string(),
                );
                request.push("NetworkInterface.1.DeleteOnTermination", "true");
                "NetworkInterface.1."
            }
            None => "",
        };
        if let Some(subnet) = &self.subnet {
            request.push(format!("{prefix}SubnetId"), subnet);
        }
        for (index, group) in resolved.groups.iter().enumerate() {
            request.push(format!("{prefix}SecurityGroupId.{}", index + 1), group);
        }
    }

    fn push_disks(&self, request: &mut Request, resolved: &Resolved) {
        let mut number = 0;
        if let Some(device) = &resolved.root_device {
            number += 1;
            let prefix = format!("BlockDeviceMapping.{number}");
            request.push(format!("{prefix}.DeviceName"), device);
            if let Some(size) = self.root_size_gib {
                request.push(format!("{prefix}.Ebs.VolumeSize"), size.to_string());
            }
            if let Some(kind) = &self.root_kind {
                request.push(format!("{prefix}.Ebs.VolumeType"), kind);
            }
            request.push(format!("{prefix}.Ebs.DeleteOnTermination"), "true");
        }
        for volume in &self.volumes {
            number += 1;
            let prefix = format!("BlockDeviceMapping.{number}");
            request.push(format!("{prefix}.DeviceName"), &volume.device);
            request.push(
                format!("{prefix}.Ebs.VolumeSize"),
                volume.size_gib.to_string(),
            );
            if let Some(kind) = &volume.kind {
                request.push(format!("{prefix}.Ebs.VolumeType"), kind);
            }
            if let Some(is_encrypted) = volume.is_encrypted {
                request.push(format!("{prefix}.Ebs.Encrypted"), is_encrypted.to_string());
            }
            request.push(format!("{prefix}.Ebs.DeleteOnTermination"), "true");
        }
    }

    fn all_tags(&self, create: &CreateRequest) -> Vec<(String, String)> {
        let own = [
            (TAG_INFRASTRUCTURE, create.infrastructure.as_str()),
            (TAG_INSTANCE, create.instance.as_str()),
            (TAG_TOKEN, create.token.as_str()),
            (TAG_NAME, create.name.as_str()),
        ];
        let mut tags: Vec<(String, String)> = own
            .into_iter()
            .map(|(key, value)| (key.to_owned(), cut(value)))
            .collect();
        if !self.tags.iter().any(|(key, _)| key == TAG_CONSOLE_NAME) {
            let name = self.name.as_deref().unwrap_or(&create.name);
            tags.push((TAG_CONSOLE_NAME.to_owned(), cut(name)));
        }
        tags.extend(self.tags.iter().cloned());
        tags
    }
}

fn cut(value: &str) -> String {
    value.chars().take(TAG_VALUE_CHARACTERS_MAX).collect()
}

/// Adds tags for a kind of resource that the request makes.
pub(crate) fn push_tags(
    request: &mut Request,
    number: usize,
    kind: &str,
    tags: &[(String, String)],
) {
    request.push(format!("TagSpecification.{number}.ResourceType"), kind);
    for (index, (key, value)) in tags.iter().enumerate() {
        let prefix = format!("TagSpecification.{number}.Tag.{}", index + 1);
        request.push(format!("{prefix}.Key"), key);
        request.push(format!("{prefix}.Value"), value);
    }
}

/// Reads keys of a section and notes what is wrong.
struct Reader<'a> {
    section: &'a Value,
    refused: Vec<Refused>,
}

impl<'a> Reader<'a> {
    fn refuse(&mut self, key: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.refused.push(Refused { key, reason });
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.section
            .get(key)
            .filter(|value| !matches!(value, Value::Null))
    }

    fn needed(&mut self, key: &'static str) -> String {
        let before = self.refused.len();
        let text = self.text(key);
        if text.is_none() && self.refused.len() == before {
            self.refuse(key, "it is missing, and EC2 needs it");
        }
        text.unwrap_or_default()
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        let text = match scalar(self.value(key)?) {
            Ok(text) => text,
            Err(reason) => {
                self.refuse(key, reason);
                return None;
            }
        };
        self.filled_in(key, text)
    }

    fn filled_in(&mut self, key: &'static str, text: String) -> Option<String> {
        if text.starts_with(PLACEHOLDER) {
            self.refuse(key, format!("`{text}` has to be replaced with a value"));
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    fn list(&self, key: &str) -> Vec<&'a Value> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::List(items)) => items.iter().collect(),
            Some(one) => vec![one],
        }
    }

    fn groups(&mut self) -> Vec<String> {
        const KEY: &str = "security_group_ids";
        let mut groups = Vec::new();
        for item in self.list(KEY) {
            match scalar(item) {
                Ok(text) => groups.extend(self.filled_in(KEY, text)),
                Err(reason) => self.refuse(KEY, reason),
            }
        }
        if groups.len() > GROUPS_MAX {
            self.refuse(KEY, format!("more than {GROUPS_MAX} groups"));
        }
        groups
    }

    fn rules(&mut self) -> Vec<Rule> {
        const KEY: &str = "ports";
        let mut rules = Vec::new();
        for item in self.list(KEY) {
            match ports::read(item) {
                Ok(read) => rules.extend(read),
                Err(reason) => self.refuse(KEY, reason),
            }
        }
        rules.sort();
        rules.dedup();
        if rules.len() > RULES_MAX {
            self.refuse(KEY, format!("more than {RULES_MAX} rules"));
        }
        rules
    }

    fn size(&mut self, key: &'static str) -> Option<u32> {
        let value = self.value(key)?;
        let size = size_gib(value);
        if size.is_none() {
            self.refuse(key, "a size is a whole number of GiB, at least 1");
        }
        size
    }

    fn truth(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let truth = truth(value);
        if truth.is_none() {
            self.refuse(key, "it is `true` or `false`");
        }
        truth
    }

    fn spot(&mut self) -> Option<Spot> {
        const KEY: &str = "spot";
        let value = self.value(KEY)?;
        if let Some(is_spot) = truth(value) {
            return is_spot.then_some(Spot { price_max: None });
        }
        let price = scalar(value).unwrap_or_default();
        if price
            .parse::<f64>()
            .is_ok_and(|price| price > 0.0 && price.is_finite())
        {
            return Some(Spot {
                price_max: Some(price),
            });
        }
        self.refuse(KEY, "it is `true`, or the highest price for an hour");
        None
    }

    fn volumes(&mut self) -> Vec<Volume> {
        const KEY: &str = "volumes";
        let mut volumes: Vec<Volume> = Vec::new();
        for (index, item) in self.list(KEY).into_iter().enumerate() {
            match volume(item, index) {
                Ok(volume) if volumes.iter().any(|other| other.device == volume.device) => {
                    self.refuse(KEY, format!("device `{}` is there twice", volume.device));
                }
                Ok(volume) => volumes.push(volume),
                Err(reason) => self.refuse(KEY, reason),
            }
        }
        if volumes.len() > VOLUMES_MAX {
            self.refuse(KEY, format!("more than {VOLUMES_MAX} volumes"));
        }
        volumes
    }

    fn tags(&mut self) -> Vec<(String, String)> {
        const KEY: &str = "tags";
        let Some(value) = self.value(KEY) else {
            return Vec::new();
        };
        let Some(entries) = value.as_map() else {
            self.refuse(KEY, "it is a mapping of names and values");
            return Vec::new();
        };
        let mut tags = Vec::new();
        for (key, value) in entries {
            let value = match value {
                Value::Null => Ok(String::new()),
                value => scalar(value),
            };
            match value {
                Err(reason) => self.refuse(KEY, format!("`{key}`: {reason}")),
                Ok(_) if key.starts_with("aws:") || key.starts_with(PREFIX) => {
                    self.refuse(KEY, format!("`{key}` begins with what is not for users"));
                }
                Ok(value)
                    if key.is_empty()
                        || key.chars().count() > TAG_KEY_CHARACTERS_MAX
                        || value.chars().count() > TAG_VALUE_CHARACTERS_MAX =>
                {
                    self.refuse(
                        KEY,
                        format!(
                            "`{key}`: a name has 1 to {TAG_KEY_CHARACTERS_MAX} characters, \
                         a value at most {TAG_VALUE_CHARACTERS_MAX}"
                        ),
                    );
                }
                Ok(value) => tags.push((key.clone(), value)),
            }
        }
        if tags.len() + OWN_TAGS > TAGS_MAX {
            self.refuse(KEY, format!("more than {} tags", TAGS_MAX - OWN_TAGS));
        }
        tags
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) | Value::Date(text) => Ok(text.trim().to_owned()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.0.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("it is a text, not {}", other.type_name())),
    }
}

fn size_gib(value: &Value) -> Option<u32> {
    scalar(value).ok()?.parse().ok().filter(|size| *size > 0)
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Reads one item of `volumes`: a size, or a mapping.
fn volume(item: &Value, index: usize) -> Result<Volume, String> {
    // The names that Amazon recommends for data disks: f to p, then two letters.
    let letters = b"fghijklmnop";
    let device = match letters.get(index) {
        Some(letter) => format!("/dev/sd{}", char::from(*letter)),
        None => format!(
            "/dev/xvdb{}",
            char::from(b'a' + u8::try_from((index - letters.len()) % 26).unwrap_or(0))
        ),
    };
    let needed = || "a volume has a size: a whole number of GiB, at least 1".to_owned();
    let Some(entries) = item.as_map() else {
        return Ok(Volume {
            size_gib: size_gib(item).ok_or_else(needed)?,
            kind: None,
            device,
            is_encrypted: None,
        });
    };
    let known = ["device", "encrypted", "size", "type"];
    if let Some((key, _)) = entries
        .iter()
        .find(|(key, _)| !known.contains(&key.as_str()))
    {
        return Err(format!(
            "`{key}` is unknown: a volume has `size`, `type`, `device`, `encrypted`"
        ));
    }
    let of = |key: &str| item.get(key).filter(|value| !matches!(value, Value::Null));
    let is_encrypted = match of("encrypted") {
        Some(value) => Some(truth(value).ok_or("`encrypted` is `true` or `false`")?),
        None => None,
    };
    Ok(Volume {
        size_gib: of("size").and_then(size_gib).ok_or_else(needed)?,
        kind: of("type").map(scalar).transpose()?,
        device: of("device").map(scalar).transpose()?.unwrap_or(device),
        is_encrypted,
    })
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
