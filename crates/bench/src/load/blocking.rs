//! One exchange over a blocking connection: for paced load, probes and bodies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use super::EXCHANGE_TIMEOUT;
use super::exchange::{Answer, Reply};
use crate::wire;

/// One request and its answer over a blocking connection, which is opened when there is none.
pub fn exchange(
    connection: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &[u8],
    buffer: &mut [u8],
) -> Result<Answer> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(connect(address)?),
    };
    stream.write_all(request).context("sending")?;
    receive(stream, buffer)
}

pub fn connect(address: SocketAddr) -> Result<TcpStream> {
    ensure!(address.ip().is_loopback(), "load goes to loopback only");
    let stream = TcpStream::connect(address).context("connecting")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(EXCHANGE_TIMEOUT))?;
    stream.set_write_timeout(Some(EXCHANGE_TIMEOUT))?;
    Ok(stream)
}

pub fn receive(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Answer> {
    let mut reply = Reply::default();
    loop {
        let count = stream.read(buffer).context("receiving")?;
        ensure!(count > 0, "the connection ended before the answer");
        if let Some(answer) = reply.feed(buffer.get(..count).unwrap_or_default())? {
            return Ok(answer);
        }
    }
}

/// Posts a JSON document and reads the JSON document that answers it.
pub fn post_json(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    document: &serde_json::Value,
) -> Result<serde_json::Value> {
    let body = document.to_string();
    let mut stream = connect(address)?;
    let length = body.len();
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    write!(stream, "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = wire::parse_head(&answer)?.context("the answer has no head")?;
    let body = answer.get(head.length..).unwrap_or_default();
    let status = wire::parse_status(&answer)?;
    ensure!(matches!(status, 200 | 201), "status {status}: {}", String::from_utf8_lossy(body));
    ensure!(matches!(head.body, wire::Framing::Fixed(_)), "a chunked answer");
    Ok(serde_json::from_slice(body)?)
}
