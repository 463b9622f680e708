//! How to read the demo's embedded directory: by the same way as any other LDAP server.

use std::net::SocketAddr;

use doorman_core::secret::Secret;

use super::config::{DirectoryKind, LdapConfig};

/// Settings for the embedded directory at `address`, a loopback address, with the base and the service account that
/// `doorman_testkit::ldap::demo_directory_toml` writes.
pub fn demo_ldap_config(address: SocketAddr) -> LdapConfig {
    LdapConfig {
        start_tls: false,
        bind_dn: Some("cn=doorman,dc=demo".to_owned()),
        bind_password: Some(Secret::new("doorman-demo".to_owned())),
        ..LdapConfig::new(DirectoryKind::OpenLdap, vec![format!("ldap://{address}")], "dc=demo")
    }
}
