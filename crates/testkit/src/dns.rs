//! A private DNS server (`dnsmasq`) that knows exactly what it is told.

use std::fs;
use std::net::SocketAddr;

use crate::daemon::{Account, Daemon, Error};
use crate::database::free_port;

/// A running server. It ends when the value is dropped or the test process is gone.
pub struct Dns {
    daemon: Daemon,
    address: SocketAddr,
}

impl Dns {
    /// Starts a server that knows these lines of its configuration, as `host-record=a.test,127.0.0.1` or
    /// `srv-host=_http._tcp.web.test,a.test,8080`, and nothing else below `test`.
    pub fn start(records: &str) -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix("doorman-dns-")
            .tempdir()
            .map_err(Error::io("cannot make a directory for dnsmasq"))?;
        let port = free_port()?;
        let config = dir.path().join("dnsmasq.conf");
        let args = ["--no-daemon".to_owned(), format!("--conf-file={}", config.display())];
        let daemon = Daemon::new(Account::named("root")?, "/usr/sbin/dnsmasq", args.to_vec(), dir);
        let dns = Self { daemon, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        dns.set(records)?;
        Ok(dns)
    }

    /// From now on these records and no others.
    pub fn set(&self, records: &str) -> Result<(), Error> {
        let port = self.address.port();
        let config = format!(
            "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\nlocal=/test/\n\
             local-ttl=0\n{records}\n"
        );
        self.daemon.kill();
        let path = self.daemon.dir().join("dnsmasq.conf");
        fs::write(path, config).map_err(Error::io("cannot write dnsmasq.conf"))?;
        self.daemon.start(|| std::net::TcpStream::connect(self.address).is_ok())
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }
}
