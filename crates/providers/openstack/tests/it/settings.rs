//! Which cloud and which credentials are found where.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use zenekar_base::CloudKey;
use zenekar_provider_openstack::{
    AuthData, Authentication, Credential, Domain, Interface, Named, OpenStackSettings, Place,
    Surroundings, resolve,
};

const CLOUDS: &str = "
clouds:
  north:
    auth:
      auth_url: https://north.example.org:5000
      username: demo
      project_name: demo
      user_domain_name: users
      project_domain_id: p
    region_name: n1
    interface: internal
    compute_endpoint_override: http://compute.example.org/v2.1
    verify: false
  south:
    auth_type: v3applicationcredential
    auth: {auth_url: https://south.example.org/identity/v3, application_credential_id: a1}
    regions: [s1, s2]
";

const SECURE: &str = "
clouds:
  north: {auth: {password: north secret}}
  south: {auth: {application_credential_secret: south secret}}
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("clouds.yaml"), CLOUDS).expect("written");
    std::fs::write(folder.path().join("secure.yml"), SECURE).expect("written");
    folder
}

fn around(folder: &Path, variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables.iter();
    Surroundings::new(
        variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        [folder.join("nothing here"), folder.to_owned()],
    )
}

fn find(
    key: &str,
    data: Option<&AuthData>,
    surroundings: &Surroundings,
) -> Result<OpenStackSettings, String> {
    let key: CloudKey = key.parse().expect("a key");
    let place = Place {
        key: &key,
        user_domain: None,
    };
    resolve(&place, data, surroundings).map_err(|error| error.to_string())
}

#[test]
fn a_named_cloud_is_read_with_its_secrets() {
    let folder = folder();
    let found = find("nova@cloud=north", None, &around(folder.path(), &[])).expect("is there");
    assert_eq!(found.endpoint, "https://north.example.org:5000");
    assert_eq!(found.region.as_deref(), Some("n1"));
    assert_eq!(found.interface, Interface::Internal);
    assert_eq!(
        found.endpoints["compute"],
        "http://compute.example.org/v2.1"
    );
    assert!(found.accepts_any_certificate);
    let Authentication::Password {
        user,
        password,
        project,
    } = found.authentication
    else {
        panic!("no password");
    };
    let named = |domain| Named::Name {
        name: "demo".to_owned(),
        domain,
    };
    assert_eq!(user, named(Domain::Name("users".to_owned())));
    assert_eq!(project, Some(named(Domain::Id("p".to_owned()))));
    assert_eq!(password.expose_secret(), "north secret");
}

#[test]
fn a_variable_or_the_endpoint_chooses_the_cloud() {
    let folder = folder();
    let chosen = around(folder.path(), &[("OS_CLOUD", "south")]);
    let south = find("nova", None, &chosen).expect("is there");
    assert_eq!(south.region.as_deref(), Some("s1"));
    assert!(matches!(
        south.authentication,
        Authentication::ApplicationCredential { credential: Credential::Id(id), secret }
            if id == "a1" && secret.expose_secret() == "south secret"
    ));
    let key = "nova@n2,https://north.example.org:5000/v3,project=4a";
    let north = find(key, None, &around(folder.path(), &[])).expect("is there");
    assert_eq!(
        (north.name.as_str(), north.region.as_deref()),
        (key, Some("n2"))
    );
    assert!(matches!(
        north.authentication,
        Authentication::Password { project: Some(Named::Id(id)), .. } if id == "4a"
    ));
    let message = find("nova", None, &around(folder.path(), &[])).expect_err("two");
    assert!(message.contains("`north`, `south`"), "{message}");
}

#[test]
fn variables_count_where_no_cloud_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [
        ("OS_AUTH_URL", "http://a:5000/v3"),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", "the secret"),
        ("OS_PROJECT_ID", "p1"),
        ("OS_USER_DOMAIN_ID", "default"),
        ("OS_REGION_NAME", "r"),
        ("OS_INTERFACE", "publicURL"),
    ];
    let surroundings = around(folder.path(), &variables);
    let found = find("nova", None, &surroundings).expect("is there");
    assert_eq!(
        (found.endpoint.as_str(), found.region.as_deref()),
        ("http://a:5000/v3", Some("r"))
    );
    assert_eq!(found.interface, Interface::Public);
    assert!(matches!(
        &found.authentication,
        Authentication::Password { user: Named::Name { domain: Domain::Id(id), .. }, .. } if id == "default"
    ));
    assert!(!format!("{found:?}").contains("the secret"));
    // Nobody's password goes to another cloud.
    let message = find("nova@http://b:5000", None, &surroundings).expect_err("another cloud");
    assert!(
        message.contains("are for `http://a:5000/v3`") && message.contains("`http://b:5000`"),
        "{message}"
    );
    let homeless = around(folder.path(), &variables[1..]);
    let message = find("nova@http://b:5000", None, &homeless).expect_err("for no cloud");
    assert!(message.contains("set it to `http://b:5000`"), "{message}");
    let message = find("nova@http://b:5000", None, &around(folder.path(), &[])).expect_err("none");
    assert!(
        message.contains("no credentials for `http://b:5000`"),
        "{message}"
    );
    // The version at the end is no difference.
    find("nova@http://a:5000/", None, &surroundings).expect("the same cloud");
    let token = [
        ("OS_AUTH_URL", "http://a"),
        ("OS_AUTH_TYPE", "v3token"),
        ("OS_TOKEN", "t"),
    ];
    let found = find("nova", None, &around(folder.path(), &token)).expect("is there");
    assert!(matches!(
        found.authentication,
        Authentication::Token { project: None, .. }
    ));
}

#[test]
fn given_credentials_win() {
    let folder = folder();
    let surroundings = around(folder.path(), &[("OS_CLOUD", "south")]);
    let data = |parts: &[(&str, &str)]| {
        let parts = parts.iter();
        AuthData::new(parts.map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))))
    };
    let password = data(&[("username", "own"), ("password", "own secret")]);
    let key = "nova@https://c.example.org,project=4a";
    let found = find(key, Some(&password), &surroundings).expect("complete");
    assert_eq!(found.endpoint, "https://c.example.org");
    assert!(matches!(
        found.authentication,
        Authentication::Password { user, password, .. }
            if user == Named::in_default_domain("own") && password.expose_secret() == "own secret"
    ));
    let robot = data(&[
        ("type", "application_credential"),
        ("id", "a2"),
        ("secret", "s2"),
    ]);
    let found = find(key, Some(&robot), &surroundings).expect("complete");
    assert!(matches!(
        found.authentication,
        Authentication::ApplicationCredential { credential: Credential::Id(id), .. } if id == "a2"
    ));
    let voms = data(&[("type", "voms"), ("proxy", "x")]);
    let message = find(key, Some(&voms), &surroundings).expect_err("not known");
    assert!(message.contains("`voms` are not known"), "{message}");
    let message = find(key, Some(&data(&[("username", "own")])), &surroundings).expect_err("half");
    assert_eq!(message, "the given credentials: `password` is missing");
    assert_eq!(
        format!("{password:?}"),
        r#"AuthData(["password", "username"])"#
    );
}

#[test]
fn mistakes_in_files_are_told_without_what_is_in_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clouds.yaml");
    for (text, wanted) in [
        (
            "clouds:\n  a:\n    auth: {password: hidden, password: [hidden}\n",
            "line 3",
        ),
        (
            "clouds: {a: {auth: {auth_url: 'http://a', username: u, password: 0123}}}\n",
            "put it in quotes",
        ),
    ] {
        std::fs::write(&path, text).expect("written");
        let surroundings = around(folder.path(), &[("OS_CLOUD", "a")]);
        let message = find("nova", None, &surroundings).expect_err("a mistake");
        assert!(message.contains(wanted), "{message}");
        assert!(
            !message.contains("hidden") && !message.contains("123"),
            "{message}"
        );
    }
    let elsewhere = folder.path().join("mine.yaml");
    let gone = [("OS_CLIENT_CONFIG_FILE", elsewhere.to_str().expect("UTF-8"))];
    let message = find("nova", None, &around(folder.path(), &gone)).expect_err("no file");
    assert!(message.contains("mine.yaml"), "{message}");
}
