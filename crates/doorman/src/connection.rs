//! Which Doorman a command speaks to, and with what credential.

use crate::credentials::{Credentials, default_path};
use crate::failure::{Failure, exit};
use anyhow::Context as _;
use clap::Args;
use doorman_client::Client;
use std::path::PathBuf;

/// Where Doorman is if nothing says otherwise: the demo, or an `api` with its defaults.
const DEFAULT_URL: &str = "http://127.0.0.1:8440";

/// The same on every client command.
#[derive(Args, Clone)]
pub struct ConnectionArgs {
    /// Doorman's address [default: the last one logged in to]
    #[arg(long, value_name = "URL", env = "DOORMAN_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Trust this certificate authority (PEM) instead of the system's
    #[arg(long, value_name = "FILE", env = "DOORMAN_CA_FILE", hide_env_values = true)]
    pub ca_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// From the environment alone, for `doorman curl`, whose arguments are curl's.
    pub fn of_environment() -> Self {
        Self { url: variable("DOORMAN_URL"), ca_file: variable("DOORMAN_CA_FILE").map(PathBuf::from) }
    }

    /// A client without a credential.
    ///
    /// # Errors
    /// When the address or the authority cannot be used.
    pub fn anonymous(&self) -> anyhow::Result<Client> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => Credentials::load(&default_path()?)?.current.unwrap_or_else(|| DEFAULT_URL.to_owned()),
        };
        let mut builder = Client::builder(url).user_agent(concat!("doorman-cli/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &self.ca_file {
            builder = builder.authorities(std::fs::read(path).with_context(|| path.display().to_string())?);
        }
        Ok(builder.build()?)
    }

    /// A client with the credential of `DOORMAN_TOKEN` or of the last login.
    ///
    /// # Errors
    /// When there is none, or it has expired.
    pub fn client(&self) -> anyhow::Result<Client> {
        let (client, token) = self.client_and_token()?;
        Ok(client.with_token(token))
    }

    /// As [`ConnectionArgs::client`], with the token apart.
    ///
    /// # Errors
    /// As there.
    pub fn client_and_token(&self) -> anyhow::Result<(Client, String)> {
        let client = self.anonymous()?;
        if let Some(token) = variable("DOORMAN_TOKEN") {
            return Ok((client, token));
        }
        let mut credentials = Credentials::load(&default_path()?)?;
        let base = client.base();
        let advice = format!("doorman login --url {base}");
        let Some(credential) = credentials.servers.remove(&base) else {
            let failure = Failure::new(exit::UNAUTHENTICATED, format!("not logged in to {base}"));
            return Err(failure.hint(advice).into());
        };
        let ends = doorman_core::time::parse_rfc3339(&credential.expires_at);
        if ends.is_some_and(|ends| ends <= crate::commands::now_ms()) {
            let message = format!("the login to {base} ended at {}", credential.expires_at);
            return Err(Failure::new(exit::UNAUTHENTICATED, message).hint(advice).into());
        }
        Ok((client, credential.token))
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
