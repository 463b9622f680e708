//! An unjudged or unlogged send does not compile.

#[test]
fn nothing_is_sent_without_a_permit_and_a_receipt() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile/*.rs");
}
