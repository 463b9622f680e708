use super::*;
use crate::keys::SigningKey;
use crate::statement;
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
}

fn claims(audit_id: AuditId) -> Claims<'static> {
    Claims {
        audit_id,
        expires_ms: 20_000,
        audience: BootId([7; 16]),
        fence: 0,
        method: "POST",
        region: "eu",
        service: "echo",
        selector: "any",
        path: "/a",
        query: query_digest(Some("x=1")),
        headers: [1; 32],
        body: BodyClaim::Whole(3, sha256(b"abc")),
        actor: "service:ui",
        subject: "user:alice",
    }
}

/// A batch of `count` entries; the pass of entry `index`.
fn pass(key: &SigningKey, claims: &Claims<'_>, index: usize, count: usize) -> Pass {
    let record = sha256(b"record");
    let leaves = (0..count)
        .map(|i| {
            let digest = if i == index { sha256(&claims.to_bytes()) } else { sha256(&i.to_be_bytes()) };
            merkle::leaf_hash(&digest, &record)
        })
        .collect();
    let tree = merkle::Tree::new(leaves);
    let statement = Statement {
        writer: WriterId([9; 16]),
        kid: key.id(),
        number: 3,
        previous: [4; 32],
        root: tree.root(),
        first_index: 100,
        count: count as u32,
        time_ms: 5,
        peers: None,
    };
    let body_prefix = match claims.body {
        BodyClaim::Whole(..) => None,
        BodyClaim::Prefix(length, _) => Some(length),
    };
    Pass {
        audit_id: claims.audit_id,
        expires_ms: claims.expires_ms,
        audience_hint: [7; 4],
        fence: claims.fence,
        actor: claims.actor.into(),
        subject: claims.subject.into(),
        body_prefix,
        record,
        index: index as u32,
        path: tree.inclusion_path(index).copied().collect(),
        signature: statement::sign(key, &statement.to_bytes()),
        statement,
    }
}

fn accepted(key: &SigningKey, pass: &Pass, claims: &Claims<'_>) -> bool {
    pass.statement_for(claims).is_ok_and(|s| statement::verify(&key.public(), &s.to_bytes(), &pass.signature))
}

proptest! {
    #[test]
    fn a_pass_opens_the_request_it_was_made_for(index in 0usize..40, extra in 0usize..40, fence in 0u64..3) {
        let key = key();
        let claims = Claims { fence, ..claims(AuditId([3; 16])) };
        let pass = pass(&key, &claims, index, index + 1 + extra);
        let back = Pass::decode(pass.encode().as_bytes()).unwrap();
        prop_assert_eq!(back.log_index(), 100 + index as u64);
        prop_assert!(accepted(&key, &back, &claims));
    }

    #[test]
    fn a_changed_pass_opens_nothing(at in 0usize..2_000, bit in 0u8..8) {
        let key = key();
        let claims = claims(AuditId([3; 16]));
        let original = pass(&key, &claims, 2, 5);
        let mut bytes = URL_SAFE_NO_PAD.decode(original.encode()).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = Pass::decode(URL_SAFE_NO_PAD.encode(&bytes).as_bytes()) {
            // The proxy rebuilds the claims from the pass and the request, as here.
            let rebuilt = Claims {
                audit_id: changed.audit_id,
                expires_ms: changed.expires_ms,
                fence: changed.fence,
                actor: &changed.actor,
                subject: &changed.subject,
                body: changed.body_prefix.map_or(claims.body, |n| BodyClaim::Prefix(n, sha256(b"abc"))),
                ..claims
            };
            let hint_only = changed.audience_hint != original.audience_hint;
            prop_assert!(hint_only && changed.check_head(BootId([7; 16]), 1).is_err() || !accepted(&key, &changed, &rebuilt));
        }
    }

    #[test]
    fn claims_read_back_as_they_were_written(query in proptest::option::of("[a-z=]{0,5}"), path in "/[a-z]{0,9}", prefix in any::<bool>(), cut in 0usize..400) {
        let body = if prefix { BodyClaim::Prefix(9, [5; 32]) } else { BodyClaim::Whole(9, [5; 32]) };
        let claims = Claims { query: query_digest(query.as_deref()), path: &path, body, ..claims(AuditId([3; 16])) };
        let bytes = claims.to_bytes();
        prop_assert_eq!(Claims::from_bytes(&bytes), Some(claims.clone()));
        if let Some(shorter) = bytes.get(..cut).filter(|shorter| shorter.len() < bytes.len()) {
            prop_assert_eq!(Claims::from_bytes(shorter), None);
        }
    }

    #[test]
    fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Pass::decode(&text);
        let _ = Pass::decode(URL_SAFE_NO_PAD.encode(&text).as_bytes());
        let _ = Statement::from_bytes(&text);
        let _ = Claims::from_bytes(&text);
    }
}

#[test]
fn every_claim_is_bound() {
    let key = key();
    let good = claims(AuditId([3; 16]));
    let pass = pass(&key, &good, 1, 3);
    assert!(accepted(&key, &pass, &good));
    for changed in [
        Claims { audit_id: AuditId([4; 16]), ..good.clone() },
        Claims { expires_ms: 20_001, ..good.clone() },
        Claims { audience: BootId([8; 16]), ..good.clone() },
        Claims { fence: 1, ..good.clone() },
        Claims { method: "GET", ..good.clone() },
        Claims { region: "us", ..good.clone() },
        Claims { service: "ech", selector: "oany", ..good.clone() },
        Claims { selector: "echo-1", ..good.clone() },
        Claims { path: "/b", ..good.clone() },
        Claims { query: None, ..good.clone() },
        Claims { query: query_digest(Some("")), ..good.clone() },
        Claims { path: "/ax", query: query_digest(Some("=1")), ..good.clone() },
        Claims { headers: [2; 32], ..good.clone() },
        Claims { body: BodyClaim::Whole(3, sha256(b"abd")), ..good.clone() },
        Claims { body: BodyClaim::Prefix(3, sha256(b"abc")), ..good.clone() },
        Claims { actor: "user:alice", ..good.clone() },
        Claims { subject: "user:bob", ..good.clone() },
    ] {
        assert!(!accepted(&key, &pass, &changed), "{changed:?}");
    }
}

#[test]
fn a_pass_ends_and_never_lasts_longer_than_allowed() {
    let key = key();
    let pass = pass(&key, &claims(AuditId([3; 16])), 0, 1);
    assert_eq!(pass.check_head(BootId([7; 16]), 19_999), Ok(()));
    assert_eq!(pass.check_head(BootId([7; 16]), 20_000), Err(PassError::Expired));
    assert_eq!(pass.check_head(BootId([6; 16]), 1), Err(PassError::Audience));
    let long = Pass { expires_ms: 50_000, ..pass };
    assert_eq!(long.check_head(BootId([7; 16]), 1), Err(PassError::Expired));
}
