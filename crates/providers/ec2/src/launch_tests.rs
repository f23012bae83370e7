//! What resource sections become.

use zenekar_base::{InfrastructureId, InstanceTag, Token};
use zenekar_model::Rendered;

use super::*;
use crate::request::Nature;

fn map(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Map(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn section(more: &[(&str, Value)]) -> Value {
    let mut entries = vec![
        (
            "endpoint",
            Value::from("https://ec2.eu-west-1.amazonaws.com"),
        ),
        ("regionname", Value::from("eu-west-1")),
        ("image_id", Value::from("ami-1")),
        ("instance_type", Value::from("t3.small")),
    ];
    entries.extend(more.iter().cloned());
    map(&entries)
}

fn create() -> CreateRequest {
    CreateRequest {
        infrastructure: InfrastructureId::new("web.0123456789ab"),
        instance: InstanceTag::new("11111111-2222-3333-4444-555555555555"),
        token: Token::new("99999999-2222-3333-4444-555555555555-0123456789ab"),
        name: "worker/3".to_owned(),
        rendered: Rendered::default(),
    }
}

fn request(more: &[(&str, Value)], resolved: &Resolved) -> Request {
    let launch = Launch::read(&section(more)).unwrap();
    launch.request(&create(), resolved).unwrap()
}

fn refused(more: &[(&str, Value)]) -> Vec<&'static str> {
    let (_, refused) = Launch::read_all(&section(more));
    refused.into_iter().map(|refused| refused.key).collect()
}

#[test]
fn the_smallest_launch_is_one_tagged_instance() {
    let made = request(&[], &Resolved::default());
    assert_eq!(made.nature, Nature::Changes);
    let of = |name: &str| made.value(name).unwrap().to_owned();
    assert_eq!((of("MinCount"), of("MaxCount")), ("1".into(), "1".into()));
    assert_eq!(of("ImageId"), "ami-1");
    assert_eq!(of("ClientToken"), create().token.as_str());
    assert_eq!(of("TagSpecification.1.ResourceType"), "instance");
    assert_eq!(of("TagSpecification.2.ResourceType"), "volume");
    let tags: Vec<(String, String)> = (1..=5)
        .map(|number| {
            (
                of(&format!("TagSpecification.1.Tag.{number}.Key")),
                of(&format!("TagSpecification.1.Tag.{number}.Value")),
            )
        })
        .collect();
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        tags,
        [
            tag("zenekar:infrastructure", "web.0123456789ab"),
            tag("zenekar:instance", create().instance.as_str()),
            tag("zenekar:token", create().token.as_str()),
            tag("zenekar:name", "worker/3"),
            tag("Name", "worker/3"),
        ]
    );
    for absent in ["KeyName", "SubnetId", "UserData", "SecurityGroupId.1"] {
        assert_eq!(made.value(absent), None);
    }
    assert!(!made.body().contains("InstanceMarketOptions"));
}

#[test]
fn repeating_a_launch_is_the_same_request() {
    let more = [("tags", map(&[("b", 1.into()), ("a", 2.into())]))];
    let resolved = Resolved {
        groups: vec!["sg-1".into()],
        ..Resolved::default()
    };
    assert_eq!(
        request(&more, &resolved).body(),
        request(&more, &resolved).body()
    );
}

#[test]
fn all_keys_have_their_parameters() {
    let resolved = Resolved {
        groups: vec!["sg-1".into(), "sg-2".into()],
        root_device: Some("/dev/xvda".into()),
        user_data: Some("eA==".into()),
    };
    let made = request(
        &[
            ("key_name", "key".into()),
            ("subnet_id", "subnet-1".into()),
            ("availability_zone", "eu-west-1b".into()),
            (
                "instance_profile",
                "arn:aws:iam::1:instance-profile/p".into(),
            ),
            ("volume_size", 30.into()),
            ("volume_type", "gp3".into()),
            (
                "volumes",
                Value::List(vec![
                    100.into(),
                    map(&[
                        ("size", 5.into()),
                        ("type", "io2".into()),
                        ("encrypted", true.into()),
                    ]),
                ]),
            ),
            ("spot", "0.05".into()),
            ("name", "mine".into()),
            ("tags", map(&[("cost", "center".into())])),
        ],
        &resolved,
    );
    for (name, value) in [
        ("KeyName", "key"),
        ("SubnetId", "subnet-1"),
        ("SecurityGroupId.2", "sg-2"),
        ("Placement.AvailabilityZone", "eu-west-1b"),
        (
            "IamInstanceProfile.Arn",
            "arn:aws:iam::1:instance-profile/p",
        ),
        ("UserData", "eA=="),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "30"),
        ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ("BlockDeviceMapping.2.DeviceName", "/dev/sdf"),
        ("BlockDeviceMapping.2.Ebs.VolumeSize", "100"),
        ("BlockDeviceMapping.3.DeviceName", "/dev/sdg"),
        ("BlockDeviceMapping.3.Ebs.Encrypted", "true"),
        ("BlockDeviceMapping.3.Ebs.DeleteOnTermination", "true"),
        ("InstanceMarketOptions.MarketType", "spot"),
        ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.05"),
        (
            "InstanceMarketOptions.SpotOptions.SpotInstanceType",
            "one-time",
        ),
        ("TagSpecification.3.ResourceType", "spot-instances-request"),
        ("TagSpecification.1.Tag.5.Value", "mine"),
        ("TagSpecification.1.Tag.6.Key", "cost"),
    ] {
        assert_eq!(made.value(name), Some(value), "{name}");
    }
    let names: std::collections::BTreeSet<_> =
        made.parameters().iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), made.parameters().len(), "none is there twice");
}

#[test]
fn a_public_address_moves_the_network_to_the_interface() {
    let resolved = Resolved {
        groups: vec!["sg-1".into()],
        ..Resolved::default()
    };
    let more = [("public_ip", true.into()), ("subnet_id", "subnet-1".into())];
    let made = request(&more, &resolved);
    for (name, value) in [
        ("NetworkInterface.1.AssociatePublicIpAddress", Some("true")),
        ("NetworkInterface.1.SubnetId", Some("subnet-1")),
        ("NetworkInterface.1.SecurityGroupId.1", Some("sg-1")),
        ("NetworkInterface.1.DeleteOnTermination", Some("true")),
        ("SubnetId", None),
        ("SecurityGroupId.1", None),
    ] {
        assert_eq!(made.value(name), value, "{name}");
    }
}

#[test]
fn a_users_name_tag_wins() {
    let made = request(
        &[("tags", map(&[("Name", "theirs".into())]))],
        &Resolved::default(),
    );
    assert_eq!(made.value("TagSpecification.1.Tag.5.Value"), Some("theirs"));
    assert_eq!(made.value("TagSpecification.1.Tag.6.Key"), None);
}

#[test]
fn groups_are_a_list_or_one_item() {
    let of = |value: Value| {
        Launch::read(&section(&[("security_group_ids", value)]))
            .unwrap()
            .groups
    };
    assert_eq!(of("sg-1".into()), ["sg-1"]);
    assert_eq!(
        of(Value::List(vec!["sg-1".into(), "web".into()])),
        ["sg-1", "web"]
    );
    assert!(of(Value::Null).is_empty());
}

#[test]
fn spot_is_a_truth_or_a_price() {
    let of = |value: Value| Launch::read(&section(&[("spot", value)])).unwrap().spot;
    assert_eq!(of(true.into()), Some(Spot { price_max: None }));
    assert_eq!(of(false.into()), None);
    let price = of("0.1".into()).unwrap().price_max;
    assert_eq!(price.as_deref(), Some("0.1"));
    assert_eq!(refused(&[("spot", "cheap".into())]), ["spot"]);
    assert_eq!(refused(&[("spot", Value::from(-1))]), ["spot"]);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_keys() {
    let (_, found) = Launch::read_all(&map(&[
        ("image_id", "replace_with_image_id_on_ec2".into()),
        ("volume_size", 0.into()),
        ("public_ip", "perhaps".into()),
        ("ports", Value::List(vec!["8080:80".into()])),
        (
            "tags",
            map(&[("aws:x", "y".into()), ("zenekar:x", "y".into())]),
        ),
        ("volumes", Value::List(vec![map(&[("site", 1.into())])])),
    ]));
    let mut keys: Vec<_> = found.iter().map(|refused| refused.key).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "image_id",
            "instance_type",
            "ports",
            "public_ip",
            "tags",
            "tags",
            "volume_size",
            "volumes"
        ]
    );
    let image = found.iter().find(|refused| refused.key == "image_id");
    assert!(image.unwrap().reason.contains("has to be replaced"));
}

#[test]
fn what_is_more_than_ec2_takes_is_refused() {
    let many = |count: i64| Value::List((1..=count).map(Value::from).collect());
    assert_eq!(refused(&[("ports", many(61))]), ["ports"]);
    assert_eq!(refused(&[("volumes", many(28))]), ["volumes"]);
    let tags: Vec<(String, Value)> = (0..46).map(|n| (format!("t{n}"), Value::from(n))).collect();
    assert_eq!(refused(&[("tags", Value::Map(tags))]), ["tags"]);
    let long = map(&[("k", "x".repeat(257).into())]);
    assert_eq!(refused(&[("tags", long)]), ["tags"]);
}

#[test]
fn a_token_that_is_too_long_is_refused() {
    let launch = Launch::read(&section(&[])).unwrap();
    let mut create = create();
    create.token = Token::new("x".repeat(65));
    let error = launch.request(&create, &Resolved::default()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Invalid);
}
