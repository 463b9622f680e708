//! A release carries the console, so it is compiled again when that was built again. Building it is `cargo xtask ui`'s
//! duty: npm has no place inside `cargo check`, editors and sandboxes.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Debug builds read the files when they run, from a folder that must be there when they are compiled.
    let _ = std::fs::create_dir_all("../../web/dist");
    if std::env::var_os("PROFILE").is_none_or(|profile| profile != "release") {
        return;
    }
    println!("cargo:rerun-if-changed=../../web/dist");
    if !Path::new("../../web/dist/index.html").exists() {
        println!("cargo:warning=the console is not built and will be missing: run `cargo xtask ui` first");
    }
}
