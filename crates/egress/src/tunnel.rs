//! Connections that switched protocols: bytes pass both ways until both sides have ended, or one has for a while.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// When one side has ended, the other gets this long to say its last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Carries bytes between two connections.
///
/// # Errors
/// When one of them breaks.
pub async fn carry(one: impl AsyncRead + AsyncWrite, other: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let (mut from_one, mut to_one) = tokio::io::split(one);
    let (mut from_other, mut to_other) = tokio::io::split(other);
    let forth = async {
        tokio::io::copy(&mut from_one, &mut to_other).await?;
        to_other.shutdown().await
    };
    let back = async {
        tokio::io::copy(&mut from_other, &mut to_one).await?;
        to_one.shutdown().await
    };
    let (mut forth, mut back) = (std::pin::pin!(forth), std::pin::pin!(back));
    tokio::select! {
        ended = forth.as_mut() => {
            ended?;
            // Silence to the end of the grace is an end too.
            tokio::time::timeout(LAST_WORDS, back).await.unwrap_or(Ok(()))
        }
        ended = back.as_mut() => {
            ended?;
            tokio::time::timeout(LAST_WORDS, forth).await.unwrap_or(Ok(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn a_side_that_never_closes_does_not_hold_the_other() {
        let (one, mut client) = tokio::io::duplex(64);
        let (other, mut service) = tokio::io::duplex(64);
        let carried = tokio::spawn(carry(one, other));
        client.write_all(b"ask").await.unwrap();
        let mut buffer = [0; 3];
        service.read_exact(&mut buffer).await.unwrap();
        service.write_all(b"answer").await.unwrap();
        service.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!((&buffer, answer.as_slice()), (b"ask", b"answer".as_slice()));
        assert!(carried.await.unwrap().is_ok());
    }
}
