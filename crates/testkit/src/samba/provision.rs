//! A domain as it is on its first day. Making one takes seconds, so it is made once for each version of Samba and each
//! configuration, kept beside the tests' own binaries, and copied.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::NETBIOS;
use crate::daemon::{Error, output};

/// Copies a new domain into the empty directory `dir`, to be served at `address`.
pub(super) fn copy_domain(dir: &Path, address: Ipv4Addr) -> Result<(), Error> {
    let template = template()?;
    output(Command::new("cp").arg("--archive").arg(template.join(".")).arg(dir))?;
    fs::write(dir.join("smb.conf"), configuration(dir, address)).map_err(Error::io("cannot write smb.conf"))
}

fn template() -> Result<PathBuf, Error> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock();
    let version = output(Command::new("samba").arg("--version"))?;
    let like = format!("{version}{}", configuration(Path::new(""), Ipv4Addr::LOCALHOST));
    let digest = hex::encode(Sha256::digest(like));
    let binary = std::env::current_exe().map_err(Error::io("cannot tell where the tests are"))?;
    let beside = binary.parent().unwrap_or(Path::new("."));
    let template = beside.join(format!("samba-domain-{}", digest.get(..16).unwrap_or_default()));
    if template.is_dir() {
        return Ok(template);
    }
    let made = tempfile::Builder::new()
        .prefix("samba-domain-")
        .tempdir_in(beside)
        .map_err(Error::io("cannot make a directory for a domain"))?;
    provision(made.path())?;
    // Another process may have been quicker. Then this one goes, and that one is as good.
    let _ = fs::rename(made.path(), &template);
    Ok(template)
}

fn provision(dir: &Path) -> Result<(), Error> {
    let (config, address) = (dir.join("smb.conf"), Ipv4Addr::LOCALHOST);
    fs::write(&config, configuration(dir, address)).map_err(Error::io("cannot write smb.conf"))?;
    let mut command = Command::new("samba-tool");
    command.env("TDB_NO_FSYNC", "1").args(["domain", "provision", "--quiet", "--configfile"]).arg(config);
    command.args(["--realm=CORP.EXAMPLE", "--server-role=dc", "--host-name=DC1"]);
    // With DNS partitions, so that searches from the root end with the references they end with everywhere.
    command.arg("--dns-backend=SAMBA_INTERNAL");
    command.arg(format!("--domain={NETBIOS}")).arg(format!("--host-ip={address}"));
    output(&mut command).map(drop)
}

/// All paths within `dir`, so that nothing of the machine's own Samba is read or written.
pub(super) fn configuration(dir: &Path, address: Ipv4Addr) -> String {
    let dir = dir.display();
    let mut text = format!(
        "[global]\nworkgroup = {NETBIOS}\nrealm = CORP.EXAMPLE\nnetbios name = DC1\n\
         server role = active directory domain controller\n\
         server services = ldap\ndcerpc endpoint servers = none\n\
         interfaces = {address}/8\nbind interfaces only = yes\nlog file = {dir}/samba.log\n\
         tls cafile = {dir}/ca.pem\ntls certfile = {dir}/cert.pem\ntls keyfile = {dir}/key.pem\n"
    );
    for (setting, path) in [
        ("lock directory", "."),
        ("pid directory", "."),
        ("private dir", "private"),
        ("state directory", "state"),
        ("cache directory", "cache"),
        ("binddns dir", "dns"),
        ("ncalrpc dir", "rpc"),
    ] {
        text.push_str(&format!("{setting} = {dir}/{path}\n"));
    }
    text.push_str(&format!(
        "[sysvol]\npath = {dir}/sysvol\n[netlogon]\npath = {dir}/sysvol/corp.example/scripts\n"
    ));
    text
}
