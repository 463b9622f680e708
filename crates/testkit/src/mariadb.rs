//! A private MariaDB server, durable by default.

use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use crate::daemon::{Account, Error, output};
use crate::database;

/// The engine behind [`Server`].
pub enum MariaDb {}

/// A private MariaDB server; database URLs read `mysql://root@127.0.0.1:PORT/NAME`.
pub type Server = database::Server<MariaDb>;

static SHARED: LazyLock<Result<Server, Error>> = LazyLock::new(Server::start);

/// The one server that all tests of this process share; each takes a [`database`](database::Server::database) of its own.
pub fn shared() -> Result<&'static Server, &'static Error> {
    SHARED.as_ref()
}

impl database::Engine for MariaDb {
    const ACCOUNT: &'static str = "mysql";

    fn install(account: &Account, data: &Path) -> Result<(), Error> {
        let mut install = account.command("mariadb-install-db");
        install
            .args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
            .arg("--auth-root-authentication-method=normal")
            // A small log, and flushed only at the end: this data is not worth waiting for.
            .args(["--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--datadir={}", data.display()))
            .arg(tmpdir(data.parent().unwrap_or(data)));
        output(&mut install).map(drop)
    }

    fn command(path: &Path, port: u16) -> (PathBuf, Vec<String>) {
        let dir = path.display();
        let args = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={dir}/data"),
            tmpdir(path),
            format!("--socket={dir}/socket"),
            format!("--pid-file={dir}/pid"),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--max-connections=500".to_owned(),
            "--character-set-server=utf8mb4".to_owned(),
            "--collation-server=utf8mb4_general_ci".to_owned(),
            "--innodb-log-file-size=16M".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-flush-log-at-trx-commit=1".to_owned(),
            "--sync-binlog=1".to_owned(),
        ];
        ("mariadbd".into(), args)
    }

    fn setting(key: &str, value: &str) -> String {
        format!("--{key}={value}")
    }

    fn answers(port: u16) -> bool {
        // The server speaks first: a length, a packet number 0, protocol version 10.
        let greeting = || {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            let mut head = [0; 5];
            stream.read_exact(&mut head)?;
            std::io::Result::Ok(head)
        };
        greeting().is_ok_and(|head| head.ends_with(&[0, 10]))
    }

    fn execute(port: u16, sql: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--batch", "--skip-column-names"]);
        command.arg(format!("--port={port}")).arg(format!("--execute={sql}"));
        command
    }

    fn url(port: u16, name: &str) -> String {
        format!("mysql://root@127.0.0.1:{port}/{name}")
    }
}

/// Each server needs a directory of its own: it starts by deleting every temporary table it finds there.
fn tmpdir(dir: &Path) -> String {
    format!("--tmpdir={}", dir.display())
}
