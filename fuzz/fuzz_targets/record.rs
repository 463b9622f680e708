//! Records read back as they were written, and what is written is RFC 8785.

#![no_main]

use doorman_core::canonical::canonicalize;
use doorman_core::record::Record;
use doorman_core::verify::StoredEntry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::from_bytes(bytes) {
        let written = record.to_bytes();
        assert_eq!(Record::from_bytes(&written).as_ref().ok(), Some(&record));
        let text = std::str::from_utf8(&written).expect("JSON is UTF-8");
        if let Ok(canonical) = canonicalize(text) {
            assert_eq!(canonical, written);
        }
    }
    if let Ok(canonical) = std::str::from_utf8(bytes).map_err(drop).and_then(|text| canonicalize(text).map_err(drop)) {
        let text = std::str::from_utf8(&canonical).expect("JSON is UTF-8");
        assert_eq!(canonicalize(text).ok().as_ref(), Some(&canonical));
        let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
        assert_eq!(value(bytes), value(&canonical));
    }
    let _ = StoredEntry { id: Default::default(), claims: bytes, record: bytes };
});
