//! Taps and replies: what they mean is stored first, and then answered. Who somebody is, Telegram says; what a button or a text
//! says proves nothing.

use std::{fmt::Display, sync::Arc};

use hearback_core::{
    Error, ErrorKind, Result,
    channel::{About, Address, Inbound, Inbox, Reply},
    feedback::{Question, Request, Verdict},
    hub::Responded,
};
use serde_json::Value;

use crate::{
    channel::{Bot, receipt},
    command::{Command, command, is_anothers},
    html::escape,
    keyboard::{Button, PAGE, Tapped},
    question::shown,
    speak::Action,
    update::{At, Kind, Member, Message, Tap, Update},
    words,
};

/// What is to be said to whom, once an update is stored.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Telegram's number of the person.
    pub(crate) user: i64,
    /// In this order.
    pub(crate) actions: Vec<Action>,
}

impl Bot {
    /// Stores what an update tells. When this returns `Ok` it is durable, and Telegram may forget it.
    ///
    /// # Errors
    ///
    /// It could not be stored: Telegram has to tell it again.
    pub(crate) async fn hear(&self, update: Update, inbox: &dyn Inbox) -> Result<Heard> {
        let (id, user) = (update.update_id, update.user());
        let _turn = self.hearing.turn(user).await;
        self.is_back(&update, inbox).await?;
        let actions = match update.kind {
            Kind::Tap { callback_query } => self.tapped(id, callback_query, inbox).await?,
            Kind::Message { message } => self.told(id, message, inbox).await?,
            Kind::Member { my_chat_member } => {
                self.member(&my_chat_member, inbox).await?;
                Vec::new()
            }
            Kind::Other(_) => Vec::new(),
        };
        Ok(Heard { user, actions })
    }

    /// Whoever writes or taps in their own chat has the bot unblocked, whatever became of word of that.
    async fn is_back(&self, update: &Update, inbox: &dyn Inbox) -> Result<()> {
        let private = match &update.kind {
            Kind::Tap { callback_query } => callback_query.message.as_ref().is_some_and(|at| at.chat.is_private()),
            Kind::Message { message } => message.chat.is_private(),
            Kind::Member { .. } | Kind::Other(_) => false,
        };
        if !private {
            return Ok(());
        }
        let (channel, address) = (self.name.clone(), address(update.user())?);
        inbox.accept(Inbound::Unblocked { channel, address }).await.map(drop)
    }

    /// By what a repetition of an update is known. Its number alone would not do: another bot under the same name counts anew,
    /// and after a week without updates Telegram goes on from any number.
    fn event(&self, update: i64, what: impl Display) -> String {
        format!("{}/{update}/{what}", self.api.bot())
    }

    async fn tapped(&self, update: i64, tap: Tap, inbox: &dyn Inbox) -> Result<Vec<Action>> {
        let Tap { id: tap, from, message, data } = tap;
        let said = |text: String, alert: bool| vec![Action::Answer { tap: tap.clone(), text, alert }];
        let Some(Tapped { request: id, button }) = data.as_deref().and_then(Tapped::read) else {
            return Ok(said(words::NO_BUTTON.into(), false));
        };
        let Some(request) = inbox.request(id).await? else { return Ok(said(words::UNKNOWN.into(), true)) };
        let who = address(from.id)?;
        let event = self.event(update, data.unwrap_or_default());
        let ticks = Ticks { user: from.id, request: &request, at: message.as_ref() };
        match button {
            Button::Answer(option) => match value_of(&request.terms.question, option) {
                Some(value) => self.answered(event, &tap, (who, &request, value), inbox).await,
                None => Ok(said(words::NO_BUTTON.into(), false)),
            },
            Button::Page(page) => {
                if let Some(refusal) = self.refusal(&request, &who, inbox).await? {
                    return Ok(said(refusal, true));
                }
                let mut actions = ticks.show(page, true).into_iter().collect::<Vec<_>>();
                actions.push(Action::Answer { tap: tap.clone(), text: format!("Page {}", page + 1), alert: false });
                Ok(actions)
            }
            Button::Done => {
                let Question::Choice { options, multiple: true } = &request.terms.question else {
                    return Ok(said(words::NO_BUTTON.into(), false));
                };
                let ticked = self.memory.ticked(from.id, id).await?;
                let chosen = ticked.iter().filter_map(|at| options.get(*at)).map(|option| option.value.clone().into());
                self.answered(event, &tap, (who, &request, Value::Array(chosen.collect())), inbox).await
            }
            Button::Comment(option) => {
                let Some(value) = value_of(&request.terms.question, option) else {
                    return Ok(said(words::NO_BUTTON.into(), false));
                };
                if let Some(refusal) = self.refusal(&request, &who, inbox).await? {
                    return Ok(said(refusal, true));
                }
                let mut actions = said(words::COMMENT.into(), false);
                let (chat, below) = message.map_or((from.id, None), |at| (at.chat.id, at.message_id));
                actions.push(Action::Prompt { chat, below, user: from.id, request, value });
                Ok(actions)
            }
            Button::Tick(option) => {
                if value_of(&request.terms.question, option).is_none() {
                    return Ok(said(words::NO_BUTTON.into(), false));
                }
                if let Some(refusal) = self.refusal(&request, &who, inbox).await? {
                    return Ok(said(refusal, true));
                }
                let ticked = self.memory.tick(from.id, id, option, update).await?;
                let chosen = ticked.iter().filter_map(|at| value_of(&request.terms.question, *at)).collect();
                let chosen = shown(&request.terms.question, &Value::Array(chosen));
                let mut actions = said(format!("Chosen: {chosen}. Tap Done when that is all."), false);
                actions.extend(ticks.show(option / PAGE, false));
                Ok(actions)
            }
        }
    }

    /// Gives the inbox an answer, and says what became of it.
    async fn answered(
        &self,
        event: String,
        tap: &str,
        (from, request, value): (Address, &Request, Value),
        inbox: &dyn Inbox,
    ) -> Result<Vec<Action>> {
        let (channel, request) = (self.name.clone(), request.id);
        let response = Inbound::Response { channel, from, request, value, comment: None, event: Some(event) };
        let (text, alert) = match inbox.accept(response).await {
            Ok(Reply::Response(responded)) => (words::verdict(&responded), !is_accepted(&responded)),
            Ok(_) => (String::new(), false),
            Err(error) => (spoken(error)?, true),
        };
        Ok(vec![Action::Answer { tap: tap.into(), text, alert }])
    }

    /// Why somebody may not choose here, as nothing is stored yet that would say it.
    async fn refusal(&self, request: &Request, who: &Address, inbox: &dyn Inbox) -> Result<Option<String>> {
        let person = inbox.person_at(&self.name, who).await?;
        Ok(match (person, request.ending()) {
            (None, _) => Some(words::NOT_LINKED.into()),
            (Some(person), _) if !request.asks(person.id) => Some(words::NOT_ASKED.into()),
            (Some(_), Some(ending)) => Some(format!("Too late: {}.", ending.sentence())),
            (Some(_), None) => None,
        })
    }

    async fn told(&self, update: i64, message: Message, inbox: &dyn Inbox) -> Result<Vec<Action>> {
        let Message { id, from, chat, text, replied } = message;
        // What a channel or a bot writes is nobody's answer.
        let Some(from) = from.filter(|from| !from.is_bot) else { return Ok(Vec::new()) };
        let private = chat.is_private();
        let say = |text: &str| Action::Say { chat: chat.id, below: id, html: escape(text) };
        let who = address(from.id)?;
        let replied = replied.and_then(|replied| replied.message_id);
        let hint = |text: &str| {
            let html = escape(text);
            Vec::from_iter(private.then_some(Action::SayIdly { chat: chat.id, below: id, html }))
        };
        let Some(text) = text else { return Ok(hint(words::ONLY_TEXT)) };
        let username = self.username().unwrap_or_default();
        if !private && is_anothers(&text, &username) {
            return Ok(Vec::new());
        }
        let read = command(&text, &username).map(|(word, argument)| (Command::read(word), argument));
        match read {
            Some((Some(command), argument)) => return self.command(command, argument, &who, (&chat, id), inbox).await,
            // A reply may begin with a slash, as paths do. In a group it may be another bot's.
            Some((None, _)) if replied.is_none() => return Ok(hint("I do not know this command. /help lists mine.")),
            _ => {}
        }
        let Some(replied) = replied else { return Ok(hint(words::NO_REPLY)) };
        if inbox.person_at(&self.name, &who).await?.is_some() {
            self.said_to(from.id).await;
        }
        let event = self.event(update, id.unwrap_or_default());
        let inbound = self.reply(event, (chat.id, replied), (from.id, who), text).await?;
        match inbox.accept(inbound).await {
            // To whom it is refused, that is said where nobody else reads it, if they can be written to at all.
            Ok(Reply::Response(responded)) if !private && is_refused(&responded) => {
                let known = responded.recorded.response.by.is_some();
                let html = escape(&words::verdict(&responded));
                Ok(Vec::from_iter(known.then_some(Action::SayIdly { chat: from.id, below: None, html })))
            }
            Ok(Reply::Response(responded)) => Ok(vec![say(&words::verdict(&responded))]),
            Ok(_) => Ok(Vec::new()),
            // People talk to each other in groups, also below what a bot said.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(hint(words::NO_REPLY)),
            Err(error) => Ok(vec![say(&spoken(error)?)]),
        }
    }

    /// What a reply to a message of the bot's means: a comment, where that message asked for one; words about a question.
    async fn reply(
        &self,
        event: String,
        (chat, replied): (i64, i32),
        (user, from): (i64, Address),
        text: String,
    ) -> Result<Inbound> {
        let (channel, event) = (self.name.clone(), Some(event));
        if let Some(prompt) = self.memory.prompt(user, chat, replied).await? {
            let (request, value, comment) = (prompt.request, prompt.value, Some(text));
            return Ok(Inbound::Response { channel, from, request, value, comment, event });
        }
        let about = match self.memory.copy_of(chat, replied).await? {
            Some(request) => About::Request(request),
            None => About::Sent(receipt(self.api.bot(), chat, replied)),
        };
        Ok(Inbound::Text { channel, from, about, text, event })
    }

    /// Somebody blocked the bot, or took that back.
    async fn member(&self, member: &Member, inbox: &dyn Inbox) -> Result<()> {
        let (channel, address) = (self.name.clone(), address(member.chat.id)?);
        let inbound = match member.new_chat_member.status.as_str() {
            "kicked" | "left" => Inbound::Blocked { channel, address },
            "member" | "administrator" => Inbound::Unblocked { channel, address },
            _ => return Ok(()),
        };
        inbox.accept(inbound).await.map(drop)
    }
}

/// Whose ticks are shown where.
struct Ticks<'a> {
    user: i64,
    request: &'a Arc<Request>,
    at: Option<&'a At>,
}

impl Ticks<'_> {
    /// Shows a page of the keyboard. In a group everybody sees the same one: what one of them ticks is told to them alone.
    fn show(&self, page: usize, turned: bool) -> Option<Action> {
        let at = self.at.filter(|at| at.chat.is_private() || turned)?;
        // Nobody has the number 0: nothing is ticked on what everybody sees.
        let user = if at.chat.is_private() { self.user } else { 0 };
        let (chat, message, request) = (at.chat.id, at.message_id?, self.request.clone());
        Some(Action::Show { chat, message, page, user, request, answer_url: at.answer_url() })
    }
}

/// The value of an option; an approval has two.
fn value_of(question: &Question, option: usize) -> Option<Value> {
    match question {
        Question::Approval => Question::APPROVAL_VALUES.get(option).map(|value| Value::from(*value)),
        Question::Choice { options, .. } => options.get(option).map(|option| option.value.clone().into()),
        Question::Input { .. } | Question::Form { .. } => None,
    }
}

fn is_refused(responded: &Responded) -> bool {
    responded.recorded.response.verdict == Verdict::Refused
}

fn is_accepted(responded: &Responded) -> bool {
    responded.recorded.response.verdict == Verdict::Accepted
}

/// What is said of an error that telling it again would not mend; any other one goes back to Telegram.
fn spoken(error: Error) -> Result<String> {
    match error.kind() {
        ErrorKind::NotFound => Ok(words::UNKNOWN.into()),
        ErrorKind::RateLimited => Ok(words::too_much(&error)),
        _ => Err(error),
    }
}

/// Where somebody, or a chat, is reached.
pub(crate) fn address(id: i64) -> Result<Address> {
    let unexpected = |_| Error::new(ErrorKind::Unexpected, "telegram.hear", "a number is no address");
    id.to_string().parse().map_err(unexpected)
}
