//! What the server is told to do wrong, and what it has been asked.

use std::time::Duration;

use ldap3_proto::proto::LdapFilter;
use parking_lot::Mutex;

/// A request as it came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A simple bind.
    Bind {
        /// The name.
        dn: String,
    },
    /// A search.
    Search {
        /// Where.
        base: String,
        /// For what.
        filter: LdapFilter,
    },
    /// Anything else, by its name.
    Other(&'static str),
}

/// A way to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers after a while.
    Delay(Duration),
    /// Never answers and keeps the connection.
    Hang,
    /// Closes the connection instead of answering.
    Close,
    /// Closes the connection after the first entry.
    CloseAmidEntries,
    /// Announces that it disconnects (RFC 4511 §4.4.1), then does.
    Disconnect,
    /// Answers under another request's number.
    WrongId,
    /// Begins an answer of two gigabytes.
    Huge,
    /// Says that it is busy (51).
    Busy,
    /// Says that another server knows (10).
    Referral,
    /// Points to another server beside the entries.
    Reference,
    /// Says that there would have been more (4).
    SizeLimit,
}

/// Faults in force. They last until they are replaced.
#[derive(Debug, Default)]
pub struct Faults {
    binds: Mutex<Option<Fault>>,
    searches: Mutex<Option<Fault>>,
    group_searches: Mutex<Option<Fault>>,
}

impl Faults {
    /// How binds fail from now on.
    pub fn on_binds(&self, fault: Option<Fault>) {
        *self.binds.lock() = fault;
    }

    /// How all searches fail from now on.
    pub fn on_searches(&self, fault: Option<Fault>) {
        *self.searches.lock() = fault;
    }

    /// How searches fail from now on whose filter asks for members.
    pub fn on_group_searches(&self, fault: Option<Fault>) {
        *self.group_searches.lock() = fault;
    }

    pub(super) fn for_bind(&self) -> Option<Fault> {
        self.binds.lock().clone()
    }

    pub(super) fn for_search(&self, filter: &LdapFilter) -> Option<Fault> {
        let group = asks_for_members(filter).then(|| self.group_searches.lock().clone()).flatten();
        group.or_else(|| self.searches.lock().clone())
    }
}

fn asks_for_members(filter: &LdapFilter) -> bool {
    match filter {
        LdapFilter::And(filters) | LdapFilter::Or(filters) => filters.iter().any(asks_for_members),
        LdapFilter::Equality(name, _) => name.eq_ignore_ascii_case("member"),
        _ => false,
    }
}
