//! Typed reasons for every wait.

use std::fmt;

use serde::Serialize;
use zenekar_base::{ErrorClass, ProviderError, Timestamp};

/// Why a step is not taken, or what an instance waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Waiting {
    /// A node that it depends on is not ready.
    Dependency {
        /// The node.
        node: String,
        /// How many of its instances are ready.
        serving: u32,
        /// How many are needed.
        required: u32,
    },
    /// Its node was given up.
    Blocked {
        /// The class of the error.
        class: ErrorClass,
        /// What the provider said.
        message: String,
    },
    /// A pause after a failure.
    Backoff {
        /// The end of the pause.
        until: Timestamp,
        /// Failures in a row.
        failures: u32,
        /// The last error.
        error: Option<ProviderError>,
    },
    /// The provider asked for a pause.
    Throttled {
        /// The provider.
        provider: String,
        /// The end of the pause.
        until: Timestamp,
    },
    /// As many calls as allowed are in flight.
    Slot {
        /// The provider.
        provider: String,
        /// The bound.
        calls_in_flight_max: u32,
    },
    /// After a restart, what is there has to be seen first.
    Recovery {
        /// The provider.
        provider: String,
    },
    /// The answer to a call.
    Answer {
        /// The operation.
        operation: &'static str,
        /// Since when.
        since: Timestamp,
    },
    /// The provider is starting it.
    Boot {
        /// When it is given up.
        deadline: Timestamp,
    },
    /// Its health checks.
    Health {
        /// The last finding.
        finding: Option<String>,
        /// When it is given up.
        deadline: Option<Timestamp>,
    },
    /// Those that depend on it go first.
    DependentsFirst {
        /// The dependent node.
        node: String,
        /// How many of its instances are left.
        instances: u32,
    },
    /// The circuit breaker is open.
    Breaker {
        /// When it lets the next one pass.
        until: Timestamp,
        /// Replacements within the window.
        replaced: u32,
        /// Replacements allowed within the window.
        limit: u32,
    },
    /// Others are being replaced.
    Rolling {
        /// How many may be missing at once.
        unavailable_max: u32,
    },
    /// A node that it depends on is being updated.
    DependeeUpdates {
        /// The node.
        node: String,
    },
    /// It has to get further by itself first.
    Unfinished,
    /// Nobody knows yet whether it exists.
    Certainty,
    /// The last look did not show it; the next one tells whether it is lost.
    Absence,
    /// The provider has accepted its deletion.
    Disappearance,
    /// Instances of the infrastructure are there, or may be.
    Occupied {
        /// The provider.
        provider: String,
    },
    /// Its deletion fails.
    Stuck {
        /// The last error.
        error: Option<ProviderError>,
        /// When it is tried again.
        until: Timestamp,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency {
                node,
                serving,
                required,
            } => write!(
                formatter,
                "waits for `{node}` to be ready ({serving} of {required})"
            ),
            Self::Blocked { class, message } => write!(formatter, "given up: {message} ({class})"),
            Self::Backoff {
                failures,
                error: Some(error),
                ..
            } => write!(formatter, "pauses after failure {failures}: {error}"),
            Self::Backoff {
                failures,
                error: None,
                ..
            } => write!(formatter, "pauses after failure {failures}"),
            Self::Throttled { provider, .. } => {
                write!(formatter, "provider `{provider}` asks for a pause")
            }
            Self::Slot {
                provider,
                calls_in_flight_max,
            } => {
                write!(
                    formatter,
                    "waits for one of {calls_in_flight_max} calls in flight to provider `{provider}`"
                )
            }
            Self::Recovery { provider } => {
                write!(formatter, "first has to see what provider `{provider}` has")
            }
            Self::Answer { operation, .. } => {
                write!(formatter, "waits for the answer to `{operation}`")
            }
            Self::Boot { .. } => formatter.write_str("the provider is starting it"),
            Self::Health {
                finding: Some(finding),
                ..
            } => write!(formatter, "waits to be healthy: {finding}"),
            Self::Health { finding: None, .. } => formatter.write_str("waits to be healthy"),
            Self::DependentsFirst { node, instances } => write!(
                formatter,
                "waits for {instances} instance(s) of `{node}` to go first"
            ),
            Self::Breaker {
                replaced, limit, ..
            } => {
                write!(
                    formatter,
                    "circuit breaker open: {replaced} of {limit} replacements allowed in 10 minutes were made"
                )
            }
            Self::Rolling { unavailable_max: 0 } => formatter
                .write_str("others of its node are replaced first, each after one more is ready"),
            Self::Rolling { unavailable_max } => write!(
                formatter,
                "others of its node are replaced first, {unavailable_max} at a time"
            ),
            Self::DependeeUpdates { node } => write!(formatter, "waits for `{node}` to be updated"),
            Self::Unfinished => formatter.write_str("has to get further first"),
            Self::Certainty => {
                formatter.write_str("waits until the provider shows for certain whether it exists")
            }
            Self::Absence => {
                formatter.write_str("the provider did not show it; it is looked for once more")
            }
            Self::Disappearance => formatter.write_str("the provider is deleting it"),
            Self::Occupied { provider } => {
                write!(formatter, "instances at provider `{provider}` go first")
            }
            Self::Stuck {
                error: Some(error), ..
            } => write!(formatter, "its deletion fails: {error}"),
            Self::Stuck { error: None, .. } => formatter.write_str("its deletion fails"),
        }
    }
}
