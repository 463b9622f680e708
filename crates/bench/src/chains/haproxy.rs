//! H: HAProxy → HAProxy. RS256 JWT verified on the first (HAProxy knows no EdDSA), access logs on both.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::{Chain, Running, Site, WORKERS};
use crate::credentials::{AUDIENCE, ISSUER};
use crate::load::Target;
use crate::process::{Server, free_address};

pub struct Haproxy;

impl Chain for Haproxy {
    fn name(&self) -> String {
        "H".to_owned()
    }

    fn start(&self, site: &Site<'_>) -> Result<Running> {
        let (first, second) = (free_address()?, free_address()?);
        let key = site.credentials.rsa_public_key.display();
        let rules = format!(
            "  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request return status 401 unless {{ var(txn.alg) -m str RS256 }} {{ var(txn.iss) -m str {ISSUER} }} {{ var(txn.aud) -m str {AUDIENCE} }}
  http-request return status 401 unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
  http-request return status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{key}\") 1 }}
"
        );
        let servers = vec![
            start_hop("haproxy-2", second, site.upstream, "", site)?,
            start_hop("haproxy-1", first, second, &rules, site)?,
        ];
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", site.credentials.rsa_token))];
        Ok(Running::new(Target::new(first, "", headers)?, servers))
    }
}

fn start_hop(
    name: &str,
    listen: SocketAddr,
    next: SocketAddr,
    rules: &str,
    site: &Site<'_>,
) -> Result<Server> {
    let file = site.directory.join(format!("{name}.cfg"));
    let text = format!(
        "global
  nbthread {WORKERS}
  maxconn 8192
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend in
  bind {listen}
{rules}  default_backend out
backend out
  server next {next}
"
    );
    fs::write(&file, text)?;
    let mut server =
        Server::start(name, Command::new("haproxy").args(["-db", "-f"]).arg(&file), &site.directory)?;
    server.wait_for_port(listen)?;
    Ok(server)
}
