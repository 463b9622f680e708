//! Logging in and out, and what is kept in between.

use crate::fake::{Fake, TOKEN};
use crate::shell::Shell;
use std::os::unix::fs::MetadataExt as _;

fn log_in(shell: &Shell, url: &str) -> String {
    let args = ["login", "--url", url, "--username", "alice", "--password-stdin"];
    shell.run_with_input(&args, "alice-demo\n").ok()
}

#[test]
fn a_login_is_kept_for_its_address_and_readable_by_its_owner_alone() {
    let (fake, shell) = (Fake::start(), Shell::new());
    assert_eq!(
        log_in(&shell, &fake.url),
        format!("Logged in to {} as alice until 2999-01-01T00:00:00.000Z.\n", fake.url)
    );
    assert_eq!(fake.last().body, "{\"username\":\"alice\",\"password\":\"alice-demo\"}");
    let metadata = std::fs::metadata(shell.credentials()).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    let directory = std::fs::metadata(shell.credentials().parent().unwrap()).unwrap();
    assert_eq!(directory.mode() & 0o777, 0o700);
    // The address need not be said again, and another has no credential.
    shell.run(&["whoami"]).ok();
    assert_eq!(fake.last().header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let told = shell.run(&["whoami", "--url", "http://127.0.0.1:1"]).failed(3);
    assert!(
        told.contains("not logged in to http://127.0.0.1:1") && told.contains("doorman login --url"),
        "{told}"
    );
}

#[test]
fn a_wrong_password_says_what_doorman_says() {
    let (fake, shell) = (Fake::start(), Shell::new());
    let args = ["login", "--url", &fake.url, "--username", "alice", "--password-stdin"];
    let told = shell.run_with_input(&args, "wrong").failed(3);
    assert!(told.contains("(bad_credentials)") && told.contains("next: check caps lock"), "{told}");
    assert!(!shell.credentials().exists());
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let shell = Shell::new();
    assert!(shell.run(&["login"]).failed(1).contains("give --username"));
}

#[test]
fn logging_out_revokes_the_token_and_forgets_it() {
    let (fake, shell) = (Fake::start(), Shell::new());
    log_in(&shell, &fake.url);
    shell.run(&["logout"]).ok();
    assert_eq!(fake.last().uri, "/auth/v1/logout");
    assert!(!std::fs::read_to_string(shell.credentials()).unwrap().contains(TOKEN));
    shell.run(&["whoami"]).failed(3);
}

#[test]
fn logging_out_with_a_dead_token_forgets_it_all_the_same() {
    let (fake, shell) = (Fake::start(), Shell::new());
    log_in(&shell, &fake.url);
    let kept = std::fs::read_to_string(shell.credentials()).unwrap().replace(TOKEN, "dead");
    std::fs::write(shell.credentials(), &kept).unwrap();
    shell.run(&["logout"]).ok();
    assert!(!std::fs::read_to_string(shell.credentials()).unwrap().contains("dead"));
}

#[test]
fn an_expired_login_is_not_sent() {
    let (fake, shell) = (Fake::start(), Shell::new());
    log_in(&shell, &fake.url);
    let kept = std::fs::read_to_string(shell.credentials()).unwrap().replace("2999", "2020");
    std::fs::write(shell.credentials(), kept).unwrap();
    let before = fake.count();
    assert!(shell.run(&["regions"]).failed(3).contains("ended at 2020"));
    assert_eq!(fake.count(), before);
}

#[test]
fn who_i_am_is_shown_without_what_a_terminal_would_act_on() {
    let fake = Fake::start();
    let told = Shell::logged_in(&fake.url).run(&["whoami"]).ok();
    assert!(told.contains("name     Alice\n") && told.contains("audit:read"), "{told:?}");
    let json = Shell::logged_in(&fake.url).run(&["whoami", "--json"]).ok();
    assert!(!json.contains(['\u{1b}', '\u{202e}']), "{json:?}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["user"]["display_name"], "Al\u{1b}[2Jice\u{202e}");
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    let fake = Fake::start();
    let shell = Shell::at(&fake.url).with("DOORMAN_TOKEN", "bad");
    let error: serde_json::Value =
        serde_json::from_str(&shell.run(&["regions", "--json"]).failed(3)).unwrap();
    assert_eq!(error["code"], "token_revoked");
    let told = shell.run(&["regions"]).failed(3);
    assert!(told.contains("next: doorman login") && !told.contains('\u{1b}'), "{told:?}");
}

#[test]
fn a_doorman_that_is_not_there_is_told_from_one_that_refuses() {
    let told = Shell::logged_in("http://127.0.0.1:1").run(&["regions"]).failed(6);
    assert!(told.contains("http://127.0.0.1:1") && told.contains("DOORMAN_URL"), "{told}");
    let told = Shell::logged_in("http://u:p@127.0.0.1:1").run(&["regions"]).failed(1);
    assert!(told.contains("user name or password"), "{told}");
}

#[test]
fn the_catalog_is_listed() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    assert_eq!(shell.run(&["regions"]).ok(), "REGION  HEALTH\neu      healthy\n");
    assert_eq!(
        shell.run(&["services", "eu"]).ok(),
        "SERVICE  PROTOCOL  HEALTHY\necho     http1     1 of 2\n"
    );
    let told = shell.run(&["instances", "eu", "echo"]).ok();
    assert!(told.contains("echo-1") && told.contains("zone=a") && told.contains("unknown"), "{told}");
    let told = shell.run(&["services", "mars"]).failed(5);
    assert!(told.contains("next: doorman regions"), "{told}");
}
