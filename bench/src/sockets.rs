//! What an idle socket costs the hub in memory.

use std::fmt;

use futures_util::StreamExt;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use crate::{database::Kind, hub::Hub, process};

pub(crate) struct Figures {
    count: u64,
    socket: u64,
    yardstick: u64,
}

pub(crate) async fn measure(count: u64) -> Figures {
    let hub = Hub::start(Kind::Sqlite.fresh().await).await;
    let resident = || process::resident(hub.pid());
    // The yardstick first: connections that have made one call and stay open.
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut connection = TcpStream::connect(hub.address).await.unwrap();
        connection.write_all(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
        connection.readable().await.unwrap();
        idle.push(connection);
    }
    let yardstick = resident().saturating_sub(before) / count;

    let before = resident();
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut request = format!("ws://{}/ws", hub.address).into_client_request().unwrap();
        let bearer = format!("Bearer {}", hub.person).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (mut socket, _) = connect_async(request).await.unwrap();
        // Once the first message is here, the feed is running and the socket idle.
        socket.next().await.unwrap().unwrap();
        sockets.push(socket);
    }
    Figures { count, socket: resident().saturating_sub(before) / count, yardstick }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, socket, yardstick } = self;
        writeln!(f, "memory of an idle socket")?;
        writeln!(f, "  {socket} bytes of resident memory each, of {count}")?;
        writeln!(f, "  yardstick, an idle HTTP connection in the same run: {yardstick} bytes")?;
        #[expect(clippy::cast_precision_loss, reason = "a ratio to one digit")]
        let ratio = *socket as f64 / (*yardstick).max(1) as f64;
        writeln!(f, "  ratio: {ratio:.1}")
    }
}
