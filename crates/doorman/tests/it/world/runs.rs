//! Jobs and runs through the API, and what became of their items.

use super::{DEADLINE, Request, World, request};
use doorman_testkit::raw::Answer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an item can be.
const STATES: [&str; 6] = ["pending", "sending", "done", "failed", "unknown", "skipped"];

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Rows `{"id": "0"}` and so on.
pub fn rows(count: usize) -> Value {
    (0..count).map(|id| json!({"id": id.to_string()})).collect()
}

/// A POST to each row's path of `target`, in dave's folder.
pub fn job(name: &str, rows: Value) -> Value {
    json!({
        "name": name, "folder": "ops",
        "request": {"region": "eu", "service": "target", "method": "POST", "path": "/items/{{id}}", "body": {"to": "v2", "id": "{{id}}"}},
        "input": {"rows": rows},
        "plan": {"concurrency": 8}
    })
}

impl World {
    /// Asks as a demo user; with a JSON body, unless it is null.
    pub async fn call(&self, user: &str, method: &str, path: &str, value: &Value) -> (u16, Value) {
        self.ask(request(method, path).as_user(user), value).await
    }

    /// As [`World::call`], for a request with credentials of its own.
    pub async fn ask(&self, request: Request, value: &Value) -> (u16, Value) {
        let request = match value {
            Value::Null => request,
            value => request.header("content-type", "application/json").body(value.to_string()),
        };
        let answer = self.send(request).await;
        (answer.status(), body(&answer))
    }

    /// What was made by a POST.
    pub async fn made(&self, user: &str, path: &str, value: &Value) -> Value {
        let (status, made) = self.call(user, "POST", path, value).await;
        assert!(status == 200 || status == 201, "{status}: {made:#}");
        made
    }

    /// Saves the job and starts a run of it.
    pub async fn run_of(&self, user: &str, job: &Value) -> String {
        let made = self.made(user, "/api/v1/jobs", job).await;
        let path = format!("/api/v1/jobs/{}/runs", made["id"].as_str().unwrap());
        self.made(user, &path, &json!({})).await["id"].as_str().unwrap().to_owned()
    }

    /// A run of dave's folder as it is now.
    pub async fn run(&self, id: &str) -> Value {
        let (status, run) = self.call("dave", "GET", &format!("/api/v1/runs/{id}"), &Value::Null).await;
        assert_eq!(status, 200, "{run}");
        run
    }

    /// Waits until the run is as wanted.
    pub async fn run_until(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + 3 * DEADLINE;
        loop {
            let run = self.run(id).await;
            if is_so(&run) {
                return run;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {run:#}\n{}", self.api(0).log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the run has this state.
    pub async fn run_until_state(&self, id: &str, state: &str) -> Value {
        self.run_until(id, state, |run| run["state"] == state).await
    }

    /// `pause`, `resume`, and so on.
    pub async fn control(&self, user: &str, id: &str, what: &str) -> (u16, Value) {
        self.call(user, "POST", &format!("/api/v1/runs/{id}/{what}"), &json!({})).await
    }

    /// All items of a run.
    pub async fn items(&self, id: &str, filter: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/runs/{id}/items?limit=500{filter}{cursor}");
            let (status, page) = self.call("dave", "GET", &path, &Value::Null).await;
            assert_eq!(status, 200, "{page}");
            items.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// How often each path came to the recorder.
    pub fn hits_by_path(&self) -> BTreeMap<String, usize> {
        let mut hits = BTreeMap::new();
        for hit in self.recorder().requests().into_iter().filter(|hit| hit.complete) {
            *hits.entry(hit.target().to_owned()).or_default() += 1;
        }
        hits
    }

    /// Each item of the run stands in the journal as it stands in the list, and what came came with its attempt.
    pub async fn assert_accounted(&self, id: &str, count: usize) {
        // Receipts and late outcomes may settle items meanwhile, and a replica counts what it settled a moment later.
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let listed =
            |items: &[Value], state: &str| items.iter().filter(|item| item["state"] == state).count();
        let mut looks = 0;
        let (items, run) = loop {
            let items = self.items(id, "").await;
            let run = self.run(id).await;
            let is_counted = STATES.iter().all(|state| run["counts"][state] == listed(&items, state));
            looks += 1;
            // A look may take long by itself, and something may move in between.
            if is_counted || (looks > 10 && tokio::time::Instant::now() > deadline) {
                break (items, run);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(items.len(), count);
        let indexes: BTreeSet<_> = items.iter().map(|item| item["index"].as_u64().unwrap()).collect();
        assert_eq!(indexes.len(), count, "an item is there twice");
        let attempts = self
            .entries(|entry| {
                entry.text("run") == id
                    && entry.text("kind") == "request"
                    && entry.text("decision") == "permit"
            })
            .await;
        let by_id: BTreeMap<_, _> =
            attempts.iter().map(|entry| (entry.text("id").to_owned(), entry)).collect();
        for item in &items {
            let Some(audit) = item["audit_id"].as_str() else { continue };
            let Some(attempt) = by_id.get(audit) else { continue };
            assert_eq!(attempt.record["item"], item["index"], "{item}");
            assert_eq!(attempt.text("channel"), "bulk");
        }
        for state in STATES {
            assert_eq!(run["counts"][state], listed(&items, state), "{state} of {run}");
        }
        self.assert_every_hit_was_written_down().await;
    }
}
