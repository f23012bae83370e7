//! Which credentials are used for a cloud.

use secrecy::ExposeSecret as _;
use zenekar_base::CloudKey;
use zenekar_credentials::{
    CloudKind, CloudSettings, CredentialsError, NamedCloud, NovaLogin, Origin, Resolution,
    SealWith, Secrets, SecretsKept, Sources, resolve,
};
use zenekar_diagnostics::SourceMap;
use zenekar_occopus::AuthenticationFile;

use crate::{Desk, ec2};

const AUTHENTICATION: &str = "
resource:
    -
        type: ec2
        endpoint: https://ec2.eu-west-1.amazonaws.com
        auth_data:
            accesskey: AK-file
            secretkey: SK-file
    -
        type: nova
        endpoint: https://sztaki.example.org:5000/v3
        auth_data:
            type: application_credential
            id: my-id
            secret: my-secret
    -
        type: nova
        endpoint: https://old.example.org:5000/v3
        auth_data:
            username: me
            password: pw
            colour: blue
";

fn authentication(text: &str) -> AuthenticationFile {
    let mut sources = SourceMap::default();
    let (file, findings) = AuthenticationFile::load_text("auth_data.yaml", text, &mut sources);
    file.unwrap_or_else(|| panic!("{findings:?}"))
}

fn look(desk: &Desk, text: Option<&str>, key: &str) -> Result<Resolution, CredentialsError> {
    let (registry, keys) = (desk.registry(), desk.keys());
    let authentication = text.map(authentication);
    let sources = Sources {
        registry: &registry,
        keys: &keys,
        authentication: authentication.as_ref(),
    };
    resolve(&key.parse::<CloudKey>().unwrap(), &sources)
}

/// Says where an EC2's keys are from, and which endpoint and secret it has.
fn ec2_of(resolution: Resolution) -> (Origin, Option<String>, Option<String>) {
    let CloudSettings::Ec2(access) = resolution.settings else {
        panic!("{resolution:?}");
    };
    let secret = access
        .keys
        .map(|keys| keys.secret_key.expose_secret().to_owned());
    (resolution.origin, access.endpoint, secret)
}

#[test]
fn the_named_cloud_comes_first_then_the_file_then_the_place_then_the_environment() {
    let desk = Desk::new();
    desk.add("lab", &[("region", "eu-west-1")], "SK-lab");
    let named = look(&desk, Some(AUTHENTICATION), "ec2@cloud=lab").unwrap();
    let (origin, _, secret) = ec2_of(named);
    assert_eq!(origin, Origin::Named("lab".to_owned()));
    assert_eq!(secret.as_deref(), Some("SK-lab"));

    let (origin, endpoint, secret) =
        ec2_of(look(&desk, Some(AUTHENTICATION), "ec2@eu-west-1").unwrap());
    assert_eq!(origin, Origin::AuthenticationFile);
    assert_eq!((endpoint, secret.as_deref()), (None, Some("SK-file")));

    let (origin, _, secret) = ec2_of(look(&desk, None, "ec2@eu-west-1").unwrap());
    assert_eq!(origin, Origin::Named("lab".to_owned()));
    assert_eq!(secret.as_deref(), Some("SK-lab"));

    for key in [
        "ec2@us-east-1",
        "ec2@eu-west-1,http://127.0.0.1:5000",
        "ec2",
    ] {
        let (origin, _, secret) = ec2_of(look(&desk, None, key).unwrap());
        assert_eq!((origin, secret), (Origin::Standard, None), "{key}");
    }
}

#[test]
fn the_usual_endpoint_of_a_region_is_the_region() {
    let desk = Desk::new();
    desk.add(
        "lab",
        &[
            ("endpoint", "https://ec2.eu-west-1.amazonaws.com/"),
            ("region", "eu-west-1"),
        ],
        "SK",
    );
    let (origin, endpoint, _) = ec2_of(look(&desk, None, "ec2@eu-west-1").unwrap());
    assert_eq!(origin, Origin::Named("lab".to_owned()));
    assert_eq!(
        endpoint.as_deref(),
        Some("https://ec2.eu-west-1.amazonaws.com/")
    );
}

#[test]
fn several_clouds_at_one_place_have_to_be_told_apart() {
    let desk = Desk::new();
    desk.add("a", &[("region", "eu-west-1")], "SK-a");
    desk.add("b", &[], "SK-b");
    let error = look(&desk, None, "ec2@eu-west-1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ec2@eu-west-1` can be each of the clouds `a`, `b`; say which one with `--on NAME`"
    );
    let (origin, ..) = ec2_of(look(&desk, None, "ec2@us-east-1").unwrap());
    assert_eq!(origin, Origin::Named("b".to_owned()));
}

#[test]
fn secrets_go_where_they_were_stored_for() {
    let desk = Desk::new();
    desk.add("lab", &[("endpoint", "https://cloud.example.org")], "SK");
    let error = look(&desk, None, "ec2@cloud=lab,https://evil.example.org").unwrap_err();
    assert!(matches!(error, CredentialsError::Moved { .. }), "{error}");
    let (_, endpoint, _) =
        ec2_of(look(&desk, None, "ec2@cloud=lab,mars,HTTPS://Cloud.example.org/").unwrap());
    assert_eq!(endpoint.as_deref(), Some("https://cloud.example.org"));
    let error = look(&desk, None, "nova@cloud=lab").unwrap_err();
    assert_eq!(error.to_string(), "cloud `lab` is `ec2`, and not `nova`");
    let error = look(&desk, None, "ec2@cloud=gone").unwrap_err();
    assert_eq!(error.to_string(), "there is no cloud `gone`");
    let error = look(&desk, None, "local@x").unwrap_err();
    assert!(error.to_string().contains("is no kind of cloud"), "{error}");
}

#[test]
fn an_openstack_is_found_however_its_endpoint_is_written() {
    let desk = Desk::new();
    let mut cloud = NamedCloud::new("lab", CloudKind::Nova).unwrap();
    for (name, value) in [
        ("endpoint", "https://old.example.org:5000/"),
        ("region", "Region One"),
        ("project", "4a1f"),
        ("user_domain_name", "people"),
    ] {
        cloud.set(name, value).unwrap();
    }
    cloud.set_default("flavor_name", "m1.small").unwrap();
    let secrets = Secrets::parse(CloudKind::Nova, "OS_USERNAME=me\nOS_PASSWORD=pw-lab").unwrap();
    desk.registry()
        .add(
            &cloud,
            Some((&secrets, &desk.keys(), SealWith::KeyFile)),
            false,
        )
        .unwrap();
    let key = "nova@Region%20One,https://old.example.org:5000/v3,project=4a1f";
    let found = look(&desk, None, key).unwrap();
    assert_eq!(found.origin, Origin::Named("lab".to_owned()));
    let CloudSettings::Nova(access) = found.settings else {
        panic!()
    };
    assert_eq!(access.region.as_deref(), Some("Region One"));
    assert_eq!(access.user_domain_name.as_deref(), Some("people"));
    let Some(NovaLogin::Password { username, password }) = access.login else {
        panic!()
    };
    assert_eq!(
        (username.as_str(), password.expose_secret()),
        ("me", "pw-lab")
    );
    let other = "nova@https://old.example.org:5000/v3,project=other";
    assert_eq!(look(&desk, None, other).unwrap().origin, Origin::Standard);
}

#[test]
fn application_credentials_are_read_from_occopus() {
    let desk = Desk::new();
    let found = look(
        &desk,
        Some(AUTHENTICATION),
        "nova@RegionOne,https://sztaki.example.org:5000/v3,project=4a1f",
    )
    .unwrap();
    assert_eq!(found.origin, Origin::AuthenticationFile);
    let CloudSettings::Nova(access) = found.settings else {
        panic!()
    };
    assert_eq!(
        access.endpoint.as_deref(),
        Some("https://sztaki.example.org:5000/v3")
    );
    let Some(NovaLogin::ApplicationCredential { id, secret }) = access.login else {
        panic!()
    };
    assert_eq!(
        (id.as_str(), secret.expose_secret()),
        ("my-id", "my-secret")
    );
    let key = "nova@https://old.example.org:5000/v3".parse().unwrap();
    let imported = zenekar_credentials::import(&authentication(AUTHENTICATION), &key)
        .unwrap()
        .unwrap();
    assert_eq!(imported.unknown, ["colour"]);
}

#[test]
fn several_entries_that_fit_are_told() {
    let desk = Desk::new();
    let twice = "
resource:
    - {type: ec2, auth_data: {accesskey: a, secretkey: b}}
    - {type: ec2, regionname: eu-west-1, auth_data: {accesskey: c, secretkey: d}}
";
    let error = look(&desk, Some(twice), "ec2@eu-west-1").unwrap_err();
    assert!(
        error.to_string().contains("2 entries of `resource` fit"),
        "{error}"
    );
    let (_, _, secret) = ec2_of(look(&desk, Some(twice), "ec2@us-east-1").unwrap());
    assert_eq!(secret.as_deref(), Some("b"));
}

#[test]
fn a_cloud_can_have_settings_and_the_environments_credentials() {
    let desk = Desk::new();
    let mut cloud = ec2("lab", &[("region", "eu-west-1"), ("profile", "work")]);
    cloud.secrets = SecretsKept::Environment;
    desk.registry().add(&cloud, None, false).unwrap();
    let found = look(&desk, None, "ec2@cloud=lab,eu-west-3").unwrap();
    assert_eq!(found.origin, Origin::NamedStandard("lab".to_owned()));
    let CloudSettings::Ec2(access) = found.settings else {
        panic!()
    };
    assert_eq!(access.profile.as_deref(), Some("work"));
    assert_eq!(access.region.as_deref(), Some("eu-west-3"));
    assert!(access.keys.is_none());
}

#[test]
fn debugging_shows_no_secret() {
    let desk = Desk::new();
    desk.add("lab", &[("region", "eu-west-1")], "SK-lab");
    let text = format!("{:?}", look(&desk, None, "ec2@cloud=lab").unwrap());
    assert!(
        !text.contains("SK-lab") && !text.contains("AKIDEXAMPLE"),
        "{text}"
    );
}
