//! The key ring: rotation beside a running process, retirement, bad files.

use crate::rig::{Rig, wall_ms};
use doorman_auth::keys::{KEY_HISTORY_FILE, KEY_SET_FILE, retire, rotate};
use doorman_auth::{Clock, KeyRing};
use doorman_core::code::Code;
use doorman_core::keys::{KeyUse, PublicKeys};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn ring() -> (tempfile::TempDir, PathBuf, Clock, KeyRing) {
    let dir = tempfile::tempdir().unwrap();
    let (keys, clock) = (dir.path().join("keys"), Clock::manual(wall_ms()));
    let ring = KeyRing::open_or_create(&keys, &KeyUse::ALL, clock.clone()).unwrap();
    (dir, keys, clock, ring)
}

fn published(dir: &std::path::Path, name: &str) -> PublicKeys {
    PublicKeys::from_jwks(&std::fs::read_to_string(dir.join(name)).unwrap()).unwrap()
}

fn any(_: doorman_core::keys::KeyId) -> bool {
    true
}

#[test]
fn a_new_directory_gets_a_key_of_each_use_that_only_its_owner_can_read() {
    let (_guard, dir, clock, ring) = ring();
    for key_use in KeyUse::ALL {
        let key = ring.signing_key(key_use, clock.now_ms(), any).unwrap();
        assert!(ring.public_keys().find(key_use, key.id()).is_some());
    }
    assert_eq!(published(&dir, KEY_SET_FILE), *ring.public_keys());
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let is_private = path.extension().unwrap() == "key";
        assert_eq!(mode, if is_private { 0o600 } else { 0o644 }, "{}", path.display());
        assert_eq!(std::fs::read_to_string(&path).unwrap().contains("private_key"), is_private);
    }
    let again = KeyRing::open_or_create(&dir, &KeyUse::ALL, clock).unwrap();
    assert_eq!(again.public_keys(), ring.public_keys());
}

#[test]
fn a_new_key_verifies_at_once_signs_when_active_and_usable_and_the_old_one_retires() {
    let (_guard, dir, clock, ring) = ring();
    let old = ring.signing_key(KeyUse::Statement, clock.now_ms(), any).unwrap().id();
    let made = rotate(&dir, &[KeyUse::Statement], Duration::from_secs(3_600)).unwrap();
    let new = made[0].id;
    assert!(ring.reload_if_changed().unwrap() && !ring.reload_if_changed().unwrap());
    let signs = |usable: &dyn Fn(doorman_core::keys::KeyId) -> bool| {
        ring.signing_key(KeyUse::Statement, clock.now_ms(), usable).unwrap().id()
    };
    assert!(ring.public_keys().find(KeyUse::Statement, new).is_some());
    assert!(published(&dir, KEY_SET_FILE).find(KeyUse::Statement, new).is_some());
    assert_eq!(signs(&any), old);
    clock.advance(3_700_000);
    assert_eq!(signs(&any), new);
    assert_eq!(signs(&|id| id != new), old);
    assert_eq!(signs(&|_| false), new);
    clock.advance(8 * 86_400_000);
    assert!(ring.reload_if_changed().unwrap());
    assert_eq!(ring.public_keys().ids(KeyUse::Statement).collect::<Vec<_>>(), [new]);
    assert_eq!(signs(&|id| id != new), new);
    assert!(published(&dir, KEY_SET_FILE).find(KeyUse::Statement, old).is_none());
    assert!(published(&dir, KEY_HISTORY_FILE).find(KeyUse::Statement, old).is_some());
}

#[test]
fn a_bad_file_is_refused_once_and_the_old_ring_stays() {
    let (_guard, dir, clock, ring) = ring();
    let before = ring.public_keys();
    let file = dir.join("token-bad.key");
    std::fs::write(&file, "private_key = \"c2VjcmV0\"\nwhat = 1\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let error = ring.reload_if_changed().unwrap_err().to_string();
    assert!(error.contains("token-bad.key") && !error.contains("c2VjcmV0"), "{error}");
    assert!(!ring.reload_if_changed().unwrap());
    assert_eq!(ring.public_keys(), before);
    assert!(KeyRing::open_or_create(&dir, &KeyUse::ALL, clock.clone()).is_err());
    std::fs::remove_file(&file).unwrap();
    ring.reload_if_changed().unwrap();

    let token_key = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let token_key = token_key.into_iter().find(|path| path.to_string_lossy().contains("/token-")).unwrap();
    std::fs::set_permissions(&token_key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(ring.reload_if_changed().unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(&token_key, std::fs::Permissions::from_mode(0o600)).unwrap();
    ring.reload_if_changed().unwrap();
    std::fs::remove_file(&token_key).unwrap();
    assert!(ring.reload_if_changed().unwrap_err().to_string().contains("token"));
    assert!(ring.signing_key(KeyUse::Token, clock.now_ms(), any).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_while_tokens_are_made_and_verified_refuses_none() {
    let rig = Rig::new().await;
    let ended = Arc::new(AtomicBool::new(false));
    let (old_token, _) = rig.login("alice").await;
    let work = (0..2).map(|_| {
        let (auth, ended, old_token) = (rig.auth.clone(), ended.clone(), old_token.clone());
        tokio::spawn(async move {
            let session = auth.verify_bearer(old_token.expose()).await.unwrap().session;
            let mut count = 0;
            while !ended.load(Ordering::Relaxed) {
                let (token, _) = auth.session_token(&session).unwrap();
                auth.verify_bearer(token.expose()).await.unwrap();
                auth.verify_bearer(old_token.expose()).await.unwrap();
                count += 1;
                tokio::task::yield_now().await;
            }
            count
        })
    });
    let work: Vec<_> = work.collect();
    let dir = rig.auth.keys().dir().to_owned();
    let first = rig.auth.keys().signing_key(KeyUse::Token, rig.clock.now_ms(), any).unwrap().id();
    for _ in 0..10 {
        rotate(&dir, &KeyUse::ALL, Duration::ZERO).unwrap();
        rig.clock.advance(1_000);
        rig.auth.tick().await;
    }
    ended.store(true, Ordering::Relaxed);
    for worker in work {
        assert!(worker.await.unwrap() > 0);
    }
    let last = rig.auth.keys().signing_key(KeyUse::Token, rig.clock.now_ms(), any).unwrap().id();
    assert_ne!(first, last);
}

#[tokio::test]
async fn a_token_of_a_key_that_was_taken_out_of_use_is_refused_and_held_sessions_are_stale() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("alice").await;
    rig.auth.verify_bearer(token.expose()).await.unwrap();
    let leaked = rig.auth.keys().signing_key(KeyUse::Token, rig.clock.now_ms(), any).unwrap().id();
    retire(rig.auth.keys().dir(), leaked).unwrap();
    rig.clock.advance(5_000);
    rig.auth.tick().await;
    assert!(!session.is_live(rig.clock.now_ms()));
    assert_eq!(rig.auth.verify_bearer(token.expose()).await.unwrap_err().code, Code::Unauthenticated);
    let (token, _) = rig.login("alice").await;
    rig.auth.verify_bearer(token.expose()).await.unwrap();
    assert!(retire(rig.auth.keys().dir(), leaked).is_err());
}

#[tokio::test]
async fn a_token_key_verifies_until_the_longest_token_has_ended() {
    let rig = Rig::new().await;
    let (_, owner) = rig.login("alice").await;
    let longest = rig.clock.now_ms() + 366 * 86_400_000;
    let home = "192.0.2.1".parse().unwrap();
    let (token, _) = rig.auth.issue_personal(&owner, "yearly", None, longest, home).await.unwrap();
    rotate(rig.auth.keys().dir(), &[KeyUse::Token], Duration::ZERO).unwrap();
    rig.clock.advance((365 * DAY).as_millis() as u64);
    rig.auth.tick().await;
    rig.auth.verify_bearer(token.expose()).await.unwrap();
    rig.clock.advance((3 * DAY).as_millis() as u64);
    rig.auth.tick().await;
    assert_eq!(rig.auth.keys().public_keys().ids(KeyUse::Token).count(), 1);
    assert!(rig.auth.verify_bearer(token.expose()).await.is_err());
}
