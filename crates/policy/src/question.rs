//! Puts a call into Cedar's terms: principal, action, resource, context and the entities around them.

use std::net::IpAddr;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request};

use crate::context::{RequestContext, cedar_ip};
use crate::resource::Resource;
use crate::schema::{VOCABULARY, entity_uid};
use crate::slice::ServiceSlice;
use crate::subject::Subject;

/// What is asked of Cedar. A question that cannot even be put is denied, with the error as the explanation.
pub(crate) struct Question {
    pub request: Request,
    pub entities: Entities,
}

impl Question {
    pub fn of_request(
        slice: &ServiceSlice,
        subject: &Subject,
        context: &RequestContext<'_>,
    ) -> Result<Question, String> {
        let (action, service) = (slice.action.clone(), slice.service.clone());
        // Not checked against the schema: the types are right by construction, and what nobody reads is left out.
        let request = Request::new(subject.uid.clone(), action, service, context.to_cedar(slice.uses)?, None);
        Ok(Question {
            request: request.map_err(|error| error.to_string())?,
            entities: with_entity(&subject.entities, Some(slice.entity.clone()))?,
        })
    }

    pub fn of_action(
        action: &EntityUid,
        subject: &Subject,
        resource: Resource<'_>,
    ) -> Result<Question, String> {
        let uid = resource.uid().ok_or("a region or database name holds a `/`")?;
        let entities = with_entity(&subject.entities, resource.entity(&uid))?;
        let request = checked(subject.uid.clone(), action, uid, Context::empty())?;
        Ok(Question { request, entities })
    }

    /// The schema admits users alone as the resource, so nobody can act for a service account.
    pub fn of_delegate(
        action: &EntityUid,
        service: &str,
        client_ip: IpAddr,
        user: &Subject,
    ) -> Result<Question, String> {
        let context = Context::from_pairs([("client_ip".to_owned(), cedar_ip(client_ip))]);
        let context = context.map_err(|error| error.to_string())?;
        let actor = entity_uid(&VOCABULARY.service_account, service);
        let request = checked(actor, action, user.uid.clone(), context)?;
        Ok(Question { request, entities: user.entities.clone() })
    }
}

/// The schema has the last word on whether action and resource go together.
fn checked(
    principal: EntityUid,
    action: &EntityUid,
    resource: EntityUid,
    context: Context,
) -> Result<Request, String> {
    Request::new(principal, action.clone(), resource, context, Some(&VOCABULARY.schema))
        .map_err(|error| error.to_string())
}

fn with_entity(entities: &Entities, entity: Option<Entity>) -> Result<Entities, String> {
    entities.clone().add_entities(entity, None).map_err(|error| error.to_string())
}
