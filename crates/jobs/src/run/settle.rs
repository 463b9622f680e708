//! Items whose attempts' ends become known when nobody waits for them any more: a region's receipts tell.

use super::item::clip;
use super::spec::Layout;
use super::{Jobs, show_id};
use doorman_core::id::AuditId;
use doorman_core::rollout::ItemState;
use doorman_store::{ItemEnd, StoreError};

/// How an attempt ended, as far as a region knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LateEnd<'a> {
    /// The service answered with this status. What it said is not known.
    Answered(u16),
    /// Nothing was sent, and why: a stable code.
    NotSent(&'a str),
}

impl Jobs {
    /// Ends the item of an attempt, with its chunk's counts; nothing happens to one that has ended, or has another attempt
    /// by now.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn settle_item(
        &self,
        (run, item): ([u8; 16], u64),
        attempt: AuditId,
        end: LateEnd<'_>,
    ) -> Result<(), StoreError> {
        let Some(row) = self.database.run(&run).await? else { return Ok(()) };
        let layout = match Layout::open(&row.spec) {
            Ok(layout) => layout,
            Err(error) => {
                // Others are settled none the less.
                tracing::error!(run = %show_id(&run), %error, "a run cannot be read");
                return Ok(());
            }
        };
        let (state, status, error) = judge(&layout, item, end);
        let error = error.as_deref().map(clip);
        let end = ItemEnd { run, item, audit: attempt, state, status, error, due_ms: None };
        self.database.settle_late(&end).await
    }
}

fn judge(layout: &Layout, item: u64, end: LateEnd<'_>) -> (ItemState, Option<u16>, Option<String>) {
    let region = layout.rollout.place(item).and_then(|place| place.region);
    let success = &layout.rollout.plan().region(region).success;
    match end {
        LateEnd::NotSent(why) => (ItemState::Failed, None, Some(why.to_owned())),
        LateEnd::Answered(status) => match success.judge_status(status) {
            Err(why) => (ItemState::Failed, Some(status), Some(why)),
            Ok(()) if !success.needs_body() => (ItemState::Done, Some(status), None),
            Ok(()) => {
                let why = "answered, and what it said is not known";
                (ItemState::Unknown, Some(status), Some(why.to_owned()))
            }
        },
    }
}
