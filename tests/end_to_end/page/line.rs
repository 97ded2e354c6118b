//! The line between a browser and the hub, which a test can cut.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A forwarder with an address of its own.
pub(super) struct Line {
    address: SocketAddr,
    leads: watch::Sender<Leads>,
}

/// Where a line leads, and what it carries.
#[derive(Clone, Copy)]
enum Leads {
    Nowhere,
    To(SocketAddr),
    /// No sockets: only calls that are answered.
    CallsTo(SocketAddr),
}

impl Line {
    /// A line that leads nowhere yet.
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (leads, led) = watch::channel(Leads::Nowhere);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, led.clone()));
            }
        });
        Self { address, leads }
    }

    /// Where the browser finds the hub, with a slash at its end.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Whole from now on, to the hub at this address.
    pub(super) fn lead_to(&self, hub: SocketAddr) {
        self.leads.send_replace(Leads::To(hub));
    }

    /// Drops every connection, and from now on carries no sockets.
    pub(super) fn lead_calls_to(&self, hub: SocketAddr) {
        self.leads.send_replace(Leads::CallsTo(hub));
    }

    /// Drops every connection, without a word, and every new one.
    pub(super) fn cut(&self) {
        self.leads.send_replace(Leads::Nowhere);
    }
}

async fn forward(mut near: TcpStream, mut led: watch::Receiver<Leads>) {
    let leads = *led.borrow_and_update();
    let hub = match leads {
        Leads::Nowhere => return,
        Leads::To(hub) => hub,
        Leads::CallsTo(hub) => {
            let mut start = [0; 7];
            match near.peek(&mut start).await {
                Ok(read) if !start[..read].starts_with(b"GET /ws") => hub,
                _ => return,
            }
        }
    };
    // The hub may be down: then the near end is dropped, too.
    let Ok(mut far) = TcpStream::connect(hub).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = led.changed() => {}
    }
}
