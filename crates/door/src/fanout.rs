//! `@all`: one attempt, one pass and one answer for each instance.

use crate::attempt::Origin;
use crate::body::{AnswerBody, InBody};
use crate::forward::forward;
use crate::headers::INSTANCE;
use crate::item::Handling;
use crate::permit::{Denial, Permit};
use crate::problem::{AUDIT_ID, Problem};
use crate::receipt::{Intent, NotCommitted, commit};
use crate::thread::DoorThread;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use doorman_core::code::Code;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// Bytes kept of each instance's body.
const MAX_BODY: usize = 1024 * 1024;
/// Instances asked at the same time.
const AT_ONCE: usize = 16;

#[derive(Serialize)]
struct InstanceAnswer {
    instance: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_encoding: Option<&'static str>,
    duration_ms: u64,
    audit_id: Option<String>,
}

/// Sends one request to every instance; every one is judged and committed by itself.
pub(crate) async fn send_to_all(
    thread: &Rc<DoorThread>,
    permit: Permit,
    headers: HeaderMap,
    body: InBody,
    origin: Origin,
    handling: Handling,
) -> Result<Response<AnswerBody>, Denial> {
    let refuse = |code, detail: &str, hint: &str| Denial {
        problem: Problem::new(code, detail).hint(hint),
        policies: std::sync::Arc::from([]),
        target: permit.target().clone(),
    };
    let InBody::Whole(bytes, _) = body else {
        return Err(refuse(
            Code::TooLarge,
            "A body for all instances must fit the body limit.",
            "Send to one instance at a time.",
        ));
    };
    let instances = instances_of(thread, &permit);
    if instances.is_empty() {
        return Err(refuse(
            Code::UnknownInstance,
            "The service has no instance.",
            "`doorman instances <region> <service>` lists them.",
        ));
    }
    let mut permits = Vec::with_capacity(instances.len());
    for instance in &instances {
        let target = permit.target().with_instance(instance).map_err(|error| {
            refuse(
                Code::UnknownInstance,
                &error.to_string(),
                "The proxy's file names an instance that cannot be addressed.",
            )
        })?;
        let (caller, method, facts) =
            (permit.caller().clone(), permit.method().clone(), permit.facts().clone());
        permits.push(thread.judge().authorize(&thread.policies(), caller, target, method, facts)?);
    }
    let mut answers = Vec::with_capacity(instances.len());
    let mut work = permits.into_iter().zip(instances);
    loop {
        let round: Vec<_> = work
            .by_ref()
            .take(AT_ONCE)
            .map(|(permit, instance)| {
                let intent = Intent {
                    permit,
                    headers: headers.clone(),
                    body: InBody::Whole(bytes.clone(), None),
                    origin,
                    handling: handling.clone(),
                };
                tokio::task::spawn_local(send_to_one(thread.clone(), intent, instance))
            })
            .collect();
        if round.is_empty() {
            break;
        }
        for answer in round {
            if let Ok(answer) = answer.await {
                answers.push(answer);
            }
        }
    }
    let json = serde_json::to_vec(&answers).unwrap_or_default();
    let mut response = Response::new(AnswerBody::full(Bytes::from(json)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(id) = answers.first().and_then(|answer| answer.audit_id.as_deref())
        && let Ok(value) = HeaderValue::try_from(id)
    {
        response.headers_mut().insert(AUDIT_ID, value);
    }
    crate::problem::harden(response.headers_mut());
    Ok(response)
}

fn instances_of(thread: &DoorThread, permit: &Permit) -> Vec<String> {
    let snapshot = thread.catalog().load();
    let region = snapshot.regions.get(permit.target().region());
    let service = region.and_then(|region| region.services.get(permit.target().service()));
    service
        .map(|service| service.instances.iter().map(|instance| instance.id.clone()).collect())
        .unwrap_or_default()
}

async fn send_to_one(thread: Rc<DoorThread>, intent: Intent, instance: String) -> InstanceAnswer {
    let started = Instant::now();
    let response = match commit(&thread, intent).await {
        Ok(receipt) => forward(&thread, receipt, None).await,
        Err(NotCommitted::Failed(problem, _)) => problem.into_response(),
        Err(NotCommitted::Denied(denial)) => denial.problem.into_response(),
    };
    let (parts, body) = response.into_parts();
    let bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => Bytes::from(format!("(the body could not be kept: {error})")),
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let is_json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let (body, body_encoding) = match std::str::from_utf8(&bytes) {
        Ok(plain) => {
            let parsed = if is_json { serde_json::from_str(plain).ok() } else { None };
            (parsed.unwrap_or_else(|| plain.into()), None)
        }
        Err(_) => (STANDARD.encode(&bytes).into(), Some("base64")),
    };
    InstanceAnswer {
        instance: parts.headers.get(INSTANCE).map(text).unwrap_or(instance),
        status: parts.status.as_u16(),
        audit_id: parts.headers.get(AUDIT_ID).map(text),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
        body_encoding,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
