//! What failures mean, class by class.

use zenekar_base::{ErrorClass, InfrastructureId, ResourceState};
use zenekar_provider::{ObserveScope, Provider as _};

use crate::peer::{Form, Peer, Reply, instance, instances, launched};
use crate::support::{block_on, open, rendered, request};

/// Creates and observes against a peer; returns both failures' classes and the first message.
async fn classes(
    script: impl Fn(&Form) -> Reply + Send + Sync + 'static,
) -> (ErrorClass, ErrorClass, String) {
    let peer = Peer::start(script).await;
    let provider = open(&peer.url, "eu-west-1");
    let created = provider.create(request("ours", 1, rendered(&[]))).await;
    let created = created.unwrap_err();
    let observed = provider
        .observe(InfrastructureId::new("ours"), ObserveScope::All)
        .await
        .unwrap_err();
    assert_eq!(peer.log().len(), 2, "nothing is repeated here");
    (created.class, observed.class, created.message)
}

#[test]
fn refusals_have_their_class() {
    use ErrorClass::{Auth, Capacity, Conflict, Invalid, Quota, Retryable, Throttled, Unknown};
    block_on(async {
        for (status, code, creating, reading) in [
            (503, "RequestLimitExceeded", Throttled, Throttled),
            (500, "InsufficientInstanceCapacity", Capacity, Capacity),
            (400, "InstanceLimitExceeded", Quota, Quota),
            (400, "VcpuLimitExceeded", Quota, Quota),
            (403, "UnauthorizedOperation", Auth, Auth),
            (401, "AuthFailure", Auth, Auth),
            (400, "InvalidAMIID.NotFound", Invalid, ErrorClass::NotFound),
            (400, "IdempotentParameterMismatch", Conflict, Conflict),
            (500, "InternalError", Unknown, Retryable),
            (503, "Unavailable", Unknown, Retryable),
            (400, "InvalidParameterValue", Invalid, Invalid),
        ] {
            let (created, observed, message) =
                classes(move |_| Reply::refusal(status, code, "a &lt;reason&gt;")).await;
            assert_eq!((created, observed), (creating, reading), "{code}");
            assert!(
                message.starts_with(&format!("RunInstances: {code}: a <reason>")),
                "{message}"
            );
            assert!(message.ends_with("[request r-1]"), "{message}");
        }
    });
}

#[test]
fn answers_that_are_none_may_have_had_their_effect() {
    use ErrorClass::{Invalid, Retryable, Unknown};
    block_on(async {
        let half = "<RunInstancesResponse><instancesSet/></RunInstancesResponse>";
        let (created, observed, _) = classes(move |_| Reply::Half(half.to_owned())).await;
        assert_eq!((created, observed), (Unknown, Retryable), "half an answer");
        let (created, observed, _) = classes(|_| Reply::Close).await;
        assert_eq!((created, observed), (Unknown, Retryable), "no answer");
        let (created, observed, message) = classes(|_| Reply::xml("<Run><inst")).await;
        assert_eq!((created, observed), (Unknown, Retryable), "cut XML");
        assert!(message.contains("cannot be read"), "{message}");
        let (created, observed, message) =
            classes(|_| Reply::page(200, "<html>Please log in</html>")).await;
        assert_eq!((created, observed), (Unknown, Invalid), "a page");
        assert!(message.contains("web page"), "{message}");
        let (created, observed, _) =
            classes(|_| Reply::page(502, "<html>Bad gateway</html>")).await;
        assert_eq!((created, observed), (Unknown, Retryable), "a proxy's page");
        let (created, observed, _) = classes(|_| Reply::page(404, "<html>?</html>")).await;
        assert_eq!((created, observed), (Invalid, Invalid), "another server");
    });
}

#[test]
fn an_answer_without_an_instance_is_unknown() {
    block_on(async {
        let peer = Peer::start(|_| launched("")).await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider.create(request("ours", 1, rendered(&[]))).await;
        assert_eq!(answer.unwrap_err().class, ErrorClass::Unknown);
    });
}

#[test]
fn who_does_not_listen_was_not_asked() {
    block_on(async {
        // Nobody listens on port 1.
        let provider = open("http://127.0.0.1:1", "eu-west-1");
        let answer = provider.create(request("ours", 1, rendered(&[]))).await;
        let error = answer.unwrap_err();
        assert_eq!(error.class, ErrorClass::Retryable, "{error}");
        assert!(
            error.message.contains("cannot reach http://127.0.0.1:1"),
            "{error}"
        );
    });
}

#[test]
fn a_pause_that_the_cloud_asks_for_is_passed_on() {
    block_on(async {
        let peer = Peer::start(|_| {
            let Reply::Answer {
                status, kind, body, ..
            } = Reply::refusal(503, "RequestLimitExceeded", "slow")
            else {
                unreachable!("a refusal is an answer");
            };
            Reply::Answer {
                status,
                kind,
                body,
                headers: "retry-after: 7\r\n".to_owned(),
            }
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider.create(request("ours", 1, rendered(&[]))).await;
        let pause = answer.unwrap_err().retry_after.unwrap();
        assert_eq!(pause.0, 7_000);
    });
}

#[test]
fn a_token_that_is_used_up_shows_what_it_made() {
    block_on(async {
        let peer = Peer::start(|form| match form.action() {
            "RunInstances" => Reply::refusal(400, "IdempotentInstanceTerminated", "gone"),
            "DescribeInstances" => {
                let token = form.get("Filter.1.Value.1");
                let item = instance("i-7", "ours", "u", "terminated").replace(
                    "</tagSet></item>",
                    &format!("</tagSet><clientToken>{token}</clientToken></item>"),
                );
                instances(&item, None)
            }
            other => Reply::refusal(400, "InvalidAction", other),
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let wanted = request("ours", 1, rendered(&[]));
        let view = provider.create(wanted.clone()).await.unwrap();
        assert_eq!(view.resource.as_str(), "i-7");
        assert_eq!(view.state, ResourceState::Gone);
        assert_eq!(view.instance, wanted.instance);
        assert_eq!(peer.log()[1].get("Filter.1.Name"), "client-token");
    });
}

#[test]
fn a_token_whose_instance_is_forgotten_is_a_conflict() {
    block_on(async {
        let peer = Peer::start(|form| match form.action() {
            "RunInstances" => Reply::refusal(400, "IdempotentInstanceTerminated", "gone"),
            _ => instances("", None),
        })
        .await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider.create(request("ours", 1, rendered(&[]))).await;
        assert_eq!(answer.unwrap_err().class, ErrorClass::Conflict);
    });
}

#[test]
fn no_secret_is_in_what_is_printed() {
    block_on(async {
        let peer = Peer::start(|form| {
            // As Amazon does, the peer repeats what it was sent.
            let said = form.head.replace(['<', '&'], " ");
            Reply::refusal(403, "SignatureDoesNotMatch", &said)
        })
        .await;
        let mut keys = crate::support::keys();
        keys.session_token = Some("SESSIONTOKEN".to_owned().into());
        let settings = zenekar_provider_ec2::Ec2Settings {
            name: "ec2".to_owned(),
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(peer.url.clone()),
            credentials: Some(keys),
            ..Default::default()
        };
        let printed = format!("{settings:?}");
        assert!(!printed.contains("not-a-secret") && !printed.contains("SESSIONTOKEN"));
        let provider = zenekar_provider_ec2::Ec2Provider::open(settings).unwrap();
        let answer = provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await;
        let error = answer.unwrap_err();
        assert!(peer.log()[0].head.contains("SESSIONTOKEN"), "it was sent");
        assert!(!error.message.contains("SESSIONTOKEN"), "{error}");
        assert_eq!(error.class, ErrorClass::Auth);
    });
}

#[test]
fn a_missing_key_is_named_before_anything_is_asked() {
    block_on(async {
        let peer = Peer::start(|_| Reply::Close).await;
        let provider = open(&peer.url, "eu-west-1");
        let mut wanted = request("ours", 1, rendered(&[]));
        wanted.rendered.resource = crate::support::section(&[("image_id", "ami-1".into())]);
        let error = provider.create(wanted).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains("`instance_type`"), "{error}");
        assert!(peer.log().is_empty());
    });
}

#[test]
fn an_endpoint_with_a_path_is_asked_there() {
    block_on(async {
        let peer = Peer::start(|_| instances("", None)).await;
        let provider = open(&format!("{}/services/Cloud", peer.url), "nova");
        provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await
            .unwrap();
        let asked = &peer.log()[0];
        assert_eq!(asked.path, "/services/Cloud");
        assert!(
            asked.head.contains("/nova/ec2/aws4_request"),
            "{}",
            asked.head
        );
    });
}
