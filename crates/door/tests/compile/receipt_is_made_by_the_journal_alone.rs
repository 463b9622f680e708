//! A receipt cannot be put together by hand.

fn main() {
    let _ = doorman_door::Receipt {};
}
