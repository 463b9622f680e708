//! The console's files: built into the binary for release, read from `web/dist` while developing.
//!
//! A policy of its own: scripts and styles only from here, plus styles that carry the nonce of this very page, since the
//! component library adds some while it runs. The nonce is made anew for each answer and the page is never stored.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use rust_embed::{EmbeddedFile, RustEmbed};

/// Relative to this crate. Missing where the console has not been built; then [`UNBUILT`] says how.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// Stands in the built index for the page's nonce.
const NONCE: &str = "DOORMAN-STYLE-NONCE";
/// Assets carry a hash of their content in their names.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const UNBUILT: &str = "<!doctype html><html lang=\"en\"><title>Doorman</title><h1>The console is not built</h1>\
    <p>This binary was made without it. In Doorman's sources run <code>cargo xtask ui</code>, or <code>cargo xtask demo</code> \
    for everything at once. It needs Node 20.19 or newer.</p>\
    <p>The command line and the API work without: <code>doorman --help</code>, <a href=\"/api/v1/openapi.json\">OpenAPI</a>.</p>";

/// First segments of what programs call. Below them nobody gets a page, whatever they accept.
const PROGRAMS: [&str; 8] = ["api", "auth", "oauth2", "r", ".well-known", "healthz", "readyz", "metrics"];

/// A file or page of the console; `None` where there is nothing for a browser.
///
/// The pages' own paths are the console's business: any of them answers with the index.
pub(crate) fn serve(method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let path = path.strip_prefix('/')?;
    let first = path.split('/').next().unwrap_or_default();
    if PROGRAMS.contains(&first) {
        return None;
    }
    if path.is_empty() || path == "index.html" {
        return Some(index());
    }
    if let Some(file) = Dist::get(path).filter(|_| !path.ends_with(".gz")) {
        return Some(asset(path, file, headers));
    }
    // A file that is gone must not be answered with a page: the browser would take it for a script.
    (first != "assets" && accepts(headers, header::ACCEPT, "text/html")).then(index)
}

fn index() -> Response {
    let built = Dist::get("index.html");
    let html = built.as_ref().and_then(|file| std::str::from_utf8(&file.data).ok()).unwrap_or(UNBUILT);
    // 122 random bits.
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; \
         font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let mut response = axum::response::Html(html.replace(NONCE, &nonce)).into_response();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn asset(path: &str, plain: EmbeddedFile, headers: &HeaderMap) -> Response {
    let packed =
        Dist::get(&format!("{path}.gz")).filter(|_| accepts(headers, header::ACCEPT_ENCODING, "gzip"));
    let is_packed = packed.is_some();
    let mime = plain.metadata.mimetype().to_owned();
    let mut response = packed.unwrap_or(plain).data.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::try_from(mime) {
        headers.insert(header::CONTENT_TYPE, mime);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if path.starts_with("assets/") {
        headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    }
    response
}

/// Whether a comma-separated header names `wanted`, and not with a weight of nothing.
fn accepts(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name);
    let mut items = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    items.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
            && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn a_weight_of_nothing_is_a_refusal() {
        let gzip =
            |value| accepts(&accepting(header::ACCEPT_ENCODING, value), header::ACCEPT_ENCODING, "gzip");
        assert!(gzip("gzip") && gzip("br, GZIP;q=0.5") && gzip("deflate,gzip"));
        assert!(!gzip("gzip;q=0") && !gzip("br") && !gzip("") && !gzip("xgzip"));
    }

    #[test]
    fn every_answer_has_a_nonce_of_its_own_and_only_styles_have_one() {
        let policy = || {
            let response = index();
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
        };
        let (one, two) = (policy(), policy());
        assert_ne!(one, two);
        assert!(one.contains("script-src 'self';") && one.contains("frame-ancestors 'none'"), "{one}");
        assert!(!one.contains("unsafe"), "{one}");
    }

    /// What a release carries is read while compiling; it must not have been forgotten.
    #[test]
    #[cfg(not(debug_assertions))]
    fn a_release_carries_the_console() {
        assert!(Dist::get("index.html").is_some(), "run `cargo xtask ui` first");
    }
}
