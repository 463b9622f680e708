//! One connection: who it is bound as, and the answers to its requests, one after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapBindResponse, LdapExtendedRequest, LdapExtendedResponse, LdapMsg,
    LdapOp, LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
    LdapSearchResultReference, LdapSearchScope,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use super::Shared;
use super::faults::{Fault, Request};
use super::tree::{Credential, State};

/// A request is a name, a password and a filter.
const MAX_MESSAGE: usize = 64 * 1024;
const MAX_DEPTH: usize = 24;
const MAX_IDLE: Duration = Duration::from_secs(300);
/// Entries sent to a client that does not ask for pages.
const SIZE_LIMIT: usize = 1_000;
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let codec = LdapCodec::new(Some(MAX_MESSAGE), Some(MAX_DEPTH));
    let mut session = Session { stream: Framed::new(stream, codec), shared, bound: None };
    while let Ok(Some(request)) = tokio::time::timeout(MAX_IDLE, session.stream.next()).await {
        if !session.answer(request?).await? {
            break;
        }
    }
    Ok(())
}

struct Session {
    stream: Framed<TcpStream, LdapCodec>,
    shared: Arc<Shared>,
    bound: Option<String>,
}

impl Session {
    /// Answers one request. Whether the connection goes on.
    async fn answer(&mut self, request: LdapMsg) -> io::Result<bool> {
        let LdapMsg { msgid, op, ctrl } = request;
        let unwilling = || result(LdapResultCode::UnwillingToPerform, "this directory is read-only");
        let answer = match op {
            LdapOp::BindRequest(request) => return self.bind(msgid, request, &ctrl).await,
            LdapOp::SearchRequest(request) => return self.search(msgid, request, &ctrl).await,
            LdapOp::ExtendedRequest(request) => LdapOp::ExtendedResponse(self.extended(&request)),
            LdapOp::ModifyRequest(_) => LdapOp::ModifyResponse(unwilling()),
            LdapOp::AddRequest(_) => LdapOp::AddResponse(unwilling()),
            LdapOp::DelRequest(_) => LdapOp::DelResponse(unwilling()),
            LdapOp::ModifyDNRequest(_) => LdapOp::ModifyDNResponse(unwilling()),
            LdapOp::CompareRequest(_) => LdapOp::CompareResult(unwilling()),
            LdapOp::AbandonRequest(_) => return Ok(true),
            _ => return Ok(false),
        };
        self.send(msgid, answer, Vec::new()).await?;
        Ok(true)
    }

    async fn bind(
        &mut self,
        id: i32,
        request: LdapBindRequest,
        controls: &[LdapControl],
    ) -> io::Result<bool> {
        self.shared.note(Request::Bind { dn: request.dn.clone() });
        let Some(id) = self.misbehave(self.shared.faults.for_bind(), id).await? else { return Ok(false) };
        if self.shared.faults.for_bind() == Some(Fault::Busy) {
            let busy = LdapBindResponse { res: result(LdapResultCode::Busy, "busy"), saslcreds: None };
            self.send(id, LdapOp::BindResponse(busy), Vec::new()).await?;
            return Ok(true);
        }
        self.bound = None;
        let password = match request.cred {
            LdapBindCred::Simple(password) if request.version == 3 => password,
            _ => {
                let res = result(LdapResultCode::AuthMethodNotSupported, "simple binds only");
                self.send(id, LdapOp::BindResponse(LdapBindResponse { res, saslcreds: None }), Vec::new())
                    .await?;
                return Ok(true);
            }
        };
        let mut policy = Vec::new();
        let res = if password.is_empty() {
            result(LdapResultCode::Success, "")
        } else {
            let Credential { hash, state } = self.shared.directory.tree().credential(&request.dn);
            let right = self.verify(password, hash).await;
            match state {
                State::Active if right => {
                    self.bound = Some(request.dn);
                    result(LdapResultCode::Success, "")
                }
                State::Disabled => result(LdapResultCode::UnwillingToPerform, "account disabled"),
                State::Locked => {
                    // SEQUENCE { error [1] accountLocked (1) }
                    let value = Some(vec![0x30, 3, 0x81, 1, 1]);
                    policy.push(LdapControl::Unknown {
                        oid: PASSWORD_POLICY.to_owned(),
                        criticality: false,
                        value,
                    });
                    result(LdapResultCode::InvalidCredentials, "")
                }
                State::Active | State::Decoy => result(LdapResultCode::InvalidCredentials, ""),
            }
        };
        policy.retain(|_| {
            controls.iter().any(|control| matches!(control, LdapControl::PasswordPolicyRequest { .. }))
        });
        self.send(id, LdapOp::BindResponse(LdapBindResponse { res, saslcreds: None }), policy).await?;
        Ok(true)
    }

    async fn verify(&self, password: String, hash: String) -> bool {
        let Ok(_permit) = self.shared.checks.acquire().await else { return false };
        let check = move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }

    async fn search(
        &mut self,
        id: i32,
        request: LdapSearchRequest,
        controls: &[LdapControl],
    ) -> io::Result<bool> {
        self.shared.note(Request::Search { base: request.base.clone(), filter: request.filter.clone() });
        let fault = self.shared.faults.for_search(&request.filter);
        let Some(id) = self.misbehave(fault.clone(), id).await? else { return Ok(false) };
        let (mut code, mut entries) = self.find(&request);
        let mut cookie = None;
        let paging = controls.iter().find_map(|control| match control {
            LdapControl::SimplePagedResults { size, cookie } => Some((usize::try_from(*size).ok()?, cookie)),
            _ => None,
        });
        if let Some((size, from)) = paging {
            let from = std::str::from_utf8(from).ok().and_then(|from| from.parse().ok()).unwrap_or(0);
            let total = entries.len();
            entries = entries.into_iter().skip(from).take(size.max(1)).collect();
            let next = from + entries.len();
            cookie = Some(if next < total { next.to_string().into_bytes() } else { Vec::new() });
        }
        let limit = match usize::try_from(request.sizelimit) {
            Ok(limit) if limit > 0 => limit.min(SIZE_LIMIT),
            _ => SIZE_LIMIT,
        };
        if entries.len() > limit {
            entries.truncate(limit);
            code = LdapResultCode::SizeLimitExceeded;
        }
        match fault {
            Some(Fault::Busy) => (code, entries) = (LdapResultCode::Busy, Vec::new()),
            Some(Fault::Referral) => (code, entries) = (LdapResultCode::Referral, Vec::new()),
            Some(Fault::SizeLimit) => code = LdapResultCode::SizeLimitExceeded,
            Some(Fault::CloseAmidEntries) => {
                if let Some(first) = entries.into_iter().next() {
                    self.send(id, LdapOp::SearchResultEntry(first), Vec::new()).await?;
                }
                return Ok(false);
            }
            Some(Fault::Reference) => {
                let uris = vec!["ldap://192.0.2.1/dc=elsewhere".to_owned()];
                let reference = LdapOp::SearchResultReference(LdapSearchResultReference { uris });
                self.send(id, reference, Vec::new()).await?;
            }
            _ => {}
        }
        for entry in entries {
            self.stream.feed(LdapMsg::new(id, LdapOp::SearchResultEntry(entry))).await?;
        }
        let controls =
            cookie.map(|cookie| LdapControl::SimplePagedResults { size: 0, cookie }).into_iter().collect();
        self.send(id, LdapOp::SearchResultDone(result(code, "")), controls).await?;
        Ok(true)
    }

    fn find(&self, request: &LdapSearchRequest) -> (LdapResultCode, Vec<LdapSearchResultEntry>) {
        if request.base.is_empty() && request.scope == LdapSearchScope::Base {
            return (LdapResultCode::Success, vec![root()]);
        }
        if self.bound.is_none() {
            return (LdapResultCode::InsufficentAccessRights, Vec::new());
        }
        match self.shared.directory.tree().search(request) {
            Some(entries) => (LdapResultCode::Success, entries),
            None => (LdapResultCode::NoSuchObject, Vec::new()),
        }
    }

    fn extended(&self, request: &LdapExtendedRequest) -> LdapExtendedResponse {
        if request.name == WHO_AM_I {
            self.shared.note(Request::Other("who am I"));
            let who = self.bound.as_ref().map(|dn| format!("dn:{dn}")).unwrap_or_default();
            return LdapExtendedResponse {
                res: result(LdapResultCode::Success, ""),
                name: None,
                value: Some(who.into_bytes()),
            };
        }
        self.shared.note(Request::Other("extended"));
        LdapExtendedResponse {
            res: result(LdapResultCode::ProtocolError, "not supported"),
            name: None,
            value: None,
        }
    }

    /// Does what is common to all faults: the request number to answer under, or `None` to close the connection.
    async fn misbehave(&mut self, fault: Option<Fault>, id: i32) -> io::Result<Option<i32>> {
        match fault {
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Close) => return Ok(None),
            Some(Fault::Disconnect) => {
                let name = Some(NOTICE_OF_DISCONNECTION.to_owned());
                let res = result(LdapResultCode::Unavailable, "shutting down");
                let notice = LdapExtendedResponse { res, name, value: None };
                self.send(0, LdapOp::ExtendedResponse(notice), Vec::new()).await?;
                return Ok(None);
            }
            Some(Fault::WrongId) => return Ok(Some(id + 1)),
            Some(Fault::Huge) => {
                self.stream.get_mut().write_all(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]).await?;
                std::future::pending().await
            }
            _ => {}
        }
        Ok(Some(id))
    }

    async fn send(&mut self, id: i32, op: LdapOp, controls: Vec<LdapControl>) -> io::Result<()> {
        self.stream.send(LdapMsg::new_with_ctrls(id, op, controls)).await
    }
}

/// The entry that tells what this server can do.
fn root() -> LdapSearchResultEntry {
    let attribute = |name: &str, values: &[&str]| LdapPartialAttribute {
        atype: name.to_owned(),
        vals: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
    };
    LdapSearchResultEntry {
        dn: String::new(),
        attributes: vec![
            attribute("objectClass", &["top"]),
            attribute("supportedLDAPVersion", &["3"]),
            attribute("supportedControl", &["1.2.840.113556.1.4.319", PASSWORD_POLICY]),
            attribute("supportedExtension", &[WHO_AM_I]),
        ],
    }
}

fn result(code: LdapResultCode, message: &str) -> LdapResult {
    LdapResult { code, matcheddn: String::new(), message: message.to_owned(), referral: Vec::new() }
}
