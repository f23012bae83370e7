//! Against the simulator of `tests/env/ec2`: the interface, and real hosts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use zenekar_base::{ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ResourceState, Value};
use zenekar_http::{HttpClient, HttpRequest, HttpSettings, Method, Url};
use zenekar_model::Rendered;
use zenekar_provider::{
    CheckNode, CheckRequest, Deleted, ImageQuery, LogRequest, LogSource, ObserveScope, OwnedKind,
    ProblemKind, Provider as _,
};
use zenekar_provider_ec2::Ec2Provider;

use crate::support::{block_on, open, request, section};

/// Where the simulator is.
pub(crate) struct Simulator {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) subnet: String,
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) has_hosts: bool,
}

/// Finds the simulator; says so where there is none.
pub(crate) fn simulator() -> Option<Simulator> {
    let of = |name: &str| std::env::var(format!("ZENEKAR_TEST_EC2_{name}")).ok();
    let (Some(endpoint), Some(subnet), Some(image)) = (of("ENDPOINT"), of("SUBNET"), of("IMAGE"))
    else {
        println!("skipped: ZENEKAR_TEST_EC2_ENDPOINT, _SUBNET and _IMAGE are not set");
        return None;
    };
    Some(Simulator {
        endpoint,
        region: of("REGION").unwrap_or_else(|| "eu-central-1".to_owned()),
        subnet,
        image,
        instance_type: of("TYPE").unwrap_or_else(|| "t3.micro".to_owned()),
        has_hosts: of("HOSTS").is_some_and(|hosts| hosts == "1"),
    })
}

impl Simulator {
    pub(crate) fn open(&self) -> Ec2Provider {
        open(&self.endpoint, &self.region)
    }

    pub(crate) fn rendered(&self, more: &[(&str, Value)]) -> Rendered {
        let mut entries = vec![
            ("endpoint", Value::from(self.endpoint.as_str())),
            ("regionname", Value::from(self.region.as_str())),
            ("image_id", Value::from(self.image.as_str())),
            ("instance_type", Value::from(self.instance_type.as_str())),
            ("subnet_id", Value::from(self.subnet.as_str())),
        ];
        entries.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
        entries.extend(more.iter().cloned());
        Rendered {
            resource: section(&entries),
            user_data: Some("#!/bin/sh\necho this is the user-data\n".to_owned()),
            ..Rendered::default()
        }
    }

    /// Returns what instances are made of that need no hosts: records are cheaper.
    pub(crate) fn hostless(&self, more: &[(&str, Value)]) -> Rendered {
        let mut all = vec![("tags", section(&[("hostless", "1".into())]))];
        all.extend(more.iter().cloned());
        self.rendered(&all)
    }

    /// Returns an infrastructure that nothing has used before.
    pub(crate) fn infrastructure(name: &str) -> InfrastructureId {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is later than 1970")
            .as_nanos();
        InfrastructureId::new(format!("{name}.{now:x}-{number}"))
    }

    /// Makes the launches of one infrastructure slow, or lets them fail.
    pub(crate) async fn rule(&self, infrastructure: &InfrastructureId, rule: &str) {
        let url = Url::parse(&format!("{}/zenekar/rules", self.endpoint)).unwrap();
        let mut request = HttpRequest::new(Method::POST, url);
        request.body = format!("{{\"text\": \"{infrastructure}\" {rule}}}").into_bytes();
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        let answer = http.call(request).await.unwrap();
        assert_eq!(answer.status, 200);
    }

    /// Returns the requests that it counted.
    async fn counts(&self) -> BTreeMap<String, u64> {
        let url = Url::parse(&format!("{}/zenekar/counts", self.endpoint)).unwrap();
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        let answer = http.call(HttpRequest::new(Method::GET, url)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }
}

/// Deletes all instances of an infrastructure, and what else it has.
async fn clean(provider: &Ec2Provider, infrastructure: &InfrastructureId) {
    let views = provider
        .observe(infrastructure.clone(), ObserveScope::All)
        .await
        .unwrap();
    for view in views {
        if view.state != ResourceState::Gone {
            provider
                .delete(infrastructure.clone(), view.resource)
                .await
                .unwrap();
        }
    }
    provider.release(infrastructure.clone()).await.unwrap();
    let left = provider.owned().await.unwrap();
    let ours: Vec<_> = left
        .iter()
        .filter(|owned| owned.infrastructure == *infrastructure)
        .collect();
    assert!(ours.is_empty(), "left behind: {ours:?}");
}

async fn patiently<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let end = Instant::now() + Duration::from_mins(2);
    while Instant::now() < end {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{what}: not within two minutes");
}

#[test]
fn fifty_instances_cost_fifty_calls_and_few_lists() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = Arc::new(simulator.open());
        let infrastructure = Simulator::infrastructure("fifty");
        let before = simulator.counts().await;
        let tasks: Vec<_> = (0..50)
            .map(|key| {
                let provider = Arc::clone(&provider);
                let rendered = simulator.hostless(&[]);
                let wanted = request(infrastructure.as_str(), key, rendered);
                tokio::spawn(async move { provider.create(wanted).await })
            })
            .collect();
        let mut ids = std::collections::BTreeSet::new();
        for task in tasks {
            ids.insert(task.await.unwrap().unwrap().resource);
        }
        assert_eq!(ids.len(), 50);
        let views = provider
            .observe(infrastructure.clone(), ObserveScope::All)
            .await
            .unwrap();
        assert_eq!(views.len(), 50);
        let counts = provider.call_counts();
        assert_eq!(counts["RunInstances"], 50);
        assert_eq!(counts["DescribeInstances"], 1);
        assert_eq!(counts.len(), 2, "nothing else is asked: {counts:?}");
        let after = simulator.counts().await;
        let made = after["RunInstances"] - before.get("RunInstances").copied().unwrap_or(0);
        assert!(made >= 50, "the simulator counted {made}");
        clean(&provider, &infrastructure).await;
    });
}

#[test]
fn a_slow_launch_does_not_hold_others_up_and_its_token_is_kept() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = Arc::new(simulator.open());
        let infrastructure = Simulator::infrastructure("slow");
        simulator.rule(&infrastructure, r#", "delay_s": 20"#).await;
        let wanted = request(infrastructure.as_str(), 1, simulator.hostless(&[]));
        let waiting = {
            let (provider, wanted) = (Arc::clone(&provider), wanted.clone());
            tokio::spawn(async move { provider.create(wanted).await })
        };
        let shown = patiently("the instance", || async {
            let answer = provider.observe(infrastructure.clone(), ObserveScope::All);
            let shown = answer.await.unwrap();
            (!shown.is_empty()).then_some(shown)
        })
        .await;
        assert_eq!(shown.len(), 1);
        assert!(
            !waiting.is_finished(),
            "the effect is there before the answer"
        );
        // The caller gives up, as if it had been killed, and asks again.
        waiting.abort();
        simulator.rule(&infrastructure, "").await;
        let again = provider.create(wanted).await.unwrap();
        assert_eq!(again.resource, shown[0].resource);
        clean(&provider, &infrastructure).await;
    });
}

#[test]
fn ports_open_one_group_that_is_released() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = Arc::new(simulator.open());
        let infrastructure = Simulator::infrastructure("ports");
        let ports = Value::List(vec![
            22.into(),
            "8000-8010".into(),
            "53/udp".into(),
            "icmp".into(),
        ]);
        let tasks: Vec<_> = (0..10)
            .map(|key| {
                let provider = Arc::clone(&provider);
                let rendered = simulator.hostless(&[("ports", ports.clone())]);
                let wanted = request(infrastructure.as_str(), key, rendered);
                tokio::spawn(async move { provider.create(wanted).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(provider.call_counts()["CreateSecurityGroup"], 1);
        let owned = provider.owned().await.unwrap();
        let groups = owned.iter().filter(|owned| {
            owned.infrastructure == infrastructure && owned.kind == OwnedKind::SecurityGroup
        });
        assert_eq!(groups.count(), 1);
        // Another process finds the group, and all its rules.
        let later = simulator.open();
        let rendered = simulator.hostless(&[("ports", ports)]);
        later
            .create(request(infrastructure.as_str(), 20, rendered))
            .await
            .unwrap();
        let counts = later.call_counts();
        assert!(!counts.contains_key("CreateSecurityGroup"), "{counts:?}");
        assert!(
            !counts.contains_key("AuthorizeSecurityGroupIngress"),
            "{counts:?}"
        );
        let early = provider.release(infrastructure.clone()).await;
        assert_eq!(early.unwrap_err().class, ErrorClass::Retryable);
        clean(&provider, &infrastructure).await;
    });
}

#[test]
fn disks_tags_spot_and_public_addresses_are_taken() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = simulator.open();
        let infrastructure = Simulator::infrastructure("whole");
        let rendered = simulator.rendered(&[
            ("volume_size", 20.into()),
            ("volumes", Value::List(vec![5.into()])),
            ("spot", true.into()),
            ("public_ip", true.into()),
            ("ports", Value::List(vec![22.into()])),
            (
                "tags",
                section(&[("cost", "center".into()), ("hostless", "1".into())]),
            ),
        ]);
        let wanted = request(infrastructure.as_str(), 1, rendered);
        let created = provider.create(wanted.clone()).await.unwrap();
        let again = provider.create(wanted).await.unwrap();
        assert_eq!(again.resource, created.resource);
        let views = provider
            .observe(infrastructure.clone(), ObserveScope::All)
            .await
            .unwrap();
        assert_eq!(views.len(), 1);
        let addresses = &views[0].addresses;
        assert!(
            addresses.all.len() >= 2,
            "public and private: {addresses:?}"
        );
        assert_eq!(
            addresses.private(),
            addresses.all.last().map(String::as_str)
        );
        clean(&provider, &infrastructure).await;
    });
}

#[test]
fn large_user_data_is_compressed_or_refused() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = simulator.open();
        let infrastructure = Simulator::infrastructure("data");
        let mut rendered = simulator.rendered(&[]);
        rendered.user_data = Some(format!(
            "#!/bin/sh\n# {}\necho unpacked >/run/unpacked\n",
            "long ".repeat(8_000)
        ));
        let created = provider
            .create(request(infrastructure.as_str(), 1, rendered.clone()))
            .await
            .unwrap();
        if simulator.has_hosts {
            console_with(
                &provider,
                &infrastructure,
                &created.resource,
                "contextualisation is over",
            )
            .await;
        }
        rendered.user_data = Some(noise());
        let answer = provider
            .create(request(infrastructure.as_str(), 2, rendered))
            .await;
        let error = answer.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains("60000 bytes"), "{error}");
        clean(&provider, &infrastructure).await;
    });
}

/// Makes 60,000 characters that do not compress.
fn noise() -> String {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
    };
    std::iter::repeat_with(next).take(60_000).collect()
}

async fn console_with(
    provider: &Ec2Provider,
    infrastructure: &InfrastructureId,
    resource: &zenekar_base::ResourceId,
    text: &str,
) {
    patiently("the console", || async {
        let wanted = LogRequest {
            resource: resource.clone(),
            source: LogSource::Console,
            from: 0,
            bytes_max: 100_000,
        };
        let shown = provider.log(infrastructure.clone(), wanted).await.unwrap();
        let shown_text = String::from_utf8_lossy(&shown.data).into_owned();
        assert_eq!(shown.next, shown.data.len() as u64);
        shown_text.contains(text).then_some(())
    })
    .await;
}

#[test]
fn a_host_runs_its_user_data_and_is_reached() {
    let Some(simulator) = simulator() else { return };
    if !simulator.has_hosts {
        println!("skipped: instances of the simulator have no hosts");
        return;
    }
    block_on(async {
        let provider = simulator.open();
        let infrastructure = Simulator::infrastructure("host");
        let wanted = request(infrastructure.as_str(), 1, simulator.rendered(&[]));
        let created = provider.create(wanted).await.unwrap();
        let resource = created.resource;
        let spec = ProbeSpec {
            ping: true,
            ports: vec![22],
            ..ProbeSpec::default()
        };
        let before = provider.call_counts();
        patiently("healthy", || async {
            let result = provider
                .probe(infrastructure.clone(), resource.clone(), spec.clone())
                .await
                .unwrap();
            (result == ProbeResult::Healthy).then_some(())
        })
        .await;
        assert_eq!(
            provider.call_counts(),
            before,
            "checks ask the cloud nothing"
        );
        console_with(
            &provider,
            &infrastructure,
            &resource,
            "this is the user-data",
        )
        .await;
        let stream = provider
            .connect(infrastructure.clone(), resource.clone(), 22)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), 22);
        clean(&provider, &infrastructure).await;
        let gone = provider.delete(infrastructure, resource).await;
        assert_eq!(gone, Ok(Deleted::Gone));
    });
}

#[test]
fn limits_and_unknown_things_are_told() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = simulator.open();
        let infrastructure = Simulator::infrastructure("limits");
        for (key, value) in [
            ("image_id", "ami-0ffffffffffffffff"),
            ("instance_type", "zz9.plural"),
            ("subnet_id", "subnet-0dead"),
            ("key_name", "nobody's"),
        ] {
            let rendered = simulator.rendered(&[(key, value.into())]);
            let answer = provider
                .create(request(infrastructure.as_str(), 1, rendered))
                .await;
            let error = answer.unwrap_err();
            assert_eq!(error.class, ErrorClass::Invalid, "{key}: {error}");
        }
        clean(&provider, &infrastructure).await;
    });
}

#[test]
fn a_check_finds_everything_at_once_and_changes_nothing() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = simulator.open();
        let infrastructure = Simulator::infrastructure("check");
        let node = |name: &str, rendered| CheckNode {
            name: name.to_owned(),
            count: 2,
            rendered,
        };
        let good = node("good", simulator.rendered(&[("ports", 22.into())]));
        let request = CheckRequest {
            infrastructure: infrastructure.clone(),
            nodes: vec![good.clone()],
        };
        let found = provider.check(request).await.unwrap();
        assert_eq!(found, [], "nothing is wrong");
        let mut large = simulator.rendered(&[]);
        large.user_data = Some(noise());
        let request = CheckRequest {
            infrastructure: infrastructure.clone(),
            nodes: vec![
                good,
                node(
                    "image",
                    simulator.rendered(&[("image_id", "ami-0fff".into())]),
                ),
                node(
                    "type",
                    simulator.rendered(&[("instance_type", "zz9.plural".into())]),
                ),
                node(
                    "net",
                    simulator.rendered(&[("subnet_id", "subnet-0dead".into())]),
                ),
                node("key", simulator.rendered(&[("key_name", "nobody".into())])),
                node(
                    "group",
                    simulator.rendered(&[("security_group_ids", "sg-0dead".into())]),
                ),
                node(
                    "named",
                    simulator.rendered(&[("security_group_ids", "none".into())]),
                ),
                node(
                    "zone",
                    simulator.rendered(&[("availability_zone", "eu-central-9z".into())]),
                ),
                node(
                    "arm",
                    simulator.rendered(&[("image_id", "ami-0a000000000000002".into())]),
                ),
                node("size", simulator.rendered(&[("volume_size", "big".into())])),
                node("large", large),
            ],
        };
        let found = provider.check(request).await.unwrap();
        let about = |name: &str| {
            let found = found
                .iter()
                .find(|problem| problem.nodes.iter().any(|node| node == name));
            found.map(|problem| problem.kind)
        };
        assert_eq!(about("good"), None, "{found:?}");
        for (name, kind) in [
            ("image", ProblemKind::Image),
            ("type", ProblemKind::InstanceType),
            ("net", ProblemKind::Network),
            ("key", ProblemKind::KeyPair),
            ("group", ProblemKind::SecurityGroup),
            ("named", ProblemKind::SecurityGroup),
            ("zone", ProblemKind::Setting),
            ("arm", ProblemKind::InstanceType),
            ("size", ProblemKind::Setting),
            ("large", ProblemKind::UserData),
        ] {
            assert_eq!(about(name), Some(kind), "{name}: {found:?}");
        }
        let views = provider
            .observe(infrastructure.clone(), ObserveScope::All)
            .await
            .unwrap();
        assert_eq!(views, [], "a check makes nothing");
        clean(&provider, &infrastructure).await;
    });
}

#[test]
fn the_cloud_says_what_it_has() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = simulator.open();
        let identity = provider.identity().await.unwrap();
        assert_eq!(identity.account, "123456789012");
        assert!(identity.product.contains(&simulator.region), "{identity:?}");
        let images = provider
            .images(ImageQuery {
                text: Some("DEBIAN-12".to_owned()),
                count_max: 10,
            })
            .await
            .unwrap();
        assert!(
            images.iter().any(|image| image.id == simulator.image),
            "{images:?}"
        );
        let offers = provider.offers().await.unwrap();
        let offer = offers
            .iter()
            .find(|offer| offer.name == "t3.micro")
            .unwrap();
        assert_eq!((offer.cores, offer.memory_mib), (Some(2), Some(1024)));
        let quota = provider.quota().await.unwrap();
        assert!(quota[0].limit.unwrap() > quota[0].used.unwrap());
    });
}

#[test]
fn what_is_left_over_is_listed_and_deleted() {
    let Some(simulator) = simulator() else { return };
    block_on(async {
        let provider = simulator.open();
        let infrastructure = Simulator::infrastructure("left");
        let rendered = simulator.hostless(&[("ports", 22.into())]);
        let wanted = request(infrastructure.as_str(), 1, rendered);
        provider.create(wanted).await.unwrap();
        let mine = async || -> Vec<_> {
            let owned = provider.owned().await.unwrap();
            let ours = |owned: &zenekar_provider::Owned| owned.infrastructure == infrastructure;
            owned.into_iter().filter(ours).collect()
        };
        let left = mine().await;
        let kinds: Vec<_> = left.iter().map(|owned| owned.kind).collect();
        assert_eq!(kinds, [OwnedKind::Instance, OwnedKind::SecurityGroup]);
        assert_eq!(left[0].name, "node/1");
        // One that is listed under another name is not touched.
        let mut foreign = left[0].clone();
        foreign.infrastructure = InfrastructureId::new("somebody");
        assert_eq!(provider.delete_owned(foreign).await, Ok(Deleted::Gone));
        assert_eq!(mine().await.len(), 2);
        for owned in left {
            for _ in 0..2 {
                provider.delete_owned(owned.clone()).await.unwrap();
            }
        }
        assert_eq!(mine().await, []);
    });
}
