//! Which crates may depend on which: the rules that keep the send path single and the proxy small.

use crate::run::{Failure, command, output};

/// The forwarder, and the only crates that may depend on it: nothing else can send to a live service.
const FORWARDER: &str = "doorman-egress";
const MAY_FORWARD: [&str; 2] = ["doorman-door", "doorman-proxy"];

/// What a crate must not link, however indirectly.
const NOT_LINKED: [(&str, &[&str]); 4] = [
    ("doorman-core", &["tokio", "hyper", "sqlx", "reqwest"]),
    ("doorman-egress", &["reqwest"]),
    ("doorman-door", &["reqwest"]),
    ("doorman-proxy", &["sqlx", "sqlx-core", "ldap3", "cedar-policy", "cedar-policy-core", "reqwest"]),
];

/// What nothing links, tests included: there is one TLS and crypto provider, aws-lc.
const NOWHERE: [&str; 4] = ["ring", "openssl", "openssl-sys", "native-tls"];

/// Checks every rule and names each breach.
pub fn check() -> Result<(), Failure> {
    let mut breaches = Vec::new();
    let direct = tree(&["--workspace", "--depth", "1", "--edges", "normal,build", "--prefix", "depth"])?;
    breaches.extend(forwards_without_right(&direct));
    for (package, banned) in NOT_LINKED {
        let linked = tree(&["--package", package, "--edges", "normal", "--prefix", "none"])?;
        breaches.extend(named(&linked, banned).map(|name| format!("{package} links {name}")));
    }
    let all = tree(&["--workspace", "--edges", "normal,build,dev", "--prefix", "none"])?;
    breaches
        .extend(named(&all, &NOWHERE).map(|name| format!("something links {name}: `cargo tree -i {name}`")));
    if breaches.is_empty() { Ok(()) } else { Err(breaches.join("\n       ").into()) }
}

fn tree(args: &[&str]) -> Result<String, Failure> {
    output(command(["cargo", "tree", "--format", "{p}"]).args(args))
}

/// In a tree of depth 1 a line starts with `0` for a member and `1` for what it depends on.
fn forwards_without_right(tree: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut member = "";
    for line in tree.lines() {
        if let Some(name) = line.strip_prefix('0') {
            member = package(name);
        } else if line.strip_prefix('1').map(package) == Some(FORWARDER) && !MAY_FORWARD.contains(&member) {
            breaches.push(format!("{member} depends on {FORWARDER}"));
        }
    }
    breaches
}

fn named<'a>(tree: &str, banned: &[&'a str]) -> impl Iterator<Item = &'a str> {
    banned.iter().copied().filter(|name| tree.lines().any(|line| package(line) == *name))
}

/// The name in `name v1.2.3 (…)`.
fn package(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_crates_may_forward() {
        let tree = "0doorman-door v0.1.0 (/x)\n1doorman-egress v0.1.0 (/x)\n\n0doorman-api v0.1.0 (/x)\n1axum v0.8.9\n1doorman-egress v0.1.0 (/x)\n";
        assert_eq!(forwards_without_right(tree), ["doorman-api depends on doorman-egress"]);
    }

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let tree = "hyper v1.0.0\nopenssl-probe v0.2.0\nring v0.17.0 (*)\n";
        assert_eq!(named(tree, &NOWHERE).collect::<Vec<_>>(), ["ring"]);
    }
}
