//! What listeners answer with: what is under `/r/` goes through the door on this thread, the rest to a router on the
//! control runtime.

use axum::Router;
use axum::body::Body;
use doorman_api::ClientAddr;
use doorman_door::{AnswerBody, Door};
use doorman_net::{Conn, Handler};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::rc::Rc;
use std::sync::Arc;
use tokio::runtime::Handle;
use tower::ServiceExt as _;

/// What one server thread of `api` answers with.
pub struct Front {
    pub door: Rc<Door>,
    pub routed: Routed,
}

/// A router, answered for by the control runtime: nothing there may hold up the send path.
pub struct Routed {
    pub router: Router,
    pub control: Handle,
}

impl Handler for Front {
    type Body = AnswerBody;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, conn: Arc<Conn>) -> Response<AnswerBody> {
        if Door::owns(request.uri().path()) {
            return self.door.handle(request, &conn).await;
        }
        self.routed.answer(request, &conn).await
    }
}

impl Handler for Routed {
    type Body = AnswerBody;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, conn: Arc<Conn>) -> Response<AnswerBody> {
        self.answer(request, &conn).await
    }
}

impl Routed {
    async fn answer(&self, request: Request<Incoming>, conn: &Conn) -> Response<AnswerBody> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ClientAddr(conn.peer().ip().to_canonical(), conn.is_tls()));
        let router = self.router.clone();
        let answered = self.control.spawn(async move { router.oneshot(request).await }).await;
        match answered {
            Ok(Ok(response)) => {
                response.map(|body| AnswerBody::Boxed(body.map_err(Into::into).boxed_unsync()))
            }
            Err(error) => {
                tracing::error!(%error, "a router failed");
                let mut response = Response::new(AnswerBody::Full(None));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}
