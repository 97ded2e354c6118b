//! Hearing Telegram: by its calls where it can call the hub, else by asking it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hearback_core::{Error, ErrorKind, Result, channel::Inbox};
use serde::{Serialize, de::IgnoredAny};
use serde_json::Value;
use teloxide_core::{payloads::DeleteWebhook, requests::Payload};
use tokio::select;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    api::{About, Asked},
    channel::Bot,
    update::{Kind, Update},
};

/// How long Telegram holds a poll open when there is nothing to tell.
const HOLD: Duration = Duration::from_secs(50);
/// How long after an answer without updates the next poll is made at the earliest: not every server holds them open.
const PAUSE: Duration = Duration::from_millis(250);
/// How long what is being said may take once the hub stops.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What is heard.
pub(crate) const UPDATES: [&str; 3] = ["message", "callback_query", "my_chat_member"];

/// The method `getUpdates`, with room for larger numbers than teloxide's: an id of an update is any integer.
#[derive(Debug, Serialize)]
struct GetUpdates {
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    timeout: u64,
    allowed_updates: [&'static str; 3],
}

impl Payload for GetUpdates {
    type Output = Vec<Value>;
    const NAME: &'static str = "GetUpdates";

    fn timeout_hint(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.timeout))
    }
}

impl Bot {
    /// Hears Telegram until `stop`.
    pub(crate) async fn listen(self: Arc<Self>, inbox: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()> {
        let spoken = TaskTracker::new();
        let heard = async {
            self.me().await?;
            self.register_commands().await;
            match &self.webhook_url {
                Some(url) => self.keep_webhook(url).await,
                None => self.poll(&inbox, &spoken).await,
            }
        };
        let ended = select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = heard => result,
        };
        // What is stored and confirmed is told to nobody again: it is said now.
        spoken.close();
        select! {
            () = spoken.wait() => {}
            () = self.clock.sleep_until(self.clock.now().after(LAST_WORDS)) => {}
        }
        ended
    }

    /// Asks for updates, and confirms those that are stored by asking for the next.
    async fn poll(self: &Arc<Self>, inbox: &Arc<dyn Inbox>, spoken: &TaskTracker) -> Result<()> {
        if !self.unhooked.load(Ordering::Relaxed) {
            self.api.call::<_, Value>(Asked::again("telegram.listen"), &DeleteWebhook::new()).await?;
            self.unhooked.store(true, Ordering::Relaxed);
        }
        let mut offset = None;
        loop {
            let asked = GetUpdates { offset, timeout: HOLD.as_secs(), allowed_updates: UPDATES };
            let (begun, before) = (self.clock.now(), offset);
            let answered = self.api.call(Asked::again("telegram.listen"), &asked).await;
            if answered.as_ref().is_err_and(|refusal| refusal.about == About::Conflict) {
                // Somebody may have set a webhook.
                self.unhooked.store(false, Ordering::Relaxed);
            }
            let updates: Vec<Value> = answered?;
            for update in updates {
                let Some(id) = update["update_id"].as_i64() else { continue };
                let update = read(id, update);
                let heard = self.hear(update, inbox.as_ref()).await?;
                offset = offset.max(Some(id + 1));
                if !heard.actions.is_empty() {
                    // Nobody's answer waits for what is said to somebody else.
                    spoken.spawn(self.clone().speak(heard.user, heard.actions, inbox.clone()));
                }
            }
            if offset == before {
                self.clock.sleep_until(begun.after(PAUSE)).await;
            }
        }
    }
}

/// Reads an update. One that cannot be read is passed over, and said so in the log.
pub(crate) fn read(id: i64, update: Value) -> Update {
    let read = serde_json::from_value(update).unwrap_or_else(|error| {
        debug!(update = id, %error, "an update cannot be read");
        Update { update_id: id, kind: Kind::Other(IgnoredAny) }
    });
    if matches!(read.kind, Kind::Other(_)) {
        debug!(update = id, "an update is passed over");
    }
    read
}

/// The error of a call that cannot be read.
pub(crate) fn unreadable() -> Error {
    Error::new(ErrorKind::Rejected, "telegram.callback", "the body is no update of Telegram's")
}
