//! Service accounts, personal tokens, sessions and keys from the command line, against the real thing.

use crate::shell::Shell;
use crate::world::{DEADLINE, World, code_of, get};
use doorman_core::keys::KeyUse;
use serde_json::Value;

/// A shell whose commands go to the world's `api` as this user.
async fn shell_of(world: &World, user: &str) -> Shell {
    let token = world.login(user).await;
    Shell::at(&format!("http://{}", world.api(0).address())).with("DOORMAN_TOKEN", &token)
}

fn json(shell: &Shell, args: &[&str]) -> Value {
    let told = tokio::task::block_in_place(|| shell.run(&[args, &["--json"]].concat()).ok());
    serde_json::from_str(&told).unwrap()
}

fn run(shell: &Shell, args: &[&str]) -> crate::shell::Ended {
    tokio::task::block_in_place(|| shell.run(args))
}

async fn me_as(world: &World, name: &str, secret: &str) -> u16 {
    world.send(get("/auth/v1/me").basic(name, secret)).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_lives_from_its_making_to_its_end() {
    let world = World::start().await;
    let erin = shell_of(&world, "erin").await;
    let made =
        json(&erin, &["service-account", "create", "batch", "--owner", "erin", "--network", "127.0.0.0/8"]);
    let first = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(me_as(&world, "batch", &first).await, 200);
    let told = run(&erin, &["service-account", "show", "batch"]).ok();
    assert!(told.contains("user:erin") && told.contains("127.0.0.0/8") && !told.contains(&first), "{told}");
    // Two secrets are good during a rotation, and a third ends the first.
    let second = run(&erin, &["service-account", "rotate", "batch"]).ok();
    let second = second.lines().last().unwrap().to_owned();
    assert_eq!(json(&erin, &["service-account", "show", "batch"])["secrets"], 2);
    assert_eq!((me_as(&world, "batch", &first).await, me_as(&world, "batch", &second).await), (200, 200));
    let third = json(&erin, &["service-account", "rotate", "batch", "--overlap", "0s"]);
    let third = third["secret"].as_str().unwrap();
    assert_eq!((me_as(&world, "batch", &second).await, me_as(&world, "batch", third).await), (401, 200));
    run(&erin, &["service-account", "disable", "batch"]).ok();
    assert_eq!(me_as(&world, "batch", third).await, 401);
    let told = run(&erin, &["service-account", "list"]).ok();
    assert!(told.contains("batch") && told.contains("disabled"), "{told}");
    run(&erin, &["service-account", "enable", "batch"]).ok();
    assert_eq!(me_as(&world, "batch", third).await, 200);
    run(&erin, &["service-account", "delete", "batch"]).ok();
    assert_eq!(me_as(&world, "batch", third).await, 401);
    run(&erin, &["service-account", "show", "batch"]).failed(5);
    // Who administers nothing makes none.
    let alice = shell_of(&world, "alice").await;
    run(&alice, &["service-account", "create", "mine", "--owner", "alice"]).failed(4);
    run(&alice, &["service-account", "list"]).failed(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_the_directory_can_be_a_service_account() {
    let world = World::plan().api_toml("[auth]\ngroup_refresh = \"1s\"\nbasic_ttl = \"1s\"\n").start().await;
    let erin = shell_of(&world, "erin").await;
    run(&erin, &["service-account", "create", "nobody", "--owner", "erin", "--directory"]).failed(1);
    let made = json(&erin, &["service-account", "create", "mallory", "--owner", "erin", "--directory"]);
    assert_eq!((&made["directory"], made.get("secret")), (&Value::Bool(true), None));
    let whoami = || async {
        let answer = world.send(get("/auth/v1/me").as_user("mallory")).await;
        let me: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status(), me["subject"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(whoami().await, (200, "service:mallory".to_owned()));
    assert_eq!(me_as(&world, "mallory", "wrong").await, 401);
    run(&erin, &["service-account", "rotate", "mallory"]).failed(1);
    // Disabled in the directory, it is refused within the bound, its tokens too.
    let path = world.path().join("directory.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("name = \"mallory\"", "name = \"mallory\"\ndisabled = true")).unwrap();
    let end = tokio::time::Instant::now() + DEADLINE;
    while whoami().await.0 == 200 {
        assert!(tokio::time::Instant::now() < end, "it still may");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(whoami().await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_sessions_are_listed_and_ended() {
    let world = World::start().await;
    let alice = shell_of(&world, "alice").await;
    let made = run(
        &alice,
        &["token", "create", "nightly", "--expires", "1d", "--service", "echo", "--method", "get"],
    );
    assert!(made.stderr.contains("shown this once"), "{made:?}");
    let token = made.ok().trim().to_owned();
    let send = |path: &'static str| world.send(get(path).bearer(&token));
    assert_eq!(send("/r/eu/echo/x").await.status(), 200);
    assert_eq!(code_of(&send("/r/eu/target/public/a").await), "forbidden");
    let listed = json(&alice, &["token", "list"]);
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(!listed.to_string().contains(&token));
    run(&alice, &["token", "revoke", &id]).ok();
    assert_eq!(code_of(&send("/r/eu/echo/x").await), "token_revoked");
    run(&alice, &["token", "revoke", &id]).failed(5);

    let second = world.login("alice").await;
    let sessions = json(&alice, &["sessions", "list"]);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2, "{sessions}");
    let other =
        sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    run(&alice, &["sessions", "end", other["id"].as_str().unwrap()]).ok();
    assert_eq!(world.send(get("/auth/v1/me").bearer(&second)).await.status(), 401);
    // Others' are an administrator's matter.
    run(&alice, &["sessions", "list", "--of", "user:bob"]).failed(4);
    run(&alice, &["sessions", "end", "--all", "--of", "user:bob"]).failed(4);
    let erin = shell_of(&world, "erin").await;
    let told = run(&erin, &["sessions", "list", "--of", "all"]).ok();
    assert!(told.contains("user:alice") && told.contains("user:erin"), "{told}");
    run(&erin, &["sessions", "end", "--all", "--of", "user:alice"]).ok();
    run(&alice, &["whoami"]).failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_retired_signs_nothing_that_counts() {
    let world = World::start().await;
    let alice = world.login("alice").await;
    let key = world.signing_key(KeyUse::Token).id().to_string();
    let config = world.path().join("config/api-0.toml").display().to_string();
    let shell = Shell::new();
    run(&shell, &["keys", "retire", "00000000", "--config", &config]).failed(2);
    let retired = json(&shell, &["keys", "retire", &key, "--config", &config]);
    assert_eq!(retired["kid"].as_str(), Some(key.as_str()));
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = world.send(get("/r/eu/echo/x").bearer(&alice)).await;
        if answer.status() == 401 {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "the retired key counts");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // Another signs in its place.
    let again = world.login("alice").await;
    assert_eq!(world.send(get("/r/eu/echo/x").bearer(&again)).await.status(), 200);
    run(&shell, &["keys", "retire", &key, "--config", &config]).failed(5);
}
