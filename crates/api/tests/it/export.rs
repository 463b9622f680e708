//! Exports: complete and verifiable, or narrowed; who may have one, and that each is an entry.

use crate::rig::Rig;
use doorman_core::export::{ExportError, ExportReader};
use doorman_core::verify::Report;
use serde_json::{Value, json};

fn verify(rig: &Rig, text: &str) -> (Report, Result<(), ExportError>) {
    let mut reader = ExportReader::new(rig.public_keys());
    let bad = text.lines().find_map(|line| reader.line(line).err());
    let (report, ended) = reader.finish();
    (report, bad.map_or(ended, Err))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_the_log_as_json_lines_can_be_verified_and_one_line_less_cannot() {
    let rig = Rig::new().await;
    for user in ["alice", "bob", "mallory"] {
        rig.login(user).await;
    }
    let carol = rig.login("carol").await;
    let answer = rig.get("/api/v1/audit/export").bearer(&carol).send().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/jsonl");
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"doorman-audit-"));
    let (report, ended) = verify(&rig, &answer.body);
    assert_eq!((report.faults.as_slice(), ended), (&[] as &[_], Ok(())));
    let exported = answer.body.lines().filter(|line| line.starts_with("{\"entry\"")).count();
    assert_eq!(report.entries as usize, exported);
    assert!(exported >= 5, "four logins, and the export itself: {}", answer.body);
    assert!(answer.body.contains(&format!("\"id\":\"{}\"", answer.header("doorman-audit-id"))));

    let entry = answer.body.lines().find(|line| line.contains("user:bob")).unwrap();
    let without: String =
        answer.body.lines().filter(|line| *line != entry).map(|l| format!("{l}\n")).collect();
    let (report, ended) = verify(&rig, &without);
    assert!(!report.faults.is_empty() && ended.is_err());
    let edited = answer.body.replacen("user:bob", "user:bog", 1);
    assert_eq!(verify(&rig, &edited).0.faults.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_one_entry_that_tells_what_was_asked_for() {
    let rig = Rig::new().await;
    let carol = rig.login("carol").await;
    let answer = rig.get("/api/v1/audit/export?format=csv&actor=bob").bearer(&carol).send().await;
    let entries = rig.log("kind=audit&q=/export").await;
    assert_eq!(entries.len(), 1, "{entries:#?}");
    assert_eq!(entries[0]["id"], answer.header("doorman-audit-id"));
    assert_eq!(entries[0]["detail"], json!({"export": "csv", "filter": r#"{"actor":"bob"}"#}));
    assert_eq!(entries[0]["policies"], json!(["security-audit"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_the_entries_that_the_list_shows() {
    let rig = Rig::new().await;
    for _ in 0..3 {
        rig.login("bob").await;
    }
    rig.login("alice").await;
    let carol = rig.login("carol").await;
    let list = rig.get("/api/v1/audit?actor=bob&kind=login").bearer(&carol).send().await.json;
    let exported = rig.get("/api/v1/audit/export?actor=bob&kind=login").bearer(&carol).send().await.body;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(lines), list["items"]);
    let csv = rig.get("/api/v1/audit/export?actor=bob&kind=login&format=csv").bearer(&carol).send().await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = csv.body.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 4, "{}", csv.body);
    assert!(lines[0].starts_with("id,time,kind,actor,"));
    for (line, item) in lines[1..].iter().zip(list["items"].as_array().unwrap()) {
        assert!(line.starts_with(item["id"].as_str().unwrap()), "{line}");
        assert!(line.contains(",login,user:bob,"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_export_only_their_own_gets_no_other_entry() {
    let rig = Rig::new().await;
    let (alice, erin) = (rig.login("alice").await, rig.login("erin").await);
    let refused = rig.get("/api/v1/audit/export").bearer(&alice).send().await;
    assert_eq!(refused.problem(), (403, "forbidden"), "reading is not exporting");
    rig.set_policy(
        "own-export.cedar",
        "@id(\"own-export\") permit (principal, action == Action::\"audit:export\", resource == Audit::\"own\");",
    );
    for path in ["/api/v1/audit/export", "/api/v1/audit/export?actor=erin", "/api/v1/audit/export?kind=login"]
    {
        let answer = rig.get(path).bearer(&alice).send().await;
        assert_eq!(answer.status, 200);
        for line in answer.body.lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            assert_eq!(entry["actor"], "user:alice", "{path}: {line}");
        }
        assert_eq!(answer.body.is_empty(), path.contains("erin"));
    }
    assert!(rig.get("/api/v1/audit/export").bearer(&erin).send().await.body.contains("user:erin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_export_begins_that_cannot_be_written_down() {
    let mut rig = Rig::new().await;
    let carol = rig.login("carol").await;
    for (query, field) in
        [("format=xml", "format"), ("limit=5", "query"), ("cursor=a", "query"), ("status=9xx", "status")]
    {
        let answer = rig.get(&format!("/api/v1/audit/export?{query}")).bearer(&carol).send().await;
        assert_eq!(answer.problem(), (422, "invalid"), "{query}: {}", answer.body);
        assert!(answer.fields()[0] == field || field == "query", "{query}: {}", answer.body);
    }
    rig.break_journal().await;
    let answer = rig.get("/api/v1/audit/export").bearer(&carol).send().await;
    assert_eq!(answer.problem(), (503, "audit_unavailable"));
}
