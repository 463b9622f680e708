//! `cargo xtask ui`: the web interface, built only when its sources are newer than the last build.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::run::{Failure, command, execute, output};

/// The reviewed OpenAPI document, from which the interface's client is generated.
const CONTRACT: &str =
    "crates/api/tests/it/snapshots/it__openapi__the_document_is_served_as_reviewed.snap";
/// Vite's own requirement. Debian 12's Node is older.
const NODE: (u32, u32) = (20, 19);

/// Builds the interface; fails without Node.
pub fn build() -> Result<(), Failure> {
    if !Path::new("web/package.json").exists() {
        println!("there is no web interface yet");
        return Ok(());
    }
    if is_fresh() {
        println!("the web interface is up to date");
        return Ok(());
    }
    require_node()?;
    // Install scripts of packages are code that nobody reviewed.
    if modified(Path::new("web/node_modules/.package-lock.json"))
        < modified(Path::new("web/package-lock.json"))
    {
        execute(command(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir("web"))?;
    }
    execute(command(["npm", "run", "build"]).current_dir("web"))
}

/// Builds the interface if Node is there; without it everything but the interface still works.
pub fn build_if_possible() -> Result<(), Failure> {
    if Path::new("web/package.json").exists()
        && !is_fresh()
        && let Err(missing) = require_node()
    {
        println!("NOT built, the web interface: {missing}");
        return Ok(());
    }
    build()
}

fn require_node() -> Result<(), Failure> {
    let (major, minor) = NODE;
    let hint = format!("needs Node {major}.{minor} or newer");
    let version = output(&mut command(["node", "--version"])).map_err(|_| hint.as_str())?;
    if parse(&version).is_some_and(|version| version >= NODE) {
        return Ok(());
    }
    Err(format!("{hint}; this is {}", version.trim()).into())
}

/// `v20.19.1` as numbers.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn is_fresh() -> bool {
    let built = modified(Path::new("web/dist/index.html"));
    built.is_some() && newest(Path::new("web")).max(modified(Path::new(CONTRACT))) <= built
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// When the newest source below a directory was written.
fn newest(dir: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sources = entries.filter(|entry| entry.file_name() != "node_modules" && entry.file_name() != "dist");
    sources
        .filter_map(|entry| {
            let path = entry.path();
            if path.is_dir() { newest(&path) } else { modified(&path) }
        })
        .max()
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
