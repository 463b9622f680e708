//! What every server process does at its beginning and its end.

use crate::config::{LogConfig, LogFormat, TlsConfig};
use anyhow::Context as _;
use doorman_net::tls;
use doorman_store::{Database, DatabaseConfig};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Sends the process's own log to standard error.
pub fn start_log(config: &LogConfig) {
    let level = tracing::Level::from(config.level);
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    // A second call, as in tests, changes nothing.
    let _ = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let trace = std::backtrace::Backtrace::capture();
        tracing::error!(thread, at, %trace, "a panic: {}", without_data(panic.payload()));
    }));
}

/// What a panic may tell the log: its message where that is a literal. One that was put together may hold what it was put
/// together from, as that of a string cut within a character holds the string.
fn without_data(payload: &dyn std::any::Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("its message may hold data and is not told")
}

/// The runtime of everything that is not the send path.
pub fn control_runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Returns when the process is asked to stop.
pub async fn stop_asked() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    Ok(())
}

/// A listener's TLS settings.
pub fn listener_tls(config: Option<&TlsConfig>) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    let Some(config) = config else { return Ok(None) };
    let tls = tls::server_config(&config.cert_file, &config.key_file, config.client_ca_file.as_deref())?;
    Ok(Some(tls))
}

/// TLS settings towards a peer, when it has any.
pub fn link_tls(
    ca: Option<&Path>,
    cert: Option<&Path>,
    key: Option<&Path>,
) -> anyhow::Result<Option<Arc<rustls::ClientConfig>>> {
    let Some(ca) = ca else { return Ok(None) };
    Ok(Some(tls::client_config(ca, cert.zip(key))?))
}

/// How often measured times are summed up.
const SUM_UP_EVERY: Duration = Duration::from_secs(1);

/// Figures for `/metrics`. One recorder serves a process, also when `demo` runs several roles in it.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Fails only where another recorder was installed, which nothing in this program does.
            let _ = metrics::set_global_recorder(recorder);
            sum_up(handle.clone());
            handle
        })
        .clone()
}

/// The recorder keeps every measured time (16 bytes) until somebody sums them up: without this, memory would grow with
/// each request that nobody looks at `/metrics` after.
fn sum_up(handle: PrometheusHandle) {
    let forever = move || {
        loop {
            std::thread::sleep(SUM_UP_EVERY);
            handle.run_upkeep();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("metrics".into()).spawn(forever) {
        tracing::warn!(%error, "measured times are summed up only when /metrics is read");
    }
}

/// The database, with its tables up to date.
///
/// # Errors
/// When it cannot be reached, or could lose what it acknowledged.
pub async fn open_database(config: &crate::config::DatabaseConfig) -> anyhow::Result<Database> {
    let url = config.read_url()?;
    let mut settings = DatabaseConfig::new(url.expose());
    settings.max_connections = config.max_connections.get();
    let database = Database::connect(&settings).await.context("the database cannot be reached")?;
    database.check_durability().await?;
    database.migrate().await?;
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_no_data() {
        let secret = "s3cr3t-cänary".to_owned();
        let told = |run: &(dyn Fn() + std::panic::RefUnwindSafe)| {
            let payload = std::panic::catch_unwind(run).unwrap_err();
            without_data(&*payload)
        };
        assert_eq!(told(&|| panic!("no room")), "no room");
        for run in [&(|| drop(secret[..9].to_owned())) as &(dyn Fn() + std::panic::RefUnwindSafe), &|| {
            panic!("{secret}")
        }] {
            assert!(told(run).contains("is not told"), "{}", told(run));
        }
    }

    /// Of this process, MiB.
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() / 256
    }

    #[test]
    fn measured_times_do_not_pile_up_while_nobody_looks_at_the_figures() {
        let _handle = metrics();
        let times = metrics::histogram!("doorman_test_seconds");
        let before = resident();
        for _ in 0..3 {
            for _ in 0..1_000_000 {
                times.record(0.001);
            }
            std::thread::sleep(SUM_UP_EVERY * 2);
        }
        let rise = resident().saturating_sub(before);
        assert!(rise < 40, "3,000,000 times, 16 MiB a million and more, left {rise} MiB");
    }
}
