//! Who is calling: logins, tokens, sessions, service accounts (`/auth/v1/…`).
//!
//! Types that carry a credential have no `Debug`, so that none is ever printed by accident.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /auth/v1/login`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// As the directory knows the user.
    pub username: String,
    /// The directory's password.
    pub password: String,
    /// Also set the UI's cookie.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cookie: bool,
}

/// A token of one's own.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginResponse {
    /// The credential for `Authorization: Bearer`.
    pub token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// When it ends; RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Who logged in.
    pub user: User,
}

/// `POST /auth/v1/session-token`: a short-lived token of the session that the cookie names.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionToken {
    /// The credential for `Authorization: Bearer`.
    pub token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// When it ends; RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A person, as the directory describes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The canonical login name.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    /// The groups, nested ones included.
    pub groups: Vec<String>,
}

/// `GET /auth/v1/me`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// Whose credential it is: `user:alice`, `service:reports-ui`.
    pub actor: String,
    /// Whose rights decide; equal to `actor` without delegation.
    pub subject: String,
    /// The subject's groups.
    pub groups: Vec<String>,
    /// The subject as the directory describes them; `null` for service accounts.
    pub user: Option<User>,
    /// The session of the credential.
    pub session: Option<String>,
    /// When the credential ends; RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// What the subject may do besides sending requests (for those, see the catalog), the folders for new jobs included,
    /// as `job:create` on `folder:dev`.
    pub may: Vec<Allowed>,
}

/// One thing that is permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allowed {
    /// The action, such as `audit:read`.
    pub action: String,
    /// On what, such as `audit:own`.
    pub resource: String,
}

/// `POST /auth/v1/verify`: is this token that user's, and live?
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The user's name.
    pub username: String,
    /// The token.
    pub token: String,
}

/// The answer to [`VerifyRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyResponse {
    /// Whether it is.
    pub active: bool,
    /// The user, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
}

/// A live session: what one login, token or cached credential opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Names it in `DELETE /auth/v1/sessions/{id}`.
    pub id: String,
    /// Whose it is.
    pub principal: String,
    /// `login`, `personal`, `exchange`, `basic` or `service`.
    pub kind: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// RFC 3339; kept to the minute.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// Where it was opened from.
    pub client_ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// Whether it is the session of this very call.
    pub current: bool,
}

/// What a personal token is limited to. An absent list does not limit; an empty one is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// Names of regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Names of services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// HTTP methods, upper-case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
}

/// `POST /auth/v1/tokens`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPersonalToken {
    /// What it is for.
    pub name: String,
    /// When it ends; RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// What it is limited to.
    #[serde(default)]
    pub scopes: Scopes,
}

/// A personal access token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonalToken {
    /// Names it in `DELETE /auth/v1/tokens/{id}`.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// RFC 3339; kept to the minute.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// What it is limited to.
    pub scopes: Scopes,
}

/// A personal access token just made: the only time its secret is shown.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonalTokenSecret {
    /// The credential for `Authorization: Bearer`.
    pub token: String,
    /// All else about it.
    #[serde(flatten)]
    pub about: PersonalToken,
}

/// `POST /auth/v1/service-accounts`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServiceAccount {
    /// The name: `service:<name>` in policy and audit.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    #[serde(default)]
    pub networks: Vec<String>,
    /// It is an account of the directory: its password there is its secret, and none is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub directory: bool,
}

/// `PATCH /auth/v1/service-accounts/{name}`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAccountPatch {
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    pub networks: Option<Vec<String>>,
    /// A disabled account is refused everywhere.
    pub disabled: Option<bool>,
}

/// A service account, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccount {
    /// The name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    pub networks: Vec<String>,
    /// Whether it is refused.
    pub disabled: bool,
    /// Whether it is an account of the directory, whose password is its secret.
    #[serde(default)]
    pub directory: bool,
    /// How many secrets are good: two between a rotation and its end; none of an account of the directory.
    pub secrets: u32,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339; kept to the minute.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
}

/// A service account with a new secret: the only time the secret is shown.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccountSecret {
    /// The secret, for `Basic` or `client_credentials`; absent of an account of the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// All else about it.
    #[serde(flatten)]
    pub about: ServiceAccount,
}
