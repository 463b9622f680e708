//! Programs in Python that were written for anybody's server: a stock OAuth client, and the example UI.

use crate::world::World;
use doorman_testkit::daemon::{Account, Daemon};
use doorman_testkit::database::free_port;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::task::block_in_place;

/// The interpreter that `cargo xtask test` sets up beside the binary, with the packages of both requirement files.
pub fn interpreter() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_doorman")).ancestors().nth(2).unwrap();
    let python = target.join("python/bin/python");
    assert!(python.exists(), "{} is missing: `cargo xtask test` makes it", python.display());
    python
}

fn run(script: &str, args: &[&str]) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new(interpreter());
    command.arg("-B").arg(scripts.join(script)).args(args);
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env_remove(proxy);
    }
    let output = block_in_place(|| command.output()).unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && told[0].ends_with("ok\n"), "{}\n{}", told[0], told[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_oauth_client_gets_exchanges_introspects_and_revokes_tokens() {
    let world = World::start().await;
    let secret = world.service_account("reports-ui").await;
    let url = format!("http://{}", world.api(0).address());
    run("oauth_client.py", &[&url, "reports-ui", &secret, "alice", "alice-demo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_ui_acts_for_its_users_and_shows_them_what_they_may_not() {
    let dir = tempfile::Builder::new().prefix("doorman-demo-").tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let data = dir.path().join("data").display().to_string();
    let args = ["demo", "--data", &data, "--listen", &listen].map(str::to_owned).to_vec();
    let demo = Daemon::new(Account::named("root").unwrap(), env!("CARGO_BIN_EXE_doorman"), args, dir);
    let log = demo.dir().join("log");
    let is_ready = || {
        TcpStream::connect(&listen).is_ok()
            && std::fs::read_to_string(&log).unwrap_or_default().contains("READY")
    };
    block_in_place(|| demo.start(is_ready)).unwrap();
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flask-ui");
    run("flask_ui.py", &[&format!("http://{listen}"), &app.display().to_string()]);
}
