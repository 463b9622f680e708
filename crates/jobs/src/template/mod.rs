//! What a job sends for each row: a request whose placeholders are filled in, each value escaped for the place it stands
//! in. A value can never add a segment to the path, a parameter to the query, a header, or a key to JSON. What cannot be
//! escaped is refused for that row; what is ambiguous as a whole is refused by the same parser that the door uses.

mod body;
mod escape;
mod text;

#[cfg(test)]
mod tests;

use body::Body;
use bytes::Bytes;
use doorman_core::header::{Class, classify};
use doorman_core::rollout::{Problem, Problems, RequestSpec, Row};
use doorman_core::target::{Target, is_instance_id, is_region_name, is_service_name};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::collections::{BTreeMap, BTreeSet};
use text::Text;

/// Bytes of the longest body that is rendered.
pub const LONGEST_BODY: usize = 1 << 20;
/// Regions that a job fans out over.
pub const MOST_REGIONS: usize = 100;

/// A request with placeholders, checked.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    region: Option<Text>,
    regions: Vec<Box<str>>,
    service: Box<str>,
    instance: Text,
    method: Method,
    path: Text,
    query: Vec<(String, Text)>,
    headers: Vec<(HeaderName, Text)>,
    body: Option<Body>,
    reason: Option<Box<str>>,
    uses: Uses,
}

/// Where an item goes, for a job that fans out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Destination<'a> {
    /// One of `request.regions`.
    pub region: Option<&'a str>,
    /// One instance of `instance: all`.
    pub instance: Option<&'a str>,
}

/// One request, ready for the door.
#[derive(Clone, PartialEq, Debug)]
pub struct Rendered {
    /// Where to.
    pub target: Target,
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why a row makes no request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{detail}", .column.as_deref().map(|column| format!("`{column}` ")).unwrap_or_default())]
pub struct RowError {
    /// The column, where it is about one.
    pub column: Option<Box<str>>,
    /// What is wrong with it.
    pub detail: String,
}

/// Which columns are used, and where first.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Uses(BTreeMap<Box<str>, String>);

impl Uses {
    /// Reads a text with placeholders and remembers its columns.
    fn text(&mut self, field: &str, text: &str, problems: &mut Problems) -> Option<Text> {
        let text = problems.take(field, Text::parse(text))?;
        for column in text.columns() {
            self.0.entry(column.into()).or_insert_with(|| field.to_owned());
        }
        Some(text)
    }
}

impl Template {
    /// Checks a request.
    ///
    /// # Errors
    /// Everything that is wrong, with fields such as `request.headers.x-id`.
    pub fn compile(request: &RequestSpec) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        let mut uses = Uses::default();
        let region = check_region(request, &mut uses, &mut problems);
        if request.service.is_empty() {
            problems.add("request.service", "is missing");
        } else if !is_service_name(&request.service) {
            problems.add(
                "request.service",
                "is no name of a service: lower-case letters, digits, '-', '_' and '.'",
            );
        }
        let instance = check_instance(request, &mut uses, &mut problems);
        let method = check_method(&request.method, &mut problems);
        let path = check_path(&request.path, &mut uses, &mut problems);
        let query = request.query.iter().filter_map(|(name, value)| {
            let field = format!("request.query.{name}");
            check_name(&field, name, &mut problems);
            Some((name.clone(), uses.text(&field, value, &mut problems)?))
        });
        let query = query.collect();
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            headers.extend(check_header(name, value, &mut uses, &mut problems));
        }
        let content_type = headers.iter().find(|(name, _)| *name == CONTENT_TYPE);
        let content_type =
            content_type.and_then(|(_, value)| value.as_literal().map(|text| text.into_owned()));
        let body = request
            .body
            .as_ref()
            .and_then(|body| Body::compile(body, content_type.as_deref(), &mut uses, &mut problems));
        if let Some((_, media)) = &body
            && content_type.is_none()
            && let Ok(media) = Text::parse(media)
        {
            headers.push((CONTENT_TYPE, media));
        }
        if request
            .reason
            .as_deref()
            .is_some_and(|reason| reason.len() > 1_000 || reason.contains(char::is_control))
        {
            problems.add("request.reason", "is longer than 1000 bytes, or has control characters");
        }
        problems.into_result(Self {
            region,
            regions: request.regions.iter().map(|region| region.as_str().into()).collect(),
            service: request.service.as_str().into(),
            instance: instance.unwrap_or_default(),
            method,
            path: path.unwrap_or_default(),
            query,
            headers,
            body: body.map(|(body, _)| body),
            reason: request.reason.as_deref().map(Into::into),
            uses,
        })
    }

    /// The columns that the request uses.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.uses.0.keys().map(|column| &**column)
    }

    /// Columns that the request uses and the input does not have.
    ///
    /// # Errors
    /// Each of them, with the field that uses it first.
    pub fn check_columns(&self, input: &[String]) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::new();
        for (column, field) in &self.uses.0 {
            if !input.iter().any(|have| **have == **column) {
                let have = if input.is_empty() {
                    "has no columns".to_owned()
                } else {
                    format!("has `{}`", input.join("`, `"))
                };
                problems.add(field, format!("uses `{column}`, but the input {have}"));
            }
        }
        problems.into_result(())
    }

    /// Columns of the input that the request does not use.
    pub fn unused_columns(&self, input: &[String]) -> Vec<String> {
        let used: BTreeSet<&str> = self.columns().collect();
        input.iter().filter(|column| !used.contains(column.as_str())).cloned().collect()
    }

    /// The regions to fan out over; empty when each row says or the job does.
    pub fn regions(&self) -> &[Box<str>] {
        &self.regions
    }

    /// Whether each row makes an item of each instance (`instance: all`).
    pub fn fans_out_over_instances(&self) -> bool {
        self.instance.as_literal().is_some_and(|text| text == "all")
    }

    /// The region that all items go to, if it is one.
    pub fn fixed_region(&self) -> Option<String> {
        self.region.as_ref()?.as_literal().map(|text| text.into_owned())
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The job's own reason.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The request for one row.
    ///
    /// # Errors
    /// Why there is none: a value that cannot stand in its place, or an ambiguous target.
    pub fn render(&self, row: &Row, to: Destination<'_>) -> Result<Rendered, RowError> {
        self.render_with(row, to, |_, _| false)
    }

    /// As [`Template::render`]; `takes_slash` tells whether a region's service opted in to `%2F` in its paths. Values never
    /// make one.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with(
        &self,
        row: &Row,
        to: Destination<'_>,
        takes_slash: impl Fn(&str, &str) -> bool,
    ) -> Result<Rendered, RowError> {
        let body = match &self.body {
            Some(body) => body.render(row)?,
            None => Bytes::new(),
        };
        if body.len() > LONGEST_BODY {
            return Err(refuse(format!("the body is longer than {LONGEST_BODY} bytes")));
        }
        Ok(Rendered {
            target: self.render_target(row, to, takes_slash)?,
            method: self.method.clone(),
            headers: self.render_headers(row)?,
            body,
        })
    }

    fn render_target(
        &self,
        row: &Row,
        to: Destination<'_>,
        takes_slash: impl Fn(&str, &str) -> bool,
    ) -> Result<Target, RowError> {
        let region = match (to.region, &self.region) {
            (Some(region), _) => region.to_owned(),
            (None, Some(text)) => text.render(row, escape::plain)?,
            (None, None) => return Err(refuse("no region was named".to_owned())),
        };
        // Names are not escaped, so they are checked before they become a part of anything.
        if !is_region_name(&region) {
            return Err(refuse(format!("`{region}` is no name of a region")));
        }
        let instance = match to.instance {
            Some(instance) => instance.to_owned(),
            None => self.instance.render(row, escape::plain)?,
        };
        if !is_selector(&instance) {
            return Err(refuse(format!("`{instance}` is no id of an instance")));
        }
        let path = self.path.render(row, escape::path)?;
        let mut query = String::new();
        for (name, text) in &self.query {
            if !query.is_empty() {
                query.push('&');
            }
            // Escaping for a query refuses nothing.
            let _ = escape::query(name, &mut query);
            query.push('=');
            let _ = escape::query(&text.render(row, escape::plain)?, &mut query);
        }
        let line = format!("/r/{region}/{}@{instance}{path}", self.service);
        let query = (!self.query.is_empty()).then_some(query.as_str());
        Target::parse_with(&line, query, takes_slash).map_err(|error| refuse(error.to_string()))
    }

    fn render_headers(&self, row: &Row) -> Result<HeaderMap, RowError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, text) in &self.headers {
            let value = text.render(row, escape::header)?;
            // What surrounds a value is no part of it (RFC 9110 §5.5): it would not arrive.
            if value.trim_matches([' ', '\t']) != value {
                return Err(refuse(format!("header {name} would begin or end with a space")));
            }
            let value = HeaderValue::from_str(&value)
                .map_err(|_| refuse(format!("header {name} would have a value that no header can have")))?;
            headers.append(name.clone(), value);
        }
        Ok(headers)
    }
}

fn refuse(detail: String) -> RowError {
    RowError { column: None, detail }
}

fn is_selector(text: &str) -> bool {
    matches!(text, "any" | "all") || is_instance_id(text)
}

fn check_region(request: &RequestSpec, uses: &mut Uses, problems: &mut Problems) -> Option<Text> {
    for (number, region) in request.regions.iter().enumerate() {
        let field = format!("request.regions[{number}]");
        if !is_region_name(region) {
            problems.add(field, "is no name of a region; a fan-out has no placeholders");
        } else if request.regions.iter().take(number).any(|before| before == region) {
            problems.add(field, "is there twice");
        }
    }
    if request.regions.len() > MOST_REGIONS {
        problems.add("request.regions", format!("has more than {MOST_REGIONS} regions"));
    }
    match (&request.region, request.regions.is_empty()) {
        (None, true) => problems.add("request.region", "is missing; or name several in request.regions"),
        (Some(_), false) => {
            problems.add("request.region", "says one region, and request.regions says others")
        }
        (None, false) => {}
        (Some(text), true) => {
            let text = uses.text("request.region", text, problems)?;
            if text.as_literal().is_some_and(|name| !is_region_name(&name)) {
                problems
                    .add("request.region", "is no name of a region: lower-case letters, digits and hyphens");
            }
            return Some(text);
        }
    }
    None
}

fn check_instance(request: &RequestSpec, uses: &mut Uses, problems: &mut Problems) -> Option<Text> {
    let text = uses.text("request.instance", request.instance.as_deref().unwrap_or("any"), problems)?;
    let literal = text.as_literal();
    if literal.as_ref().is_some_and(|id| !is_selector(id)) {
        problems.add("request.instance", "is neither `any` nor `all` nor an instance's id");
    }
    if literal.is_some_and(|id| id == "all")
        && request.region.as_deref().is_some_and(|region| region.contains("{{"))
    {
        problems
            .add("request.instance", "can't be `all` where each row names its region; name request.regions");
    }
    Some(text)
}

fn check_method(method: &str, problems: &mut Problems) -> Method {
    if method.is_empty() {
        problems.add("request.method", "is missing");
    } else if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        problems.add("request.method", "is not in capitals: methods are, such as POST");
    } else if method == "CONNECT" {
        problems.add("request.method", "can't be CONNECT");
    } else if let Some(method) = problems.take("request.method", method.parse::<Method>()) {
        return method;
    }
    Method::GET
}

fn check_path(path: &str, uses: &mut Uses, problems: &mut Problems) -> Option<Text> {
    const FIELD: &str = "request.path";
    if path.is_empty() {
        problems.add(FIELD, "is missing");
        return None;
    }
    let text = uses.text(FIELD, path, problems)?;
    if !path.starts_with('/') {
        problems.add(FIELD, "does not begin with a slash");
    }
    if text.literals().any(|literal| literal.contains('?')) {
        problems.add(FIELD, "has a `?`: parameters stand in request.query");
    } else if path.starts_with('/') {
        // Whatever a value is, it is encoded: what is wrong with a harmless one is wrong with the template.
        let path = text.render_sample();
        let judged = Target::parse_with(&format!("/r/r/s{path}"), None, |_, _| true);
        if let Err(error) = judged {
            problems.add(FIELD, error.to_string());
        }
    }
    Some(text)
}

fn check_name(field: &str, name: &str, problems: &mut Problems) {
    if name.contains("{{") {
        problems.add(field, "is a name, and names have no placeholders");
    } else if name.is_empty() {
        problems.add(field, "has no name");
    }
}

fn check_header(
    name: &str,
    value: &str,
    uses: &mut Uses,
    problems: &mut Problems,
) -> Option<(HeaderName, Text)> {
    let field = format!("request.headers.{name}");
    if name.contains("{{") {
        problems.add(&field, "is a name, and names have no placeholders");
        return None;
    }
    let text = uses.text(&field, value, problems)?;
    let Ok(parsed) = name.parse::<HeaderName>() else {
        problems.add(&field, "is no name of a header");
        return None;
    };
    match (parsed.as_str(), classify(parsed.as_str())) {
        ("authorization" | "cookie", _) => {
            problems.add(&field, "is a credential: jobs are read by others and keep none; the service knows the caller by Doorman-Identity");
        }
        ("idempotency-key", _) => problems.add(&field, "is set by Doorman, to the item's id"),
        (_, Class::HopByHop) => problems.add(&field, "belongs to the connection and is not forwarded"),
        (_, Class::Reserved) => problems.add(&field, "is set by Doorman alone"),
        ("content-type", _) if text.as_literal().is_none() => {
            problems.add(&field, "has no placeholders: how values are escaped depends on it");
        }
        _ => {}
    }
    if text
        .literals()
        .any(|literal| literal.bytes().any(|byte| !(byte == b'\t' || (b' '..=b'~').contains(&byte))))
    {
        problems.add(&field, "has control characters, or characters beyond ASCII");
    }
    Some((parsed, text))
}
