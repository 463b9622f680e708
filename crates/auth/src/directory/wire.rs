//! LDAP messages on a byte stream (RFC 4511 §5). `ldap3_proto` knows the messages; what is added here is that a
//! peer's length is judged before a byte of it is kept, and that the password policy control is read.

use std::io;

use bytes::{Bytes, BytesMut};
use ldap3_lber::common::TagClass;
use ldap3_lber::parse::Parser;
use ldap3_lber::structure::{PL, StructureTag};
use ldap3_lber::write;
use ldap3_proto::proto::LdapMsg;
use tokio_util::codec::{Decoder, Encoder};

/// Longest message accepted. Entries are asked for few attributes, so even a user with thousands of groups fits.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// Deepest nesting accepted; answers need six levels.
const MAX_DEPTH: usize = 24;
/// Request and response control of draft-behera-ldap-password-policy-10.
const PASSWORD_POLICY: &[u8] = b"1.3.6.1.4.1.42.2.27.8.5.1";

/// A message from the server.
pub(super) struct Answer {
    pub(super) message: LdapMsg,
    /// The password policy control's error code, which `ldap3_proto` does not keep.
    pub(super) policy_error: Option<u8>,
}

/// Splits a stream into messages.
pub(super) struct Codec;

impl Decoder for Codec {
    type Item = Answer;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Answer>> {
        let Some(length) = message_length(buffer)? else { return Ok(None) };
        if buffer.len() < length {
            buffer.reserve(length - buffer.len());
            return Ok(None);
        }
        let message = buffer.split_to(length).freeze();
        decode_message(&message).map(Some)
    }
}

impl Encoder<LdapMsg> for Codec {
    type Error = io::Error;

    fn encode(&mut self, message: LdapMsg, buffer: &mut BytesMut) -> io::Result<()> {
        write::encode_into(buffer, message.into())
    }
}

fn decode_message(message: &Bytes) -> io::Result<Answer> {
    let (_, tag) = Parser::new(MAX_DEPTH).parse(message).map_err(|_| malformed("not BER"))?;
    let policy_error = policy_error(&tag);
    let message = LdapMsg::try_from(tag).map_err(|_| malformed("not an LDAP message"))?;
    Ok(Answer { message, policy_error })
}

/// The length of the whole first message in `buffer`, as far as its header has arrived.
fn message_length(buffer: &[u8]) -> io::Result<Option<usize>> {
    let (Some(tag), first) = (buffer.first(), buffer.get(1)) else { return Ok(None) };
    if *tag != 0x30 {
        return Err(malformed("not a sequence"));
    }
    let Some(&first) = first else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some(2 + usize::from(first)));
    }
    let octets = usize::from(first & 0x7f);
    if !(1..=4).contains(&octets) {
        return Err(malformed("length of a length out of bounds"));
    }
    let Some(octets) = buffer.get(2..2 + octets) else { return Ok(None) };
    let length = octets.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
    if length > MAX_MESSAGE {
        return Err(malformed("message too long"));
    }
    Ok(Some(2 + octets.len() + length))
}

/// `error [1]` of the control's `SEQUENCE { warning [0], error [1] }`.
fn policy_error(message: &StructureTag) -> Option<u8> {
    let controls = children(message)?.iter().find(|tag| tag.class == TagClass::Context && tag.id == 0)?;
    let value = children(controls)?.iter().find_map(|control| match children(control)? {
        [oid, .., value] if octets(oid)? == PASSWORD_POLICY => octets(value),
        _ => None,
    })?;
    let (_, value) = Parser::new(MAX_DEPTH).parse(value).ok()?;
    let error = children(&value)?.iter().find(|tag| tag.class == TagClass::Context && tag.id == 1)?;
    octets(error)?.last().copied()
}

fn children(tag: &StructureTag) -> Option<&[StructureTag]> {
    match &tag.payload {
        PL::C(children) => Some(children),
        PL::P(_) => None,
    }
}

fn octets(tag: &StructureTag) -> Option<&[u8]> {
    match &tag.payload {
        PL::P(octets) => Some(octets),
        PL::C(_) => None,
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed answer: {what}"))
}

#[cfg(test)]
mod tests {
    use ldap3_proto::control::LdapControl;
    use ldap3_proto::proto::{
        LdapOp, LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchResultEntry,
        LdapSearchResultReference,
    };
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> io::Result<Option<Answer>> {
        Codec.decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn an_announced_two_gigabytes_is_refused_at_the_header() {
        assert!(decode(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn indefinite_and_oversized_length_fields_are_refused() {
        assert!(decode(&[0x30, 0x80]).is_err());
        assert!(decode(&[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn an_incomplete_message_waits_for_more() {
        assert!(decode(&[]).unwrap().is_none());
        assert!(decode(&[0x30]).unwrap().is_none());
        assert!(decode(&[0x30, 0x82, 0x01]).unwrap().is_none());
        assert!(decode(&[0x30, 0x0c, 0x02, 0x01]).unwrap().is_none());
    }

    #[test]
    fn nesting_without_end_is_an_error_and_not_a_stack_overflow() {
        let mut nested = vec![0x30, 0x00];
        while nested.len() < 200_000 {
            let length = u32::try_from(nested.len()).unwrap().to_be_bytes();
            nested.splice(0..0, [&[0x30, 0x84], &length[..]].concat());
        }
        assert!(decode(&nested).is_err());
    }

    #[test]
    fn the_password_policy_error_is_read() {
        // A BindResponse 49 with the control holding SEQUENCE { error [1] accountLocked (1) }.
        let oid = PASSWORD_POLICY;
        let value = [0x30, 0x03, 0x81, 0x01, 0x01];
        let mut control = vec![0x04, u8::try_from(oid.len()).unwrap()];
        control.extend(oid);
        control.extend([0x04, 5]);
        control.extend(value);
        let mut message = vec![0x02, 0x01, 0x07, 0x61, 0x07, 0x0a, 0x01, 49, 0x04, 0x00, 0x04, 0x00];
        message.extend([
            0xa0,
            u8::try_from(control.len() + 2).unwrap(),
            0x30,
            u8::try_from(control.len()).unwrap(),
        ]);
        message.extend(control);
        message.splice(0..0, [0x30, u8::try_from(message.len()).unwrap()]);
        let answer = decode(&message).unwrap().unwrap();
        assert_eq!(answer.policy_error, Some(1));
        assert_eq!(answer.message.msgid, 7);
    }

    /// One answer of each kind, to be damaged.
    fn answers() -> Vec<u8> {
        let result = || LdapResult {
            code: LdapResultCode::Success,
            matcheddn: "dc=x".to_owned(),
            message: "text".to_owned(),
            referral: Vec::new(),
        };
        let attributes =
            vec![LdapPartialAttribute { atype: "cn".to_owned(), vals: vec![b"x".to_vec(), vec![0xff]] }];
        let entry = LdapSearchResultEntry { dn: "cn=x".to_owned(), attributes };
        let reference = LdapSearchResultReference { uris: vec!["ldap://x".to_owned()] };
        let paging = vec![LdapControl::SimplePagedResults { size: 1, cookie: b"c".to_vec() }];
        let policy = LdapControl::Unknown {
            oid: String::from_utf8_lossy(PASSWORD_POLICY).into_owned(),
            criticality: false,
            value: Some(vec![0x30, 3, 0x81, 1, 1]),
        };
        let mut buffer = BytesMut::new();
        for message in [
            LdapMsg::new(1, LdapOp::SearchResultEntry(entry)),
            LdapMsg::new(1, LdapOp::SearchResultReference(reference)),
            LdapMsg::new_with_ctrls(1, LdapOp::SearchResultDone(result()), paging),
            LdapMsg::new_with_ctrls(2, LdapOp::SearchResultDone(result()), vec![policy]),
        ] {
            Codec.encode(message, &mut buffer).unwrap();
        }
        buffer.to_vec()
    }

    fn drain(bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        while let Ok(Some(_)) = Codec.decode(&mut buffer) {}
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_a_server_sends_is_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            drain(&bytes);
            let length = u8::try_from(bytes.len()).unwrap();
            drain(&[&[0x30, length], bytes.as_slice()].concat());
        }

        #[test]
        fn a_damaged_answer_is_an_answer_or_an_error(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = answers();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            drain(&bytes);
        }
    }
}
