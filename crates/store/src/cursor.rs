//! Keyset cursors: where a page ended, as text for the client to hand back.

use crate::StoreError;

/// Hex of the key's bytes.
pub(crate) fn encode(key: &[u8]) -> String {
    hex::encode(key)
}

/// A key of exactly `N` bytes.
pub(crate) fn decode<const N: usize>(cursor: &str) -> Result<[u8; N], StoreError> {
    let mut key = [0; N];
    hex::decode_to_slice(cursor, &mut key).map_err(|_| StoreError::Cursor)?;
    Ok(key)
}

/// A time and an id, for lists in order of time.
pub(crate) fn encode_time_and_id(time_ms: u64, id: &[u8; 16]) -> String {
    encode(&[time_ms.to_be_bytes().as_slice(), id].concat())
}

/// What [`encode_time_and_id`] wrote.
pub(crate) fn decode_time_and_id(cursor: &str) -> Result<(u64, [u8; 16]), StoreError> {
    let key: [u8; 24] = decode(cursor)?;
    let (time, id) = key.split_first_chunk::<8>().ok_or(StoreError::Cursor)?;
    let time = u64::from_be_bytes(*time);
    if time > i64::MAX.cast_unsigned() {
        return Err(StoreError::Cursor);
    }
    Ok((time, id.try_into().map_err(|_| StoreError::Cursor)?))
}
