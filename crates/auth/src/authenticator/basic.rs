//! Names and passwords sent with a request.

use super::Authenticator;
use crate::AuthError;
use crate::session::{Origin, Session};
use crate::settings::ms;
use doorman_core::secret::Secret;
use doorman_store::SessionKind;
use std::net::IpAddr;
use std::sync::Arc;

impl Authenticator {
    /// The session of a name and password: of the service account with exactly this name if there is one, be it disabled
    /// or not, otherwise of the directory's user. (No account can be made with a name that the directory knows.)
    ///
    /// A verified answer is kept as a keyed hash: for users by address and for a minute, after which the directory is
    /// asked again.
    ///
    /// # Errors
    /// As [`Authenticator::login`].
    pub async fn verify_basic(
        &self,
        name: &str,
        password: &Secret,
        client_ip: IpAddr,
    ) -> Result<Arc<Session>, AuthError> {
        let inner = &*self.0;
        if let Some(session) = self.proven_service(name, password, client_ip).await? {
            return Ok(session);
        }
        let (who, secret) = (name.as_bytes(), password.expose().as_bytes());
        let address = client_ip.to_canonical().to_string();
        let fingerprint = inner.keyed.of(&[who, secret, address.as_bytes()]);
        if let Some(session) = inner.user_passwords.get(&fingerprint).await {
            if inner.store.is_good(&session) {
                return Ok(session);
            }
            inner.user_passwords.invalidate(&fingerprint).await;
        }
        if let Some(session) = self.verify_service(name, password, client_ip).await? {
            return Ok(session);
        }
        let verified = inner
            .user_passwords
            .try_get_with(fingerprint, async {
                let user = inner.passwords.check(name, password, client_ip).await?;
                let origin = Origin { client_ip: Some(client_ip), ..Origin::default() };
                let ttl_ms = ms(inner.settings.basic_ttl);
                self.begin_user_session(user, SessionKind::Basic, ttl_ms, &origin).await
            })
            .await;
        inner.store.unless_revoked(verified.map_err(|error: Arc<AuthError>| (*error).clone())?)
    }
}
