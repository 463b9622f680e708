//! Policies change while Doorman runs.

use std::fs;

use doorman_policy::{PolicyStore, ReloadOutcome};
use tempfile::tempdir;

use crate::{context, user};

const PERMIT: &str = r#"permit (principal, action == Action::"request", resource);"#;

fn permits(store: &PolicyStore) -> bool {
    store.current().decide_request(&user("alice", &[]), "eu", "echo", &context("GET")).permit
}

#[test]
fn changed_files_take_effect_as_a_new_version() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a.cedar"), PERMIT).unwrap();
    let store = PolicyStore::open(dir.path()).unwrap();
    assert!(permits(&store));
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Unchanged);

    fs::write(dir.path().join("b.cedar"), PERMIT.replace("permit", "forbid")).unwrap();
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Reloaded { version: 2 });
    assert!(!permits(&store));
    assert_eq!((store.version(), store.current().version()), (2, 2));

    fs::remove_file(dir.path().join("b.cedar")).unwrap();
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Reloaded { version: 3 });
    assert!(permits(&store));
}

#[test]
fn a_rewritten_file_of_the_same_content_changes_nothing() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a.cedar"), PERMIT).unwrap();
    let store = PolicyStore::open(dir.path()).unwrap();
    fs::write(dir.path().join("a.cedar"), PERMIT).unwrap();
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Unchanged);
    assert_eq!(store.version(), 1);
}

#[test]
fn a_bad_file_is_refused_once_with_its_line_and_the_old_set_stays() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a.cedar"), PERMIT).unwrap();
    let store = PolicyStore::open(dir.path()).unwrap();

    fs::write(
        dir.path().join("bad.cedar"),
        "// comment\nforbid (principal, action, resource) when { nonsense };",
    )
    .unwrap();
    let ReloadOutcome::Refused(error) = store.reload_if_changed() else { panic!("must be refused") };
    assert_eq!(error.problems[0].line, 2);
    assert!(error.problems[0].file.ends_with("bad.cedar"), "{error}");
    assert!(permits(&store) && store.version() == 1);
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Unchanged, "said once");
    assert_eq!(store.last_refusal(), Some(error));

    fs::write(dir.path().join("bad.cedar"), PERMIT.replace("permit", "forbid")).unwrap();
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Reloaded { version: 2 });
    assert!(!permits(&store));
    assert_eq!(store.last_refusal(), None);
}

#[test]
fn a_directory_that_vanishes_leaves_the_old_set_in_force() {
    let dir = tempdir().unwrap();
    let policies = dir.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("a.cedar"), PERMIT).unwrap();
    let store = PolicyStore::open(&policies).unwrap();
    fs::rename(&policies, dir.path().join("away")).unwrap();
    assert!(matches!(store.reload_if_changed(), ReloadOutcome::Refused(_)));
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Unchanged, "said once");
    assert!(permits(&store));
    fs::rename(dir.path().join("away"), &policies).unwrap();
    assert_eq!(store.reload_if_changed(), ReloadOutcome::Unchanged);
    assert_eq!(store.last_refusal(), None);
}

#[test]
fn there_is_no_store_without_a_good_set() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a.cedar"), "permit").unwrap();
    assert!(PolicyStore::open(dir.path()).is_err());
    assert!(PolicyStore::open(&dir.path().join("nowhere")).is_err());
}
