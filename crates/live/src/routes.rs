//! Which path is which question.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};

use crate::answers::{failed, json_answer, unknown_infrastructure};
use crate::hub::Controller;
use crate::limits::{BODY_BYTES_MAX, BODY_TIMEOUT};
use crate::session::Refusal;
use crate::submission::Submission;

/// What all paths share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) controller: Controller,
    /// What clients have to know, if anything.
    pub(crate) token: Option<Arc<str>>,
}

/// Makes the paths of the server.
pub(crate) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    let paths: [(&str, MethodRouter<Shared>); 6] = [
        ("/Submit/{infrastructure}/{node}", post(submit)),
        ("/Next/{infrastructure}/{node}", get(next)),
        ("/Refresh/{infrastructure}/{node}", post(refresh)),
        ("/infrastructures", get(list)),
        ("/infrastructures/{infrastructure}", get(stages)),
        ("/infrastructures/{infrastructure}/{node}", get(breakpoints)),
    ];
    for (path, methods) in paths {
        // Scripts write the last slash or leave it out, and follow no redirections.
        router = router
            .route(path, methods.clone())
            .route(&format!("{path}/"), methods);
    }
    router
        .fallback(async |uri: Uri| {
            let message = format!("nothing is at `{}`", uri.path());
            failed(StatusCode::NOT_FOUND, &message)
        })
        .method_not_allowed_fallback(async || {
            failed(StatusCode::METHOD_NOT_ALLOWED, "the path has other methods")
        })
        .layer(from_fn_with_state(shared.clone(), authorized))
        .with_state(shared)
}

/// Lets through whoever knows the token, in the header or, for the simplest of
/// clients, in the address.
async fn authorized(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(token) = &shared.token else {
        return next.run(request).await;
    };
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let given = header.or_else(|| parameter(request.uri(), "token"));
    if given.is_some_and(|given| is_same(given, token)) {
        return next.run(request).await;
    }
    failed(
        StatusCode::UNAUTHORIZED,
        "the token of the session is missing or wrong",
    )
}

/// Compares in a time that does not depend on where the texts differ.
fn is_same(one: &str, two: &str) -> bool {
    let difference = one
        .bytes()
        .zip(two.bytes())
        .fold(0, |difference, (one, two)| difference | (one ^ two));
    one.len() == two.len() && difference == 0
}

fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<&'u str> {
    uri.query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

type Place = Path<(String, String)>;

async fn read_report(request: Request) -> Result<Submission, Response> {
    let body = read_body(request).await?;
    Submission::parse(&body).map_err(IntoResponse::into_response)
}

/// Reads the body, whatever type the client says that it has.
async fn read_body(request: Request) -> Result<Bytes, Response> {
    let read = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(failed(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the report is too large",
        )),
        Err(_) => Err(failed(
            StatusCode::REQUEST_TIMEOUT,
            "the report did not come in time",
        )),
    }
}

type Parameters = Query<Vec<(String, String)>>;

async fn submit(
    State(shared): State<Shared>,
    Path((infrastructure, node)): Place,
    Query(parameters): Parameters,
    request: Request,
) -> Response {
    let report = match read_report(request).await {
        Ok(report) => report,
        Err(response) => return response,
    };
    let stored = shared.controller.with(&infrastructure, |session, now_ms| {
        let number = session.submit(now_ms, &node, report)?;
        Ok(json!({ "breakpoint": number }))
    });
    answer_report(&shared, &infrastructure, &node, &parameters, stored).await
}

async fn refresh(
    State(shared): State<Shared>,
    Path((infrastructure, node)): Place,
    Query(parameters): Parameters,
    request: Request,
) -> Response {
    let report = match read_report(request).await {
        Ok(report) => report,
        Err(response) => return response,
    };
    let stored = shared.controller.with(&infrastructure, |session, now_ms| {
        session.refresh(now_ms, &node, report)?;
        Ok(json!({ "refreshed": true }))
    });
    answer_report(&shared, &infrastructure, &node, &parameters, stored).await
}

/// Says what became of a report, or what it is to do to whom wants a text.
async fn answer_report(
    shared: &Shared,
    infrastructure: &str,
    node: &str,
    parameters: &[(String, String)],
    stored: Option<Result<Value, Refusal>>,
) -> Response {
    match stored {
        Some(Ok(_)) if wants_text(parameters) => {
            answer(shared, infrastructure, node, parameters).await
        }
        Some(Ok(said)) => json_answer(StatusCode::OK, &said),
        Some(Err(refusal)) => refusal.into_response(),
        None => unknown_infrastructure(infrastructure),
    }
}

async fn next(
    State(shared): State<Shared>,
    Path((infrastructure, node)): Place,
    Query(parameters): Parameters,
) -> Response {
    answer(&shared, &infrastructure, &node, &parameters).await
}

/// Says whether the answer is to be a word. The helper script asks for it: some
/// of its clients do not tell the status. A report is answered by what `Next`
/// would be, so that one request is enough.
fn wants_text(parameters: &[(String, String)]) -> bool {
    parameters
        .iter()
        .any(|(name, value)| name == "as" && value == "text")
}

async fn answer(
    shared: &Shared,
    infrastructure: &str,
    node: &str,
    parameters: &[(String, String)],
) -> Response {
    let wait = parameters.iter().find(|(name, _)| name == "wait_ms");
    let wait_ms = match wait.map(|(_, value)| value.parse()) {
        None => 0,
        Some(Ok(wait_ms)) => wait_ms,
        Some(Err(_)) => {
            return failed(
                StatusCode::UNPROCESSABLE_ENTITY,
                "`wait_ms` is not a number of milliseconds",
            );
        }
    };
    let answer = shared
        .controller
        .answer(infrastructure, node, wait_ms)
        .await;
    match answer {
        Some(Ok(answer)) if wants_text(parameters) => answer.as_word().into_response(),
        Some(Ok(answer)) => answer.into_response(),
        Some(Err(refusal)) => refusal.into_response(),
        None => unknown_infrastructure(infrastructure),
    }
}

async fn list(State(shared): State<Shared>) -> Response {
    let names = shared.controller.list();
    json_answer(StatusCode::OK, &json!({ "infrastructures": names }))
}

async fn stages(State(shared): State<Shared>, Path(infrastructure): Path<String>) -> Response {
    let report = shared.controller.look(&infrastructure, |session| {
        let stages: Vec<_> = session
            .stages()
            .map(|(name, id, stage, number)| {
                json!({ "process": name, "node": id, "stage": stage, "breakpoint": number })
            })
            .collect();
        json!({
            "processes": stages,
            "breakpoints": session.collective_breakpoint(),
            "consistent": session.state().is_some(),
            "outcome": session.outcome(),
        })
    });
    match report {
        Some(report) => json_answer(StatusCode::OK, &report),
        None => unknown_infrastructure(&infrastructure),
    }
}

async fn breakpoints(
    State(shared): State<Shared>,
    Path((infrastructure, node)): Place,
) -> Response {
    let found = shared.controller.look(&infrastructure, |session| {
        let breakpoints = session.breakpoints(&node)?;
        Some(json!(breakpoints.collect::<Vec<_>>()))
    });
    match found {
        Some(Some(breakpoints)) => json_answer(StatusCode::OK, &breakpoints),
        Some(None) => Refusal::UnknownProcess(node).into_response(),
        None => unknown_infrastructure(&infrastructure),
    }
}
