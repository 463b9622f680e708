//! Rows as people bring them: spreadsheets, JSON Lines, mistakes and attacks. What cannot run is refused whole.

use crate::world::{World, job, request};
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Uploads rows; the answer, with a job on success.
async fn upload(world: &World, job: &Value, kind: &str, query: &str, text: &str) -> (u16, Value) {
    let path = format!("/api/v1/jobs/{}/input{query}", job["id"].as_str().unwrap());
    let request = request("PUT", &path).as_user("dave").header("content-type", kind).body(text);
    world.ask(request, &Value::Null).await
}

/// A job that waits for its rows.
async fn empty_job(world: &World, name: &str) -> Value {
    let mut job = job(name, Value::Null);
    job.as_object_mut().unwrap().remove("input");
    world.made("dave", "/api/v1/jobs", &job).await
}

async fn shown(world: &World, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    world.call("dave", "GET", &path, &Value::Null).await.1
}

async fn stored_rows(world: &World) -> i64 {
    let sql = "SELECT COUNT(*) FROM job_input_row";
    sqlx::query_scalar(sql).fetch_one(&mut world.sqlite().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_as_spreadsheets_and_programs_write_them() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut spec = job("files", Value::Null);
    spec.as_object_mut().unwrap().remove("input");
    spec["request"]["body"] = json!({"name": "{{name}}"});
    let job = world.made("dave", "/api/v1/jobs", &spec).await;
    let names = ["M\u{fc}ller; Sohn", "line one\r\nline two", "say \"hi\"", "", "plain"];
    let csv = |separator: &str, end: &str| {
        let cell = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let lines = names.iter().enumerate().map(|(id, name)| format!("{id}{separator}{}{end}", cell(name)));
        format!("id{separator}name{end}{}", lines.collect::<String>())
    };
    let jsonl = names.iter().enumerate().map(|(id, name)| json!({"id": id, "name": name}).to_string() + "\n");
    let files = [
        ("text/csv", csv(",", "\n")),
        ("text/csv; charset=utf-8", format!("\u{feff}{}", csv(";", "\r\n"))),
        ("text/csv", csv("\t", "\r\n")),
        ("application/jsonl", jsonl.collect()),
        ("application/jsonl", "\u{feff}{\"id\": 0, \"name\": \"plain\"}\r\n\r\n".to_owned()),
    ];
    for (kind, text) in files {
        let (status, stored) = upload(&world, &job, kind, "", &text).await;
        let wanted = if text.contains("\r\n\r\n") { 1 } else { names.len() };
        assert_eq!((status, &stored["uploaded"]["rows"]), (200, &json!(wanted)), "{text}: {stored:#}");
        assert_eq!(stored["uploaded"]["columns"], json!(["id", "name"]), "{text}");
        world.recorder().clear();
        let path = format!("/api/v1/jobs/{}/runs", job["id"].as_str().unwrap());
        let run = world.made("dave", &path, &json!({})).await;
        world.run_until_state(run["id"].as_str().unwrap(), "done").await;
        let hits = world.recorder().requests();
        assert_eq!(hits.len(), wanted);
        for hit in hits {
            let id: usize = hit.target().rsplit('/').next().unwrap().parse().unwrap();
            let sent: Value = serde_json::from_slice(&hit.body).unwrap();
            let name = if wanted == 1 { "plain" } else { names[id] };
            assert_eq!(sent, json!({ "name": name }), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_upload_is_refused_with_its_lines_and_leaves_nothing() {
    let world = World::start().await;
    let job = empty_job(&world, "bad").await;
    let (status, _) = upload(&world, &job, "text/csv", "", "id\n1\n2\n").await;
    assert_eq!(status, 200);
    let before = shown(&world, &job).await;
    let many: String = (0..3_000).map(|id| format!("{id}\n")).collect();
    let cases: [(&str, &str, String, &[&str]); 13] = [
        ("text/csv", "", "id,name\n1,a\n2\n3,c,d\n1,a\n".into(), &["line 3", "line 4", "line 5"]),
        ("text/csv", "", "\u{feff}id;name\r\n1;\"a\r\nb\"\r\n2\r\n".into(), &["line 4"]),
        ("text/csv", "", "name\na\n".into(), &["id"]),
        ("text/csv", "", "id,id\n1,2\n".into(), &["input"]),
        ("text/csv", "", String::new(), &["input"]),
        ("text/csv", "", "id\n".into(), &["input"]),
        ("text/csv", "?key=id", "id,name\n1,a\n1,b\n".into(), &["line 3"]),
        ("text/csv", "?key=nothing", "id,name\n1,a\n".into(), &["input"]),
        ("application/jsonl", "", "{\"id\": 1}\nnonsense\n{\"id\": [1]}\n{\"id\": 1}\n".into(), &["line 2"]),
        ("application/jsonl", "", "{\"id\": \"a\"}\n{\"id\": \"../b\"}\n".into(), &["line 2"]),
        ("application/jsonl", "", "nonsense\n[]\n".into(), &["line 1", "line 2"]),
        ("text/csv", "", "id,name\n1\n2,\"a\n3,b\n".into(), &["line 2", "line 3", "never closed"]),
        // The last one of many, when most of them are stored already.
        ("text/csv", "", format!("id\n{many}..\n"), &["line 3002"]),
    ];
    for (kind, query, text, wanted) in cases {
        let (status, refused) = upload(&world, &job, kind, query, &text).await;
        let short: String = text.chars().take(60).collect();
        assert!(status == 400 || status == 422, "{short}: {status} {refused:#}");
        assert_eq!(refused["code"], "invalid", "{short}: {refused:#}");
        let told = refused.to_string();
        assert!(wanted.iter().all(|line| told.contains(line)), "{short}: {refused:#}");
        assert_eq!(shown(&world, &job).await, before, "{short}");
        assert_eq!(stored_rows(&world).await, 2, "{short}");
    }
    // Not CSV at all, and nobody who may.
    assert_eq!(upload(&world, &job, "text/plain", "", "id\n1\n").await.0, 415);
    let path = format!("/api/v1/jobs/{}/input", job["id"].as_str().unwrap());
    let by_alice = request("PUT", &path).as_user("alice").header("content-type", "text/csv").body("id\n1\n");
    assert_eq!(world.send(by_alice).await.status(), 404);
    assert!(world.recorder().is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_job_tells_its_rows_apart_stays_when_they_are_uploaded() {
    let world = World::start().await;
    let mut spec = job("keyed", Value::Null);
    spec["input"] = json!({"key": "id", "duplicates": "skip"});
    let job = world.made("dave", "/api/v1/jobs", &spec).await;
    assert_eq!(job["input"], json!({"key": "id", "duplicates": "skip"}), "{job:#}");
    let (status, stored) = upload(&world, &job, "text/csv", "", "id,name\n1,a\n1,b\n2,c\n").await;
    assert_eq!(status, 200, "{stored:#}");
    assert_eq!(stored["input"], job["input"], "{stored:#}");
    let rows = (&stored["uploaded"]["rows"], &stored["uploaded"]["duplicates"]);
    assert_eq!(rows, (&json!(2), &json!(1)), "{stored:#}");
    // An edit of what was read leaves both.
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    spec["description"] = "edited".into();
    let edit = request("PUT", &path).as_user("dave").header("if-match", "*");
    let (status, edited) = world.ask(edit, &spec).await;
    assert_eq!((status, &edited["input"]), (200, &job["input"]), "{edited:#}");
    assert_eq!(edited["uploaded"]["rows"], 2, "{edited:#}");
    // The query says otherwise, once.
    let (status, refused) = upload(&world, &job, "text/csv", "?duplicates=refuse", "id\n1\n1\n").await;
    assert_eq!(status, 422, "{refused:#}");
}

/// Values that mean something elsewhere.
const ATTACKS: [&str; 22] = [
    "..",
    ".",
    "../admin",
    "a/b",
    "a\\b",
    "a%2Fb",
    "%2e%2e",
    "a?admin=1",
    "a#b",
    "a&admin=1",
    "a;admin=1",
    "a=b",
    "a b+c",
    "\",\"admin\":true,\"x\":\"",
    "\"}],{\"",
    "{{id}}",
    "${id}",
    "<script>",
    "' OR 1=1 --",
    "\u{202e}gnp",
    "e\u{301}\u{1f600}",
    "null",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_row_stays_a_value_wherever_it_is_put() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let attacks: Vec<Value> =
        ATTACKS.iter().enumerate().map(|(id, value)| json!({"id": id, "v": value})).collect();
    let mut spec = job("attacks", attacks.into());
    spec["request"] = json!({
        "region": "eu", "service": "target", "method": "POST", "path": "/fixed",
        "query": {"v": "{{v}}", "id": "{{id}}"},
        "headers": {"content-type": "application/json", "x-id": "{{id}}"},
        "body": {"v": "{{v}}", "list": ["{{v}}", 1], "text": "<{{v}}>"},
    });
    let id = world.run_of("dave", &spec).await;
    world.run_until_state(&id, "done").await;
    let hits = world.recorder().requests();
    assert_eq!(hits.len(), ATTACKS.len());
    let mut seen = BTreeSet::new();
    for hit in hits {
        let (path, query) = hit.target().split_once('?').unwrap();
        assert_eq!(path, "/fixed");
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let [(a, number), (b, value)] = &pairs[..] else { panic!("{query}") };
        assert_eq!((a.as_str(), b.as_str()), ("id", "v"), "{query}");
        let wanted = ATTACKS[number.parse::<usize>().unwrap()];
        assert_eq!(value, wanted, "{query}");
        let body: Value = serde_json::from_slice(&hit.body).unwrap();
        assert_eq!(body, json!({"v": wanted, "list": [wanted, 1], "text": format!("<{wanted}>")}));
        assert!(hit.head.field("admin").is_none());
        seen.insert(number.clone());
    }
    assert_eq!(seen.len(), ATTACKS.len());
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_adds_no_segment_to_a_path_and_no_line_to_a_header() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut sent = 0;
    for (number, attack) in ATTACKS.iter().chain(&["", "a\0b", "a\nb"]).enumerate() {
        let spec = job(&format!("segment {number}"), json!([{ "id": attack }]));
        let (status, made) = world.call("dave", "POST", "/api/v1/jobs", &spec).await;
        if status != 201 {
            assert_eq!((status, &made["code"]), (422, &json!("invalid")), "{attack:?}: {made:#}");
            continue;
        }
        let path = format!("/api/v1/jobs/{}/runs", made["id"].as_str().unwrap());
        let run = world.made("dave", &path, &json!({})).await;
        world.run_until_state(run["id"].as_str().unwrap(), "done").await;
        let hits = world.recorder().requests();
        assert_eq!(hits.len(), sent + 1, "{attack:?}");
        sent += 1;
        let target = hits.last().unwrap().target().to_owned();
        let segment = target.strip_prefix("/items/").unwrap();
        assert!(!segment.contains(['/', '?', '#', '\\', ';']), "{attack:?}: {target}");
        let value = percent_encoding::percent_decode_str(segment).decode_utf8().unwrap();
        assert_eq!(value, *attack, "{target}");
    }
    assert!(sent >= 8, "most of these are harmless where they are escaped");
    let before = world.recorder().requests().len();
    for bad in ["a\r\nx-admin: 1", "a\nb", "a\0b"] {
        let mut spec = job("header", json!([{ "id": "1" }, { "id": bad }]));
        spec["request"]["path"] = "/fixed".into();
        spec["request"]["headers"] = json!({"x-id": "{{id}}"});
        let (status, refused) = world.call("dave", "POST", "/api/v1/jobs", &spec).await;
        assert_eq!(status, 422, "{bad:?}: {refused:#}");
        assert!(refused.to_string().contains("line 2"), "{bad:?}: {refused:#}");
    }
    assert_eq!(world.recorder().requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_run_is_told_everything_that_is_wrong_with_it() {
    let world = World::start().await;
    let wrong = json!({
        "name": "", "folder": "ops/../x",
        "request": {"service": "target", "method": "G ET", "path": "/a/{{id", "query": {"{{id}}": "x"}},
        "input": {"rows": [{"id": "1"}, {"id": "1"}]},
        "plan": {"waves": [{"count": 0}, {"percent": 120}], "concurrency": 0, "timeout": "soon",
            "stop_when": {"failure_rate": 2}, "success": {"status": ["ok"]}},
        "schedule": {"cron": "* *", "time_zone": "Mars/Base"},
    });
    let (status, refused) = world.call("dave", "POST", "/api/v1/jobs", &wrong).await;
    assert_eq!((status, &refused["code"]), (422, &json!("invalid")), "{refused:#}");
    let fields: BTreeSet<_> =
        refused["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    for field in [
        "name",
        "folder",
        "request.method",
        "request.path",
        "plan.waves[0].count",
        "plan.waves[1].percent",
        "plan.concurrency",
        "plan.timeout",
        "plan.stop_when.failure_rate",
        "schedule.cron",
        "schedule.time_zone",
    ] {
        assert!(fields.contains(field), "{field}: {refused:#}");
    }
    let bulk = json!({"job": job("bulk", json!([{"id": "a"}, {"id": "a"}]))});
    let (status, refused) = world.call("dave", "POST", "/api/v1/bulk", &bulk).await;
    assert_eq!(status, 422, "{refused:#}");
    assert!(refused.to_string().contains("line 2"), "{refused:#}");
    let listed = world.call("dave", "GET", "/api/v1/jobs", &Value::Null).await.1;
    assert_eq!(listed["items"], json!([]));
    assert_eq!(stored_rows(&world).await, 0);
    let unknown = json!({"name": "x", "folder": "ops", "plann": {}});
    let (_, refused) = world.call("dave", "POST", "/api/v1/jobs", &unknown).await;
    assert!(refused.to_string().contains("plan"), "{refused:#}");
    assert!(world.recorder().is_untouched());
}
