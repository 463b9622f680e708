//! The console's pages: what browsers get, what programs never get, and under which policy.

use crate::rig::Rig;
use http::Method;

const NAVIGATION: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

#[tokio::test(flavor = "multi_thread")]
async fn browsers_get_the_page_at_every_address_of_the_console() {
    let rig = Rig::new().await;
    for path in ["/", "/request", "/audit?status=5xx", "/audit/018f-any", "/no/such/page"] {
        let answer = rig.get(path).header("accept", NAVIGATION).send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(!answer.body.contains("DOORMAN-STYLE-NONCE"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_never_get_a_page_where_they_call() {
    let rig = Rig::new().await;
    for path in
        ["/api", "/api/v1/nothing", "/auth/v1/nothing", "/oauth2/x", "/.well-known/x", "/assets/gone.js"]
    {
        let answer = rig.get(path).header("accept", NAVIGATION).send().await;
        assert_eq!(answer.problem(), (404, "not_found"), "{path}");
    }
    assert_eq!(rig.get("/request").send().await.problem(), (404, "not_found"), "without asking for HTML");
    for method in [Method::POST, Method::DELETE] {
        let answer = rig.call(method, "/request").header("accept", NAVIGATION).send().await;
        assert_eq!(answer.problem(), (404, "not_found"));
    }
    for path in ["/../Cargo.toml", "/assets/../../package.json", "/assets/%2e%2e/%2e%2e/package.json"] {
        let answer = rig.get(path).send().await;
        assert_eq!(answer.problem(), (404, "not_found"), "{path}");
    }
}
