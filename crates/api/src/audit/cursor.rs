//! Cursors of the audit log. Each names the entry that tells of its query, so that no page can be had of a query that
//! nobody wrote down.

use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::state::ApiState;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, Record};

const ID_HEX: usize = 32;
const FILTER: &str = "filter";

/// A query that is written down.
pub(super) struct Reading(AuditId);

impl Reading {
    /// Writes a new query down.
    pub async fn begin(state: &ApiState, caller: &Authorized, asked: &str) -> ApiResult<Self> {
        Ok(Self(state.note_reading(caller, &[(FILTER, asked)]).await?))
    }

    /// The query that a cursor goes on with, and the place in its list. It must be the same caller's and the same.
    pub async fn resume(
        state: &ApiState,
        caller: &Authorized,
        asked: &str,
        cursor: &str,
    ) -> ApiResult<(Self, String)> {
        let refused = || {
            ApiError::field(
                "cursor",
                "not a cursor of this query; hand back `next_cursor` with the same filters",
            )
        };
        let (id, at) = cursor.split_at_checked(ID_HEX).ok_or_else(refused)?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(id, &mut bytes).map_err(|_| refused())?;
        let id = AuditId(bytes);
        let entry = state.database.audit_entry(id).await?.ok_or_else(refused)?;
        let record = Record::from_bytes(&entry.record).map_err(|_| refused())?;
        let is_same = record.kind == Kind::Audit
            && record.actor.as_deref() == Some(caller.caller.actor_text())
            && record.subject.as_deref() == Some(caller.caller.subject_text())
            && record.detail.get(FILTER).is_some_and(|filter| filter == crate::arrival::clip(asked));
        if is_same { Ok((Self(id), at.to_owned())) } else { Err(refused()) }
    }

    /// The cursor of the page at `at`.
    pub fn cursor(&self, at: &str) -> String {
        format!("{}{at}", hex::encode(self.0.0))
    }
}
