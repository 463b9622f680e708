//! Settles `unknown` outcomes by what the regions wrote down: the receipts that proxies kept of the passes that they
//! honoured. Only after the passes have expired, and only by receipts that were collected after that.

use doorman_core::id::AuditId;
use doorman_core::pass::Claims;
use doorman_core::receipt::{End, Ended, Frame, Frames, ProxyId};
use doorman_core::record::{Kind, OutcomeState, Record};
use doorman_door::journal::Draft;
use doorman_jobs::run::{Jobs, LateEnd};
use doorman_store::{Database, ReceiptSource, StoreError, UnknownAttempt};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Older attempts are left as they are: `audit reconcile` still shows what is known of them.
const WINDOW_MS: u64 = 7 * 24 * 3_600_000;
/// A pass is checked when a request's head arrives; its body may take this long before it is honoured.
const BODY_MS: u64 = 20_000;
/// Clocks of proxies may differ by this much.
const SKEW_MS: u64 = 120_000;
/// A request without an end may still be under way for this long.
const UNDER_WAY_MS: u64 = 600_000;
const AT_ONCE: u32 = 500;

/// Attempts of which nothing more will be known.
#[derive(Default)]
pub struct Settled(BTreeSet<AuditId>);

/// An attempt in question.
struct Open {
    id: AuditId,
    /// When its last pass ended.
    expires_ms: u64,
    proxies: BTreeSet<ProxyId>,
    /// The run and the item that it was for.
    item: Option<([u8; 16], u64)>,
}

/// What receipts say of one attempt.
#[derive(Default)]
struct Found {
    honoured: usize,
    ends: Vec<(End, String, ProxyId)>,
}

/// What becomes of an attempt.
enum Verdict {
    /// How it ended: state, status, instance or error, and which proxy knows.
    Ended(OutcomeState, Option<u16>, String, Option<ProxyId>),
    /// Nobody will know.
    Lost,
    /// Ask again later.
    Later,
}

impl Settled {
    /// Looks at every attempt of the last days whose outcome is `unknown`.
    pub async fn settle(&mut self, jobs: &Jobs) -> Result<(), StoreError> {
        let (database, shared) = (&jobs.database, &*jobs.door);
        let now_ms = (shared.now_ms)();
        let from_ms = now_ms.saturating_sub(WINDOW_MS);
        self.0 = self.0.split_off(&AuditId::floor_of(from_ms));
        let sources: HashMap<ProxyId, ReceiptSource> =
            database.receipt_sources().await?.into_iter().map(|source| (source.proxy, source)).collect();
        let mut after = AuditId::default();
        loop {
            let attempts = database.unknown_attempts(from_ms, now_ms, after, AT_ONCE).await?;
            let Some(last) = attempts.last().map(|attempt| attempt.id) else { return Ok(()) };
            self.settle_some(jobs, &sources, attempts).await?;
            after = last;
        }
    }

    async fn settle_some(
        &mut self,
        jobs: &Jobs,
        sources: &HashMap<ProxyId, ReceiptSource>,
        attempts: Vec<UnknownAttempt>,
    ) -> Result<(), StoreError> {
        let (database, now_ms) = (&jobs.database, jobs.now_ms());
        let mut open = Vec::new();
        for attempt in attempts.into_iter().filter(|attempt| !self.0.contains(&attempt.id)) {
            open.extend(opened(database, sources, &attempt).await?);
        }
        let found = read_receipts(database, &open).await?;
        let nothing = Found::default();
        for Open { id, expires_ms, proxies, item } in open {
            match verdict(found.get(&id).unwrap_or(&nothing), id, expires_ms, &proxies, sources, now_ms) {
                Verdict::Later => continue,
                Verdict::Lost => {}
                Verdict::Ended(state, status, what, proxy) => {
                    // First, so that a crash in between leaves the attempt to be looked at again.
                    if let Some(item) = item {
                        let end = status.map_or(LateEnd::NotSent(&what), LateEnd::Answered);
                        jobs.settle_item(item, id, end).await?;
                    }
                    jobs.door.journal.write_later(outcome(id, state, status, what, proxy, now_ms));
                }
            }
            self.0.insert(id);
        }
        Ok(())
    }
}

/// The attempt with the proxies that its passes were for, if all of them have been read since the passes ended.
async fn opened(
    database: &Database,
    sources: &HashMap<ProxyId, ReceiptSource>,
    attempt: &UnknownAttempt,
) -> Result<Option<Open>, StoreError> {
    let (mut expires_ms, mut proxies) = (0, BTreeSet::new());
    for claims in &attempt.claims {
        let Some(claims) = Claims::from_bytes(claims) else { return Ok(None) };
        expires_ms = expires_ms.max(claims.expires_ms);
        match database.proxy_of_boot(claims.audience).await? {
            Some(proxy) => proxies.insert(proxy),
            // It honoured nothing yet, or its receipts have not come.
            None => return Ok(None),
        };
    }
    let is_read = |proxy| sources.get(proxy).is_some_and(|source| source.complete_ms > expires_ms);
    let is_open = !proxies.is_empty() && proxies.iter().all(is_read);
    Ok(is_open.then_some(Open { id: attempt.id, expires_ms, proxies, item: attempt.item }))
}

async fn read_receipts(database: &Database, open: &[Open]) -> Result<HashMap<AuditId, Found>, StoreError> {
    let wanted: HashSet<AuditId> = open.iter().map(|open| open.id).collect();
    let mut since: BTreeMap<ProxyId, u64> = BTreeMap::new();
    for (attempt, proxy) in open.iter().flat_map(|open| open.proxies.iter().map(move |proxy| (open, proxy))) {
        let from = attempt.id.unix_ms().saturating_sub(SKEW_MS);
        since.entry(*proxy).and_modify(|since| *since = from.min(*since)).or_insert(from);
    }
    let mut found: HashMap<AuditId, Found> = HashMap::new();
    for (proxy, since_ms) in since {
        let mut after = None;
        while let Some(piece) = database.next_receipts(proxy, since_ms, after).await? {
            for frame in Frames::new(&piece.frames) {
                match frame {
                    Frame::Honoured(receipt) if wanted.contains(&receipt.audit_id) => {
                        found.entry(receipt.audit_id).or_default().honoured += 1;
                    }
                    Frame::Ended(Ended { audit_id, end, what, .. }) if wanted.contains(&audit_id) => {
                        found.entry(audit_id).or_default().ends.push((end, what.to_owned(), proxy));
                    }
                    _ => {}
                }
            }
            after = Some((piece.segment, piece.start));
        }
    }
    Ok(found)
}

fn verdict(
    found: &Found,
    id: AuditId,
    expires_ms: u64,
    proxies: &BTreeSet<ProxyId>,
    sources: &HashMap<ProxyId, ReceiptSource>,
    now_ms: u64,
) -> Verdict {
    for (end, what, proxy) in &found.ends {
        if let End::Answered(status) = end {
            return Verdict::Ended(OutcomeState::Done, Some(*status), what.clone(), Some(*proxy));
        }
    }
    if found.ends.iter().any(|(end, ..)| *end == End::Unknown) {
        return Verdict::Lost;
    }
    if found.honoured > found.ends.len() {
        let is_old = now_ms > expires_ms.saturating_add(UNDER_WAY_MS);
        return if is_old { Verdict::Lost } else { Verdict::Later };
    }
    if let Some((_, code, proxy)) = found.ends.first() {
        return Verdict::Ended(OutcomeState::Unsent, None, code.clone(), Some(*proxy));
    }
    // Nothing was honoured, if all that was is known: a receipt is written before its request leaves.
    let read = || proxies.iter().filter_map(|proxy| sources.get(proxy));
    if read().any(|source| source.gap_ms >= id.unix_ms()) {
        return Verdict::Lost;
    }
    if read().all(|source| source.complete_ms > expires_ms.saturating_add(BODY_MS)) {
        return Verdict::Ended(OutcomeState::Unsent, None, "never_honoured".into(), proxies.first().copied());
    }
    Verdict::Later
}

fn outcome(
    attempt: AuditId,
    state: OutcomeState,
    status: Option<u16>,
    what: String,
    proxy: Option<ProxyId>,
    now_ms: u64,
) -> Draft {
    let mut record = Record::new(Kind::Outcome, AuditId::default(), now_ms);
    record.attempt = Some(attempt);
    record.state = Some(state);
    record.status = status;
    match state {
        OutcomeState::Done => record.instance = Some(what.into()),
        _ => record.error = Some(what.into()),
    }
    record.detail.insert("settled_by".into(), "receipt".into());
    if let Some(proxy) = proxy {
        record.detail.insert("proxy".into(), proxy.to_string().into());
    }
    Draft::new(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: ProxyId = ProxyId([1; 16]);

    fn judge(found: &Found, complete_ms: u64, gap_ms: u64, now_ms: u64) -> String {
        let source =
            ReceiptSource { proxy: PROXY, region: "eu".into(), cursor: String::new(), complete_ms, gap_ms };
        let id = AuditId::floor_of(1_000_000);
        match verdict(found, id, 1_015_000, &[PROXY].into(), &[(PROXY, source)].into(), now_ms) {
            Verdict::Ended(state, status, what, _) => format!("{} {status:?} {what}", state.as_str()),
            Verdict::Lost => "lost".into(),
            Verdict::Later => "later".into(),
        }
    }

    #[test]
    fn only_what_the_region_must_know_settles_an_attempt() {
        let nothing = Found::default();
        assert_eq!(judge(&nothing, 1_020_000, 0, 1_020_000), "later", "a body may still arrive");
        assert_eq!(judge(&nothing, 1_040_000, 0, 1_040_000), "unsent None never_honoured");
        assert_eq!(judge(&nothing, 1_040_000, 1_000_000, 1_040_000), "lost", "receipts may be missing");
        assert_eq!(judge(&nothing, 1_040_000, 999_999, 1_040_000), "unsent None never_honoured");
        let found = |honoured, ends: &[End]| Found {
            honoured,
            ends: ends.iter().map(|end| (*end, "what".to_owned(), PROXY)).collect(),
        };
        assert_eq!(judge(&found(1, &[End::Answered(204)]), 1_016_000, 0, 1_016_000), "done Some(204) what");
        assert_eq!(judge(&found(1, &[End::Unsent]), 1_016_000, 0, 1_016_000), "unsent None what");
        assert_eq!(judge(&found(1, &[End::Unknown]), 1_016_000, 0, 1_016_000), "lost");
        assert_eq!(judge(&found(1, &[]), 1_016_000, 0, 1_016_000), "later");
        assert_eq!(judge(&found(1, &[]), 9_016_000, 0, 9_016_000), "lost");
        assert_eq!(judge(&found(2, &[End::Unsent]), 1_016_000, 0, 1_016_000), "later");
        assert_eq!(
            judge(&found(2, &[End::Unsent, End::Answered(200)]), 1_016_000, 0, 1_016_000),
            "done Some(200) what"
        );
    }
}
