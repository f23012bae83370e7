//! Notices that the cloud is about to take spare capacity back.

use std::collections::HashMap;

use zenekar_base::ResourceState;

use crate::answer::{items, text, text_at};
use crate::api::Api;
use crate::error::{ApiError, one_line};
use crate::instance::Seen;
use crate::limits::FILTER_VALUES_MAX;
use crate::request::Request;

/// States of a request in which nothing is announced.
const QUIET: &[&str] = &["fulfilled", "pending-evaluation", "pending-fulfillment"];

/// Asks for the states of the requests that instances came from, and notes what
/// is announced. Costs nothing where there are no spot instances.
pub(crate) async fn note(api: &Api, seen: &mut [Seen]) -> Result<(), ApiError> {
    let live: Vec<String> = seen
        .iter()
        .filter(|one| !matches!(one.view.state, ResourceState::Gone))
        .filter_map(|one| one.spot_request.clone())
        .collect();
    let mut notices: HashMap<String, String> = HashMap::new();
    for batch in live.chunks(FILTER_VALUES_MAX as usize) {
        let request = Request::reading("DescribeSpotInstanceRequests")
            .filtered("spot-instance-request-id", batch.iter().map(String::as_str));
        let found = api
            .pages(&request, |root, found: &mut Vec<(String, String)>| {
                for item in items(root, "spotInstanceRequestSet") {
                    let Some(id) = text(item, "spotInstanceRequestId") else {
                        continue;
                    };
                    let code = text_at(item, &["status", "code"]).unwrap_or("fulfilled");
                    if !QUIET.contains(&code) {
                        found.push((id.to_owned(), code.to_owned()));
                    }
                }
            })
            .await?;
        notices.extend(found);
    }
    for one in seen {
        let notice = one.spot_request.as_ref().and_then(|id| notices.get(id));
        if let Some(code) = notice
            && one.view.detail.is_none()
        {
            one.view.detail = Some(match code.as_str() {
                "marked-for-termination" => {
                    "the cloud takes the spot instance back within two minutes".to_owned()
                }
                code => format!("spot request: {}", one_line(code)),
            });
        }
    }
    Ok(())
}
