//! Key files: how one private key lies on disk, and the two public key sets beside them.

use super::KeyRingError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_core::keys::{KeyId, KeyUse, PublicKeys, SigningKey};
use doorman_core::time::{format_rfc3339, parse_rfc3339};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The public keys that verify now: what proxies are given.
pub const KEY_SET_FILE: &str = "public.json";

/// The public keys of all time: what `doorman audit verify` needs to read statements of retired keys.
pub const KEY_HISTORY_FILE: &str = "history.json";

const EXTENSION: &str = "key";

/// One private key with its times (ms).
#[derive(Clone)]
pub(super) struct KeyFile {
    pub key: Arc<SigningKey>,
    pub key_use: KeyUse,
    pub created_ms: u64,
    pub active_from_ms: u64,
    pub retire_at_ms: Option<u64>,
    pkcs8: Zeroizing<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text<'a> {
    #[serde(rename = "use")]
    key_use: KeyUse,
    created: String,
    active_from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retire_at: Option<String>,
    /// Base64 of PKCS#8.
    private_key: Cow<'a, str>,
}

impl KeyFile {
    pub fn generate(key_use: KeyUse, now_ms: u64, active_from_ms: u64) -> Result<Self, KeyRingError> {
        let pkcs8 = SigningKey::generate_pkcs8()?;
        let key = Arc::new(SigningKey::from_pkcs8(&pkcs8)?);
        Ok(Self { key, key_use, created_ms: now_ms, active_from_ms, retire_at_ms: None, pkcs8 })
    }

    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    pub fn is_retired(&self, now_ms: u64) -> bool {
        self.retire_at_ms.is_some_and(|at| at <= now_ms)
    }

    pub fn signs(&self, now_ms: u64) -> bool {
        self.active_from_ms <= now_ms && !self.is_retired(now_ms)
    }

    fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{}.{EXTENSION}", self.key_use.as_str(), self.id()))
    }

    pub fn write(&self, dir: &Path) -> Result<(), KeyRingError> {
        let private_key = Zeroizing::new(STANDARD.encode(&*self.pkcs8));
        let text = Text {
            key_use: self.key_use,
            created: format_rfc3339(self.created_ms),
            active_from: format_rfc3339(self.active_from_ms),
            retire_at: self.retire_at_ms.map(format_rfc3339),
            private_key: Cow::Borrowed(&private_key),
        };
        let path = self.path(dir);
        let text = toml::to_string(&text)
            .map_err(|error| KeyRingError::File { path: path.clone(), problem: error.to_string() })?;
        replace(&path, &Zeroizing::new(text), 0o600)
    }

    pub fn delete(&self, dir: &Path) -> Result<(), KeyRingError> {
        let path = self.path(dir);
        fs::remove_file(&path).map_err(|source| io(&path, source))
    }

    fn read(path: &Path) -> Result<Self, KeyRingError> {
        let bad = |problem: String| KeyRingError::File { path: path.to_owned(), problem };
        let mode = fs::metadata(path).map_err(|source| io(path, source))?.permissions().mode();
        if mode & 0o027 != 0 {
            return Err(bad(format!("mode {:o} lets others at a private key; chmod 600 it", mode & 0o777)));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(|source| io(path, source))?);
        // toml's own message quotes the line, which may be the key.
        let parsed: Text<'_> = toml::from_str(&text).map_err(|error| bad(error.message().to_owned()))?;
        let time = |name: &str, text: &str| {
            parse_rfc3339(text).ok_or_else(|| bad(format!("{name} is not an RFC 3339 time")))
        };
        let private_key = Zeroizing::new(parsed.private_key.into_owned());
        let pkcs8 = STANDARD.decode(private_key.as_bytes()).map(Zeroizing::new);
        let pkcs8 = pkcs8.map_err(|_| bad("private_key is not base64".into()))?;
        let key = SigningKey::from_pkcs8(&pkcs8).map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            key: Arc::new(key),
            key_use: parsed.key_use,
            created_ms: time("created", &parsed.created)?,
            active_from_ms: time("active_from", &parsed.active_from)?,
            retire_at_ms: parsed.retire_at.as_deref().map(|text| time("retire_at", text)).transpose()?,
            pkcs8,
        })
    }
}

/// What tells whether a directory of keys changed: name, inode, size and time of change (of the mode, too) of each.
pub(super) type Fingerprint = Vec<(PathBuf, u64, u64, i64, i64)>;

pub(super) fn fingerprint(dir: &Path) -> Result<Fingerprint, KeyRingError> {
    let mut seen = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| io(dir, source))? {
        let path = entry.map_err(|source| io(dir, source))?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let file = fs::metadata(&path).map_err(|source| io(&path, source))?;
        seen.push((path, file.ino(), file.size(), file.ctime(), file.ctime_nsec()));
    }
    seen.sort();
    Ok(seen)
}

/// All keys, oldest activation first.
pub(super) fn read_all(dir: &Path) -> Result<Vec<KeyFile>, KeyRingError> {
    let mut keys = Vec::new();
    for (path, ..) in fingerprint(dir)? {
        keys.push(KeyFile::read(&path)?);
    }
    keys.sort_by_key(|key| (key.active_from_ms, key.created_ms, key.id()));
    Ok(keys)
}

/// The public halves of all keys that verify at `now_ms`, newest first.
pub(super) fn verifying(keys: &[KeyFile], now_ms: u64) -> PublicKeys {
    let mut public = PublicKeys::default();
    for key in keys.iter().rev().filter(|key| !key.is_retired(now_ms)) {
        public.push(key.key_use, key.key.public());
    }
    public
}

/// Brings the two public files up to date with the private ones. Safe beside other processes: all compute the same.
pub(super) fn publish(dir: &Path, keys: &[KeyFile], now_ms: u64) -> Result<(), KeyRingError> {
    let path = dir.join(KEY_HISTORY_FILE);
    let mut history = match fs::read_to_string(&path) {
        Ok(text) => PublicKeys::from_jwks(&text)
            .map_err(|error| KeyRingError::File { path, problem: error.to_string() })?,
        Err(_) => PublicKeys::default(),
    };
    for key in keys {
        history.push(key.key_use, key.key.public());
    }
    for (name, keys) in [(KEY_HISTORY_FILE, history), (KEY_SET_FILE, verifying(keys, now_ms))] {
        let (path, text) = (dir.join(name), keys.to_jwks());
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            replace(&path, &text, 0o644)?;
        }
    }
    Ok(())
}

pub(super) fn create_dir(dir: &Path) -> Result<(), KeyRingError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| io(dir, source))
}

/// Replaces a file whole: a reader sees the old text or the new, also after a crash.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), KeyRingError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    write().map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> KeyRingError {
    KeyRingError::Io { path: path.to_owned(), source }
}
