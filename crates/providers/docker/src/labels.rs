//! What marks a thing at an engine as ours. All labels are spelt here only.

use std::collections::HashMap;

use zenekar_base::{InfrastructureId, InstanceTag, Token};
use zenekar_provider::CreateRequest;

/// The infrastructure; everything of ours but agents has it.
pub(crate) const INFRASTRUCTURE: &str = "io.zenekar.infrastructure";
/// The instance; containers that are instances have it.
pub(crate) const INSTANCE: &str = "io.zenekar.instance";
/// The token of the call that made the container.
pub(crate) const TOKEN: &str = "io.zenekar.token";
/// The name for people.
pub(crate) const NAME: &str = "io.zenekar.name";
/// Seconds between asking a container to end and killing it.
pub(crate) const STOP_GRACE: &str = "io.zenekar.stop_grace_s";
/// The agent that a volume holds, or with which a container was made.
pub(crate) const AGENT: &str = "io.zenekar.agent";
/// What else a container of ours is for.
pub(crate) const ROLE: &str = "io.zenekar.role";
/// The role of a container that only serves to fill a volume.
pub(crate) const ROLE_UPLOAD: &str = "upload";

/// The beginning of all names that we give.
pub(crate) const PREFIX: &str = "zenekar-";

/// Labels as an engine returns them.
pub(crate) type Labels = HashMap<String, String>;

/// Returns the labels of what belongs to an infrastructure as a whole.
pub(crate) fn of_infrastructure(infrastructure: &InfrastructureId) -> Labels {
    HashMap::from([(INFRASTRUCTURE.to_owned(), infrastructure.to_string())])
}

/// Returns the labels of an instance.
pub(crate) fn of_instance(request: &CreateRequest) -> Labels {
    let mut labels = of_infrastructure(&request.infrastructure);
    labels.insert(INSTANCE.to_owned(), request.instance.to_string());
    labels.insert(TOKEN.to_owned(), request.token.to_string());
    labels.insert(NAME.to_owned(), request.name.clone());
    labels
}

/// Reads a label.
pub(crate) fn get<'l>(labels: Option<&'l Labels>, name: &str) -> Option<&'l str> {
    labels?.get(name).map(String::as_str)
}

/// Says whether the labels are those of an infrastructure.
pub(crate) fn is_of(labels: Option<&Labels>, infrastructure: &InfrastructureId) -> bool {
    get(labels, INFRASTRUCTURE) == Some(infrastructure.as_str())
}

/// Says whether the labels are those of an instance that this call made.
pub(crate) fn is_made_by(labels: Option<&Labels>, request: &CreateRequest) -> bool {
    is_of(labels, &request.infrastructure)
        && get(labels, INSTANCE) == Some(request.instance.as_str())
        && get(labels, TOKEN) == Some(request.token.as_str())
}

/// Reads the tag of the instance that a container is.
pub(crate) fn instance(labels: Option<&Labels>) -> Option<InstanceTag> {
    get(labels, INSTANCE).map(InstanceTag::new)
}

/// Reads the token of the call that made a container.
pub(crate) fn token(labels: Option<&Labels>) -> Option<Token> {
    get(labels, TOKEN).map(Token::new)
}

/// Returns a filter for things with a label, or with a label of that value.
pub(crate) fn filter(name: &str, value: Option<&str>) -> HashMap<String, Vec<String>> {
    let wanted = match value {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    };
    HashMap::from([("label".to_owned(), vec![wanted])])
}

/// The longest part of a name that comes from elsewhere: long enough to be
/// told apart, short enough for every interface that shows it.
const NAME_CHARS_MAX: usize = 100;

/// Makes a name that engines accept. What had to be changed is told apart by
/// a fingerprint.
pub(crate) fn name_of(text: &str) -> String {
    let is_fine = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '.' | '-');
    let name: String = text
        .chars()
        .map(|one| if is_fine(one) { one } else { '-' })
        .take(NAME_CHARS_MAX)
        .collect();
    if name == text {
        return format!("{PREFIX}{name}");
    }
    let fingerprint = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    format!("{PREFIX}{name}-{fingerprint:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_accepted_and_distinct() {
        assert_eq!(
            name_of("demo-1.0a1b2c3d4e5f"),
            "zenekar-demo-1.0a1b2c3d4e5f"
        );
        let (one, two) = (name_of("a/b"), name_of("a b"));
        assert_ne!(one, two);
        for name in [one, two, name_of(&"x".repeat(1000))] {
            assert!(name.len() < 128);
            assert!(
                name.chars()
                    .all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
            );
        }
    }
}
