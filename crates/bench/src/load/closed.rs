//! Closed loop: N connections, each of which sends its next request when the last one is answered.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::exchange::{Answer, Reply};
use super::{EXCHANGE_TIMEOUT, MAX_CONNECTIONS, MAX_REQUESTS, Sample, Target, Window};

/// Pause after an error, so that a dead server is not hammered.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// Sends `GET path` over `connections` keep-alive connections from `threads` threads until the window ends.
pub fn run(
    target: &Target,
    path: &str,
    connections: usize,
    threads: usize,
    window: Window,
) -> Result<Sample> {
    ensure!((1..=MAX_CONNECTIONS).contains(&connections), "1 to {MAX_CONNECTIONS} connections");
    let request = target.request("GET", path, None);
    let threads = threads.clamp(1, connections);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let share = connections / threads + usize::from(index < connections % threads);
                let request = request.clone();
                scope.spawn(move || run_thread(target, request, share, connections, window))
            })
            .collect();
        let mut total = Sample::default();
        for worker in workers {
            total.absorb(worker.join().map_err(|_| anyhow::anyhow!("a load thread died"))??);
        }
        Ok(total)
    })
}

fn run_thread(
    target: &Target,
    request: Vec<u8>,
    share: usize,
    connections: usize,
    window: Window,
) -> Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = MAX_REQUESTS / connections as u64;
    let address = target.address();
    runtime.block_on(async move {
        let mut tasks = JoinSet::new();
        for _ in 0..share {
            let request = request.clone();
            tasks.spawn(async move {
                let mut sample = Sample::default();
                let mut sent = 0;
                while Instant::now() < window.until && sent < limit {
                    let outcome =
                        drive_connection(address, &request, window, limit, &mut sent, &mut sample).await;
                    if let Err(error) = outcome {
                        sample.record_error(&error);
                        sleep(AFTER_ERROR).await;
                    }
                }
                sample
            });
        }
        let mut total = Sample::default();
        while let Some(sample) = tasks.join_next().await {
            total.absorb(sample?);
        }
        Ok(total)
    })
}

/// One connection until the window ends, the server closes it, or something fails.
async fn drive_connection(
    address: std::net::SocketAddr,
    request: &[u8],
    window: Window,
    limit: u64,
    sent: &mut u64,
    sample: &mut Sample,
) -> Result<()> {
    let mut stream = TcpStream::connect(address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut started = Instant::now();
    while started < window.until && *sent < limit {
        *sent += 1;
        let answer = timeout(EXCHANGE_TIMEOUT, exchange(&mut stream, request, &mut buffer))
            .await
            .context("no answer in time")??;
        let now = Instant::now();
        ensure!(answer.status == 200, "status {}", answer.status);
        if window.counts(now) {
            sample.latencies.push(u64::try_from((now - started).as_nanos())?);
        }
        if !answer.keep_alive {
            return Ok(());
        }
        started = now;
    }
    Ok(())
}

async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Result<Answer> {
    stream.write_all(request).await.context("sending")?;
    let mut reply = Reply::default();
    loop {
        let count = stream.read(buffer).await.context("receiving")?;
        ensure!(count > 0, "the connection ended before the answer");
        if let Some(answer) = reply.feed(buffer.get(..count).unwrap_or_default())? {
            return Ok(answer);
        }
    }
}
