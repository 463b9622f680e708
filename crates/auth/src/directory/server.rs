//! One directory server: its idle service connections, and whether it answered lately. Binds of users never run on a
//! connection that is shared or used again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorman_core::secret::Secret;
use ldap3_proto::proto::LdapResultCode;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::connection::{BindAnswer, Connection, Endpoint, Fault, Found, Search, describe};

/// A connection that has been idle longer is not used again: firewalls and servers drop such without a word.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// How long a server that failed is asked last.
const AVOIDED: Duration = Duration::from_secs(15);
/// How long a refused service account rests. Every login would try it, and the directory would lock it.
const ACCOUNT_RESTS: Duration = Duration::from_secs(30);

/// The account that searches.
pub(super) struct ServiceAccount {
    pub(super) dn: String,
    pub(super) password: Password,
}

/// Where its password is.
pub(super) enum Password {
    Given(Secret),
    InFile(PathBuf),
}

/// A server of the directory.
pub(super) struct Server {
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
    account: Option<Arc<ServiceAccount>>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    leases: Arc<Semaphore>,
    binds: Semaphore,
    failed_at: Mutex<Option<Instant>>,
    account_refused: Mutex<Option<(Instant, String)>>,
}

impl Server {
    pub(super) fn new(
        endpoint: Endpoint,
        tls: Option<Arc<ClientConfig>>,
        account: Option<Arc<ServiceAccount>>,
        pool_size: usize,
    ) -> Self {
        Self {
            endpoint,
            tls,
            account,
            idle: Mutex::default(),
            leases: Arc::new(Semaphore::new(pool_size)),
            binds: Semaphore::new(pool_size),
            failed_at: Mutex::default(),
            account_refused: Mutex::default(),
        }
    }

    /// Host and port, for messages.
    pub(super) fn name(&self) -> String {
        self.endpoint.name()
    }

    /// Whether it failed a moment ago, so that others should be asked first.
    pub(super) fn is_avoided(&self) -> bool {
        self.failed_at.lock().is_some_and(|at| at.elapsed() < AVOIDED)
    }

    /// Remembers how it just did.
    pub(super) fn note(&self, works: bool) {
        *self.failed_at.lock() = (!works).then(Instant::now);
    }

    /// Binds as a user on a new connection, if `allowed` says so once it is open. Few at a time: each costs the
    /// directory a password hash.
    pub(super) async fn bind_user(
        &self,
        dn: &str,
        password: &Secret,
        allowed: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<(Connection, BindAnswer), Fault> {
        let _permit = self.binds.acquire().await.map_err(|_| closed())?;
        let mut connection = self.open().await?;
        allowed()?;
        let answer = connection.bind(dn, password.expose()).await?;
        Ok((connection, answer))
    }

    async fn open(&self) -> Result<Connection, Fault> {
        Connection::open(&self.endpoint, self.tls.as_ref()).await
    }

    /// A service connection, an idle one if there is one.
    pub(super) async fn service(self: &Arc<Self>) -> Result<Lease, Fault> {
        let permit = Arc::clone(&self.leases).acquire_owned().await.map_err(|_| closed())?;
        let idle = self.take_idle();
        let reused = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open_service().await?,
        };
        let home = Some(Home { server: Arc::clone(self), _permit: permit });
        Ok(Lease { connection: Some(connection), reused, home })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        idle.retain(|(_, since)| since.elapsed() < MAX_IDLE);
        std::iter::from_fn(|| idle.pop()).map(|(connection, _)| connection).find_map(Connection::if_quiet)
    }

    async fn open_service(&self) -> Result<Connection, Fault> {
        let Some(account) = &self.account else { return self.open().await };
        if let Some((at, answer)) = &*self.account_refused.lock()
            && at.elapsed() < ACCOUNT_RESTS
        {
            return Err(Fault::Unusable(format!(
                "the service account rests, since it was refused: {answer}"
            )));
        }
        let password = account.password.read().await?;
        let mut connection = self.open().await?;
        let answer = connection.bind(&account.dn, password.expose()).await?;
        if answer.result.code == LdapResultCode::Success {
            *self.account_refused.lock() = None;
            return Ok(connection);
        }
        let answer = describe(&answer.result);
        *self.account_refused.lock() = Some((Instant::now(), answer.clone()));
        Err(Fault::Unusable(format!("the service account was refused: {answer}")))
    }
}

fn closed() -> Fault {
    Fault::Unusable("the directory client has ended".to_owned())
}

impl Password {
    async fn read(&self) -> Result<Secret, Fault> {
        let password = match self {
            Self::Given(password) => password.clone(),
            Self::InFile(path) => {
                let text = Zeroizing::new(
                    tokio::fs::read_to_string(path)
                        .await
                        .map_err(|error| Fault::Unusable(format!("{}: {error}", path.display())))?,
                );
                Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        if password.expose().is_empty() {
            return Err(Fault::Unusable("the service account's password is empty".to_owned()));
        }
        Ok(password)
    }
}

/// A connection in use. It goes back to its server's idle ones if its last answer was read to the end.
pub(super) struct Lease {
    connection: Option<Connection>,
    reused: bool,
    home: Option<Home>,
}

struct Home {
    server: Arc<Server>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// A connection on which a user has bound: to be used for that user and closed.
    pub(super) fn own(connection: Connection) -> Self {
        Self { connection: Some(connection), reused: false, home: None }
    }

    /// Searches. An idle connection can turn out to be dead only now; then a new one is opened, once.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Found, Fault> {
        let reused = std::mem::take(&mut self.reused);
        match (self.search_once(search).await, &self.home) {
            (Err(Fault::Server(_)), Some(home)) if reused => {
                // The others have most likely died with it.
                home.server.idle.lock().clear();
                self.connection = Some(home.server.open_service().await?);
                self.search_once(search).await
            }
            (answer, _) => answer,
        }
    }

    async fn search_once(&mut self, search: &Search<'_>) -> Result<Found, Fault> {
        // Out of the lease while under way: if this future is dropped, so is the connection.
        let mut connection =
            self.connection.take().ok_or_else(|| Fault::Server("the connection broke off".to_owned()))?;
        let found = connection.search(search).await?;
        self.connection = Some(connection);
        Ok(found)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(connection), Some(home)) = (self.connection.take(), &self.home) {
            home.server.idle.lock().push((connection, Instant::now()));
        }
    }
}
