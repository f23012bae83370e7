//! Which class an engine's answer is of.

use bollard::errors::Error;
use zenekar_base::{ErrorClass, ProviderError};

/// The longest part of an engine's words that is repeated.
const MESSAGE_CHARS_MAX: usize = 400;

/// Puts an operation's name before an engine's answer, and classifies it.
pub(crate) fn failed(operation: impl Into<String>) -> impl FnOnce(Error) -> ProviderError {
    let operation = operation.into();
    move |error| {
        let class = class_of(&error);
        let mut message = format!("cannot {operation}: {}", words_of(&error));
        if let Some(hint) = hint_of(&message) {
            message.push_str("; ");
            message.push_str(hint);
        }
        ProviderError::new(class, message)
    }
}

/// Makes an error of a request that can never succeed.
pub(crate) fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorClass::Invalid, message)
}

/// Returns the status that an engine answered with.
pub(crate) fn status_of(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Says whether an engine answered that the subject is not there.
pub(crate) fn is_not_found(error: &Error) -> bool {
    status_of(error) == Some(404)
}

/// Says whether an engine answered that the subject is in the way, or in use.
pub(crate) fn is_conflict(error: &Error) -> bool {
    status_of(error) == Some(409)
}

fn class_of(error: &Error) -> ErrorClass {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => class_of_answer(*status_code, message),
        Error::DockerStreamError { error } => {
            class_of_words(error).unwrap_or(ErrorClass::Retryable)
        }
        Error::HyperLegacyError { err } if err.is_connect() => class_of_connection(error),
        Error::SocketNotFoundError(_) => ErrorClass::Retryable,
        Error::NoHomePathError
        | Error::CertPathError { .. }
        | Error::CertMultipleKeys { .. }
        | Error::CertParseError { .. }
        | Error::NoNativeCertsError { .. }
        | Error::LoadNativeCertsErrors { .. } => ErrorClass::Auth,
        Error::UnsupportedURISchemeError { .. }
        | Error::InvalidURIError { .. }
        | Error::InvalidURIPartsError { .. }
        | Error::URLParseError { .. }
        | Error::URLEncodedError { .. } => ErrorClass::Invalid,
        // The request may have been read before the connection broke.
        _ => ErrorClass::Unknown,
    }
}

/// Nothing was sent: either it passes, or the two sides do not trust each other.
fn class_of_connection(error: &Error) -> ErrorClass {
    let words = chain_of(error);
    let is_refused = [
        "certificate",
        "UnknownIssuer",
        "HandshakeFailure",
        "ermission denied",
    ]
    .iter()
    .any(|word| words.contains(word));
    if is_refused {
        ErrorClass::Auth
    } else {
        ErrorClass::Retryable
    }
}

fn class_of_answer(status: u16, message: &str) -> ErrorClass {
    match status {
        401 | 403 => class_of_words(message).unwrap_or(ErrorClass::Auth),
        404 => ErrorClass::NotFound,
        409 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled,
        400..=499 => class_of_words(message).unwrap_or(ErrorClass::Invalid),
        _ => class_of_words(message).unwrap_or(ErrorClass::Retryable),
    }
}

/// Engines answer most of what goes wrong with status 500 and words.
const WORDS: &[(&str, ErrorClass)] = &[
    ("non-overlapping IPv4 address pool", ErrorClass::Quota),
    ("no available IPv4 addresses", ErrorClass::Quota),
    ("no available network", ErrorClass::Quota),
    ("toomanyrequests", ErrorClass::Throttled),
    ("port is already allocated", ErrorClass::Capacity),
    ("address already in use", ErrorClass::Capacity),
    ("no space left on device", ErrorClass::Capacity),
    ("cannot allocate memory", ErrorClass::Capacity),
    ("executable file not found", ErrorClass::Invalid),
    ("no such file or directory", ErrorClass::Invalid),
    ("is not a directory", ErrorClass::Invalid),
    ("not a directory", ErrorClass::Invalid),
    ("bind source path does not exist", ErrorClass::Invalid),
    ("exec format error", ErrorClass::Invalid),
    ("operation not permitted", ErrorClass::Invalid),
    ("permission denied", ErrorClass::Invalid),
    ("invalid tar header", ErrorClass::Invalid),
    ("archive/tar", ErrorClass::Invalid),
    ("manifest unknown", ErrorClass::Invalid),
    ("pull access denied", ErrorClass::Invalid),
    ("no matching manifest", ErrorClass::Invalid),
    ("repository does not exist", ErrorClass::Invalid),
    ("unauthorized", ErrorClass::Auth),
    ("invalid", ErrorClass::Invalid),
];

fn class_of_words(message: &str) -> Option<ErrorClass> {
    let lower = message.to_lowercase();
    WORDS
        .iter()
        .find(|(word, _)| lower.contains(&word.to_lowercase()))
        .map(|(_, class)| *class)
}

fn hint_of(message: &str) -> Option<&'static str> {
    message
        .contains("non-overlapping IPv4 address pool")
        .then_some(
            "every infrastructure has a network of its own, and an engine has addresses for about \
             30: remove unused networks, or give it more with `default-address-pools`",
        )
}

/// Returns what an engine said, in one line.
fn words_of(error: &Error) -> String {
    let text = match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => {
            if message.trim().is_empty() {
                format!("the engine answered with status {status_code}")
            } else {
                message.clone()
            }
        }
        Error::DockerStreamError { error } => error.clone(),
        Error::RequestTimeoutError => "the engine did not answer in time".to_owned(),
        Error::SocketNotFoundError(path) => format!("there is no socket `{path}`"),
        other => chain_of(other),
    };
    one_line(&text)
}

fn chain_of(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let words = error.to_string();
        // Wrappers repeat what they wrap.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Makes one line of limited length.
pub(crate) fn one_line(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line: String = joined.chars().take(MESSAGE_CHARS_MAX).collect();
    if line.len() < joined.len() {
        line.push_str(" …");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> ProviderError {
        failed("start container `x`")(Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        })
    }

    #[test]
    fn answers_have_their_class() {
        for (status, message, class) in [
            (404, "No such container: x", ErrorClass::NotFound),
            (409, "name is in use", ErrorClass::Conflict),
            (400, "invalid reference format", ErrorClass::Invalid),
            (
                500,
                "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
                ErrorClass::Capacity,
            ),
            (
                500,
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
                ErrorClass::Quota,
            ),
            (500, "something odd", ErrorClass::Retryable),
            (503, "", ErrorClass::Retryable),
        ] {
            let error = answer(status, message);
            assert_eq!(error.class, class, "{error}");
            assert!(error.message.starts_with("cannot start container `x`: "));
        }
        let quota = answer(
            500,
            "could not find an available, non-overlapping IPv4 address pool",
        );
        assert!(quota.message.contains("default-address-pools"));
        assert!(answer(500, "").message.ends_with("with status 500"));
    }

    #[test]
    fn words_are_one_line_of_limited_length() {
        let error = answer(500, &"many\nlines ".repeat(1000));
        assert!(!error.message.contains('\n'));
        assert!(error.message.chars().count() < 500);
    }
}
