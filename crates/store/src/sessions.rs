//! Sessions: logins, Basic credentials in use, personal and exchanged tokens, service accounts' tokens.

use crate::driver::{Row, args};
use crate::{Database, StoreError, cursor};

/// What a session came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// A login with name and password.
    Login,
    /// Basic credentials, for as long as their verified answer is cached.
    Basic,
    /// A personal access token.
    Personal,
    /// A token from RFC 8693 token exchange.
    Exchanged,
    /// A service account's token.
    Service,
    /// What a run of a job acts by. There is no token of it.
    Grant,
}

impl SessionKind {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Basic => "basic",
            Self::Personal => "personal",
            Self::Exchanged => "exchanged",
            Self::Service => "service",
            Self::Grant => "grant",
        }
    }

    fn from_stored(text: &str) -> Result<Self, StoreError> {
        [Self::Login, Self::Basic, Self::Personal, Self::Exchanged, Self::Service, Self::Grant]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(StoreError::Corrupt("unknown kind of session"))
    }
}

/// One session. Times are milliseconds since the Unix epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionRow {
    /// Its id: what its token names.
    pub id: [u8; 16],
    /// What it came from.
    pub kind: SessionKind,
    /// `user:alice`.
    pub principal: String,
    /// The directory's own id of the person (entryUUID, objectGUID).
    pub directory_id: Option<String>,
    /// The person's name.
    pub display_name: Option<String>,
    /// The person's address.
    pub email: Option<String>,
    /// Groups when last looked up.
    pub groups: Vec<String>,
    /// A personal token's name.
    pub name: Option<String>,
    /// A personal token's scopes, as JSON.
    pub scopes: Option<String>,
    /// When it began.
    pub created_ms: u64,
    /// When it ends by itself.
    pub expires_ms: u64,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
    /// When it was last used, roughly.
    pub last_used_ms: Option<u64>,
    /// Where it began.
    pub client_ip: Option<String>,
    /// What began it.
    pub user_agent: Option<String>,
    /// The session that it ends with.
    pub parent: Option<[u8; 16]>,
}

/// Which sessions to list; what is `None` does not matter.
#[derive(Clone, Copy, Default)]
pub struct SessionFilter<'a> {
    /// Those of this principal.
    pub principal: Option<&'a str>,
    /// Those of this kind.
    pub kind: Option<SessionKind>,
    /// Those neither revoked nor expired at this time.
    pub live_at_ms: Option<u64>,
}

const COLUMNS: &str = "id, kind, principal, directory_id, display_name, email, group_names, name, scopes, created_ms, \
     expires_ms, revoked_ms, last_used_ms, client_ip, user_agent, parent";

impl Database {
    /// Adds a session.
    pub async fn insert_session(&self, row: &SessionRow) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO session ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        );
        let args = args![
            row.id,
            row.kind.as_str(),
            &row.principal,
            row.directory_id.as_deref(),
            row.display_name.as_deref(),
            row.email.as_deref(),
            encode_list(&row.groups),
            row.name.as_deref(),
            row.scopes.as_deref(),
            row.created_ms,
            row.expires_ms,
            row.revoked_ms,
            row.last_used_ms,
            row.client_ip.as_deref(),
            row.user_agent.as_deref(),
            row.parent,
        ];
        self.pool.execute(sql, args).await.map(drop)
    }

    /// The session of that id, be it live or not.
    pub async fn session(&self, id: &[u8; 16]) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM session WHERE id = ?");
        self.pool.row(sql, args![id]).await?.map(|row| read(&row)).transpose()
    }

    /// A page of sessions, newest first, and the cursor of the next.
    pub async fn sessions_page(
        &self,
        filter: &SessionFilter<'_>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<SessionRow>, Option<String>), StoreError> {
        let mut sql = format!("SELECT {COLUMNS} FROM session WHERE 1 = 1");
        let mut args = Vec::new();
        if let Some(principal) = filter.principal {
            sql.push_str(" AND principal = ?");
            args.push(principal.into());
        }
        if let Some(kind) = filter.kind {
            sql.push_str(" AND kind = ?");
            args.push(kind.as_str().into());
        }
        if let Some(now) = filter.live_at_ms {
            sql.push_str(" AND revoked_ms IS NULL AND expires_ms > ?");
            args.push(now.into());
        }
        if let Some(cursor) = cursor {
            let (created_ms, id) = cursor::decode_time_and_id(cursor)?;
            sql.push_str(" AND (created_ms < ? OR (created_ms = ? AND id < ?))");
            args.extend([created_ms.into(), created_ms.into(), id.into()]);
        }
        sql.push_str(" ORDER BY created_ms DESC, id DESC LIMIT ?");
        args.push((i64::from(limit) + 1).into());
        let rows = self.pool.rows(sql, &args).await?;
        let mut sessions = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = sessions.len() > limit as usize;
        sessions.truncate(limit as usize);
        let next = sessions
            .last()
            .filter(|_| more)
            .map(|last| cursor::encode_time_and_id(last.created_ms, &last.id));
        Ok((sessions, next))
    }

    /// The ids of a session's live children, theirs included: what ends with it.
    pub async fn session_children(&self, id: &[u8; 16]) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "WITH RECURSIVE tree (id) AS (SELECT id FROM session WHERE parent = ? \
             UNION SELECT s.id FROM session s JOIN tree t ON s.parent = t.id) \
             SELECT s.id FROM session s JOIN tree t ON s.id = t.id WHERE s.revoked_ms IS NULL";
        self.pool.rows(sql, args![id]).await?.iter().map(|row| row.array(0)).collect()
    }

    /// As [`Database::session_children`], without grants.
    pub async fn session_children_but_grants(&self, id: &[u8; 16]) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "WITH RECURSIVE tree (id) AS (SELECT id FROM session WHERE parent = ? AND kind <> 'grant' \
             UNION SELECT s.id FROM session s JOIN tree t ON s.parent = t.id AND s.kind <> 'grant') \
             SELECT s.id FROM session s JOIN tree t ON s.id = t.id WHERE s.revoked_ms IS NULL";
        self.pool.rows(sql, args![id]).await?.iter().map(|row| row.array(0)).collect()
    }

    /// Replaces what the directory says of the session's person.
    pub async fn update_session_groups(&self, id: &[u8; 16], groups: &[String]) -> Result<(), StoreError> {
        let sql = "UPDATE session SET group_names = ? WHERE id = ?";
        self.pool.execute(sql, args![encode_list(groups), id]).await.map(drop)
    }

    /// Notes when sessions were last used; never sets a time back.
    pub async fn touch_sessions(&self, used: &[([u8; 16], u64)]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql =
            "UPDATE session SET last_used_ms = ? WHERE id = ? AND (last_used_ms IS NULL OR last_used_ms < ?)";
        // In one order, so that replicas do not deadlock.
        let mut used = used.to_vec();
        used.sort_unstable();
        for (id, at) in used {
            tx.execute(sql, args![at, id, at]).await?;
        }
        tx.commit().await
    }

    /// Deletes sessions that expired before `before_ms`; how many.
    pub async fn delete_expired_sessions(&self, before_ms: u64) -> Result<u64, StoreError> {
        self.pool.execute("DELETE FROM session WHERE expires_ms < ?", args![before_ms]).await
    }
}

fn read(row: &Row) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: row.array(0)?,
        kind: SessionKind::from_stored(&row.text(1)?)?,
        principal: row.text(2)?,
        directory_id: row.opt_text(3)?,
        display_name: row.opt_text(4)?,
        email: row.opt_text(5)?,
        groups: decode_list(&row.text(6)?)?,
        name: row.opt_text(7)?,
        scopes: row.opt_text(8)?,
        created_ms: row.uint(9)?,
        expires_ms: row.uint(10)?,
        revoked_ms: row.opt_uint(11)?,
        last_used_ms: row.opt_uint(12)?,
        client_ip: row.opt_text(13)?,
        user_agent: row.opt_text(14)?,
        parent: row.opt_array(15)?,
    })
}

/// A list of names as JSON.
pub(crate) fn encode_list(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

pub(crate) fn decode_list(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("not a list of names"))
}
