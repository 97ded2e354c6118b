//! A receiver of callbacks, over bare sockets: what it answers is scripted, well-behaved or not.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use crate::program::BOUND;

/// What it does with a call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers with this status, and with these header lines.
    Status(u16, &'static str),
    /// Answers 302 to this place.
    Redirect(String),
    /// Takes it, and begins a body that never ends.
    Endless,
    /// Never answers.
    Hang,
    /// Cuts the connection when it has read the call.
    Cut,
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    /// The body's bytes, as they were signed.
    pub raw: String,
    pub body: Value,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A running receiver. What nobody scripted it takes with 204.
pub struct Receiver {
    address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
    script: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    pub async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tx, calls) = mpsc::unbounded_channel();
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let answers = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tx.clone(), answers.clone()));
            }
        });
        Self { address, calls, script }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?of=deployer", self.address)
    }

    /// What it does with the next calls.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().extend(answers);
    }

    /// The next call.
    pub async fn call(&mut self) -> Call {
        timeout(BOUND, self.calls.recv()).await.expect("a call comes").unwrap()
    }

    /// Whether there was a call that nobody looked at.
    pub fn was_called(&mut self) -> bool {
        self.calls.try_recv().is_ok()
    }
}

async fn serve(mut stream: TcpStream, tx: mpsc::UnboundedSender<Call>, script: Arc<Mutex<VecDeque<Answer>>>) {
    let Some(call) = read(&mut stream).await else { return };
    let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Status(204, ""));
    // A test that has seen enough drops its end.
    let _ = tx.send(call);
    let head = match answer {
        Answer::Cut => return,
        Answer::Hang => return std::future::pending().await,
        Answer::Status(status, headers) => format!("HTTP/1.1 {status} so\r\n{headers}Content-Length: 0\r\n\r\n"),
        Answer::Redirect(to) => format!("HTTP/1.1 302 so\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
        Answer::Endless => "HTTP/1.1 200 so\r\nContent-Length: 1000000\r\n\r\nand so on".into(),
    };
    // The hub hangs up once it has read what it needs.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.read(&mut [0]).await;
}

async fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut bytes = Vec::new();
    loop {
        if let Some(call) = parse(&bytes) {
            return Some(call);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The call, once all of it is there.
fn parse(bytes: &[u8]) -> Option<Call> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.append(name.parse::<reqwest::header::HeaderName>().ok()?, value.parse().ok()?);
    }
    let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
    let raw = body.get(..length)?.to_owned();
    let body = serde_json::from_str(&raw).unwrap_or_default();
    Some(Call { path, headers, raw, body })
}
