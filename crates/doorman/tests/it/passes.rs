//! A proxy forwards what is provably in the log, once, to the letter, and nothing else.

use crate::world::{DEADLINE, World, get, post, request};
use doorman_core::id::AuditId;
use doorman_core::keys::{KeyUse, SigningKey};
use doorman_core::merkle::{Tree, leaf_hash};
use doorman_core::pass::{BodyClaim, BootId, Claims, Pass};
use doorman_core::statement::{self, Statement, WriterId};
use doorman_core::token::sign_control;
use doorman_core::{header, sha256};
use doorman_testkit::message::Head;
use doorman_testkit::raw::{Answer, RawClient};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

async fn send_to(address: SocketAddr, bytes: &[u8]) -> Answer {
    RawClient::exchange(address, bytes, DEADLINE).await.unwrap()
}

/// Makes passes as `api` would, with its own keys: what only a thief of those could do.
struct Forger {
    key: Arc<SigningKey>,
    boot: BootId,
    proxy: SocketAddr,
    number: u64,
}

/// A request with its pass, before it is put on the wire.
struct Forged<'a> {
    method: &'a str,
    target: &'a str,
    /// As the pass has them, where they differ from what is sent.
    region: &'a str,
    selector: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    body: BodyClaim,
    sent_body: &'a [u8],
    signed_headers: Vec<(&'a str, &'a str)>,
    sent_headers: Vec<(&'a str, &'a str)>,
    lifetime_ms: i64,
    fence: u64,
}

impl Default for Forged<'_> {
    fn default() -> Self {
        Self {
            method: "POST",
            target: "/r/eu/target/public/a?b=c",
            region: "eu",
            selector: "any",
            path: "/public/a",
            query: Some("b=c"),
            body: BodyClaim::Whole(4, sha256(b"body")),
            sent_body: b"body",
            signed_headers: vec![("x-a", "1")],
            sent_headers: vec![("x-a", "1")],
            lifetime_ms: 15_000,
            fence: 0,
        }
    }
}

impl Forger {
    async fn new(world: &World) -> Self {
        let control =
            sign_control(&world.signing_key(KeyUse::Control), "doorman-api", "proxy:eu", [1; 16], now_ms());
        let proxy = world.proxy("eu", 0).address();
        let answer = send_to(proxy, &get("/control/v1/status").bearer(&control).to_bytes()).await;
        let status: Value = serde_json::from_slice(&answer.body).unwrap();
        let boot = status["boot_id"].as_str().unwrap().parse().unwrap();
        Self { key: world.signing_key(KeyUse::Statement), boot, proxy, number: 0 }
    }

    fn pass(&mut self, forged: &Forged<'_>) -> Pass {
        self.number += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.number.to_be_bytes());
        let expires_ms = (now_ms() as i64 + forged.lifetime_ms) as u64;
        let claims = Claims {
            audit_id: AuditId(id),
            expires_ms,
            audience: self.boot,
            fence: forged.fence,
            method: forged.method,
            region: forged.region,
            service: "target",
            selector: forged.selector,
            path: forged.path,
            query: forged.query,
            headers: header::digest(
                forged.signed_headers.iter().map(|(name, value)| (*name, value.as_bytes())),
            ),
            body: forged.body,
            actor: "user:dave",
            subject: "user:dave",
        };
        let record = sha256(b"a record that is in no journal");
        let tree = Tree::new(vec![leaf_hash(&sha256(&claims.to_bytes()), &record)]);
        let statement = Statement {
            writer: WriterId([9; 16]),
            kid: self.key.id(),
            number: self.number,
            previous: [0; 32],
            root: tree.root(),
            first_index: self.number,
            count: 1,
            time_ms: now_ms(),
            peers: None,
        };
        let signature = statement::sign(&self.key, &statement.to_bytes());
        Pass {
            audit_id: AuditId(id),
            expires_ms,
            audience_hint: self.boot.0[..4].try_into().unwrap(),
            fence: forged.fence,
            actor: "user:dave".into(),
            subject: "user:dave".into(),
            body_prefix: match forged.body {
                BodyClaim::Whole(..) => None,
                BodyClaim::Prefix(length, _) => Some(length),
            },
            record,
            index: 0,
            path: Vec::new(),
            statement,
            signature,
        }
    }

    fn bytes(forged: &Forged<'_>, pass: &str) -> Vec<u8> {
        let plain = request(forged.method, forged.target).body(forged.sent_body).header("doorman-pass", pass);
        forged.sent_headers.iter().fold(plain, |r, (name, value)| r.header(name, value)).to_bytes()
    }

    async fn send(&mut self, forged: &Forged<'_>) -> Answer {
        let pass = self.pass(forged).encode();
        send_to(self.proxy, &Self::bytes(forged, &pass)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_is_good_for_exactly_its_request() {
    let world = World::start().await;
    let mut forger = Forger::new(&world).await;
    // Whoever has the keys can make a pass: so the refusals below are for what they change.
    assert_eq!(forger.send(&Forged::default()).await.status(), 200);
    world.recorder().clear();
    let other = |change: fn(&mut Forged<'static>)| {
        let mut forged = Forged::default();
        change(&mut forged);
        forged
    };
    let cases = [
        ("method", other(|f| f.method = "PUT"), Some("POST")),
        ("path", other(|f| f.path = "/public/b"), None),
        ("encoded path", other(|f| f.target = "/r/eu/target/public/%61?b=c"), None),
        ("query", other(|f| f.query = Some("b=d")), None),
        ("no query", other(|f| f.query = None), None),
        ("empty query", other(|f| f.query = Some("")), None),
        ("instance", other(|f| f.selector = "rec-1"), None),
        ("sent to an instance", other(|f| f.target = "/r/eu/target@rec-1/public/a?b=c"), None),
        ("region", other(|f| f.region = "us"), None),
        (
            "sent to another region",
            other(|f| {
                f.target = "/r/us/target/public/a?b=c";
                f.region = "us"
            }),
            None,
        ),
        ("service", other(|f| f.target = "/r/eu/echo/public/a?b=c"), None),
        ("header added", other(|f| f.sent_headers.push(("x-b", "1"))), None),
        ("header removed", other(|f| f.sent_headers.clear()), None),
        ("header changed", other(|f| f.sent_headers = vec![("x-a", "2")]), None),
        ("header doubled", other(|f| f.sent_headers.push(("x-a", "1"))), None),
        ("body changed", other(|f| f.sent_body = b"bodx"), None),
        ("body shorter", other(|f| f.sent_body = b"bod"), None),
        ("body longer", other(|f| f.sent_body = b"body!"), None),
        ("body gone", other(|f| f.sent_body = b""), None),
        ("whole for prefix", other(|f| f.body = BodyClaim::Whole(3, sha256(b"bod"))), None),
        ("prefix changed", other(|f| f.body = BodyClaim::Prefix(2, sha256(b"bx"))), None),
        ("expired", other(|f| f.lifetime_ms = -1), None),
        ("good for too long", other(|f| f.lifetime_ms = 40_000), None),
    ];
    for (what, forged, signed_method) in cases {
        let mut pass = forger.pass(&forged);
        if let Some(method) = signed_method {
            pass = forger.pass(&Forged { method, ..Forged::default() });
        }
        let answer = send_to(forger.proxy, &Forger::bytes(&forged, &pass.encode())).await;
        assert_eq!(answer.status(), 401, "{what}: {answer:?}");
        assert!(world.recorder().is_untouched(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_of_whoever_lost_its_items_is_refused_though_it_has_not_expired() {
    let world = World::start().await;
    let mut forger = Forger::new(&world).await;
    let item = |chunk: u64, claim: u64| Forged { fence: chunk << 20 | claim, ..Forged::default() };
    for (fence, wanted) in [
        (item(7, 1), 200),
        // Another replica took the chunk over, and the first wakes up.
        (item(7, 2), 200),
        (item(7, 1), 401),
        (item(7, 2), 200),
        (item(8, 1), 200),
        (item(0, 0), 200),
    ] {
        let before = world.recorder().requests().len();
        let answer = forger.send(&fence).await;
        assert_eq!(answer.status(), wanted, "{:x}: {answer:?}", fence.fence);
        let more = usize::from(wanted == 200);
        assert_eq!(world.recorder().requests().len(), before + more, "{:x}", fence.fence);
    }
    // What a pass says of it is signed.
    let mut touched = forger.pass(&item(9, 2));
    touched.fence += 1;
    let answer = send_to(forger.proxy, &Forger::bytes(&item(9, 2), &touched.encode())).await;
    assert_eq!(answer.status(), 401, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_was_touched_or_signed_by_others_is_none() {
    let world = World::start().await;
    let mut forger = Forger::new(&world).await;
    let good = forger.pass(&Forged::default()).encode();
    let mut bytes = base64_decode(&good);
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let answer = send_to(forger.proxy, &Forger::bytes(&Forged::default(), &base64_encode(&bytes))).await;
        assert_eq!(answer.status(), 401, "byte {at}: {answer:?}");
        bytes[at] ^= 1;
    }
    for (what, text) in [
        ("empty", String::new()),
        ("cut", good[..good.len() - 4].to_owned()),
        ("longer", good.clone() + "AAAA"),
        ("no base64", "!".repeat(300)),
        ("huge", "A".repeat(60_000)),
    ] {
        let answer = send_to(forger.proxy, &Forger::bytes(&Forged::default(), &text)).await;
        assert_eq!(answer.status(), 401, "{what}: {answer:?}");
    }
    let twice = Forged { sent_headers: vec![("x-a", "1"), ("doorman-pass", "x")], ..Forged::default() };
    assert_eq!(send_to(forger.proxy, &Forger::bytes(&twice, &good)).await.status(), 401);
    let original = Arc::clone(&forger.key);
    forger.key = Arc::new(SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap());
    assert_eq!(forger.send(&Forged::default()).await.status(), 401);
    for key_use in [KeyUse::Token, KeyUse::Control, KeyUse::Identity] {
        forger.key = world.signing_key(key_use);
        assert_eq!(forger.send(&Forged::default()).await.status(), 401);
    }
    assert!(world.recorder().is_untouched());
    // All this used up nothing.
    forger.key = original;
    assert_eq!(send_to(forger.proxy, &Forger::bytes(&Forged::default(), &good)).await.status(), 200);
    assert_eq!(send_to(forger.proxy, &Forger::bytes(&Forged::default(), &good)).await.status(), 401);
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn base64_encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_or_never_is_not_completed_at_the_service() {
    let world = World::start().await;
    let mut forger = Forger::new(&world).await;
    let streamed = Forged { body: BodyClaim::Prefix(4, sha256(b"body")), ..Forged::default() };
    for (what, forged) in [("whole", Forged::default()), ("streamed", streamed)] {
        let pass = forger.pass(&forged).encode();
        let head = request("POST", forged.target).header("doorman-pass", &pass).header("x-a", "1");
        let mut client = RawClient::connect(forger.proxy).await.unwrap();
        client.send(&head.header("content-length", "10").to_bytes()).await.unwrap();
        client.send(b"body").await.unwrap();
        client.finish().await.unwrap();
        client.read_answer(DEADLINE).await;
        assert!(world.recorder().requests().iter().all(|hit| !hit.complete), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_pass_cannot_be_used_again_here_there_or_later() {
    let world = World::plan().relayed().unlinked().proxies(2).start().await;
    // One request through each of the two, so that both passes are known.
    for _ in 0..2 {
        assert_eq!(world.send(post("/r/eu/target/public/a", "body").as_user("dave")).await.status(), 200);
    }
    assert_eq!(world.recorder().requests().len(), 2);
    let captured: Vec<Vec<u8>> =
        (0..2).filter_map(|number| world.relay("eu", number).last_request("POST /r/eu/target")).collect();
    assert_eq!(captured.len(), 2, "each proxy had its turn");
    let strip = |bytes: &[u8]| {
        let (head, _) = Head::parse(bytes).unwrap();
        assert!(head.field("doorman-pass").is_some());
        bytes.to_vec()
    };
    for bytes in &captured {
        for number in [0, 1] {
            let answer = send_to(world.proxy("eu", number).address(), &strip(bytes)).await;
            assert_eq!(answer.status(), 401, "{answer:?}");
        }
        // By way of `api`, as a client.
        let answer = world.send_raw(bytes).await;
        assert_eq!(answer.status(), 401, "{answer:?}");
    }
    for number in [0, 1] {
        world.proxy("eu", number).kill();
        world.proxy("eu", number).start();
        for bytes in &captured {
            let answer = send_to(world.proxy("eu", number).address(), bytes).await;
            assert_eq!(answer.status(), 401, "{answer:?}");
        }
    }
    assert_eq!(world.recorder().requests().len(), 2);
    // The world goes on.
    world.settle(0).await;
    let answer = world.send(post("/r/eu/target/public/a", "body").as_user("dave")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pass_a_proxy_says_nothing_but_that_it_lives() {
    let world = World::start().await;
    let token = world.login("dave").await;
    let proxy = world.proxy("eu", 0).address();
    let control = |audience: &str, at_ms: u64| {
        sign_control(&world.signing_key(KeyUse::Control), "doorman-api", audience, [1; 16], at_ms)
    };
    let good = control("proxy:eu", now_ms());
    let link = || get("/control/v1/link").header("Connection", "upgrade").header("Upgrade", "doorman-link/1");
    let requests = [
        get("/"),
        get("/r/eu/target/public/a"),
        post("/r/eu/target/public/a", "x"),
        get("/healthz?x"),
        get("/healthz/"),
        post("/healthz", ""),
        get("/metrics"),
        get("/readyz"),
        get("/.well-known/jwks.json"),
        get("/control/v1/status"),
        get("/control/v1/receipts"),
        get("/control/v1/status").bearer(&token),
        get("/control/v1/receipts").bearer(&token),
        link().bearer(&token),
        link(),
        get("/r/eu/target/public/a").bearer(&token),
        get("/r/eu/target/public/a").as_user("dave"),
        get("/r/eu/target/public/a").bearer(&good),
        get("/healthz").header("Doorman-Pass", "x"),
        get("/control/v1/status").bearer(&control("proxy:us", now_ms())),
        get("/control/v1/receipts").bearer(&control("proxy:us", now_ms())),
        link().bearer(&control("proxy:us", now_ms())),
        link().bearer(&control("proxy:eu", now_ms() - 600_000)),
        get("/control/v1/status").bearer(&control("proxy:eu", now_ms() - 600_000)),
        get("/control/v1/receipts").bearer(&control("proxy:eu", now_ms() - 600_000)),
        get("/control/v1/status").bearer(&control("proxy:eu", now_ms() + 600_000)),
        post("/control/v1/status", "").bearer(&good),
        get("/r/eu/target/public/a").header("User-Agent", "kube-probe/1.30"),
        get("/r/eu/target/public/a").header("User-Agent", "GoogleHC/1.0"),
        get("/r/eu/target/public/a").header("User-Agent", "ELB-HealthChecker/2.0"),
        get("/r/eu/target/public/a")
            .header("X-Forwarded-For", "127.0.0.1")
            .header("X-Forwarded-Uri", "/healthz"),
    ];
    for request in requests {
        let what = format!("{request:?}");
        let answer = send_to(proxy, &request.to_bytes()).await;
        assert_eq!(answer.status(), 401, "{what}: {answer:?}");
        assert!(!answer.text().contains("target") && !answer.text().contains("rec-1"), "{answer:?}");
    }
    let answer = send_to(proxy, &get("/healthz").to_bytes()).await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok\n"), "{answer:?}");
    for path in ["/control/v1/status", "/control/v1/receipts", "/control/v1/receipts?after=0"] {
        assert_eq!(send_to(proxy, &get(path).bearer(&good).to_bytes()).await.status(), 200, "{path}");
    }
    let bad = get("/control/v1/receipts?after=../../keys").bearer(&good);
    assert_eq!(send_to(proxy, &bad.to_bytes()).await.status(), 400);
    assert!(world.recorder().is_untouched());
}

/// What stands in a proxy's files, memory map aside, holds no private key.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_has_no_private_key() {
    let world = World::start().await;
    world.send(get("/r/eu/target/public/a").as_user("alice")).await;
    let pid = world.proxy("eu", 0).pid().unwrap();
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .collect();
    assert!(open.iter().all(|path| !path.contains("/keys/")), "{open:?}");
    let config = std::fs::read_to_string(world.path().join("config/proxy-eu-0.toml")).unwrap();
    assert!(!config.contains("keys\"") && config.contains("public.json"), "{config}");
    let public = std::fs::read_to_string(world.path().join("keys/public.json")).unwrap();
    let keys: Value = serde_json::from_str(&public).unwrap();
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()), "{public}");
}
