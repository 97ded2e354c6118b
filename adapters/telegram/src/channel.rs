//! The channel: probe, link, send, settle.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use hearback_core::{
    Clock, Error, ErrorKind, Result,
    channel::{
        Adapter, Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Content, Inbox,
        Outbound, Parts, Reach, Receipt, SendRate, Settlement, read_settings,
    },
    error::FieldError,
    feedback::{Ending, Question, Request},
    id::RequestId,
    secret::{ExposeSecret, Secret},
};
use parking_lot::Mutex;
use schemars::{Schema, schema_for};
use serde::Deserialize;
use serde_json::Value;
use teloxide_core::{
    payloads::{EditMessageText, GetMe, SendMessage},
    types::{ChatId, ForceReply, InlineKeyboardMarkup, MessageId, ParseMode, Recipient, ReplyMarkup, ReplyParameters},
};
use tokio::sync;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    api::{About, Api, Asked, Refusal},
    html,
    keyboard::{View, keyboard},
    markdown::Text,
    memory::Memory,
    question::{self, TEXT_MAX, minute},
    settings::{Settings, is_callable},
    speak::Idle,
    update::{Chat, Sent},
};

/// What the Bot API lets a bot send (core.telegram.org/bots/faq, "My bot is hitting limits").
const SEND_RATE: SendRate = SendRate { per_second: 30, burst: 30 };
/// The same to one chat.
const CHAT_RATE: SendRate = SendRate { per_second: 1, burst: 1 };
/// So much sooner than the hub ends a call it is ended here, where it is known what it lacks.
const SOONER: Duration = Duration::from_millis(100);
/// So many people are heard, and answered, at the same time without waiting for each other.
const LANES: usize = 64;

/// One thing after another for each person.
#[derive(Debug)]
pub(crate) struct Lanes([sync::Mutex<()>; LANES]);

impl Default for Lanes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| sync::Mutex::default()))
    }
}

impl Lanes {
    /// Waits for a person's turn, which lasts until what is returned is dropped.
    pub(crate) async fn turn(&self, user: i64) -> sync::MutexGuard<'_, ()> {
        let lane = usize::try_from(user.unsigned_abs() % LANES as u64).unwrap_or_default();
        self.0[lane].lock().await
    }
}

/// The kind `telegram`.
#[derive(Clone, Copy, Debug)]
pub struct TelegramAdapter;

impl Adapter for TelegramAdapter {
    fn kind(&self) -> &'static str {
        Telegram::KIND
    }

    fn schema(&self) -> Schema {
        schema_for!(Settings)
    }

    fn build(&self, name: ChannelName, settings: Value, parts: &Parts) -> Result<Arc<dyn Channel>, FieldError> {
        Ok(Arc::new(Telegram::new(name, &read_settings(settings)?, parts)?))
    }
}

/// Who the bot is.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Me {
    /// Its name in links and commands, without an at sign.
    #[serde(default)]
    pub(crate) username: Option<String>,
}

/// A channel that is a Telegram bot.
pub struct Telegram(pub(crate) Arc<Bot>);

/// What a channel is, shared with the work after its answers.
pub(crate) struct Bot {
    pub(crate) name: ChannelName,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memory: Memory,
    /// The hub's page, with a slash at its end.
    pub(crate) public_url: String,
    /// Where Telegram calls the hub; `None` where it cannot, so that the hub asks Telegram.
    pub(crate) webhook_url: Option<Url>,
    pub(crate) webhook_secret: sync::OnceCell<Secret>,
    me: Mutex<Option<Me>>,
    /// Whether Telegram knows the commands.
    pub(crate) registered: AtomicBool,
    /// Whether Telegram knows of no webhook.
    pub(crate) unhooked: AtomicBool,
    /// What was said idly in chats lately.
    pub(crate) idle: Idle,
    /// What somebody taps counts in that order.
    pub(crate) hearing: Lanes,
    /// And it is answered in that order.
    pub(crate) speaking: Lanes,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram").field("name", &self.name).field("api", &self.api).finish_non_exhaustive()
    }
}

impl Telegram {
    /// The kind of this adapter.
    pub const KIND: &'static str = "telegram";
    /// The segment after the channel's name that Telegram calls.
    pub const TAIL: &'static str = "webhook";

    /// What every Telegram channel can do.
    pub const CAPABILITIES: Capabilities = Capabilities {
        buttons: true,
        forms: false,
        messages: true,
        edit: true,
        threads: true,
        inbound: true,
        receipts: false,
        idempotent_send: false,
        account_addresses: false,
        email_addresses: false,
        links: true,
        // What is too long is shortened visibly, with a link to the whole.
        text_max: None,
        choices_max: None,
        send_rate: Some(SEND_RATE),
        address_rate: Some(CHAT_RATE),
    };

    /// A channel for the bot of these settings.
    ///
    /// # Errors
    ///
    /// The setting at fault.
    pub fn new(name: ChannelName, settings: &Settings, parts: &Parts) -> Result<Self, FieldError> {
        let (base, token) = (settings.api()?, settings.token()?);
        let send_timeout = parts.send_timeout.saturating_sub(SOONER);
        let api = Api::new(&base, token, parts.clock.clone(), send_timeout)?;
        let webhook_url = format!("{}{name}/{}", parts.callbacks_url, Self::TAIL);
        Ok(Self(Arc::new(Bot {
            memory: Memory::new(parts.vault.clone(), &name, api.bot()),
            name,
            api,
            clock: parts.clock.clone(),
            public_url: parts.public_url.clone(),
            webhook_url: Url::parse(&webhook_url).ok().filter(is_callable),
            webhook_secret: sync::OnceCell::new(),
            me: Mutex::default(),
            registered: AtomicBool::new(false),
            unhooked: AtomicBool::new(false),
            idle: Idle::default(),
            hearing: Lanes::default(),
            speaking: Lanes::default(),
        })))
    }
}

impl Bot {
    /// Who the bot is, asked once.
    pub(crate) async fn me(&self) -> Result<Me> {
        let known = self.me.lock().clone();
        match known {
            Some(me) => Ok(me),
            None => self.ask_me("telegram.me").await,
        }
    }

    /// Who the bot is, as far as that was asked before.
    pub(crate) fn username(&self) -> Option<String> {
        self.me.lock().as_ref().and_then(|me| me.username.clone())
    }

    async fn ask_me(&self, operation: &'static str) -> Result<Me> {
        let asked = Asked::again(operation);
        let me: Me = self.api.call(asked, &GetMe::new()).await.map_err(|refusal| match refusal.error.kind() {
            // A token that is none makes a path that is none.
            ErrorKind::NotFound => asked.fault(ErrorKind::Auth, "Telegram knows no bot with this token (404)"),
            _ => refusal.error,
        })?;
        *self.me.lock() = Some(me.clone());
        Ok(me)
    }

    /// Sends a message, once. A group that has another id now gets it there.
    pub(crate) async fn send_message(&self, asked: Asked<'_>, message: SendMessage) -> Result<Sent, Refusal> {
        let refusal = match self.api.call(asked, &message).await {
            Ok(sent) => return Ok(sent),
            Err(refusal) => refusal,
        };
        let About::Migrated(chat) = refusal.about else { return Err(refusal) };
        // The refusal says that nothing was sent. Nor is what it replied to where it goes now.
        let moved = SendMessage { chat_id: ChatId(chat).into(), reply_parameters: None, ..message };
        let sent: Sent = self.api.call(asked, &moved).await?;
        Ok(Sent { chat: Some(Chat { id: chat, kind: None }), ..sent })
    }

    /// Shows at every message that shows a question once more how it ended. If that fails it is tried again: what is closed
    /// twice is closed.
    async fn close_copies(&self, request: &Request, chat: i64, in_group: bool, ending: &Ending) -> Result<()> {
        let copies = self.memory.copies(request.id, chat).await?;
        for copy in &copies {
            match self.close(ChatId(chat).into(), *copy, request, in_group, ending).await {
                Err(refusal) if is_fixed(&refusal) => {}
                result => result?,
            }
        }
        self.memory.forget_copies(chat, &copies).await
    }

    /// Shows at a message how its question ended.
    pub(crate) async fn close(
        &self,
        chat: Recipient,
        message: i32,
        request: &Request,
        in_group: bool,
        ending: &Ending,
    ) -> Result<(), Refusal> {
        let text = question::settled(request, in_group, ending);
        let mut edit = EditMessageText::new(chat, MessageId(message), text);
        edit.parse_mode = Some(ParseMode::Html);
        // Telegram takes the buttons away where none are named; not every other server does.
        edit.reply_markup = Some(InlineKeyboardMarkup::default());
        match self.api.call::<_, Value>(Asked::again("telegram.settle"), &edit).await {
            Err(refusal) if refusal.about == About::NotModified => Ok(()),
            result => result.map(drop),
        }
    }
}

/// Whether Telegram refuses to edit this one message, and nothing else.
fn is_fixed(refusal: &Refusal) -> bool {
    let refused = refusal.error.kind() == ErrorKind::Rejected && !refusal.error.is_blocked();
    refused || refusal.about == About::Fixed
}

/// A chat, as it stands in an address: its id, or the name of a public one.
pub(crate) fn recipient(address: &Address) -> Result<Recipient, Error> {
    let text = address.as_str();
    // Of several spellings of a number one is the chat's.
    if let Some(id) = text.parse::<i64>().ok().filter(|id| id.to_string() == text) {
        return Ok(ChatId(id).into());
    }
    let name = text.strip_prefix('@').filter(|name| !name.is_empty());
    let plain = name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if plain {
        return Ok(Recipient::ChannelUsername(text.into()));
    }
    let detail = "this is no chat: an address on Telegram is a chat's number, or the @name of a public group";
    Err(Error::new(ErrorKind::NotFound, "telegram.send", detail).of_recipient())
}

/// Whether an address is a group's: a person's chat has their own number, which is positive.
pub(crate) fn is_group(address: &Address) -> bool {
    address.as_str().parse::<i64>().map_or(true, |id| id < 0)
}

/// A receipt: the chat and the message in it, by which bot. Another bot counts its messages anew.
pub(crate) fn receipt(bot: &str, chat: i64, message: i32) -> Receipt {
    Receipt::from(format!("{bot}/{chat}:{message}"))
}

/// The chat and the message of a receipt, if it is this bot's.
pub(crate) fn parts_of(bot: &str, receipt: &Receipt) -> Option<(i64, i32)> {
    let (chat, message) = receipt.as_str().strip_prefix(bot)?.strip_prefix('/')?.split_once(':')?;
    Some((chat.parse().ok()?, message.parse().ok()?))
}

/// The buttons of a question, or what forces a reply to it.
pub(crate) fn markup(
    request: RequestId,
    question: &Question,
    view: &View,
    answer_url: Option<&str>,
) -> Option<ReplyMarkup> {
    if matches!(question, Question::Input { .. }) {
        return Some(ReplyMarkup::ForceReply(
            ForceReply::new().input_field_placeholder(Some("Your answer".to_owned())),
        ));
    }
    keyboard(request, question, view, answer_url).map(ReplyMarkup::InlineKeyboard)
}

/// A message as it is sent, but for what it replies to.
pub(crate) fn message(to: Recipient, html: String, markup: Option<ReplyMarkup>) -> SendMessage {
    let mut message = SendMessage::new(to, html);
    message.parse_mode = Some(ParseMode::Html);
    message.reply_markup = markup;
    message
}

/// What a message replies to, if that is still there.
pub(crate) fn below(message: i32) -> ReplyParameters {
    ReplyParameters::new(MessageId(message)).allow_sending_without_reply()
}

/// What is sent, as a message.
pub(crate) fn outgoing(bot: &str, to: &Address, what: &Outbound) -> Result<SendMessage> {
    let chat = recipient(to)?;
    let written = |markdown: &str| {
        let mut text = Text::new(TEXT_MAX);
        text.render(markdown);
        text.into_html()
    };
    let mut sending = match &what.content {
        Content::Request { request, .. } => {
            let url = what.answer_url.as_deref();
            let html = question::asked(request, is_group(to), url);
            message(chat, html, markup(request.id, &request.terms.question, &View::default(), url))
        }
        Content::Message { text } | Content::Notice { text } => message(chat, written(text), None),
        Content::Code { code, expires_at } => {
            let code = html::code(code.expose_secret());
            let text = format!(
                "Your code for Hearback: {code}\n\nIt is good until {}. If you did not ask for one, do nothing.",
                minute(*expires_at)
            );
            message(chat, text, None)
        }
    };
    sending.reply_parameters = what.thread.as_ref().and_then(|of| parts_of(bot, of)).map(|(_, message)| below(message));
    Ok(sending)
}

#[async_trait]
impl Channel for Telegram {
    fn name(&self) -> &ChannelName {
        &self.0.name
    }

    fn capabilities(&self) -> &Capabilities {
        &Self::CAPABILITIES
    }

    async fn probe(&self) -> Result<()> {
        self.0.ask_me("telegram.probe").await.map(drop)
    }

    async fn reach(&self, _: &Address) -> Reach {
        Reach::Now
    }

    fn is_personal(&self, to: &Address) -> bool {
        !is_group(to)
    }

    async fn link(&self, code: &Secret) -> Result<String> {
        let username = self.0.me().await?.username.ok_or_else(|| {
            Error::new(ErrorKind::Config, "telegram.link", "the bot has no username, so there is no link to it")
        })?;
        Ok(format!("https://t.me/{username}?start={}", code.expose_secret()))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        let code = if let Content::Code { code, .. } = &what.content { code.expose_secret() } else { "" };
        let url = what.answer_url.as_deref().unwrap_or_default();
        let token = url.rsplit('/').next().unwrap_or_default();
        let secrets = [code, url, token];
        let asked = Asked { secrets: &secrets, ..Asked::once("telegram.send") };
        let sent = self.0.send_message(asked, outgoing(self.0.api.bot(), to, what)?).await?;
        let chat = sent.chat.map(|chat| chat.id).or_else(|| to.as_str().parse().ok());
        let chat = chat.ok_or_else(|| asked.fault(ErrorKind::Ambiguous, "the answer names no chat"))?;
        Ok(receipt(self.0.api.bot(), chat, sent.message_id))
    }

    async fn settle(&self, what: &Settlement<'_>) -> Result<()> {
        let Settlement { to, request, ending, .. } = *what;
        // Another bot's message cannot be edited, but what is below it can be said.
        let Some((chat, message)) = parts_of(self.0.api.bot(), what.receipt) else {
            return Err(Error::unsupported("telegram.settle"));
        };
        let in_group = is_group(to);
        let copies = self.0.close_copies(request, chat, in_group, ending).await;
        match self.0.close(ChatId(chat).into(), message, request, in_group, ending).await {
            // It is gone, too old, moved, or forced a reply: whatever it is, this message cannot be edited.
            Err(refusal) if is_fixed(&refusal) => Err(Error::unsupported("telegram.settle")),
            result => Ok(result?),
        }?;
        copies
    }

    async fn run(&self, inbox: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()> {
        self.0.clone().listen(inbox, stop).await
    }

    async fn callback(&self, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply> {
        self.0.clone().called(call, inbox).await
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_number_or_a_public_name() {
        let is = |text: &str| recipient(&text.parse().unwrap());
        assert_eq!(is("700100").unwrap(), Recipient::Id(ChatId(700_100)));
        assert_eq!(is("-100123").unwrap(), Recipient::Id(ChatId(-100_123)));
        assert_eq!(is("@ops_team").unwrap(), Recipient::ChannelUsername("@ops_team".into()));
        for bad in ["ana", "@", "@a b", "12 3", "1.5", "+5", "05"] {
            assert_eq!(is(bad).unwrap_err().kind(), ErrorKind::NotFound, "{bad}");
        }
        let group = |text: &str| is_group(&text.parse().unwrap());
        assert!(!group("700100") && group("-100123") && group("@ops_team"));
    }

    #[test]
    fn a_receipt_says_where_what_was_sent_is() {
        assert_eq!(parts_of("42", &receipt("42", -100_123, 45)), Some((-100_123, 45)));
        assert_eq!(parts_of("43", &receipt("42", -100_123, 45)), None, "another bot's");
        for bad in ["", "1", "42/1", "42/x:1", "42/1:x", "42/1:2:3"] {
            assert_eq!(parts_of("42", &Receipt::from(bad.to_owned())), None, "{bad}");
        }
    }
}
