//! Requests to the process that leads an infrastructure, through the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use zenekar_base::{InfrastructureId, InstanceKey, RequestId};
use zenekar_engine::{Input, ScalingChange, ScalingRequest};
use zenekar_store::RequestRow;

use crate::clock::wall_now;
use crate::error::RuntimeError;
use crate::host::SharedStore;
use crate::limits::APPLIED_POLL_INTERVAL;

/// What one process may ask of the one that leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxRequest {
    /// To change counts.
    Scale(Vec<ScalingChange>),
    /// To take the infrastructure down.
    Teardown,
    /// To try again what was given up.
    Resume,
}

/// The stored form of [`ScalingChange`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredChange {
    To { node: String, count: u32 },
    By { node: String, difference: i64 },
    Remove { instance: InstanceKey },
}

impl InboxRequest {
    fn kind(&self) -> &'static str {
        match self {
            Self::Scale(_) => "scale",
            Self::Teardown => "teardown",
            Self::Resume => "resume",
        }
    }

    fn payload(&self) -> Result<Vec<u8>, RuntimeError> {
        let Self::Scale(changes) = self else {
            return Ok(Vec::new());
        };
        let stored: Vec<StoredChange> = changes
            .iter()
            .map(|change| match change.clone() {
                ScalingChange::To { node, count } => StoredChange::To { node, count },
                ScalingChange::By { node, difference } => StoredChange::By { node, difference },
                ScalingChange::Remove { instance } => StoredChange::Remove { instance },
            })
            .collect();
        serde_json::to_vec(&stored).map_err(|source| RuntimeError::Encode {
            what: "a scaling request",
            source,
        })
    }
}

/// Turns a stored request into an input, or says why it makes no sense.
pub(crate) fn input_of(row: &RequestRow) -> Result<Input, String> {
    match row.kind.as_str() {
        "scale" => {
            let stored: Vec<StoredChange> = serde_json::from_slice(&row.payload)
                .map_err(|error| format!("refused: not a scaling request: {error}"))?;
            let changes = stored
                .into_iter()
                .map(|change| match change {
                    StoredChange::To { node, count } => ScalingChange::To { node, count },
                    StoredChange::By { node, difference } => ScalingChange::By { node, difference },
                    StoredChange::Remove { instance } => ScalingChange::Remove { instance },
                })
                .collect();
            Ok(Input::Scale(ScalingRequest {
                request: row.id.clone(),
                changes,
            }))
        }
        "teardown" => Ok(Input::Teardown),
        "resume" => Ok(Input::Resume),
        other => Err(format!(
            "refused: requests of kind `{other}` are not known to the version that leads"
        )),
    }
}

/// Puts a request into the inbox of an infrastructure. The process that leads
/// it applies it exactly once, however often it is submitted.
pub fn submit(
    store: &SharedStore,
    infrastructure: &InfrastructureId,
    id: &RequestId,
    request: &InboxRequest,
) -> Result<(), RuntimeError> {
    let payload = request.payload()?;
    store.with(|store| {
        store.submit_request(infrastructure, id, request.kind(), &payload, wall_now())
    })?;
    store.count_request();
    Ok(())
}

/// Waits until a request was applied and returns what came of it: `applied`,
/// or `refused: …`. `None` if that did not happen within `patience`.
pub async fn wait_applied(
    store: &SharedStore,
    infrastructure: &InfrastructureId,
    id: &RequestId,
    patience: Duration,
) -> Result<Option<String>, RuntimeError> {
    let end = Instant::now() + patience;
    loop {
        let row = store.with(|store| store.request(infrastructure, id))?;
        if let Some(row) = row.filter(|row| row.applied_at.is_some()) {
            return Ok(Some(row.outcome));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        tokio::time::sleep(APPLIED_POLL_INTERVAL).await;
    }
}
