//! The client of the load: requests that are made beforehand, over one connection each, and no more reading of answers
//! than to find their end, so that it takes little from what is measured.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A POST of a form, by nobody.
pub(crate) fn form(path: &str, fields: &str) -> Vec<u8> {
    let (kind, length) = ("application/x-www-form-urlencoded", fields.len());
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{fields}"
    )
    .into_bytes()
}

/// A POST, or a GET where there is no body.
pub(crate) fn request(path: &str, token: &str, body: Option<&str>) -> Vec<u8> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n");
    if let Some(body) = body {
        text += "content-type: application/json\r\ncontent-length: ";
        text += &body.len().to_string();
        text += "\r\n";
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into_bytes()
}

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer of the server.
pub(crate) struct Answer<'b>(&'b [u8]);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(8 * 1024) }
    }

    pub(crate) async fn call(&mut self, request: &[u8]) -> Answer<'_> {
        self.send(request).await;
        self.answer().await
    }

    pub(crate) async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
    }

    /// Reads one answer to its last byte.
    pub(crate) async fn answer(&mut self) -> Answer<'_> {
        self.buffer.clear();
        let mut end = None;
        while end.is_none_or(|end| self.buffer.len() < end) {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the server closed a connection");
            end = end.or_else(|| length(&self.buffer));
        }
        Answer(&self.buffer)
    }
}

/// The length of an answer with its head, once that is there.
fn length(answer: &[u8]) -> Option<usize> {
    const FIELD: &[u8] = b"\r\ncontent-length: ";
    let head = position(answer, b"\r\n\r\n")?;
    let field = position(&answer[..head], FIELD).expect("an answer says its length") + FIELD.len();
    let digits = answer[field..].iter().take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    Some(head + 4 + body)
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

impl Answer<'_> {
    /// Checks the status, three digits.
    pub(crate) fn expect(&self, status: &str) -> &Self {
        assert_eq!(self.status(), status, "{}", String::from_utf8_lossy(self.0));
        self
    }

    /// Three digits.
    pub(crate) fn status(&self) -> &str {
        std::str::from_utf8(&self.0[9..12]).unwrap()
    }

    pub(crate) fn contains(&self, wanted: &str) -> bool {
        position(self.0, wanted.as_bytes()).is_some()
    }

    /// What follows `mark`, so many bytes of it.
    pub(crate) fn after(&self, mark: &str, length: usize) -> &str {
        let at = position(self.0, mark.as_bytes()).unwrap() + mark.len();
        std::str::from_utf8(&self.0[at..at + length]).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nlocation: /a/7\r\n\r\n{\"a\":\"bcde\"}";
        assert_eq!(length(answer), Some(answer.len()));
        assert_eq!(length(&answer[..40]), None);
        let answer = Answer(answer);
        assert!(answer.expect("200").contains("bcde") && !answer.contains("bcdf"));
        assert_eq!(answer.after("location: /a/", 1), "7");
    }
}
