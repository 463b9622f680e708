//! `[[regions]]`: the regions that `api` reaches, and every proxy process in them.

use super::checks::Checks;
use super::path::Path;
use super::units::{is_loopback, origin};
use doorman_core::target::is_region_name;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::PathBuf;
use url::Url;

/// One region.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionConfig {
    /// Its name in `/r/{region}/…`.
    pub name: String,
    /// Whether small requests go to its proxies many at once over one connection. Otherwise each has a connection of its
    /// own and is plain HTTP/1.1 all the way, which tools between can read.
    #[serde(default = "on")]
    pub link: bool,
    /// Every proxy process there, each addressed directly: no balancer between.
    pub proxies: Vec<ProxyLink>,
}

fn on() -> bool {
    true
}

/// How to reach one proxy process.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyLink {
    /// Its origin. Plain HTTP on loopback only.
    #[serde(deserialize_with = "origin::deserialize")]
    pub url: Url,
    /// The authority that vouches for it.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for mutual TLS.
    pub client_cert_file: Option<PathBuf>,
    /// Its private key.
    pub client_key_file: Option<PathBuf>,
}

pub(super) fn validate(regions: &[RegionConfig], checks: &mut Checks<'_>) {
    let here = Path::of("regions");
    let help = "add [[regions]] with a name, and [[regions.proxies]] with a url";
    checks.require(&here, !regions.is_empty(), help);
    let (mut names, mut urls) = (HashSet::new(), HashSet::new());
    for (index, region) in regions.iter().enumerate() {
        let here = here.index(index);
        if !is_region_name(&region.name) {
            let help = "use lower-case letters, digits and hyphens, as in \"eu-west-1\"";
            checks.refuse(&here.key("name"), format!("`{}` is no name of a region", region.name), help);
        } else if !names.insert(&region.name) {
            let help = "list all its proxies under one [[regions]]";
            checks.refuse(&here.key("name"), format!("there are two regions `{}`", region.name), help);
        }
        let help = "add [[regions.proxies]] with a url";
        checks.require(&here.key("proxies"), !region.proxies.is_empty(), help);
        for (index, proxy) in region.proxies.iter().enumerate() {
            let here = here.key("proxies").index(index);
            if !urls.insert(&proxy.url) {
                checks.refuse(
                    &here.key("url"),
                    "this proxy is listed twice",
                    "every url is one proxy process",
                );
            }
            proxy.validate(&here, checks);
        }
    }
}

impl ProxyLink {
    fn validate(&self, here: &Path, checks: &mut Checks<'_>) {
        let is_plain = self.url.scheme() == "http";
        if is_plain && !is_loopback(&self.url) {
            let message = "plain HTTP is accepted to loopback addresses only";
            checks.refuse(&here.key("url"), message, "use https and the ca_file that vouches for the proxy");
        }
        if !is_plain && self.ca_file.is_none() {
            let message = "https needs the authority that vouches for the proxy";
            checks.refuse(&here.key("url"), message, "add ca_file, the PEM file of your own authority");
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            let help = "give client_cert_file and client_key_file, or neither";
            checks.refuse(here, "a certificate goes with its key", help);
        }
        for key in ["ca_file", "client_cert_file", "client_key_file"] {
            if is_plain {
                checks.refuse_key(&here.key(key), "plain HTTP has no certificates; use https");
            }
        }
    }
}
