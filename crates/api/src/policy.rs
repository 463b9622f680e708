//! Asking policy: what it would say to a request, and why.

use crate::auth_routes::owner::principal;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::Params;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_core::target::Target;
use doorman_door::Problem;
use doorman_policy::{Explanation, Remedy, RequestContext, Resource, Subject, Verdict, action};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A request that somebody might send.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainParams {
    /// Who would send it: `user:alice`, or a bare user name. Without it the caller. Others need `policy:read`.
    pub subject: Option<String>,
    /// Their groups, separated by commas. Without it those of the user's newest live session.
    pub groups: Option<String>,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
    /// The method; `GET` without it.
    pub method: Option<String>,
    /// The path; `/` without it.
    pub path: Option<String>,
    /// The instance, `any` or `all`; `any` without it.
    pub instance: Option<String>,
    /// The reason given.
    pub reason: Option<String>,
    /// Whether somebody has approved it.
    pub approved: Option<bool>,
    /// From which address; that of this call without it.
    #[param(value_type = Option<String>)]
    pub client_ip: Option<IpAddr>,
    /// The service account that would act for the subject.
    pub on_behalf: Option<String>,
}

/// What policy says and how it came to that.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explained {
    /// Whether it would be permitted.
    permit: bool,
    /// The policies that decide; none behind a denial: nothing permits it.
    policies: Vec<String>,
    /// Why policy could not be asked.
    error: Option<String>,
    /// `reason` or `approval`, where that would turn the denial into a permit.
    would_permit_with: Option<&'static str>,
    /// The groups that were assumed.
    groups: Vec<String>,
    /// All policies that could have a say; without `policy:read` those that are about the caller.
    candidates: Vec<ExplainedPolicy>,
}

/// One policy and what it makes of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExplainedPolicy {
    /// Its name.
    name: String,
    /// Its file; only with `policy:read`.
    file: Option<String>,
    /// Its line there; only with `policy:read`.
    line: Option<usize>,
    /// `permit` or `forbid`.
    effect: &'static str,
    /// `applies`, `other_principal`, `not_met`, `failed`.
    verdict: &'static str,
}

/// Explain a decision
///
/// What policy would say to a request of somebody's, by which policies, and what the others make of it. Everybody who
/// may read their own audit entries may ask about themselves.
#[utoipa::path(get, path = "/api/v1/policy/explain", tag = "policy", params(ExplainParams),
    responses((status = 200, description = "The decision.", body = Explained)))]
pub(crate) async fn explain_decision(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(asked): Params<ExplainParams>,
) -> ApiResult<Json<Explained>> {
    let reads_all = caller.may(action::POLICY_READ, Resource::Policies);
    let who = match asked.subject.as_deref() {
        None => caller.subject().clone(),
        Some(text) => principal(text).ok_or_else(|| {
            ApiError::field("subject", "a principal such as user:alice, or a bare user name")
        })?,
    };
    let is_own = who == *caller.subject() && asked.groups.is_none();
    if !reads_all && !is_own {
        let detail = format!("No policy permits {} the action policy:read.", caller.subject());
        let problem = Problem::new(Code::Forbidden, detail)
            .hint("Leave `subject` and `groups` out to ask about yourself.");
        return Err(state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await);
    }
    let path = asked.path.as_deref().unwrap_or("/");
    let target = Target::parse(&format!("/r/{}/{}{path}", asked.region, asked.service), None)
        .map_err(|error| ApiError::field("path", error.to_string()))?;
    let groups = match is_own {
        true => caller.caller.session().groups.to_vec(),
        false => groups_of(&state, &who, asked.groups.as_deref()).await?,
    };
    let subject = match &who {
        Principal::User(name) => Subject::user(name, &groups),
        Principal::Service(name) => Subject::service(name),
    };
    let context = RequestContext {
        method: asked.method.as_deref().unwrap_or("GET"),
        path: target.policy_path(),
        instance: asked.instance.as_deref().unwrap_or("any"),
        reason: asked.reason.as_deref(),
        approved: asked.approved.unwrap_or(false),
        time: i64::try_from(state.now_ms() / 1_000).unwrap_or(i64::MAX),
        client_ip: asked.client_ip.unwrap_or(caller.arrival.client_ip),
        on_behalf: asked.on_behalf.as_deref(),
    };
    let set = state.door.policies.current();
    let explanation = set.explain_request(&subject, target.region(), target.service(), &context);
    Ok(Json(shape(explanation, groups, reads_all)))
}

/// The groups given, or those that the user's newest session has.
async fn groups_of(state: &ApiState, who: &Principal, given: Option<&str>) -> ApiResult<Vec<String>> {
    if let Some(given) = given {
        return Ok(given
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect());
    }
    let (page, _) = state.authenticator.store().list_sessions(Some(who), None, 1).await?;
    Ok(page.first().map(|info| info.facts.groups.to_vec()).unwrap_or_default())
}

fn shape(explanation: Explanation, groups: Vec<String>, reads_all: bool) -> Explained {
    let is_shown = |verdict: &Verdict| reads_all || !matches!(verdict, Verdict::OtherPrincipal);
    let candidates = explanation.candidates.into_iter().filter(|candidate| is_shown(&candidate.verdict));
    let candidates = candidates.map(|candidate| ExplainedPolicy {
        name: candidate.name.to_string(),
        file: reads_all.then(|| candidate.file.to_string()),
        line: reads_all.then_some(candidate.line),
        effect: candidate.effect,
        verdict: match candidate.verdict {
            Verdict::Applies => "applies",
            Verdict::OtherPrincipal => "other_principal",
            Verdict::NotMet => "not_met",
            Verdict::Failed(_) => "failed",
        },
    });
    Explained {
        permit: explanation.decision.permit,
        policies: explanation.decision.policies.iter().map(|name| name.to_string()).collect(),
        error: explanation.decision.error.as_deref().map(str::to_owned),
        would_permit_with: explanation.would_permit_with.map(|remedy| match remedy {
            Remedy::Reason => "reason",
            Remedy::Approval => "approval",
        }),
        groups,
        candidates: candidates.collect(),
    }
}
