//! There is no second copy of a proof.

fn copy(receipt: &doorman_door::Receipt) -> doorman_door::Receipt {
    Clone::clone(receipt)
}

fn main() {}
