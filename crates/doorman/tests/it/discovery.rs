//! Services whose instances others keep track of: DNS as a real server answers, Consul and Kubernetes as their
//! documented answers on the wire.

use crate::world::{ANY, DEADLINE, World, code_of, get};
use doorman_testkit::dns::Dns;
use doorman_testkit::recorder::{Recorder, Reply};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::block_in_place;

const POLICY: &str = r#"permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"web");"#;

/// The ids of the instances of `web` with their health, once `wanted` are there.
async fn wait_for(world: &World, wanted: &[(&str, bool)]) -> Value {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = world.send(get("/api/v1/regions/eu/services/web/instances").as_user("alice")).await;
        let listed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let found: Vec<_> = listed["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| (item["id"].as_str().unwrap_or_default(), item["health"] == "healthy"))
            .collect();
        if found == wanted {
            return listed["items"].clone();
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{wanted:?}: {answer:?}\n{}",
            world.proxy("eu", 0).log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(world: &World, instance: &str) -> (u16, String) {
    let answer = world.send(get(&format!("/r/eu/web@{instance}/a")).as_user("alice")).await;
    (answer.status(), code_of(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_and_go_with_their_srv_records_and_stay_while_dns_is_down() {
    let (one, other) = (Recorder::start(ANY).await.unwrap(), Recorder::start(ANY).await.unwrap());
    let srv = |host: &str, recorder: &Recorder| {
        format!("srv-host=_http._tcp.web.test,{host}.web.test,{}\n", recorder.addr().port())
    };
    let hosts = "host-record=a.web.test,127.0.0.1\nhost-record=b.web.test,127.0.0.1\n";
    let dns =
        block_in_place(|| Dns::start(&format!("{hosts}{}{}", srv("a", &one), srv("b", &other)))).unwrap();
    let settings = format!(
        "discovery = \"dns\"\nrefresh = \"100ms\"\n[services.dns]\nname = \"_http._tcp.web.test\"\nservers = [\"{}\"]",
        dns.address()
    );
    let world = World::plan().policy("web.cedar", POLICY).service("web", &settings, &[]).start().await;
    let a = format!("a.web.test:{}", one.addr().port());
    let b = format!("b.web.test:{}", other.addr().port());
    let listed = wait_for(&world, &[(&a, true), (&b, true)]).await;
    assert_eq!(listed[0]["address"], format!("http://{}", one.addr()));
    assert_eq!(ask(&world, &a).await.0, 200);
    assert_eq!((one.requests().len(), other.requests().len()), (1, 0));

    block_in_place(|| dns.set(&format!("{hosts}{}", srv("b", &other)))).unwrap();
    wait_for(&world, &[(&b, true)]).await;
    assert_eq!(ask(&world, &a).await, (404, "unknown_instance".to_owned()));
    assert_eq!(ask(&world, "any").await.0, 200);
    assert_eq!((one.requests().len(), other.requests().len()), (1, 1));

    // Who does not answer says nothing; an answer that there is none says so.
    block_in_place(|| dns.daemon().kill());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&world, &b).await.0, 200);
    block_in_place(|| dns.set(hosts)).unwrap();
    wait_for(&world, &[]).await;
    assert_eq!(ask(&world, "any").await, (502, "service_unreachable".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_of_a_host_are_instances() {
    let one = Recorder::start(ANY).await.unwrap();
    let port = one.addr().port();
    let dns = block_in_place(|| Dns::start("host-record=web.test,127.0.0.1\nhost-record=web.test,127.0.0.2"))
        .unwrap();
    let settings = format!(
        "discovery = \"dns\"\nrefresh = \"100ms\"\n[services.dns]\nname = \"web.test\"\nport = {port}\nservers = [\"{}\"]\n\
         [services.health]\npath = \"/\"\ninterval = \"200ms\"",
        dns.address()
    );
    let world = World::plan().policy("web.cedar", POLICY).service("web", &settings, &[]).start().await;
    // Nobody listens at the second.
    wait_for(&world, &[(&format!("127.0.0.1:{port}"), true), (&format!("127.0.0.2:{port}"), false)]).await;
    assert_eq!(ask(&world, &format!("127.0.0.1:{port}")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_as_consul_says_and_its_critical_ones_are_not_well() {
    let (one, consul) = (Recorder::start(ANY).await.unwrap(), Recorder::start(ANY).await.unwrap());
    let port = one.addr().port();
    let entry = |id: &str, address: &str, status: &str| {
        json!({
            "Node": {"ID": "40e4a748", "Node": "node-1", "Address": "127.0.0.1", "Datacenter": "dc1"},
            "Service": {"ID": id, "Service": "web-api", "Tags": ["v2"], "Address": address, "Port": port, "Meta": {"rack": "7"}},
            "Checks": [{"CheckID": "serfHealth", "Status": "passing"}, {"CheckID": "service:web", "Status": status}],
        })
    };
    let says = |entries: Value, index: u64| {
        let body = entries.to_string();
        consul.always(Reply::raw(format!(
            "HTTP/1.1 200 OK\r\nX-Consul-Index: {index}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )));
    };
    says(json!([entry("web-1", "", "passing"), entry("web-2", "127.0.0.1", "critical")]), 7);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "acl-token\n").unwrap();
    let settings = format!(
        "discovery = \"consul\"\n[services.consul]\nurl = \"http://{}\"\nservice = \"web-api\"\ntag = \"v2\"\ntoken_file = {:?}",
        consul.addr(),
        token.path()
    );
    let world = World::plan().policy("web.cedar", POLICY).service("web", &settings, &[]).start().await;
    let listed = wait_for(&world, &[("web-1", true), ("web-2", false)]).await;
    assert_eq!(listed[0]["labels"], json!({"node": "node-1", "rack": "7", "tags": "v2"}));
    assert_eq!(ask(&world, "web-1").await.0, 200);
    says(json!([entry("web-2", "127.0.0.1", "passing")]), 8);
    wait_for(&world, &[("web-2", true)]).await;
    let asked = consul.requests();
    assert!(
        asked[0].target().starts_with("/v1/health/service/web-api?index=0&wait=30s&tag=v2"),
        "{}",
        asked[0].target()
    );
    assert!(asked.iter().any(|hit| hit.target().contains("index=7")));
    assert_eq!(asked[0].head.field("x-consul-token"), Some("acl-token"));
    // What is no answer changes nothing.
    consul.always(Reply::raw("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    wait_for(&world, &[("web-2", true)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_the_endpoints_of_a_kubernetes_service() {
    let (one, cluster) = (Recorder::start(ANY).await.unwrap(), Recorder::start(ANY).await.unwrap());
    let endpoint = |pod: &str, ready: Value| {
        json!({"addresses": ["127.0.0.1"], "conditions": {"ready": ready}, "nodeName": "node-1", "zone": "a",
               "targetRef": {"kind": "Pod", "namespace": "prod", "name": pod}})
    };
    let slices = json!({
        "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "1"},
        "items": [
            {"addressType": "IPv4", "ports": [{"name": "metrics", "port": 9}, {"name": "http", "port": one.addr().port()}],
             "endpoints": [endpoint("web-6d4cf-x1", json!(true)), endpoint("web-6d4cf-x2", json!(false))]},
            {"addressType": "IPv4", "ports": null, "endpoints": null},
        ],
    });
    cluster.always(Reply::ok(&slices.to_string()));
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "pod-token").unwrap();
    let settings = format!(
        "discovery = \"kubernetes\"\nrefresh = \"100ms\"\n[services.kubernetes]\nnamespace = \"prod\"\nport = \"http\"\n\
         url = \"http://{}\"\ntoken_file = {:?}",
        cluster.addr(),
        token.path()
    );
    let world = World::plan().policy("web.cedar", POLICY).service("web", &settings, &[]).start().await;
    wait_for(&world, &[("web-6d4cf-x1", true), ("web-6d4cf-x2", false)]).await;
    assert_eq!(ask(&world, "web-6d4cf-x1").await.0, 200);
    let asked = cluster.requests().remove(0);
    let selector = "labelSelector=kubernetes.io%2Fservice-name%3Dweb&limit=100";
    assert_eq!(
        asked.target(),
        format!("/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices?{selector}")
    );
    assert_eq!(asked.head.field("authorization"), Some("Bearer pod-token"));
}
