//! Statements, their lines, peer lists and exports: read or refused, and read back as they were written.

#![no_main]

use doorman_core::export::ExportReader;
use doorman_core::keys::PublicKeys;
use doorman_core::peers::{PeerBook, PeerList};
use doorman_core::statement::{Statement, StatementLine, WriterId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(statement) = Statement::from_bytes(bytes) {
        assert_eq!(statement.to_bytes(), bytes);
    }
    if let Some(list) = PeerList::from_bytes(bytes) {
        assert_eq!(list.to_bytes(), bytes);
        let mut book = PeerBook::default();
        book.insert(WriterId([1; 16]), list);
        let _ = book.snapshot(WriterId([1; 16]));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(line) = StatementLine::from_json(text) {
        assert_eq!(StatementLine::from_json(&line.to_json()), Ok(line));
    }
    let mut reader = ExportReader::new(PublicKeys::default());
    let _ = reader.line("{\"export\":{\"version\":1,\"time\":\"\"}}");
    if text.lines().all(|line| reader.line(line).is_ok()) {
        let (report, _) = reader.finish();
        // Without a key nothing can be as signed.
        assert!(report.entries == 0 || report.unsigned.iter().map(|last| u64::from(last.entries)).sum::<u64>() == report.entries);
    }
});
