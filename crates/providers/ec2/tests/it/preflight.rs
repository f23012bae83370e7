//! Checks against a peer that refuses.

use zenekar_base::InfrastructureId;
use zenekar_provider::{CheckNode, CheckRequest, Problem, ProblemKind, Provider as _};

use crate::peer::{Form, Peer, Reply};
use crate::support::{block_on, open, rendered};

async fn check(script: impl Fn(&Form) -> Reply + Send + Sync + 'static) -> (Vec<Problem>, Peer) {
    let peer = Peer::start(script).await;
    let provider = open(&peer.url, "eu-west-1");
    let request = CheckRequest {
        infrastructure: InfrastructureId::new("web"),
        nodes: vec![CheckNode {
            name: "node".to_owned(),
            count: 1,
            rendered: rendered(&[("ports", 22.into())]),
        }],
    };
    let found = provider.check(request).await.unwrap();
    (found, peer)
}

/// Answers as a cloud that has everything, but for launches.
fn generous(form: &Form, launch: fn() -> Reply) -> Reply {
    match form.action() {
        "GetCallerIdentity" => Reply::xml(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:a</Arn>\
             <Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        "DescribeImages" => Reply::xml(
            "<R><imagesSet><item><imageId>ami-1</imageId><imageState>available</imageState>\
             <architecture>x86_64</architecture></item></imagesSet></R>",
        ),
        "DescribeInstanceTypes" => Reply::xml(
            "<R><instanceTypeSet><item><instanceType>t3.micro</instanceType><processorInfo>\
             <supportedArchitectures><item>x86_64</item></supportedArchitectures>\
             </processorInfo></item></instanceTypeSet></R>",
        ),
        "DescribeAccountAttributes" => Reply::xml("<R/>"),
        "RunInstances" | "CreateSecurityGroup" => {
            assert_eq!(form.get("DryRun"), "true", "a check changes nothing");
            launch()
        }
        other => Reply::refusal(400, "InvalidAction", other),
    }
}

#[test]
fn a_rehearsal_that_would_succeed_is_no_problem() {
    block_on(async {
        let (found, peer) = check(|form| {
            generous(form, || {
                Reply::refusal(412, "DryRunOperation", "Request would have succeeded")
            })
        })
        .await;
        assert_eq!(found, []);
        assert_eq!(peer.count("RunInstances"), 1);
        assert_eq!(peer.count("CreateSecurityGroup"), 1);
    });
}

#[test]
fn missing_rights_are_found_before_anything_is_made() {
    block_on(async {
        let (found, _) =
            check(|form| generous(form, || Reply::refusal(403, "UnauthorizedOperation", "no")))
                .await;
        let kinds: Vec<_> = found.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Permission; 2]);
        assert_eq!(found[0].nodes, ["node"]);
        assert!(!found[0].is_warning && found[0].hint.is_some());
    });
}

#[test]
fn keys_that_are_refused_are_the_only_problem() {
    block_on(async {
        let (found, peer) =
            check(|_| Reply::refusal(403, "InvalidClientTokenId", "unknown key")).await;
        let kinds: Vec<_> = found.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Credentials]);
        assert_eq!(peer.log().len(), 1, "nothing else is asked then");
        assert!(peer.log()[0].head.contains("/sts/aws4_request"));
    });
}

#[test]
fn a_right_to_look_that_is_missing_is_a_warning() {
    block_on(async {
        let (found, _) = check(|form| match form.action() {
            "DescribeImages" => Reply::refusal(403, "UnauthorizedOperation", "no"),
            _ => generous(form, || Reply::refusal(412, "DryRunOperation", "fine")),
        })
        .await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].is_warning);
        assert_eq!(found[0].kind, ProblemKind::Permission);
        assert!(found[0].message.starts_with("cannot check the image"));
    });
}

#[test]
fn a_cloud_that_does_not_answer_is_told_once() {
    block_on(async {
        let (found, _) = check(|_| Reply::Close).await;
        let kinds: Vec<_> = found.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Unreachable]);
    });
}

#[test]
fn a_cloud_without_an_identity_service_is_asked_for_its_regions() {
    block_on(async {
        let peer = Peer::start(|form| match form.action() {
            "GetCallerIdentity" => Reply::page(404, "<html>not found</html>"),
            "DescribeRegions" => Reply::xml("<DescribeRegionsResponse/>"),
            other => Reply::refusal(400, "InvalidAction", other),
        })
        .await;
        let provider = open(&peer.url, "nova");
        let identity = provider.identity().await.unwrap();
        assert_eq!(identity.account, "unknown");
        assert_eq!(identity.product, "EC2 interface at 127.0.0.1, nova");
    });
}
