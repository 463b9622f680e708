//! A private Active Directory domain: Samba as the only domain controller of `corp.example`, with the database of a real
//! one and of its services LDAP alone. Needs root: LDAP's ports are fixed, so each controller has a loopback address
//! of its own, and only root may listen there.

mod provision;

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::provision::copy_domain;
use crate::daemon::{Account, Daemon, Error, output};
use crate::tls::Ca;

/// The domain's naming context.
pub const BASE: &str = "DC=corp,DC=example";
/// The domain's short name.
pub const NETBIOS: &str = "CORP";
/// An ordinary user that [`Samba::start`] makes, to search with.
pub const SERVICE: &str = "CN=doorman,CN=Users,DC=corp,DC=example";
/// Its password.
pub const SERVICE_PASSWORD: &str = "service-secret";
/// Wrong passwords in half an hour that lock an account.
pub const LOCKOUT: usize = 5;

/// Everything that is run, and the Debian packages that hold it.
const PROGRAMS: [&str; 5] = ["samba", "samba-tool", "ldbadd", "ldbmodify", "ldbsearch"];
const PACKAGES: &str =
    "samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind ldb-tools";
const PORTS: [u16; 4] = [389, 636, 3268, 3269];

/// The control by which Samba lets its own tools write what it keeps of a password.
const PASSWORD_AS_GIVEN: &str = "--controls=local_oid:1.3.6.1.4.1.7165.4.3.12:0";

/// A running domain controller. It ends, and its files go, when the value is dropped or the test process is gone.
pub struct Samba {
    daemon: Daemon,
    address: Ipv4Addr,
}

impl Samba {
    /// Whether this process may run a controller at all.
    pub fn is_permitted() -> Result<bool, Error> {
        Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
    }

    /// Makes a new domain, adds the entries of an LDIF text to it, and starts its controller.
    pub fn start(ldif: &str) -> Result<Self, Error> {
        require_programs()?;
        let dir = tempfile::Builder::new()
            .prefix("doorman-samba-")
            .tempdir()
            .map_err(Error::io("cannot make a directory for samba"))?;
        let address = free_address()?;
        copy_domain(dir.path(), address)?;
        certify(dir.path(), address)?;

        let config = dir.path().join("smb.conf");
        let config = config.to_string_lossy().into_owned();
        // Interactive means in the foreground; `env` becomes the server.
        let args = ["TDB_NO_FSYNC=1", "samba", "--configfile", &config, "--interactive", "--model=single"];
        let args = args.map(str::to_owned).to_vec();
        let samba = Self { daemon: Daemon::new(Account::named("root")?, "env", args, dir), address };
        samba.modify(&policy())?;
        samba.add(&format!("{}{ldif}", service()))?;
        let ready = || TcpStream::connect((address, 636)).is_ok();
        samba.daemon.start(ready)?;
        Ok(samba)
    }

    /// Adds entries, as the system itself: it may set what administrators may not.
    pub fn add(&self, ldif: &str) -> Result<(), Error> {
        self.administer("ldbadd", &[], ldif)
    }

    /// Makes the changes of an LDIF text, as the system itself.
    pub fn modify(&self, ldif: &str) -> Result<(), Error> {
        self.administer("ldbmodify", &[], ldif)
    }

    /// Makes an account's password old, as time would.
    pub fn age_password(&self, dn: &str) -> Result<(), Error> {
        let ldif =
            format!("dn: {dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 116444736000000000\n");
        self.administer("ldbmodify", &[PASSWORD_AS_GIVEN], &ldif)
    }

    /// What an entry holds, as LDIF; operational attributes too.
    pub fn read(&self, dn: &str, attribute: &str) -> Result<String, Error> {
        output(self.ldb("ldbsearch").args(["-s", "base", "-b", dn, attribute]))
    }

    /// `ldap://…`, where no password is taken in clear.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// `ldaps://…`
    pub fn tls_url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// The certificate of the authority that vouches for the server.
    pub fn ca_file(&self) -> PathBuf {
        self.daemon.dir().join("ca.pem")
    }

    /// The process, to be killed, frozen or watched.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    fn administer(&self, program: &str, options: &[&str], ldif: &str) -> Result<(), Error> {
        let path =
            tempfile::NamedTempFile::new_in(self.daemon.dir()).map_err(Error::io("cannot write LDIF"))?;
        fs::write(path.path(), ldif).map_err(Error::io("cannot write LDIF"))?;
        let mut command = self.ldb(program);
        command.args(options).arg(path.path());
        let done = command.output().map_err(Error::io(format!("cannot run {program}")))?;
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        // These programs end well even if an entry in the middle was refused.
        let entries = ldif.lines().filter(|line| line.starts_with("dn:")).count();
        if said.contains(&format!(" {entries} records successfully")) {
            return Ok(());
        }
        Err(Error::Failed { program: format!("{program} of {entries} entries"), output: said })
    }

    fn ldb(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("TDB_NO_FSYNC", "1").arg("--configfile").arg(self.daemon.dir().join("smb.conf"));
        command.arg("-H").arg(self.daemon.dir().join("private/sam.ldb"));
        command
    }
}

/// The line of LDIF that sets an account's password.
pub fn password(text: &str) -> String {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    format!("clearTextPassword:: {}\n", STANDARD.encode(utf16))
}

fn require_programs() -> Result<(), Error> {
    for program in PROGRAMS {
        let found = Command::new(program).arg("--version").output();
        found.map_err(Error::io(format!("cannot run {program}; install {PACKAGES}")))?;
    }
    Ok(())
}

/// A loopback address on which LDAP's ports are free. Tests that run at the same time begin at different ones.
fn free_address() -> Result<Ipv4Addr, Error> {
    static STARTED: AtomicU8 = AtomicU8::new(0);
    let begin = 60 + STARTED.fetch_add(1, Ordering::Relaxed) % 90;
    let [.., high, low] = std::process::id().to_be_bytes();
    let is_free = |address: &Ipv4Addr| PORTS.iter().all(|port| TcpListener::bind((*address, *port)).is_ok());
    let mut addresses = (begin..begin + 90).map(|second| Ipv4Addr::new(127, second, high, low.clamp(1, 254)));
    addresses.find(is_free).ok_or_else(|| {
        let why = format!("no loopback address has the ports {PORTS:?} free; does a server listen on all?");
        Error::io("cannot place samba")(std::io::Error::new(std::io::ErrorKind::AddrInUse, why))
    })
}

/// Puts the server's certificate and its authority's into `dir`.
fn certify(dir: &Path, address: Ipv4Addr) -> Result<(), Error> {
    let failed = |error: crate::tls::Error| {
        Error::io("cannot make certificates for samba")(std::io::Error::other(error))
    };
    let ca = Ca::new().map_err(failed)?;
    let pair = ca.server(&[&address.to_string(), "dc1.corp.example"]).map_err(failed)?;
    for (from, name) in [(ca.cert(), "ca.pem"), (pair.cert, "cert.pem"), (pair.key, "key.pem")] {
        fs::copy(from, dir.join(name)).map_err(Error::io("cannot copy a certificate"))?;
    }
    // Samba refuses a key that others may read.
    fs::set_permissions(dir.join("key.pem"), Permissions::from_mode(0o600))
        .map_err(Error::io("cannot protect samba's key"))
}

/// Simple passwords, and locks that last as long as any test.
fn policy() -> String {
    let mut text = format!("dn: {BASE}\nchangetype: modify\n");
    for (attribute, value) in [
        ("pwdProperties", "0"),
        ("minPwdLength", "1"),
        ("minPwdAge", "0"),
        ("pwdHistoryLength", "0"),
        ("lockoutThreshold", &LOCKOUT.to_string()),
        ("lockoutDuration", "-18000000000"),
        ("lockOutObservationWindow", "-18000000000"),
    ] {
        text.push_str(&format!("replace: {attribute}\n{attribute}: {value}\n-\n"));
    }
    text
}

fn service() -> String {
    format!(
        "dn: {SERVICE}\nobjectClass: user\nsAMAccountName: doorman\nuserAccountControl: 512\n{}\n",
        password(SERVICE_PASSWORD)
    )
}
