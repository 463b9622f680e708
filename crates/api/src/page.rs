//! Pages of lists.

use crate::error::{ApiError, ApiResult};
use serde::Deserialize;
use utoipa::IntoParams;

/// Most items of one page.
pub(crate) const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Items in a page, 1 to 500; 50 without it.
    pub limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    pub cursor: Option<String>,
}

impl PageParams {
    /// Limit and cursor, both checked.
    pub fn checked(&self) -> ApiResult<(u32, Option<&str>)> {
        Ok((checked_limit(self.limit)?, checked_cursor(self.cursor.as_deref())?))
    }
}

/// A limit within bounds.
pub(crate) fn checked_limit(limit: Option<u32>) -> ApiResult<u32> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        0 => Err(ApiError::field("limit", "at least 1")),
        limit if limit > MAX_LIMIT => Err(ApiError::field("limit", format!("at most {MAX_LIMIT}"))),
        limit => Ok(limit),
    }
}

/// A cursor that looks like one of ours: lower-case hex of some key.
pub(crate) fn checked_cursor(cursor: Option<&str>) -> ApiResult<Option<&str>> {
    let is_ours = |text: &str| {
        !text.is_empty()
            && text.len() <= 512
            && text.len().is_multiple_of(2)
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match cursor {
        Some(text) if !is_ours(text) => {
            Err(ApiError::field("cursor", "not a cursor of this list; hand back `next_cursor` as it came"))
        }
        cursor => Ok(cursor),
    }
}
