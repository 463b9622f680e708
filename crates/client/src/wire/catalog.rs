//! What can be reached: regions, services, instances (`/api/v1/regions…`). Only what the caller may reach is listed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Whether something answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It answers its health check, or has none and was not seen failing.
    Healthy,
    /// It does not.
    Unhealthy,
    /// Nobody has looked yet.
    #[serde(other)]
    Unknown,
}

/// A data center.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// Its name in `/r/{region}/…`.
    pub name: String,
    /// `healthy` when at least one of its proxies answers.
    pub health: Health,
}

/// A named HTTP service in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name in `/r/{region}/{service}/…`.
    pub name: String,
    /// Its region.
    pub region: String,
    /// How the proxy speaks to it: `http1` or `h2`.
    pub protocol: String,
    /// How many instances are known.
    pub instances: u32,
    /// How many of them are healthy.
    pub healthy: u32,
}

/// One container of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// Its name in `/r/{region}/{service}@{id}/…`.
    pub id: String,
    /// Where the region's proxy reaches it.
    pub address: String,
    /// Whether it answers.
    pub health: Health,
    /// What discovery says about it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}
