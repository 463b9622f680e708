//! Whose sessions and tokens a call is about: the caller's own, or, for administrators, somebody else's.

use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::page::{checked_cursor, checked_limit};
use crate::state::ApiState;
use doorman_auth::SessionInfo;
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_door::Problem;
use doorman_policy::{Resource, action};
use doorman_store::SessionKind;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which page, and of whom.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OwnedParams {
    /// `user:alice`, or a bare user name, or `all`. Without it one's own. Others' need `session:manage` on all sessions.
    pub principal: Option<String>,
    /// Items in a page, 1 to 500; 50 without it.
    pub limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    pub cursor: Option<String>,
}

impl OwnedParams {
    /// Limit and cursor, both checked.
    pub fn page(&self) -> ApiResult<(u32, Option<&str>)> {
        Ok((checked_limit(self.limit)?, checked_cursor(self.cursor.as_deref())?))
    }
}

/// The principal asked for; `None` for all.
pub(crate) async fn asked_owner(
    state: &ApiState,
    caller: &Authorized,
    asked: Option<&str>,
) -> ApiResult<Option<Principal>> {
    let owner = match asked {
        None => Some(caller.subject().clone()),
        Some("all") => None,
        Some(text) => Some(principal(text).ok_or_else(|| {
            ApiError::field("principal", "a principal such as user:alice, a bare user name, or all")
        })?),
    };
    if owner.as_ref() == Some(caller.subject()) || manages_all(caller) {
        return Ok(owner);
    }
    let detail = format!("No policy permits {} the action session:manage on all sessions.", caller.subject());
    let problem = Problem::new(Code::Forbidden, detail)
        .hint("Leave `principal` out to see your own; administrators see everybody's.");
    Err(state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await)
}

/// The live session or token of that id, if the caller may end it. That of another is as if it were not there.
pub(crate) async fn find_owned(
    state: &ApiState,
    caller: &Authorized,
    id: &str,
    kind: Option<SessionKind>,
) -> ApiResult<SessionInfo> {
    let mut bytes = [0; 16];
    let is_id = hex::decode_to_slice(id, &mut bytes).is_ok();
    let found = if is_id { state.authenticator.store().session_info(&bytes).await? } else { None };
    let found = found.filter(|info| kind.is_none_or(|kind| info.facts.kind == kind));
    let absent =
        || Problem::new(Code::NotFound, "There is no such live session or token, or it is not yours.");
    match found {
        Some(info) if info.facts.principal == *caller.subject() || manages_all(caller) => Ok(info),
        Some(_) => Err(state.deny(&caller.arrival, caller.kind, &caller.caller, absent()).await),
        None => Err(absent().into()),
    }
}

fn manages_all(caller: &Authorized) -> bool {
    caller.may(action::SESSION_MANAGE, Resource::SessionsAll)
}

/// `user:alice`, or `alice`.
pub(crate) fn principal(text: &str) -> Option<Principal> {
    let is_plain = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
    match text.parse() {
        _ if !is_plain => None,
        Ok(principal) => Some(principal),
        Err(_) => (!text.contains(':')).then(|| Principal::User(text.into())),
    }
}
