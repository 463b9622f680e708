//! Inner values in the shapes of the public contract.

use doorman_auth::{ServiceAccount, Session, SessionInfo};
use doorman_client::wire;
use doorman_core::principal::Principal;
use doorman_core::time::format_rfc3339;
use doorman_store::SessionKind;

/// A session's user; `None` for service accounts.
pub(crate) fn user_of(session: &Session) -> Option<wire::User> {
    let Principal::User(name) = &session.principal else { return None };
    Some(wire::User {
        name: name.to_string(),
        display_name: Some(session.display_name.to_string()),
        email: session.email.as_deref().map(str::to_owned),
        groups: session.groups.to_vec(),
    })
}

/// A session in a list; `current` is the caller's own.
pub(crate) fn session(info: SessionInfo, current: &[u8; 16]) -> wire::Session {
    wire::Session {
        id: hex::encode(info.facts.id),
        principal: info.facts.principal.to_string(),
        kind: kind(info.facts.kind).to_owned(),
        created_at: format_rfc3339(info.facts.created_ms),
        expires_at: format_rfc3339(info.facts.expires_ms),
        last_used_at: info.last_used_ms.map(format_rfc3339),
        client_ip: info.client_ip,
        user_agent: info.user_agent,
        current: info.facts.id == *current,
    }
}

fn kind(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Exchanged => "exchange",
        other => other.as_str(),
    }
}

/// A personal token in a list.
pub(crate) fn personal_token(info: SessionInfo) -> wire::PersonalToken {
    wire::PersonalToken {
        id: hex::encode(info.facts.id),
        name: info.name.unwrap_or_default(),
        created_at: format_rfc3339(info.facts.created_ms),
        expires_at: format_rfc3339(info.facts.expires_ms),
        last_used_at: info.last_used_ms.map(format_rfc3339),
        scopes: info.facts.scopes.as_deref().map(scopes).unwrap_or_default(),
    }
}

/// Scopes as the contract writes them.
pub(crate) fn scopes(scopes: &doorman_auth::Scopes) -> wire::Scopes {
    wire::Scopes {
        regions: scopes.regions.clone(),
        services: scopes.services.clone(),
        methods: scopes.methods.clone(),
    }
}

/// A service account.
pub(crate) fn service_account(account: ServiceAccount) -> wire::ServiceAccount {
    wire::ServiceAccount {
        name: account.name,
        owner: account.owner,
        description: account.description,
        networks: account.networks,
        disabled: account.disabled,
        directory: account.directory,
        secrets: u32::try_from(account.secrets).unwrap_or(u32::MAX),
        created_at: format_rfc3339(account.created_ms),
        last_used_at: account.last_used_ms.map(format_rfc3339),
    }
}
