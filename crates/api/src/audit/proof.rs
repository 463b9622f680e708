//! Proofs that one entry is in the log.

use super::readable_entry;
use crate::error::ApiResult;
use crate::gate::Authorized;
use crate::input::Segments;
use crate::state::ApiState;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use doorman_core::proof::{Inclusion, Proof};
use doorman_core::record::Record;
use doorman_core::statement::StatementLine;
use doorman_core::verify::StoredEntry;
use doorman_door::Problem;
use http::header;
use std::sync::Arc;
use std::time::Duration;

/// A signature is stored with the next batch, or when the writer is idle: worth waiting for.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Prove an entry
///
/// A small document that proves to anyone with the public keys that the entry, and its outcome where there is one, are in
/// the log as signed: `doorman audit check-proof`. It holds what was recorded.
#[utoipa::path(get, path = "/api/v1/audit/{id}/proof", tag = "audit",
    params(("id" = String, Path, description = "The entry's id.")),
    responses((status = 200, description = "The proof.", body = serde_json::Value)))]
pub(crate) async fn prove_entry(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Response> {
    let (item, _) = readable_entry(&state, &caller, &id).await?;
    state.note_reading(&caller, &[("proof", &id)]).await?;
    let entry = inclusion(&state, item.id).await?;
    let end = item.outcome.as_deref().and_then(|record| Record::from_bytes(record).ok());
    let outcome = match end {
        Some(end) => Some(inclusion(&state, end.id).await?),
        None => None,
    };
    let proof = Proof::new(entry, outcome).to_json();
    Ok(([(header::CONTENT_TYPE, "application/json")], proof).into_response())
}

async fn inclusion(state: &ApiState, id: AuditId) -> ApiResult<Inclusion> {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let Some((writer, batch)) = state.database.batch_of(id).await? else { break };
        let Some(signature) = batch.signature else { continue };
        let entries: Vec<_> = batch
            .entries
            .iter()
            .map(|entry| StoredEntry { id: entry.id, claims: &entry.claims, record: &entry.record })
            .collect();
        let line = StatementLine {
            writer,
            number: batch.number,
            body: batch.statement,
            signature: <[u8; 64]>::try_from(signature).ok(),
            leaves: Vec::new(),
        };
        let index = entries.iter().position(|entry| entry.id == id);
        if let Some(inclusion) = index.and_then(|index| Inclusion::new(&line, &entries, index)) {
            return Ok(inclusion);
        }
        break;
    }
    let detail = "No signed statement covers this entry, so there is nothing to prove it with.";
    Err(Problem::new(Code::Conflict, detail)
        .hint("If it is new, try again in a moment; if not, run `doorman audit verify`.")
        .into())
}
