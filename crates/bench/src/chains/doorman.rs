//! The door itself: both hops as processes of their own, everything on, from ordinary configuration files.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, demo_directory_toml};
use serde_json::json;

use super::{Chain, Database, PATH, Running, Site};
use crate::flush_delay;
use crate::load::Target;
use crate::load::blocking::{exchange, post_json};
use crate::process::{Server, free_address};

/// What lets alice through and keep jobs, a service act for her, and erin make that service's account.
const POLICY: &str = "@id(\"developers-bench\")\npermit (principal in Group::\"developers\", \
     action == Action::\"request\", resource in ServiceName::\"bench\");\n\
     permit (principal == ServiceAccount::\"bench-ui\", action == Action::\"delegate\", resource in Group::\"developers\");\n\
     permit (principal in Group::\"developers\", action in [Action::\"job:create\", Action::\"job:read\", \
     Action::\"job:update\", Action::\"job:run\"], resource in Folder::\"bench\");\n\
     permit (principal in Group::\"admins\", action == Action::\"service_account:manage\", \
     resource == System::\"service_accounts\");\n";

pub struct Doorman {
    /// As in tables: `Doorman`, or with what differs behind it.
    pub name: String,
    pub binary: PathBuf,
    pub database: Database,
    /// Added to each of its flushes.
    pub flush_delay: Duration,
}

impl Chain for Doorman {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&self, site: &Site<'_>) -> Result<Running> {
        ensure!(
            self.binary.is_file(),
            "{} is not there: build it with `cargo build --release -p doorman`, or name one with --doorman",
            self.binary.display()
        );
        let dir = site.directory.as_path();
        let (listen, proxy_listen) = (free_address()?, free_address()?);
        fs::create_dir_all(dir.join("policies"))?;
        fs::write(dir.join("policies/bench.cedar"), POLICY)?;
        fs::write(dir.join("directory-password"), "doorman-demo")?;
        fs::write(dir.join("api.toml"), api_config(dir, listen, proxy_listen, directory()?))?;
        fs::write(dir.join("proxy.toml"), proxy_config(dir, proxy_listen, site.upstream))?;
        let mut command = Command::new(&self.binary);
        command.args(["api", "--config"]).arg(dir.join("api.toml")).env("DOORMAN_BENCH_UNAUDITED", "1");
        // The server runs under an account of its own, which must reach the library.
        let slow_disk = flush_delay::environment(self.flush_delay, dir)?;
        let database = self.database.start(site.disk, slow_disk.clone())?;
        if let Some(database) = &database {
            command.env("DOORMAN__DATABASE__URL", database.url()?);
        }
        command.envs(slow_disk);
        // `api` first: it makes the keys whose public halves the proxy reads.
        let mut api = Server::start("api", &command, dir)?;
        api.wait_for_port(listen)?;
        let mut command = Command::new(&self.binary);
        command.args(["proxy", "--config"]).arg(dir.join("proxy.toml"));
        let mut proxy = Server::start("proxy", &command, dir)?;
        proxy.wait_for_port(proxy_listen)?;
        let login = json!({"username": "alice", "password": "alice-demo"});
        let session = post_json(listen, "/auth/v1/login", &[], &login).context("logging in")?;
        let token =
            session.get("token").and_then(|token| token.as_str()).context("the login gave no token")?;
        let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        let target = Target::new(listen, "/r/eu/bench", headers)?;
        let probe = target.request("GET", PATH, None);
        let mut buffer = vec![0; 64 * 1024];
        api.wait_for("a way to the proxy", |_| {
            Ok((exchange(&mut None, listen, &probe, &mut buffer)?.status == 200).then_some(()))
        })?;
        Ok(Running::new(target, vec![api, proxy]).with_database(database))
    }
}

fn api_config(dir: &Path, listen: SocketAddr, proxy: SocketAddr, directory: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "[server]\nlisten = \"{listen}\"\n[database]\nurl = \"sqlite:{dir}/doorman.db\"\n\
         [keys]\ndir = \"{dir}/keys\"\n[policy]\ndir = \"{dir}/policies\"\n\
         [journal]\nstatements = \"{dir}/statements\"\n\
         [directory]\nkind = \"openldap\"\nurls = [\"ldap://{directory}\"]\nbase_dns = [\"dc=demo\"]\n\
         start_tls = false\nbind_dn = \"cn=doorman,dc=demo\"\nbind_password_file = \"{dir}/directory-password\"\n\
         [[regions]]\nname = \"eu\"\n[[regions.proxies]]\nurl = \"http://{proxy}\"\n\
         [log]\nlevel = \"warn\"\n"
    )
}

fn proxy_config(dir: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "[server]\nlisten = \"{listen}\"\n[region]\nname = \"eu\"\n[keys]\npublic_file = \"{dir}/keys/public.json\"\n\
         [data]\ndir = \"{dir}/proxy\"\n[[services]]\nname = \"bench\"\n\
         [[services.instances]]\nid = \"bench-1\"\naddress = \"http://{upstream}\"\n[log]\nlevel = \"warn\"\n"
    )
}

/// An LDAP server in the rig's own process: logging in is not what is measured.
fn directory() -> Result<SocketAddr> {
    static RUNNING: OnceLock<Mutex<Option<SocketAddr>>> = OnceLock::new();
    let running = RUNNING.get_or_init(Mutex::default);
    let mut address = running.lock().map_err(|_| anyhow::anyhow!("the directory's thread panicked"))?;
    if let Some(address) = *address {
        return Ok(address);
    }
    let file = DirectoryFile::parse(&demo_directory_toml()?)?;
    let (told, tell) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("directory".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let server = EmbeddedLdap::start(SocketAddr::from(([127, 0, 0, 1], 0)), file).await?;
            let _ = told.send(server.addr());
            std::future::pending::<std::io::Result<()>>().await
        })
    })?;
    let started = tell.recv().context("the directory did not start")?;
    *address = Some(started);
    Ok(started)
}
