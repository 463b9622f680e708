//! Where the instances of a service are, as those say who keep track of it: DNS, Consul, Kubernetes.
//!
//! What cannot be asked says nothing: the last answer stays in force. An answer without instances is an answer.

mod consul;
mod dns;
mod kubernetes;

pub use consul::{Consul, ConsulSettings};
pub use dns::{Dns, DnsSettings};
pub use kubernetes::{Kubernetes, KubernetesSettings};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id, unique within the service.
    pub id: String,
    /// Where it is.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// The name in its certificate, where it is known by one.
    pub name: Option<String>,
    /// Whether whoever keeps track of it takes it to be well.
    pub well: bool,
    /// What else is known of it.
    pub labels: BTreeMap<String, String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// DNS failed, other than by saying that there is nothing.
    #[error("DNS: {0}")]
    Dns(String),
    /// An HTTP API did not answer, or not what it should.
    #[error("{0}")]
    Http(String),
    /// A file that is needed cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl FindError {
    fn http(error: reqwest::Error) -> Self {
        Self::Http(error.without_url().to_string())
    }
}

/// Who keeps track of a service.
pub enum Source {
    /// SRV or address records.
    Dns(Dns),
    /// Consul's catalog.
    Consul(Consul),
    /// Kubernetes' EndpointSlices.
    Kubernetes(Kubernetes),
}

impl Source {
    /// All instances, sorted by id. Consul answers when something has changed, or after half a minute.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn find(&mut self) -> Result<Vec<Found>, FindError> {
        let mut found = match self {
            Self::Dns(dns) => dns.find().await,
            Self::Consul(consul) => consul.find().await,
            Self::Kubernetes(kubernetes) => kubernetes.find().await,
        }?;
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        Ok(found)
    }

    /// Asks again and again, for ever, at most once in `every`, and hands on each answer.
    pub async fn watch(mut self, service: String, every: Duration, mut tell: impl FnMut(Vec<Found>)) {
        let mut well = true;
        loop {
            match self.find().await {
                Ok(found) => {
                    well = true;
                    tell(found);
                }
                Err(error) if std::mem::take(&mut well) => {
                    tracing::warn!(service, %error, "the instances are not looked up; the last ones known stay");
                }
                Err(_) => {}
            }
            // Consul has waited itself.
            let pause =
                if well && matches!(self, Self::Consul(_)) { Duration::from_millis(200) } else { every };
            tokio::time::sleep(pause).await;
        }
    }
}

/// A client for a configured address: no proxies, no redirects, no other authority than the one named.
fn http_client(ca_file: Option<&Path>, patience: Duration) -> Result<reqwest::Client, FindError> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(3))
        .timeout(patience);
    if let Some(path) = ca_file {
        let pem = read(path)?;
        let bundle = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(FindError::http)?;
        builder = builder.tls_certs_only(bundle);
    }
    builder.build().map_err(FindError::http)
}

fn read(path: &Path) -> Result<String, FindError> {
    std::fs::read_to_string(path)
        .map_err(|source| FindError::File { path: path.display().to_string(), source })
}
