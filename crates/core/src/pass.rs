//! The pass: proof that this very request stands in the committed journal. Specified in `docs/pass.md`.
//!
//! `api` makes it from a committed batch; a proxy recomputes the claims from the request that it really got, so a
//! pass carries only what the proxy cannot know itself.

use crate::id::AuditId;
use crate::statement::{Statement, WriterId};
use crate::wire::{Reader, put_long, put_short};
use crate::{Digest, merkle, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The header that carries a pass from `api` to a proxy.
pub const HEADER: &str = "doorman-pass";
/// A pass is good for at most this long.
pub const MAX_LIFETIME_MS: u64 = 30_000;

const CLAIMS_VERSION: u8 = 2;
const PASS_VERSION: u8 = 1;
/// Longest header value that is looked at.
const MAX_TEXT: usize = 8 * 1024;
/// 2³² leaves are the most a batch can have.
const MAX_PATH: usize = 32;

/// One start of one proxy process: whom a pass is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BootId(pub [u8; 16]);

impl std::fmt::Display for BootId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for BootId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id)?;
        Ok(Self(id))
    }
}

/// What binds the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyClaim {
    /// The whole body, of this length.
    Whole(u64, Digest),
    /// A streamed body: its first bytes, this many.
    Prefix(u64, Digest),
}

impl BodyClaim {
    /// The claim for no body at all.
    pub fn empty() -> Self {
        const EMPTY: Digest = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
            0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ];
        Self::Whole(0, EMPTY)
    }
}

/// Everything a pass says. The leaf commits to these bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims<'a> {
    /// The attempt.
    pub audit_id: AuditId,
    /// When the pass ends, in milliseconds since the Unix epoch; checked when the request's head arrives.
    pub expires_ms: u64,
    /// The one proxy process it is for.
    pub audience: BootId,
    /// Fencing number of a bulk item; 0 otherwise.
    pub fence: u64,
    /// HTTP method.
    pub method: &'a str,
    /// Region.
    pub region: &'a str,
    /// Service.
    pub service: &'a str,
    /// `any` or an instance's id.
    pub selector: &'a str,
    /// Path as received.
    pub path: &'a str,
    /// [`query_digest`] of the query: claims are kept, and a query may hold secrets.
    pub query: Option<Digest>,
    /// [`crate::header::digest`] of the forwarded headers.
    pub headers: Digest,
    /// What binds the body.
    pub body: BodyClaim,
    /// Whose credential opened the connection.
    pub actor: &'a str,
    /// On whose behalf.
    pub subject: &'a str,
}

/// The SHA-256 of a query as received, without `?`.
pub fn query_digest(query: Option<&str>) -> Option<Digest> {
    query.map(|query| sha256(query.as_bytes()))
}

impl Claims<'_> {
    /// Where [`Claims::audit_id`] stands in the bytes: the journal's writer fills it in.
    pub const AUDIT_ID_AT: std::ops::Range<usize> = 1..17;

    /// The bytes that are hashed into the leaf.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(224 + self.path.len() + self.actor.len() + self.subject.len());
        out.push(CLAIMS_VERSION);
        out.extend_from_slice(&self.audit_id.0);
        out.extend_from_slice(&self.expires_ms.to_be_bytes());
        out.extend_from_slice(&self.audience.0);
        out.extend_from_slice(&self.fence.to_be_bytes());
        for text in [self.method, self.region, self.service, self.selector, self.actor, self.subject] {
            put_short(&mut out, text.as_bytes());
        }
        put_long(&mut out, self.path.as_bytes());
        out.push(u8::from(self.query.is_some()));
        out.extend_from_slice(&self.query.unwrap_or_default());
        out.extend_from_slice(&self.headers);
        let (whole, length, digest) = match &self.body {
            BodyClaim::Whole(length, digest) => (0, length, digest),
            BodyClaim::Prefix(length, digest) => (1, length, digest),
        };
        out.push(whole);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(digest);
        out
    }

    /// Reads the bytes that [`Claims::to_bytes`] gives; `None` when they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Claims<'_>> {
        let mut reader = Reader(bytes);
        if reader.u8()? != CLAIMS_VERSION {
            return None;
        }
        let audit_id = AuditId(reader.array()?);
        let expires_ms = reader.u64()?;
        let audience = BootId(reader.array()?);
        let fence = reader.u64()?;
        let [method, region, service, selector, actor, subject] = [
            reader.short_str()?,
            reader.short_str()?,
            reader.short_str()?,
            reader.short_str()?,
            reader.short_str()?,
            reader.short_str()?,
        ];
        let path = reader.long_str()?;
        let query = match (reader.flag()?, reader.digest()?) {
            (true, query) => Some(query),
            (false, nothing) if nothing == Digest::default() => None,
            (false, _) => return None,
        };
        let headers = reader.digest()?;
        let body = match (reader.flag()?, reader.u64()?, reader.digest()?) {
            (false, length, digest) => BodyClaim::Whole(length, digest),
            (true, length, digest) => BodyClaim::Prefix(length, digest),
        };
        reader.end()?;
        let claims = Claims {
            audit_id,
            expires_ms,
            audience,
            fence,
            method,
            region,
            service,
            selector,
            path,
            query,
            headers,
            body,
            actor,
            subject,
        };
        Some(claims)
    }
}

/// What a proxy can know of a pass only from the pass itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pass {
    /// The attempt.
    pub audit_id: AuditId,
    /// When it ends.
    pub expires_ms: u64,
    /// First bytes of the boot id it is for, so that a proxy can tell a pass for its former self from a forged one.
    pub audience_hint: [u8; 4],
    /// Fencing number of a bulk item; 0 otherwise.
    pub fence: u64,
    /// Whose credential.
    pub actor: Box<str>,
    /// On whose behalf.
    pub subject: Box<str>,
    /// Bytes of a streamed body that are bound; `None` when the whole body is.
    pub body_prefix: Option<u64>,
    /// SHA-256 of the audit record.
    pub record: Digest,
    /// The leaf's place in its batch.
    pub index: u32,
    /// Siblings from the leaf to the root.
    pub path: Vec<Digest>,
    /// The batch's statement, its `root` left out: it follows from the leaf.
    pub statement: Statement,
    /// The statement's signature.
    pub signature: [u8; 64],
}

/// Why a pass is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PassError {
    /// Not a pass at all.
    #[error("the pass cannot be read")]
    Malformed,
    /// Made for another start of this process or for another process.
    #[error("the pass is for another boot id")]
    Audience,
    /// Expired, or good for longer than is allowed.
    #[error("the pass has expired or lasts too long")]
    Expired,
    /// The path does not lead from this request to a root.
    #[error("the inclusion path does not fit")]
    Path,
    /// The statement is signed by a key this proxy does not know.
    #[error("the statement's key is unknown")]
    UnknownKey,
    /// The statement does not cover this request: the request, the pass or the signature was changed.
    #[error("the statement's signature does not cover this request")]
    Signature,
    /// Used before.
    #[error("the pass was used before")]
    Used,
    /// Another replica has claimed the item's chunk since.
    #[error("the item's chunk was claimed by another since")]
    Fence,
}

impl Pass {
    /// The header's value.
    pub fn encode(&self) -> String {
        let mut out = Vec::with_capacity(352 + self.path.len() * 32);
        out.push(PASS_VERSION);
        out.extend_from_slice(&self.audit_id.0);
        out.extend_from_slice(&self.expires_ms.to_be_bytes());
        out.extend_from_slice(&self.audience_hint);
        let same = self.actor == self.subject;
        let flags = u8::from(self.fence != 0)
            | u8::from(!same) << 1
            | u8::from(self.body_prefix.is_some()) << 2
            | u8::from(self.statement.peers.is_some()) << 3;
        out.push(flags);
        if self.fence != 0 {
            out.extend_from_slice(&self.fence.to_be_bytes());
        }
        put_short(&mut out, self.actor.as_bytes());
        if !same {
            put_short(&mut out, self.subject.as_bytes());
        }
        if let Some(prefix) = self.body_prefix {
            out.extend_from_slice(&prefix.to_be_bytes());
        }
        out.extend_from_slice(&self.record);
        out.extend_from_slice(&self.index.to_be_bytes());
        out.push(u8::try_from(self.path.len()).unwrap_or(u8::MAX));
        self.path.iter().for_each(|node| out.extend_from_slice(node));
        let statement = &self.statement;
        out.extend_from_slice(&statement.writer.0);
        out.extend_from_slice(&statement.kid.0);
        out.extend_from_slice(&statement.number.to_be_bytes());
        out.extend_from_slice(&statement.previous);
        out.extend_from_slice(&statement.first_index.to_be_bytes());
        out.extend_from_slice(&statement.count.to_be_bytes());
        out.extend_from_slice(&statement.time_ms.to_be_bytes());
        if let Some(peers) = &statement.peers {
            out.extend_from_slice(peers);
        }
        out.extend_from_slice(&self.signature);
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Reads a header's value.
    ///
    /// # Errors
    /// [`PassError::Malformed`].
    pub fn decode(text: &[u8]) -> Result<Self, PassError> {
        if text.len() > MAX_TEXT {
            return Err(PassError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PassError::Malformed)?;
        Self::read(&bytes).ok_or(PassError::Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.u8()? != PASS_VERSION {
            return None;
        }
        let audit_id = AuditId(reader.array()?);
        let expires_ms = reader.u64()?;
        let audience_hint = reader.array()?;
        let flags = reader.u8()?;
        if flags >= 1 << 4 {
            return None;
        }
        let fence = if flags & 1 != 0 { reader.u64()? } else { 0 };
        let actor: Box<str> = reader.short_str()?.into();
        let subject = if flags & 2 != 0 { reader.short_str()?.into() } else { actor.clone() };
        let body_prefix = if flags & 4 != 0 { Some(reader.u64()?) } else { None };
        let record = reader.digest()?;
        let index = reader.u32()?;
        let steps = usize::from(reader.u8()?);
        if steps > MAX_PATH {
            return None;
        }
        let path = (0..steps).map(|_| reader.digest()).collect::<Option<Vec<_>>>()?;
        let statement = Statement {
            writer: WriterId(reader.array()?),
            kid: crate::keys::KeyId(reader.array()?),
            number: reader.u64()?,
            previous: reader.digest()?,
            root: Digest::default(),
            first_index: reader.u64()?,
            count: reader.u32()?,
            time_ms: reader.u64()?,
            peers: if flags & 8 != 0 { Some(reader.digest()?) } else { None },
        };
        let signature = reader.array()?;
        reader.end()?;
        Some(Self {
            audit_id,
            expires_ms,
            audience_hint,
            fence,
            actor,
            subject,
            body_prefix,
            record,
            index,
            path,
            statement,
            signature,
        })
    }

    /// Whether the pass is meant for this process and still good. To be asked when the request's head arrives.
    ///
    /// # Errors
    /// [`PassError::Audience`], [`PassError::Expired`].
    pub fn check_head(&self, boot: BootId, now_ms: u64) -> Result<(), PassError> {
        if !boot.0.starts_with(&self.audience_hint) {
            return Err(PassError::Audience);
        }
        if now_ms >= self.expires_ms || self.expires_ms - now_ms > MAX_LIFETIME_MS {
            return Err(PassError::Expired);
        }
        Ok(())
    }

    /// The statement with the root that the recomputed `claims` lead to. Its signature is still to be verified.
    ///
    /// # Errors
    /// [`PassError::Path`].
    pub fn statement_for(&self, claims: &Claims<'_>) -> Result<Statement, PassError> {
        self.statement_over(&sha256(&claims.to_bytes()))
    }

    /// As [`Pass::statement_for`], of claims that were hashed already.
    ///
    /// # Errors
    /// [`PassError::Path`].
    pub fn statement_over(&self, claims: &Digest) -> Result<Statement, PassError> {
        let leaf = merkle::leaf_hash(claims, &self.record);
        let root = merkle::root_from_path(leaf, self.index, self.statement.count, &self.path)
            .ok_or(PassError::Path)?;
        Ok(Statement { root, ..self.statement.clone() })
    }

    /// The number of this entry among all of its writer's: what marks a pass as used.
    pub fn log_index(&self) -> u64 {
        self.statement.first_index.saturating_add(self.index.into())
    }
}

#[cfg(test)]
mod tests;
