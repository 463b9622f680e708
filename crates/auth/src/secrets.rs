//! Secrets of service accounts: made here, shown once, kept as argon2id.

use crate::AuthError;
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorman_core::code::Code;
use doorman_core::secret::Secret;
use tokio::sync::Semaphore;

/// In place of a hash, before the directory's own id of the account: there lies its password.
pub(crate) const DIRECTORY: &str = "directory:";

/// How many are hashed at once: each takes 19 MiB and a core for some milliseconds.
const AT_ONCE: usize = 2;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// A new secret: 256 random bits. The prefix lets scanners of leaked text know it.
pub(crate) fn generate() -> Secret {
    Secret::new(format!("dms_{}", URL_SAFE_NO_PAD.encode(crate::random::bytes::<32>())))
}

/// The argon2id hash of a secret, in PHC form.
pub(crate) async fn hash(secret: Secret) -> Result<String, AuthError> {
    run(move || Argon2::default().hash_password(secret.expose().as_bytes()).map(|hash| hash.to_string()))
        .await?
        .map_err(|error| AuthError::new(Code::Invalid, format!("the secret cannot be hashed: {error}")))
}

/// The index of the first of `hashes` that is the secret's.
pub(crate) async fn find(secret: Secret, hashes: Vec<String>) -> Result<Option<usize>, AuthError> {
    run(move || {
        let is_of = |hash: &String| {
            Argon2::default().verify_password(secret.expose().as_bytes(), hash.as_str()).is_ok()
        };
        hashes.iter().position(is_of)
    })
    .await
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthError> {
    let ended = || AuthError::new(Code::AuditUnavailable, "hashing ended early");
    let _turn = TURNS.acquire().await.map_err(|_| ended())?;
    tokio::task::spawn_blocking(work).await.map_err(|_| ended())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_found_among_hashes_and_another_is_not() {
        let (old, new) = (generate(), generate());
        let hashes = vec![hash(old.clone()).await.unwrap(), hash(new.clone()).await.unwrap()];
        assert!(hashes.iter().all(|hash| hash.starts_with("$argon2id$")));
        assert_eq!(find(new, hashes.clone()).await.unwrap(), Some(1));
        assert_eq!(find(old, hashes.clone()).await.unwrap(), Some(0));
        assert_eq!(find(generate(), hashes).await.unwrap(), None);
    }
}
