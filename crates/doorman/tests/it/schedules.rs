//! Jobs that run by themselves: at their time, as whoever saved the schedule, if they still may.

use crate::world::{DEADLINE, Entry, World, job, request, rows};
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::time::Duration;

/// A job of dave's that comes once a year, for tests to bring that day about.
fn yearly(name: &str, schedule: &Value) -> Value {
    let mut job = job(name, rows(3));
    job["schedule"] = json!({"cron": "0 0 1 1 *"});
    job["schedule"].as_object_mut().unwrap().extend(schedule.as_object().unwrap().clone());
    job
}

impl World {
    async fn saved(&self, job: &Value) -> String {
        self.made("dave", "/api/v1/jobs", job).await["id"].as_str().unwrap().to_owned()
    }

    /// Makes a job's schedule due so long ago.
    async fn make_due(&self, job: &str, ago: Duration) {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let due_ms = i64::try_from((clock - ago).as_millis()).unwrap();
        let sql = format!("UPDATE job SET next_ms = {due_ms} WHERE id = x'{}'", job.replace('-', ""));
        let done = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut self.sqlite().await).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    async fn runs_of(&self, job: &str) -> Vec<Value> {
        let path = format!("/api/v1/runs?job={job}");
        self.call("dave", "GET", &path, &Value::Null).await.1["items"].as_array().unwrap().clone()
    }

    /// What the log says of a job's schedule, once it says so often that something was due.
    async fn told_of(&self, job: &str, count: usize) -> Vec<Entry> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let told = self
                .entries(|entry| entry.text("job") == job && entry.record["detail"]["change"] == "schedule")
                .await;
            if told.len() >= count {
                return told;
            }
            assert!(tokio::time::Instant::now() < deadline, "never due: {told:#?}\n{}", self.api(0).log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes the schedule due until the log says of it what is wanted: the directory's news take their time. What it says
    /// meanwhile is a refusal.
    async fn due_until(&self, job: &str, is_so: impl Fn(&Entry) -> bool) -> Entry {
        let deadline = tokio::time::Instant::now() + 3 * DEADLINE;
        let mut count = self.told_of(job, 0).await.len();
        loop {
            self.make_due(job, Duration::from_secs(1)).await;
            count += 1;
            let told = self.told_of(job, count).await.swap_remove(count - 1);
            if is_so(&told) {
                return told;
            }
            assert_eq!(told.text("decision"), "deny", "{told:#?}");
            assert!(tokio::time::Instant::now() < deadline, "{told:#?}");
        }
    }

    /// Waits until the directory's news are known: dave is answered so when he looks at the job.
    async fn until_dave_gets(&self, job: &str, status: u16) {
        let deadline = tokio::time::Instant::now() + 3 * DEADLINE;
        let path = format!("/api/v1/jobs/{job}");
        while self.call("dave", "GET", &path, &Value::Null).await.0 != status {
            assert!(tokio::time::Instant::now() < deadline, "dave never gets {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn why(entry: &Entry) -> &str {
    entry.record["detail"]["why"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_at_its_time_as_whoever_saved_it_once_however_many_replicas_there_are() {
    let world = World::plan().apis(2).start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut spec = yearly("nightly", &json!({"cron": "30 9 * * *", "time_zone": "Asia/Kolkata"}));
    // Nobody says as whom but Doorman.
    spec["schedule"]["run_as"] = "user:erin".into();
    let made = world.made("dave", "/api/v1/jobs", &spec).await;
    assert_eq!(made["schedule"]["run_as"], "user:dave", "{made:#}");
    assert!(made["next_run_at"].as_str().unwrap().ends_with("T04:00:00.000Z"), "{made:#}");
    let id = made["id"].as_str().unwrap();
    world.make_due(id, Duration::from_secs(1)).await;
    let told = world.told_of(id, 1).await;
    assert_eq!((told[0].text("decision"), told[0].text("subject")), ("permit", "user:dave"), "{told:#?}");
    let run = told[0].text("run").to_owned();
    world.run_until_state(&run, "done").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.runs_of(id).await.len(), 1);
    assert_eq!(world.recorder().requests().len(), 3);
    let shown = world.call("dave", "GET", &format!("/api/v1/jobs/{id}"), &Value::Null).await.1;
    assert_eq!(shown["next_run_at"], made["next_run_at"], "{shown:#}");
    world.assert_accounted(&run, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_was_missed_is_left_out_or_made_up_for_once() {
    let world = World::start().await;
    let skip = world.saved(&yearly("skip", &json!({"missed": "skip"}))).await;
    let once = world.saved(&yearly("once", &json!({"missed": "run_once"}))).await;
    let resting = world.saved(&yearly("resting", &json!({"paused": true}))).await;
    world.api(0).stop();
    for job in [&skip, &once, &resting] {
        world.make_due(job, Duration::from_secs(3_600)).await;
    }
    world.start_api(0).await;
    let told = world.told_of(&skip, 1).await;
    assert_eq!((told[0].text("decision"), why(&told[0])), ("deny", "skipped: nobody was there in time"));
    let told = world.told_of(&once, 1).await;
    assert_eq!(told[0].text("decision"), "permit", "{told:#?}");
    world.run_until_state(told[0].text("run"), "done").await;
    let counts = (world.runs_of(&skip).await.len(), world.runs_of(&once).await.len());
    assert_eq!((counts, world.runs_of(&resting).await.len()), ((0, 1), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_not_ended_keeps_the_next_out_or_lets_one_wait() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let held = |name: &str, overlap: &str| {
        let mut job = yearly(name, &json!({"overlap": overlap}));
        job["plan"] = json!({"waves": [{"count": 1, "gate": "manual"}]});
        job
    };
    let skip = world.saved(&held("skip", "skip")).await;
    let queue = world.saved(&held("queue", "queue")).await;
    for job in [&skip, &queue] {
        world.make_due(job, Duration::from_secs(1)).await;
        let first = world.told_of(job, 1).await[0].text("run").to_owned();
        world.run_until_state(&first, "waiting").await;
        world.make_due(job, Duration::from_secs(1)).await;
        world.told_of(job, 2).await;
    }
    let told = world.told_of(&skip, 2).await;
    assert_eq!(why(&told[1]), "skipped: the run before has not ended", "{told:#?}");
    assert_eq!(world.runs_of(&skip).await.len(), 1);
    let runs = world.runs_of(&queue).await;
    let states: Vec<_> = runs.iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "waiting"], "{runs:#?}");
    // One waits, not two.
    world.make_due(&queue, Duration::from_secs(1)).await;
    let told = world.told_of(&queue, 3).await;
    assert_eq!(why(&told[2]), "skipped: the run before has not ended", "{told:#?}");
    let sent = world.recorder().requests().len();
    assert_eq!(sent, 2, "a run that waits sends nothing");
    let (second, first) = (runs[0]["id"].as_str().unwrap(), runs[1]["id"].as_str().unwrap());
    assert_eq!(world.control("dave", first, "advance").await.0, 200);
    world.run_until_state(first, "done").await;
    // It begins when the one before has ended, and goes as its plan says.
    world.run_until_state(second, "waiting").await;
    assert_eq!(world.control("dave", second, "advance").await.0, 200);
    world.run_until_state(second, "done").await;
    assert_eq!(world.recorder().requests().len(), 7);
    world.assert_accounted(second, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_of_somebody_who_may_not_any_more_is_refused_and_says_so() {
    let world = World::plan().api_toml("[auth]\ngroup_refresh = \"1s\"\n").start().await;
    let job = world.saved(&yearly("left", &json!({}))).await;
    let path = world.path().join("directory.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    // Without the group, the policy says no.
    std::fs::write(&path, before.replace("groups = [\"operators\"]", "groups = []")).unwrap();
    world.until_dave_gets(&job, 404).await;
    let told = world.due_until(&job, |told| why(told).contains("policy does not permit user:dave")).await;
    assert_eq!((told.text("decision"), told.text("subject")), ("deny", "user:dave"), "{told:#?}");
    std::fs::write(&path, before.replace("name = \"dave\"", "name = \"dave\"\ndisabled = true")).unwrap();
    world.until_dave_gets(&job, 401).await;
    world.due_until(&job, |told| why(told).starts_with("refused: user:dave")).await;
    assert!(world.recorder().is_untouched());
    std::fs::write(&path, &before).unwrap();
    world.until_dave_gets(&job, 200).await;
    assert!(world.runs_of(&job).await.is_empty());
    // It comes again, and dave is back.
    let told = world.due_until(&job, |told| told.text("decision") == "permit").await;
    world.run_until_state(told.text("run"), "done").await;
    // Whoever saves the schedule next is whom it runs as.
    let by_bob = request("PUT", &format!("/api/v1/jobs/{job}")).as_user("bob").header("if-match", "*");
    assert_eq!(world.ask(by_bob, &yearly("left", &json!({}))).await.0, 404, "bob may not see it at all");
    world.assert_every_hit_was_written_down().await;
}
