//! Which path is which operation.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::answers::{complete, done, handled, json_answer, not_found, page};
use crate::limits::{BODY_BYTES_MAX, BODY_TIMEOUT};
use crate::operations::{Arguments, OperationError, Operations};

type Shared = Arc<dyn Operations>;

/// Makes the paths of the service.
pub(crate) fn router(operations: Shared) -> Router {
    let paths = Router::new()
        .route("/infrastructures/", get(list).post(submit))
        .route("/infrastructures/{id}", get(report).delete(delete))
        .route("/infrastructures/{id}/attach", post(attach))
        .route("/infrastructures/{id}/detach", post(detach))
        .route("/infrastructures/{id}/scaleup/{node}", post(scale_up_one))
        .route(
            "/infrastructures/{id}/scaleup/{node}/{count}",
            post(scale_up),
        )
        .route(
            "/infrastructures/{id}/scaledown/{node}",
            post(scale_down_any),
        )
        .route(
            "/infrastructures/{id}/scaledown/{node}/{instance}",
            post(scale_down),
        )
        .route(
            "/infrastructures/{id}/scaleto/{node}/{count}",
            post(scale_to),
        )
        .route("/infrastructures/{id}/notify", post(notify))
        .route("/infrastructures/{id}/cost", get(cost))
        .route("/info/{key}", get(information))
        .fallback(|request: Request| async move { not_found(request.uri()) })
        .method_not_allowed_fallback(async || page(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(operations);
    // Which methods a path takes is only known outside of the paths.
    Router::new()
        .fallback_service(paths)
        .layer(from_fn(completed))
}

async fn completed(request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    complete(&method, &headers, next.run(request).await)
}

/// Carries an operation out to its end, also if the client hangs up meanwhile.
async fn carry_out<F>(work: F) -> Response
where
    F: Future<Output = Result<Value, OperationError>> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(Ok(value)) => done(&value),
        Ok(Err(error)) => error.into_response(),
        Err(error) => json_answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({ "message": format!("the operation ended early: {error}") }),
        ),
    }
}

/// Reads the body, whatever type the client says that it has.
async fn read_body(request: Request) -> Result<Bytes, Response> {
    let (_, body) = request.into_parts();
    let read = axum::body::to_bytes(body, BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(page(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(_) => Err(page(StatusCode::REQUEST_TIMEOUT)),
    }
}

async fn submit(State(operations): State<Shared>, request: Request) -> Response {
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if body.is_empty() {
        return handled(400, "Empty POST data", "");
    }
    let Ok(description) = String::from_utf8(body.into()) else {
        return handled(400, "the description is not UTF-8", "");
    };
    carry_out(async move {
        let id = operations.submit(description).await?;
        Ok(json!({ "infraid": id }))
    })
    .await
}

async fn list(State(operations): State<Shared>) -> Response {
    carry_out(async move {
        let ids = operations.list().await?;
        // The first is what the documentation says, the second what clients get.
        Ok(json!({ "infrastructures": ids, "infrastuctures": ids }))
    })
    .await
}

async fn report(State(operations): State<Shared>, Path(id): Path<String>) -> Response {
    carry_out(async move {
        let report = operations.report(&id).await?;
        serde_json::to_value(report).map_err(|error| OperationError::Internal(error.to_string()))
    })
    .await
}

async fn delete(State(operations): State<Shared>, Path(id): Path<String>) -> Response {
    carry_out(async move {
        operations.delete(&id).await?;
        Ok(json!({ "infraid": id }))
    })
    .await
}

async fn attach(State(operations): State<Shared>, Path(id): Path<String>) -> Response {
    carry_out(async move {
        operations.attach(&id).await?;
        Ok(json!({ "infraid": id }))
    })
    .await
}

async fn detach(State(operations): State<Shared>, Path(id): Path<String>) -> Response {
    carry_out(async move {
        operations.detach(&id).await?;
        Ok(json!({ "infraid": id }))
    })
    .await
}

/// Why a path has no count.
enum WrongCount {
    /// Something else stands there, so the path is none of ours.
    NoCount,
    /// There cannot be so many instances.
    TooLarge(String),
}

impl IntoResponse for WrongCount {
    fn into_response(self) -> Response {
        match self {
            Self::NoCount => page(StatusCode::NOT_FOUND),
            Self::TooLarge(digits) => handled(400, &format!("count {digits} is too large"), ""),
        }
    }
}

/// Reads a count as a path has it: digits only.
fn count_of(text: &str) -> Result<u32, WrongCount> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WrongCount::NoCount);
    }
    text.parse()
        .map_err(|_| WrongCount::TooLarge(text.to_owned()))
}

async fn scale_up_one(
    State(operations): State<Shared>,
    Path((id, node)): Path<(String, String)>,
) -> Response {
    more(operations, id, node, 1).await
}

async fn scale_up(
    State(operations): State<Shared>,
    Path((id, node, count)): Path<(String, String, String)>,
) -> Response {
    match count_of(&count) {
        Ok(count) => more(operations, id, node, count).await,
        Err(wrong) => wrong.into_response(),
    }
}

async fn more(operations: Shared, id: String, node: String, count: u32) -> Response {
    carry_out(async move {
        operations.scale_up(&id, &node, count).await?;
        Ok(json!({ "count": count, "infraid": id, "method": "scaleup", "nodename": node }))
    })
    .await
}

async fn scale_to(
    State(operations): State<Shared>,
    Path((id, node, count)): Path<(String, String, String)>,
) -> Response {
    let count = match count_of(&count) {
        Ok(count) => count,
        Err(wrong) => return wrong.into_response(),
    };
    carry_out(async move {
        operations.scale_to(&id, &node, count).await?;
        Ok(json!({ "count": count, "infraid": id, "method": "scaleto", "nodename": node }))
    })
    .await
}

async fn scale_down_any(
    State(operations): State<Shared>,
    Path((id, node)): Path<(String, String)>,
) -> Response {
    fewer(operations, id, node, None).await
}

async fn scale_down(
    State(operations): State<Shared>,
    Path((id, node, instance)): Path<(String, String, String)>,
) -> Response {
    fewer(operations, id, node, Some(instance)).await
}

async fn fewer(operations: Shared, id: String, node: String, instance: Option<String>) -> Response {
    carry_out(async move {
        operations
            .scale_down(&id, &node, instance.as_deref())
            .await?;
        Ok(json!({ "infraid": id, "method": "scaledown", "nodeid": instance, "nodename": node }))
    })
    .await
}

async fn notify(
    State(operations): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if body.is_empty() {
        return handled(400, "Empty POST data", "");
    }
    let notification: Value = match serde_json::from_slice(&body) {
        Ok(notification) => notification,
        Err(error) => return handled(400, &format!("the notification is not JSON: {error}"), ""),
    };
    carry_out(async move {
        operations.notify(&id, notification).await?;
        Ok(json!({ "infraid": id }))
    })
    .await
}

async fn cost(State(operations): State<Shared>, Path(id): Path<String>) -> Response {
    carry_out(async move { Ok(operations.cost(&id).await?.to_json()) }).await
}

async fn information(
    State(operations): State<Shared>,
    Path(key): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Response {
    let mut arguments = Arguments::new();
    for (name, value) in pairs {
        // The first of several counts, as in the original.
        arguments.entry(name).or_insert(value);
    }
    carry_out(async move {
        let result = operations.information(&key, arguments).await?;
        Ok(json!({ "result": result }))
    })
    .await
}
