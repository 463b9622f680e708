//! A login from beginning to end: on one server, or anew on the next if that one does not serve, under one deadline.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use doorman_core::secret::Secret;
use ldap3_proto::proto::{LdapFilter, LdapResultCode, LdapSearchScope};
use tokio::time::{Instant, sleep_until, timeout};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::account::{Identity, closed, find_one, find_typed, identify, user_filter};
use super::bind::judge;
use super::config::{BindPlan, LdapConfig, LdapConfigError, Plan};
use super::connection::{Connection, Endpoint, Fault, Search, describe};
use super::dn::{escape_value, fold};
use super::entry::Entry;
use super::filter::{self, fill_text};
use super::groups::GroupReader;
use super::names::strip_template;
use super::server::{Lease, Password, Server, ServiceAccount};
use super::tls::client_config;
use super::{Directory, DirectoryError, DirectoryUser, RefusedReason, account};

/// Longest login name. Directories allow 256.
const MAX_NAME: usize = 256;
/// Binds of one login. A second one only if a server broke off before it answered: each may count as a wrong guess.
const MAX_BINDS: usize = 2;

/// OpenLDAP, Active Directory, and what behaves like one of them.
pub struct LdapDirectory {
    plan: Plan,
    page_size: u32,
    servers: Vec<Arc<Server>>,
    /// A name under the first base that nobody has.
    nobody: String,
}

impl LdapDirectory {
    /// Checks the settings. Connects to nothing yet.
    pub fn new(config: LdapConfig) -> Result<Self, LdapConfigError> {
        let plan = Plan::new(&config)?;
        let password = match (config.bind_password, config.bind_password_file) {
            (Some(password), _) => Some(Password::Given(password)),
            (None, file) => file.map(Password::InFile),
        };
        let account =
            config.bind_dn.zip(password).map(|(dn, password)| Arc::new(ServiceAccount { dn, password }));
        let endpoints = config
            .urls
            .iter()
            .map(|url| Endpoint::parse(url, config.start_tls))
            .collect::<Result<Vec<_>, LdapConfigError>>()?;
        let secured = endpoints.iter().any(Endpoint::is_secured);
        let tls = if secured { Some(client_config(config.ca_file.as_deref())?) } else { None };
        let server =
            |endpoint| Arc::new(Server::new(endpoint, tls.clone(), account.clone(), config.pool_size));
        let servers: Vec<_> = endpoints.into_iter().map(server).collect();
        if servers.is_empty() {
            return Err(LdapConfigError::invalid("urls", "needs at least one server"));
        }
        let nobody =
            format!("cn=doorman-nobody,{}", plan.bases.first().map(String::as_str).unwrap_or_default());
        Ok(Self { plan, page_size: config.page_size, servers, nobody })
    }

    /// Does `work` on the first server that serves. Each gets an equal share of what time is left, so that a server
    /// that is frozen leaves time for the next.
    async fn on_some_server<T, W, F>(&self, work: W) -> Result<T, DirectoryError>
    where
        W: Fn(Arc<Server>) -> F + Send + Sync,
        F: Future<Output = Result<T, Fault>> + Send,
        T: Send,
    {
        let deadline = Instant::now() + self.plan.deadline;
        let (avoided, mut servers): (Vec<_>, Vec<_>) =
            self.servers.iter().partition(|server| server.is_avoided());
        servers.extend(avoided);
        let mut detail = String::new();
        for (tried, server) in servers.iter().enumerate() {
            let left = u32::try_from(servers.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            let fault = match timeout(share, work(Arc::clone(server))).await {
                Ok(Ok(done)) => {
                    server.note(true);
                    return Ok(done);
                }
                Ok(Err(Fault::Refused(reason))) => {
                    server.note(true);
                    return Err(DirectoryError::BadCredentials { reason });
                }
                Ok(Err(Fault::Unusable(fault))) => {
                    return Err(DirectoryError::Unavailable {
                        detail: format!("{}: {fault}", server.name()),
                    });
                }
                Ok(Err(Fault::Server(fault))) => fault,
                Err(_) => "did not answer in time".to_owned(),
            };
            server.note(false);
            tracing::warn!(server = server.name(), fault, "a directory server does not serve");
            detail = format!("{}: {fault}", server.name());
        }
        Err(DirectoryError::Unavailable { detail })
    }

    async fn log_in(
        &self,
        server: Arc<Server>,
        name: &str,
        password: &Secret,
        binds: &AtomicUsize,
    ) -> Result<DirectoryUser, Fault> {
        match &self.plan.bind {
            BindPlan::Search => {
                let found = {
                    let mut lease = server.service().await?;
                    match find_typed(&self.plan, &mut lease, name).await {
                        Ok(entry) => Ok(entry),
                        Err(Fault::Refused(reason)) => Err(reason),
                        Err(fault) => return Err(fault),
                    }
                };
                // Nobody is as much work as somebody with a wrong password.
                let dn = found.as_ref().map_or(self.nobody.as_str(), |entry| entry.dn.as_str());
                let (_, answer) = server.bind_user(dn, password, || count(binds)).await?;
                let entry = found.map_err(Fault::Refused)?;
                judge(&answer)?;
                let mut lease = server.service().await?;
                self.read_user(&mut lease, entry, name).await
            }
            BindPlan::DirectDn(template) => {
                let escaped = escape_value(name);
                let dn = fill_text(template, filter::Values { username: &escaped, dn: "" });
                let (connection, answer) = server.bind_user(&dn, password, || count(binds)).await?;
                judge(&answer)?;
                let mut lease = self.after_bind(&server, connection).await?;
                let entry = self.read_bound(&mut lease, &dn, name).await?;
                self.read_user(&mut lease, entry, name).await
            }
            BindPlan::DirectPrincipal(template) => {
                let name = strip_template(template, name);
                if name.is_empty() || name.contains(['@', '\\', '/']) {
                    return Err(Fault::Refused(RefusedReason::InvalidName));
                }
                let principal = fill_text(template, filter::Values { username: name, dn: "" });
                let (connection, answer) = server.bind_user(&principal, password, || count(binds)).await?;
                judge(&answer)?;
                let mut lease = self.after_bind(&server, connection).await?;
                let filter = user_filter(&self.plan, name, Some(&principal));
                let entry = find_one(&self.plan, &mut lease, &filter).await?;
                self.read_user(&mut lease, entry, name).await
            }
        }
    }

    /// What to read a user with after a direct bind: as the service account if there is one, else as the user.
    async fn after_bind(&self, server: &Arc<Server>, connection: Connection) -> Result<Lease, Fault> {
        if self.plan.has_service_account { server.service().await } else { Ok(Lease::own(connection)) }
    }

    /// The entry that was bound as. It must also be one that the user filter lets in.
    async fn read_bound(&self, lease: &mut Lease, dn: &str, name: &str) -> Result<Entry, Fault> {
        let search = Search {
            base: dn,
            scope: LdapSearchScope::Base,
            filter: user_filter(&self.plan, name, None),
            attributes: account::attributes(&self.plan),
            limit: 1,
            page_size: 0,
        };
        let mut found = lease.search(&search).await?;
        match (&found.result.code, found.entries.pop()) {
            (LdapResultCode::Success, Some(entry)) => Ok(entry),
            (LdapResultCode::Success | LdapResultCode::NoSuchObject, None) => {
                Err(Fault::Refused(RefusedReason::UnknownUser))
            }
            (LdapResultCode::Referral, _) => Err(Fault::Refused(RefusedReason::Referral)),
            _ => Err(Fault::Unusable(format!("cannot read the user: {}", describe(&found.result)))),
        }
    }

    /// Who the entry is, confirmed: its canonical name must lead back to this entry alone, or one person's second name
    /// could be another's first.
    async fn read_user(&self, lease: &mut Lease, entry: Entry, typed: &str) -> Result<DirectoryUser, Fault> {
        let identity = identify(&self.plan, &entry)?;
        if let Some(reason) = closed(&self.plan, &entry, SystemTime::now()) {
            return Err(Fault::Refused(reason));
        }
        if identity.name != typed {
            let filter = user_filter(&self.plan, &identity.login, None);
            let again = find_one(&self.plan, lease, &filter).await?;
            if identify(&self.plan, &again)? != identity {
                return Err(Fault::Refused(RefusedReason::Ambiguous));
            }
        }
        self.with_groups(lease, &entry, identity).await
    }

    async fn with_groups(
        &self,
        lease: &mut Lease,
        entry: &Entry,
        identity: Identity,
    ) -> Result<DirectoryUser, Fault> {
        let groups = GroupReader::new(&self.plan, self.page_size).read(lease, entry, &identity.login).await?;
        Ok(account::user(&self.plan, entry, identity, groups))
    }

    async fn look_up(&self, server: Arc<Server>, name: &str) -> Result<Option<DirectoryUser>, Fault> {
        let mut lease = server.service().await?;
        let entry = match find_one(&self.plan, &mut lease, &user_filter(&self.plan, name, None)).await {
            Ok(entry) => entry,
            Err(Fault::Refused(RefusedReason::UnknownUser)) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let identity = identify(&self.plan, &entry)?;
        // A name that has become somebody else's second name means that its owner is gone.
        if identity.name != name || closed(&self.plan, &entry, SystemTime::now()).is_some() {
            return Ok(None);
        }
        self.with_groups(&mut lease, &entry, identity).await.map(Some)
    }

    async fn find_key(&self, server: Arc<Server>, name: &str) -> Result<String, Fault> {
        let mut lease = server.service().await?;
        let found = find_typed(&self.plan, &mut lease, name).await;
        match found.and_then(|entry| identify(&self.plan, &entry)) {
            Ok(identity) => Ok(format!("id:{}", identity.id)),
            Err(Fault::Refused(_)) => Ok(name_key(name)),
            Err(fault) => Err(fault),
        }
    }

    /// Whether entries can be searched without a user's own password.
    fn can_search(&self) -> bool {
        self.plan.bind == BindPlan::Search || self.plan.has_service_account
    }
}

#[async_trait]
impl Directory for LdapDirectory {
    async fn authenticate(&self, name: &str, password: &Secret) -> Result<DirectoryUser, DirectoryError> {
        check_name(name)?;
        // An empty password makes a bind anonymous (RFC 4513 §5.1.2), and C ends a string at a NUL.
        if password.expose().is_empty() || password.expose().contains('\0') {
            return Err(DirectoryError::BadCredentials { reason: RefusedReason::EmptyPassword });
        }
        let no_refusal_before = Instant::now() + self.plan.refusal_floor;
        let binds = AtomicUsize::new(0);
        let answer = self.on_some_server(|server| self.log_in(server, name, password, &binds)).await;
        if matches!(answer, Err(DirectoryError::BadCredentials { .. })) {
            sleep_until(no_refusal_before).await;
        }
        answer
    }

    async fn lookup(&self, name: &str) -> Result<Option<DirectoryUser>, DirectoryError> {
        check_name(name)?;
        if !self.can_search() {
            let detail = "users cannot be looked up without a service account (directory.bind_dn)".to_owned();
            return Err(DirectoryError::Unavailable { detail });
        }
        self.on_some_server(|server| self.look_up(server, name)).await
    }

    async fn account_key(&self, name: &str) -> Result<String, DirectoryError> {
        if check_name(name).is_err() || !self.can_search() {
            return Ok(match &self.plan.bind {
                // Windows also takes letters without their accents.
                BindPlan::DirectPrincipal(template) => {
                    let bare = strip_template(template, name).nfkd().filter(|c| !is_combining_mark(*c));
                    name_key(&bare.collect::<String>())
                }
                BindPlan::DirectDn(_) | BindPlan::Search => name_key(name),
            });
        }
        self.on_some_server(|server| self.find_key(server, name)).await
    }

    async fn ping(&self) -> Result<(), DirectoryError> {
        self.on_some_server(|server| async move {
            let search = Search {
                base: "",
                scope: LdapSearchScope::Base,
                filter: LdapFilter::Present("objectClass".to_owned()),
                attributes: vec!["1.1".to_owned()],
                limit: 1,
                page_size: 0,
            };
            server.service().await?.search(&search).await.map(drop)
        })
        .await
    }
}

/// Counts a bind against those that one login may make.
fn count(binds: &AtomicUsize) -> Result<(), Fault> {
    match binds.fetch_add(1, Ordering::Relaxed) {
        made if made < MAX_BINDS => Ok(()),
        _ => Err(Fault::Unusable("servers broke off binds too often".to_owned())),
    }
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(DirectoryError::BadCredentials { reason: RefusedReason::InvalidName });
    }
    Ok(())
}

/// The key of a name that leads to nobody: one for all ways to write it, and bounded however long it is.
fn name_key(name: &str) -> String {
    format!("name:{}", fold(name).chars().take(MAX_NAME).collect::<String>())
}
