//! What a directory means by its answer to a user's bind. Directories say why in three places: the result code, the
//! password policy control, and, Active Directory, a number in the message.

use ldap3_proto::proto::LdapResultCode;

use super::RefusedReason::{
    AccountExpired, Disabled, InvalidName, Locked, MustChange, NotAllowed, PasswordExpired, Referral,
    UnknownUser, WrongPassword,
};
use super::connection::{BindAnswer, Fault, describe};

/// `Ok` if the password is right and the account may be used.
pub(super) fn judge(answer: &BindAnswer) -> Result<(), Fault> {
    let BindAnswer { result, policy_error } = answer;
    let refused = match (&result.code, policy_error) {
        // A directory can accept the password and still mean no: error 2 comes with success.
        (LdapResultCode::Success | LdapResultCode::InvalidCredentials, Some(0)) => PasswordExpired,
        (LdapResultCode::Success | LdapResultCode::InvalidCredentials, Some(1)) => Locked,
        (LdapResultCode::Success | LdapResultCode::InvalidCredentials, Some(2)) => MustChange,
        (LdapResultCode::Success, None) => return Ok(()),
        (LdapResultCode::Success, Some(_)) => WrongPassword,
        (LdapResultCode::InvalidCredentials, _) => match windows_code(&result.message) {
            Some("525") => UnknownUser,
            Some("530" | "531") => NotAllowed,
            Some("532") => PasswordExpired,
            Some("533") => Disabled,
            Some("701") => AccountExpired,
            Some("773") => MustChange,
            Some("775") => Locked,
            _ => WrongPassword,
        },
        (LdapResultCode::NoSuchObject, _) => UnknownUser,
        (LdapResultCode::InappropriateAuthentication, _) => WrongPassword,
        (LdapResultCode::InvalidDNSyntax, _) => InvalidName,
        (LdapResultCode::Referral, _) => Referral,
        // How 389 Directory Server says "inactivated" and "too many tries".
        (LdapResultCode::UnwillingToPerform, _) => Disabled,
        (LdapResultCode::ConstraintViolation, _) => Locked,
        _ => return Err(Fault::Unusable(format!("answered a bind with {}", describe(result)))),
    };
    Err(Fault::Refused(refused))
}

/// The code in `80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839`.
fn windows_code(message: &str) -> Option<&str> {
    let (_, code) = message.split_once(", data ")?;
    code.split([',', ' ', '\0']).next()
}

#[cfg(test)]
mod tests {
    use ldap3_proto::proto::LdapResult;

    use super::super::RefusedReason;
    use super::*;

    fn judged(code: LdapResultCode, message: &str, policy_error: Option<u8>) -> Result<(), Fault> {
        let result =
            LdapResult { code, matcheddn: String::new(), message: message.to_owned(), referral: Vec::new() };
        judge(&BindAnswer { result, policy_error })
    }

    #[test]
    fn active_directory_tells_the_reason_in_its_message() {
        for (data, reason) in [
            ("525", RefusedReason::UnknownUser),
            ("52e", RefusedReason::WrongPassword),
            ("530", RefusedReason::NotAllowed),
            ("531", RefusedReason::NotAllowed),
            ("532", RefusedReason::PasswordExpired),
            ("533", RefusedReason::Disabled),
            ("701", RefusedReason::AccountExpired),
            ("773", RefusedReason::MustChange),
            ("775", RefusedReason::Locked),
            ("999", RefusedReason::WrongPassword),
        ] {
            let message = format!(
                "80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data {data}, v1"
            );
            let judged = judged(LdapResultCode::InvalidCredentials, &message, None);
            assert_eq!(judged, Err(Fault::Refused(reason)), "{data}");
        }
    }

    #[test]
    fn the_policy_control_outweighs_success() {
        assert_eq!(judged(LdapResultCode::Success, "", None), Ok(()));
        for (error, reason) in
            [(0, RefusedReason::PasswordExpired), (1, RefusedReason::Locked), (2, RefusedReason::MustChange)]
        {
            assert_eq!(judged(LdapResultCode::Success, "", Some(error)), Err(Fault::Refused(reason)));
            assert_eq!(
                judged(LdapResultCode::InvalidCredentials, "", Some(error)),
                Err(Fault::Refused(reason))
            );
        }
        assert!(judged(LdapResultCode::Success, "", Some(7)).is_err());
    }

    #[test]
    fn an_answer_that_is_neither_yes_nor_no_is_not_usable() {
        for code in
            [LdapResultCode::ConfidentialityRequired, LdapResultCode::Other, LdapResultCode::ProtocolError]
        {
            assert!(matches!(judged(code, "", None), Err(Fault::Unusable(_))));
        }
    }
}
