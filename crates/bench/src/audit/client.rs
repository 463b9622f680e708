//! A person who reads the log over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::load::blocking::{connect, exchange, post_json};
use crate::wire::{self, BodyReader, Framing};

/// Somebody with a session.
pub struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    /// Logs a person of the demo in.
    pub fn login(address: SocketAddr, name: &str) -> Result<Self> {
        let login = json!({"username": name, "password": format!("{name}-demo")});
        let session = post_json(address, "/auth/v1/login", &[], &login).context("logging in")?;
        let token = session.get("token").and_then(Value::as_str).context("the login gave no token")?;
        Ok(Self { address, token: token.to_owned() })
    }

    fn request(&self, path: &str, connection: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: {connection}\r\n\r\n",
            self.address, self.token
        )
    }

    /// Asks and throws the answer away; its status.
    pub fn ask(&self, connection: &mut Option<TcpStream>, path: &str) -> Result<u16> {
        let mut buffer = vec![0; 128 * 1024];
        let request = self.request(path, "keep-alive");
        let answer = exchange(connection, self.address, request.as_bytes(), &mut buffer)?;
        if !answer.keep_alive {
            *connection = None;
        }
        Ok(answer.status)
    }

    /// The JSON document at `path`.
    pub fn get(&self, path: &str) -> Result<Value> {
        let mut stream = connect(self.address)?;
        stream.write_all(self.request(path, "close").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = wire::parse_head(&answer)?.context("the answer has no head")?;
        let body = answer.get(head.length..).unwrap_or_default();
        let status = wire::parse_status(&answer)?;
        ensure!(status == 200, "{path} answers {status}: {}", String::from_utf8_lossy(body));
        ensure!(matches!(head.body, Framing::Fixed(_)), "a chunked answer");
        Ok(serde_json::from_slice(body)?)
    }

    /// Reads a streamed answer to its proper end and throws it away; its bytes. `tick` is called now and then.
    pub fn drain(&self, path: &str, mut tick: impl FnMut() -> Result<()>) -> Result<u64> {
        const TICK_BYTES: u64 = 4 << 20;
        let mut stream = connect(self.address)?;
        stream.write_all(self.request(path, "close").as_bytes())?;
        let mut buffer = vec![0; 256 * 1024];
        let mut pending = Vec::new();
        let head = loop {
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "the connection ended before the answer");
            pending.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if let Some(head) = wire::parse_head(&pending)? {
                break head;
            }
        };
        let status = wire::parse_status(&pending)?;
        ensure!(status == 200, "{path} answers {status}");
        let mut body = BodyReader::new(head.body);
        let first = pending.get(head.length..).unwrap_or_default();
        body.feed(first)?;
        let mut ticked = 0;
        while !body.is_done() {
            let count = stream.read(&mut buffer).context("receiving")?;
            ensure!(count > 0, "the answer broke off after {} bytes", body.received);
            let bytes = buffer.get(..count).unwrap_or_default();
            body.feed(bytes)?;
            if body.received - ticked > TICK_BYTES {
                ticked = body.received;
                tick()?;
            }
        }
        Ok(body.received)
    }
}
