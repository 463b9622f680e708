//! What a log of a few months could hold: people of very different zeal, services, instances, runs, refusals, logins, and
//! some values that occur hardly ever. The same number gives the same entry.

use std::borrow::Cow;

use doorman_core::id::{AuditId, IdSequence};
use doorman_core::pass::{BodyClaim, BootId, Claims};
use doorman_core::record::{HeaderValue, Kind, OutcomeState, Record};

/// Values that filters ask for, and how often each occurs.
pub const COMMON_PERSON: &str = "user:alice";
/// Has the first twenty entries of all and no other.
pub const RARE_PERSON: &str = "user:rare";
const PEOPLE: u64 = 2_000;
const SERVICES: u64 = 150;
const INSTANCES: u64 = 8;
const REGIONS: [&str; 5] = ["eu", "us", "ap-south", "ap-east", "sa"];
/// One request in so many belongs to a run; a run has a thousand.
const RUN_EVERY: u64 = 20;
const RUN_SPAN: u64 = 20_000;

/// One entry as the journal takes it.
pub struct Made {
    pub id: AuditId,
    /// Empty for what is no attempt.
    pub claims: Vec<u8>,
    pub record: Vec<u8>,
}

/// Makes entries; an attempt's outcome is made with it, and is to be committed behind it.
pub struct Maker {
    ids: IdSequence,
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        Self { ids: IdSequence::new(seed) }
    }

    /// The entry of this number, and its outcome as it will be once it has an id.
    pub fn entry(&mut self, number: u64, now_ms: u64) -> (Made, Option<Record<'static>>) {
        let dice = Dice::of(number);
        let id = self.ids.next_id(now_ms);
        match dice.roll(0, 100) {
            0..=2 => (plain(login(&dice, id, now_ms)), None),
            3 => (plain(reading(&dice, id, now_ms)), None),
            4 => (plain(administration(&dice, id, now_ms)), None),
            _ => request(&dice, number, id, now_ms),
        }
    }

    /// An outcome with its id.
    pub fn finish(&mut self, mut outcome: Record<'static>, now_ms: u64) -> Made {
        outcome.id = self.ids.next_id(now_ms);
        plain(outcome)
    }
}

fn plain(record: Record<'_>) -> Made {
    Made { id: record.id, claims: Vec::new(), record: record.to_bytes() }
}

fn person(dice: &Dice, number: u64) -> Cow<'static, str> {
    if number < 20 {
        return RARE_PERSON.into();
    }
    // The square makes some hundred times as busy as others.
    let at = dice.roll(1, PEOPLE);
    match at * at / PEOPLE {
        0 => COMMON_PERSON.into(),
        person => format!("user:person-{person}").into(),
    }
}

fn base(kind: Kind, dice: &Dice, id: AuditId, now_ms: u64) -> Record<'static> {
    let mut record = Record::new(kind, id, now_ms);
    record.channel = Some(if dice.one_in(2, 3) { "ui" } else { "http" }.into());
    record.client_ip = Some(format!("10.{}.{}.7", dice.roll(3, 40), dice.roll(4, 250)).into());
    record.user_agent = Some("Mozilla/5.0 (X11; Linux x86_64) doorman-console".into());
    record
}

fn login(dice: &Dice, id: AuditId, now_ms: u64) -> Record<'static> {
    let mut record = base(Kind::Login, dice, id, now_ms);
    let who = person(dice, u64::MAX);
    if dice.one_in(5, 20) {
        (record.decision, record.status) = (Some("deny".into()), Some(401));
        record.error = Some("unauthenticated".into());
    } else {
        (record.actor, record.subject) = (Some(who.clone()), Some(who));
        record.decision = Some("permit".into());
    }
    record
}

fn reading(dice: &Dice, id: AuditId, now_ms: u64) -> Record<'static> {
    let mut record = base(Kind::Audit, dice, id, now_ms);
    let who = person(dice, u64::MAX);
    (record.actor, record.subject) = (Some(who.clone()), Some(who));
    record.decision = Some("permit".into());
    record.detail.insert("filter".into(), r#"{"service":"service-7"}"#.into());
    record
}

fn administration(dice: &Dice, id: AuditId, now_ms: u64) -> Record<'static> {
    let kind = match dice.roll(6, 5_000) {
        0 => Kind::Policy,
        1..=100 => Kind::Key,
        101..=2_000 => Kind::Token,
        2_001..=3_500 => Kind::Job,
        _ => Kind::Run,
    };
    let mut record = base(kind, dice, id, now_ms);
    let who = person(dice, u64::MAX);
    (record.actor, record.subject) = (Some(who.clone()), Some(who));
    record.decision = Some("permit".into());
    record
}

fn request(dice: &Dice, number: u64, id: AuditId, now_ms: u64) -> (Made, Option<Record<'static>>) {
    let mut record = base(Kind::Request, dice, id, now_ms);
    let who = person(dice, number);
    let actor = if dice.one_in(7, 30) { "service:reports-ui".into() } else { who.clone() };
    let service = dice.roll(8, SERVICES) * dice.roll(9, SERVICES) / SERVICES;
    let method = match dice.roll(10, 100_000) {
        0 => "DELETE",
        1..=8_000 => "POST",
        8_001..=10_000 => "PUT",
        _ => "GET",
    };
    let region = REGIONS.get(dice.roll(11, 5) as usize).copied().unwrap_or("eu");
    let path = format!("/companies/{}/invoices/{}", dice.roll(12, 500_000), number % 97);
    (record.actor, record.subject) = (Some(actor), Some(who));
    record.region = Some(region.into());
    record.service = Some(format!("service-{service}").into());
    record.instance = Some("any".into());
    record.method = Some(method.into());
    record.path = Some(path.into());
    record.query = dice.one_in(13, 3).then(|| "page=2&size=50".into());
    record.reason = dice.one_in(14, 6).then(|| format!("ticket {}", dice.roll(15, 90_000)).into());
    record.session = Some(format!("{:032x}", u128::from(dice.roll(16, 50_000))).into());
    record.headers.insert("accept".into(), HeaderValue::One("application/json".into()));
    record.body_sha256 = Some(EMPTY_SHA256.into());
    record.body_size = Some(0);
    if number.is_multiple_of(RUN_EVERY) {
        (record.run, record.item) =
            (Some(run(number / RUN_SPAN).into()), Some(number % RUN_SPAN / RUN_EVERY));
        record.channel = Some("bulk".into());
    }
    if dice.one_in(17, 60) {
        (record.decision, record.status) = (Some("deny".into()), Some(403));
        record.policies = vec!["nobody-deletes".into()];
        return (plain(record), None);
    }
    record.decision = Some("permit".into());
    record.policies = vec!["developers-read".into()];
    let claims = claims(&record, dice).to_bytes();
    let outcome = outcome(&record, dice, service, now_ms);
    (Made { id, claims, record: record.to_bytes() }, Some(outcome))
}

/// SHA-256 of nothing.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn claims<'a>(record: &'a Record<'static>, dice: &Dice) -> Claims<'a> {
    let text = |value: &'a Option<Cow<'static, str>>| value.as_deref().unwrap_or_default();
    Claims {
        audit_id: record.id,
        expires_ms: record.id.unix_ms() + 20_000,
        audience: BootId([7; 16]),
        fence: 0,
        method: text(&record.method),
        region: text(&record.region),
        service: text(&record.service),
        selector: text(&record.instance),
        path: text(&record.path),
        query: record.query.as_deref(),
        headers: [dice.roll(18, 256) as u8; 32],
        body: BodyClaim::empty(),
        actor: text(&record.actor),
        subject: text(&record.subject),
    }
}

fn outcome(attempt: &Record<'_>, dice: &Dice, service: u64, now_ms: u64) -> Record<'static> {
    let mut outcome = Record::new(Kind::Outcome, AuditId::default(), now_ms);
    outcome.attempt = Some(attempt.id);
    if dice.one_in(19, 20_000) {
        outcome.state = Some(OutcomeState::Unknown);
        outcome.error = Some("upstream_timeout".into());
        return outcome;
    }
    outcome.state = Some(OutcomeState::Done);
    outcome.status = Some(match dice.roll(20, 100_000) {
        0 => 418,
        1..=40 => 503,
        41..=200 => 500,
        201..=3_000 => 404,
        3_001..=9_000 => 201,
        _ => 200,
    });
    outcome.instance = Some(format!("service-{service}-{}", dice.roll(21, INSTANCES)).into());
    outcome.duration_ms = Some(dice.roll(22, 400));
    outcome.body_size = Some(dice.roll(23, 60_000));
    outcome.body_sha256 = Some(EMPTY_SHA256.into());
    outcome.request_size = Some(0);
    outcome.headers.insert("content-type".into(), HeaderValue::One("application/json".into()));
    outcome
}

/// A run's id.
pub fn run(number: u64) -> String {
    format!("01900000-0000-7000-8000-{number:012x}")
}

/// Numbers that look like chance and depend on the entry's number alone.
struct Dice(u64);

impl Dice {
    fn of(number: u64) -> Self {
        Self(number)
    }

    /// Below `sides`; `which` tells the throws of one entry apart.
    fn roll(&self, which: u64, sides: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let mut z = self.0.wrapping_mul(64).wrapping_add(which).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&self, which: u64, rate: u64) -> bool {
        self.roll(which, rate) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_says_what_its_claims_say_and_its_outcome_names_it() {
        let mut maker = Maker::new(1);
        let mut outcomes = 0;
        for number in 0..2_000 {
            let (made, outcome) = maker.entry(number, 1_800_000_000_000);
            let record = Record::from_bytes(&made.record).unwrap();
            assert_eq!(record.id, made.id);
            assert_eq!(made.claims.is_empty(), outcome.is_none());
            if let Some(claims) = Claims::from_bytes(&made.claims) {
                assert_eq!(
                    (Some(claims.path), Some(claims.subject)),
                    (record.path.as_deref(), record.subject.as_deref())
                );
            }
            outcomes += usize::from(outcome.is_some_and(|outcome| outcome.attempt == Some(made.id)));
        }
        assert!((1_700..1_980).contains(&outcomes), "{outcomes}");
    }

    #[test]
    fn rare_values_are_rare_and_common_ones_are_there() {
        let mut maker = Maker::new(1);
        let mut actors = std::collections::BTreeMap::<String, u32>::new();
        for number in 0..30_000 {
            let (made, _) = maker.entry(number, 1_800_000_000_000);
            let record = Record::from_bytes(&made.record).unwrap();
            *actors.entry(record.subject.unwrap_or_default().into_owned()).or_default() += 1;
        }
        assert!(actors[RARE_PERSON] <= 20 && actors[COMMON_PERSON] > 300, "{:?}", actors.get(COMMON_PERSON));
        assert!(actors.len() > 1_000, "{}", actors.len());
    }
}
