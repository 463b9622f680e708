//! The stable error codes of the public contract, with their HTTP status and title.

macro_rules! codes {
    ($($variant:ident $text:literal $status:literal $title:literal;)*) => {
        /// A stable error code: what programs match on (`code` in problem+json, `Doorman-Error`).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as programs see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The HTTP status it is answered with unless the caller states another.
            pub fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// A short, constant summary for people.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    Unauthenticated "unauthenticated" 401 "No valid credential was given";
    BadCredentials "bad_credentials" 401 "User name or password is wrong";
    TokenExpired "token_expired" 401 "The token has expired";
    TokenRevoked "token_revoked" 401 "The token was revoked";
    DelegationRefused "delegation_refused" 403 "Acting for this user was refused";
    Forbidden "forbidden" 403 "Policy does not permit this";
    ReasonRequired "reason_required" 403 "Policy permits this only with a reason";
    ApprovalRequired "approval_required" 403 "Policy permits this only with an approval";
    NotFound "not_found" 404 "There is nothing here";
    UnknownRegion "unknown_region" 404 "There is no such region";
    UnknownService "unknown_service" 404 "There is no such service in the region";
    UnknownInstance "unknown_instance" 404 "There is no such instance of the service";
    AmbiguousPath "ambiguous_path" 400 "The path can be read in more than one way";
    Invalid "invalid" 400 "The request is not valid";
    Conflict "conflict" 409 "The request conflicts with the present state";
    ConfirmationRequired "confirmation_required" 409 "This needs an explicit confirmation";
    TooLarge "too_large" 413 "The body is too large";
    Throttled "throttled" 429 "Too many requests";
    AuditUnavailable "audit_unavailable" 503 "The audit log cannot be written, so nothing was sent";
    DirectoryUnavailable "directory_unavailable" 503 "The directory cannot be asked";
    RegionUnavailable "region_unavailable" 502 "The region cannot be reached";
    ServiceUnreachable "service_unreachable" 502 "The service cannot be reached";
    Timeout "timeout" 504 "The service did not answer in time";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
