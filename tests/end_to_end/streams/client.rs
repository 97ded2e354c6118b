//! A client that reads a stream.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use crate::{server::Caller, socket::SOON};

/// The path of the stream of a request.
pub fn of_request(request: &Value) -> String {
    format!("/api/feedback/{}/events", request["id"].as_str().unwrap())
}

/// An open stream.
pub struct Stream {
    pub response: Response,
    rest: String,
}

/// One block of a stream.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub id: Option<u64>,
    pub event: String,
    /// The data; `null` without any.
    pub json: Value,
    /// The comment, if it is one.
    pub comment: Option<String>,
    retry: Option<u64>,
}

impl Block {
    fn read(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => block.id = Some(value.parse().unwrap()),
                "event" => block.event = value.into(),
                "data" if block.json.is_null() => block.json = serde_json::from_str(value).unwrap(),
                "retry" => block.retry = Some(value.parse().unwrap()),
                "" => block.comment = Some(value.into()),
                _ => panic!("a second line of data, or no field: {text:?}"),
            }
        }
        assert!(block.json.is_null() || block.json["type"] == *block.event, "{text}");
        block
    }

    pub fn id(&self) -> u64 {
        self.id.expect("an event has an id")
    }
}

impl Stream {
    pub async fn open(caller: &Caller, path: &str) -> Self {
        Self::begin(caller.call(Method::GET, path)).await
    }

    /// Goes on after an event.
    pub async fn resume(caller: &Caller, path: &str, last: u64) -> Self {
        Self::begin(caller.call(Method::GET, path).header("Last-Event-ID", last)).await
    }

    pub async fn begin(call: RequestBuilder) -> Self {
        let response = timeout(SOON, call.send()).await.expect("an answer in time").unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut stream = Self { response, rest: String::new() };
        assert_eq!(stream.block().await.unwrap().retry, Some(2000), "how long to wait comes first");
        stream
    }

    /// The next block, whatever it is; `None` at the end.
    pub async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let block = Block::read(block);
                self.rest = rest.into();
                return Some(block);
            }
            let chunk = timeout(SOON, self.response.chunk()).await.expect("something in time").unwrap()?;
            self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Block> {
        loop {
            match self.block().await {
                Some(block) if block.json.is_null() => {}
                other => return other,
            }
        }
    }

    /// The next event, which is of this type.
    pub async fn expect(&mut self, event: &str) -> Block {
        let next = self.next().await.expect("an event, not the end");
        assert_eq!(next.event, event, "{next:?}");
        next
    }

    /// The next event but for deliveries, which is of this type.
    pub async fn tells(&mut self, event: &str) -> Block {
        loop {
            let next = self.next().await.expect("an event, not the end");
            if next.event == event {
                return next;
            }
            assert_eq!(next.event, "feedback.delivery", "before {event}: {next:?}");
        }
    }

    /// What the hub says when it ends the stream, after whatever else it still says.
    pub async fn end(&mut self) -> Option<String> {
        let mut last = None;
        while let Some(block) = self.block().await {
            last = block.comment;
        }
        last
    }
}
