//! Entries as comma-separated values (RFC 4180) that are safe to open in a spreadsheet.
//!
//! Nothing in a cell is taken for a formula, no cell spreads over several lines or hides what it says, and none is longer
//! than a spreadsheet takes. For people: programs read JSON lines, which hold everything to the byte.

use doorman_client::wire::{AuditEntry, BodyEncoding, Decision, Headers, Outcome};
use std::fmt::Write as _;

const COLUMNS: &str = "id,time,kind,actor,subject,channel,session,client_ip,user_agent,region,service,instance,method,\
    path,query,headers,body,body_encoding,body_size,body_sha256,body_truncated,reason,decision,policies,job,run,item,\
    retry_of,retries,redacted,count,detail,outcome_state,outcome_status,outcome_headers,outcome_body_size,\
    outcome_body_sha256,outcome_request_size,outcome_request_sha256,outcome_duration_ms,outcome_instance,outcome_error";

/// Longest cell in UTF-16 units: Excel takes 32,767, and lets the rest spill into another cell.
const MAX_CELL: usize = 32_000;
const CUT: &str = " … (cut)";

/// The first line.
pub(super) fn header() -> String {
    format!("{COLUMNS}\r\n")
}

/// The line of one entry.
pub(super) fn row(entry: &AuditEntry) -> String {
    let mut row = Row(String::with_capacity(512));
    let text = |value: &Option<String>| value.clone();
    for value in [
        Some(entry.id.clone()),
        Some(entry.time.clone()),
        Some(entry.kind.clone()),
        text(&entry.actor),
        text(&entry.subject),
        text(&entry.channel),
        text(&entry.session),
        text(&entry.client_ip),
        text(&entry.user_agent),
        text(&entry.region),
        text(&entry.service),
        text(&entry.instance),
        text(&entry.method),
        text(&entry.path),
        text(&entry.query),
        headers(&entry.headers),
        text(&entry.body),
        entry.body_encoding.map(encoding),
        number(entry.body_size),
        text(&entry.body_sha256),
        entry.body_truncated.map(|is_cut| is_cut.to_string()),
        text(&entry.reason),
        entry.decision.map(decision),
        list(&entry.policies),
        text(&entry.job),
        text(&entry.run),
        number(entry.item),
        text(&entry.retry_of),
        list(&entry.retries),
        list(&entry.redacted),
        number(entry.count),
        json(&entry.detail, entry.detail.is_empty()),
    ] {
        row.push(value.as_deref());
    }
    for value in entry.outcome.as_ref().map_or([const { None }; 10], outcome) {
        row.push(value.as_deref());
    }
    row.end()
}

fn outcome(outcome: &Outcome) -> [Option<String>; 10] {
    [
        Some(outcome.state.as_str().to_owned()),
        outcome.status.map(|status| status.to_string()),
        headers(&outcome.headers),
        number(outcome.body_size),
        outcome.body_sha256.clone(),
        number(outcome.request_size),
        outcome.request_sha256.clone(),
        number(outcome.duration_ms),
        outcome.instance.clone(),
        outcome.error.clone(),
    ]
}

fn number(value: Option<u64>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn list(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(" "))
}

fn headers(headers: &Headers) -> Option<String> {
    json(headers, headers.is_empty())
}

fn json(value: &impl serde::Serialize, is_empty: bool) -> Option<String> {
    if is_empty { None } else { serde_json::to_string(value).ok() }
}

fn encoding(encoding: BodyEncoding) -> String {
    match encoding {
        BodyEncoding::Text => "text".to_owned(),
        BodyEncoding::Base64 => "base64".to_owned(),
    }
}

fn decision(decision: Decision) -> String {
    match decision {
        Decision::Permit => "permit".to_owned(),
        Decision::Deny => "deny".to_owned(),
    }
}

struct Row(String);

impl Row {
    fn push(&mut self, value: Option<&str>) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        let cell = safe(value.unwrap_or_default());
        if cell.contains([',', '"', ';', ' ']) {
            let _ = write!(self.0, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            self.0.push_str(&cell);
        }
    }

    fn end(mut self) -> String {
        self.0.push_str("\r\n");
        self.0
    }
}

/// What spreadsheets take for the beginning of a formula, in any keyboard's width.
fn begins_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

/// `text` as it may stand in a cell. Control characters, line breaks, and what reorders or hides text are written as
/// `\n` or `\u{202e}`; an apostrophe comes before what would begin a formula, also behind a semicolon, at which
/// spreadsheets of many countries part cells.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut at_start, mut units) = (true, 0);
    for c in text.chars() {
        units += c.len_utf16();
        if units > MAX_CELL {
            out.push_str(CUT);
            break;
        }
        if at_start && begins_formula(c) {
            out.push('\'');
        }
        at_start = c == ';' || (at_start && (c == ' ' || c == '"' || c == '\'' || c == '\u{a0}'));
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                units += 7;
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that are not shown, or that change the order of others (Unicode TR 36, TR 9).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_be_a_formula_is_text() {
        for (text, cell) in [
            ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("  =1", "  '=1"),
            ("\"=1", "\"'=1"),
            ("a;=1", "a;'=1"),
            ("＝1", "'＝1"),
            ("\t=1", "\\t=1"),
            ("\r\n=1", "\\r\\n=1"),
            ("a=1&b=-1", "a=1&b=-1"),
            ("\u{202e}txt\0\u{1b}[2J", "\\u{202e}txt\\u{0}\\u{1b}[2J"),
        ] {
            assert_eq!(safe(text), cell);
        }
    }

    /// RFC 4180, read strictly.
    fn cells(line: &str) -> Vec<String> {
        let (mut cells, mut rest) = (Vec::new(), line.strip_suffix("\r\n").unwrap());
        loop {
            let mut cell = String::new();
            if let Some(mut quoted) = rest.strip_prefix('"') {
                loop {
                    let end = quoted.find('"').unwrap();
                    cell.push_str(&quoted[..end]);
                    quoted = &quoted[end + 1..];
                    let Some(more) = quoted.strip_prefix('"') else { break };
                    cell.push('"');
                    quoted = more;
                }
                rest = quoted;
            } else {
                let end = rest.find(',').unwrap_or(rest.len());
                assert!(!rest[..end].contains('"'));
                cell.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            cells.push(cell);
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    assert_eq!(rest, "");
                    return cells;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_an_entry_holds_it_is_one_line_of_inert_cells(texts in proptest::collection::vec(
            prop_oneof![any::<String>(), "[=+@;\"', \t\r\n-]{0,8}", "(;|=|\"| ){0,4}"], 4))
        {
            let [path, query, reason, body] = &texts[..] else { unreachable!() };
            let some = |text: &String| Some(text.clone());
            let entry: AuditEntry = serde_json::from_value(serde_json::json!({
                "id": "i", "time": "t", "kind": "request", "path": some(path), "query": some(query),
                "reason": some(reason), "body": some(body), "headers": {"x": reason}
            })).unwrap();
            let line = row(&entry);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let cells = cells(&line);
            prop_assert_eq!(cells.len(), COLUMNS.split(',').count());
            for cell in &cells {
                prop_assert!(!cell.chars().any(is_hidden));
                prop_assert!(cell.encode_utf16().count() < 32_767);
                for part in cell.split(';') {
                    prop_assert!(!part.trim_start_matches([' ', '"']).starts_with(begins_formula), "{}", cell);
                }
            }
        }
    }
}
