//! One entry, looked at by itself: is it a record with the id that it is filed under, and does it say what its pass says?

use crate::id::AuditId;
use crate::pass::{BodyClaim, Claims};
use crate::record::Kind;
use crate::{Digest, merkle, sha256};
use serde::Deserialize;
use std::borrow::Cow;

/// A record keeps at most 16 KiB of a path; one as long as this may be cut.
const MAYBE_CUT: usize = 16 * 1024 - 4;

/// An entry as it is stored.
#[derive(Clone, Copy)]
pub struct StoredEntry<'a> {
    /// What it is filed under.
    pub id: AuditId,
    /// What its pass says; empty for what is no attempt.
    pub claims: &'a [u8],
    /// The record's canonical bytes.
    pub record: &'a [u8],
}

/// What an entry looks like by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    Sound,
    /// The record is none, or has another id than the one that it is filed under.
    Misfiled(Option<AuditId>),
    /// Record and claims disagree.
    Contradicted,
}

impl StoredEntry<'_> {
    pub(crate) fn leaf(&self) -> Digest {
        merkle::leaf_hash(&sha256(self.claims), &sha256(self.record))
    }

    /// Whether it is a record with its own id that says what its pass says.
    pub(crate) fn is_sound(&self) -> bool {
        self.look() == Look::Sound
    }

    pub(super) fn look(&self) -> Look {
        let Ok(said) = serde_json::from_slice::<Said<'_>>(self.record) else { return Look::Misfiled(None) };
        if said.id != self.id {
            return Look::Misfiled(Some(said.id));
        }
        if self.claims.is_empty()
            || Claims::from_bytes(self.claims).is_some_and(|claims| said.agrees(&claims))
        {
            Look::Sound
        } else {
            Look::Contradicted
        }
    }
}

/// What a record says that a pass says too. Queries and headers are left out: their secrets are masked in the record.
#[derive(Deserialize)]
struct Said<'a> {
    id: AuditId,
    kind: Kind,
    attempt: Option<AuditId>,
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    region: Option<Cow<'a, str>>,
    #[serde(borrow)]
    service: Option<Cow<'a, str>>,
    #[serde(borrow)]
    instance: Option<Cow<'a, str>>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body_sha256: Option<Cow<'a, str>>,
}

impl Said<'_> {
    fn agrees(&self, claims: &Claims<'_>) -> bool {
        let attempt = if self.kind == Kind::Pass { self.attempt } else { Some(self.id) };
        let same =
            |said: &Option<Cow<'_, str>>, claimed: &str| said.as_deref().is_none_or(|said| said == claimed);
        let body = match (&self.body_sha256, &claims.body) {
            (Some(said), BodyClaim::Whole(_, digest)) => hex::encode(digest) == **said,
            _ => true,
        };
        attempt == Some(claims.audit_id)
            && same(&self.actor, claims.actor)
            && same(&self.subject, claims.subject)
            && same(&self.method, claims.method)
            && same(&self.region, claims.region)
            && same(&self.service, claims.service)
            && same(&self.instance, claims.selector)
            && self.path.as_deref().is_none_or(|path| {
                path == claims.path || (path.len() >= MAYBE_CUT && claims.path.starts_with(path))
            })
            && body
    }
}
