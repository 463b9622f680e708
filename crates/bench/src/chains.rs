//! What is measured: chains of servers in front of the one upstream.

mod database;
mod direct;
mod doorman;
mod envoy;
mod haproxy;
mod nginx;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

pub use database::{Database, Running as DatabaseServer};
pub use direct::Direct;
pub use doorman::Doorman;
pub use envoy::Envoy;
pub use haproxy::Haproxy;
pub use nginx::Nginx;

use crate::credentials::Credentials;
use crate::load::Target;
use crate::load::blocking::exchange;
use crate::process::Server;
use crate::upstream::BODY_SIZE;

/// Worker threads of every server in every chain.
pub const WORKERS: usize = 2;

/// What every request asks for.
pub const PATH: &str = "/bench/companies/4711";

/// Where a chain is built.
pub struct Site<'a> {
    /// An empty directory of its own.
    pub directory: PathBuf,
    pub upstream: SocketAddr,
    pub credentials: &'a Credentials,
    /// Where database servers of their own account make their directories: on the same disk.
    pub disk: &'a Path,
    /// Where binaries that the rig installs are kept between runs.
    pub tools: &'a Path,
}

/// A way from the load generator to the upstream.
pub trait Chain {
    /// As in tables and in `--only`.
    fn name(&self) -> String;

    /// Whether a request without credentials must be refused.
    fn checks_credentials(&self) -> bool {
        true
    }

    /// Starts all of its processes; returns when the first accepts connections.
    fn start(&self, site: &Site<'_>) -> Result<Running>;
}

/// A chain that stands. Dropping it stops its processes.
pub struct Running {
    pub target: Target,
    servers: Vec<Server>,
    database: Option<database::Running>,
}

impl Running {
    pub fn new(target: Target, servers: Vec<Server>) -> Self {
        Self { target, servers, database: None }
    }

    /// With a database server, whose cost is the chain's too.
    fn with_database(self, database: Option<database::Running>) -> Self {
        Self { database, ..self }
    }

    /// The processes whose cost is the chain's. Their children count too.
    pub fn pids(&self) -> Vec<u32> {
        let database = self.database.as_ref().and_then(database::Running::pid);
        self.servers.iter().map(Server::pid).chain(database).collect()
    }

    /// Makes sure that the chain does what it is measured for: it answers, and only to whom it should.
    pub fn check(&self, chain: &dyn Chain) -> Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        let mut ask = |target: &Target| {
            exchange(&mut None, target.address(), &target.request("GET", PATH, None), &mut buffer)
        };
        let answer = ask(&self.target)?;
        ensure!(
            (answer.status, answer.size) == (200, BODY_SIZE),
            "{} answers {} with {} bytes",
            chain.name(),
            answer.status,
            answer.size
        );
        if chain.checks_credentials() {
            for stranger in [self.target.without_headers(), self.target.with_tampered_headers()] {
                let status = ask(&stranger)?.status;
                ensure!(
                    matches!(status, 401 | 403),
                    "{} answers {status} to credentials that are not good",
                    chain.name()
                );
            }
        }
        Ok(())
    }
}
