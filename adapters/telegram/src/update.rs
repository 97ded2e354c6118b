//! What Telegram tells, as far as it is read.
//!
//! These are not teloxide's types: an update that lacks anything of what Telegram documents would be none to those, and a
//! person's tap would go unheard (docs/decisions/0026-telegram.md). What is not read here need not be there.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

/// One update.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Update {
    /// Telegram's own id of it.
    pub(crate) update_id: i64,
    /// What it tells.
    #[serde(flatten)]
    pub(crate) kind: Kind,
}

impl Update {
    /// Who does it; 0 is nobody.
    pub(crate) fn user(&self) -> i64 {
        match &self.kind {
            Kind::Tap { callback_query } => callback_query.from.id,
            Kind::Message { message } => message.from.as_ref().map_or(0, |from| from.id),
            Kind::Member { my_chat_member } => my_chat_member.chat.id,
            Kind::Other(_) => 0,
        }
    }
}

/// What an update tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kind {
    /// Somebody tapped a button.
    Tap {
        /// The tap.
        callback_query: Tap,
    },
    /// Somebody wrote.
    Message {
        /// The message.
        message: Message,
    },
    /// Somebody blocked the bot, or took that back.
    Member {
        /// What changed.
        my_chat_member: Member,
    },
    /// What is not asked for, or cannot be read.
    Other(IgnoredAny),
}

/// A tap on a button.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tap {
    /// By which it is answered.
    pub(crate) id: String,
    /// Who tapped.
    pub(crate) from: User,
    /// At which message, as far as that is still known.
    #[serde(default)]
    pub(crate) message: Option<At>,
    /// What the button says.
    #[serde(default)]
    pub(crate) data: Option<String>,
}

/// A message that something is about.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct At {
    /// Its chat.
    pub(crate) chat: Chat,
    /// Its id in the chat.
    #[serde(default)]
    pub(crate) message_id: Option<i32>,
    /// Its buttons.
    #[serde(default)]
    reply_markup: Value,
}

impl At {
    /// The answer page, to which one of its buttons leads.
    pub(crate) fn answer_url(&self) -> Option<String> {
        let rows = self.reply_markup["inline_keyboard"].as_array()?;
        let buttons = rows.iter().filter_map(Value::as_array).flatten();
        buttons.filter_map(|button| button["url"].as_str()).map(Into::into).next()
    }
}

/// Somebody.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct User {
    /// Telegram's id of them, which is that of the private chat with them.
    pub(crate) id: i64,
    /// Whether it is a bot.
    #[serde(default)]
    pub(crate) is_bot: bool,
}

/// A chat.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Chat {
    /// Its id.
    pub(crate) id: i64,
    /// `private`, `group`, `supergroup` or `channel`.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
}

impl Chat {
    /// Whether it is with one person alone: the ids of groups are negative.
    pub(crate) fn is_private(&self) -> bool {
        self.kind.as_deref().map_or(self.id > 0, |kind| kind == "private")
    }
}

/// A message of somebody's.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Message {
    /// Its id in the chat.
    #[serde(default, rename = "message_id")]
    pub(crate) id: Option<i32>,
    /// Who wrote it; nobody in a channel.
    #[serde(default)]
    pub(crate) from: Option<User>,
    /// Where.
    pub(crate) chat: Chat,
    /// What it says, where it is text.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// To which message it is a reply.
    #[serde(default, rename = "reply_to_message")]
    pub(crate) replied: Option<Replied>,
}

/// The message that is replied to.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Replied {
    /// Its id in the chat.
    #[serde(default)]
    pub(crate) message_id: Option<i32>,
}

/// How the bot stands in a chat now.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Member {
    /// The chat.
    pub(crate) chat: Chat,
    /// Its standing.
    pub(crate) new_chat_member: Standing,
}

/// A standing in a chat.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Standing {
    /// `member`, `kicked`, `left` and others.
    pub(crate) status: String,
}

/// A message that was sent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sent {
    /// Its id in the chat.
    pub(crate) message_id: i32,
    /// Its chat.
    #[serde(default)]
    pub(crate) chat: Option<Chat>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Update {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_telegram_adds_or_an_emulator_leaves_out_hides_no_tap() {
        let bare = r#"{"update_id": 7, "callback_query": {"id": "1", "from": {"id": 5}, "data": "x"}}"#;
        assert!(matches!(read(bare).kind, Kind::Tap { callback_query: Tap { message: None, .. } }));
        let more = r#"{"update_id": 8, "new_thing": {}, "callback_query": {"id": "1", "chat_instance": "2",
            "from": {"id": 5, "first_name": "Ana", "new": 1}, "message": {"chat": {"id": 5}, "date": 0}, "data": "x"}}"#;
        let Kind::Tap { callback_query } = read(more).kind else { panic!("a tap") };
        let at = callback_query.message.unwrap();
        assert!(at.chat.is_private() && at.message_id.is_none());
    }

    #[test]
    fn what_is_not_asked_for_is_passed_over_with_its_id() {
        let poll = read(r#"{"update_id": 9, "poll_answer": {}}"#);
        assert_eq!(poll.update_id, 9);
        assert!(matches!(poll.kind, Kind::Other(_)));
        let broken = read(r#"{"update_id": 10, "message": {"chat": "?"}}"#);
        assert!(matches!(broken.kind, Kind::Other(_)));
    }
}
