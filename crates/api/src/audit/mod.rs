//! Reading the audit log: one's own entries or all, as policy permits. Reading is itself an entry.

pub(crate) mod chain;
mod csv;
mod cursor;
mod export;
mod filter;
mod proof;
mod retry;
mod shape;
mod stream;

pub(crate) use export::*;
pub(crate) use proof::*;
pub(crate) use retry::*;
pub(crate) use stream::*;

use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Params, Segments};
use crate::page::checked_limit;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use cursor::Reading;
use doorman_client::wire::{AuditEntry, AuditQuery, List};
use doorman_core::code::Code;
use doorman_door::Problem;
use doorman_policy::{Resource, action};
use doorman_store::AuditItem;
use std::sync::Arc;
use std::time::Duration;

/// A search stops after this long; the page is then short and has a cursor.
const BUDGET: Duration = Duration::from_millis(40);

/// Audit entries
///
/// Newest first: one's own (where actor or subject is the caller), or all to whom policy permits that. A query is an
/// entry of its own, its further pages are not.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page; it may be short or empty while `next_cursor` is not null.", body = List<AuditEntry>)))]
pub(crate) async fn list_entries(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(query): Params<AuditQuery>,
) -> ApiResult<Json<List<AuditEntry>>> {
    let limit = checked_limit(query.limit)?;
    let mut filter = filter::parse(&query)?;
    filter.own_of = own_only(&caller).then(|| caller.caller.subject_text().to_owned());
    let asked = filter::canonical(&query);
    let (reading, at) = match query.cursor.as_deref() {
        Some(cursor) => {
            let (reading, at) = Reading::resume(&state, &caller, &asked, cursor).await?;
            (reading, Some(at))
        }
        None => (Reading::begin(&state, &caller, &asked).await?, None),
    };
    let page = state.database.audit_page(&filter, at.as_deref(), limit, BUDGET).await?;
    let items = page.items.iter().map(shape::entry).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor: page.next_cursor.map(|at| reading.cursor(&at)) }))
}

/// An audit entry
///
/// Another's is as if it were not there, unless policy permits to read all.
#[utoipa::path(get, path = "/api/v1/audit/{id}", tag = "audit",
    params(("id" = String, Path, description = "The entry's id.")),
    responses((status = 200, description = "The entry.", body = AuditEntry)))]
pub(crate) async fn show_entry(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Json<AuditEntry>> {
    let (_, entry) = readable_entry(&state, &caller, &id).await?;
    state.note_reading(&caller, &[("entry", &id)]).await?;
    Ok(Json(entry))
}

/// An entry that the caller may read; any other is as if it were not there.
async fn readable_entry(
    state: &ApiState,
    caller: &Authorized,
    id: &str,
) -> ApiResult<(AuditItem, AuditEntry)> {
    let found = match id.parse() {
        Ok(id) => state.database.audit_entry(id).await?,
        Err(_) => None,
    };
    if let Some(item) = found {
        let entry = shape::entry(&item)?;
        if !own_only(caller) || is_own(caller, &entry) {
            return Ok((item, entry));
        }
    }
    let problem = Problem::new(Code::NotFound, "There is no such entry, or it is not yours to read.")
        .hint("GET /api/v1/audit lists the entries that you may read.");
    Err(state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await)
}

fn own_only(caller: &Authorized) -> bool {
    own_only_for(caller, action::AUDIT_READ)
}

fn own_only_for(caller: &Authorized, action: &'static str) -> bool {
    !caller.may(action, Resource::AuditAll)
}

fn is_own(caller: &Authorized, entry: &AuditEntry) -> bool {
    let own = Some(caller.caller.subject_text());
    entry.actor.as_deref() == own || entry.subject.as_deref() == own
}

/// An entry that cannot be read is a fault of the database.
fn unreadable(item: &AuditItem, error: &serde_json::Error) -> ApiError {
    ApiError::internal(format!("audit entry {} cannot be read: {error}", item.id))
}
