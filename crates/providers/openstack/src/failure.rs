//! What an answer that is no success means.

use std::time::Duration;

use serde_json::Value as Json;
use zenekar_base::{ErrorClass, Millis, ProviderError};
use zenekar_http::HttpAnswer;

/// The longest piece of a service's words that is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// The longest pause that is taken over from an answer.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// What a call is for: the same answer means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It only reads.
    Read,
    /// It changes something, so that a fault leaves the outcome unknown.
    Change,
}

/// Makes the error of an answer.
pub(crate) fn error_of(operation: &str, purpose: Purpose, answer: &HttpAnswer) -> ProviderError {
    let words = words_of(&answer.body);
    let class = class_of(answer.status, &words, purpose);
    let retry_after = answer.retry_after().or(words.retry_after);
    let text = if words.message.is_empty() {
        format!("{operation}: status {}", answer.status)
    } else {
        format!("{operation}: {} (status {})", words.message, answer.status)
    };
    let mut error = ProviderError::new(class, text);
    error.retry_after = retry_after
        .map(|pause| pause.min(RETRY_AFTER_MAX))
        .map(|pause| Millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)));
    error
}

/// What a service says in the body of a failure.
#[derive(Debug, Default)]
struct Words {
    message: String,
    /// Neutron's name of the error.
    kind: String,
    retry_after: Option<Duration>,
}

/// Reads the forms of all services: Nova and Cinder name the failure by a key
/// (`badRequest`), Neutron says `NeutronError`, Keystone `error`; Glance writes HTML.
fn words_of(body: &[u8]) -> Words {
    let Ok(document) = serde_json::from_slice::<Json>(body) else {
        return Words {
            message: one_line(&without_markup(&String::from_utf8_lossy(body))),
            ..Words::default()
        };
    };
    let inner = match &document {
        Json::Object(entries) if entries.len() == 1 => entries
            .values()
            .next()
            .filter(|value| value.is_object() || value.is_string())
            .unwrap_or(&document),
        _ => &document,
    };
    if let Json::String(text) = inner {
        return Words {
            message: one_line(text),
            ..Words::default()
        };
    }
    let text = |key: &str| inner.get(key).and_then(Json::as_str).unwrap_or_default();
    let seconds = inner.get("retryAfter").and_then(|value| {
        value
            .as_u64()
            .or_else(|| value.as_str()?.trim().parse().ok())
    });
    Words {
        message: one_line(text("message")),
        kind: text("type").to_owned(),
        retry_after: seconds.map(Duration::from_secs),
    }
}

/// Returns the text of a small page, without its head and its marks.
fn without_markup(page: &str) -> String {
    let body = page.split_once("</title>").map_or(page, |(_, rest)| rest);
    let mut text = String::new();
    let mut inside = false;
    for one in body.chars() {
        match one {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(one),
            _ => {}
        }
    }
    text
}

/// Returns a text in one line of bounded length. What follows `Value:` is what
/// the service was sent, which may be somebody's secret.
fn one_line(text: &str) -> String {
    let text = text.split("Value:").next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(MESSAGE_CHARS_MAX).collect();
    line.trim_end_matches('.').to_owned()
}

fn class_of(status: u16, words: &Words, purpose: Purpose) -> ErrorClass {
    let message = words.message.to_ascii_lowercase();
    let says = |text: &str| message.contains(text);
    let is_quota = says("quota exceeded")
        || says("quota has been met")
        || says("exceeded for resources")
        || says("maximum number of ports exceeded")
        || says("quota_items")
        || words.kind == "OverQuota"
        || (says("quota") && says("exceed"));
    match status {
        403 | 409 | 413 if is_quota => ErrorClass::Quota,
        401 | 403 => ErrorClass::Auth,
        413 | 429 => ErrorClass::Throttled,
        404 | 410 => ErrorClass::NotFound,
        400 | 409 if says("no valid host") || says("no more ip addresses") => ErrorClass::Capacity,
        409 if is_out_of_addresses(&words.kind) => ErrorClass::Capacity,
        409 if is_passing(&words.kind, &message) => ErrorClass::Retryable,
        // 412: somebody else was faster than a condition of the request.
        409 | 412 => ErrorClass::Conflict,
        // Who says so is often somebody on the way, behind whom it may have happened.
        300..=399 if purpose == Purpose::Change => ErrorClass::Unknown,
        408 | 500..=599 => match purpose {
            Purpose::Read => ErrorClass::Retryable,
            Purpose::Change => ErrorClass::Unknown,
        },
        _ => ErrorClass::Invalid,
    }
}

fn is_out_of_addresses(kind: &str) -> bool {
    matches!(
        kind,
        "IpAddressGenerationFailure" | "ExternalIpAddressExhausted" | "IpAddressExhausted"
    )
}

/// Says whether a conflict goes away by itself: something else is being done
/// with the thing, or something that is on its way out still uses it.
fn is_passing(kind: &str, message: &str) -> bool {
    matches!(
        kind,
        "SecurityGroupInUse" | "PortInUse" | "RetryRequest" | "StaleDataError" | "NetworkInUse"
    ) || message.contains("while it is in")
        || message.contains("task_state")
        || message.contains("in use")
        || message.contains("try again")
        || message.contains("being deleted")
}

#[cfg(test)]
mod tests {
    use zenekar_http::HeaderMap;

    use super::*;

    fn error(status: u16, body: &str, purpose: Purpose) -> ProviderError {
        let answer = HttpAnswer {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        error_of("create server", purpose, &answer)
    }

    #[test]
    fn answers_are_classified() {
        use ErrorClass::*;
        use Purpose::{Change, Read};
        let cases: [(u16, &str, Purpose, ErrorClass); 24] = [
            (401, r#"{"error": {"message": "no"}}"#, Read, Auth),
            (
                403,
                r#"{"forbidden": {"message": "Policy doesn't allow it"}}"#,
                Change,
                Auth,
            ),
            (
                403,
                r#"{"forbidden": {"message": "Quota exceeded for cores: Requested 8"}}"#,
                Change,
                Quota,
            ),
            (
                403,
                r#"{"forbidden": {"message": "Maximum number of ports exceeded"}}"#,
                Change,
                Quota,
            ),
            (
                413,
                r#"{"overLimit": {"message": "slow down", "retryAfter": 7}}"#,
                Change,
                Throttled,
            ),
            (
                413,
                r#"{"overLimit": {"message": "Quota exceeded for instances"}}"#,
                Change,
                Quota,
            ),
            (429, "", Read, Throttled),
            (
                409,
                r#"{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['port'].", "detail": ""}}"#,
                Change,
                Quota,
            ),
            (
                409,
                r#"{"NeutronError": {"type": "IpAddressGenerationFailure", "message": "No more IP addresses available on network n."}}"#,
                Change,
                Capacity,
            ),
            (
                409,
                r#"{"NeutronError": {"type": "SecurityGroupInUse", "message": "Security Group g in use."}}"#,
                Change,
                Retryable,
            ),
            (
                409,
                r#"{"conflictingRequest": {"message": "Cannot 'delete' instance x while it is in task_state y"}}"#,
                Change,
                Retryable,
            ),
            (
                409,
                r#"{"conflictingRequest": {"message": "Instance x is locked"}}"#,
                Change,
                Conflict,
            ),
            (
                400,
                r#"{"badRequest": {"message": "Invalid flavorRef provided."}}"#,
                Change,
                Invalid,
            ),
            (
                404,
                "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1>No image</body></html>",
                Read,
                NotFound,
            ),
            (500, "", Change, Unknown),
            (500, "", Read, Retryable),
            (503, "", Change, Unknown),
            (503, "", Read, Retryable),
            (408, "", Change, Unknown),
            (408, "", Read, Retryable),
            (301, "", Change, Unknown),
            (302, "", Change, Unknown),
            (307, "", Change, Unknown),
            (302, "", Read, Invalid),
        ];
        for (status, body, purpose, wanted) in cases {
            assert_eq!(
                error(status, body, purpose).class,
                wanted,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn messages_are_short_and_without_what_was_sent() {
        let told = error(
            400,
            r#"{"badRequest": {"message": "Invalid input for field/attribute user_data. Value: c2VjcmV0. it is too long"}}"#,
            Purpose::Change,
        );
        assert_eq!(
            told.message,
            "create server: Invalid input for field/attribute user_data (status 400)"
        );
        let page = error(
            404,
            "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1>\n No image</body></html>",
            Purpose::Read,
        );
        assert_eq!(
            page.message,
            "create server: 404 Not Found No image (status 404)"
        );
        assert_eq!(
            error(502, "", Purpose::Read).message,
            "create server: status 502"
        );
        let pause = error(
            413,
            r#"{"overLimit": {"message": "x", "retryAfter": "7"}}"#,
            Purpose::Read,
        );
        assert_eq!(pause.retry_after, Some(Millis::from_secs(7)));
    }
}
