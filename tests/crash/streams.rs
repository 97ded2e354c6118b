//! Streams of server-sent events, which agents read beside their sockets and take up with `Last-Event-ID`.

use std::{sync::Arc, time::Duration};

use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    ledger::{Counts, id},
    promise::Promise,
    readers::Reader,
    world::World,
};

/// How long a reader waits before it connects again.
const PAUSE: Duration = Duration::from_millis(20);

impl Reader {
    /// Reads the stream of an agent until the feeds end, from where its socket began.
    pub async fn run_stream(mut self, world: Arc<World>) {
        let (over, client) = (world.feeds_end.clone(), Client::new());
        while !over.is_cancelled() {
            over.run_until_cancelled(self.follow_stream(&world, &client)).await;
            Counts::add(&world.ledger.counts.streams_resumed);
            over.run_until_cancelled(sleep(PAUSE)).await;
        }
    }

    /// Reads one connection to its end, or cuts it.
    async fn follow_stream(&mut self, world: &World, client: &Client) {
        let url = world.site.up(self.caller.home).await;
        let call = client.get(format!("{url}/api/feedback/events")).bearer_auth(self.caller.token());
        let after = self.after.clone().unwrap_or_default();
        let Ok(mut response) = call.header("Last-Event-ID", &after).send().await else { return };
        if response.status() == 503 {
            return;
        }
        world.ledger.holds(Promise::FeedsAreWhole, response.status() == 200, || {
            format!("{} was at {after} of its stream, and is answered {}", self.caller.name, response.status())
        });
        // A block that the end of a life cut in two was not told.
        let mut text = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = text.drain(..end + 2).collect();
                self.read_block(world, &String::from_utf8_lossy(&block));
            }
            if world.chance.happens(10) {
                return;
            }
        }
    }

    fn read_block(&mut self, world: &World, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
        let (Some(event), Some(data)) = (field("id:"), field("data:")) else { return };
        let message: Value = serde_json::from_str(data).unwrap_or_default();
        let (kind, data) = (message["type"].as_str().unwrap_or_default(), &message["data"]);
        world.ledger.log(&format!("{} streams {kind} {event} {}", self.caller.name, data["id"]));
        // The sockets tell the same facts by other names.
        let kind = match kind {
            "feedback.created" => "feedback_request",
            "feedback.answered" | "feedback.expired" | "feedback.cancelled" => "feedback_settled",
            "feedback.undeliverable" => "feedback_undeliverable",
            other => other,
        };
        let about_the_request = kind.starts_with("feedback_");
        // A delivery is told of whenever its state is another one.
        let subject = if kind == "feedback.delivery" { format!("{} {event}", id(data)) } else { id(data).to_owned() };
        self.note(world, event, (kind.to_owned(), subject), &message);
        if about_the_request {
            world.ledger.saw(data);
        }
        if ["sent", "delivered", "read"].iter().any(|status| data["status"] == *status) {
            world.plug_in.is_known_sent(id(data));
        }
    }
}
