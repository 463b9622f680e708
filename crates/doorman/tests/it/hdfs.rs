//! Impersonation against a real HDFS: what its NameNode and its DataNode make of what the proxy tells them.

use crate::world::{DEADLINE, Plan, Request, World, code_of, get, request};
use doorman_testkit::hdfs::{Hdfs, SUPERUSER};
use doorman_testkit::raw::{Answer, RawClient};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::task::block_in_place;

const POLICIES: &str = r#"
permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"hdfs");
permit (principal in Group::"operators", action == Action::"request", resource in ServiceName::"hdfs");
"#;

struct Rig {
    world: World,
    hdfs: Hdfs,
}

impl Rig {
    /// The cluster lets Doorman act for alice and bob alone; `/tmp` is everybody's.
    async fn start() -> Self {
        let hdfs = block_in_place(|| Hdfs::start(&class_path(), "doorman", &["alice", "bob"])).unwrap();
        let instances = [("nn", hdfs.name_node()), ("dn", hdfs.data_node())];
        let instances = instances.map(|(id, address)| (id, format!("http://{address}")));
        let plan: Plan = World::plan().policy("hdfs.cedar", POLICIES);
        let world = plan.service("hdfs", "impersonate = \"hadoop\"", &instances).start().await;
        let rig = Self { world, hdfs };
        for change in ["MKDIRS", "SETPERMISSION"] {
            let target = format!("/webhdfs/v1/tmp?op={change}&permission=1777&user.name={SUPERUSER}");
            let asked = request("PUT", &target).to_bytes();
            let answer = RawClient::exchange(rig.hdfs.name_node(), &asked, DEADLINE).await.unwrap();
            assert_eq!(answer.status(), 200, "{answer:?}");
        }
        rig
    }

    async fn ask(&self, request: Request) -> Answer {
        let answer = self.world.send(request).await;
        // The cluster gives out tickets of the user who may act for others.
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains("hadoop.auth"), "{text}");
        answer
    }

    /// Who owns a file or directory, as the cluster itself says.
    async fn owner(&self, path: &str) -> String {
        let target = format!("/webhdfs/v1{path}?op=GETFILESTATUS&user.name={SUPERUSER}");
        let answer = RawClient::exchange(self.hdfs.name_node(), &get(&target).to_bytes(), DEADLINE).await;
        json(&answer.unwrap())["FileStatus"]["owner"].as_str().unwrap_or("(none)").to_owned()
    }
}

/// Where `cargo xtask test` had Maven write it.
fn class_path() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_doorman")).ancestors().nth(2).unwrap();
    target.join("hadoop/class-path.txt")
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_hdfs_takes_every_request_for_the_users_own_and_knows_nobody_else() {
    let rig = Rig::start().await;
    let (alice, bob, dave) =
        (rig.world.login("alice").await, rig.world.login("bob").await, rig.world.login("dave").await);
    let secret = rig.world.service_account("reports-ui").await;
    let nn = |path: &str| format!("/r/eu/hdfs@nn/webhdfs/v1{path}");

    let answer = rig.ask(get(&nn("/?op=GETHOMEDIRECTORY")).bearer(&alice)).await;
    assert_eq!(json(&answer)["Path"], "/user/alice", "{answer:?}");
    let answer = rig.ask(request("PUT", &nn("/tmp/mine?op=MKDIRS")).bearer(&alice)).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(rig.owner("/tmp/mine").await, "alice");
    // A service that acts for bob is bob there.
    let delegated = request("PUT", &nn("/tmp/his?op=MKDIRS")).basic("reports-ui", &secret);
    let delegated = delegated.header("doorman-on-behalf-of", "bob").header("doorman-user-token", &bob);
    assert_eq!(rig.ask(delegated).await.status(), 200);
    assert_eq!(rig.owner("/tmp/his").await, "bob");

    // A file goes to the DataNode, as the NameNode says, through the door again.
    let create = request("PUT", &nn("/tmp/mine/f?op=CREATE&permission=600"));
    let answer = rig.ask(create.bearer(&alice)).await;
    assert_eq!(answer.status(), 307, "{answer:?}");
    let location = answer.head.field("location").unwrap().to_owned();
    assert!(location.starts_with("/r/eu/hdfs@dn/webhdfs/v1/tmp/mine/f?"), "{location}");
    assert!(!location.contains("alice") && !location.contains("user.name"), "{location}");
    let answer = rig.ask(request("PUT", &location).body("written").bearer(&alice)).await;
    assert_eq!(answer.status(), 201, "{answer:?}");
    assert_eq!(answer.head.field("location"), None, "an inside address: {answer:?}");
    assert_eq!(rig.owner("/tmp/mine/f").await, "alice");
    let opened = rig.ask(get(&nn("/tmp/mine/f?op=OPEN")).bearer(&alice)).await;
    assert_eq!(opened.status(), 307, "{opened:?}");
    let location = opened.head.field("location").unwrap().to_owned();
    assert_eq!(rig.ask(get(&location).bearer(&alice)).await.body, b"written");
    // The DataNode's address is no way around: bob is bob there, too.
    let answer = rig.ask(get(&location).bearer(&bob)).await;
    assert_eq!(answer.status(), 403, "{answer:?}");
    let answer = rig.ask(request("DELETE", &nn("/tmp/mine?op=DELETE&recursive=true")).bearer(&bob)).await;
    assert_eq!(answer.status(), 403, "{answer:?}");

    // Whom the cluster does not let Doorman act for, it refuses.
    let answer = rig.ask(get(&nn("/?op=LISTSTATUS")).bearer(&dave)).await;
    assert_eq!(answer.status(), 403, "{answer:?}");
    let message = json(&answer)["RemoteException"]["message"].to_string();
    assert!(message.contains("doorman is not allowed to impersonate dave"), "{message}");

    // Whoever says it themselves gets nowhere, however it is spelt.
    for user in ["doas", "doAs", "DoAs", "DOAS", "d%6Fas", "user.name", "USER.NAME", "User%2eName"] {
        for place in ["nn", "dn"] {
            let target = format!("/r/eu/hdfs@{place}/webhdfs/v1/tmp/{user}?op=MKDIRS&{user}={SUPERUSER}");
            let answer = rig.ask(request("PUT", &target).bearer(&alice)).await;
            assert_eq!((answer.status(), code_of(&answer).as_str()), (400, "invalid"), "{answer:?}");
            let outcome = rig.world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
            assert_eq!(outcome.text("state"), "denied", "{outcome:?}");
        }
    }
    let listed = rig.ask(get(&nn("/tmp?op=LISTSTATUS")).bearer(&alice)).await;
    let listed = json(&listed);
    let listed = listed["FileStatuses"]["FileStatus"].as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|file| file["pathSuffix"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["his", "mine"]);
}
