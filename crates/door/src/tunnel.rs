//! Connections that switched protocols: bytes pass both ways until one side ends or the session does.

use crate::outcome::OutcomeTap;
use crate::streams::StreamTicket;
use http::{HeaderMap, HeaderValue, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// What a client needs to see of a switch.
pub(crate) fn copy_upgrade_headers(from: &HeaderMap, to: &mut HeaderMap) {
    to.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = from.get(header::UPGRADE) {
        to.insert(header::UPGRADE, protocol.clone());
    }
}

/// Carries bytes between a client and a service.
pub(crate) async fn run(client: OnUpgrade, service: OnUpgrade, mut tap: OutcomeTap, ticket: StreamTicket) {
    let (client, service) = match tokio::try_join!(client, service) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "a connection did not switch protocols");
            return tap.broken();
        }
    };
    tokio::select! {
        ended = doorman_egress::carry(TokioIo::new(client), TokioIo::new(service)) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a switched connection broke");
            }
            tap.complete();
        }
        () = ticket.cut() => tap.cut(),
    }
}
