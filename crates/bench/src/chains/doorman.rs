//! The door itself: both hops, everything on, as anybody would run the binary.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Chain, Database, Running, Site};
use crate::flush_delay;
use crate::load::Target;
use crate::load::blocking::post_json;
use crate::process::{Server, free_address};

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
        let listen = free_address()?;
        let mut command = Command::new(&self.binary);
        command.args(["demo", "--listen", &listen.to_string(), "--data"]).arg(site.directory.join("data"));
        let database = self.database.start(site.disk)?;
        if let Some(database) = &database {
            command.env("DOORMAN__DATABASE__URL", database.url()?);
        }
        if !self.flush_delay.is_zero() {
            flush_delay::apply(&mut command, self.flush_delay, &site.directory)?;
        }
        let mut server = Server::start("doorman", &command, &site.directory)?;
        server.wait_for("the door", |server| Ok(server.output()?.contains("READY").then_some(())))?;
        let login = json!({"username": "alice", "password": "alice-demo"});
        let session = post_json(listen, "/auth/v1/login", &login).context("logging in")?;
        let token =
            session.get("token").and_then(|token| token.as_str()).context("the login gave no token")?;
        let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        Ok(Running::new(Target::new(listen, "/r/eu/bench", headers)?, vec![server]).with_database(database))
    }
}
