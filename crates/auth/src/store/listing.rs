//! Sessions as their owners and administrators see them.

use super::IdentityStore;
use crate::AuthError;
use crate::session::{SessionFacts, SessionId};
use doorman_core::principal::Principal;
use doorman_store::{SessionFilter, SessionKind, SessionRow};

/// A session as its owner and administrators see it.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// What is known of it; groups as of its last change.
    pub facts: SessionFacts,
    /// The name of a personal token.
    pub name: Option<String>,
    /// From where it was begun.
    pub client_ip: Option<String>,
    /// By which program it was begun.
    pub user_agent: Option<String>,
    /// When it was last used (ms), to some minutes.
    pub last_used_ms: Option<u64>,
}

impl SessionInfo {
    fn from_row(row: SessionRow) -> Result<Self, AuthError> {
        let name = (row.kind == SessionKind::Personal).then(|| row.name.clone()).flatten();
        let (client_ip, user_agent) = (row.client_ip.clone(), row.user_agent.clone());
        let last_used_ms = row.last_used_ms;
        Ok(Self { facts: SessionFacts::from_row(row)?, name, client_ip, user_agent, last_used_ms })
    }
}

impl IdentityStore {
    /// A page of live sessions, newest first, and the cursor of the next: of one principal or of all. Personal tokens
    /// are left out, so a page may be short.
    ///
    /// # Errors
    /// [`Code::AuditUnavailable`](doorman_core::code::Code::AuditUnavailable) when the database does not answer.
    pub async fn list_sessions(
        &self,
        of: Option<&Principal>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<SessionInfo>, Option<String>), AuthError> {
        let (mut page, next) = self.page(of, None, cursor, limit).await?;
        page.retain(|info| info.facts.kind != SessionKind::Personal);
        Ok((page, next))
    }

    /// A page of live personal tokens, newest first, and the cursor of the next: of one principal or of all.
    ///
    /// # Errors
    /// As [`IdentityStore::list_sessions`].
    pub async fn list_tokens(
        &self,
        of: Option<&Principal>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<SessionInfo>, Option<String>), AuthError> {
        self.page(of, Some(SessionKind::Personal), cursor, limit).await
    }

    /// A session or personal token by its id, if it is still live: for checks of who owns it.
    ///
    /// # Errors
    /// As [`IdentityStore::list_sessions`].
    pub async fn session_info(&self, id: &SessionId) -> Result<Option<SessionInfo>, AuthError> {
        let now_ms = self.clock.now_ms();
        let row = self.database.session(id).await?;
        let row = row.filter(|row| row.revoked_ms.is_none() && row.expires_ms > now_ms);
        row.map(SessionInfo::from_row).transpose()
    }

    /// Ends every session and token of a principal; how many.
    ///
    /// # Errors
    /// As [`IdentityStore::list_sessions`].
    pub async fn revoke_all_of(&self, principal: &Principal) -> Result<usize, AuthError> {
        let mut ended = 0;
        loop {
            // Each round ends what it lists, so the first page is always the next.
            let (page, _) = self.page(Some(principal), None, None, 500).await?;
            if page.is_empty() {
                return Ok(ended);
            }
            let ids: Vec<_> = page.iter().map(|info| info.facts.id).collect();
            self.revoke(&ids).await?;
            ended += ids.len();
        }
    }

    /// Ends the sessions in which a service acts for users: by exchanged tokens, or by the grants of runs.
    pub(super) async fn revoke_acted_by(&self, service: &Principal) -> Result<(), AuthError> {
        self.revoke_acted_in(service, SessionKind::Exchanged).await?;
        self.revoke_acted_in(service, SessionKind::Grant).await
    }

    async fn revoke_acted_in(&self, service: &Principal, kind: SessionKind) -> Result<(), AuthError> {
        let mut cursor = None;
        loop {
            let (page, next) = self.page(None, Some(kind), cursor.as_deref(), 500).await?;
            let acted = page.iter().filter(|info| info.facts.actor.as_ref() == Some(service));
            let ids: Vec<_> = acted.map(|info| info.facts.id).collect();
            if !ids.is_empty() {
                self.revoke(&ids).await?;
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn page(
        &self,
        of: Option<&Principal>,
        kind: Option<SessionKind>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<SessionInfo>, Option<String>), AuthError> {
        let principal = of.map(Principal::to_string);
        let live_at_ms = Some(self.clock.now_ms());
        let filter = SessionFilter { principal: principal.as_deref(), kind, live_at_ms };
        let (rows, next) = self.database.sessions_page(&filter, cursor, limit).await?;
        let page = rows.into_iter().map(SessionInfo::from_row).collect::<Result<_, _>>()?;
        Ok((page, next))
    }
}
