//! `doorman curl`, with a curl that tells what it was given, and with the real one.

use crate::fake::{Fake, TOKEN};
use crate::shell::{Ended, Shell};
use std::os::unix::fs::PermissionsExt as _;

/// Tells its arguments, and its configuration behind them.
const STUB: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\"\necho --\ncat \"${2#-}\" 2>/dev/null || cat\nls -l \"$2\" 2>/dev/null\nenv | grep -c TOKEN\nexit 7\n";

fn with_stub(url: &str, args: &[&str]) -> Ended {
    let shell = Shell::logged_in(url);
    shell.write("bin/curl", STUB);
    let path = shell.path().join("bin/curl");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", shell.path().join("bin").display());
    shell.with("PATH", &path).run(&[&["curl"], args].concat())
}

#[test]
fn the_token_is_in_no_argument_and_not_in_the_environment() {
    let told = with_stub("http://127.0.0.1:8440", &["-s", "-XPOST", "eu/echo/x?y=1", "-d", "a/b"]);
    assert_eq!(told.code, 7);
    let (args, config) =
        told.stdout.split_once("--\n").map(|(_, _)| told.stdout.rsplit_once("--\n").unwrap()).unwrap();
    assert_eq!(args, "--config\n-\n-s\n-XPOST\nhttp://127.0.0.1:8440/r/eu/echo/x?y=1\n-d\na/b\n");
    assert_eq!(config, format!("header = \"Authorization: Bearer {TOKEN}\"\nnoproxy = \"*\"\n0\n"));
}

#[test]
fn a_body_from_standard_input_leaves_it_to_curl() {
    let told = with_stub("http://127.0.0.1:8440", &["eu/echo/", "-d", "@-"]);
    assert_eq!(told.code, 7);
    assert!(told.stdout.contains("-rw-------") && told.stdout.contains(TOKEN), "{told:?}");
    let path = told.stdout.lines().nth(1).unwrap();
    assert!(path.starts_with('/') && !std::path::Path::new(path).exists(), "{path}");
}

#[test]
fn credentials_of_the_service_go_to_it_and_ours_beside_them() {
    let told = with_stub("http://127.0.0.1:8440", &["-u", "a:b", "eu/echo/"]);
    assert!(told.stdout.contains(&format!("header = \"Doorman-Token: {TOKEN}\"")), "{told:?}");
}

#[test]
fn the_token_goes_to_no_other_host() {
    for url in [
        "http://evil.example/",
        "http://127.0.0.1:8440.evil.example/",
        "http://127.0.0.1:8440@evil.example/",
        "evil.example",
        "eu",
    ] {
        let told = with_stub("http://127.0.0.1:8440", &[url]);
        assert_eq!((told.code, told.stdout.as_str()), (1, ""), "{url}");
    }
    let told = with_stub("http://127.0.0.1:8440", &["http://127.0.0.1:8440/r/eu/echo/"]);
    assert_eq!(told.code, 7);
}

#[test]
fn the_real_curl_goes_through_the_door() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    let told = shell
        .run(&[
            "curl",
            "-sS",
            "-X",
            "PUT",
            "eu/echo/a%2Fb?c",
            "--data-binary",
            "x",
            "-H",
            "Doorman-Reason: r",
        ])
        .ok();
    assert_eq!(told, "hel\u{1b}[31mlo\n");
    let seen = fake.last();
    assert_eq!(
        (seen.method.as_str(), seen.uri.as_str(), seen.body.as_str()),
        ("PUT", "/r/eu/echo/a%2Fb?c", "x")
    );
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    shell.run_with_input(&["curl", "-sS", "-u", "a:b", "eu/echo/", "-d", "@-"], "piped").ok();
    let seen = fake.last();
    assert_eq!((seen.body.as_str(), seen.header("doorman-token")), ("piped", Some(TOKEN)));
    assert_eq!(seen.header("authorization"), Some("Basic YTpi"));
    assert_eq!(shell.run(&["curl", "-sSf", "eu/echo/teapot"]).code, 22);
}
