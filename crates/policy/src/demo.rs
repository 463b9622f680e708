//! The demo world's policies, which newcomers read first.

/// File names and texts, for writing into a policy directory.
pub fn demo_policies() -> &'static [(&'static str, &'static str)] {
    &[
        ("admins.cedar", include_str!("../demo/admins.cedar")),
        ("delegation.cedar", include_str!("../demo/delegation.cedar")),
        ("developers.cedar", include_str!("../demo/developers.cedar")),
        ("everyone.cedar", include_str!("../demo/everyone.cedar")),
        ("oncall.cedar", include_str!("../demo/oncall.cedar")),
        ("operators.cedar", include_str!("../demo/operators.cedar")),
        ("security.cedar", include_str!("../demo/security.cedar")),
    ]
}
