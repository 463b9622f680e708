//! The link between `api` and its proxies: encrypted and known on both sides, or on loopback.

use crate::shell::Shell;
use crate::world::{DEADLINE, Load, World, code_of, get, post};
use doorman_testkit::raw::RawClient;
use doorman_testkit::recorder::Reply;
use doorman_testkit::tls::Ca;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn over_mutual_tls_everything_works_as_usual() {
    let world = World::plan().tls().proxies(2).start().await;
    for _ in 0..4 {
        let answer = world.send(post("/r/eu/target/a", "over TLS").as_user("dave")).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    for hit in world.recorder().requests() {
        assert_eq!(hit.head.field("x-forwarded-proto"), Some("https"));
    }
    let answer = world.send(get("/r/eu/echo@echo-2/bytes/2000000").as_user("alice")).await;
    assert_eq!((answer.status(), answer.body.len()), (200, 2_000_000));
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_talks_to_nobody_without_its_authoritys_certificate() {
    let world = World::plan().tls().start().await;
    let proxy = world.proxy("eu", 0).address();
    let (stranger, ours) = (Ca::new().unwrap(), world.ca());
    let foreign = stranger.client("api").unwrap();
    let server = ours.server(&["localhost"]).unwrap();
    for (what, identity) in
        [("none", None), ("another authority's", Some(&foreign)), ("a server's", Some(&server))]
    {
        // With TLS 1.3 a client learns only by reading that it was refused.
        let client = RawClient::connect_tls(proxy, "localhost", ours.client_config(identity).unwrap()).await;
        if let Ok(mut client) = client {
            let _ = client.send(&get("/healthz").to_bytes()).await;
            let answer = client.read_answer(DEADLINE).await;
            assert!(answer.closed && answer.bytes.is_empty(), "{what}: {answer:?}");
        }
    }
    let good = ours.client_config(Some(&ours.client("api").unwrap())).unwrap();
    let mut client = RawClient::connect_tls(proxy, "localhost", good).await.unwrap();
    client.send(&get("/healthz").to_bytes()).await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.status(), 200);
    // Plain HTTP is not understood.
    let mut plain = RawClient::connect(proxy).await.unwrap();
    plain.send(&get("/healthz").to_bytes()).await.unwrap();
    let answer = plain.read_answer(DEADLINE).await;
    assert!(answer.closed && answer.status() == 0, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn api_sends_nothing_to_a_proxy_that_cannot_prove_itself() {
    let world = World::plan().tls().start().await;
    let path = world.path().join("config/proxy-eu-0.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let named = |key: &str| {
        let (_, rest) = text.split_once(&format!("{key} = \"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let stranger = Ca::new().unwrap();
    let ours = world.ca();
    let pairs = [
        ("another authority's", stranger.server(&["localhost", "127.0.0.1"]).unwrap()),
        ("for another name", ours.server(&["elsewhere.example"]).unwrap()),
        ("expired", ours.expired_server(&["localhost", "127.0.0.1"]).unwrap()),
        ("a client's", ours.client("127.0.0.1").unwrap()),
    ];
    for (what, pair) in pairs {
        world.proxy("eu", 0).kill();
        let changed = text
            .replace(&named("cert_file"), &pair.cert.display().to_string())
            .replace(&named("key_file"), &pair.key.display().to_string());
        std::fs::write(&path, changed).unwrap();
        world.proxy("eu", 0).start();
        let answer = world.send(post("/r/eu/target/a", "secret").as_user("dave")).await;
        let told = (answer.status(), code_of(&answer));
        assert_eq!(told, (502, "region_unavailable".to_owned()), "{what}: {answer:?}");
        assert!(world.recorder().is_untouched(), "{what}");
    }
    world.proxy("eu", 0).kill();
    std::fs::write(&path, &text).unwrap();
    world.proxy("eu", 0).start();
    world.settle(0).await;
    assert_eq!(world.send(post("/r/eu/target/a", "x").as_user("dave")).await.status(), 200);
    world.assert_every_hit_was_written_down().await;
}

#[test]
fn plain_links_and_listeners_off_loopback_are_refused_at_the_start() {
    let shell = Shell::new();
    let api = |url: &str| {
        format!(
            "[directory]\nurls = [\"ldap://127.0.0.1:1\"]\nkind = \"openldap\"\nbase_dns = [\"dc=demo\"]\n\
             [[regions]]\nname = \"eu\"\n[[regions.proxies]]\nurl = \"{url}\"\n"
        )
    };
    for url in [
        "http://10.1.2.3:8441",
        "http://proxy.example:8441",
        "http://0.0.0.0:8441",
        "http://[2001:db8::1]:8441",
    ] {
        shell.write("api.toml", &api(url));
        let told = shell.run(&["api", "--config", "api.toml"]).failed(64);
        assert!(told.contains("loopback"), "{url}: {told}");
    }
    let proxy = |listen: &str| {
        format!(
            "[server]\nlisten = \"{listen}\"\n[region]\nname = \"eu\"\n[keys]\npublic_file = \"public.json\"\n\
             [[services]]\nname = \"a\"\n[[services.instances]]\nid = \"a-1\"\naddress = \"http://127.0.0.1:1\"\n"
        )
    };
    shell.write("public.json", "{\"keys\":[]}");
    for listen in ["0.0.0.0:0", "[::]:0", "10.1.2.3:0"] {
        shell.write("proxy.toml", &proxy(listen));
        let told = shell.run(&["proxy", "--config", "proxy.toml"]).failed(64);
        assert!(told.contains("loopback"), "{listen}: {told}");
    }
}

/// What the link loses is never taken for what the service said.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_is_unsent_or_unknown_and_nothing_goes_twice() {
    let world = World::plan().relayed().start().await;
    world.recorder().next(Reply::default().pause(Duration::from_secs(60)));
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&post("/r/eu/target/a", "x").as_user("dave").to_bytes()).await.unwrap();
    world.recorder().wait_for(1, DEADLINE).await.unwrap();
    world.relay("eu", 0).cut();
    let answer = client.read_answer(DEADLINE).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (502, "region_unavailable"), "{answer:?}");
    let outcome = world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!(outcome.text("state"), "unknown");
    let answer = world.send(post("/r/eu/target/b", "x").as_user("dave")).await;
    assert_eq!(answer.status(), 502, "{answer:?}");
    assert_eq!(world.recorder().requests().len(), 1);
    world.relay("eu", 0).heal();
    world.settle(0).await;
    assert_eq!(world.send(post("/r/eu/target/c", "x").as_user("dave")).await.status(), 200);
    assert_eq!(world.recorder().requests().len(), 2);
    world.assert_every_hit_was_written_down().await;
}

/// Whether anything went by link over the first proxy's wire.
fn is_linked(world: &World) -> bool {
    let sent = world.relay("eu", 0).sent();
    let is_in = |bytes: &Vec<u8>, what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    sent.iter().any(|bytes| is_in(bytes, b"doorman-link/1") && is_in(bytes, b"/public/load"))
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_share_a_connection_and_a_cut_wire_sends_none_of_them_twice() {
    let world = World::plan().relayed().start().await;
    let token = world.login("dave").await;
    let load = Load::start(8, world.api(0).address(), &token);
    while !is_linked(&world) {
        load.answered(50).await;
    }
    for _ in 0..3 {
        world.relay("eu", 0).cut();
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.relay("eu", 0).heal();
        load.answered(100).await;
    }
    let all = load.stop().await;
    world.assert_clients_were_told_the_truth(&all);
    world.assert_every_hit_was_written_down().await;
    world.assert_every_attempt_ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_links_each_request_is_http_1_all_the_way() {
    let world = World::plan().relayed().unlinked().start().await;
    let token = world.login("dave").await;
    let load = Load::start(2, world.api(0).address(), &token);
    load.answered(50).await;
    load.stop().await;
    assert!(world.relay("eu", 0).last_request("GET /r/eu/target/public/load").is_some());
    let sent = world.relay("eu", 0).sent();
    assert!(!sent.iter().any(|bytes| bytes.windows(12).any(|window| window == b"doorman-link")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_regions_services_fetch_the_keys_of_assertions_over_tls_without_a_certificate_of_their_own() {
    let port = doorman_testkit::database::free_port().unwrap();
    let jwks = format!("[jwks]\nlisten = \"127.0.0.1:{port}\"\n");
    let world = World::plan().tls().proxy_toml(&jwks).start().await;
    let address = ([127, 0, 0, 1], port).into();
    let tls = || world.ca().client_config(None).unwrap();
    let ask = async |request: Vec<u8>| {
        let mut client = RawClient::connect_tls(address, "localhost", tls()).await.unwrap();
        client.send(&request).await.unwrap();
        client.read_answer(DEADLINE).await
    };
    let answer = ask(get("/.well-known/jwks.json").to_bytes()).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let keys: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    // The key of the assertion that a service gets is among them, and no private half.
    assert_eq!(world.send(get("/r/eu/target/a").as_user("dave")).await.status(), 200);
    let hit = world.recorder().requests().remove(0);
    let assertion = hit.head.field("doorman-identity").unwrap().to_owned();
    let kid = doorman_core::jws::key_id(&assertion).unwrap().to_string();
    let keys = keys["keys"].as_array().unwrap();
    assert!(keys.iter().any(|key| key["kid"] == kid.as_str() && key.get("d").is_none()), "{keys:?} {kid}");
    // Nothing else is there.
    for target in ["/r/eu/target/a", "/healthz", "/", "/.well-known/jwks.json/"] {
        assert_eq!(ask(get(target).as_user("dave").to_bytes()).await.status(), 404, "{target}");
    }
    assert_eq!(ask(post("/.well-known/jwks.json", "").to_bytes()).await.status(), 404);
    // Whoever knows another authority trusts nobody here, and plain HTTP is not understood.
    let stranger = Ca::new().unwrap().client_config(None).unwrap();
    assert!(RawClient::connect_tls(address, "localhost", stranger).await.is_err());
    let plain = get("/.well-known/jwks.json").to_bytes();
    let answer = RawClient::exchange(address, &plain, DEADLINE).await.unwrap();
    assert!(answer.closed && answer.status() == 0, "{answer:?}");
}
