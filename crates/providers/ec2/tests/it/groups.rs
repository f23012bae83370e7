//! Security groups for the ports that a descriptor opens.

use std::collections::BTreeMap;
use std::sync::Mutex;

use zenekar_base::{ErrorClass, InfrastructureId, Value};
use zenekar_provider::Provider as _;

use crate::peer::{Form, Peer, Reply, instance, launched};
use crate::support::{block_on, open, rendered, request};

/// One group of the peer: name, tag, rules.
#[derive(Clone, Default)]
struct Group {
    name: String,
    infrastructure: String,
    rules: Vec<(String, String)>,
}

/// A peer that has security groups, and little else.
#[derive(Default)]
struct Cloud {
    groups: Mutex<BTreeMap<String, Group>>,
    is_in_use: Mutex<bool>,
}

impl Cloud {
    fn answer(&self, form: &Form) -> Reply {
        match form.action() {
            "DescribeVpcs" => Reply::xml(
                "<DescribeVpcsResponse><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet>\
                 </DescribeVpcsResponse>",
            ),
            "DescribeVolumes" => Reply::xml("<DescribeVolumesResponse/>"),
            "DescribeSecurityGroups" => self.describe(form),
            "CreateSecurityGroup" => self.create(form),
            "AuthorizeSecurityGroupIngress" => self.authorise(form),
            "DeleteSecurityGroup" => {
                if *self.is_in_use.lock().unwrap() {
                    return Reply::refusal(400, "DependencyViolation", "in use");
                }
                self.groups.lock().unwrap().remove(form.get("GroupId"));
                Reply::xml("<DeleteSecurityGroupResponse/>")
            }
            "RunInstances" => launched(&instance(
                &format!("i-{:x}", form.get("ClientToken").len() + form.head.len()),
                "",
                "",
                "pending",
            )),
            other => Reply::refusal(400, "InvalidAction", other),
        }
    }

    fn describe(&self, form: &Form) -> Reply {
        let groups = self.groups.lock().unwrap();
        let wanted = (form.get("Filter.1.Name"), form.get("Filter.1.Value.1"));
        let mut shown = String::new();
        for (id, group) in groups.iter() {
            let is_wanted = match wanted.0 {
                "group-name" => group.name == wanted.1,
                _ => group.infrastructure == wanted.1,
            };
            if !is_wanted {
                continue;
            }
            let Group {
                name,
                infrastructure,
                rules,
            } = group;
            shown += &format!("<item><groupId>{id}</groupId><groupName>{name}</groupName>");
            shown += "<ipPermissions>";
            for (port, source) in rules {
                shown += &format!(
                    "<item><ipProtocol>tcp</ipProtocol><fromPort>{port}</fromPort>\
                     <toPort>{port}</toPort><ipRanges><item><cidrIp>{source}</cidrIp>\
                     </item></ipRanges></item>"
                );
            }
            shown += &format!(
                "</ipPermissions><tagSet><item><key>zenekar:infrastructure</key>\
                 <value>{infrastructure}</value></item></tagSet></item>"
            );
        }
        Reply::xml(format!(
            "<DescribeSecurityGroupsResponse><securityGroupInfo>{shown}</securityGroupInfo>\
             </DescribeSecurityGroupsResponse>"
        ))
    }

    fn create(&self, form: &Form) -> Reply {
        let mut groups = self.groups.lock().unwrap();
        let name = form.get("GroupName").to_owned();
        if groups.values().any(|group| group.name == name) {
            return Reply::refusal(400, "InvalidGroup.Duplicate", "there is one");
        }
        let id = format!("sg-{}", groups.len() + 1);
        let group = Group {
            name,
            infrastructure: form.get("TagSpecification.1.Tag.1.Value").to_owned(),
            rules: Vec::new(),
        };
        groups.insert(id.clone(), group);
        Reply::xml(format!(
            "<CreateSecurityGroupResponse><groupId>{id}</groupId></CreateSecurityGroupResponse>"
        ))
    }

    fn authorise(&self, form: &Form) -> Reply {
        let mut groups = self.groups.lock().unwrap();
        let Some(group) = groups.get_mut(form.get("GroupId")) else {
            return Reply::refusal(400, "InvalidGroup.NotFound", "not yet");
        };
        let mut rules = Vec::new();
        for number in 1..=60 {
            let prefix = format!("IpPermissions.{number}");
            let port = form.get(&format!("{prefix}.FromPort"));
            if port.is_empty() {
                break;
            }
            let source = form.get(&format!("{prefix}.IpRanges.1.CidrIp"));
            rules.push((port.to_owned(), source.to_owned()));
        }
        if rules.iter().any(|rule| group.rules.contains(rule)) {
            return Reply::refusal(400, "InvalidPermission.Duplicate", "there already");
        }
        group.rules.extend(rules);
        Reply::xml("<AuthorizeSecurityGroupIngressResponse/>")
    }
}

/// Starts a peer with a cloud that the test can look into.
async fn cloud() -> (Peer, std::sync::Arc<Cloud>) {
    let cloud = std::sync::Arc::new(Cloud::default());
    let shared = std::sync::Arc::clone(&cloud);
    let peer = Peer::start(move |form| shared.answer(form)).await;
    cloud.groups.lock().unwrap().insert(
        "sg-0default".to_owned(),
        Group {
            name: "default".to_owned(),
            ..Group::default()
        },
    );
    (peer, cloud)
}

fn ports() -> [(&'static str, Value); 1] {
    [("ports", Value::List(vec![22.into(), 80.into()]))]
}

#[test]
fn ten_creations_at_once_make_one_group() {
    block_on(async {
        let (peer, cloud) = cloud().await;
        let provider = std::sync::Arc::new(open(&peer.url, "eu-west-1"));
        let tasks: Vec<_> = (0..10)
            .map(|key| {
                let provider = std::sync::Arc::clone(&provider);
                tokio::spawn(async move {
                    provider
                        .create(request("web", key, rendered(&ports())))
                        .await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(peer.count("CreateSecurityGroup"), 1);
        assert_eq!(peer.count("AuthorizeSecurityGroupIngress"), 1);
        assert_eq!(peer.count("RunInstances"), 10);
        assert_eq!(
            peer.count("DescribeSecurityGroups"),
            2,
            "its own and `default`"
        );
        let groups = cloud.groups.lock().unwrap();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups["sg-2"].rules.len(), 2);
        for form in peer.log() {
            if form.action() == "RunInstances" {
                assert_eq!(form.get("SecurityGroupId.1"), "sg-0default");
                assert_eq!(form.get("SecurityGroupId.2"), "sg-2");
            }
        }
    });
}

#[test]
fn two_processes_at_once_make_one_group() {
    block_on(async {
        let (peer, cloud) = cloud().await;
        let (one, two) = (open(&peer.url, "eu-west-1"), open(&peer.url, "eu-west-1"));
        let (first, second) = tokio::join!(
            one.create(request("web", 1, rendered(&ports()))),
            two.create(request("web", 2, rendered(&ports()))),
        );
        first.unwrap();
        second.unwrap();
        let groups = cloud.groups.lock().unwrap();
        assert_eq!(groups.len(), 2, "`default` and one more");
        assert_eq!(groups["sg-2"].rules.len(), 2);
    });
}

#[test]
fn a_group_that_a_crash_left_without_rules_gets_them() {
    block_on(async {
        let (peer, cloud) = cloud().await;
        let provider = open(&peer.url, "eu-west-1");
        provider
            .create(request("web", 1, rendered(&ports())))
            .await
            .unwrap();
        let rules =
            std::mem::take(&mut cloud.groups.lock().unwrap().get_mut("sg-2").unwrap().rules);
        cloud.groups.lock().unwrap().get_mut("sg-2").unwrap().rules = rules[..1].to_vec();
        let later = open(&peer.url, "eu-west-1");
        later
            .create(request("web", 2, rendered(&ports())))
            .await
            .unwrap();
        assert_eq!(cloud.groups.lock().unwrap()["sg-2"].rules.len(), 2);
        assert_eq!(peer.count("CreateSecurityGroup"), 1);
    });
}

#[test]
fn a_released_infrastructure_has_no_group() {
    block_on(async {
        let (peer, cloud) = cloud().await;
        let provider = open(&peer.url, "eu-west-1");
        for infrastructure in ["web", "other"] {
            let wanted = request(infrastructure, 1, rendered(&ports()));
            provider.create(wanted).await.unwrap();
        }
        *cloud.is_in_use.lock().unwrap() = true;
        let early = provider.release(InfrastructureId::new("web")).await;
        assert_eq!(early.unwrap_err().class, ErrorClass::Retryable);
        *cloud.is_in_use.lock().unwrap() = false;
        for _ in 0..2 {
            provider
                .release(InfrastructureId::new("web"))
                .await
                .unwrap();
        }
        let names: Vec<_> = {
            let groups = cloud.groups.lock().unwrap();
            groups
                .values()
                .map(|group| group.infrastructure.clone())
                .collect()
        };
        assert_eq!(names, ["", "other"]);
        // Whoever comes back gets a new one.
        let wanted = request("web", 2, rendered(&ports()));
        provider.create(wanted).await.unwrap();
        assert_eq!(peer.count("CreateSecurityGroup"), 3);
    });
}

#[test]
fn a_group_of_that_name_that_is_not_ours_is_left_alone() {
    block_on(async {
        let (peer, cloud) = cloud().await;
        let provider = open(&peer.url, "eu-west-1");
        provider
            .create(request("web", 1, rendered(&ports())))
            .await
            .unwrap();
        cloud
            .groups
            .lock()
            .unwrap()
            .get_mut("sg-2")
            .unwrap()
            .infrastructure = "another".to_owned();
        let later = open(&peer.url, "eu-west-1");
        let answer = later.create(request("web", 2, rendered(&ports()))).await;
        let error = answer.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains("is not of `web`"), "{error}");
    });
}

#[test]
fn groups_are_named_by_id_or_name() {
    block_on(async {
        let (peer, _) = cloud().await;
        let provider = open(&peer.url, "eu-west-1");
        let groups = Value::List(vec!["sg-0a1".into(), "default".into()]);
        let more = [("security_group_ids", groups)];
        provider
            .create(request("web", 1, rendered(&more)))
            .await
            .unwrap();
        let log = peer.log();
        let launch = log
            .iter()
            .find(|form| form.action() == "RunInstances")
            .unwrap();
        assert_eq!(launch.get("SecurityGroupId.1"), "sg-0a1");
        assert_eq!(launch.get("SecurityGroupId.2"), "sg-0default");
        let more = [("security_group_ids", Value::from("nobody"))];
        let answer = provider.create(request("web", 2, rendered(&more))).await;
        let error = answer.unwrap_err();
        assert!(
            error.message.contains("no security group `nobody`"),
            "{error}"
        );
        assert_eq!(error.class, ErrorClass::Invalid);
    });
}

#[test]
fn disks_that_an_image_leaves_behind_are_released() {
    block_on(async {
        let volume = |id: &str, of: &str, status: &str, attached: &str| {
            format!(
                "<item><volumeId>{id}</volumeId><status>{status}</status>\
                 <attachmentSet>{attached}</attachmentSet><tagSet><item>\
                 <key>zenekar:infrastructure</key><value>{of}</value></item></tagSet></item>"
            )
        };
        let stays = "<item><deleteOnTermination>false</deleteOnTermination></item>";
        let goes = "<item><deleteOnTermination>true</deleteOnTermination></item>";
        let volumes = volume("vol-1", "web", "available", "")
            + &volume("vol-2", "web2", "available", "")
            + &volume("vol-3", "web", "in-use", stays)
            + &volume("vol-4", "web", "in-use", goes);
        let peer = Peer::start(move |form| match form.action() {
            "DescribeVolumes" => Reply::xml(format!("<R><volumeSet>{volumes}</volumeSet></R>")),
            _ => Reply::xml("<R/>"),
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider.release(InfrastructureId::new("web")).await;
        let error = answer.unwrap_err();
        assert_eq!(error.class, ErrorClass::Retryable);
        assert!(
            error.message.contains("`vol-3` is still attached"),
            "{error}"
        );
        let deleted: Vec<_> = peer
            .log()
            .iter()
            .filter(|form| form.action() == "DeleteVolume")
            .map(|form| form.get("VolumeId").to_owned())
            .collect();
        assert_eq!(deleted, ["vol-1"]);
    });
}

#[test]
fn a_disk_that_stays_does_not_keep_groups() {
    block_on(async {
        let peer = Peer::start(move |form| match form.action() {
            "DescribeVolumes" => Reply::refusal(503, "Unavailable", "later"),
            "DescribeSecurityGroups" => {
                let group = |id: &str| {
                    format!(
                        "<item><groupId>{id}</groupId><groupName>{id}</groupName><tagSet><item>\
                         <key>zenekar:infrastructure</key><value>web</value></item></tagSet></item>"
                    )
                };
                let groups = group("sg-1") + &group("sg-2");
                Reply::xml(format!(
                    "<R><securityGroupInfo>{groups}</securityGroupInfo></R>"
                ))
            }
            "DeleteSecurityGroup" if form.get("GroupId") == "sg-1" => {
                Reply::refusal(400, "DependencyViolation", "in use")
            }
            _ => Reply::xml("<R/>"),
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider.release(InfrastructureId::new("web")).await;
        let error = answer.unwrap_err();
        assert!(error.message.contains("DescribeVolumes"), "{error}");
        assert_eq!(peer.count("DeleteSecurityGroup"), 2);
    });
}
