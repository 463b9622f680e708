//! One judgement, one attempt.

fn twice(permit: doorman_door::Permit) {
    let origin = doorman_door::Origin::default();
    let _ = doorman_door::Intent::new(permit, http::HeaderMap::new(), bytes::Bytes::new(), origin);
    let _ = doorman_door::Intent::new(permit, http::HeaderMap::new(), bytes::Bytes::new(), origin);
}

fn main() {}
