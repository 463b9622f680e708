//! Where OAuth clients find everything (RFC 8414).

use super::grants::EXCHANGE;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const BY_SECRET: &[&str] = &["client_secret_basic", "client_secret_post"];

/// Authorization server metadata.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorizationServer {
    issuer: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    jwks_uri: String,
    grant_types_supported: &'static [&'static str],
    /// `none` alone: nobody is sent to a login page here. The list must not be empty (RFC 8414 §2 requires it, and clients check).
    response_types_supported: &'static [&'static str],
}

/// OAuth 2 metadata
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth",
    responses((status = 200, description = "RFC 8414.", body = AuthorizationServer)))]
pub(crate) async fn show_authorization_server(
    State(state): State<Arc<ApiState>>,
) -> Json<AuthorizationServer> {
    let base = state.config.public_url.origin().ascii_serialization();
    Json(AuthorizationServer {
        issuer: state.authenticator.issuer().to_owned(),
        token_endpoint: format!("{base}/oauth2/token"),
        token_endpoint_auth_methods_supported: BY_SECRET,
        introspection_endpoint: format!("{base}/oauth2/introspect"),
        introspection_endpoint_auth_methods_supported: BY_SECRET,
        revocation_endpoint: format!("{base}/oauth2/revoke"),
        revocation_endpoint_auth_methods_supported: BY_SECRET,
        jwks_uri: format!("{base}/.well-known/jwks.json"),
        grant_types_supported: &["client_credentials", EXCHANGE],
        response_types_supported: &["none"],
    })
}
