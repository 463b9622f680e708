//! Repeating a recorded request, as whoever asks: through the same door, judged anew, an entry of its own.

mod plan;
mod same;

use super::{readable_entry, shape};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{OptionalJson, Segments};
use crate::state::ApiState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_client::wire::{AuditEntry, BodyEncoding, HeaderValue, Headers, RetryAnswer, RetryRequest};
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use doorman_door::courier::{Delivery, Order};
use doorman_door::problem::{AUDIT_ID, ERROR, id_value};
use doorman_door::{Origin, Problem};
use http::{HeaderMap, header};
use plan::Plan;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer's body that are shown.
const KEEP: usize = 1 << 20;
/// Head and body of an answer must come within this time each.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often, and how many times, the outcome is looked for: it is written with the next batch.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Repeat a request
///
/// Sends a recorded request again as the caller, whose rights of now decide, and links both entries. Masked headers are left
/// out; a body or query that was masked, cut or streamed must be supplied. A method that may change something needs
/// `confirm`. The answer says what is the same as the recorded one.
#[utoipa::path(post, path = "/api/v1/audit/{id}/retry", tag = "audit", request_body = RetryRequest,
    params(("id" = String, Path, description = "The entry's id.")),
    responses((status = 200, description = "The service's answer.", body = RetryAnswer)))]
pub(crate) async fn retry_entry(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    OptionalJson(request): OptionalJson<RetryRequest>,
) -> ApiResult<Response> {
    let (item, entry) = readable_entry(&state, &caller, &id).await?;
    let Plan { target, query, method, headers, body, reason } = plan::plan(&entry, request)?;
    let order = Order {
        judge: None,
        caller: caller.caller.clone(),
        target: doorman_door::courier::parse(&state.door, &target, query.as_deref())?,
        method,
        headers,
        body,
        reason: reason.map(Into::into),
        approved: false,
        client_ip: caller.arrival.client_ip,
        origin: Origin { channel: "retry", retry_of: Some(item.id), ..Origin::default() },
        patience: Some(PATIENCE),
        keep: KEEP,
    };
    let delivery = state.door.courier.send(order).await.map_err(|_| {
        Problem::new(Code::RegionUnavailable, "This server is going down. Nothing was sent.")
            .hint("Try again.")
    })?;
    if delivery.error.is_some() {
        return Ok(refusal(delivery));
    }
    let now = match delivery.audit_id {
        Some(id) => settled(&state, id).await?,
        None => None,
    };
    Ok(Json(answer(&entry, now.as_ref(), delivery)).into_response())
}

/// What Doorman itself answered to the repeated request.
fn refusal(delivery: Delivery) -> Response {
    let mut response = Response::new(Body::from(delivery.body));
    *response.status_mut() = delivery.status;
    let headers = response.headers_mut();
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER, ERROR] {
        headers.extend(delivery.headers.get(&name).map(|value| (name, value.clone())));
    }
    headers.extend(delivery.audit_id.map(|id| (AUDIT_ID, id_value(id))));
    response
}

/// The new entry with its outcome, if that comes soon.
async fn settled(state: &ApiState, id: AuditId) -> ApiResult<Option<AuditEntry>> {
    for _ in 0..LOOKS {
        if let Some(item) = state.database.audit_entry(id).await?
            && item.outcome.is_some()
        {
            return Ok(Some(shape::entry(&item)?));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

fn answer(before: &AuditEntry, now: Option<&AuditEntry>, delivery: Delivery) -> RetryAnswer {
    let outcome = |entry: &AuditEntry| entry.outcome.clone();
    let same = same::compare(before.outcome.as_ref(), now.and_then(outcome).as_ref(), &delivery);
    let (body, body_encoding) = match String::from_utf8(delivery.body.to_vec()) {
        Ok(text) => (text, BodyEncoding::Text),
        Err(error) => (STANDARD.encode(error.as_bytes()), BodyEncoding::Base64),
    };
    RetryAnswer {
        audit_id: delivery.audit_id.map(|id| id.to_string()),
        status: delivery.status.as_u16(),
        headers: shown(&delivery.headers),
        body,
        body_encoding,
        body_size: delivery.body_size,
        body_sha256: delivery.body_sha256.map(hex::encode),
        body_truncated: delivery.body.len() as u64 != delivery.body_size,
        instance: delivery.instance,
        same,
    }
}

fn shown(headers: &HeaderMap) -> Headers {
    let text = |value: &http::HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", STANDARD.encode(value.as_bytes())),
    };
    let values = |name: &http::HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>();
    let value = |mut values: Vec<String>| match values.len() {
        1 => HeaderValue::One(values.pop().unwrap_or_default()),
        _ => HeaderValue::Many(values),
    };
    headers.keys().map(|name| (name.as_str().to_owned(), value(values(name)))).collect()
}

impl From<Box<Problem>> for ApiError {
    fn from(problem: Box<Problem>) -> Self {
        Self::Problem(problem)
    }
}
