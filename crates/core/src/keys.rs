//! Ed25519 keys (RFC 8032), one ring for each use: a key signs one class of things and nothing else.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// What a key signs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Access tokens of users and service accounts.
    Token,
    /// `Doorman-Identity`, which live services verify.
    Identity,
    /// Statements over journal batches; passes hang on them.
    Statement,
    /// Polls of proxies by `api`.
    Control,
}

impl KeyUse {
    /// Every use.
    pub const ALL: [KeyUse; 4] = [Self::Token, Self::Identity, Self::Statement, Self::Control];

    /// The name in files and JWKS.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Identity => "identity",
            Self::Statement => "statement",
            Self::Control => "control",
        }
    }
}

/// The first eight bytes of SHA-256 over the public key; sixteen hexadecimal digits as `kid`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    fn of(public: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = crate::sha256(public);
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(KeyError::KeyId);
        }
        let mut id = [0; 8];
        hex::decode_to_slice(text, &mut id).map_err(|_| KeyError::KeyId)?;
        Ok(Self(id))
    }
}

/// A key or a file of keys that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The id is not sixteen lower-case hexadecimal digits.
    #[error("a key id is sixteen lower-case hexadecimal digits")]
    KeyId,
    /// Not an Ed25519 key in PKCS#8.
    #[error("not an Ed25519 private key in PKCS#8")]
    Private,
    /// The key generator failed.
    #[error("the system gave no randomness")]
    Generate,
    /// Not a JWKS of Ed25519 keys with `kid` and `doorman_use`.
    #[error("not a key set: {0}")]
    KeySet(String),
}

/// A private key.
pub struct SigningKey {
    id: KeyId,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new key, as PKCS#8 version 1 (RFC 5958) for [`SigningKey::from_pkcs8`].
    ///
    /// # Errors
    /// [`KeyError::Generate`] when the system has no randomness.
    pub fn generate_pkcs8() -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8v1(&rng).map_err(|_| KeyError::Generate)?;
        Ok(zeroize::Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`KeyError::Private`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyError::Private)?;
        Ok(Self { id: KeyId::of(pair.public_key().as_ref()), pair })
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Signs; deterministic.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().unwrap_or([0; 64])
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { id: self.id, bytes }
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    id: KeyId,
    bytes: [u8; 32],
}

impl PublicKey {
    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature).is_ok()
    }
}

/// The public keys a process trusts, by use and id.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PublicKeys(Vec<(KeyUse, PublicKey)>);

#[derive(serde::Serialize, serde::Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    use_: String,
    kid: String,
    x: String,
    doorman_use: KeyUse,
}

impl PublicKeys {
    /// Adds a key.
    pub fn push(&mut self, key_use: KeyUse, key: PublicKey) {
        if self.find(key_use, key.id).is_none() {
            self.0.push((key_use, key));
        }
    }

    /// Adds the keys of another set.
    pub fn extend(&mut self, others: &Self) {
        others.0.iter().for_each(|(key_use, key)| self.push(*key_use, key.clone()));
    }

    /// The key with this use and id.
    pub fn find(&self, key_use: KeyUse, id: KeyId) -> Option<&PublicKey> {
        self.0.iter().find(|(own, key)| *own == key_use && key.id == id).map(|(_, key)| key)
    }

    /// The ids of the keys of one use.
    pub fn ids(&self, key_use: KeyUse) -> impl Iterator<Item = KeyId> + '_ {
        self.0.iter().filter(move |(own, _)| *own == key_use).map(|(_, key)| key.id)
    }

    /// Only the keys of the given uses.
    pub fn only(&self, uses: &[KeyUse]) -> Self {
        Self(self.0.iter().filter(|(own, _)| uses.contains(own)).cloned().collect())
    }

    /// As a JWKS (RFC 7517, RFC 8037), each key with `doorman_use`.
    pub fn to_jwks(&self) -> String {
        let keys = self.0.iter().map(|(key_use, key)| Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            use_: "sig".into(),
            kid: key.id.to_string(),
            x: URL_SAFE_NO_PAD.encode(key.bytes),
            doorman_use: *key_use,
        });
        serde_json::to_string(&Jwks { keys: keys.collect() }).unwrap_or_default()
    }

    /// Reads a JWKS written by [`PublicKeys::to_jwks`].
    ///
    /// # Errors
    /// [`KeyError::KeySet`] when any key in it is not what it claims to be: a file of trust is taken whole or not at all.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        let jwks: Jwks = serde_json::from_str(text).map_err(|error| KeyError::KeySet(error.to_string()))?;
        let mut keys = Self::default();
        for jwk in jwks.keys {
            let bad = |what: &str| KeyError::KeySet(format!("key {}: {what}", jwk.kid));
            if jwk.kty != "OKP" || jwk.crv != "Ed25519" || jwk.alg != "EdDSA" {
                return Err(bad("not Ed25519"));
            }
            let bytes: [u8; 32] = URL_SAFE_NO_PAD
                .decode(&jwk.x)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| bad("x is not 32 bytes of base64url"))?;
            let id = KeyId::of(&bytes);
            if jwk.kid != id.to_string() {
                return Err(bad("kid is not the digest of the key"));
            }
            keys.push(jwk.doorman_use, PublicKey { id, bytes });
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_verifies_only_for_its_own_use_and_id() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        let mut keys = PublicKeys::default();
        keys.push(KeyUse::Token, key.public());
        let keys = PublicKeys::from_jwks(&keys.to_jwks()).unwrap();
        let found = keys.find(KeyUse::Token, key.id()).unwrap();
        assert!(found.verifies(b"text", &key.sign(b"text")));
        assert!(!found.verifies(b"other", &key.sign(b"text")));
        assert!(keys.find(KeyUse::Statement, key.id()).is_none());
        assert_eq!(key.id().to_string().parse(), Ok(key.id()));
    }

    #[test]
    fn a_key_set_with_one_bad_key_is_refused_whole() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        let mut keys = PublicKeys::default();
        keys.push(KeyUse::Token, key.public());
        let good = keys.to_jwks();
        let other_id = if key.id().to_string().starts_with('0') { "1" } else { "0" };
        let bad = good.replacen(&key.id().to_string()[..1], other_id, 1);
        for text in [good.replace("Ed25519", "P-256"), bad, "{}".into(), String::new()] {
            assert!(PublicKeys::from_jwks(&text).is_err(), "{text}");
        }
    }
}
