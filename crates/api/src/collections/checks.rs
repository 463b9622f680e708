//! What a saved request may be: lengths, groups, no credentials; and whether the version is the one that was seen.

use crate::error::{ApiError, ApiResult};
use doorman_client::wire::SavedRequestEdit;
use doorman_core::code::Code;
use doorman_door::Problem;
use http::{HeaderMap, StatusCode, header};

const MAX_NAME: usize = 200;
const MAX_FOLDER: usize = 200;
const MAX_GROUPS: usize = 50;
const MAX_LINES: usize = 500;
const MAX_TEXT: usize = 512 * 1024;

/// Headers whose values are credentials: their lines are kept, their values are not.
const CREDENTIALS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "doorman-token", "doorman-user-token"];

/// A request that can be saved. `may_share` tells whether the caller may name a group.
pub(super) fn content(
    mut edit: SavedRequestEdit,
    may_share: impl Fn(&str) -> bool,
) -> ApiResult<SavedRequestEdit> {
    edit.name = edit.name.trim().to_owned();
    check("name", !edit.name.is_empty(), "give it a name")?;
    check("name", edit.name.len() <= MAX_NAME, "at most 200 bytes")?;
    check("name", is_plain(&edit.name), "no control characters")?;
    let folder: Vec<&str> = edit.folder.split('/').map(str::trim).filter(|part| !part.is_empty()).collect();
    edit.folder = folder.join("/");
    check("folder", edit.folder.len() <= MAX_FOLDER, "at most 200 bytes")?;
    check("folder", is_plain(&edit.folder), "no control characters")?;
    edit.shared_with.sort();
    edit.shared_with.dedup();
    check("shared_with", edit.shared_with.len() <= MAX_GROUPS, "at most 50 groups")?;
    check("shared_with", edit.shared_with.iter().all(|group| may_share(group)), "only groups of your own")?;
    let request = &mut edit.request;
    let lines = [&request.query, &request.headers, &request.body.form, &request.body.parts];
    check("request", lines.iter().all(|lines| lines.len() <= MAX_LINES), "at most 500 lines in a table")?;
    check("request.body.text", request.body.text.len() <= MAX_TEXT, "at most 512 KiB")?;
    for line in &mut request.headers {
        if CREDENTIALS.iter().any(|name| line.name.trim().eq_ignore_ascii_case(name)) {
            line.value.clear();
        }
    }
    Ok(edit)
}

fn check(field: &str, holds: bool, otherwise: &str) -> ApiResult<()> {
    if holds { Ok(()) } else { Err(ApiError::field(field, otherwise)) }
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// What a search looks at.
pub(super) fn search_text(content: &SavedRequestEdit) -> String {
    let request = &content.request;
    let parts =
        [&content.folder, &content.name, &request.method, &request.region, &request.service, &request.path];
    parts.map(String::as_str).join(" ").to_lowercase()
}

/// A version as an entity tag (RFC 9110 §8.8.3).
pub(super) fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version that the caller has seen must be the one that there is.
pub(super) fn version(headers: &HeaderMap, current: u64) -> ApiResult<()> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Err(Problem::new(Code::Invalid, "Which version of the request is meant is not said.")
            .status(StatusCode::PRECONDITION_REQUIRED)
            .hint("Send its ETag as If-Match, or `If-Match: *`.")
            .into());
    };
    let tag = tag(current);
    let holds = wanted
        .to_str()
        .is_ok_and(|wanted| wanted.split(',').map(str::trim).any(|one| one == "*" || one == tag));
    if holds { Ok(()) } else { Err(changed_meanwhile()) }
}

pub(super) fn changed_meanwhile() -> ApiError {
    Problem::new(Code::Conflict, "Somebody else has changed the request since you read it.")
        .status(StatusCode::PRECONDITION_FAILED)
        .hint("Read it again, and send its ETag as If-Match.")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorman_client::wire::{SavedDraft, SavedLine};
    use proptest::prelude::*;

    fn edit(name: &str, folder: &str) -> SavedRequestEdit {
        let (name, folder) = (name.to_owned(), folder.to_owned());
        SavedRequestEdit { name, folder, shared_with: Vec::new(), request: SavedDraft::default() }
    }

    #[test]
    fn credentials_in_headers_are_not_kept() {
        let mut with = edit("a", "");
        let line = |name: &str| SavedLine { name: name.into(), value: "Bearer x".into(), on: true };
        with.request.headers = ["Authorization", " cookie", "accept"].map(line).to_vec();
        let kept = content(with, |_| false).unwrap().request.headers;
        let values: Vec<_> = kept.iter().map(|line| line.value.as_str()).collect();
        assert_eq!(values, ["", "", "Bearer x"]);
    }

    #[test]
    fn only_groups_of_ones_own_can_share() {
        let mut with = edit("a", "");
        with.shared_with = vec!["b".into(), "a".into(), "b".into()];
        assert_eq!(content(with.clone(), |_| true).unwrap().shared_with, ["a", "b"]);
        assert!(content(with, |group| group == "a").is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_a_name_and_a_folder_without_empty_parts(name: String, folder: String) {
            if let Ok(kept) = content(edit(&name, &folder), |_| true) {
                prop_assert!(!kept.name.is_empty() && kept.name == kept.name.trim());
                prop_assert!(kept.folder.is_empty() || kept.folder.split('/').all(|part| !part.is_empty()));
                let again = content(kept.clone(), |_| true).unwrap();
                prop_assert_eq!(kept, again);
            }
        }
    }
}
