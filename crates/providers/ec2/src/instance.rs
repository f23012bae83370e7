//! Reads instances from answers.

use roxmltree::Node;
use zenekar_base::{
    Addresses, InfrastructureId, InstanceTag, ResourceId, ResourceState, ResourceView, Token,
};

use crate::answer::{items, tag, text, text_at};
use crate::error::one_line;
use crate::tags::{TAG_CONSOLE_NAME, TAG_INFRASTRUCTURE, TAG_INSTANCE, TAG_NAME, TAG_TOKEN};

/// Reasons that say nothing: somebody asked for it.
const EXPECTED: &[&str] = &[
    "Client.UserInitiatedShutdown",
    "Server.ScheduledStop",
    "pending",
];

/// One instance as the cloud shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The infrastructure, read from its tag.
    pub(crate) infrastructure: Option<InfrastructureId>,
    /// What the engine is shown.
    pub(crate) view: ResourceView,
    /// Its name for people.
    pub(crate) name: String,
    /// The cloud's word for its state.
    pub(crate) state: String,
    /// When it was launched.
    pub(crate) launched: Option<String>,
    /// The request for spare capacity that it came from.
    pub(crate) spot_request: Option<String>,
    /// Its public address.
    pub(crate) public: Option<String>,
    /// Its address in its network.
    pub(crate) private: Option<String>,
}

impl Seen {
    /// Says whether it is of an infrastructure.
    pub(crate) fn is_of(&self, infrastructure: &InfrastructureId) -> bool {
        self.infrastructure.as_ref() == Some(infrastructure)
    }

    /// Says whether it may be shown to an infrastructure, and touched by it: it
    /// has its tag, or none, and was asked for by its id.
    pub(crate) fn is_open_to(&self, infrastructure: &InfrastructureId) -> bool {
        self.infrastructure
            .as_ref()
            .is_none_or(|of| of == infrastructure)
    }
}

/// Reads all instances of a list of reservations.
pub(crate) fn of_reservations(root: Node<'_, '_>, found: &mut Vec<Seen>) {
    for reservation in items(root, "reservationSet") {
        of_reservation(reservation, found);
    }
}

/// Reads all instances of a reservation.
pub(crate) fn of_reservation(reservation: Node<'_, '_>, found: &mut Vec<Seen>) {
    found.extend(items(reservation, "instancesSet").filter_map(read));
}

fn read(node: Node<'_, '_>) -> Option<Seen> {
    let id = text(node, "instanceId")?;
    let state = text_at(node, &["instanceState", "name"])?;
    let public = text(node, "ipAddress");
    let private = text(node, "privateIpAddress");
    let mut all: Vec<String> = Vec::new();
    for address in [text(node, "dnsName"), public, private]
        .into_iter()
        .flatten()
    {
        if !all.iter().any(|known| known == address) {
            all.push(address.to_owned());
        }
    }
    let is_first = all.first().map(String::as_str) == private;
    let name = tag(node, TAG_NAME).or_else(|| tag(node, TAG_CONSOLE_NAME));
    let infrastructure = tag(node, TAG_INFRASTRUCTURE);
    let instance = infrastructure.and_then(|_| tag(node, TAG_INSTANCE));
    Some(Seen {
        infrastructure: infrastructure.map(InfrastructureId::new),
        view: ResourceView {
            instance: InstanceTag::new(instance.unwrap_or_default()),
            resource: ResourceId::new(id),
            state: state_of(state),
            addresses: Addresses {
                all,
                private: private.filter(|_| !is_first).map(str::to_owned),
            },
            token: token(node, infrastructure.is_some()).map(Token::new),
            revision: 0,
            detail: detail(node, state),
        },
        name: name.unwrap_or_default().to_owned(),
        state: state.to_owned(),
        launched: text(node, "launchTime").map(str::to_owned),
        spot_request: text(node, "spotInstanceRequestId").map(str::to_owned),
        public: public.map(str::to_owned),
        private: private.map(str::to_owned),
    })
}

/// Returns the token that an instance was made with. That of a spot request may
/// be another than the one that we gave, so its tag counts. With others it does
/// not: what somebody makes from a copy of ours has our tags, and is not ours.
fn token<'a>(node: Node<'a, '_>, is_tagged: bool) -> Option<&'a str> {
    let is_spot = text(node, "instanceLifecycle") == Some("spot")
        || text(node, "spotInstanceRequestId").is_some();
    let tagged = (is_spot && is_tagged).then(|| tag(node, TAG_TOKEN));
    tagged.flatten().or_else(|| text(node, "clientToken"))
}

fn state_of(word: &str) -> ResourceState {
    match word {
        "running" => ResourceState::Running,
        "stopping" | "stopped" => ResourceState::Stopped,
        "shutting-down" => ResourceState::Deleting,
        "terminated" => ResourceState::Gone,
        // `pending`, and what may come to be.
        _ => ResourceState::Pending,
    }
}

/// Returns why it is not running, if the cloud tells and nobody asked for it.
fn detail(node: Node<'_, '_>, state: &str) -> Option<String> {
    if matches!(state, "pending" | "running") {
        return None;
    }
    let code = text_at(node, &["stateReason", "code"])?;
    if EXPECTED.contains(&code) {
        return None;
    }
    if matches!(
        code,
        "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown"
    ) {
        return Some("the cloud took the spot instance back".to_owned());
    }
    let message = text_at(node, &["stateReason", "message"]).unwrap_or(code);
    Some(one_line(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::parse;

    fn seen(instance: &str) -> Seen {
        let text_of = format!(
            "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
             <reservationSet><item><instancesSet><item>{instance}</item></instancesSet></item>\
             </reservationSet></DescribeInstancesResponse>"
        );
        let document = parse(&text_of).unwrap();
        let mut found = Vec::new();
        of_reservations(document.root_element(), &mut found);
        found.remove(0)
    }

    #[test]
    fn an_instance_of_ours_is_read() {
        let one = seen(
            "<instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>\
             <dnsName>ec2-1.example</dnsName><ipAddress>3.1.2.3</ipAddress>\
             <privateIpAddress>10.0.0.3</privateIpAddress><clientToken>t</clientToken>\
             <tagSet><item><key>zenekar:infrastructure</key><value>a.b</value></item>\
             <item><key>zenekar:instance</key><value>u</value></item></tagSet>",
        );
        assert!(one.is_of(&InfrastructureId::new("a.b")));
        assert!(!one.is_open_to(&InfrastructureId::new("a")));
        assert_eq!(one.view.state, ResourceState::Running);
        assert_eq!(
            one.view.addresses.all,
            ["ec2-1.example", "3.1.2.3", "10.0.0.3"]
        );
        assert_eq!(one.view.addresses.private(), Some("10.0.0.3"));
        assert_eq!(one.view.token, Some(Token::new("t")));
    }

    #[test]
    fn the_token_of_a_spot_instances_tag_counts() {
        let spot = "<instanceLifecycle>spot</instanceLifecycle>";
        let request = "<spotInstanceRequestId>sir-1</spotInstanceRequestId>";
        let ours = "<tagSet><item><key>zenekar:infrastructure</key><value>a</value></item>\
             <item><key>zenekar:token</key><value>ours</value></item></tagSet>";
        let foreign = "<tagSet><item><key>zenekar:token</key><value>ours</value></item></tagSet>";
        for (kind, tags, wanted) in [
            (spot, ours, "ours"),
            (request, ours, "ours"),
            // It was made from a copy of ours.
            ("", ours, "given"),
            (spot, foreign, "given"),
            (spot, "", "given"),
        ] {
            let one = seen(&format!(
                "<instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>\
                 <clientToken>given</clientToken>{kind}{tags}"
            ));
            assert_eq!(one.view.token, Some(Token::new(wanted)), "{kind}{tags}");
        }
    }

    #[test]
    fn one_without_our_tag_has_no_tag() {
        let one = seen(
            "<instanceId>i-2</instanceId><instanceState><name>stopped</name></instanceState>\
             <dnsName/><privateIpAddress>10.0.0.4</privateIpAddress>\
             <stateReason><code>Server.InsufficientInstanceCapacity</code>\
             <message>none left</message></stateReason>\
             <tagSet><item><key>zenekar:instance</key><value>u</value></item></tagSet>",
        );
        assert_eq!(one.view.instance.as_str(), "");
        assert_eq!(one.view.addresses.all, ["10.0.0.4"]);
        assert_eq!(one.view.addresses.private, None);
        assert_eq!(one.view.detail.as_deref(), Some("none left"));
        assert!(one.is_open_to(&InfrastructureId::new("any")));
    }

    #[test]
    fn a_spot_instance_says_that_it_was_taken_back() {
        let one = seen(
            "<instanceId>i-3</instanceId><instanceState><name>terminated</name></instanceState>\
             <stateReason><code>Server.SpotInstanceTermination</code></stateReason>",
        );
        assert_eq!(one.view.state, ResourceState::Gone);
        assert!(one.view.detail.unwrap().contains("spot"));
    }
}
