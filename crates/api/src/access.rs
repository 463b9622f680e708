//! Who may call a route, and what kind of entry the call leaves.

use doorman_core::record::Kind;
use doorman_policy::Resource;

/// The class of a route. None can be registered without one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Access {
    /// Who may call it.
    pub who: Who,
    /// With which credentials.
    pub by: By,
    /// The kind of the entries that tell about calls and denials.
    pub kind: Kind,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Who {
    /// Anybody, without a credential.
    Public,
    /// Whoever has a live credential.
    Caller,
    /// The UI, with its cookie.
    Cookie,
    /// A service account.
    Service,
    /// A service account as OAuth clients show it: by Basic, or by `client_id` and `client_secret` in the form.
    Client,
    /// Whom policy permits one of these actions on the job, run or folder that the call names; the handler asks.
    Judged(&'static [&'static str]),
    /// Whom policy permits one of these actions. Which of them decides what the handler shows.
    Permitted(&'static [(&'static str, Resource<'static>)]),
}

/// With which credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Any.
    Any,
    /// One's own: not on somebody's behalf.
    Oneself,
    /// One's own login or secret: neither a personal token nor on somebody's behalf. For whatever manages credentials.
    Login,
}

impl Access {
    /// No credential is asked for.
    pub const fn public(kind: Kind) -> Self {
        Self { who: Who::Public, by: By::Any, kind }
    }

    /// Any live credential will do.
    pub const fn caller(kind: Kind) -> Self {
        Self { who: Who::Caller, by: By::Any, kind }
    }

    /// Only the UI's cookie will do.
    pub const fn cookie(kind: Kind) -> Self {
        Self { who: Who::Cookie, by: By::Login, kind }
    }

    /// Only a service account's credential will do.
    pub const fn service(kind: Kind) -> Self {
        Self { who: Who::Service, by: By::Oneself, kind }
    }

    /// Only an OAuth client's own credential will do.
    pub const fn client(kind: Kind) -> Self {
        Self { who: Who::Client, by: By::Oneself, kind }
    }

    /// Policy must permit one of `actions`.
    pub const fn permitted(kind: Kind, actions: &'static [(&'static str, Resource<'static>)]) -> Self {
        Self { who: Who::Permitted(actions), by: By::Any, kind }
    }

    /// Policy must permit one of `actions` on what the call names.
    pub const fn judged(kind: Kind, actions: &'static [&'static str]) -> Self {
        Self { who: Who::Judged(actions), by: By::Any, kind }
    }

    /// Not on somebody's behalf.
    pub const fn by_self(self) -> Self {
        Self { by: By::Oneself, ..self }
    }

    /// Neither by a personal token nor on somebody's behalf.
    pub const fn by_login(self) -> Self {
        Self { by: By::Login, ..self }
    }
}
