//! A private OpenLDAP server with the habits that trap clients: group membership and password policy overlays, a limit
//! on entries, and anonymous success for a name with an empty password.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Account, Daemon, Error, output};
use crate::database::free_port;
use crate::tls::Pair;

/// The name under which everything is.
pub const BASE: &str = "dc=corp,dc=example";
/// The service account that [`Slapd::start`] makes; it sees everything but what [`Options::hidden`] names.
pub const SERVICE: &str = "cn=doorman,dc=corp,dc=example";
/// Its password.
pub const SERVICE_PASSWORD: &str = "service-secret";

const ROOT: &str = "cn=root,dc=corp,dc=example";
const ROOT_PASSWORD: &str = "root-secret";
/// Where distributions keep the schema.
const SCHEMA: [&str; 3] = ["/etc/ldap/schema", "/etc/openldap/schema", "/usr/local/etc/openldap/schema"];

/// How to start a server.
#[derive(Default)]
pub struct Options {
    /// For `ldaps` and StartTLS. Without it there is neither.
    pub tls: Option<Pair>,
    /// An entry that the service account does not see.
    pub hidden: Option<String>,
    /// The most entries in one answer to a search, pages together; 0 for the default of 500.
    pub size_limit: u32,
    /// More lines for the head of `slapd.conf`.
    pub global: String,
}

/// A running server. It ends, and its files go, when the value is dropped or the test process is gone.
pub struct Slapd {
    daemon: Daemon,
    port: u16,
    tls_port: u16,
}

impl Slapd {
    /// Starts a server that holds the base, `ou=people`, `ou=groups`, the service account and a password policy.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix("doorman-slapd-")
            .tempdir()
            .map_err(Error::io("cannot make a directory for slapd"))?;
        let config = dir.path().join("slapd.conf");
        fs::write(&config, configuration(dir.path(), options))
            .map_err(Error::io("cannot write slapd.conf"))?;
        fs::create_dir(dir.path().join("data")).map_err(Error::io("cannot make slapd's data directory"))?;
        let (port, tls_port) = (free_port()?, free_port()?);
        let mut listen = format!("ldap://127.0.0.1:{port}");
        if options.tls.is_some() {
            listen.push_str(&format!(" ldaps://127.0.0.1:{tls_port}"));
        }
        // Not forking, and without a word but errors.
        let args = ["-d", "0", "-f", &config.to_string_lossy(), "-h", &listen].map(str::to_owned).to_vec();
        let daemon = Daemon::new(Account::named("root")?, "slapd", args, dir);
        let slapd = Self { daemon, port, tls_port };
        slapd.restart()?;
        slapd.add(&skeleton())?;
        Ok(slapd)
    }

    /// Starts it again after `daemon().kill()` or `stop()`, at its old ports with its old data.
    pub fn restart(&self) -> Result<(), Error> {
        self.daemon.start(|| TcpStream::connect(("127.0.0.1", self.port)).is_ok())
    }

    /// Adds the entries of an LDIF text, one after the other, so that overlays see them.
    pub fn add(&self, ldif: &str) -> Result<(), Error> {
        self.administer("ldapadd", ldif)
    }

    /// Makes the changes of an LDIF text.
    pub fn modify(&self, ldif: &str) -> Result<(), Error> {
        self.administer("ldapmodify", ldif)
    }

    /// What the administrator reads of an entry, as LDIF.
    pub fn read(&self, dn: &str, attribute: &str) -> Result<String, Error> {
        let mut search = self.client("ldapsearch");
        output(search.args(["-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", dn, attribute]))
    }

    /// `ldap://…`
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// `ldaps://…`
    pub fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// The process, to be killed, frozen or watched.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    fn administer(&self, program: &str, ldif: &str) -> Result<(), Error> {
        let path =
            tempfile::NamedTempFile::new_in(self.daemon.dir()).map_err(Error::io("cannot write LDIF"))?;
        fs::write(path.path(), ldif).map_err(Error::io("cannot write LDIF"))?;
        output(self.client(program).arg("-f").arg(path.path())).map(drop)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-x", "-H", &self.url(), "-D", ROOT, "-w", ROOT_PASSWORD]);
        command
    }
}

fn configuration(dir: &Path, options: &Options) -> String {
    let schema = SCHEMA.iter().map(PathBuf::from).find(|dir| dir.is_dir()).unwrap_or_default();
    let mut text = String::new();
    for name in ["core", "cosine", "nis", "inetorgperson"] {
        text.push_str(&format!("include {}/{name}.schema\n", schema.display()));
    }
    // A name with an empty password succeeds as nobody, as it does in Active Directory.
    text.push_str("moduleload back_mdb\nmoduleload memberof\nmoduleload ppolicy\nallow bind_anon_dn\n");
    if let Some(Pair { cert, key }) = &options.tls {
        text.push_str(&format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            cert.display(),
            key.display()
        ));
    }
    if options.size_limit > 0 {
        text.push_str(&format!("sizelimit {}\n", options.size_limit));
    }
    text.push_str(&options.global);
    text.push_str(&format!(
        "\ndatabase mdb\nsuffix {BASE}\nrootdn {ROOT}\nrootpw {ROOT_PASSWORD}\ndirectory {}/data\n\
         maxsize 268435456\ndbnosync\nindex objectClass,uid,member eq\n\
         overlay memberof\nmemberof-group-oc groupOfNames\n\
         overlay ppolicy\nppolicy_default cn=policy,{BASE}\nppolicy_use_lockout\n",
        dir.display()
    ));
    if let Some(hidden) = &options.hidden {
        text.push_str(&format!("access to dn.base=\"{hidden}\" by dn.exact=\"{SERVICE}\" none by * auth\n"));
    }
    text.push_str(&format!(
        "access to attrs=userPassword by * auth\naccess to * by dn.exact=\"{SERVICE}\" read by users read by * none\n"
    ));
    text
}

fn skeleton() -> String {
    format!(
        "dn: {BASE}\nobjectClass: organization\nobjectClass: dcObject\no: corp\ndc: corp\n\n\
         dn: cn=policy,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n\
         pwdLockout: TRUE\npwdMaxFailure: 5\npwdLockoutDuration: 0\npwdMustChange: TRUE\n\n\
         dn: {SERVICE}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: doorman\n\
         userPassword: {SERVICE_PASSWORD}\n\n\
         dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{BASE}\nobjectClass: organizationalUnit\nou: groups\n"
    )
}
