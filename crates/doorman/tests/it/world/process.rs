//! One process of the real binary on a port that stays its own.

use doorman_testkit::daemon::{Account, Daemon};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

/// `doorman api`, `proxy` or `auth`, running or not. Dropping it kills it.
pub struct Process {
    daemon: Daemon,
    address: SocketAddr,
}

impl Process {
    pub(super) fn api((config, address): (PathBuf, SocketAddr)) -> Self {
        Self::new("api", config, address)
    }

    pub(super) fn proxy((config, address): (PathBuf, SocketAddr)) -> Self {
        Self::new("proxy", config, address)
    }

    pub(super) fn auth((config, address): (PathBuf, SocketAddr)) -> Self {
        Self::new("auth", config, address)
    }

    fn new(role: &str, config: PathBuf, address: SocketAddr) -> Self {
        let dir = tempfile::Builder::new().prefix("doorman-process-").tempdir().unwrap();
        let args = vec![role.to_owned(), "--config".to_owned(), config.display().to_string()];
        // As whoever runs the tests: the files of the world belong to them.
        let account = Account::named("root").unwrap();
        let daemon = Daemon::new(account, env!("CARGO_BIN_EXE_doorman"), args, dir);
        Self { daemon, address }
    }

    /// Where it listens; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it, unless it runs, and waits until it takes connections.
    pub fn start(&self) {
        let answers = || TcpStream::connect(self.address).is_ok();
        tokio::task::block_in_place(|| self.daemon.start(answers)).unwrap();
    }

    /// SIGKILL.
    pub fn kill(&self) {
        tokio::task::block_in_place(|| self.daemon.kill());
    }

    /// SIGTERM, and waits until it has ended.
    pub fn stop(&self) {
        tokio::task::block_in_place(|| self.daemon.stop());
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.daemon.resume();
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    /// Whether it was started and neither stopped nor killed.
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.daemon.dir().join("log")).unwrap_or_default()
    }

    /// Resident memory and its highest so far, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().unwrap())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}
