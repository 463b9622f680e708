//! Cuts a policy set into the few policies that can have a say, since Cedar's cost is linear in their number.
//!
//! A policy whose scope does not admit an action or a resource is never satisfied by it, and cannot err on it either, since
//! the scope is evaluated first. Leaving such policies out therefore never changes a decision.

use std::collections::HashSet;
use std::sync::Arc;

use ahash::AHashMap;
use cedar_policy::{Entity, EntityUid, PolicySet, ResourceConstraint};
use parking_lot::RwLock;

use crate::compile::Rule;
use crate::context::ContextUse;
use crate::resource::joined;
use crate::schema::{VOCABULARY, entity_uid};

/// Beyond this many services slices are cut anew each time rather than kept, so that made-up names cost no memory.
const KEPT_SLICES: usize = 8192;

/// The policies that can have a say about `request`s to one service.
pub(crate) struct ServiceSlice {
    pub policies: PolicySet,
    /// Indexes of the same policies into the set's rules, ascending.
    pub rules: Vec<usize>,
    pub uses: ContextUse,
    /// `Action::"request"`.
    pub action: EntityUid,
    pub service: EntityUid,
    /// The service within its region and its name.
    pub entity: Entity,
}

/// Finds slices; those of services are cut when first asked for.
pub(crate) struct Slices {
    request: EntityUid,
    /// `request` policies of which the scope names no resource.
    unnamed: Vec<usize>,
    /// `request` policies by the service, region or name in their scope.
    named: AHashMap<EntityUid, Vec<usize>>,
    services: RwLock<Kept>,
    /// All policies of each other action.
    actions: AHashMap<String, ActionSlice>,
}

pub(crate) struct ActionSlice {
    pub action: EntityUid,
    pub policies: PolicySet,
}

/// By region, then service: so looked up without making a key.
#[derive(Default)]
struct Kept {
    by_region: AHashMap<Box<str>, AHashMap<Box<str>, Arc<ServiceSlice>>>,
    count: usize,
}

impl Slices {
    pub fn new(rules: &[Rule]) -> Slices {
        let request = entity_uid(&VOCABULARY.action, "request");
        let mut unnamed = Vec::new();
        let mut named: AHashMap<EntityUid, Vec<usize>> = AHashMap::new();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.concerns(&request)) {
            match scope_over_services(&rule.resource) {
                Scope::Never => {}
                Scope::Always => unnamed.push(index),
                Scope::Below(uid) => named.entry(uid.clone()).or_default().push(index),
            }
        }
        let actions = VOCABULARY.schema.actions().filter(|action| **action != request).map(|action| {
            let concerned = rules.iter().filter(|rule| rule.concerns(action));
            let policies = collect(concerned);
            (action.id().unescaped().to_owned(), ActionSlice { action: action.clone(), policies })
        });
        Slices { unnamed, named, services: RwLock::default(), actions: actions.collect(), request }
    }

    /// None if the schema has no such action.
    pub fn of_action(&self, action: &str) -> Option<&ActionSlice> {
        self.actions.get(action)
    }

    /// None if no service can be called so.
    pub fn of_service(&self, rules: &[Rule], region: &str, service: &str) -> Option<Arc<ServiceSlice>> {
        let kept = self.services.read();
        if let Some(slice) = kept.by_region.get(region).and_then(|services| services.get(service)) {
            return Some(slice.clone());
        }
        drop(kept);
        let slice = Arc::new(self.cut(rules, region, service)?);
        let mut kept = self.services.write();
        if kept.count < KEPT_SLICES {
            let services = kept.by_region.entry(region.into()).or_default();
            if services.insert(service.into(), slice.clone()).is_none() {
                kept.count += 1;
            }
        }
        Some(slice)
    }

    fn cut(&self, rules: &[Rule], region: &str, service: &str) -> Option<ServiceSlice> {
        let uid = entity_uid(&VOCABULARY.service, &joined(region, service)?);
        let parents = [entity_uid(&VOCABULARY.region, region), entity_uid(&VOCABULARY.service_name, service)];
        let scopes = parents.iter().chain([&uid]).filter_map(|scope| self.named.get(scope));
        let mut indexes: Vec<usize> = scopes.flatten().chain(&self.unnamed).copied().collect();
        indexes.sort_unstable();
        let concerned = || indexes.iter().filter_map(|index| rules.get(*index));
        Some(ServiceSlice {
            policies: collect(concerned()),
            uses: concerned().map(|rule| rule.reads).fold(ContextUse::NOTHING, ContextUse::union),
            entity: Entity::new_no_attrs(uid.clone(), HashSet::from(parents)),
            action: self.request.clone(),
            service: uid,
            rules: indexes,
        })
    }

    /// Indexes of `request` policies whose scope may admit some service of `region`, which need not exist.
    pub fn of_region(&self, region: &str) -> impl Iterator<Item = usize> {
        let named = self.named.iter().filter(move |(uid, _)| may_lie_in(uid, region));
        self.unnamed.iter().chain(named.flat_map(|(_, indexes)| indexes)).copied()
    }
}

/// What a resource scope says about services.
enum Scope<'a> {
    Never,
    Always,
    /// The service itself, its region or its name.
    Below(&'a EntityUid),
}

fn scope_over_services(resource: &ResourceConstraint) -> Scope<'_> {
    let service = &VOCABULARY.service;
    match resource {
        ResourceConstraint::Any => Scope::Always,
        ResourceConstraint::Is(kind) if kind == service => Scope::Always,
        ResourceConstraint::In(uid) => Scope::Below(uid),
        ResourceConstraint::IsIn(kind, uid) if kind == service => Scope::Below(uid),
        ResourceConstraint::Eq(uid) if uid.type_name() == service => Scope::Below(uid),
        ResourceConstraint::Is(_) | ResourceConstraint::IsIn(..) | ResourceConstraint::Eq(_) => Scope::Never,
    }
}

/// A service name can be in any region.
fn may_lie_in(scope: &EntityUid, region: &str) -> bool {
    let id: &str = scope.id().unescaped();
    let kind = scope.type_name();
    *kind == VOCABULARY.service_name
        || (*kind == VOCABULARY.region && id == region)
        || (*kind == VOCABULARY.service && id.split_once('/').is_some_and(|(place, _)| place == region))
}

/// Compilation made the ids unique, so `add` never refuses.
fn collect<'a>(rules: impl Iterator<Item = &'a Rule>) -> PolicySet {
    let mut policies = PolicySet::new();
    for rule in rules {
        let added = policies.add(rule.policy.clone());
        debug_assert!(added.is_ok(), "policy ids are unique");
    }
    policies
}
