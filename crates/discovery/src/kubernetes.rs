//! EndpointSlices of a Kubernetes service.

use crate::{FindError, Found, http_client, read};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(10);
/// Slices asked for at once; there are more pages if there are more.
const PAGE: &str = "100";

/// What to ask Kubernetes.
#[derive(Clone, Debug)]
pub struct KubernetesSettings {
    /// The API server.
    pub url: Url,
    /// The namespace.
    pub namespace: String,
    /// The service's name there.
    pub service: String,
    /// The name of the port; none: the only one.
    pub port: Option<String>,
    /// The service account's token; read each time, since it is renewed.
    pub token_file: PathBuf,
    /// The authority that vouches for the API server.
    pub ca_file: Option<PathBuf>,
}

/// A service in Kubernetes.
pub struct Kubernetes {
    client: reqwest::Client,
    settings: KubernetesSettings,
    url: Url,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Slice>,
    #[serde(default)]
    metadata: ListMeta,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue", default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Slice {
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
    #[serde(default)]
    target_ref: Option<Target>,
    #[serde(default)]
    node_name: Option<String>,
    #[serde(default)]
    zone: Option<String>,
}

#[derive(Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Deserialize)]
struct Target {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
}

impl Kubernetes {
    /// A service that Kubernetes knows.
    ///
    /// # Errors
    /// When the authority's file cannot be used.
    pub fn new(settings: KubernetesSettings) -> Result<Self, FindError> {
        let mut url = settings.url.clone();
        let (group, namespace) = ("discovery.k8s.io", settings.namespace.as_str());
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(["apis", group, "v1", "namespaces", namespace, "endpointslices"]);
        }
        Ok(Self { client: http_client(settings.ca_file.as_deref(), PATIENCE)?, settings, url })
    }

    pub(crate) async fn find(&self) -> Result<Vec<Found>, FindError> {
        let mut all = Vec::new();
        let mut next = None::<String>;
        loop {
            let mut url = self.url.clone();
            {
                let selector = format!("kubernetes.io/service-name={}", self.settings.service);
                let mut query = url.query_pairs_mut();
                query.append_pair("labelSelector", &selector).append_pair("limit", PAGE);
                if let Some(next) = &next {
                    query.append_pair("continue", next);
                }
            }
            let token = read(&self.settings.token_file)?;
            let asked = self.client.get(url).bearer_auth(token.trim()).send().await;
            let response = asked.and_then(reqwest::Response::error_for_status).map_err(FindError::http)?;
            let list: List = response.json().await.map_err(FindError::http)?;
            all.extend(list.items.into_iter().flat_map(|slice| self.found(slice)));
            next = list.metadata.next.filter(|next| !next.is_empty());
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    fn found(&self, slice: Slice) -> Vec<Found> {
        let ports = slice.ports.unwrap_or_default();
        let wanted = |port: &&Port| self.settings.port.is_none() || port.name == self.settings.port;
        let Some(port) = ports.iter().find(wanted).and_then(|port| port.port) else { return Vec::new() };
        let endpoints = slice.endpoints.unwrap_or_default().into_iter();
        endpoints.filter_map(|endpoint| instance(endpoint, port)).collect()
    }
}

fn instance(endpoint: Endpoint, port: u16) -> Option<Found> {
    // All addresses of an endpoint are the same one's; a slice of host names has none that can be reached safely.
    let ip: std::net::IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let id = endpoint.target_ref.and_then(|target| target.name).unwrap_or_else(|| format!("{ip}:{port}"));
    let labels = [("node", endpoint.node_name), ("zone", endpoint.zone)];
    let labels: BTreeMap<_, _> =
        labels.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    // Nothing said means ready.
    Some(Found { id, ip, port, name: None, well: endpoint.conditions.ready.unwrap_or(true), labels })
}
