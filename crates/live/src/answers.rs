//! The answers, as instrumented scripts know them.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::session::{Answer, Refusal};
use crate::submission::InvalidSubmission;

/// Answers with JSON.
pub(crate) fn json_answer(status: StatusCode, value: &Value) -> Response {
    let text = format!("{value}\n");
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Answers with what is wrong.
pub(crate) fn failed(status: StatusCode, message: &str) -> Response {
    json_answer(status, &json!({ "error": message }))
}

/// Answers a request about an infrastructure that has no session.
pub(crate) fn unknown_infrastructure(name: &str) -> Response {
    failed(
        StatusCode::NOT_FOUND,
        &format!("no session has the infrastructure `{name}`"),
    )
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Go => json_answer(StatusCode::OK, &json!({ "next": true })),
            Self::Wait => StatusCode::NO_CONTENT.into_response(),
            Self::Refresh => StatusCode::RESET_CONTENT.into_response(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::UnknownProcess(_) => StatusCode::NOT_FOUND,
            Self::NotExpected(_)
            | Self::TooManyBreakpoints(_)
            | Self::TooManyNotifications
            | Self::WrongProcessCount => StatusCode::UNPROCESSABLE_ENTITY,
        };
        failed(status, &self.to_string())
    }
}

impl IntoResponse for InvalidSubmission {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotJson(_) => StatusCode::BAD_REQUEST,
            Self::Key { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        failed(status, &self.to_string())
    }
}
