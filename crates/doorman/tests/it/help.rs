//! What `--help` says, kept as it was reviewed.

use crate::shell::Shell;

#[test]
fn help_is_as_reviewed() {
    let commands: &[&[&str]] = &[
        &[],
        &["demo"],
        &["api"],
        &["config"],
        &["config", "check"],
        &["keys"],
        &["keys", "rotate"],
        &["keys", "retire"],
        &["service-account"],
        &["service-account", "create"],
        &["service-account", "rotate"],
        &["token"],
        &["token", "create"],
        &["sessions"],
        &["sessions", "end"],
        &["policy", "check"],
        &["policy", "explain"],
        &["policy", "replay"],
        &["db"],
        &["db", "check"],
        &["login"],
        &["logout"],
        &["whoami"],
        &["regions"],
        &["services"],
        &["instances"],
        &["request"],
        &["curl"],
        &["audit"],
        &["audit", "search"],
        &["audit", "show"],
        &["audit", "tail"],
        &["audit", "retry"],
        &["audit", "export"],
        &["audit", "prove"],
        &["audit", "check-proof"],
        &["audit", "verify"],
        &["bulk"],
        &["jobs"],
        &["jobs", "list"],
        &["jobs", "create"],
        &["jobs", "edit"],
        &["jobs", "upload"],
        &["jobs", "preview"],
        &["jobs", "run"],
        &["runs"],
        &["runs", "list"],
        &["runs", "items"],
        &["runs", "results"],
        &["runs", "retry-failed"],
        &["completions"],
    ];
    let shell = Shell::new();
    let mut all = String::new();
    for command in commands {
        let told = shell.run(&[command, ["--help"].as_slice()].concat()).ok();
        all.push_str(&format!("$ doorman {} --help\n{told}\n", command.join(" ")));
    }
    insta::assert_snapshot!("help", all);
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let told = Shell::new().run(&["requets"]).failed(2);
    assert!(told.contains("request"), "{told}");
}
