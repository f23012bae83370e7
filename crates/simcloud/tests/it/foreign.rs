//! Machines that somebody else has made.

use zenekar_base::{Addresses, InfrastructureId, InstanceTag, ResourceId, ResourceState};
use zenekar_simcloud::{Benign, Intervention, Plant, Request, Response, Scope, SimCloud};

use crate::support::{Caller, create, delete, describe, fixed, list, probe, views};

fn plant(caller: &mut Caller, id: &str, addresses: &[&str]) -> bool {
    let plant = Plant {
        resource: ResourceId::new(id),
        name: String::new(),
        addresses: Addresses {
            all: addresses.iter().map(|one| (*one).to_owned()).collect(),
            private: None,
        },
    };
    let now = caller.cloud.now();
    caller
        .cloud
        .intervene(now, &Intervention::Plant(Box::new(plant)), &mut Benign)
}

#[test]
fn only_its_id_leads_to_a_machine_without_a_tag() {
    let mut caller = Caller::new(fixed());
    assert!(plant(&mut caller, "i-0abc", &["203.0.113.7", "10.9.8.7"]));
    assert_eq!(views(caller.call(list())), [], "no listing shows it");
    let id = ResourceId::new("i-0abc");
    let seen = views(caller.call(describe(&[&id]))).remove(0);
    assert_eq!(seen.state, ResourceState::Running);
    assert_eq!(seen.addresses.all, ["203.0.113.7", "10.9.8.7"]);
    assert_eq!(seen.instance, InstanceTag::new(""), "it carries no tag");
    assert_eq!(seen.token, None);
    assert!(matches!(caller.call(probe(&id)), Ok(Response::Probed(_))));
    let other = Request::Observe {
        infrastructure: InfrastructureId::new("another"),
        scope: Scope::Resources(vec![id.clone()]),
    };
    assert_eq!(views(caller.call(other)).len(), 1, "it belongs to nobody");
}

#[test]
fn an_id_is_given_once_and_is_none_of_the_clouds_own() {
    let mut caller = Caller::new(fixed());
    assert!(plant(&mut caller, "i-0abc", &[]));
    for id in ["i-0abc", "sim-000000", "sim-000001", "sim-000009", ""] {
        assert!(!plant(&mut caller, id, &[]), "{id}");
    }
    // The planted machine has a number, too, and is not found by it.
    let numbered = ResourceId::new("sim-000000");
    assert_eq!(views(caller.call(describe(&[&numbered]))), []);
    assert_eq!(caller.cloud.ledger().alive_count(), 1);
}

#[test]
fn it_can_be_deleted_and_killed_like_all_others() {
    let mut caller = Caller::new(fixed());
    assert!(plant(&mut caller, "one", &[]));
    assert!(plant(&mut caller, "two", &[]));
    assert_eq!(
        caller.call(delete(&ResourceId::new("one"))),
        Ok(Response::Deleted { gone: false })
    );
    let now = caller.cloud.now();
    let kill = Intervention::Kill(ResourceId::new("two"));
    assert!(caller.cloud.intervene(now, &kill, &mut Benign));
    caller.wait(60_000);
    assert_eq!(caller.cloud.ledger().alive_count(), 0);
    assert_eq!(
        caller.call(delete(&ResourceId::new("one"))),
        Ok(Response::Deleted { gone: true })
    );
}

#[test]
fn a_stored_cloud_still_has_it() {
    let mut caller = Caller::new(fixed());
    assert!(plant(&mut caller, "i-0abc", &[]));
    caller.call(create(1)).expect("there is room");
    let stored = serde_json::to_string(&caller.cloud).expect("it can be written");
    let read: SimCloud = serde_json::from_str(&stored).expect("it can be read");
    assert!(read.is_sound());
    assert_eq!(read, caller.cloud);
    let without = serde_json::to_string(&SimCloud::new(fixed())).expect("it can be written");
    assert!(
        !without.contains("foreign"),
        "older versions read clouds without any"
    );
}
