//! The items of a run: in pages, and all of them as a stream joined to their rows.

use super::right::find_run;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Params, Segments};
use crate::page::checked_limit;
use crate::state::ApiState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_client::wire::{self, ItemQuery, ItemState, List, ResultsFormat, Row};
use doorman_core::id::AuditId;
use doorman_jobs::run::Layout;
use doorman_policy::action;
use doorman_store::{Item, ItemFilter, RunRow};
use futures_util::stream;
use http::header;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::IntoParams;

/// Items that are read at once for a stream.
const AT_ONCE: u32 = 1_000;

/// The items of a run
///
/// In the order of sending, each with its row.
#[utoipa::path(get, path = "/api/v1/runs/{id}/items", tag = "runs",
    params(("id" = String, Path, description = "The run's id."), ItemQuery),
    responses((status = 200, description = "A page.", body = List<wire::Item>)))]
pub(crate) async fn list_run_items(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    Params(query): Params<ItemQuery>,
) -> ApiResult<Json<List<wire::Item>>> {
    let limit = checked_limit(query.limit)?;
    let from = query.cursor.as_deref().map(str::parse).transpose();
    let from: u64 =
        from.map_err(|_| ApiError::field("cursor", "hand back `next_cursor` as it came"))?.unwrap_or(0);
    let wanted = query.state.as_deref().map(checked_state).transpose()?;
    let (run, _) = find_run(&state, &caller, &id, action::JOB_READ).await?;
    let layout = Layout::open(&run.spec).map_err(ApiError::internal)?;
    let items = page(&state, &run, &layout, wanted, from, limit).await?;
    let is_full = items.len() >= limit as usize;
    let next_cursor = items.last().map(|last| last.index + 1).filter(|next| is_full && *next < run.total);
    Ok(Json(List { items, next_cursor: next_cursor.map(|next| next.to_string()) }))
}

fn checked_state(text: &str) -> ApiResult<ItemState> {
    let found = ItemState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| ApiError::field("state", "pending, sending, done, failed, unknown or skipped"))
}

/// Items from `from` on. Those that nobody has claimed are pending, or skipped when the run was cancelled.
async fn page(
    state: &ApiState,
    run: &RunRow,
    layout: &Layout,
    wanted: Option<ItemState>,
    from: u64,
    limit: u32,
) -> ApiResult<Vec<wire::Item>> {
    let filter = ItemFilter { state: wanted, from, limit };
    let mut items = state.database.items_page(&run.id, &filter).await?;
    // What was claimed after the run's row was read is still among those below.
    items.retain(|item| item.item < run.next_item);
    let unclaimed = if run.state == "cancelled" { ItemState::Skipped } else { ItemState::Pending };
    if wanted.is_none_or(|wanted| wanted == unclaimed) {
        let first = from.max(run.next_item);
        let room = u64::from(limit) - items.len() as u64;
        let rest = (first..run.total.min(first.saturating_add(room))).map(|item| Item {
            item,
            state: unclaimed,
            attempts: 0,
            audit: None,
            status: None,
            error: None,
        });
        items.extend(rest);
    }
    join(state, run, layout, items).await
}

/// Puts each item's row beside it.
async fn join(
    state: &ApiState,
    run: &RunRow,
    layout: &Layout,
    items: Vec<Item>,
) -> ApiResult<Vec<wire::Item>> {
    let numbers: Vec<u64> =
        items.iter().filter_map(|item| layout.rollout.place(item.item)).map(|place| place.row).collect();
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    if let Some(input) = &run.input {
        let mut sorted = numbers;
        sorted.sort_unstable();
        sorted.dedup();
        let mut stretches: Vec<(u64, u64)> = Vec::new();
        for number in sorted {
            match stretches.last_mut() {
                Some((_, last)) if number - *last <= 20 => *last = number,
                _ => stretches.push((number, number)),
            }
        }
        for (first, last) in stretches {
            for row in state.database.input_rows(input, first, last + 1).await? {
                rows.insert(row.number, serde_json::from_str(&row.content).unwrap_or_default());
            }
        }
    }
    let shown = items.into_iter().map(|item| {
        let place = layout.rollout.place(item.item);
        let fans_out = place.as_ref().and_then(|place| place.region);
        wire::Item {
            index: item.item,
            input: place.and_then(|place| rows.get(&place.row)).cloned().unwrap_or_default(),
            state: item.state,
            status: item.status,
            audit_id: item.audit.map(|id| AuditId(id).to_string()),
            error: item.error,
            attempts: u32::try_from(item.attempts).unwrap_or(u32::MAX),
            region: fans_out.map(str::to_owned),
            instance: place.and_then(|place| layout.instance(&place)).map(str::to_owned),
        }
    });
    Ok(shown.collect())
}

/// How results are wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    /// `csv` (the default) or `jsonl`.
    pub format: Option<String>,
    /// Items in this state alone.
    pub state: Option<String>,
}

/// The results of a run
///
/// A stream of all items, each joined to its row.
#[utoipa::path(get, path = "/api/v1/runs/{id}/results", tag = "runs",
    params(("id" = String, Path, description = "The run's id."), ResultsQuery),
    responses((status = 200, description = "The columns of the input, then `doorman_index`, `doorman_state`, `doorman_status`, `doorman_error`, `doorman_attempts`, `doorman_audit_id`, `doorman_region`, `doorman_instance`; or one item a line.",
        content((String = "text/csv"), (String = "application/jsonl")))))]
pub(crate) async fn stream_results(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    Params(query): Params<ResultsQuery>,
) -> ApiResult<Response> {
    let format = match query.format.as_deref() {
        None | Some("csv") => ResultsFormat::Csv,
        Some("jsonl") => ResultsFormat::Jsonl,
        Some(_) => return Err(ApiError::field("format", "csv or jsonl")),
    };
    let wanted = query.state.as_deref().map(checked_state).transpose()?;
    let (run, _) = find_run(&state, &caller, &id, action::JOB_READ).await?;
    state.note_reading(&caller, &[("reading", "results"), ("run", &id)]).await?;
    let layout = Layout::open(&run.spec).map_err(ApiError::internal)?;
    let columns = match &run.input {
        Some(input) => state.database.input(input).await?.unwrap_or_default().columns,
        None => Vec::new(),
    };
    let head = match format {
        ResultsFormat::Csv => csv_head(&columns),
        ResultsFormat::Jsonl => String::new(),
    };
    let context = Arc::new((state, run.id, layout, columns));
    let parts = stream::try_unfold(Some((head, 0u64)), move |at| {
        let context = context.clone();
        async move {
            let Some((mut text, from)) = at else { return Ok::<_, ApiError>(None) };
            let (state, run, layout, columns) = &*context;
            // The run goes on while its results are read.
            let run = state.database.run(run).await?.ok_or_else(|| ApiError::not_found("run"))?;
            let items = page(state, &run, layout, wanted, from, AT_ONCE).await?;
            for item in &items {
                match format {
                    ResultsFormat::Csv => put_csv(&mut text, columns, item),
                    ResultsFormat::Jsonl => {
                        text.push_str(&serde_json::to_string(item).unwrap_or_default());
                        text.push('\n');
                    }
                }
            }
            let next = items.last().map(|last| (String::new(), last.index + 1));
            Ok(if next.is_none() && text.is_empty() { None } else { Some((text, next)) })
        }
    });
    let kind = match format {
        ResultsFormat::Csv => "text/csv; charset=utf-8",
        ResultsFormat::Jsonl => "application/jsonl",
    };
    let parts =
        futures_util::TryStreamExt::map_err(parts, |_| std::io::Error::other("the results broke off"));
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(parts)).into_response())
}

/// Columns of Doorman's own, behind those of the input.
const OWN: [&str; 8] = [
    "doorman_index",
    "doorman_state",
    "doorman_status",
    "doorman_error",
    "doorman_attempts",
    "doorman_audit_id",
    "doorman_region",
    "doorman_instance",
];

fn csv_head(columns: &[String]) -> String {
    let names = columns.iter().map(String::as_str).chain(OWN).map(cell);
    names.collect::<Vec<_>>().join(",") + "\r\n"
}

fn put_csv(text: &mut String, columns: &[String], item: &wire::Item) {
    let value = |column: &String| match item.input.get(column) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(value)) => cell(value),
        Some(value) => cell(&value.to_string()),
    };
    let own = [
        item.index.to_string(),
        item.state.as_str().to_owned(),
        item.status.map(|status| status.to_string()).unwrap_or_default(),
        cell(item.error.as_deref().unwrap_or_default()),
        item.attempts.to_string(),
        item.audit_id.clone().unwrap_or_default(),
        item.region.clone().unwrap_or_default(),
        item.instance.clone().unwrap_or_default(),
    ];
    let cells: Vec<String> = columns.iter().map(value).chain(own).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

/// A cell (RFC 4180), with what a spreadsheet would take for a formula made plain text.
fn cell(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let plain = if !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if plain.contains([',', '"', '\n', '\r']) { format!("\"{}\"", plain.replace('"', "\"\"")) } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_hold_no_formula() {
        for (text, shown) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=cmd()", "'=cmd()"),
            ("-3.5", "-3.5"),
            ("@sum", "'@sum"),
        ] {
            assert_eq!(cell(text), shown);
        }
    }
}
