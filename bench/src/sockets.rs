//! What an idle socket costs the hub in memory.

use std::fmt;

use futures_util::StreamExt;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use crate::hub::Hub;

const SOCKETS: u64 = 1000;

pub(crate) struct Figures {
    socket: u64,
    yardstick: u64,
}

pub(crate) async fn measure(hub: &Hub) -> Figures {
    // The yardstick first: connections that have made one call and stay open.
    let before = hub.resident();
    let address = hub.url.trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..SOCKETS {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        connection.write_all(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
        connection.readable().await.unwrap();
        idle.push(connection);
    }
    let yardstick = hub.resident().saturating_sub(before) / SOCKETS;

    let before = hub.resident();
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        let bearer = format!("Bearer {}", hub.person).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (mut socket, _) = connect_async(request).await.unwrap();
        // Once the first message is here, the feed is running and the socket idle.
        socket.next().await.unwrap().unwrap();
        sockets.push(socket);
    }
    Figures { socket: hub.resident().saturating_sub(before) / SOCKETS, yardstick }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket, yardstick } = self;
        writeln!(f, "  {socket} bytes of resident memory each, of {SOCKETS}")?;
        writeln!(f, "  yardstick, an idle HTTP connection in the same run: {yardstick} bytes")?;
        #[expect(clippy::cast_precision_loss, reason = "a ratio to one digit")]
        let ratio = *socket as f64 / (*yardstick).max(1) as f64;
        writeln!(f, "  ratio: {ratio:.1}")
    }
}
