//! Any upload is read within its limits, or refused; every row that comes of it is whole.

#![no_main]
#![allow(dead_code)]

#[path = "../../crates/jobs/src/input/mod.rs"]
mod input;

use input::{Format, Limits, Options, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (is_csv, has_key, bytes) = input;
    let limits = Limits { rows: 100, columns: 8, row_bytes: 256, problems: 5 };
    let format = if is_csv { Format::Csv } else { Format::Jsonl };
    let options = Options { limits, key: has_key.then(|| "id".to_owned()), ..Options::new(format) };
    let Ok(mut reader) = Reader::open(bytes, &options) else { return };
    let mut last = 0;
    while let Ok(Some(row)) = reader.next_row() {
        assert!(row.line >= last, "lines go on");
        last = row.line;
        assert_eq!(row.values.len(), reader.columns().len());
        assert!(reader.columns().iter().all(|column| row.values.contains_key(column)));
        assert!(row.values.values().all(|value| !value.is_array() && !value.is_object()));
    }
    let report = reader.report();
    assert!(report.rows <= limits.rows && report.problems.len() <= limits.problems);
});
