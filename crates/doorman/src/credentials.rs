//! Credentials between commands: one file, readable by its owner alone, keyed by Doorman's address.

use crate::failure::{Failure, exit};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What one login left behind.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credential {
    /// The access token.
    pub token: String,
    /// Whose it is.
    pub username: String,
    /// When it ends; RFC 3339.
    pub expires_at: String,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
pub struct Credentials {
    /// The address that was logged in to last: where commands go that name none.
    #[serde(default)]
    pub current: Option<String>,
    /// By address.
    #[serde(default)]
    pub servers: BTreeMap<String, Credential>,
}

/// `$XDG_CONFIG_HOME/doorman/credentials.json`
///
/// # Errors
/// When there is no home directory.
pub fn default_path() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let config = config.context("neither XDG_CONFIG_HOME nor HOME says where credentials are kept")?;
    Ok(config.join("doorman").join("credentials.json"))
}

impl Credentials {
    /// Reads the file; no file means no credentials.
    ///
    /// # Errors
    /// When others can read it, or it is none of ours.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let metadata = match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            result => result.with_context(|| path.display().to_string())?,
        };
        if metadata.mode() & 0o077 != 0 {
            let failure = Failure::new(exit::FAILED, format!("{} can be read by others", path.display()));
            return Err(failure
                .hint(format!("chmod 600 {}, and log in again if others are about", path.display()))
                .into());
        }
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).map_err(|_| {
            let failure = Failure::new(exit::FAILED, format!("{} is damaged", path.display()));
            failure.hint("delete it and log in again").into()
        })
    }

    /// Replaces the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let directory = path.parent().context("no directory for credentials")?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(directory)
            .with_context(|| format!("cannot write in {}", directory.display()))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("doorman/credentials.json");
        let mut credentials = Credentials::load(&path).unwrap();
        let credential =
            Credential { token: "t".into(), username: "alice".into(), expires_at: String::new() };
        credentials.servers.insert("http://d".into(), credential);
        credentials.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Credentials::load(&path).unwrap().servers["http://d"].token, "t");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Credentials::load(&path).is_err());
    }
}
