//! The listener of `api`: what is under `/r/` goes through the door on this thread, the rest to the control API.

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

/// What one server thread answers with.
pub struct Front {
    pub door: Rc<Door>,
    pub router: Router,
    pub control: Handle,
}

impl Handler for Front {
    type Body = AnswerBody;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, conn: Arc<Conn>) -> Response<AnswerBody> {
        if Door::owns(request.uri().path()) {
            return self.door.handle(request, &conn).await;
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ClientAddr(conn.peer().ip().to_canonical(), conn.is_tls()));
        let router = self.router.clone();
        // Its own runtime: nothing there may hold up the send path.
        let answered = self.control.spawn(async move { router.oneshot(request).await }).await;
        match answered {
            Ok(Ok(response)) => {
                response.map(|body| AnswerBody::Boxed(body.map_err(Into::into).boxed_unsync()))
            }
            Err(error) => {
                tracing::error!(%error, "the control API failed");
                let mut response = Response::new(AnswerBody::Full(None));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}
