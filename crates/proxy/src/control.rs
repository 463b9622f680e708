//! What `api` may ask a proxy besides forwarding: how it is, and its receipts. Never forwards anything.

use crate::answer::{AnswerBody, plain, unauthorized};
use crate::receipts::{Cursor, Reading};
use crate::server::Shared;
use doorman_core::keys::KeyUse;
use doorman_core::token;
use http::{HeaderMap, Response, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;

/// Where `api` polls.
pub const STATUS_PATH: &str = "/control/v1/status";

/// Where `api` collects receipts: `?after=CURSOR`, or without it to learn which proxy this is and with what to begin. The answer is a line of JSON, [`ReceiptsHead`], and the bytes of its
/// pieces one behind another.
pub const RECEIPTS_PATH: &str = "/control/v1/receipts";

/// Bytes of receipts in one answer.
const MAX_RECEIPTS: usize = 1 << 20;

#[derive(Serialize)]
struct ReceiptsHead {
    proxy: String,
    cursor: String,
    complete: bool,
    pieces: Vec<PieceHead>,
}

#[derive(Serialize)]
struct PieceHead {
    segment: u64,
    start: u64,
    length: usize,
}

#[derive(Serialize)]
struct Status<'a> {
    boot_id: String,
    region: &'a str,
    draining: bool,
    statement_keys: Vec<String>,
    services: Vec<crate::registry::ServiceStatus<'a>>,
}

/// Answers a poll that carries a control token for this region.
pub(crate) fn status(shared: &Shared, headers: &HeaderMap, now_ms: u64) -> Response<AnswerBody> {
    if !is_ours(shared, headers, now_ms) {
        return unauthorized();
    }
    let keys = shared.trust.keys();
    let status = Status {
        boot_id: shared.boot.to_string(),
        region: &shared.region,
        draining: shared.is_draining(),
        statement_keys: keys.ids(KeyUse::Statement).map(|id| id.to_string()).collect(),
        services: shared.registry.status(),
    };
    plain(StatusCode::OK, "application/json", serde_json::to_vec(&status).unwrap_or_default())
}

/// Answers a collector that carries a control token for this region.
pub(crate) async fn receipts(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    query: Option<&str>,
    now_ms: u64,
) -> Response<AnswerBody> {
    if !is_ours(shared, headers, now_ms) {
        return unauthorized();
    }
    let Some(query) = query else {
        let nothing = Reading { pieces: Vec::new(), cursor: Cursor::default(), complete: false };
        return plain(StatusCode::OK, "application/octet-stream", to_bytes(shared, nothing));
    };
    let Ok(after) = query.strip_prefix("after=").unwrap_or_default().parse::<Cursor>() else {
        return plain(StatusCode::BAD_REQUEST, "text/plain", "after=CURSOR, as given before\n");
    };
    let of_shelf = shared.clone();
    let read = tokio::task::spawn_blocking(move || of_shelf.shelf.read(after, MAX_RECEIPTS)).await;
    match read.map_err(std::io::Error::other).flatten() {
        Ok(reading) => plain(StatusCode::OK, "application/octet-stream", to_bytes(shared, reading)),
        Err(error) => {
            tracing::error!(%error, "receipts cannot be read");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "receipts cannot be read\n")
        }
    }
}

fn to_bytes(shared: &Shared, reading: Reading) -> Vec<u8> {
    let pieces = reading.pieces.iter();
    let head = ReceiptsHead {
        proxy: shared.shelf.proxy().to_string(),
        cursor: reading.cursor.to_string(),
        complete: reading.complete,
        pieces: pieces
            .map(|piece| PieceHead { segment: piece.segment, start: piece.start, length: piece.bytes.len() })
            .collect(),
    };
    let mut out = serde_json::to_vec(&head).unwrap_or_default();
    out.push(b'\n');
    reading.pieces.iter().for_each(|piece| out.extend_from_slice(&piece.bytes));
    out
}

/// Whether a request carries a control token for this region.
pub(crate) fn is_ours(shared: &Shared, headers: &HeaderMap, now_ms: u64) -> bool {
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let keys = shared.trust.keys();
    token.is_some_and(|token| {
        token::verify_control(&keys, CONTROL_ISSUER, &audience(&shared.region), token, now_ms).is_ok()
    })
}

/// The issuer of control tokens.
pub const CONTROL_ISSUER: &str = "doorman-api";

/// The audience of control tokens for a region.
pub fn audience(region: &str) -> String {
    format!("proxy:{region}")
}
