//! Servers the rig starts, and that end with it however it ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with its output in `directory/NAME.log`. `setpriv` lets the kernel stop it should the rig be killed.
    pub fn start(name: &str, command: &Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        let directory = command.get_current_dir().unwrap_or(directory);
        wrapped.current_dir(directory).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = wrapped
            .spawn()
            .with_context(|| format!("starting {name} (`setpriv` of util-linux is needed)"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// Returns once something accepts connections on `address`.
    pub fn wait_for_port(&mut self, address: SocketAddr) -> Result<()> {
        self.wait_for("its port", |_| Ok(TcpStream::connect(address).is_ok().then_some(())))
    }

    /// Asks `ready` until it answers, the server ends, or too much time has passed.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut ready: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.last_lines()?);
            }
            if let Some(value) = ready(self)? {
                return Ok(value);
            }
            if Instant::now() > deadline {
                bail!("{} did not open {what} in {START_TIMEOUT:?}:\n{}", self.name, self.last_lines()?);
            }
            thread::sleep(POLL);
        }
    }

    fn last_lines(&self) -> Result<String> {
        let output = self.output()?;
        let lines: Vec<&str> = output.lines().collect();
        Ok(lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A polite stop first: masters must get the chance to stop their workers.
        let _asked =
            Command::new("kill").args(["-TERM", &self.pid().to_string()]).stderr(Stdio::null()).status();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Runs `command` to its end; its output is the error when it fails, and the answer when not.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {program}: is it installed?"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}:\n{}{errors}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    Ok(output.stdout)
}
