//! What would keep instances from being created, by calls that only read.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_provider::{CheckRequest, Problem, ProblemKind};

use crate::answer::{child, items, text, text_at};
use crate::error::ApiError;
use crate::groups;
use crate::inspect::{caller, instance_limit, knock, may_lack_service};
use crate::launch::{Launch, Resolved};
use crate::limits::FILTER_VALUES_MAX;
use crate::provider::Ec2Provider;
use crate::request::Request;
use crate::user_data;

/// Answers of a rehearsal: it would have succeeded.
const WOULD_SUCCEED: &[&str] = &["DryRunOperation"];

/// Answers of a rehearsal that a right is missing.
const MAY_NOT: &[&str] = &[
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
];

/// One node with what it asks for.
struct Wanted {
    name: String,
    count: u32,
    launch: Launch,
    is_sound: bool,
}

/// What a list shows of the things that were asked for: by id or name, some facts.
type Facts = BTreeMap<String, Vec<(&'static str, String)>>;

/// One list to be asked for things that nodes refer to.
struct Look {
    kind: ProblemKind,
    key: &'static str,
    what: &'static str,
    hint: &'static str,
    action: &'static str,
    filter: &'static str,
    set: &'static str,
    id: &'static str,
    facts: &'static [(&'static str, &'static [&'static str])],
    wants: fn(&Launch) -> Vec<String>,
}

const LOOKS: &[Look] = &[
    Look {
        kind: ProblemKind::Image,
        key: "image_id",
        what: "image",
        hint: "images belong to one region; `zenekar cloud images` lists them",
        action: "DescribeImages",
        filter: "image-id",
        set: "imagesSet",
        id: "imageId",
        facts: &[
            ("state", &["imageState"]),
            ("architecture", &["architecture"]),
        ],
        wants: |launch| vec![launch.image.clone()],
    },
    Look {
        kind: ProblemKind::InstanceType,
        key: "instance_type",
        what: "instance type",
        hint: "`zenekar cloud offers` lists what the region has",
        action: "DescribeInstanceTypes",
        filter: "instance-type",
        set: "instanceTypeSet",
        id: "instanceType",
        facts: &[],
        wants: |launch| vec![launch.instance_type.clone()],
    },
    Look {
        kind: ProblemKind::Network,
        key: "subnet_id",
        what: "subnet",
        hint: "subnets belong to one region and account",
        action: "DescribeSubnets",
        filter: "subnet-id",
        set: "subnetSet",
        id: "subnetId",
        facts: &[
            ("free", &["availableIpAddressCount"]),
            ("zone", &["availabilityZone"]),
        ],
        wants: |launch| launch.subnet.iter().cloned().collect(),
    },
    Look {
        kind: ProblemKind::Setting,
        key: "availability_zone",
        what: "availability zone",
        hint: "zones belong to one region",
        action: "DescribeAvailabilityZones",
        filter: "zone-name",
        set: "availabilityZoneInfo",
        id: "zoneName",
        facts: &[],
        wants: |launch| launch.zone.iter().cloned().collect(),
    },
    Look {
        kind: ProblemKind::KeyPair,
        key: "key_name",
        what: "key pair",
        hint: "key pairs belong to one region: import it there",
        action: "DescribeKeyPairs",
        filter: "key-name",
        set: "keySet",
        id: "keyName",
        facts: &[],
        wants: |launch| launch.key_name.iter().cloned().collect(),
    },
    Look {
        kind: ProblemKind::SecurityGroup,
        key: "security_group_ids",
        what: "security group",
        hint: "security groups belong to one region and network",
        action: "DescribeSecurityGroups",
        filter: "group-id",
        set: "securityGroupInfo",
        id: "groupId",
        facts: &[],
        wants: |launch| {
            let groups = launch.groups.iter();
            groups
                .filter(|group| groups::is_id(group))
                .cloned()
                .collect()
        },
    },
];

impl Ec2Provider {
    /// Finds all problems that can be found without changing anything.
    pub(crate) async fn preflight(
        &self,
        request: CheckRequest,
    ) -> Result<Vec<Problem>, ProviderError> {
        let mut problems = Vec::new();
        let mut wanted = Vec::new();
        for node in request.nodes {
            let (launch, refused) = Launch::read_all(&node.rendered.resource);
            problems.extend(refused.iter().map(|refused| Problem {
                key: Some(refused.key.to_owned()),
                ..problem(ProblemKind::Setting, &[&node.name], refused.reason.clone())
            }));
            let encoded = node.rendered.user_data.as_deref().map(user_data::encode);
            if let Some(Err(error)) = encoded {
                problems.push(Problem {
                    hint: Some("fetch the larger files from a server instead".to_owned()),
                    ..problem(ProblemKind::UserData, &[&node.name], error.to_string())
                });
            }
            wanted.push(Wanted {
                name: node.name,
                count: node.count,
                is_sound: refused.is_empty(),
                launch,
            });
        }
        if let Err(error) = self.reachable().await {
            problems.push(unusable(&error));
            return Ok(problems);
        }
        let mut lists = BTreeMap::new();
        for look in LOOKS {
            let found = self.look_for(look, &wanted, &mut problems).await;
            lists.insert(look.key, found);
        }
        compare(&wanted, &lists, &mut problems);
        self.check_named_groups(&wanted, &mut problems).await;
        self.rehearse(&wanted, &mut problems).await;
        self.check_limit(&wanted, &mut problems).await;
        Ok(problems)
    }

    async fn reachable(&self) -> Result<(), ApiError> {
        match caller(&self.api).await {
            Ok(_) => Ok(()),
            Err(error) if may_lack_service(&error) => knock(&self.api).await,
            Err(error) => Err(error),
        }
    }

    /// Asks one list for all that nodes refer to, and notes what is missing.
    async fn look_for(&self, look: &Look, wanted: &[Wanted], problems: &mut Vec<Problem>) -> Facts {
        let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for node in wanted {
            for id in (look.wants)(&node.launch) {
                if !id.is_empty() {
                    users.entry(id).or_default().push(&node.name);
                }
            }
        }
        let ids: Vec<&str> = users.keys().map(String::as_str).collect();
        let mut facts = Facts::new();
        for batch in ids.chunks(FILTER_VALUES_MAX as usize) {
            let request =
                Request::reading(look.action).filtered(look.filter, batch.iter().copied());
            let found = self
                .api
                .pages(&request, |root, found| facts_of(root, look, found))
                .await;
            match found {
                Ok(found) => facts.extend(found),
                Err(error) => {
                    problems.push(unchecked(look.what, &error));
                    return Facts::new();
                }
            }
        }
        for (id, nodes) in &users {
            if !facts.contains_key(id) {
                problems.push(Problem {
                    key: Some(look.key.to_owned()),
                    hint: Some(look.hint.to_owned()),
                    ..problem(
                        look.kind,
                        nodes,
                        format!("there is no {} `{id}`", look.what),
                    )
                });
            }
        }
        facts
    }

    /// Looks for groups that are named, each in the network of its node.
    async fn check_named_groups(&self, wanted: &[Wanted], problems: &mut Vec<Problem>) {
        let mut asked = BTreeSet::new();
        for node in wanted {
            for group in node
                .launch
                .groups
                .iter()
                .filter(|group| !groups::is_id(group))
            {
                if !asked.insert((group, &node.launch.subnet)) {
                    continue;
                }
                // A subnet that is missing is told already.
                let subnet = node.launch.subnet.as_deref();
                let Ok(network) = self.groups.network(&self.api, subnet).await else {
                    continue;
                };
                match groups::by_name(&self.api, &network, group).await {
                    Ok(Some(_)) => {}
                    Ok(None) => problems.push(Problem {
                        key: Some("security_group_ids".to_owned()),
                        ..problem(
                            ProblemKind::SecurityGroup,
                            &[&node.name],
                            format!("there is no security group `{group}` in network `{network}`"),
                        )
                    }),
                    Err(error) => problems.push(unchecked("security group", &error)),
                }
            }
        }
    }

    /// Sends the requests as rehearsals: the cloud checks rights and values, and
    /// makes nothing. Nodes that ask for the same are one rehearsal; user-data is
    /// not part of it, because only its size counts.
    async fn rehearse(&self, wanted: &[Wanted], problems: &mut Vec<Problem>) {
        let mut answers: BTreeMap<String, Option<ApiError>> = BTreeMap::new();
        for node in wanted {
            let is_told = problems
                .iter()
                .any(|problem| problem.nodes.contains(&node.name) && !problem.is_warning);
            if !node.is_sound || is_told {
                continue;
            }
            let ids = node
                .launch
                .groups
                .iter()
                .filter(|group| groups::is_id(group));
            let resolved = Resolved {
                groups: ids.cloned().collect(),
                root_device: None,
                user_data: None,
            };
            let mut requests = vec![node.launch.bare_request(&resolved)];
            if !node.launch.rules.is_empty() {
                let request = Request::changing("CreateSecurityGroup")
                    .with("GroupName", "zenekar-rehearsal")
                    .with("GroupDescription", "never made");
                requests.push(request);
            }
            for request in requests {
                let request = request.rehearsed();
                let body = request.body();
                if !answers.contains_key(&body) {
                    let answer = self.api.call(&request, |_| Some(())).await.err();
                    answers.insert(body.clone(), answer);
                }
                let error = answers.get(&body).cloned().flatten();
                problems.extend(error.and_then(|error| rehearsed(&node.name, error)));
            }
        }
    }

    /// Compares with the limit that private clouds tell. Amazon's own says nothing
    /// any more: what counts there are processor cores.
    async fn check_limit(&self, wanted: &[Wanted], problems: &mut Vec<Problem>) {
        let is_amazon = self
            .api
            .endpoint()
            .await
            .is_ok_and(|endpoint| endpoint.is_amazon);
        let more: u64 = wanted.iter().map(|node| u64::from(node.count)).sum();
        if is_amazon || more == 0 {
            return;
        }
        let Ok(Some(limit)) = instance_limit(&self.api).await else {
            return;
        };
        if more > limit {
            problems.push(Problem {
                is_warning: true,
                ..problem(
                    ProblemKind::Quota,
                    &[],
                    format!("{more} instances are to be made, and the account may have {limit}"),
                )
            });
        }
    }
}

fn facts_of(
    root: Node<'_, '_>,
    look: &Look,
    found: &mut Vec<(String, Vec<(&'static str, String)>)>,
) {
    for item in items(root, look.set) {
        let Some(id) = text(item, look.id) else {
            continue;
        };
        let mut facts = Vec::new();
        for (name, path) in look.facts {
            if let Some(value) = text_at(item, path) {
                facts.push((*name, value.to_owned()));
            }
        }
        if look.key == "instance_type" {
            let processor = child(item, "processorInfo").into_iter();
            facts.extend(
                processor
                    .flat_map(|processor| items(processor, "supportedArchitectures"))
                    .filter_map(|one| Some(("architecture", one.text()?.trim().to_owned()))),
            );
        }
        found.push((id.to_owned(), facts));
    }
}

fn values<'a>(facts: &'a Facts, id: &str, name: &str) -> Vec<&'a str> {
    let facts = facts.get(id).into_iter().flatten();
    facts
        .filter(|(fact, _)| *fact == name)
        .map(|(_, value)| value.as_str())
        .collect()
}

/// Finds what does not fit together.
fn compare(wanted: &[Wanted], lists: &BTreeMap<&'static str, Facts>, problems: &mut Vec<Problem>) {
    let mut need: BTreeMap<&str, u64> = BTreeMap::new();
    for node in wanted {
        let launch = &node.launch;
        let image = values(&lists["image_id"], &launch.image, "architecture");
        let types = values(
            &lists["instance_type"],
            &launch.instance_type,
            "architecture",
        );
        if let [image] = image.as_slice()
            && !types.is_empty()
            && !types.contains(image)
        {
            problems.push(Problem {
                key: Some("instance_type".to_owned()),
                ..problem(
                    ProblemKind::InstanceType,
                    &[&node.name],
                    format!(
                        "image `{}` is for `{image}`, and type `{}` is not",
                        launch.image, launch.instance_type
                    ),
                )
            });
        }
        let state = values(&lists["image_id"], &launch.image, "state");
        if let Some(state) = state.first().filter(|state| **state != "available") {
            problems.push(Problem {
                key: Some("image_id".to_owned()),
                ..problem(
                    ProblemKind::Image,
                    &[&node.name],
                    format!("image `{}` is `{state}`", launch.image),
                )
            });
        }
        let Some(subnet) = &launch.subnet else {
            continue;
        };
        *need.entry(subnet).or_default() += u64::from(node.count);
        let zone = values(&lists["subnet_id"], subnet, "zone");
        if let (Some(zone), Some(asked)) = (zone.first(), &launch.zone)
            && zone != asked
        {
            problems.push(Problem {
                key: Some("availability_zone".to_owned()),
                ..problem(
                    ProblemKind::Setting,
                    &[&node.name],
                    format!("subnet `{subnet}` is in `{zone}`, not in `{asked}`"),
                )
            });
        }
    }
    for (subnet, need) in need {
        let free = values(&lists["subnet_id"], subnet, "free");
        let free: Option<u64> = free.first().and_then(|free| free.parse().ok());
        if let Some(free) = free.filter(|free| *free < need) {
            problems.push(Problem {
                key: Some("subnet_id".to_owned()),
                ..problem(
                    ProblemKind::Network,
                    &[],
                    format!("subnet `{subnet}` has {free} free addresses for {need} instances"),
                )
            });
        }
    }
}

/// Says what a rehearsal found.
fn rehearsed(node: &str, error: ApiError) -> Option<Problem> {
    if error.is(WOULD_SUCCEED) {
        return None;
    }
    if error.is(MAY_NOT) {
        return Some(Problem {
            hint: Some("ask whoever administers the account for the right".to_owned()),
            ..problem(ProblemKind::Permission, &[node], error.message)
        });
    }
    match error.class {
        ErrorClass::Invalid | ErrorClass::NotFound => {
            Some(problem(ProblemKind::Setting, &[node], error.message))
        }
        ErrorClass::Quota => Some(Problem {
            is_warning: true,
            ..problem(ProblemKind::Quota, &[node], error.message)
        }),
        // Passing troubles, and clouds that know no rehearsals, say nothing about the descriptor.
        _ => None,
    }
}

/// Says why nothing else can be asked.
fn unusable(error: &ApiError) -> Problem {
    let (kind, hint) = match error.class {
        ErrorClass::Auth => (
            ProblemKind::Credentials,
            "check the keys; `zenekar cloud test` asks who they belong to",
        ),
        ErrorClass::Invalid => (ProblemKind::Setting, "check `endpoint` and `regionname`"),
        _ => (ProblemKind::Unreachable, "check `endpoint` and the network"),
    };
    Problem {
        hint: Some(hint.to_owned()),
        ..problem(kind, &[], error.message.clone())
    }
}

fn unchecked(what: &str, error: &ApiError) -> Problem {
    let kind = if error.is(MAY_NOT) {
        ProblemKind::Permission
    } else {
        ProblemKind::Setting
    };
    Problem {
        is_warning: true,
        ..problem(
            kind,
            &[],
            format!("cannot check the {what}: {}", error.message),
        )
    }
}

fn problem(kind: ProblemKind, nodes: &[&str], message: String) -> Problem {
    Problem {
        kind,
        nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        key: None,
        message,
        hint: None,
        is_warning: false,
    }
}
