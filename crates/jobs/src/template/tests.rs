use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn spec(request: Value) -> RequestSpec {
    let mut whole =
        json!({"region": "eu", "service": "companies", "method": "POST", "path": "/companies/{{id}}"});
    whole.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn template(request: Value) -> Template {
    Template::compile(&spec(request)).unwrap()
}

fn problems(request: Value) -> Vec<String> {
    Template::compile(&spec(request)).unwrap_err().iter().map(Problem::to_string).collect()
}

fn row(values: Value) -> Row {
    values.as_object().unwrap().clone()
}

fn render(template: &Template, values: Value) -> Result<Rendered, RowError> {
    template.render(&row(values), Destination::default())
}

fn body(request: Value, values: Value) -> Result<String, String> {
    let rendered = render(&template(request), values).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(rendered.body.to_vec()).unwrap())
}

#[test]
fn a_value_is_escaped_for_the_place_it_stands_in() {
    let request = json!({
        "path": "/a/{{ v }}/b", "query": {"q&": "x{{v}}"}, "headers": {"x-v": "v={{v}}"},
        "body": {"a": "{{v}}", "b": ["<{{v}}>", 1]}
    });
    let rendered = render(&template(request), json!({"v": "a&b=c \"d\"?#%2F;+"})).unwrap();
    assert_eq!(rendered.target.path(), "/a/a%26b%3Dc%20%22d%22%3F%23%252F%3B%2B/b");
    assert_eq!(rendered.target.query(), Some("q%26=xa%26b%3Dc%20%22d%22%3F%23%252F%3B%2B"));
    assert_eq!(rendered.headers["x-v"], "v=a&b=c \"d\"?#%2F;+");
    assert_eq!(rendered.headers["content-type"], "application/json");
    assert_eq!(&rendered.body[..], br#"{"a":"a&b=c \"d\"?#%2F;+","b":["<a&b=c \"d\"?#%2F;+>",1]}"#);
}

#[test]
fn forms_are_escaped_as_forms() {
    let form = json!({"content-type": "application/x-www-form-urlencoded"});
    let value = json!({"id": 1, "v": "a b&admin=1+é"});
    let escaped = "a+b%26admin%3D1%2B%C3%A9";
    let fields = |body: Value| json!({"headers": form, "body": body});
    assert_eq!(body(fields(json!({"to": "{{v}}"})), value.clone()), Ok(format!("to={escaped}")));
    assert_eq!(body(fields(json!({"n": 3})), value.clone()), Ok("n=3".to_owned()));
    let text = json!({"headers": form, "body": "n=3&to={{v}}"});
    assert_eq!(body(text, value), Ok(format!("n=3&to={escaped}")));
}

#[test]
fn a_placeholder_alone_keeps_the_type_of_its_value_and_may_name_another() {
    let body =
        |template: &str, value: Value| body(json!({"body": {"x": template}}), json!({"id": 1, "v": value}));
    for (template, value, json) in [
        ("{{v}}", json!(7), "7"),
        ("{{v}}", json!("7"), "\"7\""),
        ("{{v}}", json!(null), "null"),
        ("{{v|number}}", json!("7"), "7"),
        ("{{v | number}}", json!("-1.5e3"), "-1500.0"),
        ("{{v|boolean}}", json!("TRUE"), "true"),
        ("{{v|text}}", json!(7), "\"7\""),
        ("n{{v}}", json!(7), "\"n7\""),
        ("{{'{{'}}v}}{{v}}", json!(true), "\"{{v}}true\""),
    ] {
        assert_eq!(body(template, value.clone()), Ok(format!("{{\"x\":{json}}}")), "{template} {value}");
    }
    for (template, value) in [
        ("{{v|number}}", json!("7a")),
        ("{{v|number}}", json!(" 7")),
        ("{{v|number}}", json!("123456789012345678901234567890")),
        ("{{v|number}}", json!("NaN")),
        ("{{v|boolean}}", json!("yes")),
        ("{{v|text}}", json!(null)),
        ("n{{v}}", json!(null)),
        ("{{v}}", json!([1])),
        ("{{w}}", json!(1)),
    ] {
        assert!(body(template, value.clone()).is_err(), "{template} {value}");
    }
}

#[test]
fn json_written_as_text_is_json_when_the_header_says_so() {
    let json_text =
        json!({"headers": {"content-type": "application/merge-patch+json"}, "body": "{\"to\": \"{{v}}\"}"});
    assert_eq!(
        body(json_text, json!({"id": 1, "v": "\",\"admin\":\""})),
        Ok(r#"{"to":"\",\"admin\":\""}"#.to_owned())
    );
    let plain = json!({"body": "to {{v}}"});
    assert_eq!(body(plain, json!({"id": 1, "v": "<x>"})), Ok("to <x>".to_owned()));
}

#[test]
fn values_that_would_make_the_path_another_are_refused_for_their_row() {
    let plain = template(json!({}));
    let within = template(json!({"path": "/a/.{{id}}"}));
    for bad in ["", ".", "..", "a/b", "a\\b", "../x", "a\nb", "\0"] {
        assert!(render(&plain, json!({ "id": bad })).is_err(), "{bad:?}");
    }
    assert!(render(&within, json!({"id": "."})).is_err());
    for (good, path) in [
        ("...", "..."),
        ("%2e%2e", "%252e%252e"),
        ("a;x=1", "a%3Bx%3D1"),
        ("é", "%C3%A9"),
        ("?x#y", "%3Fx%23y"),
    ] {
        assert_eq!(
            render(&plain, json!({ "id": good })).unwrap().target.path(),
            format!("/companies/{path}")
        );
    }
    let refused = render(&plain, json!({"id": "a/b"})).unwrap_err().to_string();
    assert!(refused.starts_with("`id` has a slash"), "{refused}");
}

#[test]
fn headers_take_only_what_can_stand_in_one() {
    let template = template(json!({"headers": {"x-v": "{{v}}"}}));
    let headers =
        |value: &str| render(&template, json!({"id": 1, "v": value})).map(|rendered| rendered.headers.len());
    assert_eq!(headers("plain, with a comma"), Ok(1));
    for bad in ["a\r\nx-admin: 1", "a\nb", "\u{7f}", "é", " a", "a\t"] {
        assert!(headers(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_row_may_name_its_region_and_instance() {
    let template = template(json!({"region": "{{r}}", "instance": "companies-{{n}}"}));
    let target = |r: &str, n: &str| {
        render(&template, json!({"id": 1, "r": r, "n": n})).map(|rendered| rendered.target)
    };
    let good = target("us", "3").unwrap();
    assert_eq!((good.region(), good.selector().as_str()), ("us", "companies-3"));
    for (region, number) in
        [("US", "1"), ("us/echo/x?", "1"), ("", "1"), ("us", "1/x"), ("us", "1@2"), ("us", "1?")]
    {
        assert!(target(region, number).is_err(), "{region} {number}");
    }
}

#[test]
fn a_fan_out_says_where_to() {
    let template =
        Template::compile(&spec(json!({"instance": "all", "region": null, "regions": ["eu", "us"]})))
            .unwrap();
    assert!(template.fans_out_over_instances());
    let to = Destination { region: Some("us"), instance: Some("companies-2") };
    let target = template.render(&row(json!({"id": 1})), to).unwrap().target;
    assert_eq!(target.door_path_and_query(), "/r/us/companies@companies-2/companies/1");
}

#[test]
fn everything_that_is_wrong_with_a_request_is_told() {
    let told = problems(json!({
        "region": "EU", "service": "Companies", "instance": "x y", "method": "post", "path": "companies/{{id",
        "query": {"{{a}}": "1", "b": "{{b|date}}"},
        "headers": {"{{h}}": "x", "authorization": "Bearer x", "Doorman-Pass": "x", "host": "x", "idempotency-key": "1", "x y": "1",
            "content-type": "{{ct}}", "x-e": "é"},
        "body": {"{{k}}": 1, "a": [{"b": "{{}}"}]}
    }));
    for field in [
        "request.region:",
        "request.service:",
        "request.instance:",
        "request.method:",
        "request.path:",
        "request.query.{{a}}:",
        "request.query.b:",
        "request.headers.{{h}}:",
        "request.headers.authorization:",
        "request.headers.Doorman-Pass:",
        "request.headers.host:",
        "request.headers.idempotency-key:",
        "request.headers.x y:",
        "request.headers.content-type:",
        "request.headers.x-e:",
        "request.body.{{k}}:",
        "request.body.a[0].b:",
    ] {
        assert_eq!(told.iter().filter(|line| line.starts_with(field)).count(), 1, "{field} in {told:#?}");
    }
    assert_eq!(told.len(), 17, "{told:#?}");
}

#[test]
fn a_path_that_is_ambiguous_by_itself_is_refused_when_it_is_written() {
    for bad in ["/a/../{{id}}", "/a//{{id}}", "/{{id}}?x=1", "/a b/{{id}}", "/a/%zz", "/a/{{id}}#x", "/é"] {
        let told = problems(json!({ "path": bad }));
        assert!(told.iter().all(|line| line.starts_with("request.path: ")), "{bad} {told:?}");
    }
    for bad in ["a={{v}}", "<x>{{v}}</x>"] {
        let told = problems(json!({"headers": {"content-type": "application/xml"}, "body": bad}));
        assert!(told[0].starts_with("request.body: "), "{told:?}");
    }
}

#[test]
fn columns_that_are_not_there_and_columns_that_are_not_used_are_told() {
    let template = template(json!({"query": {"a": "{{missing}}"}, "body": ["{{ missing }}", "{{x}}"]}));
    let input = ["id", "x", "spare"].map(str::to_owned);
    let told = template.check_columns(&input).unwrap_err();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to_string(), "request.query.a: uses `missing`, but the input has `id`, `x`, `spare`");
    assert_eq!(template.unused_columns(&input), ["spare"]);
}

/// What somebody would try, among anything.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just("%2f".to_owned()),
        Just("&admin=1".to_owned()),
        Just("\r\nx-admin: 1".to_owned()),
        Just("\",\"admin\":true,\"".to_owned()),
        Just("?".to_owned()),
        Just("#".to_owned()),
        Just(";".to_owned()),
        Just("{{id}}".to_owned()),
        Just("\\".to_owned()),
        any::<char>().prop_map(String::from),
        "[a-zA-Z0-9 ]{1,6}",
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

proptest! {
    #[test]
    fn a_value_never_adds_a_segment_a_parameter_a_header_or_a_key(value in hostile(), is_form: bool) {
        let content = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
        let body = if is_form { json!("k={{v}}&l=m") } else { json!({"k": "{{v}}", "l": {"m": "-{{v}}-"}}) };
        let request = json!({
            "path": "/a/{{v}}/b/x{{v}}", "query": {"q": "{{v}}", "r": "s"}, "headers": {"x-v": "v{{v}}v", "content-type": content}, "body": body
        });
        let template = template(request);
        let Ok(rendered) = render(&template, json!({"v": value})) else { return Ok(()) };
        // Every reader of the path sees the same four segments, and the value in its place.
        let segments: Vec<String> = rendered.target.path().split('/').skip(1).map(decode).collect();
        prop_assert_eq!(&segments, &["a".to_owned(), value.clone(), "b".to_owned(), format!("x{value}")]);
        prop_assert!(!value.contains(['/', '\\']) && !["", ".", ".."].contains(&value.as_str()));
        let pairs: Vec<(String, String)> = rendered
            .target.query().unwrap().split('&')
            .map(|pair| { let (name, value) = pair.split_once('=').unwrap(); (decode(name), decode(value)) })
            .collect();
        prop_assert_eq!(pairs, [("q".to_owned(), value.clone()), ("r".to_owned(), "s".to_owned())]);
        prop_assert_eq!(rendered.headers.len(), 2);
        prop_assert_eq!(rendered.headers["x-v"].to_str().unwrap(), format!("v{value}v"));
        if is_form {
            let text = std::str::from_utf8(&rendered.body).unwrap();
            let pairs: Vec<(String, String)> = text.split('&')
                .map(|pair| { let (name, value) = pair.split_once('=').unwrap(); (decode(name), decode(&value.replace('+', " "))) })
                .collect();
            prop_assert_eq!(pairs, [("k".to_owned(), value), ("l".to_owned(), "m".to_owned())]);
        } else {
            let read: Value = serde_json::from_slice(&rendered.body).unwrap();
            prop_assert_eq!(read, json!({"k": value, "l": {"m": format!("-{value}-")}}));
        }
    }

    #[test]
    fn no_template_panics_and_what_compiles_renders_or_says_why(text in "[a-z/{}|' %]{0,24}", value in hostile()) {
        let request = json!({"path": format!("/{text}"), "query": {"q": text}, "headers": {"x": text}, "body": {"b": text}});
        if let Ok(template) = Template::compile(&spec(request)) {
            let values: Row = template.columns().map(|column| (column.to_owned(), value.clone().into())).collect();
            let _ = template.render(&values, Destination::default());
        }
    }
}
