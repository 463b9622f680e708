//! The files of the demo world: they are ordinary configuration, to be read and changed by newcomers.

use anyhow::Context as _;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The directory's service account needs a password file, like a real one.
const DIRECTORY_PASSWORD: &str = "doorman-demo";

/// One sample service of a region, with the addresses of its instances.
pub struct Sample {
    pub name: &'static str,
    pub health: Option<&'static str>,
    pub instances: Vec<(String, SocketAddr)>,
}

/// Writes a file unless it is there: a newcomer's changes stay.
pub fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    write(path, text)
}

/// Writes a file, and the directories above it.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The file of `api`.
pub fn api(
    data: &Path,
    listen: SocketAddr,
    directory: SocketAddr,
    proxies: &[(&str, SocketAddr)],
) -> anyhow::Result<PathBuf> {
    let password = data.join("directory-password");
    write(&password, DIRECTORY_PASSWORD)?;
    let at = |name: &str| toml_text(&data.join(name).display().to_string());
    let mut text = format!(
        "# Written by `doorman demo`, anew at each start.\n\n\
         [server]\nlisten = \"{listen}\"\n\n\
         [database]\nurl = {}\n\n\
         [keys]\ndir = {}\n\n[policy]\ndir = {}\n\n[journal]\nstatements = {}\n\n\
         [directory]\nkind = \"openldap\"\nurls = [\"ldap://{directory}\"]\nbase_dns = [\"dc=demo\"]\nstart_tls = false\n\
         bind_dn = \"cn=doorman,dc=demo\"\nbind_password_file = {}\n\n\
         [log]\nformat = \"text\"\nlevel = \"warn\"\n",
        toml_text(&format!("sqlite:{}", data.join("doorman.db").display())),
        at("keys"),
        at("policies"),
        at("statements"),
        at("directory-password"),
    );
    for (region, address) in proxies {
        write!(
            text,
            "\n[[regions]]\nname = \"{region}\"\nlink = false\n[[regions.proxies]]\nurl = \"http://{address}\"\n"
        )?;
    }
    let path = data.join("config/api.toml");
    write(&path, &text)?;
    Ok(path)
}

/// The file of one region's proxy.
pub fn proxy(data: &Path, region: &str, jwks: SocketAddr, samples: &[Sample]) -> anyhow::Result<PathBuf> {
    let mut text = format!(
        "# Written by `doorman demo`, anew at each start.\n\n\
         [server]\nlisten = \"127.0.0.1:0\"\n\n[region]\nname = \"{region}\"\n\n\
         [keys]\npublic_file = {}\n\n[data]\ndir = {}\n\n[jwks]\nlisten = \"{jwks}\"\n\n\
         [log]\nformat = \"text\"\nlevel = \"warn\"\n",
        toml_text(&data.join("keys/public.json").display().to_string()),
        toml_text(&data.join("proxies").join(region).display().to_string()),
    );
    for sample in samples {
        write!(text, "\n[[services]]\nname = \"{}\"\n", sample.name)?;
        if let Some(path) = sample.health {
            write!(text, "[services.health]\npath = \"{path}\"\ninterval = \"2s\"\n")?;
        }
        for (id, address) in &sample.instances {
            write!(text, "[[services.instances]]\nid = \"{id}\"\naddress = \"http://{address}\"\n")?;
        }
    }
    let path = data.join(format!("config/proxy-{region}.toml"));
    write(&path, &text)?;
    Ok(path)
}

fn toml_text(text: &str) -> String {
    format!("{text:?}")
}
