//! A private Postgres server, durable by default.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use crate::daemon::{Account, Error, output};
use crate::database;

/// The engine behind [`Server`].
pub enum Postgres {}

/// A private Postgres server; database URLs read `postgres://postgres@127.0.0.1:PORT/NAME`.
pub type Server = database::Server<Postgres>;

static SHARED: LazyLock<Result<Server, Error>> = LazyLock::new(Server::start);

/// The one server that all tests of this process share; each takes a [`database`](database::Server::database) of its own.
pub fn shared() -> Result<&'static Server, &'static Error> {
    SHARED.as_ref()
}

impl database::Engine for Postgres {
    const ACCOUNT: &'static str = "postgres";

    fn install(account: &Account, data: &Path) -> Result<(), Error> {
        let mut install = account.command(program("initdb"));
        install
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
            // A language's sort order, as in production: byte order would hide a missing COLLATE "C".
            .args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"])
            .arg(format!("--pgdata={}", data.display()));
        output(&mut install).map(drop)
    }

    fn command(dir: &Path, port: u16) -> (PathBuf, Vec<String>) {
        let dir = dir.display();
        let args = vec![
            "-D".to_owned(),
            format!("{dir}/data"),
            "-k".to_owned(),
            dir.to_string(),
            "-p".to_owned(),
            port.to_string(),
            "--listen_addresses=127.0.0.1".to_owned(),
            "--max_connections=200".to_owned(),
            "--fsync=on".to_owned(),
            "--synchronous_commit=on".to_owned(),
            "--full_page_writes=on".to_owned(),
        ];
        (program("postgres"), args)
    }

    fn setting(key: &str, value: &str) -> String {
        format!("--{key}={value}")
    }

    fn answers(port: u16) -> bool {
        // The start-up message (protocol 3.0); `R` answers it, `E` while the server is still recovering.
        let fields = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let ask = || {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(&(fields.len() as u32 + 4).to_be_bytes())?;
            stream.write_all(fields)?;
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            std::io::Result::Ok(kind)
        };
        ask().is_ok_and(|kind| kind == *b"R")
    }

    fn execute(port: u16, sql: &str) -> Command {
        let mut command = Command::new(program("psql"));
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--host=127.0.0.1"]);
        command.args(["--username=postgres", "--dbname=postgres", "--set=ON_ERROR_STOP=1"]);
        command.arg(format!("--port={port}")).arg(format!("--command={sql}"));
        command
    }

    fn url(port: u16, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }
}

/// Debian keeps the server's programs out of the search path, one directory per version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")).join(name));
    newest.filter(|path| path.exists()).unwrap_or_else(|| name.into())
}
