//! `doorman demo`: everything in one process, to try and to test with.

use super::demo_files::{self, Sample};
use super::{api, process, proxy};
use crate::cli::DemoArgs;
use crate::config::{self, Environment, Files};
use anyhow::{Context as _, bail};
use doorman_auth::{Authority, Clock, KeyRing, ServiceChange};
use doorman_core::keys::KeyUse;
use doorman_core::secret::Secret;
use doorman_policy::demo_policies;
use doorman_testkit::companies::Companies;
use doorman_testkit::echo::Echo;
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, demo_directory_toml};
use doorman_testkit::serve::Service;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

const REGIONS: [&str; 2] = ["eu", "us"];
const SERVICE_ACCOUNT: (&str, &str) = ("reports-ui", "reports-ui-demo");
/// Says that a directory holds a demo world and nothing else.
const MARKER: &str = ".doorman-demo";
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until a signal asks it to stop. `environment` may move the journal to another database.
///
/// # Errors
/// When it cannot start.
pub fn run(args: DemoArgs, environment: &Environment) -> anyhow::Result<()> {
    let data = &args.data;
    prepare(data, args.reset)?;
    // Known before anything is told of it: pages, cookies and tokens name the port.
    let listen = if args.listen.port() == 0 { free_address(args.listen.ip())? } else { args.listen };
    let runtime = process::control_runtime()?;
    let directory = runtime.block_on(start_directory(data))?;
    write_policies(data)?;
    std::fs::create_dir_all(data.join("keys"))?;
    // Proxies need the public keys before `api` is there to write them.
    let clock = Clock::open(&data.join("keys/clock")).context("the demo's keys")?;
    KeyRing::open_or_create(&data.join("keys"), &KeyUse::ALL, clock)?;
    let mut worlds = Vec::new();
    for region in REGIONS {
        worlds.push(start_region(&runtime, data, region)?);
    }
    let proxies: Vec<_> = worlds.iter().map(|world| (world.region, world.proxy.address())).collect();
    let file = demo_files::api(data, listen, directory.addr(), &proxies)?;
    let config: config::ApiConfig = config::load(&file, environment, Files::Checked)?;
    process::start_log(&config.log);
    let running = runtime.block_on(async {
        let running = api::start(config).await?;
        add_service_account(&*running.authenticator).await?;
        anyhow::Ok(running)
    })?;
    runtime.block_on(wait_until_reachable(running.address()));
    print!("{}", first_screen(running.address(), data));
    runtime.block_on(process::stop_asked())?;
    running.close(DRAIN);
    for world in worlds {
        world.proxy.close();
    }
    runtime.block_on(directory.shutdown());
    Ok(())
}

/// Makes the directory, or empties it when asked to: only one that the demo began, as the marker in it says.
fn prepare(data: &Path, reset: bool) -> anyhow::Result<()> {
    let is_empty = || Ok::<_, std::io::Error>(std::fs::read_dir(data)?.next().is_none());
    if reset && data.exists() && !is_empty().with_context(|| format!("cannot read {}", data.display()))? {
        if !data.join(MARKER).exists() {
            bail!(
                "{} was not begun by `doorman demo`: --reset would delete what is not the demo's. \
                 Delete it yourself, or choose another --data",
                data.display()
            );
        }
        std::fs::remove_dir_all(data).with_context(|| format!("cannot delete {}", data.display()))?;
    }
    std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    if is_empty()? {
        demo_files::write(&data.join(MARKER), "`doorman demo --reset` may delete this directory.\n")?;
    }
    Ok(())
}

struct World {
    region: &'static str,
    proxy: doorman_proxy::Proxy,
    _services: Vec<Service>,
}

async fn start_directory(data: &Path) -> anyhow::Result<EmbeddedLdap> {
    let path = data.join("directory.toml");
    if !path.exists() {
        demo_files::write(&path, &demo_directory_toml()?)?;
    }
    Ok(EmbeddedLdap::start(loopback(0), DirectoryFile::open(&path)?).await?)
}

fn write_policies(data: &Path) -> anyhow::Result<()> {
    let dir = data.join("policies");
    if dir.exists() {
        return Ok(());
    }
    demo_policies().iter().try_for_each(|(name, text)| demo_files::write_new(&dir.join(name), text))
}

fn start_region(
    runtime: &tokio::runtime::Runtime,
    data: &Path,
    region: &'static str,
) -> anyhow::Result<World> {
    let jwks = free_address(Ipv4Addr::LOCALHOST.into())?;
    let (services, samples) = runtime.block_on(start_samples(region, jwks))?;
    let file = demo_files::proxy(data, region, jwks, &samples)?;
    let config = config::load(&file, &Environment::new([]), Files::Checked)?;
    let proxy = proxy::start(config)?;
    Ok(World { region, proxy, _services: services })
}

async fn start_samples(region: &str, jwks: SocketAddr) -> anyhow::Result<(Vec<Service>, Vec<Sample>)> {
    let mut services = Vec::new();
    let mut echo = Sample { name: "echo", health: None, instances: Vec::new() };
    for number in 1..=2 {
        let id = format!("echo-{number}");
        let service = Echo::new(id.as_str()).start(loopback(0)).await?;
        echo.instances.push((id, service.addr()));
        services.push(service);
    }
    let mut companies = Sample { name: "companies", health: Some("/health"), instances: Vec::new() };
    let shared = Companies::new(region, &format!("http://{jwks}/.well-known/jwks.json"));
    for number in 1..=3 {
        let id = format!("companies-{number}");
        let service = shared.start(&id, loopback(0)).await?;
        companies.instances.push((id, service.addr()));
        services.push(service);
    }
    Ok((services, vec![echo, companies]))
}

async fn add_service_account(authenticator: &dyn Authority) -> anyhow::Result<()> {
    let (name, secret) = SERVICE_ACCOUNT;
    if authenticator.store().service(name).await.is_ok() {
        return Ok(());
    }
    let set = ServiceChange {
        owner: Some("user:erin".into()),
        description: Some(
            "The demo's internal UI: acts for developers and operators, nothing on its own".into(),
        ),
        ..ServiceChange::default()
    };
    authenticator.create_service(name, set, Some(Secret::new(secret.into()))).await?;
    Ok(())
}

/// The catalog knows its regions a moment after the start; `READY` means that the first request works.
async fn wait_until_reachable(_address: SocketAddr) {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that was free a moment ago.
fn free_address(ip: IpAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((ip, 0)).with_context(|| format!("cannot listen on {ip}"))?;
    Ok(listener.local_addr()?)
}

fn first_screen(address: SocketAddr, data: &Path) -> String {
    let data = data.display();
    format!(
        "\nDoorman's demo world is up at http://{address}\n\
         Open it in a browser for the console, and log in as one of these.\n\n\
         users (password: <name>-demo)\n\
         \x20 alice    developers          echo: everything; companies: read, and POST in eu\n\
         \x20 bob      developers, oncall  also any method on companies, with a reason\n\
         \x20 carol    security            reads the whole audit log, sends nothing\n\
         \x20 dave     operators           any method on companies; jobs in folder ops\n\
         \x20 erin     admins              service accounts, sessions, keys, policy; no requests\n\
         \x20 mallory  (no groups)         nothing\n\
         service account: reports-ui, secret reports-ui-demo\n\
         regions: eu, us, each with the services echo (2 instances) and companies (3 instances)\n\n\
         Try, in another terminal:\n\n\
         \x20 curl -u alice:alice-demo http://{address}/r/eu/echo@echo-2/hello?from=me\n\
         \x20     an audited request to one chosen container in another region\n\n\
         \x20 curl -u alice:alice-demo http://{address}/r/us/companies/companies/7 -X DELETE\n\
         \x20     denied, and it says why\n\n\
         \x20 curl -u alice:alice-demo 'http://{address}/api/v1/audit?limit=5'\n\
         \x20     what was written down before anything was sent\n\n\
         Everything is under {data}: the log (doorman.db, statements/), policies/*.cedar (change one: it is in force\n\
         within a second), directory.toml, keys/, config/. Stop with Ctrl-C.\n\nREADY\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_deletes_what_the_demo_began_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (own, foreign) = (dir.path().join("own"), dir.path().join("foreign"));
        prepare(&own, true).unwrap();
        std::fs::write(own.join("doorman.db"), "old").unwrap();
        prepare(&own, false).unwrap();
        assert!(own.join("doorman.db").exists());
        prepare(&own, true).unwrap();
        assert!(!own.join("doorman.db").exists() && own.join(MARKER).exists());

        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("thesis.txt"), "years").unwrap();
        let refused = prepare(&foreign, true).unwrap_err().to_string();
        assert!(refused.contains("not begun by") && refused.contains("--data"), "{refused}");
        // Used without --reset, it does not become the demo's either.
        prepare(&foreign, false).unwrap();
        assert!(prepare(&foreign, true).is_err() && foreign.join("thesis.txt").exists());
    }
}
