//! `cargo xtask ui`: the web interface, built only when its sources are newer than the last build.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::node::{self, npm_world};
use crate::run::{Failure, execute};

/// The reviewed OpenAPI document, from which the interface's client is generated.
const CONTRACT: &str = "crates/api/tests/it/snapshots/it__openapi__the_document_is_served_as_reviewed.snap";

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
    node::require()?;
    install()?;
    execute(npm_world(["npm", "run", "build"]).current_dir("web"))
}

/// Checks types, runs the unit tests, and drives the built interface in Chromium against the binary in `target/debug`.
pub fn test() -> Result<(), Failure> {
    install()?;
    for script in ["check", "test", "test:browser"] {
        execute(npm_world(["npm", "run", script]).current_dir("web"))?;
    }
    Ok(())
}

fn install() -> Result<(), Failure> {
    let installed = modified(Path::new("web/node_modules/.package-lock.json"));
    if installed >= modified(Path::new("web/package-lock.json")) {
        return Ok(());
    }
    // Install scripts of packages are code that nobody reviewed.
    execute(npm_world(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir("web"))
}

/// Builds the interface if Node is there; without it everything but the interface still works.
pub fn build_if_possible() -> Result<(), Failure> {
    if Path::new("web/package.json").exists()
        && !is_fresh()
        && let Err(missing) = node::require()
    {
        println!("NOT built, the web interface: {missing}");
        return Ok(());
    }
    build()
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
