//! Where a request goes. Parsed once; policy, audit, pass and forwarding all use this value.
//!
//! What can be read in two ways is refused, never repaired: policy must judge exactly what a service will see.

use std::fmt;

/// The public path under which the door stands.
pub const PREFIX: &str = "/r/";

/// Which instance of the service is meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Selector {
    /// A healthy one, balanced.
    Any,
    /// Every instance; expanded to one request each before anything is judged.
    All,
    /// This one.
    Instance(Box<str>),
}

impl Selector {
    /// `any`, `all` or the instance's id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::Instance(id) => id,
        }
    }
}

/// A parsed `/r/{region}/{service}[@{instance}]/{path…}?{query}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    region: Box<str>,
    service: Box<str>,
    selector: Selector,
    path: Box<str>,
    policy_path: Option<Box<str>>,
    query: Option<Box<str>>,
}

/// Why a target was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TargetError {
    /// Not a path of the door at all.
    #[error("not under /r/{{region}}/{{service}}/")]
    NotTheDoor,
    /// No region can have this name.
    #[error("a region's name is lower-case letters, digits and hyphens")]
    Region,
    /// No service can have this name.
    #[error("a service's name is lower-case letters, digits, '-', '_' and '.'")]
    Service,
    /// No instance can have this id.
    #[error("an instance's id is letters, digits, '-', '_', '.' and ':'")]
    Instance,
    /// The path can be read in more than one way.
    #[error("the path {0}")]
    Path(Ambiguity),
    /// The query holds raw control characters, bytes beyond ASCII or `#`.
    #[error("the query holds a raw control character, a byte beyond ASCII or '#'")]
    Query,
}

/// What makes a path ambiguous.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ambiguity {
    /// `.` or `..` as a segment, plain, encoded or with parameters.
    DotSegment,
    /// `//`.
    EmptySegment,
    /// `%2F`, `%5C` or `\`.
    Slash,
    /// A control character, a space or NUL, plain or encoded.
    Control,
    /// `%` without two hexadecimal digits.
    Percent,
    /// Bytes beyond ASCII, or encoded ones that are no UTF-8.
    Encoding,
    /// `#`.
    Fragment,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DotSegment => "has a '.' or '..' segment",
            Self::EmptySegment => "has an empty segment ('//')",
            Self::Slash => "has an encoded slash or a backslash",
            Self::Control => "has a control character or a space",
            Self::Percent => "has a '%' that is not followed by two hexadecimal digits",
            Self::Encoding => "is not UTF-8 when decoded, or has raw bytes beyond ASCII",
            Self::Fragment => "has a '#'",
        })
    }
}

impl Target {
    /// Parses the path and query of a request as received.
    ///
    /// # Errors
    /// [`TargetError`]: nothing of the request may be sent.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, TargetError> {
        Self::parse_with(path, query, |_, _| false)
    }

    /// As [`Target::parse`]; `takes_slash` tells whether a region's service opted in to `%2F` in its paths.
    ///
    /// # Errors
    /// [`TargetError`]: nothing of the request may be sent.
    pub fn parse_with(
        path: &str,
        query: Option<&str>,
        takes_slash: impl Fn(&str, &str) -> bool,
    ) -> Result<Self, TargetError> {
        let rest = path.strip_prefix(PREFIX).ok_or(TargetError::NotTheDoor)?;
        let (region, rest) = rest.split_once('/').ok_or(TargetError::NotTheDoor)?;
        if !is_region_name(region) {
            return Err(TargetError::Region);
        }
        let (named, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (service, selector) = match named.split_once('@') {
            None => (named, Selector::Any),
            Some((service, "any")) => (service, Selector::Any),
            Some((service, "all")) => (service, Selector::All),
            Some((service, id)) if is_instance_id(id) => (service, Selector::Instance(id.into())),
            Some(_) => return Err(TargetError::Instance),
        };
        if !is_service_name(service) {
            return Err(TargetError::Service);
        }
        let policy_path = judge_path(path, || takes_slash(region, service)).map_err(TargetError::Path)?;
        if query.is_some_and(|query| query.bytes().any(|b| b <= b' ' || b >= 0x7f || b == b'#')) {
            return Err(TargetError::Query);
        }
        Ok(Self {
            region: region.into(),
            service: service.into(),
            selector,
            path: path.into(),
            policy_path,
            query: query.map(Into::into),
        })
    }

    /// The same request to one named instance: how `@all` is expanded.
    pub fn with_instance(&self, id: &str) -> Result<Self, TargetError> {
        if !is_instance_id(id) {
            return Err(TargetError::Instance);
        }
        Ok(Self { selector: Selector::Instance(id.into()), ..self.clone() })
    }

    /// The region's name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Which instance is meant.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The path as received, and as the service gets it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path as policy sees it: percent-encoded unreserved characters decoded (RFC 3986 §6.2.2.2), other
    /// encodings in upper case.
    pub fn policy_path(&self) -> &str {
        self.policy_path.as_deref().unwrap_or(&self.path)
    }

    /// The query as received, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Path and query as the service gets them.
    pub fn path_and_query(&self) -> String {
        match self.query() {
            None => self.path.to_string(),
            Some(query) => format!("{}?{query}", self.path),
        }
    }

    /// Path and query of the request from `api` to the proxy; parses back to this target.
    pub fn door_path_and_query(&self) -> String {
        let mut line = String::with_capacity(self.path.len() + 64);
        line.push_str(PREFIX);
        line.push_str(&self.region);
        line.push('/');
        line.push_str(&self.service);
        if self.selector != Selector::Any {
            line.push('@');
            line.push_str(self.selector.as_str());
        }
        line.push_str(&self.path);
        if let Some(query) = &self.query {
            line.push('?');
            line.push_str(query);
        }
        line
    }
}

/// Whether `name` can be a region: a DNS label in lower case.
pub fn is_region_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `name` can be a service.
pub fn is_service_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
        && !name.ends_with('.')
        && !name.starts_with('.')
}

/// Whether `id` can be an instance (`any` and `all` are taken).
pub fn is_instance_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
        && id != "any"
        && id != "all"
}

/// Refuses what can be read in two ways; gives policy's form when it differs from `path`.
fn judge_path(path: &str, takes_slash: impl Fn() -> bool) -> Result<Option<Box<str>>, Ambiguity> {
    let plain = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'~' | b'=' | b','));
    if plain && !path.contains("//") {
        return Ok(None);
    }
    let decoded = decode(path, takes_slash)?;
    // An encoded slash that is let through parts segments too, for whoever decodes before splitting.
    let parted = decoded.seen.replace("%2F", "/");
    for segment in parted.split('/').skip(1) {
        let name = segment.split_once(';').map_or(segment, |(name, _)| name);
        if name == "." || name == ".." {
            return Err(Ambiguity::DotSegment);
        }
    }
    if parted.contains("//") {
        return Err(Ambiguity::EmptySegment);
    }
    if std::str::from_utf8(&decoded.bytes).is_err() {
        return Err(Ambiguity::Encoding);
    }
    Ok((decoded.seen != path).then(|| decoded.seen.into()))
}

struct Decoded {
    /// Policy's form.
    seen: String,
    /// Everything decoded, to see whether it is UTF-8.
    bytes: Vec<u8>,
}

fn decode(path: &str, takes_slash: impl Fn() -> bool) -> Result<Decoded, Ambiguity> {
    let mut seen = String::with_capacity(path.len());
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = rest.next().and_then(hex_value).ok_or(Ambiguity::Percent)?;
                let low = rest.next().and_then(hex_value).ok_or(Ambiguity::Percent)?;
                let value = high << 4 | low;
                match value {
                    b'\\' => return Err(Ambiguity::Slash),
                    b'/' if !takes_slash() => return Err(Ambiguity::Slash),
                    0..=0x1f | 0x7f => return Err(Ambiguity::Control),
                    _ => {}
                }
                bytes.push(value);
                if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') {
                    seen.push(char::from(value));
                } else {
                    seen.push('%');
                    seen.extend([high, low].iter().filter_map(|&digit| {
                        char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase())
                    }));
                }
            }
            b'\\' => return Err(Ambiguity::Slash),
            b'#' => return Err(Ambiguity::Fragment),
            0..=0x20 | 0x7f => return Err(Ambiguity::Control),
            0x80.. => return Err(Ambiguity::Encoding),
            _ => {
                bytes.push(byte);
                seen.push(char::from(byte));
            }
        }
    }
    Ok(Decoded { seen, bytes })
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
