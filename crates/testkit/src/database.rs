//! Private database servers for tests: what MariaDB and Postgres have in common.

use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::daemon::{Account, Daemon, Error, output};

/// What differs between the database servers.
pub trait Engine {
    /// The system account that runs the server when root runs the tests.
    const ACCOUNT: &'static str;
    /// Fills the new directory `data`.
    fn install(account: &Account, data: &Path) -> Result<(), Error>;
    /// Program and arguments of a server of `dir/data` on a port of loopback, its socket in `dir`.
    fn command(dir: &Path, port: u16) -> (PathBuf, Vec<String>);
    /// How a server setting is written on the command line.
    fn setting(key: &str, value: &str) -> String;
    /// Whether a server on this port takes connections.
    fn answers(port: u16) -> bool;
    /// The client command that runs one SQL statement as the server's administrator.
    fn execute(port: u16, sql: &str) -> Command;
    /// The URL of a database.
    fn url(port: u16, name: &str) -> String;
}

/// How to start a server. By default every acknowledged commit is on the disk.
pub struct Options<E> {
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    parent: PathBuf,
    engine: PhantomData<E>,
}

impl<E> Default for Options<E> {
    fn default() -> Self {
        Self {
            settings: Vec::new(),
            environment: Vec::new(),
            parent: std::env::temp_dir(),
            engine: PhantomData,
        }
    }
}

impl<E: Engine> Options<E> {
    /// Sets a server variable, as in `with_setting("sync_binlog", "0")`; later ones win.
    #[must_use]
    pub fn with_setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds to the server's environment.
    #[must_use]
    pub fn with_environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment = variables;
        self
    }

    /// Keeps the server's files below `parent` (another file system, say) and not in the usual place.
    #[must_use]
    pub fn in_dir(mut self, parent: &Path) -> Self {
        parent.clone_into(&mut self.parent);
        self
    }

    /// Installs and starts a server; returns when it takes connections.
    pub fn start(self) -> Result<Server<E>, Error> {
        let dir = tempfile::Builder::new()
            .prefix("doorman-")
            .tempdir_in(self.parent)
            .map_err(Error::io("cannot make a directory for a database"))?;
        let account = Account::named(E::ACCOUNT)?;
        account.own(dir.path())?;
        E::install(&account, &dir.path().join("data"))?;
        let port = free_port()?;
        let (program, mut args) = E::command(dir.path(), port);
        args.extend(self.settings.iter().map(|(key, value)| E::setting(key, value)));
        let daemon = Daemon::new(account, program, args, dir).with_environment(self.environment);
        let server = Server { daemon, port, created: AtomicU32::new(0), engine: PhantomData };
        server.restart()?;
        Ok(server)
    }
}

/// A running private server. It ends, and its files go, when the value is dropped or the test process is gone.
pub struct Server<E> {
    daemon: Daemon,
    port: u16,
    created: AtomicU32,
    engine: PhantomData<fn() -> E>,
}

impl<E: Engine> Server<E> {
    /// A server with durable settings.
    pub fn start() -> Result<Self, Error> {
        Options::default().start()
    }

    /// The way to a server with other settings.
    pub fn options() -> Options<E> {
        Options::default()
    }

    /// Creates an empty database and returns its URL, so that tests can share one server.
    pub fn database(&self) -> Result<String, Error> {
        let name = format!("test_{}", self.created.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(E::url(self.port, &name))
    }

    /// Runs one SQL statement as the server's administrator and returns the client's output.
    pub fn execute(&self, sql: &str) -> Result<String, Error> {
        output(&mut E::execute(self.port, sql))
    }

    /// The port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to be killed, frozen or watched.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Starts the server again after `daemon().kill()` or `stop()`, on its old port and data.
    pub fn restart(&self) -> Result<(), Error> {
        self.daemon.start(|| E::answers(self.port))
    }
}

/// A port of loopback that nobody listens on, below those the system hands out for outgoing connections: a client that
/// keeps trying a stopped server could otherwise take its port, or even connect to itself.
pub fn free_port() -> Result<u16, Error> {
    let start = RandomState::new().hash_one(std::process::id());
    let ports = (0..1000_u64).map(|step| 12_000 + (start.wrapping_add(step * 7919) % 20_000) as u16);
    ports
        .into_iter()
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .ok_or_else(|| Error::io("no free port")(std::io::ErrorKind::AddrInUse.into()))
}
