//! Whoever is killed while storing leaves the old cloud or the new one.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use zenekar_credentials::{Keys, Registry, SealWith};

use crate::{Desk, ec2, ec2_secrets, secret_key};

/// Tells the child, which is this test once more, where to store.
const FOLDER: &str = "ZENEKAR_TEST_CREDENTIALS_FOLDER";
const KILLS: u64 = 25;

#[test]
fn a_killed_writer_leaves_one_cloud_or_the_other() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let registry = Registry::new(&folder);
        let keys = Keys::new(
            Some(std::path::Path::new(&folder).join("../key")),
            None,
            None,
        );
        for number in 0_u64.. {
            let endpoint = format!("https://cloud-{number}.example.org");
            let cloud = ec2("lab", &[("endpoint", &endpoint)]);
            let secrets = ec2_secrets(&format!("secret-{number}"));
            registry
                .add(&cloud, Some((&secrets, &keys, SealWith::KeyFile)), true)
                .unwrap();
        }
    }
    let desk = Desk::new();
    let folder = desk.path("state/clouds");
    let registry = Registry::new(&folder);
    let keys = Keys::new(Some(folder.join("../key")), None, None);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crashes::a_killed_writer_leaves_one_cloud_or_the_other",
            ])
            .env(FOLDER, &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(20 + round * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let Some(cloud) = registry.get("lab").unwrap() else {
            continue;
        };
        let secret = secret_key(&registry.open_secrets("lab", &keys).unwrap());
        let number = secret.strip_prefix("secret-").unwrap();
        let endpoint = format!("https://cloud-{number}.example.org");
        assert_eq!(cloud.setting("endpoint"), Some(endpoint.as_str()));
        seen.insert(number.to_owned());
    }
    assert!(
        seen.len() > 1,
        "some were killed after their first cloud: {seen:?}"
    );
}
