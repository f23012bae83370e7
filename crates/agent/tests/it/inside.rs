//! The other side of the comparison: what runs inside the root.

use std::fs::{self, OpenOptions};

use zenekar_agent::{Target, contextualise};

#[test]
#[ignore = "it changes the root file system, and is started inside a throw-away one"]
fn the_agent_runs() {
    if std::env::var_os("ZENEKAR_AGENT_INSIDE").is_none() {
        return;
    }
    let user_data = fs::read("/var/lib/cloud/seed/nocloud/user-data").unwrap();
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open("/var/log/zenekar.log")
        .unwrap();
    let target = Target {
        root: "/".into(),
        instance_id: "i-0001".to_owned(),
        host_name: "node-1".to_owned(),
        revision: 0,
        can_administer: true,
    };
    let report = contextualise(&user_data, &target, &log);
    let steps: String = crate::node::lines(&report).join("\n");
    fs::write("/var/log/zenekar-steps", steps).unwrap();
}
