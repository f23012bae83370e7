//! The answers, with the quirks that clients rely on.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE, LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::operations::OperationError;

/// The methods that browsers are told of, whatever the path.
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// Answers with JSON, laid out as scripts that look for `"key": value` know it.
pub(crate) fn json_answer(status: StatusCode, value: &Value) -> Response {
    let text = format!("{value:#}\n");
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Answers with a result.
pub(crate) fn done(value: &Value) -> Response {
    json_answer(StatusCode::OK, value)
}

/// Answers with an error that was handled: HTTP knows nothing of it.
pub(crate) fn handled(status_code: u16, reason: &str, message: &str) -> Response {
    done(&json!({ "message": message, "reason": reason, "status_code": status_code }))
}

impl IntoResponse for OperationError {
    fn into_response(self) -> Response {
        match &self {
            Self::UnknownInfrastructure(id) => handled(
                300,
                &format!("ERROR: infrastructure '{id}' does not exist!"),
                "",
            ),
            Self::UnknownNode {
                infrastructure,
                node,
            } => handled(
                300,
                &format!(
                    "ERROR: node '{node}' does not exist in infrastructure '{infrastructure}'!"
                ),
                "",
            ),
            Self::AlreadyMaintained(id) => handled(
                300,
                &format!("ERROR: Infrastructure {id} already being maintained!"),
                "",
            ),
            Self::NotMaintained(id) => handled(
                300,
                &format!("ERROR: Infrastructure {id} is not maintained!"),
                "",
            ),
            Self::Refused(reason) => handled(400, reason, ""),
            Self::UnknownKey { key, message } => {
                handled(404, &format!("Key not found: \"{key}\""), message)
            }
            Self::WrongArguments { key, message } => handled(
                400,
                &format!("Invalid parameter value for key \"{key}\""),
                message,
            ),
            Self::Internal(message) => json_answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "message": message }),
            ),
        }
    }
}

/// Answers with a page that only says what is wrong, as for requests that no
/// operation belongs to.
pub(crate) fn page(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = format!(
        "<!doctype html>\n<title>{} {reason}</title>\n<h1>{reason}</h1>\n",
        status.as_u16()
    );
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// Answers a path that nothing is at; the same path with the slashes as they
/// should be is tried next by the client.
pub(crate) fn not_found(uri: &Uri) -> Response {
    let Some(path) = corrected(uri.path()) else {
        return page(StatusCode::NOT_FOUND);
    };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    match HeaderValue::try_from(target) {
        Ok(target) => {
            let mut response = page(StatusCode::PERMANENT_REDIRECT);
            response.headers_mut().insert(LOCATION, target);
            response
        }
        Err(_) => page(StatusCode::NOT_FOUND),
    }
}

/// Returns the path that was meant: single slashes, and one behind the list of
/// infrastructures. None if it is as it should be.
fn corrected(path: &str) -> Option<String> {
    let mut merged = String::with_capacity(path.len() + 1);
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    if merged == "/infrastructures" {
        merged.push('/');
    }
    (merged != path).then_some(merged)
}

/// Adds what every answer has: that scripts of any page may read it, and for
/// questions about a path which methods it takes.
pub(crate) fn complete(method: &Method, asked: &HeaderMap, mut response: Response) -> Response {
    if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = response.headers().get(ALLOW).cloned();
        response = StatusCode::OK.into_response();
        if let Some(allowed) = allowed {
            response.headers_mut().insert(ALLOW, with_options(&allowed));
        }
        let headers = response.headers_mut();
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn with_options(allowed: &HeaderValue) -> HeaderValue {
    let text = format!("{},OPTIONS", allowed.to_str().unwrap_or_default());
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

#[cfg(test)]
mod tests {
    use super::corrected;

    #[test]
    fn slashes_are_corrected_where_they_are_wrong() {
        for (path, meant) in [
            ("/infrastructures", Some("/infrastructures/")),
            ("//infrastructures", Some("/infrastructures/")),
            (
                "//infrastructures/a//attach",
                Some("/infrastructures/a/attach"),
            ),
            ("/infrastructures/", None),
            ("/infrastructures/a/", None),
            ("/", None),
        ] {
            assert_eq!(corrected(path).as_deref(), meant, "{path}");
        }
    }
}
