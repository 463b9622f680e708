use super::*;
use proptest::prelude::*;
use serde_json::json;

fn csv(text: &str) -> Result<(Vec<InputRow>, Report), String> {
    read(text.as_bytes(), &Options::new(Format::Csv))
}

fn read(bytes: &[u8], options: &Options) -> Result<(Vec<InputRow>, Report), String> {
    let mut reader = Reader::open(bytes, options).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().map_err(|error| error.to_string())? {
        rows.push(row);
    }
    Ok((rows, reader.report().clone()))
}

fn told(report: &Report) -> Vec<String> {
    report.problems.iter().map(RowProblem::to_string).collect()
}

fn cell<'a>(row: &'a InputRow, column: &str) -> &'a str {
    row.values[column].as_str().unwrap()
}

#[test]
fn a_spreadsheet_is_read_as_it_was_saved() {
    // A byte order mark, semicolons, CRLF, quotes with a separator, a quote and a line break in them, an emptied column and row.
    let text =
        "\u{feff}id;name;\r\n1;\"Müller; \"\"Söhne\"\"\";\r\n2;\"two\r\nlines\";\r\n;;\r\n3; three ;\r\n\r\n";
    let (rows, report) = csv(text).unwrap();
    assert_eq!(report, Report { rows: 3, ..Report::default() });
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3, 6]);
    assert_eq!(cell(&rows[0], "name"), "Müller; \"Söhne\"");
    assert_eq!(cell(&rows[1], "name"), "two\r\nlines");
    assert_eq!(cell(&rows[2], "name"), " three ");
}

#[test]
fn what_separates_fields_is_found_out() {
    for text in [
        "a,b\n1,2\n",
        "a;b\n1;2",
        "a\tb\r\n1\t2\r\n",
        "sep=;\r\na;b\r\n1;2",
        "\u{feff}sep=|\na|b\n1|2",
        "\n\na,b\n1,2",
        "\"a\",\"b\"\n\"1\",\"2\"",
    ] {
        let (rows, _) = csv(text).unwrap();
        assert_eq!((cell(&rows[0], "a"), cell(&rows[0], "b")), ("1", "2"), "{text:?}");
    }
    let (rows, _) = csv("\"a;,b\"\n1\n").unwrap();
    assert_eq!(cell(&rows[0], "a;,b"), "1");
    assert_eq!(csv("sep=;\na;b\n1;2").unwrap().0[0].line, 3);
}

#[test]
fn a_header_that_cannot_be_used_is_refused_at_once() {
    for (text, why) in [
        ("", "line 1: the input is empty: its first line must name the columns"),
        ("a,,b\n", "line 1: column 2 has no name"),
        ("a,b,a\n", "line 1: two columns are called `a`"),
        ("a,{{b}}\n", "line 1: `{{b}}` can't be a column: names have no braces, quotes, `|` or line breaks"),
        (
            "17\n18\n",
            "line 1: `17` looks like a value: the first line must name the columns, or they are named apart",
        ),
        ("PK\u{3}\u{4}x", "line 1: the input is a spreadsheet's own file: save it as \"CSV UTF-8\""),
        ("i\0d\0", "line 1: the input is UTF-16, or no text at all: save the file as \"CSV UTF-8\""),
    ] {
        assert_eq!(csv(text).unwrap_err(), why);
    }
    let options = Options { columns: Some(vec!["id".to_owned()]), ..Options::new(Format::Csv) };
    assert_eq!(read(b"17\n18\n", &options).unwrap().0.len(), 2);
}

#[test]
fn bad_rows_are_told_with_their_lines_and_reading_goes_on() {
    let (rows, report) = csv("id,name\n1,a\n2\n3,b,c\n1,a\n\"4\n\",d\n5,\0\n6,e\n").unwrap();
    assert_eq!(rows.iter().map(|row| cell(row, "id")).collect::<Vec<_>>(), ["1", "4\n", "6"]);
    assert_eq!(
        told(&report),
        [
            "line 3: the row has 1 fields, and there are 2 columns",
            "line 4: the row has 3 fields, and there are 2 columns",
            "line 5: the row is as in line 2",
            "line 8: `name` has a NUL character",
        ]
    );
    let (_, report) = csv("id\r1\r\r2,2\r").unwrap();
    assert_eq!(told(&report), ["line 4: the row has 2 fields, and there are 1 columns"]);
    let (_, report) = csv("id\n\n1\n\n\r\n2,2\r\n3,3").unwrap();
    assert_eq!(report.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [6, 7]);
    let (_, report) = read(b"id,name\n1,M\xfcller\n", &Options::new(Format::Csv)).unwrap();
    assert_eq!(told(&report), ["line 2: `name` is not UTF-8: save the file as \"CSV UTF-8\""]);
}

#[test]
fn duplicates_are_known_by_a_key_and_may_be_left_out() {
    let text = b"id,name\n1,a\n2,b\n1,c\n1,a\n";
    let with = |key: Option<&str>, duplicates| {
        let options = Options { key: key.map(str::to_owned), duplicates, ..Options::new(Format::Csv) };
        read(text, &options).unwrap().1
    };
    assert_eq!(
        told(&with(Some("id"), Duplicates::Refuse)),
        ["line 4: `id` is as in line 2", "line 5: `id` is as in line 2"]
    );
    assert_eq!(told(&with(None, Duplicates::Refuse)), ["line 5: the row is as in line 2"]);
    let skipped = with(Some("id"), Duplicates::Skip);
    assert_eq!((skipped.rows, skipped.duplicates, skipped.problem_count), (2, 2, 0));
    assert_eq!(with(None, Duplicates::Allow).rows, 4);
    let unknown = Options { key: Some("ID".to_owned()), ..Options::new(Format::Csv) };
    assert!(read(text, &unknown).unwrap_err().contains("`ID`"));
}

#[test]
fn json_lines_are_flat_objects_that_look_alike() {
    let text = "\u{feff}{\"id\": 1, \"ok\": true}\n\n{\"id\": \"x\", \"ok\": null}\r\n{\"id\": 3}\n{\"id\": 4, \"ok\": 1, \"more\": 2}\n\
        [1]\n{\"id\": {}, \"ok\": 1}\n{\"id\": 1, \"id\": 2}\n{\"id\": 123456789012345678901, \"ok\": 1}\n{\"id\n{\"id\": 5, \"ok\": 0.5}";
    let (rows, report) = read(text.as_bytes(), &Options::new(Format::Jsonl)).unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row.values["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!("x"), json!(5)]);
    let lines: Vec<u64> = report.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8, 9, 10], "{:#?}", told(&report));
}

#[test]
fn rows_inside_a_job_are_checked_alike() {
    let spec = |input| serde_json::from_value::<InputSpec>(input).unwrap();
    let given = spec(json!({"rows": [{"id": 1}, {"id": [1]}, {"id": 1}, {"x": 1}]}));
    let (columns, report) = open_inline(&given, Limits::default()).unwrap().unwrap().check_all().unwrap();
    assert_eq!((columns, report.rows), (vec!["id".to_owned()], 1));
    assert_eq!(report.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 3, 4]);
    let both = spec(json!({"csv": "id\n1", "rows": []}));
    assert!(open_inline(&both, Limits::default()).is_err());
    assert!(open_inline(&spec(json!({})), Limits::default()).unwrap().is_none());
}

#[test]
fn limits_hold_and_an_open_quote_does_not_swallow_the_file() {
    let limits = Limits { rows: 3, columns: 2, row_bytes: 1_000, problems: 2 };
    let options = Options { limits, ..Options::new(Format::Csv) };
    assert_eq!(read(b"id\na\nb\nc\nd\n", &options).unwrap_err(), "line 5: there are more than 3 rows");
    assert!(read(b"a,b,c\n", &options).is_err());
    let long = format!("id\n\"{}", "x\n".repeat(1_000_000));
    assert!(read(long.as_bytes(), &options).unwrap_err().contains("never closed"));
    let line = format!("{{\"id\": \"{}\"}}", "x".repeat(1_000_000));
    let jsonl = Options { format: Format::Jsonl, ..options.clone() };
    assert!(read(line.as_bytes(), &jsonl).unwrap_err().contains("longer than 1000"));
    let medium = format!("id\n{}\nb\n", "x".repeat(5_000));
    assert_eq!(read(medium.as_bytes(), &options).unwrap().1.problem_count, 1);
    let (_, report) = read(b"id\n1,2\n1,2\n1,2\n", &options).unwrap();
    assert_eq!((report.problems.len(), report.problem_count), (2, 3));
}

#[test]
fn a_quote_that_is_still_open_at_the_end_is_told_where_it_was_opened() {
    for (line, text) in [
        (2, "id,n\n1,\"a\r\n2,b\r\n"),
        (4, "id,n\n0,\"a\nb\"\n1,\"a"),
        (3, "id,n\n0,a\n1,\""),
        (3, "id,n\n0,a\n1,\"a\"\""),
        (3, "id,n\r0,a\r1,\"a\r"),
    ] {
        assert_eq!(
            csv(text).unwrap_err(),
            format!("line {line}: a quote is opened and never closed"),
            "{text:?}"
        );
    }
    assert_eq!(csv("\"id\n1\n").unwrap_err(), "line 1: a quote is opened and never closed");
    // A cell that ends with a line break at the end of the file is none.
    for text in ["id,n\n1,\"a\n\"", "id,n\r\n1,\"a\n\"\r\n", "id,n\r1,\"a\n\"\r"] {
        assert_eq!(cell(&csv(text).unwrap().0[0], "n"), "a\n", "{text:?}");
    }
    // Nothing that stands in an input is taken for its end.
    assert_eq!(csv("id\na\n\"\0\n\"\nb\n").unwrap_err(), "line 3: has a NUL character");
    assert_eq!(csv("id\na\n\"\0\n").unwrap_err(), "line 3: a quote is opened and never closed");
}

/// Endless rows, of which nobody keeps any.
struct Endless {
    next: u64,
    last: u64,
    held: Vec<u8>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.held.len() < buffer.len() && self.next < self.last {
            self.held.extend_from_slice(format!("{},a name\n", self.next).as_bytes());
            self.next += 1;
        }
        let most = buffer.len().min(self.held.len());
        buffer[..most].copy_from_slice(&self.held[..most]);
        self.held.drain(..most);
        Ok(most)
    }
}

#[test]
fn two_hundred_thousand_rows_are_read_as_they_come() {
    let source =
        io::Cursor::new(b"id,name\n".to_vec()).chain(Endless { next: 0, last: 200_000, held: Vec::new() });
    let reader = Reader::open(source, &Options::new(Format::Csv)).unwrap();
    let (_, report) = reader.check_all().unwrap();
    assert_eq!((report.rows, report.problem_count), (200_000, 0));
}

fn quote(cell: &str, delimiter: char) -> String {
    if cell.contains([delimiter, '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

proptest! {
    #[test]
    fn whatever_a_spreadsheet_writes_is_read_back(
        cells in prop::collection::vec(prop::collection::vec("[a-z0-9 ;,\"\n\té=+-]{0,8}", 3), 0..20),
        delimiter in prop::sample::select(vec![',', ';', '\t']),
        has_mark: bool,
        ends in prop::sample::select(vec!["\n", "\r\n"]),
    ) {
        let line = |cells: &[String]| cells.iter().map(|cell| quote(cell, delimiter)).collect::<Vec<_>>().join(&delimiter.to_string());
        let mut text = if has_mark { "\u{feff}".to_owned() } else { String::new() };
        text.push_str(&line(&["id".to_owned(), "b c".to_owned(), "é".to_owned()]));
        text.push_str(ends);
        for cells in &cells {
            text.push_str(&line(cells));
            text.push_str(ends);
        }
        let options = Options { duplicates: Duplicates::Allow, ..Options::new(Format::Csv) };
        let (rows, report) = read(text.as_bytes(), &options).unwrap();
        prop_assert_eq!(report.problem_count, 0, "{:?}", told(&report));
        let found: Vec<Vec<String>> =
            rows.iter().map(|row| ["id", "b c", "é"].iter().map(|column| cell(row, column).to_owned()).collect()).collect();
        let wanted: Vec<Vec<String>> = cells.into_iter().filter(|cells| cells.iter().any(|cell| !cell.is_empty())).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn no_bytes_panic_and_every_row_has_every_column(bytes in prop::collection::vec(any::<u8>(), 0..400), is_csv: bool, starts in prop::sample::select(vec!["", "a,b\n", "{\"a\":1}\n"])) {
        let format = if is_csv { Format::Csv } else { Format::Jsonl };
        let all = [starts.as_bytes(), &bytes].concat();
        let limits = Limits { rows: 50, columns: 5, row_bytes: 100, problems: 3 };
        let options = Options { limits, ..Options::new(format) };
        let Ok(mut reader) = Reader::open(all.as_slice(), &options) else { return Ok(()) };
        while let Ok(Some(row)) = reader.next_row() {
            let mut columns: Vec<String> = row.values.keys().cloned().collect();
            let mut wanted = reader.columns().to_vec();
            columns.sort();
            wanted.sort();
            prop_assert_eq!(columns, wanted);
            prop_assert!(row.line >= 1);
        }
        prop_assert!(reader.report().problems.len() <= 3 && reader.report().rows <= 50);
    }
}
