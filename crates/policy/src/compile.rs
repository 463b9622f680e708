//! Policy texts in, checked rules out: parse, name, validate against the schema, and look for what is legal but probably not meant.

use std::collections::HashSet;
use std::sync::Arc;

use ahash::AHashMap;
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint,
    ResourceConstraint, ValidationMode, Validator,
};

use crate::context::ContextUse;
use crate::problem::{Problem, position};
use crate::schema::VOCABULARY;
use crate::source::Source;

/// One policy, with what slicing and explaining need of it taken out once.
pub(crate) struct Rule {
    pub policy: Policy,
    /// Its `@id`, else `file.cedar:line`.
    pub name: Arc<str>,
    pub file: Arc<str>,
    pub line: usize,
    pub effect: Effect,
    pub principal: PrincipalConstraint,
    pub action: ActionConstraint,
    pub resource: ResourceConstraint,
    pub reads: ContextUse,
    offset: usize,
    source: usize,
}

#[derive(Default)]
pub(crate) struct Compiled {
    pub rules: Vec<Rule>,
    /// If there are any, the rules must not be used.
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Rule {
    /// Whether the scope admits `action`. The schema has no action groups, so `in` means one of the list.
    pub fn concerns(&self, action: &EntityUid) -> bool {
        match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => uid == action,
            ActionConstraint::In(uids) => uids.contains(action),
        }
    }
}

pub(crate) fn compile(sources: &[Source]) -> Compiled {
    let mut compiled = Compiled::default();
    let mut taken = HashSet::new();
    let mut all_parsed = true;
    for (index, source) in sources.iter().enumerate() {
        match source.text.parse::<PolicySet>() {
            Ok(parsed) => compiled.add_file(&parsed, index, source, &mut taken),
            Err(errors) => {
                all_parsed = false;
                let problem = |error| Problem::of_diagnostic(&source.path, &source.text, error, 0);
                compiled.errors.extend(errors.iter().map(|error| problem(error)));
            }
        }
    }
    if all_parsed {
        compiled.validate(sources);
    }
    compiled.look_for_mistakes(sources);
    compiled
}

impl Compiled {
    fn add_file(&mut self, parsed: &PolicySet, index: usize, source: &Source, taken: &mut HashSet<String>) {
        for template in parsed.templates() {
            let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
            let message = "a template (`?principal`, `?resource`) is never linked, so it would do nothing";
            self.errors.push(Problem::at(&source.path, &source.text, offset, message));
        }
        let mut rules: Vec<_> =
            parsed.policies().map(|policy| Rule::new(policy, index, source, taken)).collect();
        rules.sort_by_key(|rule| rule.offset);
        self.rules.extend(rules);
    }

    fn validate(&mut self, sources: &[Source]) {
        let mut all = PolicySet::new();
        for rule in &self.rules {
            if let Err(error) = all.add(rule.policy.clone()) {
                self.errors.push(rule.problem(sources, error.to_string()));
            }
        }
        let by_id: AHashMap<&PolicyId, &Rule> =
            self.rules.iter().map(|rule| (rule.policy.id(), rule)).collect();
        let problem = |id: &PolicyId, diagnostic: &dyn miette::Diagnostic| {
            let rule = by_id.get(id)?;
            let source = sources.get(rule.source)?;
            Some(Problem::of_diagnostic(&source.path, &source.text, diagnostic, rule.offset))
        };
        let outcome = Validator::new(VOCABULARY.schema.clone()).validate(&all, ValidationMode::Strict);
        let unplaced = |message: String| Problem::of_file("policies", message);
        self.errors.extend(
            outcome.validation_errors().map(|error| {
                problem(error.policy_id(), error).unwrap_or_else(|| unplaced(error.to_string()))
            }),
        );
        self.warnings.extend(outcome.validation_warnings().map(|warning| {
            problem(warning.policy_id(), warning).unwrap_or_else(|| unplaced(warning.to_string()))
        }));
        // Cedar hands them out in no particular order, and the same fault once for each kind of principal.
        for problems in [&mut self.errors, &mut self.warnings] {
            problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
            problems.dedup();
        }
    }

    fn look_for_mistakes(&mut self, sources: &[Source]) {
        let mut named: AHashMap<&str, &Rule> = AHashMap::new();
        let mut warnings = Vec::new();
        for rule in &self.rules {
            if let Some(first) = named.insert(&rule.name, rule) {
                let message = format!(
                    "the id `{}` is taken by {}:{}: a denial that names it will not tell which",
                    rule.name, first.file, first.line
                );
                warnings.push(rule.problem(sources, message));
            }
            if rule.effect == Effect::Forbid && rule.reads.path {
                let message = format!("`{}` forbids by path", rule.name);
                let help = "permit narrowly instead: a service may understand a path in more ways than the policy \
                            thinks of, and what is not permitted is denied anyway";
                warnings.push(Problem { help: Some(help.to_owned()), ..rule.problem(sources, message) });
            }
            for uid in rule.policy.entity_literals().iter().filter(|uid| is_malformed(uid)) {
                let message = format!("{uid} names nothing: write it as `region/name`");
                warnings.push(rule.problem(sources, message));
            }
        }
        self.warnings.extend(warnings);
    }
}

impl Rule {
    fn new(policy: &Policy, index: usize, source: &Source, taken: &mut HashSet<String>) -> Rule {
        let offset = policy.as_ref().loc().map_or(0, |loc| loc.start());
        let (line, column) = position(&source.text, offset);
        let name = match policy.annotation("id").filter(|id| !id.trim().is_empty()) {
            Some(id) => id.to_owned(),
            None => format!("{}:{line}", source.name),
        };
        // Names are for people and may repeat; Cedar's ids may not.
        let mut id = name.clone();
        if taken.contains(&id) {
            id = format!("{}:{line}:{column}", source.name);
        }
        while !taken.insert(id.clone()) {
            id.push('\'');
        }
        let policy = policy.new_id(PolicyId::new(id));
        Rule {
            name: name.into(),
            file: source.name.as_str().into(),
            line,
            effect: policy.effect(),
            principal: policy.principal_constraint(),
            action: policy.action_constraint(),
            resource: policy.resource_constraint(),
            reads: ContextUse::of(&policy),
            offset,
            source: index,
            policy,
        }
    }

    fn problem(&self, sources: &[Source], message: String) -> Problem {
        match sources.get(self.source) {
            Some(source) => Problem::at(&source.path, &source.text, self.offset, message),
            None => Problem::of_file(&self.file, message),
        }
    }
}

fn is_malformed(uid: &EntityUid) -> bool {
    let pairs = [&VOCABULARY.service, &VOCABULARY.database];
    pairs.contains(&uid.type_name()) && uid.id().unescaped().matches('/').count() != 1
}
