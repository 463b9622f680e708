//! The live service behind every chain: as little work per request as a server can do, and the same for all.
//!
//! `GET /bytes/{n}` answers `n` zero bytes (`n` up to 4 GiB), any other `GET` 1 KiB; bodies of other methods are read to
//! their end and counted in the answer.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{self, BodyReader};

/// Size of the standard answer's body in bytes.
pub const BODY_SIZE: u64 = 1024;

const READ_BUFFER: usize = 256 * 1024;
const MAX_BODY: u64 = 4 << 30;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Serves until the process ends; prints `listening ADDR` once it accepts. Loopback only.
pub fn serve(listen: SocketAddr, threads: usize) -> Result<()> {
    ensure!(listen.ip().is_loopback(), "the test upstream listens on loopback only");
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    listener.set_nonblocking(true)?;
    println!("listening {}", listener.local_addr()?);
    let small = standard_answer();
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (listener, small) = (listener.try_clone()?, Arc::clone(&small));
            scope.spawn(move || {
                let served = accept_loop(listener, small);
                if let Err(error) = served {
                    eprintln!("upstream: {error:#}");
                }
            });
        }
        Ok(())
    })
}

fn standard_answer() -> Arc<[u8]> {
    answer_head(BODY_SIZE).into_bytes().into_iter().chain([b'x'; BODY_SIZE as usize]).collect()
}

fn accept_loop(listener: TcpListener, small: Arc<[u8]>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let small = Arc::clone(&small);
            // A broken connection concerns its peer alone: the load generator counts it as an error.
            tokio::spawn(async move { serve_connection(stream, &small).await });
        }
    })
}

async fn serve_connection(mut stream: TcpStream, small: &[u8]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let head = loop {
            if let Some(head) = wire::parse_head(&buffer)? {
                break head;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let (method, target) = wire::parse_request_line(&buffer)?;
        let is_get = method == b"GET";
        let size = requested_size(target)?;
        buffer.drain(..head.length);
        let received = read_body(&mut stream, &mut buffer, BodyReader::new(head.body)).await?;
        match size {
            Some(size) if is_get => write_zeros(&mut stream, size).await?,
            _ if is_get => stream.write_all(small).await?,
            _ => {
                let body = format!("{{\"received\":{received}}}");
                stream.write_all(format!("{}{body}", answer_head(body.len() as u64)).as_bytes()).await?;
            }
        }
        if !head.keep_alive {
            return Ok(());
        }
    }
}

/// The `n` of a path that ends in `/bytes/{n}`.
fn requested_size(target: &[u8]) -> Result<Option<u64>> {
    let Some(digits) = target.strip_prefix(b"/bytes/") else { return Ok(None) };
    let size = str::from_utf8(digits)?.parse()?;
    ensure!(size <= MAX_BODY, "bodies end at {MAX_BODY} bytes");
    Ok(Some(size))
}

fn answer_head(length: u64) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n")
}

async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, mut body: BodyReader) -> Result<u64> {
    while !body.is_done() {
        let taken = body.feed(buffer)?;
        buffer.drain(..taken);
        if body.is_done() {
            break;
        }
        buffer.reserve(READ_BUFFER);
        ensure!(stream.read_buf(buffer).await? > 0, "the body ended early");
    }
    Ok(body.received)
}

async fn write_zeros(stream: &mut TcpStream, size: u64) -> Result<()> {
    stream.write_all(answer_head(size).as_bytes()).await?;
    let mut left = size;
    while left > 0 {
        let step = left.min(ZEROS.len() as u64);
        stream.write_all(ZEROS.get(..usize::try_from(step)?).unwrap_or(&ZEROS)).await?;
        left -= step;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;
    use crate::load::blocking::{connect, receive};
    use crate::load::{Target, Window, closed, paced};

    /// An upstream that lives as long as the test process.
    fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || accept_loop(listener, standard_answer()));
        address
    }

    #[test]
    fn both_loops_count_good_answers_of_the_window() {
        let target = Target::new(start(), "", Vec::new()).unwrap();
        let window = Window::after(Duration::from_millis(50), Duration::from_millis(300)).unwrap();
        let sample = closed::run(&target, "/bench", 4, 2, window).unwrap();
        assert!(!sample.latencies.is_empty());
        assert_eq!((sample.errors, sample.first_error), (0, None));
        let window = Window::after(Duration::from_millis(50), Duration::from_millis(300)).unwrap();
        let sample = paced::run(&target, "/bench", 4, 100.0, window).unwrap();
        assert!((1..=35).contains(&sample.latencies.len()), "{} answers", sample.latencies.len());
        assert_eq!((sample.errors, sample.first_error), (0, None));
    }

    #[test]
    fn bodies_of_any_size_pass_both_ways() {
        let target = Target::new(start(), "", Vec::new()).unwrap();
        let mut stream = connect(target.address()).unwrap();
        let mut buffer = vec![0; 64 * 1024];
        stream.write_all(&target.request("GET", "/bytes/3000000", None)).unwrap();
        assert_eq!(receive(&mut stream, &mut buffer).unwrap().size, 3_000_000);
        stream.write_all(&target.request("PUT", "/x", Some(300_000))).unwrap();
        stream.write_all(&vec![b'y'; 300_000]).unwrap();
        assert_eq!(receive(&mut stream, &mut buffer).unwrap().size, "{\"received\":300000}".len() as u64);
        let chunked = b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        stream.write_all(chunked).unwrap();
        assert_eq!(receive(&mut stream, &mut buffer).unwrap().size, "{\"received\":5}".len() as u64);
    }
}
