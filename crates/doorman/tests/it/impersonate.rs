//! Who is calling, told to a service in its own way, and every attempt of a client to tell it itself. The services here are
//! recorders: what is proven is what they get, byte for byte.

use crate::world::{Plan, Request, World, code_of, get, post};
use doorman_testkit::recorder::{Recorder, Reply};

const POLICIES: &str = r#"
permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"hdfs");
permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"query");
permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"cluster");
permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"wiki");
permit (principal == ServiceAccount::"reports-ui", action == Action::"request", resource in ServiceName::"query");
"#;

struct Platforms {
    world: World,
    hdfs: Recorder,
    data_node: Recorder,
    query: Recorder,
    cluster: Recorder,
    wiki: Recorder,
}

impl Platforms {
    async fn start(change: impl FnOnce(Plan) -> Plan) -> Self {
        let start = || async { Recorder::start(crate::world::ANY).await.unwrap() };
        let (hdfs, data_node, query, cluster, wiki) =
            (start().await, start().await, start().await, start().await, start().await);
        let at = |recorder: &Recorder| format!("http://{}", recorder.addr());
        let plan = World::plan()
            .policy("platforms.cedar", POLICIES)
            .service("hdfs", "impersonate = \"hadoop\"", &[("nn", at(&hdfs)), ("dn-1", at(&data_node))])
            .service("query", "impersonate = \"trino\"", &[("q", at(&query))])
            .service("cluster", "impersonate = \"kubernetes\"", &[("k", at(&cluster))])
            .service("wiki", "impersonate = \"header:X-Remote-User\"", &[("w", at(&wiki))]);
        let world = change(plan).start().await;
        Self { world, hdfs, data_node, query, cluster, wiki }
    }

    fn all(&self) -> [&Recorder; 5] {
        [&self.hdfs, &self.data_node, &self.query, &self.cluster, &self.wiki]
    }

    async fn assert_refused(&self, request: Request) {
        let what = String::from_utf8_lossy(&request.to_bytes()).into_owned();
        let answer = self.world.send(request).await;
        assert_eq!((answer.status(), code_of(&answer).as_str()), (400, "invalid"), "{what} {answer:?}");
        let outcome = self.world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
        assert_eq!(outcome.text("state"), "denied", "{what} {outcome:?}");
        assert!(self.all().iter().all(|recorder| recorder.is_untouched()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_learns_in_its_own_way_on_whose_behalf_a_request_is_made() {
    let rig = Platforms::start(|plan| plan).await;
    let world = &rig.world;
    let secret = world.service_account("reports-ui").await;
    let alice = world.login("alice").await;
    let by_service = |request: Request| {
        request
            .basic("reports-ui", &secret)
            .header("doorman-on-behalf-of", "alice")
            .header("doorman-user-token", &alice)
    };
    for (request, recorder) in [
        (get("/r/eu/hdfs@nn/webhdfs/v1/tmp?op=LISTSTATUS"), &rig.hdfs),
        (post("/r/eu/query/v1/statement", "SELECT 1"), &rig.query),
        (get("/r/eu/cluster/api/v1/pods"), &rig.cluster),
        (get("/r/eu/wiki/page"), &rig.wiki),
    ] {
        for request in [request.clone().bearer(&alice), by_service(request)] {
            let answer = world.send(request).await;
            assert_eq!(answer.status(), 200, "{answer:?}");
        }
        assert_eq!(recorder.requests().len(), 2);
    }
    for hit in rig.hdfs.requests() {
        assert_eq!(hit.target(), "/webhdfs/v1/tmp?op=LISTSTATUS&user.name=doorman&doas=alice&doAs=alice");
    }
    for hit in rig.query.requests() {
        assert_eq!(hit.head.all("x-trino-user").collect::<Vec<_>>(), ["alice"]);
    }
    for hit in rig.cluster.requests() {
        assert_eq!(hit.head.all("impersonate-user").collect::<Vec<_>>(), ["alice"]);
        assert_eq!(hit.head.all("impersonate-group").collect::<Vec<_>>(), ["developers"]);
    }
    for hit in rig.wiki.requests() {
        assert_eq!(hit.head.all("x-remote-user").collect::<Vec<_>>(), ["alice"]);
    }
    // A service account that calls for itself is nobody's user.
    let answer = world.send(get("/r/eu/query/v1/info").basic("reports-ui", &secret)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (400, "invalid"), "{answer:?}");
    assert_eq!(rig.query.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_itself_who_is_calling_is_refused_and_nothing_is_sent() {
    let rig = Platforms::start(|plan| plan).await;
    let alice = rig.world.login("alice").await;
    for query in [
        "doas=hdfs",
        "op=OPEN&doAs=hdfs",
        "%64o%61s=hdfs",
        "DO_AS=hdfs",
        "user.name=hdfs",
        "user%2Ename=hdfs",
        "User_Name=x",
        "delegation=token",
    ] {
        rig.assert_refused(get(&format!("/r/eu/hdfs@nn/webhdfs/v1/tmp?{query}")).bearer(&alice)).await;
    }
    let form = post("/r/eu/hdfs@nn/webhdfs/v1/tmp?op=MKDIRS", "doas=hdfs");
    rig.assert_refused(form.header("content-type", "application/x-www-form-urlencoded").bearer(&alice)).await;
    for (path, names) in [
        ("/r/eu/query/v1/info", ["X-Trino-User", "x_trino_user", "X.Trino.User", "X-Presto-User"]),
        (
            "/r/eu/cluster/api",
            ["Impersonate-User", "impersonate_group", "Impersonate.Uid", "Impersonate-Extra-a"],
        ),
        ("/r/eu/wiki/page", ["X-Remote-User", "x_remote_user", "X.REMOTE.USER", "x-remote_user"]),
    ] {
        for name in names {
            rig.assert_refused(get(path).header(name, "root").bearer(&alice)).await;
        }
    }
    // In a trailer it is dropped.
    let head = format!(
        "POST /r/eu/query/v1/statement HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {alice}\r\n\
         Transfer-Encoding: chunked\r\nTrailer: X-Trino-User\r\n\r\n3\r\nabc\r\n0\r\nX-Trino-User: root\r\n\r\n"
    );
    let answer = rig.world.send_raw(head.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = String::from_utf8_lossy(&rig.query.requests().remove(0).bytes).to_lowercase();
    assert_eq!(hit.matches("x-trino-user").count(), 1, "{hit}");
    assert!(!hit.contains("root"), "{hit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_data_node_leads_through_the_door_and_no_inside_address_comes_out() {
    let rig = Platforms::start(|plan| plan).await;
    let alice = rig.world.login("alice").await;
    let redirect = |to: String| {
        Reply::raw(format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))
    };
    let node = rig.data_node.addr();
    rig.hdfs.next(redirect(format!(
        "http://{node}/webhdfs/v1/tmp/f?op=CREATE&user.name=doorman&doas=alice&namenoderpcaddress=nn:9000&overwrite=false"
    )));
    let create = |target: &str| crate::world::request("PUT", target).bearer(&alice);
    let answer = rig.world.send(create("/r/eu/hdfs@nn/webhdfs/v1/tmp/f?op=CREATE")).await;
    assert_eq!(answer.status(), 307, "{answer:?}");
    let location = answer.head.field("location").unwrap().to_owned();
    assert_eq!(
        location,
        "/r/eu/hdfs@dn-1/webhdfs/v1/tmp/f?op=CREATE&namenoderpcaddress=nn:9000&overwrite=false"
    );
    let answer = rig.world.send(create(&location).body("content")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = rig.data_node.requests().remove(0);
    assert!(hit.target().ends_with("&user.name=doorman&doas=alice&doAs=alice"), "{}", hit.target());
    assert_eq!(hit.body, b"content");

    rig.hdfs.next(redirect("http://10.9.8.7:9864/webhdfs/v1/tmp/f?op=OPEN&doas=alice".to_owned()));
    let answer = rig.world.send(get("/r/eu/hdfs@nn/webhdfs/v1/tmp/f?op=OPEN").bearer(&alice)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (502, "service_unreachable"), "{answer:?}");
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("10.9.8.7"), "{answer:?}");
}
