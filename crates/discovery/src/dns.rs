//! SRV records, or the addresses of one name.

use crate::{FindError, Found};
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use std::net::{IpAddr, SocketAddr};

/// What to ask DNS.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// `_http._tcp.web.example.com`; with `port`, a host name.
    pub name: String,
    /// Asks for the addresses of `name` instead of its SRV records.
    pub port: Option<u16>,
    /// Whom to ask; none: as the system says.
    pub servers: Vec<SocketAddr>,
}

/// A service in DNS.
pub struct Dns {
    resolver: TokioResolver,
    name: String,
    port: Option<u16>,
}

impl Dns {
    /// A service that DNS knows.
    ///
    /// # Errors
    /// When the system's own settings cannot be used.
    pub fn new(settings: DnsSettings) -> Result<Self, FindError> {
        let failed = |error: NetError| FindError::Dns(error.to_string());
        let mut builder = if settings.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let config = ResolverConfig::from_parts(None, Vec::new(), servers(&settings.servers));
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        // Asked seldom, and then for what is so now.
        builder.options_mut().cache_size = 0;
        // Final dot: no search lists.
        let name = format!("{}.", settings.name.trim_end_matches('.'));
        Ok(Self { resolver: builder.build().map_err(failed)?, name, port: settings.port })
    }

    pub(crate) async fn find(&self) -> Result<Vec<Found>, FindError> {
        let Some(port) = self.port else { return self.find_services().await };
        let addresses = self.addresses(&self.name).await?;
        Ok(addresses.into_iter().map(|ip| found(format!("{ip}:{port}"), ip, port)).collect())
    }

    async fn find_services(&self) -> Result<Vec<Found>, FindError> {
        let Some(records) = answered(self.resolver.lookup(&*self.name, RecordType::SRV).await)? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for record in records.answers() {
            let RData::SRV(service) = &record.data else { continue };
            // A target of `.` says that there is no such service (RFC 2782).
            if service.target.is_root() {
                continue;
            }
            let target = service.target.to_string().to_lowercase();
            let Some(&ip) = self.addresses(&target).await?.first() else { continue };
            let name = target.trim_end_matches('.').to_owned();
            let labels = [("priority", service.priority), ("weight", service.weight)];
            all.push(Found {
                labels: labels.map(|(key, value)| (key.to_owned(), value.to_string())).into(),
                name: Some(name.clone()),
                ..found(format!("{name}:{}", service.port), ip, service.port)
            });
        }
        Ok(all)
    }

    /// In an order that stays.
    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, FindError> {
        let found = answered(self.resolver.lookup_ip(name).await)?;
        let mut all: Vec<IpAddr> = found.iter().flat_map(|found| found.iter()).collect();
        all.sort();
        Ok(all)
    }
}

fn servers(addresses: &[SocketAddr]) -> Vec<NameServerConfig> {
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    };
    addresses.iter().map(server).collect()
}

/// `None`: DNS says that there is nothing by that name.
fn answered<T>(asked: Result<T, NetError>) -> Result<Option<T>, FindError> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(None),
        Err(error) => Err(FindError::Dns(error.to_string())),
    }
}

fn found(id: String, ip: IpAddr, port: u16) -> Found {
    Found { id, ip, port, name: None, well: true, labels: Default::default() }
}
