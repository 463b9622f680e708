//! Service accounts ask whether a token is a certain user's.

use crate::error::ApiResult;
use crate::gate::Authorized;
use crate::input;
use crate::shape::user_of;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_client::wire::{VerifyRequest, VerifyResponse};
use std::sync::Arc;

/// Verify a user's token
///
/// Whether the token is live and that user's. A bad one is `{"active":false}`, whatever is wrong with it.
#[utoipa::path(post, path = "/auth/v1/verify", tag = "auth", request_body = VerifyRequest,
    responses((status = 200, description = "Whether it is.", body = VerifyResponse)))]
pub(crate) async fn verify_user_token(
    State(state): State<Arc<ApiState>>,
    _caller: Authorized,
    input::Json(asked): input::Json<VerifyRequest>,
) -> ApiResult<Json<VerifyResponse>> {
    let session = state.authenticator.verify_user_token(&asked.username, &asked.token).await?;
    let user = session.as_deref().and_then(user_of);
    Ok(Json(VerifyResponse { active: user.is_some(), user }))
}
