//! Escaping for the place a value stands in.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 3986 §2.3 calls unreserved stays; everything else is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// In a segment of a path. A value is never more than a part of one segment, and never nothing.
pub(super) fn path(value: &str, out: &mut String) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("is empty, and stands in the path");
    }
    if value.contains(['/', '\\']) {
        return Err("has a slash, and stands in the path: it would begin another segment");
    }
    if value.contains(|c: char| c.is_ascii_control()) {
        return Err("has a control character, and stands in the path");
    }
    query(value, out)
}

/// In the value of a query parameter.
pub(super) fn query(value: &str, out: &mut String) -> Result<(), &'static str> {
    out.extend(utf8_percent_encode(value, RESERVED));
    Ok(())
}

/// In the value of a header (RFC 9110 §5.5): nothing can be escaped there, so what does not fit is refused.
pub(super) fn header(value: &str, out: &mut String) -> Result<(), &'static str> {
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err("has a line break or another control character, and stands in a header");
    }
    if !value.is_ascii() {
        return Err("has characters beyond ASCII, and stands in a header");
    }
    out.push_str(value);
    Ok(())
}

/// In a field of a form (`application/x-www-form-urlencoded`), where a space is a plus.
pub(super) fn form(value: &str, out: &mut String) -> Result<(), &'static str> {
    let mut pieces = value.split(' ');
    out.extend(pieces.next().map(|piece| utf8_percent_encode(piece, RESERVED)).into_iter().flatten());
    for piece in pieces {
        out.push('+');
        out.extend(utf8_percent_encode(piece, RESERVED));
    }
    Ok(())
}

/// Where there is no structure that a value could break.
pub(super) fn plain(value: &str, out: &mut String) -> Result<(), &'static str> {
    out.push_str(value);
    Ok(())
}
