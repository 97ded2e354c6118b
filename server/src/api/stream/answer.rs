//! The answer that carries a stream.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
};
use tokio::sync::mpsc;

use super::StreamEvent;
use crate::api::schema;

const CONTENT_TYPE: &str = "text/event-stream";
/// Asks a reverse proxy to hand on what it gets at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// 200 with events, as long as they come.
#[derive(Debug)]
pub struct EventStream(pub mpsc::Receiver<Bytes>);

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let texts = stream::unfold(self.0, |mut rx| async move {
            let text = rx.recv().await?;
            Some((Ok::<_, std::io::Error>(text), rx))
        });
        let mut response = Response::builder().content_type(CONTENT_TYPE).body(Body::from_bytes_stream(texts));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        response
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "Server-sent events: `id` is the event's id, `event` its type, and `data` one line of JSON, which \
                          the schema describes. Comments come in between, to keep the connection open.",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: schema::reference::<StreamEvent>() }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        schema::register_answer::<StreamEvent>(registry);
    }
}
