//! The world itself: what the other modules stand on.

use crate::world::{DEADLINE, World, get, post};
use doorman_testkit::daemon::{Account, Daemon};
use doorman_testkit::raw::RawClient;
use std::net::SocketAddr;

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_two_regions_and_one_journal() {
    let world = World::plan().regions(&["eu", "us"]).apis(2).proxies(2).start().await;
    for api in [0, 1] {
        for region in ["eu", "us"] {
            let answer =
                world.send_to(api, get(&format!("/r/{region}/target/public/a?x=1")).as_user("alice")).await;
            assert_eq!((answer.status(), answer.text().as_str()), (200, "recorded"), "{answer:?}");
        }
    }
    let token = world.login("dave").await;
    let answer = world.send(post("/r/us/target@rec-1/change", "body").bearer(&token)).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(world.recorder_of("us", "rec-1").requests().len(), 3);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_come_back_on_their_ports() {
    let world = World::start().await;
    world.api(0).kill();
    world.proxy("eu", 0).stop();
    assert!(world.try_send_to(0, get("/healthz")).await.is_err());
    world.proxy("eu", 0).start();
    world.start_api(0).await;
    let secret = world.service_account("a-service").await;
    let answer = world.send(get("/r/eu/target/public/a").basic("a-service", &secret)).await;
    assert_eq!(answer.status(), 403, "{answer:?}");
    assert!(world.recorder().is_untouched());
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_on_a_port_of_the_systems_choice_is_known_by_it_to_pages_and_their_cookies() {
    let dir = tempfile::Builder::new().prefix("doorman-demo-").tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let args = ["demo", "--data", &data, "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec();
    let demo = Daemon::new(Account::named("root").unwrap(), env!("CARGO_BIN_EXE_doorman"), args, dir);
    let log = demo.dir().join("log");
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    tokio::task::block_in_place(|| demo.start(|| told().contains("READY"))).unwrap();
    let told = told();
    let (_, rest) = told.split_once("up at http://").unwrap();
    let address: SocketAddr = rest.lines().next().unwrap().parse().unwrap();
    assert_ne!(address.port(), 0);
    let origin = format!("http://{address}");
    let body = r#"{"username":"alice","password":"alice-demo","cookie":true}"#;
    let login = post("/auth/v1/login", body).header("content-type", "application/json");
    let login = login.header("host", &address.to_string()).header("origin", &origin);
    let answer = RawClient::exchange(address, &login.to_bytes(), DEADLINE).await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    let cookie = answer.head.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let mint = post("/auth/v1/session-token", "{}").header("content-type", "application/json");
    let mint = mint.header("host", &address.to_string()).header("origin", &origin).header("cookie", &cookie);
    let answer = RawClient::exchange(address, &mint.to_bytes(), DEADLINE).await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
}
