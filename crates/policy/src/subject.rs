//! Who is judged: a user with their groups, or a service account. Built once per session.

use std::collections::HashSet;

use cedar_policy::{Entities, Entity, EntityUid, PrincipalConstraint};

use crate::schema::{VOCABULARY, entity_uid};

/// A principal together with its Cedar entities, which are costly to build and therefore kept.
/// Build it anew when the groups change.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(crate) uid: EntityUid,
    pub(crate) entities: Entities,
    groups: HashSet<EntityUid>,
}

impl Subject {
    /// A person. `groups` are all groups the user is in, nested memberships already resolved.
    pub fn user(name: &str, groups: &[String]) -> Subject {
        let uid = entity_uid(&VOCABULARY.user, name);
        let groups: HashSet<_> = groups.iter().map(|group| entity_uid(&VOCABULARY.group, group)).collect();
        Subject { entities: hierarchy_of(uid.clone(), groups.clone()), uid, groups }
    }

    /// A service account that acts as itself. It is in no group.
    pub fn service(name: &str) -> Subject {
        let uid = entity_uid(&VOCABULARY.service_account, name);
        Subject { uid, entities: Entities::empty(), groups: HashSet::new() }
    }

    /// The name without its kind: `alice`.
    pub fn name(&self) -> &str {
        self.uid.id().unescaped()
    }

    pub fn is_user(&self) -> bool {
        *self.uid.type_name() == VOCABULARY.user
    }

    /// Whether a policy whose scope says `constraint` speaks about this subject.
    pub(crate) fn is_meant_by(&self, constraint: &PrincipalConstraint) -> bool {
        match constraint {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => *uid == self.uid,
            PrincipalConstraint::In(uid) => self.is_in(uid),
            PrincipalConstraint::Is(kind) => kind == self.uid.type_name(),
            PrincipalConstraint::IsIn(kind, uid) => kind == self.uid.type_name() && self.is_in(uid),
        }
    }

    /// Cedar's `in`, which holds for the entity itself too.
    fn is_in(&self, uid: &EntityUid) -> bool {
        *uid == self.uid || self.groups.contains(uid)
    }
}

// The group entities themselves are left out: they have no attributes and, memberships being flat, no parents,
// and Cedar treats an entity that it does not know just so. That keeps the hierarchy one entity small.
#[expect(
    clippy::expect_used,
    reason = "one entity without attributes or duplicates; a user is no group, so no cycle"
)]
fn hierarchy_of(user: EntityUid, groups: HashSet<EntityUid>) -> Entities {
    Entities::from_entities([Entity::new_no_attrs(user, groups)], None).expect("a single user is a hierarchy")
}
