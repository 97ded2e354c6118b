//! A yardstick: the least that the program's HTTP library can do for a POST.

use std::{net::SocketAddr, time::Duration};

use poem::{Endpoint, EndpointExt, Request, Route, Server, endpoint, listener::TcpListener, web::Json};
use serde_json::json;
use tokio::process::Child;

use crate::{
    client::{self, Connection},
    hub,
    slice::{self, Slice},
};

pub(crate) const COMMAND: &str = "hello";

/// The server, for a process of its own.
pub(crate) async fn serve() {
    let address = std::env::var("HEARBACK_BIND").unwrap();
    Server::new(TcpListener::bind(address)).run(Route::new().at("/hello", hello())).await.unwrap();
}

fn hello() -> impl Endpoint {
    let hello = endpoint::make(async |mut request: Request| {
        request.take_body().into_bytes().await?;
        Ok::<_, poem::Error>(Json(json!({"id": "01a1fd71-fb60-7b2c-9a51-3d0f6f0c2b11", "status": "pending"})))
    });
    poem::post(hello).boxed()
}

pub(crate) struct Hello {
    child: Child,
    address: SocketAddr,
}

impl Hello {
    pub(crate) async fn start() -> Self {
        let (child, address) = hub::start(COMMAND, |_| {});
        hub::started(address).await;
        Self { child, address }
    }

    /// Calls with the body of a create.
    pub(crate) async fn calls(&self, concurrency: usize, lasts: Duration) -> Slice {
        let call = client::request("/hello", "none", Some(&hub::question()));
        let worker = async |until| {
            let mut connection = Connection::open(self.address).await;
            slice::repeat(until, async || {
                connection.call(&call).await.expect("200");
            })
            .await
        };
        slice::run(self.child.id().unwrap(), concurrency, lasts, worker).await
    }
}
