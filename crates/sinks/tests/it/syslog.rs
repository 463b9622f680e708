//! rsyslogd as the receiver, over TCP and TLS.

use crate::{free_port, lines, wait_for};
use doorman_sinks::{Sink as _, SyslogLink, SyslogSink};
use doorman_testkit::daemon::{Account, Daemon};
use doorman_testkit::tls::Ca;
use std::net::TcpStream;
use std::path::PathBuf;

struct Receiver {
    daemon: Daemon,
    port: u16,
    out: PathBuf,
}

impl Receiver {
    fn new(ca: Option<&Ca>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let out = dir.path().join("out");
        let input = match ca {
            None => format!("input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\" ruleset=\"r\")"),
            Some(ca) => {
                let pair = ca.server(&["localhost"]).unwrap();
                format!(
                    "global(DefaultNetstreamDriverCAFile=\"{}\" DefaultNetstreamDriverCertFile=\"{}\" DefaultNetstreamDriverKeyFile=\"{}\")\n\
                     input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\" ruleset=\"r\" StreamDriver.Name=\"ossl\" \
                     StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")",
                    ca.cert().display(),
                    pair.cert.display(),
                    pair.key.display()
                )
            }
        };
        let config = format!(
            "global(workDirectory=\"{dir}\" maxMessageSize=\"64k\")\nmodule(load=\"imtcp\")\n\
             template(name=\"t\" type=\"string\" string=\"%pri% %app-name% %msgid% %timereported:::date-rfc3339%%msg%\\n\")\n\
             ruleset(name=\"r\") {{ action(type=\"omfile\" file=\"{out}\" template=\"t\") }}\n{input}\n",
            dir = dir.path().display(),
            out = out.display()
        );
        let path = dir.path().join("rsyslog.conf");
        std::fs::write(&path, config).unwrap();
        let pid = dir.path().join("pid");
        let args = ["-n", "-f", path.to_str().unwrap(), "-i", pid.to_str().unwrap()].map(str::to_owned);
        let daemon = Daemon::new(Account::named("root").unwrap(), "/usr/sbin/rsyslogd", args.to_vec(), dir);
        Self { daemon, port, out }
    }

    fn start(&self) {
        let port = self.port;
        tokio::task::block_in_place(|| {
            self.daemon.start(move || TcpStream::connect(("127.0.0.1", port)).is_ok())
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", self.daemon.log()));
    }

    fn got(&self) -> Vec<String> {
        std::fs::read_to_string(&self.out).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    async fn has(&self, count: usize) -> Vec<String> {
        wait_for(&format!("{count} messages\n{}", self.daemon.log()), || {
            Some(self.got()).filter(|got| got.len() >= count)
        })
        .await
    }
}

async fn messages_arrive_whole_and_a_receiver_that_was_away_gets_the_rest(ca: Option<Ca>) {
    let receiver = Receiver::new(ca.as_ref());
    let tls = ca.as_ref().map(|ca| ca.client_config(None).unwrap());
    let link = SyslogLink { address: format!("localhost:{}", receiver.port), tls };
    let mut sink = SyslogSink::new(link, "here");
    let lines = lines(40);
    assert!(sink.send(&lines).await.is_err(), "nobody is there");
    receiver.start();
    sink.send(&lines[..20]).await.unwrap();
    let got = receiver.has(20).await;
    assert!(got[0].starts_with("110 doorman statement 2023-11-14T22:13:20"), "{}", got[0]);
    for (line, got) in lines.iter().zip(&got) {
        assert!(got.ends_with(&line.json), "{got}");
    }
    tokio::task::block_in_place(|| receiver.daemon.stop());
    assert!(sink.send(&lines[20..]).await.is_err(), "a connection that was closed is seen");
    receiver.start();
    sink.send(&lines[20..]).await.unwrap();
    assert!(receiver.has(40).await[39].ends_with(&lines[39].json));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp() {
    messages_arrive_whole_and_a_receiver_that_was_away_gets_the_rest(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls() {
    messages_arrive_whole_and_a_receiver_that_was_away_gets_the_rest(Some(Ca::new().unwrap())).await;
}
