//! What can be reached: regions, services, instances. Only what the caller may reach is listed, and what is not listed
//! is answered as if it were not there.

use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::Segments;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_client::wire::{self, Health, List};
use doorman_core::code::Code;
use doorman_door::Problem;
use doorman_door::catalog::{Region, ServiceStatus, Snapshot};
use std::sync::Arc;

type Page<T> = ApiResult<Json<List<T>>>;

/// The regions that the caller may reach
#[utoipa::path(get, path = "/api/v1/regions", tag = "catalog",
    responses((status = 200, description = "All of them.", body = List<wire::Region>)))]
pub(crate) async fn list_regions(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
) -> Page<wire::Region> {
    let (catalog, set) = (state.door.catalog.load(), state.door.policies.current());
    let regions = catalog.regions.iter();
    let reachable = regions.filter(|(name, _)| set.may_list_region(caller.caller.policy_subject(), name));
    let items =
        reachable.map(|(name, region)| wire::Region { name: name.clone(), health: health_of(region) });
    Ok(Json(List::whole(items.collect())))
}

/// The services of a region that the caller may reach
#[utoipa::path(get, path = "/api/v1/regions/{region}/services", tag = "catalog",
    params(("region" = String, Path, description = "The region.")),
    responses((status = 200, description = "All of them.", body = List<wire::Service>)))]
pub(crate) async fn list_services(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(region): Segments<String>,
) -> Page<wire::Service> {
    let catalog = state.door.catalog.load();
    let set = state.door.policies.current();
    let found = find_region(&state, &catalog, &caller, &region)?;
    let services = found.services.values();
    let items = services
        .filter(|service| set.may_list_service(caller.caller.policy_subject(), &region, &service.name))
        .map(|service| wire::Service {
            name: service.name.clone(),
            region: region.clone(),
            protocol: if service.http2 { "h2" } else { "http1" }.to_owned(),
            instances: count(service.instances.len()),
            healthy: count(service.instances.iter().filter(|instance| instance.healthy).count()),
        });
    Ok(Json(List::whole(items.collect())))
}

/// The instances of a service
#[utoipa::path(get, path = "/api/v1/regions/{region}/services/{service}/instances", tag = "catalog",
    params(("region" = String, Path, description = "The region."), ("service" = String, Path, description = "The service.")),
    responses((status = 200, description = "All of them.", body = List<wire::Instance>)))]
pub(crate) async fn list_instances(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments((region, service)): Segments<(String, String)>,
) -> Page<wire::Instance> {
    let catalog = state.door.catalog.load();
    let set = state.door.policies.current();
    let found = find_region(&state, &catalog, &caller, &region)?;
    let listed = set.may_list_service(caller.caller.policy_subject(), &region, &service);
    let service = found.services.get(&service).filter(|_| listed).ok_or_else(|| {
        Problem::new(
            Code::UnknownService,
            format!("Region {region} has no such service, or you may not reach it."),
        )
        .hint("GET /api/v1/regions/{region}/services lists those that you may reach.")
    })?;
    Ok(Json(List::whole(instances_of(service))))
}

fn instances_of(service: &ServiceStatus) -> Vec<wire::Instance> {
    let instances = service.instances.iter().map(|instance| wire::Instance {
        id: instance.id.clone(),
        address: instance.address.clone(),
        health: if instance.healthy { Health::Healthy } else { Health::Unhealthy },
        labels: instance.labels.clone(),
    });
    instances.collect()
}

/// The region, if the caller may reach anything in it and its services are known.
fn find_region<'a>(
    state: &ApiState,
    catalog: &'a Snapshot,
    caller: &Authorized,
    name: &str,
) -> ApiResult<&'a Region> {
    let listed = state.door.policies.current().may_list_region(caller.caller.policy_subject(), name);
    let region = catalog.regions.get(name).filter(|_| listed).ok_or_else(|| {
        ApiError::from(
            Problem::new(Code::UnknownRegion, "There is no such region, or you may not reach it.")
                .hint("GET /api/v1/regions lists those that you may reach."),
        )
    })?;
    if region.services.is_empty() && region.proxies.iter().all(|proxy| proxy.live.is_none()) {
        let detail = format!("No proxy of region {name} answers, so its services are not known.");
        return Err(Problem::new(Code::RegionUnavailable, detail)
            .hint("Try again shortly; /readyz tells which regions answer.")
            .into());
    }
    Ok(region)
}

/// As its proxies answer.
fn health_of(region: &Region) -> Health {
    let live = region.proxies.iter().any(|proxy| proxy.live.as_ref().is_some_and(|live| !live.draining));
    let seen = region.proxies.iter().any(|proxy| proxy.seen.is_some());
    match (live, seen) {
        (true, _) => Health::Healthy,
        (false, true) => Health::Unhealthy,
        (false, false) => Health::Unknown,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
