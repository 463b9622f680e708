//! `doorman proxy`: wires the role's parts together and runs it.

use super::process;
use crate::config::{Discovery, InstanceConfig, Protocol, ProxyConfig, ServiceConfig, TlsConfig};
use anyhow::{Context as _, bail};
use doorman_proxy as proxy;
use doorman_proxy::{
    HealthSettings, Impersonation, InstanceSettings, Peer, Proxy, ProxySettings, ReceiptSettings,
    ServiceSettings,
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
    let proxy = start(config)?;
    tracing::info!(region, address = %proxy.address(), "proxy listens");
    let runtime = process::control_runtime()?;
    runtime.block_on(process::stop_asked())?;
    proxy.close();
    Ok(())
}

/// Starts the proxy's threads.
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
    if config.discovery != Discovery::Static {
        bail!("service {}: only `discovery = \"static\"` is built", config.name);
    }
    let impersonation = config.impersonate.as_deref();
    let impersonation = impersonation.map(|style| Impersonation::parse(style, &config.impersonate_by));
    let impersonation = impersonation.transpose().with_context(|| format!("service {}", config.name))?;
    let tls = match &config.tls {
        None => None,
        Some(tls) => process::link_tls(
            Some(&tls.ca_file),
            tls.client_cert_file.as_deref(),
            tls.client_key_file.as_deref(),
        )?,
    };
    let server_name = config.tls.as_ref().and_then(|tls| tls.server_name.clone());
    let instance = |instance: InstanceConfig| {
        let address = instance.address.origin().ascii_serialization();
        let mut peer = Peer::parse(&address, tls.clone())
            .with_context(|| format!("instance {} of {}", instance.id, config.name))?;
        if let Some(name) = &server_name {
            peer = peer.with_server_name(name)?;
        }
        Ok(InstanceSettings { id: instance.id, peer, address, labels: instance.labels })
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
