//! Audit ids: UUIDv7 (RFC 9562 §5.7), strictly increasing within one writer.

use std::fmt;
use std::str::FromStr;

/// The id of an audit entry: 16 bytes, shown as a hyphenated UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AuditId(pub [u8; 16]);

impl AuditId {
    /// Length of the textual form.
    pub const TEXT_LEN: usize = 36;

    /// Writes the hyphenated lower-case form.
    pub fn encode(self) -> [u8; Self::TEXT_LEN] {
        let mut text = [0u8; Self::TEXT_LEN];
        uuid::Uuid::from_bytes(self.0).hyphenated().encode_lower(&mut text);
        text
    }

    /// Milliseconds since the Unix epoch at which the id was made.
    pub fn unix_ms(self) -> u64 {
        let [a, b, c, d, e, f, ..] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The id that its writer gives next while the clock stands still, as it does within a batch: see [`IdSequence`].
    pub fn following(self) -> Self {
        let bits = u128::from_be_bytes(self.0);
        let counter = (bits >> 64 & 0xfff) << 24 | bits >> IdSequence::NODE_BITS & 0xff_ffff;
        let next = counter + 1;
        let kept = bits & !(0xfff << 64 | 0xff_ffff << IdSequence::NODE_BITS);
        Self((kept | (next >> 24 & 0xfff) << 64 | (next & 0xff_ffff) << IdSequence::NODE_BITS).to_be_bytes())
    }

    /// The smallest id that an entry of that millisecond can have: a bound for range searches.
    pub fn floor_of(unix_ms: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = unix_ms.to_be_bytes();
        Self([a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an audit id: expected a UUID such as 0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f")]
pub struct InvalidId;

impl FromStr for AuditId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != Self::TEXT_LEN {
            return Err(InvalidId);
        }
        uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| InvalidId)
    }
}

impl serde::Serialize for AuditId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.encode();
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for AuditId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hands out ids in strictly increasing order, also when the clock stands still or is set back.
///
/// Layout: 48 bits of milliseconds, version, a 12-bit and a 24-bit counter part, variant, 38 random bits of the
/// writer, so that ids of two writers never collide and those of one writer sort as they were made.
pub struct IdSequence {
    node: u64,
    last_ms: u64,
    counter: u64,
}

impl IdSequence {
    const COUNTER_BITS: u32 = 36;
    const NODE_BITS: u32 = 38;

    /// `random` tells this writer from all others; its low 38 bits are used.
    pub fn new(random: u64) -> Self {
        Self { node: random & ((1 << Self::NODE_BITS) - 1), last_ms: 0, counter: 0 }
    }

    /// The next id. `unix_ms` is the time now.
    pub fn next_id(&mut self, unix_ms: u64) -> AuditId {
        if unix_ms > self.last_ms {
            self.last_ms = unix_ms;
            self.counter = 0;
        } else {
            self.counter += 1;
            if self.counter >> Self::COUNTER_BITS != 0 {
                self.last_ms += 1;
                self.counter = 0;
            }
        }
        let high_counter = self.counter >> 24;
        let low_counter = self.counter & 0xff_ffff;
        let high = (self.last_ms << 16) | 0x7000 | high_counter;
        let low = (0b10 << 62) | (low_counter << Self::NODE_BITS) | self.node;
        AuditId(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_writer_increase_even_when_the_clock_goes_back() {
        let mut ids = IdSequence::new(u64::MAX);
        let mut last = AuditId::default();
        for ms in [5, 5, 5, 7, 6, 1, 8, 8] {
            let id = ids.next_id(ms);
            assert!(id > last, "{id} after {last}");
            assert_eq!(uuid::Uuid::from_bytes(id.0).get_version_num(), 7);
            assert_eq!(id.to_string().parse(), Ok(id));
            last = id;
        }
        assert!(AuditId::floor_of(8) <= last && last < AuditId::floor_of(9));
        assert_eq!(last.unix_ms(), 8);
    }

    #[test]
    fn within_a_millisecond_each_id_tells_the_next() {
        let mut ids = IdSequence::new(7);
        ids.next_id(5);
        ids.counter = (1 << 24) - 3;
        let mut last = ids.next_id(5);
        for _ in 0..5 {
            let id = ids.next_id(5);
            assert_eq!(last.following(), id);
            last = id;
        }
    }
}
