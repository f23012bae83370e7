//! Lists in pages, batches, and what is not ours.

use zenekar_base::{ErrorClass, InfrastructureId, ResourceId};
use zenekar_provider::{Deleted, ObserveScope, Provider as _};

use crate::peer::{Form, Peer, Reply, instance, instances};
use crate::support::{block_on, open};

#[test]
fn a_list_of_thousands_is_read_page_by_page() {
    block_on(async {
        let peer = Peer::start(|form| {
            let start: usize = form.get("NextToken").parse().unwrap_or(0);
            let size: usize = form.get("MaxResults").parse().unwrap();
            let end = (start + size).min(2_500);
            let items: String = (start..end)
                .map(|n| instance(&format!("i-{n:x}"), "web.abc", &format!("u{n}"), "running"))
                .collect();
            let next = (end < 2_500).then(|| end.to_string());
            instances(&items, next.as_deref())
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let views = provider
            .observe(InfrastructureId::new("web.abc"), ObserveScope::All)
            .await
            .unwrap();
        assert_eq!(views.len(), 2_500);
        let mut ids: Vec<_> = views.iter().map(|view| &view.resource).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2_500);
        assert_eq!(peer.count("DescribeInstances"), 3, "one call for each page");
        assert_eq!(provider.call_counts()["DescribeInstances"], 3);
        let asked = &peer.log()[0];
        assert_eq!(asked.get("Filter.1.Name"), "tag:zenekar:infrastructure");
        assert_eq!(asked.get("Filter.1.Value.1"), "web.abc");
    });
}

#[test]
fn a_list_without_an_end_is_given_up() {
    block_on(async {
        let peer = Peer::start(|_| instances("", Some("again"))).await;
        let provider = open(&peer.url, "eu-west-1");
        let error = provider
            .observe(InfrastructureId::new("a"), ObserveScope::All)
            .await
            .unwrap_err();
        assert!(error.message.contains("no end"), "{error}");
        assert_eq!(peer.count("DescribeInstances"), 2);
    });
}

/// Shows four instances, whatever is asked for: two of others, one of ours, one of nobody.
fn crowd(_: &Form) -> Reply {
    let untagged = "<item><instanceId>i-4</instanceId><instanceState><name>running</name>\
                    </instanceState></item>";
    instances(
        &[
            &instance("i-1", "ours", "u1", "running"),
            &instance("i-2", "ours2", "u2", "running"),
            &instance("i-3", "Ours", "u3", "running"),
            untagged,
        ]
        .map(str::to_owned)
        .concat(),
        None,
    )
}

#[test]
fn tags_are_compared_here_too() {
    block_on(async {
        let peer = Peer::start(crowd).await;
        let provider = open(&peer.url, "eu-west-1");
        let ours = InfrastructureId::new("ours");
        let shown = provider.observe(ours.clone(), ObserveScope::All).await;
        let ids: Vec<_> = shown
            .unwrap()
            .into_iter()
            .map(|view| view.resource)
            .collect();
        assert_eq!(ids, [ResourceId::new("i-1")]);
        let wanted = ["i-1", "i-2", "i-4", "i-9", "nonsense"].map(ResourceId::new);
        let shown = provider
            .observe(ours.clone(), ObserveScope::Resources(wanted.to_vec()))
            .await
            .unwrap();
        let shown: Vec<_> = shown
            .iter()
            .map(|view| (view.resource.as_str(), view.instance.as_str()))
            .collect();
        assert_eq!(shown, [("i-1", "u1"), ("i-4", "")]);
        // What cannot be an id is not asked for.
        let asked = &peer.log()[1];
        assert_eq!(asked.get("Filter.1.Value.4"), "i-9");
        assert_eq!(asked.get("Filter.1.Value.5"), "");
    });
}

#[test]
fn what_is_not_ours_is_not_terminated() {
    block_on(async {
        let peer = Peer::start(crowd).await;
        let provider = open(&peer.url, "eu-west-1");
        for foreign in ["i-2", "i-3", "i-9", "nonsense"] {
            let answer = provider
                .delete(InfrastructureId::new("ours"), ResourceId::new(foreign))
                .await;
            assert_eq!(answer, Ok(Deleted::Gone), "{foreign}");
        }
        assert_eq!(peer.count("TerminateInstances"), 0);
        for open_to_us in ["i-1", "i-4"] {
            let answer = provider
                .delete(InfrastructureId::new("ours"), ResourceId::new(open_to_us))
                .await;
            assert_eq!(answer, Ok(Deleted::Accepted), "{open_to_us}");
        }
        assert_eq!(peer.count("TerminateInstances"), 2);
    });
}

#[test]
fn deleting_what_was_just_seen_is_one_call() {
    block_on(async {
        let peer = Peer::start(|form| match form.action() {
            "DescribeInstances" => instances(&instance("i-1", "ours", "u1", "running"), None),
            _ => Reply::xml("<TerminateInstancesResponse/>"),
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let ours = InfrastructureId::new("ours");
        provider
            .observe(ours.clone(), ObserveScope::All)
            .await
            .unwrap();
        let answer = provider.delete(ours.clone(), ResourceId::new("i-1")).await;
        assert_eq!(answer, Ok(Deleted::Accepted));
        assert_eq!(peer.count("DescribeInstances"), 1);
        // From now on it is looked at first.
        provider.delete(ours, ResourceId::new("i-1")).await.unwrap();
        assert_eq!(peer.count("DescribeInstances"), 2);
    });
}

#[test]
fn a_spot_instance_shows_its_notice() {
    block_on(async {
        let peer = Peer::start(|form| match form.action() {
            "DescribeInstances" => {
                let spot = "<spotInstanceRequestId>sir-1</spotInstanceRequestId></item>";
                let item = instance("i-1", "ours", "u1", "running");
                instances(
                    &item.replace("</tagSet></item>", &format!("</tagSet>{spot}")),
                    None,
                )
            }
            _ => Reply::xml(
                "<DescribeSpotInstanceRequestsResponse><spotInstanceRequestSet><item>\
                 <spotInstanceRequestId>sir-1</spotInstanceRequestId><status>\
                 <code>marked-for-termination</code></status></item></spotInstanceRequestSet>\
                 </DescribeSpotInstanceRequestsResponse>",
            ),
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let views = provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await
            .unwrap();
        let detail = views[0].detail.as_deref().unwrap();
        assert!(detail.contains("within two minutes"), "{detail}");
        assert_eq!(peer.count("DescribeSpotInstanceRequests"), 1);
    });
}

#[test]
fn a_refused_list_is_not_an_empty_one() {
    block_on(async {
        let peer = Peer::start(|_| Reply::refusal(403, "UnauthorizedOperation", "no")).await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider
            .observe(InfrastructureId::new("a"), ObserveScope::All)
            .await;
        assert_eq!(answer.unwrap_err().class, ErrorClass::Auth);
    });
}
