//! The person who is asked: one open socket, which reads what comes and says nothing that it need not.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// A pong without content, masked with zeros. The hub closes a socket that shows no life for 75 s.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
const PONG_EVERY: Duration = Duration::from_secs(20);

/// Closes the socket when dropped.
pub(crate) struct Addressee(JoinHandle<()>);

impl Addressee {
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let handshake = format!(
            "GET /ws HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(handshake.as_bytes()).await.unwrap();
        let mut read = vec![0; 64 * 1024];
        let mut length = 0;
        // The first message says that the hub counts the person as connected.
        while !read[..length].windows(11).any(|window| window == b"established") {
            let more = socket.read(&mut read[length..]).await.unwrap();
            assert!(more > 0, "the hub takes the socket: {}", String::from_utf8_lossy(&read[..length]));
            length += more;
        }
        Self(tokio::spawn(async move {
            let mut pong_at = Instant::now() + PONG_EVERY;
            loop {
                match timeout_at(pong_at, socket.read(&mut read)).await {
                    Ok(Ok(1..)) => {}
                    Ok(_) => return,
                    Err(_) => {
                        if socket.write_all(&PONG).await.is_err() {
                            return;
                        }
                        pong_at = Instant::now() + PONG_EVERY;
                    }
                }
            }
        }))
    }
}

impl Drop for Addressee {
    fn drop(&mut self) {
        self.0.abort();
    }
}
