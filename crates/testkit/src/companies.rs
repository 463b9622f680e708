//! The sample service `companies`: ten thousand companies to be migrated, gradually and on record.
//!
//! It shows what a live service does with `Doorman-Identity`: it verifies the token with a stock JWT library against the
//! region's published keys and writes down who migrated what.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, request};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::identity::{Caller, Verifier};
use crate::serve::Service;

/// How many companies there are; ids start at 1.
pub const COUNT: u32 = 10_000;
/// Companies on one page.
pub const PAGE: u32 = 100;

/// The service `companies` of one region. Its instances share one state, as if over one database.
///
/// `GET /companies?page=1`, `GET /companies/{id}`, `POST /companies/{id}/migrate` with `{"to":"v2"}`: 500 for ids divisible
/// by 97, 409 when already migrated. `GET /health` names the instance. All but the last want `Doorman-Identity`.
#[derive(Clone)]
pub struct Companies {
    /// Migrated companies and who did it.
    migrated: Arc<Mutex<HashMap<u32, String>>>,
    verifier: Arc<Verifier>,
}

impl Companies {
    /// The service of `region`, trusting the keys at `jwks_url` (plain HTTP).
    pub fn new(region: &str, jwks_url: &str) -> Self {
        let verifier = Arc::new(Verifier::new(jwks_url, &format!("{region}/companies")));
        Self { migrated: Arc::default(), verifier }
    }

    /// Serves one more instance on `listen`; port 0 takes a free one. The keys need not be served yet.
    pub async fn start(&self, instance: &str, listen: SocketAddr) -> io::Result<Service> {
        self.verifier.refresh().await;
        let health = json!({ "status": "ok", "instance": instance });
        let router = Router::new()
            .route("/companies", get(list))
            .route("/companies/{id}", get(show))
            .route("/companies/{id}/migrate", post(migrate))
            .with_state(self.clone())
            .route("/health", get(async move || Json(health)));
        Service::start(listen, router).await
    }

    fn company(&self, id: u32) -> Result<Company, Refusal> {
        if !(1..=COUNT).contains(&id) {
            return Err(Refusal(StatusCode::NOT_FOUND, format!("no company {id}")));
        }
        let migrated_by = self.migrated.lock().get(&id).cloned();
        let state = if migrated_by.is_some() { "v2" } else { "v1" };
        Ok(Company { id, name: name(id), state, migrated_by })
    }
}

#[derive(Serialize)]
struct Company {
    id: u32,
    name: String,
    state: &'static str,
    migrated_by: Option<String>,
}

pub(crate) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Proof, by extraction, that the request carries a valid identity.
impl FromRequestParts<Companies> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(head: &mut request::Parts, state: &Companies) -> Result<Self, Refusal> {
        let mut tokens = head.headers.get_all("doorman-identity").iter();
        let (Some(token), None) = (tokens.next(), tokens.next()) else {
            return Err(Refusal(StatusCode::UNAUTHORIZED, "one Doorman-Identity is required".to_owned()));
        };
        let verified = state.verifier.verify(token.to_str().unwrap_or_default()).await;
        verified.map_err(|error| Refusal(StatusCode::UNAUTHORIZED, format!("Doorman-Identity: {error}")))
    }
}

#[derive(Deserialize)]
struct Pages {
    #[serde(default = "first")]
    page: u32,
}

fn first() -> u32 {
    1
}

async fn list(
    State(companies): State<Companies>,
    _: Caller,
    Query(Pages { page }): Query<Pages>,
) -> Result<Json<Value>, Refusal> {
    let before = page.saturating_sub(1).saturating_mul(PAGE);
    let ids = before.saturating_add(1)..=COUNT.min(before.saturating_add(PAGE));
    let items = ids.map(|id| companies.company(id)).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!({ "items": items, "page": page, "pages": COUNT / PAGE, "total": COUNT })))
}

async fn show(
    State(companies): State<Companies>,
    _: Caller,
    Path(id): Path<u32>,
) -> Result<Json<Company>, Refusal> {
    companies.company(id).map(Json)
}

#[derive(Deserialize)]
struct Migration {
    to: String,
}

async fn migrate(
    State(companies): State<Companies>,
    caller: Caller,
    Path(id): Path<u32>,
    Json(wanted): Json<Migration>,
) -> Result<Json<Company>, Refusal> {
    companies.company(id)?;
    if wanted.to != "v2" {
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, "only \"v2\" can be migrated to".to_owned()));
    }
    if id % 97 == 0 {
        return Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("company {id} cannot be migrated")));
    }
    {
        let mut migrated = companies.migrated.lock();
        if let Some(by) = migrated.get(&id) {
            return Err(Refusal(StatusCode::CONFLICT, format!("company {id} was migrated by {by}")));
        }
        migrated.insert(id, caller.sub);
    }
    companies.company(id).map(Json)
}

const WHAT: [&str; 20] = [
    "Amber", "Blue", "Cedar", "Delta", "Eastern", "First", "Golden", "High", "Iron", "Jade", "Lake", "Maple",
    "Northern", "Oak", "Polar", "Quiet", "River", "Silver", "True", "Western",
];
const WHERE: [&str; 25] = [
    "Anchor", "Bay", "Bridge", "Canyon", "Coast", "Cross", "Dale", "Falls", "Field", "Forest", "Garden",
    "Gate", "Harbor", "Hill", "Island", "Meadow", "Mill", "Peak", "Point", "Ridge", "Rock", "Shore", "Stone",
    "Valley", "Wood",
];
const TRADE: [&str; 20] = [
    "Airlines", "Bakery", "Books", "Builders", "Clinic", "Energy", "Farms", "Films", "Foods", "Freight",
    "Games", "Hotels", "Labs", "Motors", "Press", "Robotics", "Sports", "Textiles", "Tools", "Travel",
];

/// Every id has a name of its own.
fn name(id: u32) -> String {
    // 7 has no factor in common with the number of names, so this only shuffles them.
    let mut rest = ((id - 1) * 7 % COUNT) as usize;
    let mut pick = |words: &[&'static str]| {
        let word = words.get(rest % words.len()).copied().unwrap_or_default();
        rest /= words.len();
        word
    };
    [pick(&WHAT), pick(&WHERE), pick(&TRADE)].join(" ")
}
