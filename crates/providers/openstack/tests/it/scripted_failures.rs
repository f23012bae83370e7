//! What goes wrong, and what the engine is told of it.

use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use zenekar_base::{ErrorClass, InfrastructureId, Millis, ProviderError, ResourceId, Value};
use zenekar_provider::{CheckNode, CheckRequest, ObserveScope, ProblemKind, Provider};

use crate::peer::{Answer, Peer, ok, status, token};
use crate::world::{rendered, request};

fn infrastructure() -> InfrastructureId {
    InfrastructureId::new("shop")
}

fn tiny() -> Vec<(&'static str, Value)> {
    vec![
        ("image_id", "tiny".into()),
        ("flavor_name", "t1.micro".into()),
    ]
}

/// Creates at a peer that answers the creation so.
async fn creation(answer: impl Fn() -> Answer + Send + Sync + 'static) -> ProviderError {
    let peer = Peer::start(move |asked| asked.is("POST", "/compute/v2.1/servers").then(&answer));
    let created = peer
        .provider()
        .create(request(&infrastructure(), 1, &tiny()))
        .await;
    assert_eq!(
        peer.count("POST", "/compute/v2.1/servers"),
        1,
        "nothing is repeated"
    );
    created.expect_err("a failure")
}

#[tokio::test]
async fn failed_creations_are_classified() {
    let words = |key: &str, message: &str| json!({ key: { "message": message } });
    let cases: [(u16, Json, ErrorClass); 11] = [
        (
            400,
            words("badRequest", "Invalid key_name provided."),
            ErrorClass::Invalid,
        ),
        (
            403,
            words(
                "forbidden",
                "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances",
            ),
            ErrorClass::Quota,
        ),
        (
            403,
            words(
                "forbidden",
                "Policy doesn't allow os_compute_api:servers:create",
            ),
            ErrorClass::Auth,
        ),
        (
            404,
            words("itemNotFound", "The resource could not be found."),
            ErrorClass::Invalid,
        ),
        (
            409,
            words("conflictingRequest", "Multiple possible networks found"),
            ErrorClass::Conflict,
        ),
        (
            413,
            words("overLimit", "This request was rate-limited."),
            ErrorClass::Throttled,
        ),
        (
            500,
            words("computeFault", "Unexpected API Error."),
            ErrorClass::Unknown,
        ),
        (503, Json::Null, ErrorClass::Unknown),
        (408, Json::Null, ErrorClass::Unknown),
        (302, Json::Null, ErrorClass::Unknown),
        (308, Json::Null, ErrorClass::Unknown),
    ];
    for (number, body, wanted) in cases {
        let error = creation(move || status(number, body.clone())).await;
        assert_eq!(error.class, wanted, "{error}");
        assert!(
            error.message.starts_with("create server for `web/1`"),
            "{error}"
        );
    }
    let throttled =
        creation(|| Some((429, vec![("retry-after", "7".to_owned())], Json::Null))).await;
    assert_eq!(
        (throttled.class, throttled.retry_after),
        (ErrorClass::Throttled, Some(Millis::from_secs(7)))
    );
    // The connection ends after the request was read: it may have been carried out.
    let unanswered = creation(|| None).await;
    assert_eq!(unanswered.class, ErrorClass::Unknown, "{unanswered}");
    let garbled = creation(|| ok(json!("<html>"))).await;
    assert_eq!(garbled.class, ErrorClass::Unknown, "{garbled}");
}

#[tokio::test]
async fn an_effect_without_an_answer_is_found_again() {
    let wanted = request(&infrastructure(), 1, &tiny());
    let metadata = json!({"zenekar_infrastructure": "shop", "zenekar_instance": wanted.instance.as_str(),
        "zenekar_token": wanted.token.as_str()});
    let posts = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| match (asked.method.as_str(), asked.path()) {
        ("POST", "/compute/v2.1/servers") => {
            posts.fetch_add(1, Ordering::SeqCst);
            Some(None)
        }
        ("GET", "/compute/v2.1/servers/detail") if posts.load(Ordering::SeqCst) > 0 => Some(ok(
            json!({"servers": [{"id": "s1", "status": "BUILD", "metadata": metadata}]}),
        )),
        _ => None,
    });
    let provider = peer.provider();
    let first = provider
        .create(wanted.clone())
        .await
        .expect_err("no answer");
    assert_eq!(first.class, ErrorClass::Unknown);
    let second = provider.create(wanted).await.expect("found");
    assert_eq!(second.resource.as_str(), "s1");
    assert_eq!(peer.count("POST", "/compute/v2.1/servers"), 1);
}

#[tokio::test]
async fn reads_that_fail_can_be_repeated() {
    for answer in [status(500, Json::Null), status(503, Json::Null), None] {
        let peer = Peer::start(move |asked| {
            asked
                .is("GET", "/compute/v2.1/servers/detail")
                .then(|| answer.clone())
        });
        let error = peer
            .provider()
            .observe(infrastructure(), ObserveScope::All)
            .await;
        assert_eq!(error.expect_err("a failure").class, ErrorClass::Retryable);
    }
    let nobody = Peer::start(|_| None);
    let gone = nobody.address.replace("127.0.0.1", "127.0.0.2");
    let settings = zenekar_provider_openstack::OpenStackSettings::new(
        "nova",
        gone,
        zenekar_provider_openstack::Authentication::Token {
            token: "t".into(),
            project: None,
        },
    );
    let provider = zenekar_provider_openstack::OpenStackProvider::open(settings).expect("opens");
    let error = provider.identity().await.expect_err("nobody listens");
    assert_eq!(error.class, ErrorClass::Retryable, "{error}");
    assert!(
        error.message.contains("cannot reach http://127.0.0.2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_list_that_is_not_complete_is_no_list() {
    let peer = Peer::start(|asked| {
        asked
            .is("GET", "/compute/v2.1/servers/detail")
            .then(|| ok(json!({"servers": [{"id": "s1", "status": "UNKNOWN", "tenant_id": "p1"}]})))
    });
    let error = peer
        .provider()
        .observe(infrastructure(), ObserveScope::All)
        .await;
    let error = error.expect_err("a part is missing");
    assert_eq!(error.class, ErrorClass::Retryable);
    assert!(error.message.contains("not complete"), "{error}");
    let asked = peer.asked();
    let list = asked
        .iter()
        .find(|one| one.is("GET", "/compute/v2.1/servers/detail"));
    assert_eq!(
        list.expect("asked").headers["openstack-api-version"],
        "compute 2.69"
    );
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let lists = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| {
        let is_first = asked.is("GET", "/compute/v2.1/servers/detail")
            && lists.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| status(401, Json::Null))
    });
    let provider = peer.provider();
    provider
        .observe(infrastructure(), ObserveScope::All)
        .await
        .expect("renewed");
    assert_eq!(peer.count("POST", "/v3/auth/tokens"), 2);

    let always = Peer::start(|asked| {
        asked
            .is("GET", "/compute/v2.1/servers/detail")
            .then(|| status(401, json!({"error": {"message": "no"}})))
    });
    let error = always
        .provider()
        .observe(infrastructure(), ObserveScope::All)
        .await;
    assert_eq!(error.expect_err("refused").class, ErrorClass::Auth);
    assert_eq!(always.count("GET", "/compute/v2.1/servers/detail"), 2);

    let wrong = Peer::start(|asked| {
        asked.is("POST", "/v3/auth/tokens").then(|| {
            status(401, json!({"error": {"code": 401, "message": "The request you have made requires authentication."}}))
        })
    });
    let error = wrong
        .provider()
        .identity()
        .await
        .expect_err("wrong password");
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(!error.message.contains("the password"), "{error}");
}

#[tokio::test]
async fn who_we_are_is_known_without_nova() {
    let peer = Peer::start(|asked| {
        asked
            .is("GET", "/compute/v2.1/")
            .then(|| status(503, Json::Null))
    });
    let identity = peer.provider().identity().await.expect("the token says it");
    assert_eq!(identity.pin.as_deref(), Some("p1"));
    let said = "OpenStack, Nova cannot be asked: read the versions of Nova";
    assert!(identity.product.starts_with(said), "{}", identity.product);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    for (seconds, tokens) in [(0, 3), (3600, 1)] {
        let peer = Peer::start(move |asked| {
            let address = format!("http://{}", asked.headers["host"]);
            asked
                .is("POST", "/v3/auth/tokens")
                .then(|| token(&address, seconds))
        });
        let provider = peer.provider();
        for _ in 0..3 {
            provider.offers().await.expect("listed");
        }
        assert_eq!(peer.count("POST", "/v3/auth/tokens"), tokens);
    }
}

#[tokio::test]
async fn what_is_ambiguous_or_missing_is_told_by_name() {
    let peer = Peer::start(|asked| {
        let twin = |id: &str| json!({"id": id, "name": "twin", "status": "active"});
        (asked.is("GET", "/image/v2/images") && asked.target.contains("name=twin"))
            .then(|| ok(json!({"images": [twin("a1"), twin("b2")], "next": null})))
    });
    let provider = peer.provider();
    for (key, value, wanted) in [
        (
            "image_id",
            "twin",
            "several images are called `twin`; name one by its id: `a1`, `b2`",
        ),
        ("image_id", "none", "there is no image `none`"),
        (
            "flavor_name",
            "none",
            "there is no flavour `none`; there are `t1.micro`",
        ),
        ("network_id", "none", "there is no network `none`"),
        (
            "security_groups",
            "none",
            "there is no security group `none`",
        ),
    ] {
        let mut section = tiny();
        section.retain(|(known, _)| *known != key);
        section.push((key, value.into()));
        let error = provider
            .create(request(&infrastructure(), 1, &section))
            .await;
        let error = error.expect_err(wanted);
        assert_eq!(
            (error.class, error.message.as_str()),
            (ErrorClass::Invalid, wanted)
        );
    }
    let error = provider
        .create(request(&infrastructure(), 1, &tiny()[1..]))
        .await;
    assert!(
        error
            .expect_err("no image")
            .message
            .contains("`image_id` is missing")
    );
    assert_eq!(peer.count("POST", "/compute/v2.1/servers"), 0);
}

#[tokio::test]
async fn a_locked_server_is_left_alone() {
    let peer = Peer::start(|asked| {
        asked.is("GET", "/compute/v2.1/servers/s1").then(|| {
            ok(
                json!({"server": {"id": "s1", "status": "ACTIVE", "locked": true,
                "metadata": {"zenekar_infrastructure": "shop", "zenekar_port": "port1"}}}),
            )
        })
    });
    let deleted = peer
        .provider()
        .delete(infrastructure(), ResourceId::new("s1"))
        .await;
    assert_eq!(deleted.expect_err("locked").class, ErrorClass::Conflict);
    assert!(peer.asked().iter().all(|one| one.method != "DELETE"));
}

#[tokio::test]
async fn a_check_without_credentials_or_rights_says_so() {
    let node = CheckNode {
        name: "web".to_owned(),
        count: 1,
        rendered: rendered(&tiny()),
    };
    let request = CheckRequest {
        infrastructure: infrastructure(),
        nodes: vec![node],
    };
    let refused = Peer::start(|asked| {
        asked
            .is("POST", "/v3/auth/tokens")
            .then(|| status(401, json!({"error": {"message": "no"}})))
    });
    let problems = refused
        .provider()
        .check(request.clone())
        .await
        .expect("checked");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].kind, ProblemKind::Credentials);
    let limited = Peer::start(|asked| {
        asked.is("GET", "/compute/v2.1/flavors/detail").then(|| {
            status(
                403,
                json!({"forbidden": {"message": "Policy doesn't allow it"}}),
            )
        })
    });
    let problems = limited.provider().check(request).await.expect("checked");
    assert_eq!(problems[0].kind, ProblemKind::Permission);
    assert_eq!(problems[0].key.as_deref(), Some("flavor_name"));
}
