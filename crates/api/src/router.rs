//! The router: the table of routes, each behind its gate, and what every answer carries.

use crate::error::{ApiError, internal_response};
use crate::gate::{Gate, guard};
use crate::openapi;
use crate::origin::check_host;
use crate::routes::{Route, all};
use crate::state::ApiState;
use crate::ui;
use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use doorman_core::code::Code;
use doorman_door::Problem;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// The control surface over `state`. The listener must put a [`ClientAddr`](crate::ClientAddr) into every request.
pub fn router(state: Arc<ApiState>) -> Router {
    let gated = all().into_iter().fold(OpenApiRouter::new(), |router, Route { access, routes }| {
        let (schemas, paths, methods) = routes;
        let route = paths.paths.keys().next().map_or("", String::as_str).into();
        let gate = Gate { state: state.clone(), access, route };
        router.routes((schemas, paths, methods.route_layer(from_fn_with_state(gate, guard))))
    });
    let (router, _) = gated.split_for_parts();
    router
        .fallback(serve_rest)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::Extension(openapi::document()))
        .layer(from_fn(refuse_odd_hosts))
        .layer(from_fn(catch_panic))
        .layer(map_response_with_state(state.clone(), harden))
        .with_state(state)
}

/// The console's pages and files; whatever else is asked for is not there.
async fn serve_rest(method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    ui::serve(&method, uri.path(), &headers).unwrap_or_else(|| not_found(&uri).into_response())
}

fn not_found(uri: &Uri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("There is nothing at {path}."))
        .hint("GET /api/v1/openapi.json lists all there is; live services are at /r/{region}/{service}/….")
        .into()
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::Invalid, format!("{path} does not take {method}."))
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .hint("The header Allow lists the methods; GET /api/v1/openapi.json says what each does.")
        .into()
}

async fn refuse_odd_hosts(request: axum::extract::Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match check_host(&parts) {
        Ok(()) => next.run(axum::extract::Request::from_parts(parts, body)).await,
        Err(problem) => ApiError::from(*problem).into_response(),
    }
}

/// A handler that panics must not take the connection, and with it other requests, along.
async fn catch_panic(request: axum::extract::Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a handler panicked");
        internal_response()
    })
}

/// What every answer carries, so that no browser runs, frames, guesses or keeps it.
async fn harden(State(state): State<Arc<ApiState>>, response: Response) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CACHE_CONTROL, "no-store");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if state.config.public_url.scheme() == "https" {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}
