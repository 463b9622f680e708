//! Clients that keep asking while something goes wrong, and what became of each of their requests.

use super::{DEADLINE, World, code_of, get, post};
use doorman_testkit::raw::RawClient;
use doorman_testkit::recorder::Recorded;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two requests of one client: a journal that tests can read.
const PACE: Duration = Duration::from_millis(10);

/// What became of one request. No two have the same target.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Path and query as the service sees them.
    pub target: String,
    /// The status; 0 when no whole answer came.
    pub status: u16,
    /// The `code` of a refusal.
    pub code: String,
    /// The audit id, when the answer named it.
    pub audit_id: String,
    /// The answer, when it was not 200.
    pub answer: String,
}

/// Clients that run until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

impl Load {
    /// So many clients of one `api`, each on a connection that it keeps. Every other request has a body.
    pub fn start(clients: usize, api: SocketAddr, token: &str) -> Self {
        Self::following(clients, move || api, token)
    }

    /// Clients that ask for every new connection where it is to lead.
    pub fn following(
        clients: usize,
        api: impl Fn() -> SocketAddr + Send + Sync + 'static,
        token: &str,
    ) -> Self {
        static LOADS: AtomicUsize = AtomicUsize::new(0);
        let (load, api) = (LOADS.fetch_add(1, Ordering::Relaxed), Arc::new(api));
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..clients)
            .map(|client| {
                let name = format!("/public/load?of={load}.{client}");
                let client =
                    Client { name, token: token.to_owned(), stop: stop.clone(), answered: answered.clone() };
                tokio::spawn(client.run(api.clone()))
            })
            .collect();
        Self { stop, answered, clients }
    }

    /// Waits until so many more requests have been answered with 200.
    pub async fn answered(&self, more: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while self.answered.load(Ordering::Relaxed) < wanted {
            assert!(tokio::time::Instant::now() < deadline, "requests are not answered");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets every client end its request.
    pub async fn stop(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.unwrap());
        }
        all
    }

    /// As [`Load::stop`], when every single request must have been answered with 200.
    pub async fn stop_unharmed(self) -> Vec<Sent> {
        let all = self.stop().await;
        let failed: Vec<_> = all.iter().filter(|sent| sent.status != 200).collect();
        assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), all.len());
        all
    }
}

struct Client {
    name: String,
    token: String,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Client {
    async fn run(self, api: Arc<impl Fn() -> SocketAddr>) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut open = None;
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            tokio::time::sleep(PACE).await;
            let connection = match open.take() {
                Some(connection) => Ok(connection),
                None => RawClient::connect(api()).await,
            };
            // Nobody listens: nothing was sent.
            let Ok(mut connection) = connection else { continue };
            let target = format!("{}.{number}", self.name);
            let path = format!("/r/eu/target{target}");
            let request = if number % 2 == 0 { get(&path) } else { post(&path, format!("body of {number}")) };
            let request = request.bearer(&self.token).to_bytes();
            let _ = connection.send(&request).await;
            let answer = connection.read_answer(DEADLINE).await;
            let status = if answer.complete { answer.status() } else { 0 };
            if status == 200 {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            let is_last = answer.head.field("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
            if answer.complete && !is_last {
                open = Some(connection);
            }
            sent.push(Sent {
                target,
                status,
                code: code_of(&answer),
                audit_id: answer.head.field("doorman-audit-id").unwrap_or_default().to_owned(),
                answer: if status == 200 { String::new() } else { format!("{answer:?}") },
            });
        }
        sent
    }
}

impl World {
    /// What the recorders got, by target; nothing may have come twice.
    pub fn hits(&self) -> HashMap<String, Recorded> {
        let mut hits = HashMap::new();
        for recorder in self.recorders.values() {
            for hit in recorder.requests().into_iter().filter(|hit| hit.complete) {
                let target = hit.target().to_owned();
                assert!(hits.insert(target.clone(), hit).is_none(), "{target} came twice");
            }
        }
        hits
    }

    /// What clients were told is true: 200 was sent, "nothing was sent" was not.
    pub fn assert_clients_were_told_the_truth(&self, all: &[Sent]) {
        let hits = self.hits();
        for sent in all {
            let came = hits.contains_key(&sent.target);
            match (sent.status, sent.code.as_str()) {
                (200, _) => assert!(came, "{sent:?}"),
                (503, "audit_unavailable") => assert!(!came, "{sent:?}"),
                (401 | 403, _) => assert!(!came, "{sent:?}"),
                _ => {}
            }
        }
    }

    /// Waits until every attempt has an outcome, the sweeper's at worst. Gives the states of each.
    pub async fn assert_every_attempt_ends(&self) -> BTreeMap<String, HashSet<String>> {
        let deadline = tokio::time::Instant::now() + 2 * DEADLINE;
        loop {
            let ends = self.ends().await;
            let open: Vec<_> = ends.iter().filter(|(_, states)| states.is_empty()).collect();
            if open.is_empty() {
                return ends;
            }
            assert!(tokio::time::Instant::now() < deadline, "attempts without an outcome: {open:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// The attempts, each with the states of its outcomes.
    pub async fn ends(&self) -> BTreeMap<String, HashSet<String>> {
        let journal = self.journal().await;
        let mut ends: BTreeMap<String, HashSet<String>> = journal
            .iter()
            .filter(|entry| entry.is_attempt())
            .map(|entry| (entry.text("id").to_owned(), HashSet::new()))
            .collect();
        for outcome in journal.iter().filter(|entry| entry.text("kind") == "outcome") {
            if let (Some(states), Value::String(state)) =
                (ends.get_mut(outcome.text("attempt")), &outcome.record["state"])
            {
                states.insert(state.clone());
            }
        }
        ends
    }
}
