//! What a policy may know about a request, and which of it the policies at hand really read.

use std::net::IpAddr;

use cedar_policy::{Context, Policy, RestrictedExpression, pst};

/// The circumstances of one request. All text is data: no character in it has a meaning to policy.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// An instance id, `any` or `all`.
    pub instance: &'a str,
    /// Blank counts as none.
    pub reason: Option<&'a str>,
    pub approved: bool,
    /// Unix seconds.
    pub time: i64,
    pub client_ip: IpAddr,
    /// The service account that acts on the subject's behalf; none if the subject calls by itself.
    pub on_behalf: Option<&'a str>,
}

/// How much of an optional attribute is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reads {
    #[default]
    Nothing,
    /// Only whether it is there (`context has reason`).
    Presence,
    /// Its text.
    Value,
}

/// The attributes of [`RequestContext`] that can have an influence on a decision. Two requests of one subject to one service
/// that agree in these get the same decision from the same policy set, so a cache needs to compare only them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextUse {
    pub method: bool,
    pub path: bool,
    pub instance: bool,
    pub reason: Reads,
    pub approved: bool,
    pub time: bool,
    pub client_ip: bool,
    pub on_behalf: Reads,
}

impl RequestContext<'_> {
    /// The reason, unless blank.
    pub fn stated_reason(&self) -> Option<&str> {
        self.reason.filter(|reason| !reason.trim().is_empty())
    }

    /// The Cedar record of those attributes that `uses` names.
    pub(crate) fn to_cedar(self, uses: ContextUse) -> Result<Context, String> {
        let mut pairs = Vec::with_capacity(8);
        let mut put = |name: &str, value| pairs.push((name.to_owned(), value));
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        if uses.method {
            put("method", text(self.method));
        }
        if uses.path {
            put("path", text(self.path));
        }
        if uses.instance {
            put("instance", text(self.instance));
        }
        if let (Reads::Presence | Reads::Value, Some(reason)) = (uses.reason, self.stated_reason()) {
            put("reason", text(reason));
        }
        if uses.approved {
            put("approved", RestrictedExpression::new_bool(self.approved));
        }
        if uses.time {
            put("time", RestrictedExpression::new_datetime(cedar_time(self.time)));
        }
        if uses.client_ip {
            put("client_ip", cedar_ip(self.client_ip));
        }
        if let (Reads::Presence | Reads::Value, Some(actor)) = (uses.on_behalf, self.on_behalf) {
            put("on_behalf", text(actor));
        }
        Context::from_pairs(pairs).map_err(|error| error.to_string())
    }
}

/// An IPv4 client on a dual-stack listener must be in IPv4 ranges, so mapped addresses are unmapped.
pub(crate) fn cedar_ip(address: IpAddr) -> RestrictedExpression {
    RestrictedExpression::new_ip(address.to_canonical().to_string())
}

/// RFC 3339 in UTC, as Cedar's `datetime` wants it. A time out of its range gives text that Cedar refuses, hence a denial.
fn cedar_time(unix_seconds: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(unix_seconds) {
        Ok(at) => {
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            let (hour, minute, second) = (at.hour(), at.minute(), at.second());
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
        }
        Err(_) => String::new(),
    }
}

impl ContextUse {
    pub const NOTHING: ContextUse = ContextUse {
        method: false,
        path: false,
        instance: false,
        reason: Reads::Nothing,
        approved: false,
        time: false,
        client_ip: false,
        on_behalf: Reads::Nothing,
    };

    pub const EVERYTHING: ContextUse = ContextUse {
        method: true,
        path: true,
        instance: true,
        reason: Reads::Value,
        approved: true,
        time: true,
        client_ip: true,
        on_behalf: Reads::Value,
    };

    #[must_use]
    pub fn union(self, other: ContextUse) -> ContextUse {
        ContextUse {
            method: self.method | other.method,
            path: self.path | other.path,
            instance: self.instance | other.instance,
            reason: self.reason.max(other.reason),
            approved: self.approved | other.approved,
            time: self.time | other.time,
            client_ip: self.client_ip | other.client_ip,
            on_behalf: self.on_behalf.max(other.on_behalf),
        }
    }

    /// Appends those parts of `context` that are read, so encoded that under one `ContextUse` equal bytes mean equal
    /// parts. A cache key is this, the subject's groups and name, region, service and [`crate::PolicySet::version`].
    pub fn write_key(&self, context: &RequestContext<'_>, key: &mut Vec<u8>) {
        if self.method {
            put_text(key, context.method);
        }
        if self.path {
            put_text(key, context.path);
        }
        if self.instance {
            put_text(key, context.instance);
        }
        put_optional(key, self.reason, context.stated_reason());
        if self.approved {
            key.push(u8::from(context.approved));
        }
        if self.time {
            key.extend_from_slice(&context.time.to_le_bytes());
        }
        if self.client_ip {
            match context.client_ip.to_canonical() {
                IpAddr::V4(ip) => key.extend_from_slice(&ip.to_ipv6_mapped().octets()),
                IpAddr::V6(ip) => key.extend_from_slice(&ip.octets()),
            }
        }
        put_optional(key, self.on_behalf, context.on_behalf);
    }

    /// What `policy` can read. Where that cannot be told, everything.
    pub(crate) fn of(policy: &Policy) -> ContextUse {
        let Ok(policy) = policy.to_pst() else { return ContextUse::EVERYTHING };
        policy.body().clauses().iter().fold(ContextUse::NOTHING, |uses, clause| {
            let (pst::Clause::When(condition) | pst::Clause::Unless(condition)) = clause;
            uses.union(condition.reduce(&reads_of, &ContextUse::union, ContextUse::NOTHING))
        })
    }

    fn of_attribute(name: &str, reads: Reads) -> ContextUse {
        let nothing = ContextUse::NOTHING;
        match name {
            "method" => ContextUse { method: true, ..nothing },
            "path" => ContextUse { path: true, ..nothing },
            "instance" => ContextUse { instance: true, ..nothing },
            "reason" => ContextUse { reason: reads, ..nothing },
            "approved" => ContextUse { approved: true, ..nothing },
            "time" => ContextUse { time: true, ..nothing },
            "client_ip" => ContextUse { client_ip: true, ..nothing },
            "on_behalf" => ContextUse { on_behalf: reads, ..nothing },
            _ => ContextUse::EVERYTHING,
        }
    }
}

/// What this node reads; none if that is for its children to say. `context` anywhere but under an attribute access (compared, put
/// in a set, chosen by an `if`) may be read whole.
fn reads_of(node: &pst::Expr) -> Option<ContextUse> {
    match node {
        pst::Expr::GetAttr { expr, attr } if is_context(expr) => {
            Some(ContextUse::of_attribute(attr, Reads::Value))
        }
        pst::Expr::HasAttr { expr, attrs } if is_context(expr) && attrs.tail.is_empty() => {
            Some(ContextUse::of_attribute(&attrs.head, Reads::Presence))
        }
        node if is_context(node) => Some(ContextUse::EVERYTHING),
        pst::Expr::Unknown { .. } => Some(ContextUse::EVERYTHING),
        _ => None,
    }
}

fn is_context(node: &pst::Expr) -> bool {
    matches!(node, pst::Expr::Var(pst::Var::Context))
}

fn put_text(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&(text.len() as u64).to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

fn put_optional(key: &mut Vec<u8>, reads: Reads, text: Option<&str>) {
    match (reads, text) {
        (Reads::Nothing, _) => {}
        (Reads::Presence, text) => key.push(u8::from(text.is_some())),
        (Reads::Value, None) => key.push(0),
        (Reads::Value, Some(text)) => {
            key.push(1);
            put_text(key, text);
        }
    }
}
