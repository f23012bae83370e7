//! What all tests use.

use std::future::Future;

use secrecy::SecretString;
use zenekar_base::{InfrastructureId, InstanceKey, InstanceTag, Token, Value};
use zenekar_model::Rendered;
use zenekar_provider::CreateRequest;
use zenekar_provider_ec2::{Ec2Credentials, Ec2Provider, Ec2Settings};

/// Runs a test's future.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Keys that no cloud knows.
pub(crate) fn keys() -> Ec2Credentials {
    Ec2Credentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: SecretString::from("not-a-secret".to_owned()),
        session_token: None,
    }
}

/// Opens the adapter for an endpoint, with given keys.
pub(crate) fn open(endpoint: &str, region: &str) -> Ec2Provider {
    Ec2Provider::open(Ec2Settings {
        name: format!("ec2@{region},{endpoint}"),
        region: Some(region.to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(keys()),
        ..Ec2Settings::default()
    })
    .expect("settings that can be")
}

/// Makes a resource section.
pub(crate) fn section(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Map(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

/// What scripted peers are asked for.
pub(crate) fn rendered(more: &[(&str, Value)]) -> Rendered {
    let mut entries = vec![
        ("image_id", Value::from("ami-1")),
        ("instance_type", Value::from("t3.micro")),
    ];
    entries.extend(more.iter().cloned());
    Rendered {
        resource: section(&entries),
        user_data: Some("#!/bin/sh\ntrue\n".to_owned()),
        ..Rendered::default()
    }
}

/// Makes a request for an instance.
pub(crate) fn request(infrastructure: &str, key: u32, rendered: Rendered) -> CreateRequest {
    let infrastructure = InfrastructureId::new(infrastructure);
    CreateRequest {
        instance: InstanceTag::derive(&infrastructure, InstanceKey(key)),
        token: Token::derive(&infrastructure, InstanceKey(key), 1),
        name: format!("node/{key}"),
        infrastructure,
        rendered,
    }
}
