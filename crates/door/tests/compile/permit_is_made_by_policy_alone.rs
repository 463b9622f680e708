//! A permit cannot be put together by hand.

fn main() {
    let _ = doorman_door::Permit {};
}
