//! A service that acts for a user, against that user calling directly: through the same processes, in turns. And many
//! questions whether a token is good: what they leave in memory.

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::chains::Running;
use crate::load::Target;
use crate::load::blocking::{exchange, post_json};
use crate::procfs::resident_kib;
use crate::rounds::{self, MAIN, Plan, Shot};
use crate::targets::{DELEGATED, DIRECT};

/// What the chain's policy lets act for developers.
pub const ACCOUNT: &str = "bench-ui";
/// After these percents of the calls memory is looked at. Before the first, caches fill up to their bounds.
const LOOKS: [u64; 4] = [10, 40, 70, 100];
/// So many calls, one is about a token that nobody has seen before.
const STRANGE_EVERY: u64 = 10;
const CALLERS: u64 = 4;
/// Time for buffers to be given back.
const SETTLE: Duration = Duration::from_secs(2);

/// Memory of the processes along many calls of `POST /auth/v1/verify`.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// In the order of their calls.
    pub looks: Vec<Look>,
}

/// What the processes held after so many calls.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    pub calls: u64,
    pub resident_kib: u64,
}

impl Verified {
    /// From the first look to the last. MiB.
    pub fn rise(&self) -> f64 {
        let held = |look: Option<&Look>| look.map_or(0, |look| look.resident_kib);
        held(self.looks.last()).saturating_sub(held(self.looks.first())) as f64 / 1024.0
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks = self.looks.iter();
        let looks: Vec<String> = looks
            .map(|look| format!("{:.1} MiB after {}", look.resident_kib as f64 / 1024.0, look.calls))
            .collect();
        write!(f, "calls of verify: {}", looks.join(", "))
    }
}

/// A service account with a user's token beside it.
pub struct Service {
    basic: String,
    token: String,
}

impl Service {
    /// Makes the account, and logs the user in.
    pub fn make(address: SocketAddr) -> Result<Self> {
        let log_in = |name: &str| -> Result<String> {
            let login = json!({"username": name, "password": format!("{name}-demo")});
            text(&post_json(address, "/auth/v1/login", &[], &login)?, "token")
        };
        let erin = format!("Bearer {}", log_in("erin")?);
        let new = json!({"name": ACCOUNT, "owner": "user:erin"});
        let made = post_json(address, "/auth/v1/service-accounts", &[("authorization", &erin)], &new)?;
        let basic = STANDARD.encode(format!("{ACCOUNT}:{}", text(&made, "secret")?));
        Ok(Self { basic: format!("Basic {basic}"), token: log_in("alice")? })
    }
}

fn text(document: &Value, field: &str) -> Result<String> {
    Ok(document.get(field).and_then(Value::as_str).with_context(|| format!("no {field}"))?.to_owned())
}

/// Both ways in every round, each first in every other one.
pub fn compare(running: &Running, service: &Service, plan: &Plan) -> Result<Vec<Shot>> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let at = |headers| Target::new(running.target.address(), "/r/eu/bench", headers);
    let direct = at(vec![own("authorization", &format!("Bearer {}", service.token))])?;
    let delegated = at(vec![
        own("authorization", &service.basic),
        own("doorman-on-behalf-of", "alice"),
        own("doorman-user-token", &service.token),
    ])?;
    let mut shots = Vec::new();
    for round in 0..plan.rounds {
        let mut ways = [(DIRECT, &direct), (DELEGATED, &delegated)];
        if round % 2 == 1 {
            ways.reverse();
        }
        for (name, target) in ways {
            shots.push(rounds::measure(name, running, target, MAIN, round, plan)?);
        }
    }
    Ok(shots)
}

/// Asks `calls` times whether a token is alice's.
pub fn verify(running: &Running, service: &Service, calls: u64) -> Result<Verified> {
    let mut looks = Vec::new();
    let mut asked = 0;
    for percent in LOOKS {
        let until = (calls * percent / 100).max(1);
        ask(running.target.address(), service, asked, until)?;
        asked = until;
        thread::sleep(SETTLE);
        looks.push(Look { calls: asked, resident_kib: resident_kib(&running.pids())? });
    }
    Ok(Verified { looks })
}

fn ask(address: SocketAddr, service: &Service, from: u64, to: u64) -> Result<()> {
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                scope.spawn(move || {
                    let mut connection: Option<TcpStream> = None;
                    let mut buffer = vec![0; 16 * 1024];
                    (from..to).filter(|number| number % CALLERS == caller).try_for_each(|number| {
                        let request = question(address, service, number);
                        let answer = exchange(&mut connection, address, &request, &mut buffer)?;
                        if !answer.keep_alive {
                            connection = None;
                        }
                        ensure!(answer.status == 200, "verify answers {}", answer.status);
                        Ok(())
                    })
                })
            })
            .collect();
        callers
            .into_iter()
            .try_for_each(|caller| caller.join().map_err(|_| anyhow::anyhow!("a caller died"))?)
    })
}

fn question(address: SocketAddr, service: &Service, number: u64) -> Vec<u8> {
    let strange = number.is_multiple_of(STRANGE_EVERY);
    let token = if strange { format!("{}{number}", service.token) } else { service.token.clone() };
    let body = json!({"username": "alice", "token": token}).to_string();
    format!(
        "POST /auth/v1/verify HTTP/1.1\r\nhost: {address}\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        service.basic,
        body.len()
    )
    .into_bytes()
}
