//! Items of runs that move within a commit of the journal: to `sending` with their attempt, to their end with its
//! outcome. Neither can be there without the other.

use crate::driver::args;
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::rollout::ItemState;

/// The stored number of a state: its place in [`ItemState::ALL`].
pub(crate) fn stored(state: ItemState) -> i64 {
    state as i64
}

pub(crate) fn from_stored(number: i64) -> Result<ItemState, StoreError> {
    let state = usize::try_from(number).ok().and_then(|number| ItemState::ALL.get(number));
    state.copied().ok_or(StoreError::Corrupt("unknown state of an item"))
}

/// Makes an item `sending` with its attempt, if it is pending under this fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemMark {
    /// The run.
    pub run: [u8; 16],
    /// The item's number in it.
    pub item: u64,
    /// The fencing number of whoever holds it.
    pub fence: u64,
}

/// Ends an item with the outcome of its attempt, or makes it pending again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemEnd {
    /// The run.
    pub run: [u8; 16],
    /// The item's number in it.
    pub item: u64,
    /// The attempt. An item that has another by now is left as it is.
    pub audit: AuditId,
    /// What it becomes.
    pub state: ItemState,
    /// The status of the answer.
    pub status: Option<u16>,
    /// What went wrong, in short: a stable code.
    pub error: Option<String>,
    /// Not to be sent again before this time.
    pub due_ms: Option<u64>,
}

impl Database {
    /// Which of these attempts' items are not theirs to send; all when that cannot be told any more.
    pub(crate) async fn lost_items(
        &self,
        sending: &[(ItemMark, AuditId)],
    ) -> Result<Vec<AuditId>, StoreError> {
        let mut lost = Vec::new();
        for (mark, audit) in sending {
            let sql = "SELECT 1 FROM run_item WHERE run = ? AND item = ? AND fence = ? AND state = 0";
            if self.pool.row(sql, args![mark.run, mark.item, mark.fence]).await?.is_none() {
                lost.push(*audit);
            }
        }
        if lost.is_empty() {
            lost.extend(sending.iter().map(|(_, audit)| *audit));
        }
        Ok(lost)
    }
}
