//! The control API; its routes are still to come.
use std::net::IpAddr;
use std::sync::Arc;

/// Where a request came from, and whether over TLS.
#[derive(Clone, Copy)]
pub struct ClientAddr(pub IpAddr, pub bool);
/// What handlers share.
pub struct ApiState;
impl ApiState {
    /// Over these parts.
    pub fn new<A, B, C, D>(_: A, _: B, _: C, _: D) -> Self {
        Self
    }
    /// `/readyz` fails from now on.
    pub fn begin_drain(&self) {}
}
/// The routes.
pub fn router(_: Arc<ApiState>) -> axum::Router {
    axum::Router::new()
}
