//! From JSON to a [`JobSpec`], telling every field that is unknown or of the wrong type, not only the first.

use super::{JobSpec, Problem, Problems};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// More problems than this are not told; somebody has sent something else altogether.
const MOST: usize = 50;

/// Reads a job.
///
/// # Errors
/// Every field that is unknown or of the wrong type.
pub fn decode(value: Value) -> Result<JobSpec, Vec<Problem>> {
    decode_as(value)
}

/// Serde stops at the first fault. As every field may be absent, the faulty one is taken out and the rest is read again.
fn decode_as<T: DeserializeOwned + Default>(mut value: Value) -> Result<T, Vec<Problem>> {
    let mut problems = Problems::new();
    let mut last = None;
    refuse_lists("", &mut value, &mut problems);
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => return problems.into_result(read),
            Err(error) => error,
        };
        let path = error.path().clone();
        let field = if path.iter().next().is_none() { "job".to_owned() } else { path.to_string() };
        // What stands in for a faulty element may be of a wrong type itself.
        if last.as_ref() != Some(&field) {
            problems.add(field.clone(), tidy(&error.into_inner().to_string()));
            last = Some(field);
        }
        if !remove(&mut value, &path) {
            break;
        }
    }
    problems.into_result(T::default())
}

/// Serde reads a list as an object's fields in their order; nobody writes jobs like that. Puts an object in its place.
fn refuse_lists(field: &str, value: &mut Value, problems: &mut Problems) {
    if value.is_array() {
        problems
            .add(if field.is_empty() { "job" } else { field }, "wrong type: sequence, expected an object");
        *value = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = value else { return };
    for (name, inner) in fields {
        let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
        match (name.as_str(), inner) {
            ("request" | "input" | "plan" | "schedule" | "stop_when" | "success" | "retries", inner) => {
                refuse_lists(&field, inner, problems);
            }
            ("waves", Value::Array(waves)) => {
                for (number, wave) in waves.iter_mut().enumerate().take(MOST) {
                    refuse_lists(&format!("{field}[{number}]"), wave, problems);
                }
            }
            ("regions", Value::Object(regions)) => {
                for (region, plan) in regions.iter_mut().take(MOST) {
                    refuse_lists(&format!("{field}.{region}"), plan, problems);
                }
            }
            _ => {}
        }
    }
}

/// Takes out what `path` leads to; `false` if it leads nowhere.
fn remove(value: &mut Value, path: &Path) -> bool {
    let mut segments: Vec<_> = path.iter().collect();
    let Some(last) = segments.pop() else { return false };
    let mut at = value;
    for segment in segments {
        let next = match segment {
            Segment::Map { key } => at.get_mut(key.as_str()),
            Segment::Seq { index } => at.get_mut(*index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match (last, at) {
        (Segment::Map { key }, Value::Object(map)) => map.remove(key).is_some(),
        // Not removed: the elements behind it must keep their numbers.
        (Segment::Seq { index }, Value::Array(array)) => match array.get_mut(*index) {
            Some(element) if !element.is_object() => {
                *element = Value::Object(serde_json::Map::new());
                true
            }
            Some(element) => {
                *element = Value::String(String::new());
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// Serde's words without its position in a text that nobody sees.
fn tidy(message: &str) -> String {
    message.replace("unknown field", "there is no field").replace("invalid type:", "wrong type:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields(value: Value) -> Vec<String> {
        decode(value).unwrap_err().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn every_field_of_a_wrong_type_or_name_is_told() {
        let job = json!({
            "name": 1, "folder": "dev", "nmae": "x", "request": {"pth": "/", "query": {"a": 1}},
            "plan": {"waves": [{"count": 1}, {"percent": "25"}, {"cuont": 3}], "concurrency": -1},
            "schedule": {"missed": "never"}
        });
        let mut told = fields(job);
        told.sort();
        assert_eq!(
            told,
            [
                "name",
                "nmae",
                "plan.concurrency",
                "plan.waves[1].percent",
                "plan.waves[2].cuont",
                "request.pth",
                "request.query.a",
                "schedule.missed"
            ]
        );
    }

    #[test]
    fn what_is_no_job_at_all_is_told_once() {
        for value in [json!(null), json!([]), json!("job"), json!(3)] {
            assert_eq!(fields(value), ["job"]);
        }
        assert_eq!(fields(json!({"plan": {"waves": [1, 2]}})), ["plan.waves[0]", "plan.waves[1]"]);
        let lists =
            json!({"request": [], "plan": {"waves": [[5]], "regions": {"eu": []}, "success": ["2xx"]}});
        let mut told = fields(lists);
        told.sort();
        assert_eq!(told, ["plan.regions.eu", "plan.success", "plan.waves[0]", "request"]);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z%{}/]{0,6}".prop_map(Value::from)
        ];
        let key = prop::sample::select(vec![
            "name",
            "folder",
            "request",
            "plan",
            "waves",
            "count",
            "query",
            "body",
            "input",
            "rows",
            "x",
            "regions",
            "stop_when",
        ]);
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            ]
        })
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused_with_problems(value in any_json()) {
            if let Err(problems) = decode(value) {
                prop_assert!(!problems.is_empty() && problems.len() <= 4 * MOST);
            }
        }
    }
}
