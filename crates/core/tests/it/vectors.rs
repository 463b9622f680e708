//! The worked example of `docs/pass.md`: made here, kept in `docs/vectors/pass.json`, and verified by the program in
//! `docs/verify_pass.py`, which shares no code with Doorman.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_core::id::IdSequence;
use doorman_core::keys::{KeyUse, PublicKeys, SigningKey};
use doorman_core::merkle::{Tree, leaf_hash};
use doorman_core::pass::{BodyClaim, BootId, Claims, Pass, query_digest};
use doorman_core::record::{HeaderValue, Kind, OutcomeState, Record};
use doorman_core::statement::{self, Statement, WriterId, peers_digest};
use doorman_core::{header, sha256};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The private key of RFC 8032 §7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// PKCS#8 version 1 (RFC 8410 §7) up to the key.
const PKCS8: &str = "302e020100300506032b657004220420";
const NOW: u64 = 1_772_366_400_000;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// A request as it arrives at the proxy, its pass aside.
struct Sample {
    method: &'static str,
    service: &'static str,
    selector: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static [u8],
    /// How much of the body is bound, when it is streamed.
    prefix: Option<usize>,
    fence: u64,
    actor: &'static str,
    subject: &'static str,
}

impl Sample {
    fn body_claim(&self) -> BodyClaim {
        match self.prefix {
            Some(prefix) => BodyClaim::Prefix(prefix as u64, sha256(&self.body[..prefix])),
            None => BodyClaim::Whole(self.body.len() as u64, sha256(self.body)),
        }
    }

    fn target(&self) -> String {
        let at = if self.selector == "any" { String::new() } else { format!("@{}", self.selector) };
        let query = self.query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("/r/eu/{}{at}{}{query}", self.service, self.path)
    }
}

fn samples() -> [Sample; 2] {
    [
        Sample {
            method: "POST",
            service: "echo",
            selector: "any",
            path: "/orders/%c3%a9",
            query: Some("dry=1&x="),
            headers: vec![
                ("host", "proxy.eu.internal:8441"),
                ("content-type", "application/json"),
                ("content-length", "15"),
                ("x-tag", "b"),
                ("accept", "*/*"),
                ("x-tag", "a"),
                ("x-forwarded-for", "192.0.2.7"),
                ("te", "trailers"),
            ],
            body: br#"{"hello":"you"}"#,
            prefix: None,
            fence: 0,
            actor: "user:alice",
            subject: "user:alice",
        },
        Sample {
            method: "PUT",
            service: "companies",
            selector: "companies-2",
            path: "/",
            query: None,
            headers: vec![("host", "proxy.eu.internal:8441"), ("transfer-encoding", "chunked")],
            body: b"the first bytes, and many more",
            prefix: Some(15),
            fence: 42,
            actor: "service:reports-ui",
            subject: "user:bob",
        },
    ]
}

fn record(sample: &Sample, id: doorman_core::id::AuditId) -> Vec<u8> {
    let mut record = Record::new(Kind::Request, id, NOW);
    record.actor = Some(sample.actor.into());
    record.subject = Some(sample.subject.into());
    record.channel = Some("http".into());
    record.decision = Some("permit".into());
    record.policies = vec!["developers".into()];
    record.method = Some(sample.method.into());
    record.region = Some("eu".into());
    record.service = Some(sample.service.into());
    record.instance = Some(sample.selector.into());
    record.path = Some(sample.path.into());
    record.query = sample.query.map(Into::into);
    record.reason = Some("ticket 17 \u{2013} \"now\"\n".into());
    record.headers.insert("x-tag".into(), HeaderValue::Many(vec!["b".into(), "a".into()]));
    record.to_bytes()
}

fn vectors() -> Value {
    let pkcs8 = hex::decode(format!("{PKCS8}{SEED}")).unwrap();
    let key = SigningKey::from_pkcs8(&pkcs8).unwrap();
    let mut keys = PublicKeys::default();
    keys.push(KeyUse::Statement, key.public());
    let boot = BootId(*b"one proxy start!");
    let mut ids = IdSequence::new(0x12_3456_789a);
    let expires_ms = NOW + 30_000;

    let (mut entries, mut leaves, mut made) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |id: doorman_core::id::AuditId, claims: &[u8], record: &[u8]| {
        let leaf = leaf_hash(&sha256(claims), &sha256(record));
        entries.push(json!({
            "id": id, "claims": hex::encode(claims), "claims_sha256": hex::encode(sha256(claims)),
            "record": std::str::from_utf8(record).unwrap(), "record_sha256": hex::encode(sha256(record)),
            "leaf": hex::encode(leaf),
        }));
        leaves.push(leaf);
    };
    for sample in samples() {
        let id = ids.next_id(NOW);
        let bound = sample.headers.iter().filter(|(name, _)| !header::HOP_BY_HOP.contains(name));
        let headers = header::digest(bound.map(|(name, value)| (*name, value.as_bytes())));
        let claims = Claims {
            audit_id: id,
            expires_ms,
            audience: boot,
            fence: sample.fence,
            method: sample.method,
            region: "eu",
            service: sample.service,
            selector: sample.selector,
            path: sample.path,
            query: query_digest(sample.query),
            headers,
            body: sample.body_claim(),
            actor: sample.actor,
            subject: sample.subject,
        };
        let record = record(&sample, id);
        add(id, &claims.to_bytes(), &record);
        made.push((id, headers, sha256(&record), sample));
    }
    let last = ids.next_id(NOW);
    let mut outcome = Record::new(Kind::Outcome, last, NOW);
    outcome.attempt = Some(made[0].0);
    outcome.state = Some(OutcomeState::Done);
    outcome.status = Some(200);
    add(last, b"", &outcome.to_bytes());

    let tree = Tree::new(leaves);
    let peers = [
        (WriterId([0x11; 16]), 6, sha256(b"its statement 6")),
        (WriterId([0x22; 16]), 0, sha256(b"its first")),
    ];
    let statement = Statement {
        writer: WriterId(*b"one api process!"),
        kid: key.id(),
        number: 0,
        previous: [0; 32],
        root: tree.root(),
        first_index: 0,
        count: 3,
        time_ms: NOW,
        peers: Some(peers_digest(&peers)),
    };
    let body = statement.to_bytes();
    let signature = statement::sign(&key, &body);
    let passes: Vec<Value> = made
        .iter()
        .enumerate()
        .map(|(index, (id, headers, record, sample))| {
            let path: Vec<_> = tree.inclusion_path(index).copied().collect();
            let pass = Pass {
                audit_id: *id,
                expires_ms,
                audience_hint: boot.0[..4].try_into().unwrap(),
                fence: sample.fence,
                actor: sample.actor.into(),
                subject: sample.subject.into(),
                body_prefix: sample.prefix.map(|prefix| prefix as u64),
                record: *record,
                index: index as u32,
                path: path.clone(),
                statement: statement.clone(),
                signature,
            };
            json!({
                "request": {
                    "method": sample.method, "target": sample.target(), "headers": sample.headers,
                    "body": STANDARD.encode(sample.body),
                },
                "headers_sha256": hex::encode(headers),
                "inclusion_path": path.iter().map(hex::encode).collect::<Vec<_>>(),
                "log_index": index, "pass": pass.encode(),
            })
        })
        .collect();
    json!({
        "private_key": SEED,
        "key_set": serde_json::from_str::<Value>(&keys.to_jwks()).unwrap(),
        "proxy": { "region": "eu", "boot_id": boot.to_string(), "now_ms": NOW + 1 },
        "entries": entries,
        "peers": peers.map(|(writer, number, hash)| {
            json!({ "writer": writer.to_string(), "number": number, "hash": hex::encode(hash) })
        }),
        "statement": {
            "body": hex::encode(&body), "root": hex::encode(tree.root()), "hash": hex::encode(statement.hash()),
            "signature": hex::encode(signature),
        },
        "passes": passes,
    })
}

#[test]
fn the_documented_example_is_what_this_code_makes() {
    let path = docs().join("vectors/pass.json");
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == made,
        "{} differs; if the format was changed with intent: UPDATE_VECTORS=1",
        path.display()
    );
}

#[test]
fn a_verifier_written_from_the_document_agrees() {
    let script = docs().join("verify_pass.py");
    let output = Command::new("python3").arg(script).arg(docs().join("vectors/pass.json")).output();
    let output = output.unwrap_or_else(|error| panic!("python3: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("2 passes accepted") && text.contains("refused"), "{text}");
}
