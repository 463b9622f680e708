//! A record that is complete but for its id, which the writer gives in batch order.

use doorman_core::id::AuditId;
use doorman_core::record::Record;
use memchr::memmem::Finder;
use std::sync::OnceLock;

/// Stands where the id goes. Random for each process, so that nothing a client sends can be taken for it.
pub(crate) fn placeholder() -> AuditId {
    static PLACEHOLDER: OnceLock<AuditId> = OnceLock::new();
    *PLACEHOLDER.get_or_init(|| {
        let mut bytes = [0; 16];
        // Without randomness the bytes stay zero, and `Draft::new` still finds the first occurrence or gives up.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        AuditId(bytes)
    })
}

/// Looks for the placeholder; made once.
fn finder() -> &'static Finder<'static> {
    static FINDER: OnceLock<Finder<'static>> = OnceLock::new();
    FINDER.get_or_init(|| Finder::new(&placeholder().encode()).into_owned())
}

/// The canonical bytes of a record, with a place for its id.
pub struct Draft {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Draft {
    /// Takes a record whose `id` is ignored.
    pub fn new(mut record: Record<'_>) -> Self {
        record.id = placeholder();
        let bytes = record.to_bytes();
        let id_at = finder().find(&bytes).unwrap_or(usize::MAX);
        Self { bytes, id_at }
    }

    pub(crate) fn set_id(&mut self, id: AuditId) {
        let end = self.id_at.saturating_add(AuditId::TEXT_LEN);
        if let Some(place) = self.bytes.get_mut(self.id_at..end) {
            place.copy_from_slice(&id.encode());
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorman_core::record::{HeaderValue, Kind};

    #[test]
    fn the_id_lands_in_its_field_whatever_a_client_sent() {
        let mut record = Record::new(Kind::Request, AuditId::default(), 1);
        record.headers.insert("id".into(), HeaderValue::One(AuditId::default().to_string().into()));
        record.body = Some(r#""id":"00000000-0000-0000-0000-000000000000""#.into());
        let mut draft = Draft::new(record.clone());
        record.id = AuditId::floor_of(77);
        draft.set_id(record.id);
        assert_eq!(draft.bytes(), record.to_bytes());
    }
}
