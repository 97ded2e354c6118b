//! What is said once an update is stored. Nothing of it is stored itself: where it cannot be said, the log has why.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hearback_core::{
    ErrorKind, Retry, Timestamp,
    channel::{Awaiting, Content, Inbox},
    feedback::Request,
    id::RequestId,
};
use parking_lot::Mutex;
use serde_json::Value;
use teloxide_core::{
    payloads::{AnswerCallbackQuery, EditMessageReplyMarkup},
    types::{CallbackQueryId, ChatId, ForceReply, MessageId, ReplyMarkup},
};
use tokio::select;
use tracing::{debug, warn};

use crate::{
    api::{About, Asked, Refusal},
    channel::{Bot, below, message, outgoing, parts_of},
    hear::address,
    keyboard::{View, keyboard},
    memory::Prompt,
    words,
};

/// Between two messages to one chat.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a reply waits for what is being said to the same person.
const SAID_WAIT: Duration = Duration::from_secs(2);

/// So often something idle is said in a chat in the long run: help, hints, what anybody may ask for.
const IDLE_EVERY: Duration = Duration::from_secs(1);
/// So much of it at once.
const IDLE_BURST: u32 = 10;
/// So many chats are remembered in which that was.
const IDLE_MAX: usize = 1024;
/// Whoever asks to be left alone for longer is not told what was to be said.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was said idly in chats lately: until when nothing more is. Strangers must not use up what the bot may send.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<HashMap<i64, Timestamp>>);

impl Idle {
    /// Whether something idle may be said now.
    fn may(&self, chat: i64, now: Timestamp) -> bool {
        let mut said = self.0.lock();
        if said.len() >= IDLE_MAX {
            said.retain(|_, until| *until > now);
        }
        let until = said.get(&chat).copied().unwrap_or(now).max(now);
        // With so many at once everybody waits.
        if said.len() >= IDLE_MAX || until.since(now) > IDLE_EVERY * (IDLE_BURST - 1) {
            return false;
        }
        said.insert(chat, until.after(IDLE_EVERY));
        true
    }
}

/// Something to say or to show.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Answers a tap. An alert has to be closed.
    Answer { tap: String, text: String, alert: bool },
    /// Sends HTML, below a message.
    Say { chat: i64, below: Option<i32>, html: String },
    /// The same, where not much was said lately: nobody waits for it.
    SayIdly { chat: i64, below: Option<i32>, html: String },
    /// Asks for a comment, and remembers what the reply answers.
    Prompt { chat: i64, below: Option<i32>, user: i64, request: Arc<Request>, value: Value },
    /// Shows a page of a keyboard with what its person has ticked by then.
    Show { chat: i64, message: i32, page: usize, user: i64, request: Arc<Request>, answer_url: Option<String> },
    /// Shows a question once more.
    Again { chat: i64, awaiting: Box<Awaiting> },
}

impl Bot {
    /// Says all of it, in order and after what was said to the same person before.
    pub(crate) async fn speak(self: Arc<Self>, user: i64, actions: Vec<Action>, inbox: Arc<dyn Inbox>) {
        let _turn = self.speaking.turn(user).await;
        for action in actions {
            let what = action.name();
            let mut said = self.act(action.clone(), inbox.as_ref()).await;
            if let Some(wait) = said.as_ref().err().and_then(patience) {
                self.clock.sleep_until(self.clock.now().after(wait)).await;
                said = self.act(action, inbox.as_ref()).await;
            }
            let Err(refusal) = said else { continue };
            match refusal.error.kind() {
                // A tap that is long past, a chat that is gone: nobody waits for it.
                ErrorKind::Rejected | ErrorKind::NotFound => {
                    debug!(channel = %self.name, error = %refusal.error, what, "unsaid");
                }
                _ => {
                    warn!(channel = %self.name, error = %refusal.error, what, "an answer could not be given on Telegram");
                }
            }
        }
    }

    /// Returns once all is said to somebody that is being said: whoever is quick replies before it is written down what that
    /// was about. Not even a hang of Telegram's holds others up for long.
    pub(crate) async fn said_to(&self, user: i64) {
        select! {
            biased;
            _ = self.speaking.turn(user) => {}
            () = self.clock.sleep_until(self.clock.now().after(SAID_WAIT)) => {}
        }
    }

    async fn act(&self, action: Action, inbox: &dyn Inbox) -> Result<(), Refusal> {
        let asked = Asked::once("telegram.speak");
        match action {
            Action::Answer { tap, text, alert } => {
                let mut answer = AnswerCallbackQuery::new(CallbackQueryId(tap));
                answer.text = Some(words::for_tap(&text));
                answer.show_alert = Some(alert);
                self.api.call::<_, Value>(asked, &answer).await.map(drop)
            }
            Action::Say { chat, below: above, html } => {
                let mut said = message(ChatId(chat).into(), html, None);
                said.reply_parameters = above.map(below);
                self.send_message(asked, said).await.map(drop)
            }
            Action::SayIdly { chat, below, html } => {
                if !self.idle.may(chat, self.clock.now()) {
                    return Ok(());
                }
                Box::pin(self.act(Action::Say { chat, below, html }, inbox)).await
            }
            Action::Prompt { chat, below: above, user, request, value } => {
                let force = ForceReply::new().input_field_placeholder(Some("Your comment".to_owned())).selective();
                let text = words::prompt(&request, &value, (chat < 0).then_some(user));
                let mut prompt = message(ChatId(chat).into(), text, Some(ReplyMarkup::ForceReply(force)));
                prompt.reply_parameters = above.map(below);
                let sent = self.send_message(asked, prompt).await?;
                let prompt = Prompt { chat, message: sent.message_id, request: request.id, value };
                Ok(self.memory.prompted(user, prompt).await?)
            }
            Action::Show { chat, message, page, user, request, answer_url } => {
                // Whoever is done meanwhile must not get the buttons back.
                if inbox.request(request.id).await?.is_none_or(|now| !now.is_pending()) {
                    return Ok(());
                }
                let view = View { page, ticked: self.memory.ticked(user, request.id).await? };
                let mut edit = EditMessageReplyMarkup::new(ChatId(chat), MessageId(message));
                edit.reply_markup = keyboard(request.id, &request.terms.question, &view, answer_url.as_deref());
                match self.api.call::<_, Value>(Asked::again("telegram.speak"), &edit).await {
                    Err(refusal) if refusal.about == About::NotModified => {}
                    result => drop(result?),
                }
                self.close_if_over(request.id, chat, message, inbox).await
            }
            Action::Again { chat, awaiting } => self.show_again(chat, &awaiting, inbox).await,
        }
    }

    /// Shows a question once more, below where it stands. One that is over by then is closed at once, since nobody else knows
    /// of this message yet.
    async fn show_again(&self, chat: i64, awaiting: &Awaiting, inbox: &dyn Inbox) -> Result<(), Refusal> {
        let Awaiting { outbound, receipt } = awaiting;
        let Content::Request { request, .. } = &outbound.content else { return Ok(()) };
        self.clock.sleep_until(self.clock.now().after(PAUSE)).await;
        let mut again = outgoing(self.api.bot(), &address(chat)?, outbound)?;
        again.reply_parameters = parts_of(self.api.bot(), receipt).map(|(_, message)| below(message));
        let sent = self.send_message(Asked::once("telegram.speak"), again).await?;
        self.memory.copied(request.id, chat, sent.message_id).await?;
        self.close_if_over(request.id, chat, sent.message_id, inbox).await
    }

    async fn close_if_over(&self, id: RequestId, chat: i64, message: i32, inbox: &dyn Inbox) -> Result<(), Refusal> {
        let Some(request) = inbox.request(id).await? else { return Ok(()) };
        match request.ending() {
            Some(ending) => self.close(ChatId(chat).into(), message, &request, chat < 0, ending).await,
            None => Ok(()),
        }
    }
}

impl Action {
    const fn name(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "the answer to a tap",
            Self::Say { .. } | Self::SayIdly { .. } => "a message",
            Self::Prompt { .. } => "the question for a comment",
            Self::Show { .. } => "a keyboard",
            Self::Again { .. } => "a question again",
        }
    }
}

/// How long to wait before it is said once more: Telegram asks for that, and it is not long.
fn patience(refusal: &Refusal) -> Option<Duration> {
    match (refusal.error.kind(), refusal.error.retry()) {
        (ErrorKind::RateLimited, Retry::After(wait)) if wait <= PATIENCE => Some(wait),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_words_are_few_for_each_chat() {
        let (idle, now) = (Idle::default(), Timestamp::from_micros(0));
        let said = (0..20).filter(|_| idle.may(7, now)).count();
        assert_eq!(said, 10);
        assert!(idle.may(8, now), "another chat");
        assert!(!idle.may(7, now.after(Duration::from_millis(900))));
        assert!(idle.may(7, now.after(Duration::from_secs(1))));
    }

    #[test]
    fn chats_are_forgotten_in_which_nothing_was_said_lately() {
        let (idle, now) = (Idle::default(), Timestamp::from_micros(0));
        assert!((0..1024).all(|chat| idle.may(chat, now)));
        assert!(!idle.may(5000, now), "with so many at once everybody waits");
        assert!(idle.may(5000, now.after(Duration::from_secs(2))));
        assert_eq!(idle.0.lock().len(), 1);
    }
}
