//! What the cloud's refusals mean.

use std::time::{Duration, SystemTime};

use zenekar_base::{ErrorClass, Millis, ProviderError};

use crate::limits::{MESSAGE_CHARACTERS_MAX, SKEW};
use crate::request::{Nature, Request};

/// Codes and what they mean. What is not here goes by its ending or by the
/// status of the answer.
const CODES: &[(ErrorClass, &[&str])] = &[
    (
        ErrorClass::Throttled,
        &[
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
        ],
    ),
    (
        ErrorClass::Capacity,
        &[
            "InsufficientAddressCapacity",
            "InsufficientCapacity",
            "InsufficientCapacityOnHost",
            "InsufficientFreeAddressesInSubnet",
            "InsufficientHostCapacity",
            "InsufficientInstanceCapacity",
            "InsufficientReservedInstanceCapacity",
            "InsufficientVolumeCapacity",
            "ReservationCapacityExceeded",
            "SpotMaxPriceTooLow",
        ],
    ),
    (
        ErrorClass::Quota,
        &[
            "InstanceLimitExceeded",
            "MaxSpotFleetRequestCountExceeded",
            "MaxSpotInstanceCountExceeded",
            "VcpuLimitExceeded",
        ],
    ),
    (
        ErrorClass::Auth,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AuthFailure",
            "Blocked",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSecurity",
            "MissingAuthenticationToken",
            "NotAuthorized",
            "OptInRequired",
            "PendingVerification",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
        ],
    ),
    (
        ErrorClass::Conflict,
        &[
            "IdempotentInstanceTerminated",
            "IdempotentParameterMismatch",
        ],
    ),
    (
        ErrorClass::Retryable,
        &[
            "ConcurrentTagAccess",
            "DependencyViolation",
            "IncorrectInstanceState",
            "IncorrectState",
            "InvalidGroup.InUse",
            "OperationNotPermittedWhileInUse",
            "VolumeInUse",
        ],
    ),
    // The server tells these with a status from 500; whether they had an effect is open.
    (
        ErrorClass::Unknown,
        &[
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "RequestTimeout",
            "ServiceUnavailable",
            "Unavailable",
        ],
    ),
];

/// Codes whose messages repeat the request, with what it was signed with.
const TALKATIVE: &[&str] = &["IncompleteSignature", "SignatureDoesNotMatch"];

/// Codes that can come from a clock that is wrong.
const CLOCK: &[&str] = &["AuthFailure", "RequestExpired", "SignatureDoesNotMatch"];

/// Codes that say that a session is over.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) class: ErrorClass,
    /// The cloud's code, where it answered with one.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Millis>,
}

impl ApiError {
    /// Makes an error that is not an answer of the cloud.
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Says whether the cloud answered with one of the codes.
    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }

    /// Says whether the credentials were good once.
    pub(crate) fn is_expired(&self) -> bool {
        self.is(EXPIRED)
    }
}

impl From<ApiError> for ProviderError {
    fn from(error: ApiError) -> Self {
        Self {
            class: error.class,
            message: error.message,
            retry_after: error.retry_after,
        }
    }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        Self {
            class: error.class,
            code: None,
            message: error.message,
            retry_after: error.retry_after,
        }
    }
}

/// What a refusal says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) retry_after: Option<Duration>,
    /// The cloud's clock.
    pub(crate) date: Option<SystemTime>,
}

/// Makes an error of a refusal.
pub(crate) fn refused(request: &Request, refusal: &Refusal<'_>) -> ApiError {
    let code = bare(refusal.code);
    let mut message = format!("{}: {code}", request.action);
    let said = one_line(refusal.message);
    if TALKATIVE.contains(&code) {
        message.push_str(": the signature is not what the cloud computes: the secret key is wrong");
    } else if !said.is_empty() {
        message.push_str(": ");
        message.push_str(&said);
    }
    let skew = refusal
        .date
        .filter(|_| CLOCK.contains(&code))
        .and_then(skew_of);
    for hint in hint_of(code).map(str::to_owned).into_iter().chain(skew) {
        message = format!("{message} ({hint})");
    }
    if let Some(id) = refusal.request_id {
        message = format!("{message} [request {}]", one_line(id));
    }
    ApiError {
        class: class_of(code, refusal.status, request.nature),
        code: Some(code.to_owned()),
        message,
        retry_after: refusal
            .retry_after
            .map(|pause| Millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))),
    }
}

/// Takes the prefix off that older interfaces write.
fn bare(code: &str) -> &str {
    let code = code.trim();
    code.strip_prefix("Client.")
        .or_else(|| code.strip_prefix("Server."))
        .unwrap_or(code)
}

/// Says what a code means for a request.
pub(crate) fn class_of(code: &str, status: u16, nature: Nature) -> ErrorClass {
    let listed = CODES
        .iter()
        .find(|(_, codes)| codes.contains(&code))
        .map(|(class, _)| *class);
    match listed {
        Some(ErrorClass::Unknown) if nature == Nature::Reads => ErrorClass::Retryable,
        Some(class) => class,
        None if code.starts_with("InvalidInstanceID.") => ErrorClass::NotFound,
        // What a creation refers to and is not there: an image, a subnet, a key.
        None if code.ends_with(".NotFound") && nature == Nature::Reads => ErrorClass::NotFound,
        None if code.ends_with("LimitExceeded") => ErrorClass::Quota,
        None if code.starts_with("Invalid") => ErrorClass::Invalid,
        None => class_of_status(status, nature),
    }
}

/// Says what an answer without a code means.
pub(crate) const fn class_of_status(status: u16, nature: Nature) -> ErrorClass {
    match (status, nature) {
        (429, _) => ErrorClass::Throttled,
        (401 | 407, _) => ErrorClass::Auth,
        (408 | 500.., Nature::Reads) => ErrorClass::Retryable,
        (408 | 500.., Nature::Changes) => ErrorClass::Unknown,
        _ => ErrorClass::Invalid,
    }
}

/// Says what can be done, where the cloud's words do not.
fn hint_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "the credentials lack the right to do this"
        }
        "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException" => {
            "the access key is unknown"
        }
        "ExpiredToken" | "ExpiredTokenException" => "the session is over: get new credentials",
        "OptInRequired" => "the account has to subscribe first",
        "VcpuLimitExceeded" | "InstanceLimitExceeded" => "ask for a higher limit, or use less",
        _ => return None,
    })
}

fn skew_of(date: SystemTime) -> Option<String> {
    let now = SystemTime::now();
    let (span, side) = match now.duration_since(date) {
        Ok(span) => (span, "ahead of"),
        Err(error) => (error.duration(), "behind"),
    };
    (span > SKEW).then(|| {
        let seconds = span.as_secs();
        format!("this machine's clock is {seconds} s {side} the cloud's")
    })
}

/// Makes one short line of what a cloud says.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|one| !one.is_control()));
        if line.chars().count() > MESSAGE_CHARACTERS_MAX {
            line = line.chars().take(MESSAGE_CHARACTERS_MAX).collect();
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_class_that_the_engine_needs() {
        use ErrorClass::{
            Auth, Capacity, Conflict, Invalid, NotFound, Quota, Retryable, Throttled, Unknown,
        };
        for (code, status, changing, reading) in [
            ("RequestLimitExceeded", 503, Throttled, Throttled),
            ("Throttling", 400, Throttled, Throttled),
            ("InsufficientInstanceCapacity", 500, Capacity, Capacity),
            ("InsufficientFreeAddressesInSubnet", 400, Capacity, Capacity),
            ("InstanceLimitExceeded", 400, Quota, Quota),
            ("VcpuLimitExceeded", 400, Quota, Quota),
            ("MaxSpotInstanceCountExceeded", 400, Quota, Quota),
            ("VolumeLimitExceeded", 400, Quota, Quota),
            ("UnauthorizedOperation", 403, Auth, Auth),
            ("AuthFailure", 401, Auth, Auth),
            ("InvalidClientTokenId", 403, Auth, Auth),
            ("ExpiredToken", 400, Auth, Auth),
            ("InvalidAMIID.NotFound", 400, Invalid, NotFound),
            ("InvalidSubnetID.NotFound", 400, Invalid, NotFound),
            ("InvalidInstanceID.NotFound", 400, NotFound, NotFound),
            ("InvalidInstanceID.Malformed", 400, NotFound, NotFound),
            ("InvalidParameterValue", 400, Invalid, Invalid),
            ("Unsupported", 400, Invalid, Invalid),
            ("IdempotentParameterMismatch", 400, Conflict, Conflict),
            ("DependencyViolation", 400, Retryable, Retryable),
            ("InternalError", 500, Unknown, Retryable),
            ("Unavailable", 503, Unknown, Retryable),
            ("SomethingNew", 500, Unknown, Retryable),
            ("SomethingNew", 400, Invalid, Invalid),
        ] {
            assert_eq!(class_of(code, status, Nature::Changes), changing, "{code}");
            assert_eq!(class_of(code, status, Nature::Reads), reading, "{code}");
        }
    }

    #[test]
    fn what_was_signed_with_is_never_passed_on() {
        let refusal = Refusal {
            status: 403,
            code: "SignatureDoesNotMatch",
            message: "The Canonical String should have been 'x-amz-security-token:TOKEN'",
            ..Refusal::default()
        };
        let error = refused(&Request::reading("DescribeRegions"), &refusal);
        assert_eq!(error.class, ErrorClass::Auth);
        assert!(!error.message.contains("TOKEN"), "{}", error.message);
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let refusal = Refusal {
            status: 400,
            code: "RequestExpired",
            message: "Request has expired.",
            date: SystemTime::now().checked_add(Duration::from_secs(1000)),
            ..Refusal::default()
        };
        let error = refused(&Request::reading("DescribeRegions"), &refusal);
        assert!(error.message.contains("clock is "), "{}", error.message);
        assert!(error.message.contains("s behind"), "{}", error.message);
    }

    #[test]
    fn long_words_of_the_cloud_are_cut() {
        let line = one_line(&format!("a\n\t b {}", "x".repeat(5000)));
        assert!(line.starts_with("a b xxx"));
        assert_eq!(line.chars().count(), MESSAGE_CHARACTERS_MAX + 1);
    }
}
