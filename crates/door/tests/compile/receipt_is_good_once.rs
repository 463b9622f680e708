//! One attempt, one send.

async fn send(door: &doorman_door::Door, receipt: doorman_door::Receipt) {
    door.forward(receipt).await;
    door.forward(receipt).await;
}

fn main() {}
