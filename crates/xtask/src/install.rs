//! The programs that tests drive: real directory and database servers. Installs what is missing, by apt-get.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{Failure, command, execute, output, succeeds};

/// A Debian package, and files of which any shows that it is there.
struct Need {
    package: &'static str,
    files: &'static [&'static str],
}

/// A `*` stands for one directory of any name.
const NEEDS: [Need; 23] = [
    Need { package: "gcc", files: &["/usr/bin/cc", "/usr/local/bin/cc"] },
    Need { package: "slapd", files: &["/usr/sbin/slapd", "/usr/local/sbin/slapd"] },
    Need { package: "python3", files: &["/usr/bin/python3", "/usr/local/bin/python3"] },
    // What makes virtual environments.
    Need {
        package: "python3-venv",
        files: &["/usr/lib/*/ensurepip/__init__.py", "/usr/local/lib/*/ensurepip/__init__.py"],
    },
    Need { package: "curl", files: &["/usr/bin/curl"] },
    Need { package: "chromium", files: &["/usr/bin/chromium"] },
    Need { package: "npm", files: &["/usr/bin/npm", "/usr/local/bin/npm"] },
    Need { package: "slapd-contrib", files: &["/usr/lib/ldap/pw-pbkdf2.so"] },
    Need { package: "ldap-utils", files: &["/usr/bin/ldapadd", "/usr/local/bin/ldapadd"] },
    Need { package: "samba-ad-dc", files: &["/usr/sbin/samba"] },
    Need { package: "samba-ad-provision", files: &["/usr/share/samba/setup/provision.ldif"] },
    Need { package: "samba-dsdb-modules", files: &["/usr/lib/*/samba/ldb/samldb.so"] },
    Need { package: "samba-vfs-modules", files: &["/usr/lib/*/samba/vfs/acl_xattr.so"] },
    Need { package: "winbind", files: &["/usr/sbin/winbindd"] },
    Need { package: "ldb-tools", files: &["/usr/bin/ldbadd"] },
    Need { package: "mariadb-server", files: &["/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd"] },
    Need { package: "dnsmasq-base", files: &["/usr/sbin/dnsmasq"] },
    Need { package: "nats-server", files: &["/usr/sbin/nats-server"] },
    Need { package: "rsyslog", files: &["/usr/sbin/rsyslogd"] },
    Need { package: "rsyslog-openssl", files: &["/usr/lib/*/rsyslog/lmnsd_ossl.so"] },
    // The compiler tells it from a runtime alone: the test cluster is started from its source.
    Need { package: "default-jdk-headless", files: &["/usr/bin/javac", "/usr/local/bin/javac"] },
    Need { package: "maven", files: &["/usr/bin/mvn", "/usr/local/bin/mvn"] },
    Need { package: "postgresql", files: &["/usr/lib/postgresql/*/bin/postgres", "/usr/local/bin/postgres"] },
];

/// Makes sure that everything is there, or fails naming what is not.
pub fn ensure() -> Result<(), Failure> {
    let missing: Vec<&str> = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    println!("missing: {packages}; installing takes a minute or two");
    if !succeeds(&mut command(["apt-get", "--version"])) {
        return Err(format!("no apt-get here; install what provides: {packages}").into());
    }
    if lists_are_empty() {
        execute(apt_get()?.arg("update"))?;
    }
    let install =
        || execute(apt_get()?.args(["install", "--yes", "--no-install-recommends"]).args(missing.iter()));
    // A package that is not found where the lists say means that the lists are old.
    install().or_else(|_| {
        execute(apt_get()?.arg("update"))?;
        install()
    })?;
    match self::missing().join(" ") {
        still if still.is_empty() => Ok(()),
        still => Err(format!("installed, yet not found where expected: {still}").into()),
    }
}

fn missing() -> Vec<&'static str> {
    NEEDS.iter().filter(|need| !need.files.iter().any(|path| exists(path))).map(|need| need.package).collect()
}

fn exists(pattern: &str) -> bool {
    let Some((parent, rest)) = pattern.split_once("/*/") else { return Path::new(pattern).exists() };
    fs::read_dir(parent).into_iter().flatten().flatten().any(|entry| entry.path().join(rest).exists())
}

fn lists_are_empty() -> bool {
    let mut lists = fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    !lists.any(|entry| entry.file_name().to_string_lossy().contains("Packages"))
}

/// `apt-get` that asks nothing, waits for others to finish, and starts no service.
fn apt_get() -> Result<Command, Failure> {
    let root = output(&mut command(["id", "-u"]))?.trim() == "0";
    let mut apt_get = Command::new(if root { "env" } else { "sudo" });
    if !root {
        apt_get.arg("env");
    }
    // In run level 1 the package scripts start no service.
    apt_get.args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"]);
    apt_get.args(["--option", "DPkg::Lock::Timeout=300", "--quiet"]);
    Ok(apt_get)
}
