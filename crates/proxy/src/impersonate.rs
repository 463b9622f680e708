//! Who is calling, told in a system's own way: built afresh from the subject that the pass names.
//!
//! Whatever of this a client sent is refused, however it is spelt: a merge would let the client choose. The pass was made
//! before, so that the attempt is in the log with all that the client tried.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorman_core::header::{Class, classify};
use doorman_core::principal::Principal;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Write as _;

const IDENTITY: HeaderName = HeaderName::from_static("doorman-identity");
const TRINO_USER: HeaderName = HeaderName::from_static("x-trino-user");
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
const IMPERSONATE_GROUP: HeaderName = HeaderName::from_static("impersonate-group");
/// What Kubernetes keeps for itself: nobody from a directory may become one of these.
const KUBERNETES_OWN: &str = "system:";

/// A system's own way to be told on whose behalf a request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impersonation {
    /// Hadoop's proxy users: the query parameters `user.name` (this name, which the cluster lets act for others) and, in
    /// both spellings, `doas` (the subject).
    Hadoop(String),
    /// `X-Trino-User`.
    Trino,
    /// `Impersonate-User`, and one `Impersonate-Group` for each of the subject's groups.
    Kubernetes,
    /// A header of this name with the subject's bare name.
    Header(HeaderName),
}

/// Text that is no style of impersonation.
#[derive(Debug, thiserror::Error)]
pub enum UnknownStyle {
    /// Neither of the known ones.
    #[error("write hadoop, trino, kubernetes or header:<Name>")]
    Unknown,
    /// The name is no header's, or one that says something else already.
    #[error("`{0}` cannot carry a user's name; choose another header")]
    Header(String),
}

/// Why a request is not sent on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The client tried to say itself who is calling.
    #[error("{0} says who is calling; Doorman alone sets it for this service, leave it out")]
    Forged(String),
    /// The subject cannot be impersonated there.
    #[error("{0}")]
    Subject(&'static str),
}

impl Impersonation {
    /// Reads a style: `hadoop`, `trino`, `kubernetes` or `header:<Name>`; `hadoop_user` is `user.name` towards Hadoop.
    ///
    /// # Errors
    /// [`UnknownStyle`].
    pub fn parse(text: &str, hadoop_user: &str) -> Result<Self, UnknownStyle> {
        match text.split_once(':') {
            None if text == "hadoop" => Ok(Self::Hadoop(hadoop_user.to_owned())),
            None if text == "trino" => Ok(Self::Trino),
            None if text == "kubernetes" => Ok(Self::Kubernetes),
            Some(("header", name)) => {
                let unfit = || UnknownStyle::Header(name.to_owned());
                let parsed = HeaderName::try_from(name).map_err(|_| unfit())?;
                if may_carry_a_user(&parsed) { Ok(Self::Header(parsed)) } else { Err(unfit()) }
            }
            _ => Err(UnknownStyle::Unknown),
        }
    }

    /// Puts the subject into `headers`, and gives path and query as they go to the service.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) fn apply<'a>(
        &self,
        subject: &str,
        headers: &mut HeaderMap,
        path_and_query: &'a str,
    ) -> Result<Cow<'a, str>, Refused> {
        self.refuse_forged(headers, path_and_query)?;
        let user = user_of(subject)?;
        match self {
            Self::Hadoop(proxy_user) => return Ok(with_hadoop_users(path_and_query, proxy_user, user).into()),
            Self::Trino => put(headers, TRINO_USER, user)?,
            Self::Header(name) => put(headers, name.clone(), user)?,
            Self::Kubernetes => {
                if user.starts_with(KUBERNETES_OWN) {
                    return Err(Refused::Subject("names that begin with system: are Kubernetes' own"));
                }
                let groups = groups_of(headers, subject)?;
                put(headers, IMPERSONATE_USER, user)?;
                for group in groups.iter().filter(|group| !group.starts_with(KUBERNETES_OWN)) {
                    headers.append(IMPERSONATE_GROUP, value(group)?);
                }
            }
        }
        Ok(path_and_query.into())
    }

    fn refuse_forged(&self, headers: &HeaderMap, path_and_query: &str) -> Result<(), Refused> {
        let forged = headers.keys().find(|name| self.is_reserved(name.as_str()));
        if let Some(name) = forged {
            return Err(Refused::Forged(format!("the header {name}")));
        }
        if !matches!(self, Self::Hadoop(_)) {
            return Ok(());
        }
        let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
        if let Some(key) = query.split(['&', ';']).map(key_of).find(|key| is_hadoop_key(key)) {
            return Err(Refused::Forged(format!("the query parameter {key}")));
        }
        let is_form = headers.get_all(header::CONTENT_TYPE).iter().any(|value| {
            value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("x-www-form-urlencoded"))
        });
        if is_form {
            // Servlets read parameters out of such bodies, too.
            return Err(Refused::Forged("a form as body, which can hold parameters that".to_owned()));
        }
        if headers.get_all(header::COOKIE).iter().any(is_ticket) {
            return Err(Refused::Forged("the cookie hadoop.auth".to_owned()));
        }
        Ok(())
    }

    /// Whether a header of a client would say who is calling.
    fn is_reserved(&self, name: &str) -> bool {
        let folded = fold(name);
        match self {
            Self::Hadoop(_) => false,
            Self::Trino => matches!(
                folded.as_str(),
                "x-trino-user" | "x-trino-original-user" | "x-presto-user" | "x-presto-original-user"
            ),
            Self::Kubernetes => folded.starts_with("impersonate-"),
            Self::Header(own) => folded == fold(own.as_str()),
        }
    }
}

/// The answer of a Hadoop service that sends the client elsewhere: to the same place through Doorman, or nowhere.
///
/// A NameNode answers with the DataNode's own address and both users in the query. `door_path` finds an address among the
/// region's instances (`/r/eu/datanodes@dn-1`). `None`: the address is not known here, and stays inside.
pub(crate) fn through_the_door(location: &str, door_path: impl Fn(&str) -> Option<String>) -> Option<String> {
    let rest = location.strip_prefix("http://").or_else(|| location.strip_prefix("https://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end)?;
    let door = door_path(authority)?;
    let path_and_query = path_and_query.split('#').next().unwrap_or_default();
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let kept: Vec<_> =
        query.split('&').filter(|pair| !pair.is_empty() && !is_hadoop_key(&key_of(pair))).collect();
    let mut through = format!("{door}{}{path}", if path.starts_with('/') { "" } else { "/" });
    if !kept.is_empty() {
        let _ = write!(through, "?{}", kept.join("&"));
    }
    Some(through)
}

/// Whether a cookie's header holds Hadoop's ticket, which says who is calling.
pub(crate) fn is_ticket(cookie: &HeaderValue) -> bool {
    cookie.as_bytes().windows(11).any(|part| part.eq_ignore_ascii_case(b"hadoop.auth"))
}

/// The subject's bare name.
fn user_of(subject: &str) -> Result<&str, Refused> {
    match subject.parse() {
        // A directory can come to have a user with the name of a service account; the one must not become the other.
        Ok(Principal::User(_)) => Ok(subject.strip_prefix("user:").unwrap_or(subject)),
        _ => Err(Refused::Subject("only users are impersonated, and a service account calls for itself")),
    }
}

/// The subject's groups, as the assertion says that `api` made. It came authenticated: the pass binds every header.
fn groups_of(headers: &HeaderMap, subject: &str) -> Result<Vec<String>, Refused> {
    #[derive(Deserialize)]
    struct Said {
        sub: String,
        groups: Vec<String>,
    }
    let mut assertions = headers.get_all(IDENTITY).iter();
    let said = assertions.next().and_then(|assertion| {
        let payload = assertion.to_str().ok()?.split('.').nth(1)?;
        serde_json::from_slice::<Said>(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    });
    match said {
        Some(said) if said.sub == subject && assertions.next().is_none() => Ok(said.groups),
        _ => Err(Refused::Subject("the groups of the caller are not known; api made no assertion")),
    }
}

fn with_hadoop_users(path_and_query: &str, proxy_user: &str, user: &str) -> String {
    let mut text = path_and_query.to_owned();
    text.push(match path_and_query.split_once('?') {
        None => '?',
        Some((_, "")) => return text + &hadoop_users(proxy_user, user),
        Some(_) => '&',
    });
    text + &hadoop_users(proxy_user, user)
}

/// Each server reads its own spelling alone, and takes the caller for the proxy user itself when it finds none: WebHDFS
/// reads `doas` (measured on 3.4), Oozie and HBase `doAs`; YARN and HttpFS take either.
fn hadoop_users(proxy_user: &str, user: &str) -> String {
    let user = encoded(user);
    format!("user.name={}&doas={user}&doAs={user}", encoded(proxy_user))
}

fn is_hadoop_key(key: &str) -> bool {
    // A delegation token names a user, too.
    matches!(fold(key).as_str(), "doas" | "do-as" | "user-name" | "username" | "delegation")
}

/// The decoded key of a query parameter.
fn key_of(pair: &str) -> String {
    let key = pair.split('=').next().unwrap_or_default().as_bytes();
    let mut decoded = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%').and_then(|two| {
            let digit = |at: usize| two.get(at).and_then(|&b| char::from(b).to_digit(16));
            u8::try_from(digit(0)? * 16 + digit(1)?).ok()
        });
        decoded.push(match (byte, escaped) {
            (_, Some(escaped)) => escaped,
            (b'+', None) => b' ',
            (byte, None) => byte,
        });
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Many servers take `-`, `_` and `.` for the same, and letters of any case; spaces and control characters go.
fn fold(name: &str) -> String {
    let kept = name.trim().chars().filter(|c| !c.is_control() && !c.is_whitespace());
    kept.map(|c| if matches!(c, '_' | '.') { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn may_carry_a_user(name: &HeaderName) -> bool {
    let text = name.as_str();
    let taken = ["authorization", "cookie", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
    match classify(text) {
        Class::EndToEnd => !taken.contains(&text) && !text.starts_with("content-"),
        // The usual name for this, and dropped from what clients send.
        Class::Reserved => text.starts_with("x-forwarded-") && !taken.contains(&text),
        Class::HopByHop => false,
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, user: &str) -> Result<(), Refused> {
    headers.insert(name, value(user)?);
    Ok(())
}

/// Plain text only: servers read bytes beyond ASCII in different ways.
fn value(text: &str) -> Result<HeaderValue, Refused> {
    let is_plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && text == text.trim();
    let value = HeaderValue::try_from(text).ok().filter(|_| is_plain);
    value.ok_or(Refused::Subject("the name of the user or of a group cannot stand in a header"))
}

/// Percent-encoded but for unreserved characters (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests;
