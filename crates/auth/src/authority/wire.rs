//! What `api` and `doorman auth` say to each other: JSON over a link that proves both ends (docs/identity.md).

use super::{Answer, Ask, Authority, Proven};
use crate::AuthError;
use crate::people::DirectoryState;
use crate::session::{Session, SessionFacts};
use doorman_core::code::Code;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What `auth` tells about itself every second.
#[derive(Serialize, Deserialize)]
pub struct AuthState {
    /// `iss` of tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// Whether the directory answers.
    pub directory: DirectoryState,
    /// The keys that verify tokens: a JWKS.
    pub keys: String,
}

/// An answer on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A live session.
    Proven(Box<ProvenReply>),
    /// The directory's own id of whoever has the name there.
    Known(Option<String>),
    /// The credential is not good, or it cannot be known.
    Refused(Refused),
}

/// [`Proven`] on the wire.
#[derive(Serialize, Deserialize)]
pub struct ProvenReply {
    facts: SessionFacts,
    /// For how long the facts are confirmed: a duration, since clocks differ.
    good_for_ms: u64,
    token_expires_ms: u64,
    token: Option<String>,
}

/// [`AuthError`] on the wire.
#[derive(Serialize, Deserialize)]
pub struct Refused {
    code: String,
    audit_reason: String,
    retry_after_ms: Option<u64>,
    principal_hint: Option<String>,
}

/// Answers a question from the wire. `None` when it is no question.
pub async fn answer(authority: &dyn Authority, body: &[u8]) -> Option<Reply> {
    let ask: Ask = serde_json::from_slice(body).ok()?;
    Some(match authority.ask(ask).await {
        Ok(Answer::Known(known)) => Reply::Known(known),
        Ok(Answer::Proven(Proven { session, token_expires_ms, token })) => {
            let good_for_ms = session.recheck_ms().saturating_sub(authority.store().clock.now_ms());
            let token = token.map(|token| token.expose().to_owned());
            let facts = (**session).clone();
            Reply::Proven(Box::new(ProvenReply { facts, good_for_ms, token_expires_ms, token }))
        }
        Err(error) => Reply::Refused(Refused {
            code: error.code.as_str().to_owned(),
            audit_reason: error.audit_reason,
            retry_after_ms: error.retry_after.map(crate::settings::ms),
            principal_hint: error.principal_hint,
        }),
    })
}

impl Reply {
    /// The answer, to a question that was asked at `asked_ms`.
    pub(super) fn into_answer(self, asked_ms: u64) -> Result<Answer, AuthError> {
        match self {
            Self::Known(known) => Ok(Answer::Known(known)),
            Self::Refused(refused) => Err(refused.into_error()),
            Self::Proven(reply) => {
                let ProvenReply { facts, good_for_ms, token_expires_ms, token } = *reply;
                let session = Arc::new(Session::new(facts, asked_ms.saturating_add(good_for_ms)));
                Ok(Answer::Proven(Proven { session, token_expires_ms, token: token.map(Into::into) }))
            }
        }
    }
}

impl Refused {
    fn into_error(self) -> AuthError {
        let code = Code::ALL.iter().copied().find(|code| code.as_str() == self.code);
        AuthError {
            // A code of a later version is a refusal all the same.
            code: code.unwrap_or(Code::Unauthenticated),
            audit_reason: self.audit_reason,
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            principal_hint: self.principal_hint,
        }
    }
}

/// Secrets on their way to the process that checks them: the one place where they are serialized.
pub(super) mod secret {
    use doorman_core::secret::Secret;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
