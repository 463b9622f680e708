//! Only the pass that was made opens a request, and only the request that it was made for.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorman_core::id::AuditId;
use doorman_core::keys::{PublicKey, SigningKey};
use doorman_core::merkle::{Tree, leaf_hash};
use doorman_core::pass::{BodyClaim, BootId, Claims, Pass, query_digest};
use doorman_core::sha256;
use doorman_core::statement::{self, Statement, WriterId};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const BOOT: BootId = BootId([7; 16]);
const BODY: &[u8] = b"a body of some length";

static MADE: LazyLock<(PublicKey, Pass, Vec<u8>)> = LazyLock::new(|| {
    let pkcs8 = SigningKey::generate_pkcs8().expect("randomness");
    let key = SigningKey::from_pkcs8(&pkcs8).expect("a key");
    let claims = claims(AuditId([3; 16]), 20_000, 5, "service:ui", "user:alice", Some(8));
    let leaves = (0..5u8).map(|n| {
        let claims = if n == 2 { sha256(&claims.to_bytes()) } else { sha256(&[n]) };
        leaf_hash(&claims, &sha256(b"record"))
    });
    let tree = Tree::new(leaves.collect());
    let statement = Statement {
        writer: WriterId([9; 16]),
        kid: key.id(),
        number: 0,
        previous: [0; 32],
        root: tree.root(),
        first_index: 0,
        count: 5,
        time_ms: 5,
        peers: Some([6; 32]),
    };
    let pass = Pass {
        audit_id: claims.audit_id,
        expires_ms: claims.expires_ms,
        audience_hint: [7; 4],
        fence: claims.fence,
        actor: claims.actor.into(),
        subject: claims.subject.into(),
        body_prefix: Some(8),
        record: sha256(b"record"),
        index: 2,
        path: tree.inclusion_path(2).copied().collect(),
        signature: statement::sign(&key, &statement.to_bytes()),
        statement,
    };
    let bytes = URL_SAFE_NO_PAD.decode(pass.encode()).expect("base64");
    // As it is read: without the root, which follows from the leaf.
    let pass = Pass::decode(pass.encode().as_bytes()).expect("a pass");
    (key.public(), pass, bytes)
});

/// The claims of the one request, as a proxy rebuilds them with what the pass says.
fn claims<'a>(
    audit_id: AuditId,
    expires_ms: u64,
    fence: u64,
    actor: &'a str,
    subject: &'a str,
    prefix: Option<u64>,
) -> Claims<'a> {
    let whole = BodyClaim::Whole(BODY.len() as u64, sha256(BODY));
    let body = prefix.map_or(Some(whole), |prefix| {
        let bytes = BODY.get(..usize::try_from(prefix).ok()?)?;
        Some(BodyClaim::Prefix(prefix, sha256(bytes)))
    });
    Claims {
        audit_id,
        expires_ms,
        audience: BOOT,
        fence,
        method: "POST",
        region: "eu",
        service: "echo",
        selector: "any",
        path: "/a",
        query: query_digest(Some("x=1")),
        headers: [1; 32],
        body: body.unwrap_or(whole),
        actor,
        subject,
    }
}

fn judge(text: &[u8]) {
    let (key, made, _) = &*MADE;
    let Ok(pass) = Pass::decode(text) else { return };
    assert_eq!(Pass::decode(pass.encode().as_bytes()).as_ref(), Ok(&pass));
    let claims =
        claims(pass.audit_id, pass.expires_ms, pass.fence, &pass.actor, &pass.subject, pass.body_prefix);
    let is_for_us = pass.check_head(BOOT, 1).is_ok();
    let statement = pass.statement_for(&claims);
    let is_signed = statement.is_ok_and(|s| statement::verify(key, &s.to_bytes(), &pass.signature));
    if is_signed && is_for_us {
        assert_eq!(&pass, made);
        assert_eq!(pass.log_index(), made.log_index());
    }
}

fuzz_target!(|input: (Vec<(u16, u8)>, &[u8])| {
    let (changes, raw) = input;
    let mut bytes = MADE.2.clone();
    for (at, byte) in changes {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= byte;
    }
    judge(URL_SAFE_NO_PAD.encode(&bytes).as_bytes());
    judge(raw);
    judge(URL_SAFE_NO_PAD.encode(raw).as_bytes());
    if let Some(claims) = Claims::from_bytes(raw) {
        assert_eq!(claims.to_bytes(), raw);
    }
});
