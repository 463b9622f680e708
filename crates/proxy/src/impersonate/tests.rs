//! Each style, and every way to write around it.

use super::*;
use proptest::prelude::*;

fn hadoop() -> Impersonation {
    Impersonation::parse("hadoop", "doorman").unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    map
}

fn is_forged(style: &Impersonation, pairs: &[(&str, &str)], path: &str) -> bool {
    matches!(style.apply("user:alice", &mut headers(pairs), path), Err(Refused::Forged(_)))
}

/// An assertion that nobody signed: the pass vouches for the header.
fn assertion(sub: &str, groups: &[&str]) -> String {
    let payload = serde_json::json!({ "sub": sub, "groups": groups }).to_string();
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn each_style_names_the_subject() {
    let mut map = HeaderMap::new();
    let path = hadoop().apply("user:alice", &mut map, "/webhdfs/v1/a?op=OPEN").unwrap().into_owned();
    assert_eq!(path, "/webhdfs/v1/a?op=OPEN&user.name=doorman&doas=alice&doAs=alice");
    assert_eq!(
        hadoop().apply("user:a b&c", &mut map, "/x").unwrap(),
        "/x?user.name=doorman&doas=a%20b%26c&doAs=a%20b%26c"
    );
    assert_eq!(
        hadoop().apply("user:é", &mut map, "/x?").unwrap(),
        "/x?user.name=doorman&doas=%C3%A9&doAs=%C3%A9"
    );
    assert!(map.is_empty());

    Impersonation::Trino.apply("user:alice", &mut map, "/v1/statement").unwrap();
    assert_eq!(map.get("x-trino-user").unwrap(), "alice");
    Impersonation::parse("header:X-Remote-User", "").unwrap().apply("user:alice", &mut map, "/").unwrap();
    assert_eq!(map.get("x-remote-user").unwrap(), "alice");
}

#[test]
fn kubernetes_gets_the_groups_of_the_assertion_but_none_of_its_own() {
    let said = assertion("user:alice", &["developers", "system:masters", "ops"]);
    let mut map = headers(&[("doorman-identity", &said)]);
    Impersonation::Kubernetes.apply("user:alice", &mut map, "/api").unwrap();
    assert_eq!(map.get("impersonate-user").unwrap(), "alice");
    let groups: Vec<_> = map.get_all("impersonate-group").iter().collect();
    assert_eq!(groups, ["developers", "ops"]);
    let other = assertion("user:bob", &["ops"]);
    for (subject, said) in [
        ("user:alice", vec![]),
        ("user:alice", vec![other.as_str()]),
        ("user:alice", vec![said.as_str(), said.as_str()]),
        ("user:alice", vec!["nonsense"]),
        ("user:system:admin", vec![said.as_str()]),
    ] {
        let pairs: Vec<_> = said.iter().map(|said| ("doorman-identity", *said)).collect();
        let refused = Impersonation::Kubernetes.apply(subject, &mut headers(&pairs), "/api");
        assert!(matches!(refused, Err(Refused::Subject(_))), "{subject} {said:?}");
    }
}

#[test]
fn a_clients_own_attempt_is_refused_however_it_is_spelt() {
    for query in [
        "doas=root",
        "doAs=root",
        "DOAS=root",
        "do_as=root",
        "do.as=x",
        "%64oAs=root",
        "do%41s=root",
        "user.name=hdfs",
        "User_Name=hdfs",
        "user%2Ename=hdfs",
        "user%2ename",
        "a=b&doas=root",
        "a=b;doas=root",
        "doas",
        "+doas=root",
        "doas%20=root",
        "doas%00=root",
        "delegation=abc",
        "username=hdfs",
    ] {
        assert!(is_forged(&hadoop(), &[], &format!("/webhdfs/v1/a?{query}")), "{query}");
    }
    assert!(is_forged(&hadoop(), &[("content-type", "Application/X-WWW-Form-Urlencoded; x=y")], "/a"));
    assert!(is_forged(&hadoop(), &[("cookie", "a=b; Hadoop.Auth=\"u=hdfs\"")], "/a"));
    for name in ["x-trino-user", "x_trino_user", "x.trino-user", "x-presto-user", "x-trino-original-user"] {
        assert!(is_forged(&Impersonation::Trino, &[(name, "root")], "/"), "{name}");
    }
    for name in ["impersonate-user", "impersonate_group", "impersonate.uid", "impersonate-extra-scopes"] {
        assert!(is_forged(&Impersonation::Kubernetes, &[(name, "root")], "/"), "{name}");
    }
    let own = Impersonation::parse("header:X-Remote-User", "").unwrap();
    for name in ["x-remote-user", "x_remote_user", "x.remote.user"] {
        assert!(is_forged(&own, &[(name, "root")], "/"), "{name}");
    }
    for (style, pairs, path) in [
        (hadoop(), [("x-trino-user", "x")], "/a?op=OPEN&overwrite=true&destination=/doas"),
        (Impersonation::Trino, [("x-trino-catalog", "hive")], "/v1/statement?doas=x"),
    ] {
        assert!(!is_forged(&style, &pairs, path), "{path}");
    }
}

#[test]
fn services_and_names_that_do_not_fit_are_nobody() {
    for subject in ["service:reports-ui", "alice", "user:"] {
        assert!(
            matches!(hadoop().apply(subject, &mut HeaderMap::new(), "/"), Err(Refused::Subject(_))),
            "{subject}"
        );
    }
    for subject in ["user:a\u{e9}", "user:a\nb", "user: a"] {
        let refused = Impersonation::Trino.apply(subject, &mut HeaderMap::new(), "/");
        assert!(matches!(refused, Err(Refused::Subject(_))), "{subject}");
    }
}

#[test]
fn only_headers_that_say_nothing_else_carry_a_user() {
    for good in ["X-Remote-User", "X-Forwarded-User", "Remote-User", "X-WEBAUTH-USER"] {
        assert!(Impersonation::parse(&format!("header:{good}"), "").is_ok(), "{good}");
    }
    for bad in [
        "",
        "a b",
        "Host",
        "Content-Length",
        "Content-Type",
        "Authorization",
        "Cookie",
        "Doorman-Identity",
        "Doorman_X",
        "X-Forwarded-For",
        "X-Request-Id",
        "Connection",
        "traceparent",
    ] {
        assert!(Impersonation::parse(&format!("header:{bad}"), "").is_err(), "{bad}");
    }
    assert!(Impersonation::parse("Hadoop", "").is_err() && Impersonation::parse("trino:x", "").is_err());
}

#[test]
fn a_redirect_leads_through_the_door_without_users_or_nowhere() {
    let known = |authority: &str| (authority == "dn:9864").then(|| "/r/eu/dn@dn-1".to_owned());
    let inside =
        "http://dn:9864/webhdfs/v1/a?op=CREATE&user.name=doorman&doas=alice&namenoderpcaddress=nn:9000#x";
    assert_eq!(
        through_the_door(inside, known).unwrap(),
        "/r/eu/dn@dn-1/webhdfs/v1/a?op=CREATE&namenoderpcaddress=nn:9000"
    );
    assert_eq!(through_the_door("https://dn:9864?a=b", known).unwrap(), "/r/eu/dn@dn-1/?a=b");
    for elsewhere in
        ["http://other:9864/a", "//dn:9864/a", "/webhdfs", "ftp://dn:9864/", "http://dn:9864@evil/", ""]
    {
        assert_eq!(through_the_door(elsewhere, known), None, "{elsewhere}");
    }
}

proptest! {
    #[test]
    fn no_query_says_who_is_calling_but_ours(
        key in "(doas|user\\.name|delegation)", spell in proptest::collection::vec(0..4u8, 12), before in "[a-z=&]{0,8}",
    ) {
        let spelt: String = key.chars().zip(spell).map(|(c, how)| match how {
            1 => c.to_ascii_uppercase().to_string(),
            2 => format!("%{:02X}", c as u32),
            3 if c == '.' => "_".into(),
            _ => c.to_string(),
        }).collect();
        let query = format!("/a?{before}&{spelt}=root");
        prop_assert!(is_forged(&hadoop(), &[], &query));
    }

    #[test]
    fn nothing_panics(query in ".{0,40}", name in "[!-~]{1,12}", subject in ".{0,20}") {
        let mut map = HeaderMap::new();
        if let Ok(name) = HeaderName::try_from(name) { map.append(name, HeaderValue::from_static("x")); }
        for style in [hadoop(), Impersonation::Trino, Impersonation::Kubernetes] {
            let _ = style.apply(&format!("user:{subject}"), &mut map, &query);
        }
        let _ = through_the_door(&query, |_| Some(String::new()));
    }
}
