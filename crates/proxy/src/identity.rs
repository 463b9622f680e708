//! The keys that verify `Doorman-Identity`, for the region's services: they cannot call the management region.

use crate::answer::{AnswerBody, plain};
use crate::server::Shared;
use doorman_core::keys::KeyUse;
use doorman_net::{Conn, Handler};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::rc::Rc;
use std::sync::Arc;

/// Answers `/.well-known/jwks.json`, and nothing else.
pub(crate) struct IdentityKeys(pub(crate) Arc<Shared>);

impl Handler for IdentityKeys {
    type Body = AnswerBody;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, _conn: Arc<Conn>) -> Response<AnswerBody> {
        if *request.method() != Method::GET || request.uri().path() != "/.well-known/jwks.json" {
            return plain(StatusCode::NOT_FOUND, "text/plain", "only /.well-known/jwks.json is here\n");
        }
        plain(StatusCode::OK, "application/json", self.0.trust.keys().only(&[KeyUse::Identity]).to_jwks())
    }
}
