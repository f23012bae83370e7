//! Which keys the sections of a node definition know.

/// What a value has to be, as far as it can be told before a provider sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Anything: the provider will judge.
    Any,
    /// Text, or another scalar that prints as text.
    Scalar,
    /// A mapping.
    Map,
    /// A list.
    List,
    /// A list, or the only item of one.
    ListOrItem,
    /// A whole number that is not negative, or text that is one.
    Count,
    /// A whole number from a lowest value on.
    AtLeast(i128),
    /// A whole number from 0 to 100.
    Percent,
    /// A whole number, or a list of a lowest and a highest one.
    Interval,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A key of a section.
pub(crate) type Key = (&'static str, Shape);

/// The keys of one type of a section.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The `type`.
    pub(crate) name: &'static str,
    /// Keys that must be there, `type` aside.
    pub(crate) required: &'static [Key],
    /// Keys that may be there.
    pub(crate) optional: &'static [Key],
    /// Of each pair, one of both must be there.
    pub(crate) one_of: Option<(&'static str, &'static str)>,
    /// Keys that Occopus accepts and ignores, with what to say of each.
    pub(crate) ignored: &'static [(&'static str, &'static str)],
    /// Keys of which Occopus' documentation speaks but that its check refuses, with what to say of each.
    pub(crate) refused: &'static [(&'static str, &'static str)],
    /// Keys that must be in `description`, whose other keys are the provider's.
    pub(crate) described: &'static [&'static str],
    /// Keys of `description` that Occopus overwrites, with what to say of each.
    pub(crate) overwritten: &'static [(&'static str, &'static str)],
    /// Whether it runs containers, which are contextualised by type `docker`.
    pub(crate) is_container: bool,
}

impl Schema {
    const EMPTY: Self = Self {
        name: "",
        required: &[],
        optional: &[],
        one_of: None,
        ignored: &[],
        refused: &[],
        described: &[],
        overwritten: &[],
        is_container: false,
    };

    /// Returns what a value of the key has to be; `None` for an unknown key.
    pub(crate) fn shape_of(&self, key: &str) -> Option<Shape> {
        if key == "type" {
            return Some(Scalar);
        }
        let known = self.required.iter().chain(self.optional);
        known
            .into_iter()
            .find(|(name, _)| *name == key)
            .map(|(_, shape)| *shape)
    }

    /// Returns all keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        ["type"]
            .into_iter()
            .chain(self.required.iter().map(|key| key.0))
            .chain(self.optional.iter().map(|key| key.0))
    }
}

/// Finds a schema by its `type`.
pub(crate) fn find(schemas: &'static [Schema], name: &str) -> Option<&'static Schema> {
    schemas.iter().find(|schema| schema.name == name)
}

use Shape::{Any, AtLeast, Count, Interval, List, ListOrItem, Map, OneOf, Percent, Scalar};

/// The isolations of provider `local`, as it names them.
const ISOLATIONS: &[&str] = &["namespaces", "user-namespaces", "plain"];

/// The types of the section `resource`.
pub(crate) static RESOURCES: &[Schema] = &[
    Schema {
        name: "azure_aci",
        required: &[
            ("endpoint", Scalar),
            ("resource_group", Scalar),
            ("location", Scalar),
            ("cpu_cores", Any),
            ("memory", Any),
            ("image", Scalar),
            ("os_type", Scalar),
            ("network_type", Scalar),
        ],
        optional: &[
            ("gpu_type", Scalar),
            ("gpu_count", Any),
            ("ports", List),
            ("vnet_name", Scalar),
            ("subnet_name", Scalar),
        ],
        is_container: true,
        ..Schema::EMPTY
    },
    Schema {
        name: "azure_vm",
        required: &[
            ("endpoint", Scalar),
            ("resource_group", Scalar),
            ("location", Scalar),
            ("vm_size", Scalar),
            ("publisher", Scalar),
            ("offer", Scalar),
            ("sku", Scalar),
            ("version", Scalar),
            ("username", Scalar),
        ],
        optional: &[
            ("public_ip_needed", Any),
            ("vnet_name", Scalar),
            ("subnet_name", Scalar),
            ("customdata", Any),
            ("server_name", Scalar),
            ("password", Scalar),
            ("ssh_key_data", Scalar),
        ],
        one_of: Some(("password", "ssh_key_data")),
        ignored: &[(
            "customdata",
            "user-data comes from the section `contextualisation`",
        )],
        refused: &[
            (
                "nic_name",
                "network interfaces are made and named by the provider; remove it",
            ),
            ("name", "the key is called `server_name`"),
        ],
        ..Schema::EMPTY
    },
    Schema {
        name: "cloudbroker",
        required: &[("endpoint", Scalar), ("description", Map)],
        optional: &[("name", Scalar), ("start_in_vpc", Any)],
        ignored: &[("start_in_vpc", "it is never handed to the provider")],
        described: &["deployment_id", "instance_type_id"],
        ..Schema::EMPTY
    },
    Schema {
        name: "cloudsigma",
        required: &[
            ("endpoint", Scalar),
            ("libdrive_id", Scalar),
            ("description", Map),
        ],
        optional: &[("name", Scalar)],
        described: &["cpu", "mem", "vnc_password"],
        overwritten: &[(
            "drives",
            "the server gets the clone of `libdrive_id` as its only drive",
        )],
        ..Schema::EMPTY
    },
    Schema {
        name: "docker",
        // Occopus requires the first four; here the machine's own engine, a
        // registry and a standard image are meant without them.
        optional: &[
            ("endpoint", Scalar),
            ("origin", Scalar),
            ("image", Scalar),
            ("tag", Scalar),
            ("name", Scalar),
            ("ports", ListOrItem),
            ("volumes", ListOrItem),
            ("memory_mb", AtLeast(6)),
            ("cores", Scalar),
            ("cpus", Scalar),
            ("pids_max", AtLeast(1)),
            ("network", Scalar),
            ("hostname", Scalar),
            ("labels", Map),
            ("privileged", Any),
            ("stop_grace_s", Count),
        ],
        refused: &[(
            "network_mode",
            "it was removed in Occopus 1.4: containers are in the default network",
        )],
        is_container: true,
        ..Schema::EMPTY
    },
    Schema {
        name: "ec2",
        required: &[("image_id", Scalar), ("instance_type", Scalar)],
        optional: &[
            // Occopus requires these two; here the environment may say them.
            ("endpoint", Scalar),
            ("regionname", Scalar),
            ("key_name", Scalar),
            ("security_group_ids", ListOrItem),
            ("subnet_id", Scalar),
            ("name", Scalar),
            ("tags", Map),
            // Zenekar's own.
            ("availability_zone", Scalar),
            ("instance_profile", Scalar),
            ("ports", Any),
            ("public_ip", Any),
            ("spot", Any),
            ("volume_size", Count),
            ("volume_type", Scalar),
            ("volumes", Any),
        ],
        ..Schema::EMPTY
    },
    Schema {
        name: "local",
        optional: &[
            ("cores", AtLeast(1)),
            ("memory_mb", AtLeast(1)),
            ("description", Any),
            ("isolation", OneOf(ISOLATIONS)),
        ],
        ..Schema::EMPTY
    },
    Schema {
        name: "nova",
        required: &[("image_id", Scalar), ("flavor_name", Scalar)],
        optional: &[
            // Occopus requires these two; here the environment may say them.
            ("endpoint", Scalar),
            ("project_id", Scalar),
            ("server_name", Scalar),
            ("key_name", Scalar),
            ("security_groups", ListOrItem),
            ("floating_ip", Any),
            ("name", Scalar),
            ("tenant_name", Any),
            ("user_domain_name", Scalar),
            ("network_id", Scalar),
            ("floating_ip_pool", Scalar),
            ("region_name", Scalar),
            ("volume_size", Count),
            ("volume_persist", Any),
            // Zenekar's own.
            ("anti_affinity", Any),
            ("availability_zone", Scalar),
            ("config_drive", Any),
            ("ports", Any),
        ],
        ignored: &[("tenant_name", "the project is given by `project_id`")],
        ..Schema::EMPTY
    },
    Schema {
        name: "sim",
        optional: &[
            ("region", Scalar),
            ("instance_type", Scalar),
            ("cores", AtLeast(1)),
            ("create_ms", Interval),
            ("boot_ms", Interval),
            ("contextualise_ms", Interval),
            ("boot_failure_percent", Percent),
            ("description", Any),
        ],
        ..Schema::EMPTY
    },
];

/// The types of the section `contextualisation`.
pub(crate) static CONTEXTUALISATIONS: &[Schema] = &[
    Schema {
        name: "basic",
        required: &[("attributes", Any)],
        ..Schema::EMPTY
    },
    Schema {
        name: "cloudinit",
        required: &[("context_template", Any)],
        optional: &[("attributes", Any)],
        ..Schema::EMPTY
    },
    Schema {
        name: "docker",
        // Occopus requires `env`.
        optional: &[("env", Any), ("command", Any), ("context_variables", Any)],
        is_container: true,
        ..Schema::EMPTY
    },
];

/// The types of the section `config_management`.
pub(crate) static CONFIG_MANAGERS: &[Schema] = &[
    Schema {
        name: "chef",
        required: &[("endpoint", Scalar), ("run_list", List)],
        ..Schema::EMPTY
    },
    Schema {
        name: "dummy",
        ..Schema::EMPTY
    },
    Schema {
        name: "puppet_solo",
        required: &[("manifests", List)],
        optional: &[("modules", List), ("attributes", List)],
        ..Schema::EMPTY
    },
];

/// The keys of the section `health_check`.
pub(crate) static HEALTH: Schema = Schema {
    name: "basic",
    optional: &[
        ("ping", Any),
        ("ports", Any),
        ("urls", Any),
        ("mysqldbs", Any),
        ("timeout", Any),
    ],
    ..Schema::EMPTY
};

/// The sections of an implementation.
pub(crate) static SECTIONS: &[&str] = &[
    "resource",
    "contextualisation",
    "config_management",
    "health_check",
    crate::annotation::KEY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_hold_no_key_twice() {
        for table in [RESOURCES, CONTEXTUALISATIONS, CONFIG_MANAGERS] {
            assert!(table.is_sorted_by_key(|schema| schema.name));
            for schema in table {
                let mut keys: Vec<_> = schema.keys().collect();
                keys.sort_unstable();
                let count = keys.len();
                keys.dedup();
                assert_eq!(keys.len(), count, "{}", schema.name);
                assert!(
                    schema
                        .ignored
                        .iter()
                        .all(|(key, _)| schema.shape_of(key).is_some())
                );
            }
        }
    }
}
