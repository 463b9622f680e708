//! A private HDFS with WebHDFS: a real NameNode and a real DataNode in one Java process, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::daemon::{Account, Daemon, Error};

/// The cluster's superuser.
pub const SUPERUSER: &str = "hdfs";
/// What starts it, compiled as it is run.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/hadoop/MiniHdfs.java");

/// A running cluster. It ends, and its files go, when the value is dropped or the test process is gone.
pub struct Hdfs {
    daemon: Daemon,
    name_node: SocketAddr,
    data_node: SocketAddr,
}

impl Hdfs {
    /// Starts a cluster that lets `proxy_user` act for `users` and for nobody else. `class_path` is the file that Maven wrote.
    pub fn start(class_path: &Path, proxy_user: &str, users: &[&str]) -> Result<Self, Error> {
        let jars = fs::read_to_string(class_path).map_err(Error::io(format!(
            "{} is missing: `cargo xtask test` makes it",
            class_path.display()
        )))?;
        let dir = tempfile::Builder::new()
            .prefix("doorman-hdfs-")
            .tempdir()
            .map_err(Error::io("cannot make a directory for hdfs"))?;
        let args = [
            "-Xmx256m".to_owned(),
            "-Djava.net.preferIPv4Stack=true".to_owned(),
            "-cp".to_owned(),
            jars.trim().to_owned(),
            PROGRAM.to_owned(),
            dir.path().display().to_string(),
            format!("hadoop.proxyuser.{proxy_user}.hosts=127.0.0.1"),
            format!("hadoop.proxyuser.{proxy_user}.users={}", users.join(",")),
        ];
        let daemon = Daemon::new(Account::named("root")?, "java", args.to_vec(), dir)
            .with_environment(vec![("HADOOP_USER_NAME".to_owned(), SUPERUSER.to_owned())]);
        let ports = daemon.dir().join("ports");
        daemon.start(|| ports.exists())?;
        let ports = fs::read_to_string(&ports).map_err(Error::io("cannot read the ports of hdfs"))?;
        let mut ports = ports.split_whitespace().filter_map(|port| port.parse().ok());
        let mut next = || match ports.next() {
            Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            None => Err(Error::NotReady { program: "java".to_owned(), output: daemon.log() }),
        };
        let (name_node, data_node) = (next()?, next()?);
        Ok(Self { daemon, name_node, data_node })
    }

    /// Where the NameNode speaks HTTP.
    pub fn name_node(&self) -> SocketAddr {
        self.name_node
    }

    /// Where the DataNode speaks HTTP.
    pub fn data_node(&self) -> SocketAddr {
        self.data_node
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }
}
