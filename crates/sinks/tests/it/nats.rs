//! A real nats-server with JetStream.

use crate::{free_port, lines};
use async_nats::jetstream::{self, stream};
use doorman_sinks::{NatsSink, Sink as _};
use doorman_testkit::daemon::{Account, Daemon};
use std::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_acknowledged_and_doubles_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let store = dir.path().join("js").display().to_string();
    let args = ["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd", &store, "--auth", "secret"]
        .map(str::to_owned);
    let daemon = Daemon::new(Account::named("root").unwrap(), "/usr/sbin/nats-server", args.to_vec(), dir);
    let url = format!("nats://127.0.0.1:{port}");
    let sink = |token: &str| NatsSink::new(url.clone(), "doorman.audit".into(), Some(token.into()));
    let lines = lines(30);
    assert!(sink("secret").send(&lines).await.is_err(), "nobody is there");
    tokio::task::block_in_place(|| daemon.start(|| TcpStream::connect(("127.0.0.1", port)).is_ok()))
        .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    assert!(sink("wrong").send(&lines).await.is_err());
    assert!(sink("secret").send(&lines).await.is_err(), "no stream listens, so nobody acknowledges");
    let client = async_nats::ConnectOptions::new().token("secret".into()).connect(&url).await.unwrap();
    let context = jetstream::new(client);
    let config = stream::Config {
        name: "audit".into(),
        subjects: vec!["doorman.audit.>".into()],
        ..stream::Config::default()
    };
    let mut stream = context.create_stream(config).await.unwrap();
    let mut first = sink("secret");
    first.send(&lines[..20]).await.unwrap();
    // Not acknowledged, or so we thought: all of it again, by another process.
    sink("secret").send(&lines).await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 30);
    let message = stream.get_raw_message(30).await.unwrap();
    assert_eq!((&*message.subject, &*message.payload), ("doorman.audit.entry", lines[29].json.as_bytes()));
}
