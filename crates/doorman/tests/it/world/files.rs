//! The files that the processes of a world are started from.

use super::Upstream;
use doorman_policy::demo_policies;
use doorman_testkit::database::free_port;
use doorman_testkit::tls::Ca;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const TARGET_POLICIES: &str = r#"
@id("developers-target")
permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"target")
when { context.method == "GET" && context.path like "/public/*" };

@id("operators-target")
permit (principal in Group::"operators", action == Action::"request", resource in ServiceName::"target");
"#;

/// Replicas are one Doorman to their clients: a token of one is good at all.
const SAME_FOR_ALL: &str = "public_url = \"http://doorman.test\"\n";

pub(super) fn write_policies(data: &Path, more: &[(String, String)]) {
    let usual = demo_policies().iter().map(|(name, text)| (*name, *text));
    let more = more.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    for (name, text) in usual.chain([("target.cedar", TARGET_POLICIES)]).chain(more) {
        write(&data.join("policies").join(name), text);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A free port that no other world of this test process has or had.
fn own_port() -> SocketAddr {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let port = free_port().unwrap();
        let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if taken.get_or_insert_default().insert(port) {
            return SocketAddr::from(([127, 0, 0, 1], port));
        }
    }
}

fn server(listen: SocketAddr, more: &str, tls: Option<(&Ca, bool)>) -> String {
    let mut text = format!("[server]\nlisten = \"{listen}\"\ndrain = \"5s\"\n{more}\n");
    if let Some((ca, is_mutual)) = tls {
        let pair = ca.server(&["localhost", "127.0.0.1"]).unwrap();
        write!(text, "[server.tls]\ncert_file = {:?}\nkey_file = {:?}\n", pair.cert, pair.key).unwrap();
        if is_mutual {
            writeln!(text, "client_ca_file = {:?}", ca.cert()).unwrap();
        }
    }
    text
}

/// What goes into the file of an `api`.
pub(super) struct Api<'a> {
    pub data: &'a Path,
    pub number: usize,
    pub ca: Option<&'a Ca>,
    pub database: &'a str,
    pub ldap: SocketAddr,
    /// A separate `auth`, and what `[auth]` says besides.
    pub auth: Option<(SocketAddr, &'a str)>,
    /// Whether proxies are asked for links.
    pub linked: bool,
    pub more: &'a str,
}

impl Api<'_> {
    /// Writes the file; gives its path, and where the process will listen.
    pub fn write(&self, links: &BTreeMap<String, Vec<SocketAddr>>) -> (PathBuf, SocketAddr) {
        let listen = own_port();
        let at = |name: &str| self.data.join(name);
        let mut text = server(listen, SAME_FOR_ALL, self.ca.map(|ca| (ca, false)));
        write!(
            text,
            "[database]\nurl = {:?}\n\n[keys]\ndir = {:?}\n\n[policy]\ndir = {:?}\n\n",
            self.database,
            at("keys"),
            at("policies"),
        )
        .unwrap();
        match self.auth {
            None => text.push_str(&directory(self.data, self.ldap)),
            Some((address, more)) => {
                let (scheme, ca) = match self.ca {
                    None => ("http", String::new()),
                    Some(ca) => ("https", format!("ca_file = {:?}\n", ca.cert())),
                };
                write!(text, "[auth]\nurl = \"{scheme}://{address}\"\n{ca}{more}\n").unwrap();
            }
        }
        // The rest of [journal] may come from the plan.
        let statements =
            format!("[journal]\nstatements = {:?}\n", at(&format!("statements-{}", self.number)));
        match self.more.split_once("[journal]\n") {
            None => write!(text, "{statements}{}", self.more).unwrap(),
            Some((before, after)) => write!(text, "{before}{statements}{after}").unwrap(),
        }
        for (region, proxies) in links {
            write!(text, "\n[[regions]]\nname = \"{region}\"\nlink = {}\n", self.linked).unwrap();
            for address in proxies {
                text.push_str(&self.link(*address));
            }
        }
        let path = self.data.join(format!("config/api-{}.toml", self.number));
        write(&path, &text);
        (path, listen)
    }

    fn link(&self, address: SocketAddr) -> String {
        let Some(ca) = self.ca else { return format!("[[regions.proxies]]\nurl = \"http://{address}\"\n") };
        let pair = ca.client("api").unwrap();
        format!(
            "[[regions.proxies]]\nurl = \"https://{address}\"\nca_file = {:?}\nclient_cert_file = {:?}\nclient_key_file = {:?}\n",
            ca.cert(),
            pair.cert,
            pair.key
        )
    }
}

fn directory(data: &Path, ldap: SocketAddr) -> String {
    let password = data.join("directory-password");
    write(&password, "doorman-demo");
    format!(
        "[directory]\nkind = \"openldap\"\nurls = [\"ldap://{ldap}\"]\nbase_dns = [\"dc=demo\"]\nstart_tls = false\n\
         bind_dn = \"cn=doorman,dc=demo\"\nbind_password_file = {password:?}\n\
         # It lives in the tests' own process, which may have to wait for its turn on a busy machine.\n\
         deadline = \"20s\"\n\n"
    )
}

/// Writes the file of an `auth`; gives its path, and where the process will listen.
pub(super) fn write_auth(
    data: &Path,
    ca: Option<&Ca>,
    database: &str,
    ldap: SocketAddr,
    more: &str,
) -> (PathBuf, SocketAddr) {
    let listen = own_port();
    let mut text = server(listen, "", ca.map(|ca| (ca, false)));
    write!(
        text,
        "[database]\nurl = {database:?}\n\n[keys]\ndir = {:?}\n\n[clients]\npublic_file = {:?}\n\n{}\
         [auth]\nissuer = \"http://doorman.test\"\n{more}\n",
        data.join("auth-keys"),
        data.join("keys/public.json"),
        directory(data, ldap),
    )
    .unwrap();
    let path = data.join("config/auth.toml");
    write(&path, &text);
    (path, listen)
}

/// What goes into the file of a proxy.
pub(super) struct Proxy<'a> {
    pub data: &'a Path,
    pub region: &'a str,
    pub number: usize,
    pub ca: Option<&'a Ca>,
    pub more: &'a str,
}

impl Proxy<'_> {
    /// Writes the file; gives its path, and where the process will listen.
    pub fn write<'u>(&self, upstreams: impl Iterator<Item = &'u Upstream>) -> (PathBuf, SocketAddr) {
        let listen = own_port();
        let name = format!("{}-{}", self.region, self.number);
        let mut text = server(listen, "", self.ca.map(|ca| (ca, true)));
        write!(
            text,
            "[region]\nname = {:?}\n\n[keys]\npublic_file = {:?}\n\n[data]\ndir = {:?}\n\n{}",
            self.region,
            self.data.join("keys/public.json"),
            self.data.join("proxies").join(&name),
            self.more,
        )
        .unwrap();
        for Upstream { name, toml, instances } in upstreams {
            write!(text, "\n[[services]]\nname = {name:?}\n{toml}\n").unwrap();
            for (id, url) in instances {
                write!(text, "[[services.instances]]\nid = {id:?}\naddress = {url:?}\n").unwrap();
            }
        }
        let path = self.data.join(format!("config/proxy-{name}.toml"));
        write(&path, &text);
        (path, listen)
    }
}
