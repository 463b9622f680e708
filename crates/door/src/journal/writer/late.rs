//! Batches whose COMMIT was sent and whose answer was lost: whether they came after all.

use super::super::CommitFailure;
use super::super::queue::{Ack, Plain, Wakes};
use super::{Sealed, State, Taken};
use doorman_core::id::AuditId;
use doorman_core::keys::SigningKey;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A batch whose COMMIT may still be on its way to the database.
pub(super) struct Late {
    sealed: Sealed,
    /// How many of its entries are attempts; they come first.
    attempts: usize,
    /// The key that the statement names.
    key: Arc<SigningKey>,
}

impl State {
    /// COMMIT was sent and its answer lost: ask a fresh connection until it can tell.
    pub(super) async fn settle_unknown(
        &mut self,
        taken: Taken,
        sealed: Sealed,
        key: Arc<SigningKey>,
        wakes: &mut Wakes,
    ) {
        self.queue.unavailable.store(true, Ordering::Relaxed);
        let Taken { attempts, plain } = taken;
        let ids: Vec<AuditId> = sealed.ids.iter().skip(attempts.len()).copied().collect();
        let number = self.chain.number;
        self.late.push(Late { sealed, attempts: attempts.len(), key });
        let newest = self.late.len();
        for attempt in attempts {
            attempt.ack.refuse(CommitFailure::Unavailable, wakes);
        }
        drop(std::mem::take(wakes));
        let writer = self.chain.writer;
        let is_there = loop {
            match tokio::time::timeout(self.config.commit_timeout, self.database.resolve(writer, number))
                .await
            {
                Ok(Ok(is_there)) => break is_there,
                Ok(Err(error)) => tracing::warn!(%error, "the journal's database cannot be asked"),
                Err(_) => tracing::warn!("the journal's database does not answer"),
            }
            if self.queue.waiting.lock().closing {
                return;
            }
            self.refuse_waiting();
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        if !is_there || self.adopt_late().await != Some(newest - 1) {
            return self.keep_outcomes(plain, wakes);
        }
        for (entry, id) in plain.into_iter().zip(ids) {
            if let Ack::Channel(sender) = entry.ack {
                let _ = sender.send(Ok(id));
            }
        }
    }

    /// Looks which of the batches that were given up stands under the number that the writer is at, and goes on behind it:
    /// its attempts are in the log and nothing of them was sent. Gives its place among them.
    pub(super) async fn adopt_late(&mut self) -> Option<usize> {
        let (writer, number) = (self.chain.writer, self.chain.number);
        let read = async { self.database.read_batches(writer, number).await?.next().await };
        let stored = match tokio::time::timeout(self.config.commit_timeout, read).await {
            Ok(Ok(stored)) => stored?.statement,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a late batch cannot be read");
                return None;
            }
            Err(_) => return None,
        };
        let place = self.late.iter().position(|late| late.sealed.body == stored)?;
        let Late { sealed, attempts, key } = self.late.swap_remove(place);
        let published = self.advance(sealed, &key)?;
        let now_ms = (self.around.now_ms)();
        let abandoned = published.ids.iter().take(attempts).map(|id| Plain {
            record: crate::outcome::abandoned(*id, now_ms),
            ack: Ack::None,
            item: None,
        });
        self.queue.waiting.lock().outcomes.extend(abandoned);
        Some(place)
    }

    /// While the database cannot be asked, callers are told at once.
    fn refuse_waiting(&self) {
        let mut wakes = Wakes::default();
        let (attempts, refusals) = {
            let mut waiting = self.queue.waiting.lock();
            (std::mem::take(&mut waiting.attempts), std::mem::take(&mut waiting.refusals))
        };
        for attempt in attempts {
            attempt.ack.refuse(CommitFailure::Unavailable, &mut wakes);
        }
        for refusal in refusals {
            refusal.ack.refuse(CommitFailure::Unavailable, &mut wakes);
        }
    }
}
