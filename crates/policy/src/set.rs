//! A policy set in force: loads, and decides.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ahash::AHashMap;
use cedar_policy::{
    AuthorizationError, Authorizer, Effect, PolicyId, PolicySet as CedarSet, ResourceConstraint, Response,
};

use crate::compile::{Rule, compile};
use crate::context::{ContextUse, RequestContext};
use crate::problem::{PolicyError, Problem};
use crate::question::Question;
use crate::resource::{Resource, action};
use crate::schema::VOCABULARY;
use crate::slice::{ServiceSlice, Slices};
use crate::source::{self, Digest, Source};
use crate::subject::Subject;

/// What was decided, and by which policies.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    pub permit: bool,
    /// Names of the policies that decided, in the order of their files: the permits of a permit, the forbids of a denial. A denial without
    /// any means that nothing permits it.
    pub policies: Arc<[Arc<str>]>,
    /// Why no policy could be asked, or which failed. Then it is a denial, whatever the others say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
}

const NO_SUCH_NAME: &str = "a region or service name holds a `/`";

/// Checked policies, ready to decide. Immutable; default deny.
pub struct PolicySet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) slices: Slices,
    by_id: AHashMap<PolicyId, usize>,
    warnings: Vec<Problem>,
    digest: Digest,
    version: u64,
    authorizer: Authorizer,
}

impl PolicySet {
    /// Reads and checks all `*.cedar` of `dir`. No file at all is a set that denies everything.
    ///
    /// # Errors
    /// One problem for each fault; also if `dir` is missing or cannot be read.
    pub fn load(dir: &Path) -> Result<PolicySet, PolicyError> {
        PolicySet::from_sources(&source::read_directory(dir)?, 0)
    }

    /// As [`Self::load`], from pairs of file name and text.
    ///
    /// # Errors
    /// One problem for each fault.
    pub fn from_texts(files: &[(&str, &str)]) -> Result<PolicySet, PolicyError> {
        let source = |(name, text): &(&str, &str)| Source {
            name: (*name).to_owned(),
            path: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        PolicySet::from_sources(&files.iter().map(source).collect::<Vec<_>>(), 0)
    }

    pub(crate) fn from_sources(sources: &[Source], version: u64) -> Result<PolicySet, PolicyError> {
        let compiled = compile(sources);
        if !compiled.errors.is_empty() {
            return Err(compiled.errors.into());
        }
        let rules = compiled.rules;
        let ids = rules.iter().enumerate().map(|(index, rule)| (rule.policy.id().clone(), index));
        Ok(PolicySet {
            by_id: ids.collect(),
            slices: Slices::new(&rules),
            rules,
            warnings: compiled.warnings,
            digest: source::digest(sources),
            version,
            authorizer: Authorizer::new(),
        })
    }

    /// Which set of its [`crate::PolicyStore`] this is, from 1; 0 outside a store.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// SHA-256 of names and texts of the files, in lower-case hex.
    pub fn digest(&self) -> String {
        hex::encode(self.digest)
    }

    pub(crate) fn raw_digest(&self) -> &Digest {
        &self.digest
    }

    /// The number of policies.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is legal but probably not meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// May `subject` send this request to `service` of `region`?
    pub fn decide_request(
        &self,
        subject: &Subject,
        region: &str,
        service: &str,
        context: &RequestContext<'_>,
    ) -> Decision {
        match self.slices.of_service(&self.rules, region, service) {
            Some(slice) => self.decide_in(&slice, subject, context),
            None => Decision::failed(NO_SUCH_NAME),
        }
    }

    /// What of the context can change decisions about `service`: see [`ContextUse`].
    pub fn request_uses(&self, region: &str, service: &str) -> ContextUse {
        self.slices.of_service(&self.rules, region, service).map_or(ContextUse::NOTHING, |slice| slice.uses)
    }

    /// May `subject` do `action`, one of [`crate::action`], to `resource`? What the schema does not know, an action or
    /// that action on such a resource, is denied.
    pub fn decide(&self, subject: &Subject, action: &str, resource: Resource<'_>) -> Decision {
        match self.slices.of_action(action) {
            Some(slice) => {
                self.answer(&slice.policies, Question::of_action(&slice.action, subject, resource))
            }
            None => Decision::failed(&format!("there is no action `{action}`")),
        }
    }

    /// May service account `service`, connecting from `client_ip`, act for `user`?
    pub fn decide_delegate(&self, service: &str, client_ip: IpAddr, user: &Subject) -> Decision {
        match self.slices.of_action("delegate") {
            Some(slice) => {
                let question = Question::of_delegate(&slice.action, service, client_ip, user);
                self.answer(&slice.policies, question)
            }
            None => Decision::failed("there is no action `delegate`"),
        }
    }

    /// Whether the catalog shows `service` to `subject`: the scope of some `request` permit matches, conditions ignored.
    pub fn may_list_service(&self, subject: &Subject, region: &str, service: &str) -> bool {
        let slice = self.slices.of_service(&self.rules, region, service);
        slice.is_some_and(|slice| slice.rules.iter().any(|index| self.is_permit_for(*index, subject)))
    }

    /// Whether the catalog shows `region` to `subject`: some service there, existing or not, could be listed to them.
    pub fn may_list_region(&self, subject: &Subject, region: &str) -> bool {
        self.slices.of_region(region).any(|index| self.is_permit_for(index, subject))
    }

    /// The folders in which `subject` may make jobs, of those that policies name. Where a policy permits all folders,
    /// only names that others mention are known.
    pub fn job_folders(&self, subject: &Subject) -> Vec<String> {
        let Some(slice) = self.slices.of_action(action::JOB_CREATE) else { return Vec::new() };
        let concerned = self.rules.iter().filter(|rule| rule.concerns(&slice.action));
        let named: BTreeSet<&str> = concerned
            .filter_map(|rule| match &rule.resource {
                ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) => Some(uid),
                _ => None,
            })
            .filter(|uid| *uid.type_name() == VOCABULARY.folder)
            .map(|uid| uid.id().unescaped())
            .collect();
        let permitted = named
            .into_iter()
            .filter(|name| self.decide(subject, action::JOB_CREATE, Resource::Folder(name)).permit);
        permitted.map(str::to_owned).collect()
    }

    fn is_permit_for(&self, index: usize, subject: &Subject) -> bool {
        self.rules
            .get(index)
            .is_some_and(|rule| rule.effect == Effect::Permit && subject.is_meant_by(&rule.principal))
    }

    pub(crate) fn decide_in(
        &self,
        slice: &ServiceSlice,
        subject: &Subject,
        context: &RequestContext<'_>,
    ) -> Decision {
        self.answer(&slice.policies, Question::of_request(slice, subject, context))
    }

    fn answer(&self, policies: &CedarSet, question: Result<Question, String>) -> Decision {
        match question {
            Ok(question) => self.conclude(&self.ask(policies, &question)),
            Err(error) => Decision::failed(&error),
        }
    }

    pub(crate) fn ask(&self, policies: &CedarSet, question: &Question) -> Response {
        self.authorizer.is_authorized(&question.request, policies, &question.entities)
    }

    /// Cedar skips a policy that fails. For a `forbid` that would open the door, so any failure denies.
    fn conclude(&self, response: &Response) -> Decision {
        let diagnostics = response.diagnostics();
        let failed: Vec<_> = diagnostics.errors().collect();
        let permit = response.decision() == cedar_policy::Decision::Allow && failed.is_empty();
        let deciding = diagnostics
            .reason()
            .filter(|_| permit || response.decision() == cedar_policy::Decision::Deny)
            .chain(failed.iter().map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id()));
        let mut indexes: Vec<usize> = deciding.filter_map(|id| self.by_id.get(id).copied()).collect();
        indexes.sort_unstable();
        let names = indexes.iter().filter_map(|index| self.rules.get(*index)).map(|rule| rule.name.clone());
        let messages: Vec<_> = failed.iter().map(ToString::to_string).collect();
        Decision {
            permit,
            policies: names.collect(),
            error: (!messages.is_empty()).then(|| messages.join("; ").into()),
        }
    }
}

impl Decision {
    fn failed(message: &str) -> Decision {
        Decision { permit: false, policies: Arc::new([]), error: Some(message.into()) }
    }
}
