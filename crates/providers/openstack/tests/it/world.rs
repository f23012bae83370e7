//! What the tests create from.

use zenekar_base::{InfrastructureId, InstanceKey, InstanceTag, Token, Value};
use zenekar_model::Rendered;
use zenekar_provider::CreateRequest;

/// Makes a resource section of texts, by YAML's rules for keys.
pub(crate) fn section(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Map(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

/// Makes what an instance is created from.
pub(crate) fn rendered(entries: &[(&str, Value)]) -> Rendered {
    Rendered {
        resource: section(entries),
        user_data: Some("#cloud-config\nhostname: demo\n".to_owned()),
        ..Rendered::default()
    }
}

/// Asks for an instance of node `web`.
pub(crate) fn request(
    infrastructure: &InfrastructureId,
    number: u32,
    entries: &[(&str, Value)],
) -> CreateRequest {
    let key = InstanceKey(number);
    CreateRequest {
        infrastructure: infrastructure.clone(),
        instance: InstanceTag::derive(infrastructure, key),
        token: Token::derive(infrastructure, key, 1),
        name: format!("web/{number}"),
        rendered: rendered(entries),
    }
}
