//! `audit archive`: to a directory, which DuckDB reads, and to an S3-compatible store.

use crate::python;
use crate::verify::Log;
use doorman_testkit::daemon::{Account, Daemon};
use doorman_testkit::database::free_port;
use std::net::TcpStream;
use std::process::Command;

#[test]
fn an_archive_is_queried_by_duckdb_and_proves_itself() {
    let log = Log::new(2);
    let archive = ["audit", "archive", "--data", "d", "--to", "archive"];
    assert!(log.shell.run(&archive).ok().contains("15 entries were archived"));
    let told = log.last_entry();
    assert_eq!((&told["kind"], &told["detail"]["action"]), (&"system".into(), &"archive".into()), "{told}");
    assert_eq!(
        (&told["detail"]["entries"], &told["detail"]["to"]),
        (&"15".into(), &"archive".into()),
        "{told}"
    );
    let twice = log.shell.run(&archive).ok();
    assert!(twice.starts_with("1 entries"), "only the entry about the first time is new: {twice}");
    let verify = [
        "audit",
        "verify",
        "--archive",
        "archive",
        "--keys",
        "d/keys/history.json",
        "--statements",
        "d/statements",
    ];
    let told = log.shell.run(&verify).ok();
    assert!(told.starts_with("The log is whole: 16 entries"), "{told}");
    let sql = "SELECT kind, count(*), count(DISTINCT id), min(time)::VARCHAR FROM 'archive/entries/*.parquet' GROUP BY kind";
    let script = format!("import duckdb; print(duckdb.sql(\"{sql}\").fetchall())");
    let mut python = Command::new(python::interpreter());
    let ran = python.args(["-c", &script]).current_dir(log.shell.path()).output().unwrap();
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        shown.contains("('login', 15, 15, '2020-09-13") && shown.contains("('system', 1, 1,"),
        "{shown}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    // What was archived stays provable when the database has let go of it.
    log.shell.run(&["audit", "retain", "--data", "d", "--older-than", "400d"]).ok();
    assert!(log.shell.run(&verify).ok().starts_with("The log is whole: 16 entries"));
    let part = std::fs::read_dir(log.shell.path().join("archive/entries")).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(part.path()).unwrap();
    let told = log.shell.run(&verify);
    assert!(told.code == 1 && told.stdout.contains("entries/"), "{told:?}");
}

/// moto's server: it speaks the protocol of S3 over HTTP, and here it checks signatures and rights too.
struct Store {
    daemon: Daemon,
    port: u16,
}

const PLACE: &str = "s3://audit/doorman/eu";

impl Store {
    fn start() -> Self {
        let port = free_port().unwrap();
        let number = port.to_string();
        let args = ["-m", "moto.server", "-H", "127.0.0.1", "-p", &number].map(str::to_owned).to_vec();
        let dir = tempfile::tempdir().unwrap();
        let daemon = Daemon::new(Account::named("root").unwrap(), python::interpreter(), args, dir);
        // These come from the test, before anybody has rights; then all must be signed by who has.
        let daemon = daemon.with_environment(vec![("INITIAL_NO_AUTH_ACTION_COUNT".into(), "4".into())]);
        daemon.start(|| TcpStream::connect(("127.0.0.1", port)).is_ok()).unwrap();
        Self { daemon, port }
    }

    /// Runs a script with `client("s3")` at hand, and gives what it prints.
    fn script(&self, key: (&str, &str), script: &str) -> String {
        let begin = format!(
            "import boto3, json\n\
             def client(of): return boto3.client(of, endpoint_url='http://127.0.0.1:{}', region_name='us-east-1',\n    \
             aws_access_key_id='{}', aws_secret_access_key='{}')\n",
            self.port, key.0, key.1
        );
        let ran = Command::new(python::interpreter())
            .args(["-c", &(begin + script)])
            .env("no_proxy", "127.0.0.1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stderr), self.daemon.log());
        told
    }
}

#[test]
fn an_archive_in_s3_is_written_with_signed_requests_and_proves_itself() {
    let store = Store::start();
    let key = store.script(
        ("none", "none"),
        "iam = client('iam')\n\
         iam.create_user(UserName='doorman')\n\
         rights = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'}]}\n\
         iam.put_user_policy(UserName='doorman', PolicyName='p', PolicyDocument=json.dumps(rights))\n\
         key = iam.create_access_key(UserName='doorman')['AccessKey']\n\
         client('s3').create_bucket(Bucket='audit')\n\
         print(key['AccessKeyId'], key['SecretAccessKey'])",
    );
    let (id, secret) = key.split_once(' ').unwrap();
    let mut log = Log::new(0);
    let endpoint = format!("http://127.0.0.1:{}", store.port);
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", id),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT", &endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("no_proxy", "127.0.0.1"),
    ] {
        log.shell = log.shell.with(name, value);
    }
    let archive = ["audit", "archive", "--data", "d", "--to", PLACE];
    log.shell = log.shell.with("AWS_SECRET_ACCESS_KEY", "wrong");
    log.shell.run(&archive).failed(1);
    log.shell = log.shell.with("AWS_SECRET_ACCESS_KEY", secret);
    let told = log.shell.run(&archive).ok();
    assert!(told.contains("22 entries were archived"), "{told}");
    assert_eq!(log.last_entry()["detail"]["to"], PLACE);
    assert!(log.shell.run(&archive).ok().starts_with("1 entries"), "what is there is not archived twice");
    let verify = ["audit", "verify", "--archive", PLACE, "--keys", "d/keys/history.json"];
    let told = log.shell.run(&verify).ok();
    assert!(told.starts_with("The log is whole: 23 entries"), "{told}");
    let names = store.script(
        (id, secret),
        "s3 = client('s3')\n\
         names = [o['Key'] for o in s3.list_objects_v2(Bucket='audit')['Contents']]\n\
         s3.delete_object(Bucket='audit', Key=[n for n in names if '/entries/' in n][0])\n\
         print(*names)",
    );
    assert!(names.contains("doorman/eu/manifest.json") && names.matches(".parquet").count() == 6, "{names}");
    let told = log.shell.run(&verify);
    assert!(told.code == 1 && told.stdout.contains("entries/"), "{told:?}");
}
