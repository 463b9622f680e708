//! `doorman proxy`: wires the role's parts together and runs it.

use super::discovery::{self, Link};
use super::process;
use crate::config::{InstanceConfig, Protocol, ProxyConfig, ServiceConfig, TlsConfig};
use anyhow::Context as _;
use doorman_proxy as proxy;
use doorman_proxy::{
    HealthSettings, Impersonation, InstanceSettings, Proxy, ProxySettings, ReceiptSettings, ServiceSettings,
};

/// Bodies up to this are read whole; the limit of `api` must not be larger.
const MAX_WHOLE_BODY: usize = 16 * 1024 * 1024;

/// Runs until a signal asks it to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(config: ProxyConfig) -> anyhow::Result<()> {
    process::start_log(&config.log);
    let region = config.region.clone();
    let runtime = process::control_runtime()?;
    let watches = runtime.block_on(async { discovery::watches(&config.services) })?;
    let proxy = start(config)?;
    tracing::info!(region, address = %proxy.address(), "proxy listens");
    for watch in watches {
        runtime.spawn(watch.run(proxy.replacer()));
    }
    runtime.block_on(process::stop_asked())?;
    proxy.close();
    Ok(())
}

/// Starts the proxy's threads. Instances that are not in the file are [`discovery::watches`]' to find.
///
/// # Errors
/// When it cannot start.
pub fn start(config: ProxyConfig) -> anyhow::Result<Proxy> {
    let services = config.services.into_iter().map(service).collect::<anyhow::Result<_>>()?;
    let settings = ProxySettings {
        region: config.region,
        listen: config.server.listen,
        tls: process::listener_tls(config.server.tls.as_ref())?,
        limits: config.server.limits,
        threads: config.server.threads.map_or(0, Into::into),
        public_keys: config.keys.public_file,
        identity_listen: config.jwks,
        // The certificate of `[server]`; `client_ca_file` there is about `api` alone.
        identity_tls: process::listener_tls(
            config.server.tls.clone().map(|tls| TlsConfig { client_ca_file: None, ..tls }).as_ref(),
        )?,
        max_whole_body: MAX_WHOLE_BODY,
        receipts: ReceiptSettings {
            dir: config.data.dir,
            keep: config.data.keep_receipts,
            max_bytes: config.data.max_receipts as u64,
        },
        drain: config.server.drain,
        services,
    };
    Ok(Proxy::start(settings)?)
}

fn service(config: ServiceConfig) -> anyhow::Result<ServiceSettings> {
    let impersonation = config.impersonate.as_deref();
    let impersonation = impersonation.map(|style| Impersonation::parse(style, &config.impersonate_by));
    let impersonation = impersonation.transpose().with_context(|| format!("service {}", config.name))?;
    let link = Link::of(&config)?;
    let instance = |instance: InstanceConfig| {
        let address = instance.address.origin().ascii_serialization();
        let peer = link.peer(&address, None);
        let peer = peer.with_context(|| format!("instance {} of {}", instance.id, config.name))?;
        Ok(InstanceSettings { id: instance.id, peer, address, labels: instance.labels, well: true })
    };
    Ok(ServiceSettings {
        protocol: match config.protocol {
            Protocol::Http1 => proxy::Protocol::Http1,
            Protocol::H2 => proxy::Protocol::Http2,
        },
        connect_timeout: config.timeouts.connect,
        response_timeout: config.timeouts.response,
        health: config.health.map_or_else(HealthSettings::default, |health| HealthSettings {
            path: Some(health.path),
            interval: health.interval,
            timeout: health.timeout,
        }),
        takes_slash: config.allow_encoded_slash,
        impersonation,
        instances: config.instances.into_iter().map(instance).collect::<anyhow::Result<_>>()?,
        name: config.name,
    })
}
