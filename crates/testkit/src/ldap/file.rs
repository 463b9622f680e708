//! `directory.toml`: who is in the embedded directory. A file that changes is read anew at the next request; one that
//! has become unreadable is reported, and what it last said stays in force.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use argon2::{Argon2, PasswordHasher};
use parking_lot::Mutex;
use serde::Deserialize;

use super::tree::Tree;

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryFileError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It does not say what it should. The text names line and key.
    #[error("{0}")]
    Invalid(String),
}

/// A directory file that has been read.
pub struct DirectoryFile {
    source: Option<(PathBuf, Version)>,
    tree: Arc<Tree>,
}

/// What tells one state of a file from the next.
type Version = Option<(SystemTime, u64)>;

impl DirectoryFile {
    /// Reads the file at `path`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DirectoryFileError> {
        let path = path.into();
        // The version first: if the file changes in between, it is read again.
        let version = version(&path);
        let text = fs::read_to_string(&path)
            .map_err(|source| DirectoryFileError::Io { path: path.clone(), source })?;
        Ok(Self { source: Some((path, version)), ..Self::parse(&text)? })
    }

    /// A directory that never changes, from the text of a file.
    pub fn parse(text: &str) -> Result<Self, DirectoryFileError> {
        let content: Content =
            toml::from_str(text).map_err(|error| DirectoryFileError::Invalid(error.to_string()))?;
        Ok(Self { source: None, tree: Arc::new(Tree::new(&content)?) })
    }
}

fn version(path: &Path) -> Version {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The directory as its file says now.
pub(super) struct Live(Mutex<DirectoryFile>);

impl Live {
    pub(super) fn new(file: DirectoryFile) -> Self {
        Self(Mutex::new(file))
    }

    pub(super) fn tree(&self) -> Arc<Tree> {
        let mut file = self.0.lock();
        if let Some((path, read)) = &mut file.source {
            let now = version(path);
            if now != *read {
                *read = now;
                match DirectoryFile::open(path.clone()) {
                    Ok(changed) => *file = changed,
                    Err(error) => {
                        tracing::warn!(%error, "the directory file is not read; its last state stays")
                    }
                }
            }
        }
        Arc::clone(&file.tree)
    }
}

/// The file's content.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    /// The name under which everything is.
    pub(super) base_dn: String,
    /// The account that searches: `cn=<name>,<base_dn>`.
    pub(super) service: Service,
    #[serde(default)]
    pub(super) users: Vec<User>,
    #[serde(default)]
    pub(super) groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) password_hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    /// The login name.
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) email: Option<String>,
    /// Groups that have this user as a member. They need not be declared.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// An argon2id hash (`$argon2id$v=19$…`).
    pub(super) password_hash: String,
    /// Cannot log in, for good.
    #[serde(default)]
    pub(super) disabled: bool,
    /// Cannot log in, as after too many failures.
    #[serde(default)]
    pub(super) locked: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: String,
    /// Groups that are members of this one.
    #[serde(default)]
    pub(super) groups: Vec<String>,
}

/// The demo's users and groups (docs: design §13), each user with the password `<name>-demo`, and the service account
/// `cn=doorman,dc=demo` with the password `doorman-demo`. Every call makes new salts.
pub fn demo_directory_toml() -> Result<String, DirectoryFileError> {
    let mut text = "# The demo's directory. Doorman reads changes at the next login.\n".to_owned();
    text.push_str(&format!(
        "base_dn = \"dc=demo\"\n\n[service]\nname = \"doorman\"\npassword_hash = \"{}\"\n",
        hash_password("doorman-demo")?
    ));
    let users: [(&str, &str, &[&str]); 6] = [
        ("alice", "Alice Archer", &["developers"]),
        ("bob", "Bob Baker", &["developers", "oncall"]),
        ("carol", "Carol Cook", &["security"]),
        ("dave", "Dave Draper", &["operators"]),
        ("erin", "Erin Eyre", &["admins"]),
        ("mallory", "Mallory Moss", &[]),
    ];
    for (name, display_name, groups) in users {
        let password_hash = hash_password(&format!("{name}-demo"))?;
        text.push_str(&format!(
            "\n[[users]]\nname = \"{name}\"\ndisplay_name = \"{display_name}\"\nemail = \"{name}@demo.example\"\n\
             groups = {groups:?}\npassword_hash = \"{password_hash}\"\n"
        ));
    }
    for group in ["developers", "oncall", "security", "operators", "admins"] {
        text.push_str(&format!("\n[[groups]]\nname = \"{group}\"\n"));
    }
    Ok(text)
}

/// Hashes a password as `password_hash` wants it.
pub fn hash_password(password: &str) -> Result<String, DirectoryFileError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| DirectoryFileError::Invalid(error.to_string()))
}
