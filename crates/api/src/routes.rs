//! The table of routes: each with who may call it, with which credentials, and the kind of entry it leaves.
//!
//! A call that changes something writes its entry before it does, and answers 503 when it cannot. Denials and refusals
//! are entries always.

use crate::access::Access;
use crate::auth_routes::{login, me, service_accounts, sessions, tokens, verify};
use crate::oauth::{grants, metadata, tokens as oauth_tokens};
use crate::state::ApiState;
use crate::{audit, catalog, collections, health, jobs, openapi, policy};
use doorman_core::record::Kind;
use doorman_policy::{Resource, action};
use std::sync::Arc;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

/// One route with its class.
pub(crate) struct Route {
    pub access: Access,
    pub routes: UtoipaMethodRouter<Arc<ApiState>>,
}

const OWN_TOKENS: &[(&str, Resource<'static>)] =
    &[(action::TOKEN_ISSUE, Resource::Tokens), (action::SESSION_MANAGE, Resource::SessionsAll)];
const SESSIONS: &[(&str, Resource<'static>)] =
    &[(action::SESSION_MANAGE, Resource::SessionsOwn), (action::SESSION_MANAGE, Resource::SessionsAll)];
const ISSUE: &[(&str, Resource<'static>)] = &[(action::TOKEN_ISSUE, Resource::Tokens)];
const SERVICE_ACCOUNTS: &[(&str, Resource<'static>)] =
    &[(action::SERVICE_ACCOUNT_MANAGE, Resource::ServiceAccounts)];

const AUDIT: &[(&str, Resource<'static>)] =
    &[(action::AUDIT_READ, Resource::AuditOwn), (action::AUDIT_READ, Resource::AuditAll)];
const AUDIT_EXPORT: &[(&str, Resource<'static>)] =
    &[(action::AUDIT_EXPORT, Resource::AuditOwn), (action::AUDIT_EXPORT, Resource::AuditAll)];
/// Whoever reads their own entries learns there which policies denied them: they may ask before they try.
const POLICY: &[(&str, Resource<'static>)] =
    &[(action::POLICY_READ, Resource::Policies), (action::AUDIT_READ, Resource::AuditOwn)];

fn route(access: Access, routes: UtoipaMethodRouter<Arc<ApiState>>) -> Route {
    Route { access, routes }
}

/// All there is.
pub(crate) fn all() -> Vec<Route> {
    let saved = Access::caller(Kind::Collection);
    let accounts = Access::permitted(Kind::ServiceAccount, SERVICE_ACCOUNTS);
    vec![
        route(Access::public(Kind::Login), routes!(login::log_in)),
        route(Access::caller(Kind::Token).by_self(), routes!(login::log_out)),
        route(Access::cookie(Kind::Token), routes!(login::make_session_token)),
        route(Access::caller(Kind::Request), routes!(me::show_me)),
        route(Access::service(Kind::Token), routes!(verify::verify_user_token)),
        route(Access::permitted(Kind::Token, OWN_TOKENS), routes!(tokens::list_tokens)),
        route(Access::permitted(Kind::Token, ISSUE).by_login(), routes!(tokens::issue_token)),
        route(Access::permitted(Kind::Token, OWN_TOKENS).by_login(), routes!(tokens::revoke_token)),
        route(Access::permitted(Kind::Token, SESSIONS), routes!(sessions::list_sessions)),
        route(Access::permitted(Kind::Token, SESSIONS).by_login(), routes!(sessions::end_sessions)),
        route(Access::permitted(Kind::Token, SESSIONS).by_login(), routes!(sessions::end_session)),
        route(accounts, routes!(service_accounts::list_service_accounts)),
        route(accounts.by_login(), routes!(service_accounts::create_service_account)),
        route(accounts, routes!(service_accounts::show_service_account)),
        route(accounts.by_login(), routes!(service_accounts::update_service_account)),
        route(accounts.by_login(), routes!(service_accounts::delete_service_account)),
        route(accounts.by_login(), routes!(service_accounts::rotate_service_account)),
        route(Access::caller(Kind::Request), routes!(catalog::list_regions)),
        route(Access::caller(Kind::Request), routes!(catalog::list_services)),
        route(Access::caller(Kind::Request), routes!(catalog::list_instances)),
        route(saved, routes!(collections::list_saved_requests)),
        route(saved, routes!(collections::create_saved_request)),
        route(saved, routes!(collections::show_saved_request)),
        route(saved, routes!(collections::update_saved_request)),
        route(saved, routes!(collections::delete_saved_request)),
        route(saved, routes!(collections::list_saved_versions)),
        route(Access::permitted(Kind::Audit, AUDIT), routes!(audit::list_entries)),
        route(Access::permitted(Kind::Audit, AUDIT_EXPORT), routes!(audit::export_entries)),
        route(Access::permitted(Kind::Audit, AUDIT), routes!(audit::stream_entries)),
        route(Access::permitted(Kind::Audit, AUDIT), routes!(audit::chain::show_chain)),
        route(Access::permitted(Kind::Audit, AUDIT), routes!(audit::show_entry)),
        route(Access::permitted(Kind::Audit, AUDIT), routes!(audit::prove_entry)),
        route(Access::permitted(Kind::Audit, AUDIT), routes!(audit::retry_entry)),
        route(Access::permitted(Kind::Policy, POLICY), routes!(policy::explain_decision)),
        route(Access::judged(Kind::Job, &[action::JOB_READ]), routes!(jobs::list_jobs)),
        route(Access::judged(Kind::Job, &[action::JOB_CREATE]), routes!(jobs::create_job)),
        route(Access::judged(Kind::Job, &[action::JOB_READ]), routes!(jobs::show_job)),
        route(Access::judged(Kind::Job, &[action::JOB_UPDATE]), routes!(jobs::update_job)),
        route(Access::judged(Kind::Job, &[action::JOB_DELETE]), routes!(jobs::delete_job)),
        route(Access::judged(Kind::Job, &[action::JOB_UPDATE]), routes!(jobs::upload_job_input)),
        route(Access::judged(Kind::Job, &[action::JOB_READ]), routes!(jobs::list_job_edits)),
        route(Access::judged(Kind::Job, &[action::JOB_READ]), routes!(jobs::preview_job)),
        route(Access::judged(Kind::Run, &[action::JOB_RUN]), routes!(jobs::start_run)),
        route(Access::judged(Kind::Run, &[action::JOB_CREATE, action::JOB_RUN]), routes!(jobs::start_bulk)),
        route(Access::judged(Kind::Run, &[action::JOB_READ]), routes!(jobs::list_runs)),
        route(Access::judged(Kind::Run, &[action::JOB_READ]), routes!(jobs::show_run)),
        route(Access::judged(Kind::Run, &[action::JOB_READ]), routes!(jobs::list_run_items)),
        route(Access::judged(Kind::Run, &[action::JOB_READ]), routes!(jobs::stream_run_events)),
        route(Access::judged(Kind::Run, &[action::JOB_READ]), routes!(jobs::stream_results)),
        route(Access::judged(Kind::Run, &[action::JOB_RUN]), routes!(jobs::pause_run)),
        route(Access::judged(Kind::Run, &[action::JOB_RUN]), routes!(jobs::resume_run)),
        route(Access::judged(Kind::Run, &[action::JOB_RUN]), routes!(jobs::cancel_run)),
        route(Access::judged(Kind::Run, &[action::JOB_RUN]), routes!(jobs::advance_run)),
        route(Access::judged(Kind::Run, &[action::JOB_RUN]), routes!(jobs::retry_failed)),
        route(Access::client(Kind::Token), routes!(grants::grant_token)),
        route(Access::client(Kind::Token), routes!(oauth_tokens::introspect_token)),
        route(Access::client(Kind::Token), routes!(oauth_tokens::revoke_oauth_token)),
        route(Access::public(Kind::Request), routes!(metadata::show_authorization_server)),
        route(Access::public(Kind::Request), routes!(health::show_jwks)),
        route(Access::public(Kind::Request), routes!(health::show_health)),
        route(Access::public(Kind::Request), routes!(health::show_readiness)),
        route(Access::public(Kind::Request), routes!(health::show_metrics)),
        route(Access::public(Kind::Request), routes!(openapi::show_openapi)),
    ]
}

/// A route as tests and documentation see it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `GET`
    pub method: String,
    /// With placeholders: `/auth/v1/tokens/{id}`.
    pub path: String,
    /// Its class.
    pub access: Access,
}

/// Every method of every route.
pub fn listed() -> Vec<Listed> {
    let mut listed = Vec::new();
    for Route { access, routes: (_, paths, _) } in all() {
        for (path, item) in &paths.paths {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            let there = methods.iter().filter(|(_, operation)| operation.is_some());
            listed.extend(there.map(|(method, _)| Listed {
                method: (*method).to_owned(),
                path: path.clone(),
                access,
            }));
        }
    }
    listed
}
