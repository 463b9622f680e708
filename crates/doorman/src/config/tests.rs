//! The example files, the promises about overrides and secrets, and the properties that no input may break.

use super::load::parse;
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
        let text = uncommented(example(role));
        assert_eq!(refusal(role, &text, &[]), "", "{role:?}\n{text}");
    }
}

#[test]
fn nothing_but_a_directory_and_a_region_must_be_said() {
    let text = "[directory]\nkind = 'openldap'\nurls = ['ldaps://ldap.example.com']\nbase_dns = ['dc=example,dc=com']\n\
                [[regions]]\nname = 'eu'\n[[regions.proxies]]\nurl = 'http://127.0.0.1:8441'\n";
    let Ok(config) = parse::<ApiConfig>("api.toml", text, &Environment::default(), Files::Checked) else {
        panic!("{}", refusal(Role::Api, text, &[]))
    };
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8440");
    assert_eq!(config.server.public_url, "http://127.0.0.1:8440");
    assert_eq!(config.journal.gather, std::time::Duration::from_micros(600));
    assert!(
        matches!(config.auth, AuthSource::Embedded(auth) if auth.settings.issuer == "http://127.0.0.1:8440")
    );
}

#[test]
fn the_environment_overrides_the_file_and_is_named_when_it_is_wrong() {
    let file = example(Role::Api);
    let changed = environment_of(&[
        ("DOORMAN__SERVER__LISTEN", "127.0.0.1:9000"),
        ("DOORMAN__SERVER__LIMITS__MAX_CONNECTIONS", "7"),
        ("DOORMAN__AUTH__AUDIENCE", "1234"),
        ("DOORMAN__REDACT__HEADERS", "[\"x-a\", \"x-b\"]"),
        ("DOORMAN__DATABASE__URL", "postgres://doorman:secret@localhost/doorman"),
        ("DOORMAN_URL", "not a setting"),
    ]);
    let Ok(config) = parse::<ApiConfig>("api.toml", file, &changed, Files::Ignored) else {
        panic!("refused")
    };
    assert_eq!(config.server.listen.port(), 9000);
    assert_eq!(config.server.limits.max_connections, 7);
    assert_eq!(config.redact.headers, ["x-a", "x-b"]);
    assert!(matches!(config.auth, AuthSource::Embedded(auth) if auth.settings.audience == "1234"));
    for (variable, value, named) in [
        ("DOORMAN__SERVER__LISTN", "127.0.0.1:1", "did you mean `listen`?"),
        ("DOORMAN__JOURNAL__GATHER", "600", "no duration"),
        ("DOORMAN__DATABASE__URL__X", "1", "no table"),
        ("DOORMAN__", "1", "names no setting"),
        ("DOORMAN__NOWHERE__X", "1", "unknown key `nowhere`"),
    ] {
        let told = refusal(Role::Api, file, &[(variable, value)]);
        assert!(told.contains(variable) && told.contains(named), "{variable}: {told}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let text = "[database]\nurl = 'mysql://u:hunter2@h/d'\n[directory]\nkind = 'openldap'\nurls = ['ldaps://x']\n\
                base_dns = ['dc=x']\nbind_dn = 'cn=x'\nbind_password = 'hunter2'\nclient_secret = 'hunter2'\n";
    let variables = [
        ("DOORMAN__AUTH__PASSWORD", "hunter2"),
        ("DOORMAN__DATABASE__MAX_CONNECTIONS", "mysql://u:hunter2@h/d"),
    ];
    let told = refusal(Role::Api, text, &variables);
    assert!(told.contains("bind_password") && told.contains("DOORMAN__AUTH__PASSWORD"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let broken =
        ["bind_password = hunter2\n", "x = 1 =\n secret = 'hunter2' y", "password = '''\nhunter2\n'''\nx"];
    for broken in broken {
        let told = refusal(Role::Api, broken, &[]);
        assert!(!told.is_empty() && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn the_password_of_a_file_becomes_part_of_the_database_url() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "p@ss/word\n").unwrap();
    let variable = file.to_str().unwrap().to_owned();
    let environment = environment_of(&[("DOORMAN__DATABASE__PASSWORD_FILE", &variable)]);
    let Ok(config) = parse::<ApiConfig>("api.toml", example(Role::Api), &environment, Files::Ignored) else {
        panic!("refused")
    };
    let url = config.database.read_url().map(|url| url.expose().to_owned()).unwrap();
    assert_eq!(url, "postgres://doorman:p%40ss%2Fword@db.example.com/doorman");
}

#[test]
fn logins_are_checked_here_or_by_another_process_but_not_both() {
    let regions = "[[regions]]\nname = 'eu'\n[[regions.proxies]]\nurl = 'http://127.0.0.1:8441'\n";
    let remote = format!("[auth]\nurl = 'https://auth.example.com'\nca_file = 'ca.pem'\n{regions}");
    let Ok(config) = parse::<ApiConfig>("api.toml", &remote, &Environment::default(), Files::Ignored) else {
        panic!("{}", refusal(Role::Api, &remote, &[]))
    };
    assert!(
        matches!(config.auth, AuthSource::Remote { url, .. } if url.as_str() == "https://auth.example.com/")
    );
    let both = [("DOORMAN__AUTH__TOKEN_TTL", "1h"), ("DOORMAN__DIRECTORY__KIND", "openldap")];
    let told = refusal(Role::Api, &remote, &both);
    assert!(
        told.contains("auth.token_ttl has no meaning here") && told.contains("`urls` is missing"),
        "{told}"
    );
    let plain = refusal(Role::Api, &remote.replace("https", "http"), &[]);
    assert!(plain.contains("plain HTTP is accepted to loopback addresses only"), "{plain}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_makes_it_panic(text in "\\PC{0,200}") {
        for role in ROLES {
            let _ = refusal(role, &text, &[]);
        }
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(at in 0usize..6000, cut in 0usize..40, put in "[\\[\\]=\"'#\\na-z0-9.{}é]{0,8}") {
        for role in ROLES {
            let mut text: Vec<char> = example(role).chars().collect();
            let start = at.min(text.len());
            let end = (start + cut).min(text.len());
            text.splice(start..end, put.chars());
            let _ = refusal(role, &text.into_iter().collect::<String>(), &[]);
        }
    }

    #[test]
    fn no_variable_makes_it_panic(keys in "[A-Z_]{0,20}", value in "\\PC{0,40}", known in 0usize..6) {
        let known = ["SERVER__LISTEN", "REGIONS", "AUTH", "DATABASE__URL", "LOG__LEVEL__X", "SERVER__TLS"][known];
        for name in [format!("DOORMAN__{keys}"), format!("DOORMAN__{known}")] {
            let _ = refusal(Role::Api, example(Role::Api), &[(&name, &value)]);
        }
    }
}
