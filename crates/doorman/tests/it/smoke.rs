//! The world itself: what the other modules stand on.

use crate::world::{World, get, post};

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
