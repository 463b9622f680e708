//! What clients send, read within limits and strictly: bodies, queries, path segments.

use crate::error::{ApiError, ApiResult};
use crate::origin::is_json;
use axum::body::Body;
use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use doorman_core::code::Code;
use doorman_door::Problem;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest body of a control call.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// A body must have arrived by then.
const READ_DEADLINE: Duration = Duration::from_secs(14);

/// A JSON body: of that content type, within the limit, no deeper than `serde_json` allows (128), no unknown fields.
pub(crate) struct Json<T>(pub T);

/// As [`Json`], for routes whose body may be left out.
pub(crate) struct OptionalJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        parse(&read(&parts.headers, body).await?).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_type(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

fn check_type(headers: &HeaderMap) -> ApiResult<()> {
    if is_json(headers) {
        return Ok(());
    }
    Err(Problem::new(Code::Invalid, "The body must be JSON.")
        .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .hint("Send `Content-Type: application/json`.")
        .into())
}

/// Reads a whole body. Nothing is decompressed, so what is refused by size cannot grow later.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> ApiResult<Bytes> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Problem::new(Code::Invalid, "The body is encoded.")
            .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .hint("Send it without Content-Encoding.")
            .into());
    }
    let too_large =
        || Problem::new(Code::TooLarge, "The body is longer than 1 MiB.").hint("Send less at once.");
    // Told to be too long: there is nothing to wait for.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large().into());
    }
    let collected = tokio::time::timeout(READ_DEADLINE, Limited::new(body, MAX_BODY).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large().into()),
        Ok(Err(_)) => Err(Problem::new(Code::Invalid, "The body broke off.").into()),
        Err(_) => Err(Problem::new(Code::Timeout, "The body did not arrive in time.")
            .status(StatusCode::REQUEST_TIMEOUT)
            .hint("Send the body without pauses.")
            .into()),
    }
}

/// Syntax errors are 400; JSON that does not say what it should is 422, with the field.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            return ApiError::field(&field, without_place(&inner.to_string()));
        }
        syntax_error(&inner)
    })?;
    reader.end().map_err(|error| syntax_error(&error))?;
    Ok(value)
}

fn syntax_error(error: &serde_json::Error) -> ApiError {
    Problem::new(Code::Invalid, format!("The body is no JSON: {error}.")).hint("Send one JSON object.").into()
}

/// serde's message without the line and column, which mean little to who made the body by program.
fn without_place(text: &str) -> &str {
    text.rfind(" at line ").and_then(|at| text.get(..at)).unwrap_or(text)
}

/// Query parameters: unknown or doubled ones are refused.
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let Query(params) = Query::<T>::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            match text.split_once(": ") {
                Some((field, detail)) => ApiError::field(field, detail),
                None => ApiError::field("query", text),
            }
        })?;
        Ok(Self(params))
    }
}

/// Path segments.
pub(crate) struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let segments = Path::<T>::from_request_parts(parts, state).await;
        segments.map(|Path(segments)| Self(segments)).map_err(|_| ApiError::not_found("such path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only parsed")]
        list: Vec<u8>,
    }

    fn problem_of(body: &[u8]) -> Problem {
        match parse::<Sample>(body) {
            Err(ApiError::Problem(problem)) => *problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_field_is_named_with_its_place() {
        let problem = problem_of(br#"{"list":[1,"x"]}"#);
        assert_eq!((problem.status.as_u16(), problem.errors[0].field.as_str()), (422, "list[1]"));
        assert!(problem_of(br#"{"list":[],"extra":1}"#).errors[0].detail.contains("unknown field `extra`"));
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused_as_such() {
        assert_eq!(problem_of(b"{").status.as_u16(), 400);
        assert_eq!(problem_of(br#"{"list":[]} {}"#).status.as_u16(), 400);
        let deep = format!("{{\"extra\":{}", "[".repeat(100_000));
        assert!(problem_of(deep.as_bytes()).status.is_client_error());
    }
}
