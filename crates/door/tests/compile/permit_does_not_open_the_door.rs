//! What was judged but not written down cannot be sent.

async fn send(door: &doorman_door::Door, permit: doorman_door::Permit) {
    door.forward(permit).await;
}

fn main() {}
