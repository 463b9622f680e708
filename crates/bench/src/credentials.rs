//! Keys and tokens for the rivals: one Ed25519 and one RSA key pair, made afresh for each run with `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::process::run;

pub const ISSUER: &str = "doorman-bench";
pub const AUDIENCE: &str = "bench";
/// The group that the rivals' rules ask for, as Doorman's policy does.
pub const GROUP: &str = "developers";

const KEY_ID: &str = "bench";
const LIFETIME_SECONDS: u64 = 24 * 3600;

/// A day's credentials. Worthless outside the run: nothing else trusts these keys.
pub struct Credentials {
    /// JWT signed with Ed25519.
    pub eddsa_token: String,
    /// The key set that verifies it, as a JSON document.
    pub jwks: String,
    /// JWT signed with RS256.
    pub rsa_token: String,
    /// PEM file with the key that verifies it.
    pub rsa_public_key: PathBuf,
}

impl Credentials {
    pub fn make(directory: &Path) -> Result<Self> {
        let eddsa = directory.join("ed25519.pem");
        run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&eddsa))?;
        let public =
            run(Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(&eddsa))?;
        // RFC 8410: the 32 bytes of the key end its DER encoding.
        let raw = public.last_chunk::<32>().context("openssl gave no Ed25519 key")?;
        let jwks = json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": URL_SAFE_NO_PAD.encode(raw),
        }]});
        let rsa = directory.join("rsa.pem");
        let rsa_public_key = directory.join("rsa-public.pem");
        run(Command::new("openssl")
            .args(["genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
            .arg(&rsa))?;
        run(Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(&rsa)
            .arg("-out")
            .arg(&rsa_public_key))?;
        let claims = claims()?;
        Ok(Self {
            eddsa_token: sign(directory, &eddsa, "EdDSA", &["-rawin"], &claims)?,
            jwks: jwks.to_string(),
            rsa_token: sign(directory, &rsa, "RS256", &["-rawin", "-digest", "sha256"], &claims)?,
            rsa_public_key,
        })
    }
}

/// About what one of Doorman's own access tokens says (RFC 9068), so that parsing costs the same.
fn claims() -> Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user:alice", "client_id": "doorman",
        "iat": now, "exp": now + LIFETIME_SECONDS, "jti": "0192f1c7-5f3e-7b1a-9c55-0f6b2a0e7d11", "groups": [GROUP, "everyone"],
    }))
}

fn sign(directory: &Path, key: &Path, algorithm: &str, options: &[&str], claims: &Value) -> Result<String> {
    let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": KEY_ID});
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let input = directory.join("to-sign");
    fs::write(&input, &signed)?;
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-sign", "-inkey"]).arg(key).args(options).arg("-in").arg(&input);
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(run(&mut command)?)))
}
