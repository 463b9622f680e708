//! The example files, the promises about overrides and secrets, and the properties that no input may break.

use super::*;
use proptest::prelude::*;

fn refusal(role: Role, text: &str, environment: &[(&str, &str)]) -> String {
    let environment = environment_of(environment);
    role.check_text("doorman.toml", text, &environment)
        .map_or_else(|refusal| refusal.to_string(), |()| String::new())
}

fn environment_of(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Takes the `#` from every line that is a setting.
fn uncommented(text: &str) -> String {
    let is_setting = |line: &str| {
        line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase() || c == '[')
    };
    let lines = text.lines().map(|line| if is_setting(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

const ROLES: [Role; 3] = [Role::Api, Role::Proxy, Role::Auth];

#[test]
fn every_example_file_is_valid_and_is_known_for_its_role() {
    for role in ROLES {
        assert_eq!(refusal(role, example(role), &[]), "", "{role:?}");
        assert_eq!(Role::of_text(example(role)), role);
    }
}

#[test]
fn every_setting_that_an_example_mentions_exists() {
    for role in ROLES {
        // A key that stands there twice, once as the default and once as an example, counts once.
        let mut seen = std::collections::HashSet::new();
        let mut table = String::new();
        let mut count = 0;
        let text: Vec<String> = uncommented(example(role))
            .lines()
            .filter(|line| {
                if line.starts_with('[') {
                    count += 1;
                    table = format!("{line}{count}");
                }
                let key = line.split(" = ").next().unwrap_or_default().to_owned();
                !line.contains(" = ") || line.starts_with("# ") || seen.insert((table.clone(), key))
            })
            .map(|line| {
                line.replace("\"sqlite:doorman-data/doorman.db\"", "\"postgres://doorman@db/doorman\"")
            })
            .collect();
        assert_eq!(refusal(role, &text.join("\n"), &[]), "", "{role:?}\n{}", text.join("\n"));
    }
}
