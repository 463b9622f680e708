//! The OpenAPI 3.1 document, made from the same table as the router.

use crate::access::{By, Who};
use crate::routes::all;
use axum::Extension;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use doorman_client::wire;
use http::header;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder,
};
use utoipa_axum::router::OpenApiRouter;

/// The rendered document.
#[derive(Clone)]
pub(crate) struct Document(Bytes);

/// Renders it once for the process.
pub(crate) fn document() -> Document {
    Document(serde_json::to_vec(&openapi()).unwrap_or_default().into())
}

/// What this surface offers.
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Doorman")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "One audited door to live systems. Live services are reached at `/r/{region}/{service}[@{instance}]/{path}`, \
             which takes any method and is not described here. Every error is `application/problem+json`.",
        ))
        .build();
    let mut components = Components::new();
    for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
        components.add_security_scheme(name, SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build()));
    }
    let cookie = ApiKeyValue::with_description(
        "__Host-doorman",
        "For Doorman's own pages; on plain loopback it is `doorman`. Calls that change anything need their Origin.",
    );
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let base = OpenApiBuilder::new().info(info).components(Some(components)).build();
    let base = OpenApiRouter::<()>::with_openapi(base).into_openapi();
    let router = all().into_iter().fold(OpenApiRouter::with_openapi(base), |router, route| {
        let (mut schemas, mut paths, methods) = route.routes;
        add_problem(&mut schemas);
        for item in paths.paths.values_mut() {
            for operation in operations(item) {
                describe(operation, &route.access);
            }
        }
        router.routes((schemas, paths, methods))
    });
    router.into_openapi()
}

fn add_problem(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
    use utoipa::{PartialSchema as _, ToSchema as _};
    schemas.push((wire::Problem::name().into_owned(), wire::Problem::schema()));
    wire::Problem::schemas(schemas);
}

/// The operations of one path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Says who may call it, and how errors look.
fn describe(operation: &mut Operation, access: &crate::Access) {
    let problem = ResponseBuilder::new()
        .description("Refused or failed; `code` says how.")
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build(),
        )
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
    let schemes: &[&str] = match access.who {
        Who::Public => &[],
        Who::Cookie => &["cookie"],
        Who::Service => &["basic", "bearer"],
        Who::Client => &["basic"],
        Who::Caller | Who::Judged(_) | Who::Permitted(_) => &["bearer", "basic", "cookie"],
    };
    let security = schemes.iter().map(|name| SecurityRequirement::new(*name, Vec::<String>::new()));
    operation.security = Some(security.collect());
    let who = match access.who {
        Who::Public => "Anybody may call this.".to_owned(),
        Who::Caller => "Any live credential will do.".to_owned(),
        Who::Cookie => "For Doorman's own pages, with their cookie.".to_owned(),
        Who::Service => "For service accounts.".to_owned(),
        Who::Client => {
            "For service accounts: by Basic, or by `client_id` and `client_secret` in the form. Errors are those of RFC \
             6749 §5.2."
                .to_owned()
        }
        Who::Judged(actions) => {
            let names: Vec<_> = actions.iter().map(|action| format!("`{action}`")).collect();
            format!("Policy must permit {}.", names.join(" and "))
        }
        Who::Permitted(actions) => {
            let mut names: Vec<_> = actions.iter().map(|(action, _)| format!("`{action}`")).collect();
            names.dedup();
            format!("Policy must permit {}.", names.join(" or "))
        }
    };
    let by = match access.by {
        By::Any => "",
        By::Oneself => " Not on somebody's behalf.",
        By::Login => " Neither with a personal token nor on somebody's behalf.",
    };
    let said = operation.description.take().map(|text| text + "\n\n").unwrap_or_default();
    operation.description = Some(format!("{said}{who}{by}"));
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "meta",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)))]
pub(crate) async fn show_openapi(Extension(Document(bytes)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}
