//! Consul's catalog, by blocking queries of `/v1/health/service/{name}`.

use crate::{FindError, Found, http_client, read};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// How long Consul may wait for a change before it answers all the same; it adds up to a sixteenth.
const WAIT: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(40);

/// What to ask Consul.
#[derive(Clone, Debug)]
pub struct ConsulSettings {
    /// Where its agent is.
    pub url: Url,
    /// The service's name there.
    pub service: String,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// Another data center than the agent's own.
    pub datacenter: Option<String>,
    /// The ACL token; read each time.
    pub token_file: Option<PathBuf>,
    /// The authority that vouches for the agent.
    pub ca_file: Option<PathBuf>,
}

/// A service in Consul.
pub struct Consul {
    client: reqwest::Client,
    settings: ConsulSettings,
    url: Url,
    /// What the last answer was as of; 0 asks for the present state.
    index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    port: u16,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: String,
}

impl Consul {
    /// A service that Consul knows.
    ///
    /// # Errors
    /// When the authority's file cannot be used.
    pub fn new(settings: ConsulSettings) -> Result<Self, FindError> {
        let mut url = settings.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(["v1", "health", "service", &settings.service]);
        }
        Ok(Self { client: http_client(settings.ca_file.as_deref(), PATIENCE)?, settings, url, index: 0 })
    }

    pub(crate) async fn find(&mut self) -> Result<Vec<Found>, FindError> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("index", &self.index.to_string());
            query.append_pair("wait", &format!("{}s", WAIT.as_secs()));
            for (key, value) in [("tag", &self.settings.tag), ("dc", &self.settings.datacenter)] {
                if let Some(value) = value {
                    query.append_pair(key, value);
                }
            }
        }
        let mut request = self.client.get(url);
        if let Some(path) = &self.settings.token_file {
            request = request.header("x-consul-token", read(path)?.trim());
        }
        // Whatever fails, the next question is for the present state.
        let before = std::mem::take(&mut self.index);
        let response = request.send().await.and_then(reqwest::Response::error_for_status);
        let response = response.map_err(FindError::http)?;
        let index = response.headers().get("x-consul-index");
        let index = index.and_then(|index| index.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
        let entries: Vec<Entry> = response.json().await.map_err(FindError::http)?;
        // One that goes backwards means that Consul began anew.
        self.index = if index < before { 0 } else { index };
        Ok(entries.into_iter().filter_map(found).collect())
    }
}

fn found(entry: Entry) -> Option<Found> {
    let Entry { node, service, checks } = entry;
    let address = if service.address.is_empty() { &node.address } else { &service.address };
    let Ok(ip) = address.parse() else {
        tracing::warn!(
            instance = service.id,
            address,
            "Consul names no IP address of an instance; passed over"
        );
        return None;
    };
    let mut labels = service.meta.unwrap_or_default();
    labels.insert("node".to_owned(), node.node);
    if let Some(tags) = service.tags.filter(|tags| !tags.is_empty()) {
        labels.insert("tags".to_owned(), tags.join(","));
    }
    let well = checks.iter().all(|check| check.status != "critical");
    Some(Found { id: service.id, ip, port: service.port, name: None, well, labels })
}
