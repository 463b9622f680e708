//! `doorman config`: what bad files get, kept as it was reviewed.

use crate::shell::Shell;

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    let shell = variables.iter().fold(Shell::new(), |shell, (name, value)| shell.with(name, value));
    shell.write("doorman.toml", text);
    shell.run(&["config", "check", "doorman.toml"]).failed(64)
}

const DIRECTORY: &str = "\n[directory]\nkind = \"openldap\"\nurls = [\"ldaps://ldap.example.com\"]\nbase_dns = [\"dc=example,dc=com\"]\n";
const REGIONS: &str =
    "\n[[regions]]\nname = \"eu\"\n\n[[regions.proxies]]\nurl = \"http://127.0.0.1:8441\"\n";

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    insta::assert_snapshot!(refused(
        &format!("[server]\nlistn = \"127.0.0.1:8440\"\n\n[jurnal]\ngather = \"1ms\"\n{DIRECTORY}{REGIONS}"),
        &[]
    ));
}

#[test]
fn every_wrong_type_is_shown_at_once() {
    let server = "[server]\nlisten = \"localhost\"\nthreads = 0\ndrain = 5\n\n[server.limits]\nmax_connections = -1\n\n\
                  [journal]\nbody_limit = \"64KB\"\n\n[log]\nlevel = \"verbose\"\n";
    insta::assert_snapshot!(refused(&format!("{server}{DIRECTORY}{REGIONS}"), &[]));
}

#[test]
fn a_fault_in_the_grammar_is_shown_where_it_is() {
    insta::assert_snapshot!(refused("[server]\nlisten = 127.0.0.1:8440\n\n[server]\ndrain = \"5s\"\n", &[]));
}

#[test]
fn what_does_not_go_together_is_shown_with_what_would() {
    let text = "[server]\nlisten = \"0.0.0.0:8440\"\n\n[database]\nurl = \"postgres://doorman:hunter2@db/doorman\"\n\n\
                [auth]\ntoken_ttl = \"48h\"\n\n[[regions]]\nname = \"EU\"\n\n[[regions.proxies]]\n\
                url = \"http://proxy.example.com:8441\"\n\n[[regions.proxies]]\nurl = \"https://proxy.example.com:8441\"\n";
    insta::assert_snapshot!(refused(text, &[]));
}

#[test]
fn a_proxy_is_told_what_it_lacks() {
    let text = "[region]\n\n[server]\npublic_url = \"https://proxy.example.com\"\n\n[[services]]\nname = \"echo\"\n\
                discovery = \"consul\"\nimpersonate = \"header:a b\"\n\n[[services]]\nname = \"companies\"\n\n\
                [[services.instances]]\nid = \"all\"\naddress = \"10.0.0.1:8080\"\n\n[[services]]\nname = \"echo\"\n\
                instances = [{ id = \"e-1\", address = \"https://10.0.0.1\" }, { id = \"e-1\", address = \"http://10.0.0.2/x\" }]\n";
    insta::assert_snapshot!(refused(text, &[]));
}

#[test]
fn a_fault_in_the_environment_names_the_variable() {
    let variables = [("DOORMAN__SERVER__LISTN", "127.0.0.1:1"), ("DOORMAN__AUTH__TOKEN_TTL", "8")];
    insta::assert_snapshot!(refused(&format!("{DIRECTORY}{REGIONS}"), &variables));
}

#[test]
fn files_that_a_configuration_names_must_be_there_unless_told_otherwise() {
    let shell = Shell::new();
    let text = format!("{}ca_file = \"none.pem\"\n{REGIONS}", DIRECTORY);
    shell.write("doorman.toml", &text);
    insta::assert_snapshot!(shell.run(&["config", "check", "doorman.toml"]).failed(64));
    let told = shell.run(&["config", "check", "doorman.toml", "--ignore-files"]).ok();
    assert_eq!(told, "doorman.toml is a valid file for `doorman api`.\n");
    shell.run(&["api", "--config", "doorman.toml"]).failed(64);
}

#[test]
fn faults_are_json_where_json_was_asked_for() {
    let shell = Shell::new();
    shell.write("doorman.toml", &format!("[server]\nlistn = \"x\"\n{DIRECTORY}{REGIONS}"));
    let told = shell.run(&["config", "check", "--json", "doorman.toml"]).failed(64);
    let value: serde_json::Value = serde_json::from_str(&told).unwrap();
    let problem = &value["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["column"], &problem["key"]),
        (&2.into(), &1.into(), &"server.listn".into())
    );
    assert_eq!(problem["help"], "did you mean `listen`?");
}

#[test]
fn a_file_that_is_not_there_says_how_to_get_one() {
    let told = Shell::new().run(&["api", "--config", "none.toml"]).failed(64);
    assert!(
        told.contains("none.toml cannot be read") && told.contains("doorman config example api"),
        "{told}"
    );
}

#[test]
fn an_example_is_valid_as_it_is_printed() {
    let shell = Shell::new();
    for role in ["api", "proxy", "auth"] {
        shell.write("example.toml", &shell.run(&["config", "example", role]).ok());
        let told = shell.run(&["config", "check", "--ignore-files", "example.toml"]).ok();
        assert!(told.contains(&format!("doorman {role}")), "{told}");
    }
}
