//! Typed ids for everything that has an identity.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fingerprint::{Fingerprint, FingerprintBuilder};

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text that is already known to be such an id.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }
            /// Returns the text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$meta:meta])* $name:ident, $number:ty) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $number);

        impl $name {
            /// Returns the number as an index into a table.
            #[allow(clippy::cast_possible_truncation, reason = "not all of the types are wider than an index")]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}", self.0)
            }
        }
    };
}

text_id!(
    /// Identifies one infrastructure in a store and at every provider.
    InfrastructureId
);
text_id!(
    /// Identifies a user's request, so that it is applied exactly once.
    RequestId
);
text_id!(
    /// What a provider calls a resource: opaque to us.
    ResourceId
);
text_id!(
    /// Identifies one instance everywhere: a UUID that is also its tag at the provider.
    InstanceTag
);
text_id!(
    /// The idempotency token of one creating operation: a UUID.
    Token
);
number_id!(
    /// A node within one infrastructure; never reused, stable across edits of the descriptor.
    NodeKey,
    u32
);
number_id!(
    /// An instance within one infrastructure; never reused.
    InstanceKey,
    u32
);
number_id!(
    /// One call to the world; unique while one engine lives.
    CallId,
    u64
);

impl InstanceTag {
    /// Derives the tag of an instance: the same inputs always give the same UUID.
    pub fn derive(infrastructure: &InfrastructureId, instance: InstanceKey) -> Self {
        Self(
            derive("instance", infrastructure, u64::from(instance.0), 0)
                .to_uuid()
                .into(),
        )
    }
}

impl Token {
    /// Derives the idempotency token of attempt `attempt` to create an instance.
    pub fn derive(infrastructure: &InfrastructureId, instance: InstanceKey, attempt: u32) -> Self {
        Self(
            derive(
                "token",
                infrastructure,
                u64::from(instance.0),
                u64::from(attempt),
            )
            .to_uuid()
            .into(),
        )
    }
}

fn derive(kind: &str, infrastructure: &InfrastructureId, one: u64, two: u64) -> Fingerprint {
    let mut builder = FingerprintBuilder::default();
    builder
        .text(kind)
        .text(infrastructure.as_str())
        .number(one)
        .number(two);
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_tokens_are_distinct_and_reproducible() {
        let infrastructure = InfrastructureId::new("demo-1");
        let tag = InstanceTag::derive(&infrastructure, InstanceKey(1));
        assert_eq!(tag, InstanceTag::derive(&infrastructure, InstanceKey(1)));
        assert_ne!(tag, InstanceTag::derive(&infrastructure, InstanceKey(2)));
        assert_ne!(
            Token::derive(&infrastructure, InstanceKey(1), 1),
            Token::derive(&infrastructure, InstanceKey(1), 2)
        );
        assert_eq!(tag.as_str().len(), 36);
    }
}
