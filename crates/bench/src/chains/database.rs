//! Where a door under measurement keeps its journal.

use std::path::Path;

use anyhow::Result;
use doorman_testkit::{mariadb, postgres};

/// What kind of database. Every one flushes each commit to the disk before it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// The door's own file.
    Sqlite,
    Mariadb,
    Postgres,
}

/// A private database server. Dropping it stops it.
pub enum Running {
    Mariadb(mariadb::Server),
    Postgres(postgres::Server),
}

impl Database {
    /// Starts the server this kind needs, if it needs one, with its files on `disk` and `environment` added to its own.
    pub fn start(self, disk: &Path, environment: Vec<(String, String)>) -> Result<Option<Running>> {
        Ok(match self {
            Self::Sqlite => None,
            // Room for a log and a cache as a production server has them; the test servers' defaults are small.
            Self::Mariadb => Some(Running::Mariadb(
                mariadb::Server::options()
                    .with_setting("innodb-log-file-size", "512M")
                    .with_setting("innodb-buffer-pool-size", "512M")
                    .with_environment(environment)
                    .in_dir(disk)
                    .start()?,
            )),
            Self::Postgres => Some(Running::Postgres(
                postgres::Server::options()
                    .with_setting("max_wal_size", "4GB")
                    .with_setting("shared_buffers", "256MB")
                    .with_environment(environment)
                    .in_dir(disk)
                    .start()?,
            )),
        })
    }
}

impl Running {
    /// A new, empty database.
    pub fn url(&self) -> Result<String> {
        Ok(match self {
            Self::Mariadb(server) => server.database()?,
            Self::Postgres(server) => server.database()?,
        })
    }

    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Mariadb(server) => server.daemon().pid(),
            Self::Postgres(server) => server.daemon().pid(),
        }
    }
}
