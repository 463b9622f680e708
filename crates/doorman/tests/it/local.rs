//! Commands that work on files: keys, policies, databases, completions.

use crate::shell::Shell;

#[test]
fn keys_are_rotated_listed_and_published() {
    let shell = Shell::new();
    assert!(shell.run(&["keys", "list"]).failed(1).contains("--data or --config"));
    assert!(shell.run(&["keys", "rotate", "--data", "nowhere"]).failed(1).contains("no directory of keys"));
    std::fs::create_dir_all(shell.path().join("d/keys")).unwrap();
    let made = shell.run(&["keys", "rotate", "--data", "d", "--json"]).ok();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["items"].as_array().unwrap().len(), 4);
    let more = shell.run(&["keys", "rotate", "--data", "d", "--use", "token", "--activate-in", "5m"]).ok();
    assert!(more.contains("token") && !more.contains("statement"), "{more}");
    let listed = shell.run(&["keys", "list", "--data", "d"]).ok();
    assert_eq!(listed.lines().count(), 6, "{listed}");
    let public: serde_json::Value =
        serde_json::from_str(&shell.run(&["keys", "public", "--data", "d"]).ok()).unwrap();
    assert_eq!(public["keys"].as_array().unwrap().len(), 5);
    assert!(public["keys"][0].get("d").is_none());
}

#[test]
fn policies_are_checked_and_explained() {
    let shell = Shell::new();
    let policy = "@id(\"dev\") permit (principal in Group::\"developers\", action == Action::\"request\", resource in Region::\"eu\")\n\
                  when { context.method == \"GET\" };\n";
    shell.write("policies/a.cedar", policy);
    let told = shell.run(&["policy", "check", "--policies", "policies"]).ok();
    assert!(told.contains("1 policies in 1 files; they can be put in force"), "{told}");
    let who = ["--policies", "policies", "--user", "alice", "--group", "developers"];
    let told = shell.run(&[&["policy", "explain", "GET", "eu/echo/x"], who.as_slice()].concat()).ok();
    assert!(told.starts_with("Permitted by dev.\n"), "{told}");
    let ended = shell.run(&[&["policy", "explain", "POST", "eu/echo/x"], who.as_slice()].concat());
    assert_eq!(ended.code, 4);
    assert!(ended.stdout.starts_with("Denied: no policy permits it.\n"), "{ended:?}");
    shell.write("policies/b.cedar", "permit (principal, action, resource)\nwhen { contxt.x };");
    let ended = shell.run(&["policy", "check", "--policies", "policies"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("b.cedar:2"), "{ended:?}");
}

#[test]
fn a_database_is_migrated_and_checked() {
    let shell = Shell::new();
    shell.run(&["db", "migrate", "--database", "sqlite:d.db"]).ok();
    shell.run(&["db", "check", "--database", "sqlite:d.db"]).ok();
    let told = shell.run(&["db", "check", "--database", "oracle://x"]).failed(1);
    assert!(told.contains("sqlite:"), "{told}");
    let shell = shell.with("DOORMAN__DATABASE__URL", "sqlite:d.db");
    assert_eq!(shell.run(&["db", "check", "--json"]).ok(), "{\n  \"done\": true\n}\n");
}

#[test]
fn completions_are_printed() {
    assert!(Shell::new().run(&["completions", "bash"]).ok().contains("_doorman"));
}

#[test]
fn keys_are_found_by_the_file_of_the_process_that_has_them() {
    let shell = Shell::new();
    std::fs::create_dir_all(shell.path().join("doorman-data/keys")).unwrap();
    for role in ["api", "auth"] {
        shell.write("server.toml", &shell.run(&["config", "example", role]).ok());
        shell.run(&["keys", "rotate", "--config", "server.toml", "--use", "token"]).ok();
    }
    assert_eq!(shell.run(&["keys", "list"]).ok().lines().count(), 3);
    shell.write("server.toml", &shell.run(&["config", "example", "proxy"]).ok());
    shell.run(&["keys", "list", "--config", "server.toml"]).failed(64);
}
