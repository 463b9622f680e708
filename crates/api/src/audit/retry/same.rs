//! Whether an answer is as the recorded one was. Headers are compared as both entries hold them, masked alike.

use doorman_client::wire::{Headers, Outcome, OutcomeState, Same};
use doorman_door::courier::Delivery;
use std::collections::BTreeSet;

/// Headers that differ from one answer to the next by their nature.
const VOLATILE: [&str; 4] = ["date", "age", "x-request-id", "server-timing"];

/// Holds the answer and its entry's outcome against the recorded outcome.
pub(super) fn compare(before: Option<&Outcome>, now: Option<&Outcome>, delivery: &Delivery) -> Same {
    let Some(before) = before.filter(|before| before.state == OutcomeState::Done) else {
        return Same { status: None, headers: None, body: None, differing_headers: Vec::new() };
    };
    // The digest of an answer that broke off is that of its beginning.
    let kept_digest = before.body_sha256.as_ref().filter(|_| before.error.is_none());
    let digest = delivery.body_sha256.map(hex::encode);
    let body = kept_digest.zip(digest).map(|(before, now)| *before == now);
    let differing_headers = now.map(|now| differing(&before.headers, &now.headers));
    Same {
        status: before.status.map(|status| status == delivery.status.as_u16()),
        headers: differing_headers.as_ref().map(Vec::is_empty),
        body,
        differing_headers: differing_headers.unwrap_or_default(),
    }
}

fn differing(before: &Headers, now: &Headers) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differs = |name: &&String| before.get(*name) != now.get(*name) && !VOLATILE.contains(&name.as_str());
    names.into_iter().filter(differs).cloned().collect()
}
