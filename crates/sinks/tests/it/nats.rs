//! A real nats-server with JetStream.

use crate::{free_port, lines};
use async_nats::jetstream::{self, stream};
use doorman_sinks::{NatsSink, Sink as _};
use doorman_testkit::daemon::{Account, Daemon};
use doorman_testkit::tls::Ca;
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
    let sink = |token: &str| NatsSink::new(url.clone(), "doorman.audit".into(), Some(token.into()), None);
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

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_a_server_of_the_own_authority_gets_the_log() {
    let (ca, dir) = (Ca::new().unwrap(), tempfile::tempdir().unwrap());
    let pair = ca.server(&["localhost"]).unwrap();
    let port = free_port();
    let (number, store) = (port.to_string(), dir.path().join("js").display().to_string());
    let (cert, key) = (pair.cert.display().to_string(), pair.key.display().to_string());
    let args = ["-a", "127.0.0.1", "-p", &number, "-js", "-sd", &store, "--tls", "--tlscert", &cert];
    let args = args.into_iter().chain(["--tlskey", &key]).map(str::to_owned).collect();
    let daemon = Daemon::new(Account::named("root").unwrap(), "/usr/sbin/nats-server", args, dir);
    tokio::task::block_in_place(|| daemon.start(|| TcpStream::connect(("127.0.0.1", port)).is_ok()))
        .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    let url = format!("tls://localhost:{port}");
    let tls = ca.client_config(None).unwrap();
    let options = async_nats::ConnectOptions::new().tls_client_config(rustls::ClientConfig::clone(&tls));
    let context = jetstream::new(options.require_tls(true).connect(&url).await.unwrap());
    let config = stream::Config {
        name: "audit".into(),
        subjects: vec!["doorman.audit.>".into()],
        ..stream::Config::default()
    };
    let mut stream = context.create_stream(config).await.unwrap();
    let sink = |tls| NatsSink::new(url.clone(), "doorman.audit".into(), None, Some(tls));
    sink(tls).send(&lines(3)).await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 3);
    let stranger = Ca::new().unwrap();
    assert!(sink(stranger.client_config(None).unwrap()).send(&lines(5)).await.is_err());
    // Nor does it fall back to the clear.
    let clear = format!("nats://localhost:{port}");
    let other = stranger.client_config(None).unwrap();
    let mut falls = NatsSink::new(clear, "doorman.audit".into(), None, Some(other));
    assert!(falls.send(&lines(5)).await.is_err());
    assert_eq!(stream.info().await.unwrap().state.messages, 3);
}
