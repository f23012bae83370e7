//! The cloud without time does what the cloud with time does.

use zenekar_base::{InfrastructureId, InstanceKey, InstanceTag, ResourceState, Timestamp, Token};
use zenekar_simcloud::{Change, Creation, UntimedCloud};

fn creation(key: u32, attempt: u32) -> Creation {
    let infrastructure = InfrastructureId::new("simulated");
    let key = InstanceKey(key);
    Creation {
        place: 0,
        node: 0,
        instance: key,
        tag: InstanceTag::derive(&infrastructure, key),
        token: Token::derive(&infrastructure, key, attempt),
    }
}

#[test]
fn a_token_makes_one_machine() {
    let mut cloud = UntimedCloud::default();
    let (first, at) = cloud.create(&creation(1, 1), None, None);
    assert_eq!(at, Some(0));
    let (again, at) = cloud.create(&creation(1, 1), None, None);
    assert_eq!((again, at), (first, None));
    assert_eq!(cloud.machines().len(), 1);
}

#[test]
fn machines_are_the_same_in_whatever_order_they_were_made() {
    let made = |keys: [u32; 3]| {
        let mut cloud = UntimedCloud::default();
        for key in keys {
            assert!(cloud.create(&creation(key, 1), None, None).0.is_ok());
        }
        cloud
    };
    assert_eq!(made([1, 2, 3]), made([3, 1, 2]));
}

#[test]
fn a_list_that_lags_shows_what_was_true() {
    let until = Some(Timestamp(5_000));
    let mut cloud = UntimedCloud::default();
    assert!(cloud.create(&creation(1, 1), None, until).0.is_ok());
    assert!(cloud.may_lag(0));
    assert_eq!(cloud.observe(0, None, true), Vec::new());
    assert_eq!(cloud.observe(0, None, false).len(), 1);
    cloud.settle(Timestamp(5_001));
    assert_eq!(cloud.observe(0, None, true).len(), 1);
    assert!(cloud.change(0, Change::Boots, until));
    let states = |lags| {
        cloud
            .observe(0, None, lags)
            .into_iter()
            .map(|view| view.state)
    };
    assert_eq!(states(true).collect::<Vec<_>>(), [ResourceState::Pending]);
    assert_eq!(states(false).collect::<Vec<_>>(), [ResourceState::Running]);
}

#[test]
fn a_quota_counts_what_is_alive() {
    let mut cloud = UntimedCloud::default();
    assert!(cloud.create(&creation(1, 1), Some(1), None).0.is_ok());
    assert!(cloud.create(&creation(2, 1), Some(1), None).0.is_err());
    let resource = cloud.machines()[0].resource();
    assert!(cloud.release(0).is_err());
    assert!(!cloud.delete(0, &resource, None));
    assert!(cloud.change(0, Change::IsDeleted, None));
    assert!(cloud.delete(0, &resource, None));
    assert!(cloud.create(&creation(2, 1), Some(1), None).0.is_ok());
    assert!(!cloud.change(0, Change::Boots, None));
}
