//! What people can write to the bot, and how that is called in Telegram's menu.

use std::sync::atomic::Ordering;

use hearback_core::{
    Result,
    channel::{Address, Inbound, Inbox, Reply},
};
use serde_json::Value;
use teloxide_core::{payloads::SetMyCommands, types::BotCommand};
use tracing::warn;

use crate::{api::Asked, channel::Bot, html::escape, speak::Action, update::Chat, words};

/// So many questions are shown at once.
const PENDING_MAX: usize = 5;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Links the account, with a code.
    Start,
    /// Says what the others do.
    Help,
    /// Shows what awaits somebody.
    Pending,
    /// Says how much there is, and where.
    Info,
    /// Ends the link.
    Stop,
}

impl Command {
    const ALL: [Self; 5] = [Self::Pending, Self::Info, Self::Help, Self::Stop, Self::Start];

    /// The word that is written after the slash.
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Help => "help",
            Self::Pending => "pending",
            Self::Info => "info",
            Self::Stop => "stop",
        }
    }

    /// Reads that word.
    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.word().eq_ignore_ascii_case(word))
    }
}

/// What the commands are called, for people whose app has this language; the first is everybody else's.
const MENUS: [(Option<&str>, [&str; 5]); 8] = [
    (None, ["What awaits my answer", "About this hub", "How this works", "Stop asking me here", "Link my account"]),
    (
        Some("de"),
        [
            "Was auf meine Antwort wartet",
            "Über diesen Hub",
            "Wie das geht",
            "Mich hier nicht mehr fragen",
            "Mein Konto verbinden",
        ],
    ),
    (
        Some("es"),
        [
            "Lo que espera mi respuesta",
            "Sobre este hub",
            "Cómo funciona",
            "No preguntarme más aquí",
            "Vincular mi cuenta",
        ],
    ),
    (
        Some("fr"),
        [
            "Ce qui attend ma réponse",
            "À propos de ce hub",
            "Comment ça marche",
            "Ne plus me demander ici",
            "Relier mon compte",
        ],
    ),
    (
        Some("it"),
        [
            "Cosa attende la mia risposta",
            "Informazioni su questo hub",
            "Come funziona",
            "Non chiedermi più qui",
            "Collegare il mio account",
        ],
    ),
    (
        Some("nl"),
        [
            "Wat op mijn antwoord wacht",
            "Over deze hub",
            "Hoe dit werkt",
            "Mij hier niet meer vragen",
            "Mijn account koppelen",
        ],
    ),
    (
        Some("pl"),
        ["Co czeka na moją odpowiedź", "O tym hubie", "Jak to działa", "Nie pytaj mnie tu więcej", "Połącz moje konto"],
    ),
    (
        Some("pt"),
        [
            "O que espera a minha resposta",
            "Sobre este hub",
            "Como funciona",
            "Não me perguntar mais aqui",
            "Ligar a minha conta",
        ],
    ),
];

/// Whether a text is a command to another bot.
pub(crate) fn is_anothers(text: &str, username: &str) -> bool {
    let word = text.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    let of = word.and_then(|word| word.split_once('@')).map(|(_, of)| of);
    of.is_some_and(|of| of.to_ascii_lowercase().ends_with("bot") && !of.eq_ignore_ascii_case(username))
}

/// The word and the argument of a command, if a text is one, and not another bot's.
pub(crate) fn command<'a>(text: &'a str, username: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let mut parts = text.strip_prefix('/')?.split_whitespace();
    let word = parts.next()?;
    let (word, of) = word.split_once('@').unwrap_or((word, username));
    of.eq_ignore_ascii_case(username).then(|| (word, parts.next()))
}

const HELP: &str = "I bring you questions from programs and AI agents, and take your answers.\n\n\
    • Tap a button below a question, or reply to it in words: “approve”, “reject”, the name of a choice.\n\
    • A question for a text is answered by a reply to it.\n\
    • Only what you are asked counts, and only while the question is open.\n\n\
    /pending – what awaits your answer\n\
    /info – about this hub, and its page\n\
    /stop – end the link to your account\n\
    /help – this\n\n\
    To link this chat to your account, get a link from the hub (POST /api/me/addresses with this channel's name) and open it: it \
    is good for 10 minutes, and once.";

impl Bot {
    /// Tells Telegram the commands. Without them everything works but the menu, so a fault is noted and no more.
    pub(crate) async fn register_commands(&self) {
        if self.registered.load(Ordering::Relaxed) {
            return;
        }
        for (language, names) in MENUS {
            let commands: Vec<_> =
                Command::ALL.iter().zip(names).map(|(command, name)| BotCommand::new(command.word(), name)).collect();
            let mut set = SetMyCommands::new(commands);
            set.language_code = language.map(Into::into);
            if let Err(refusal) = self.api.call::<_, Value>(Asked::again("telegram.commands"), &set).await {
                warn!(channel = %self.name, error = %refusal.error, "the bot's commands could not be registered");
                return;
            }
        }
        self.registered.store(true, Ordering::Relaxed);
    }

    /// Does what a command says.
    pub(crate) async fn command(
        &self,
        command: Command,
        argument: Option<&str>,
        who: &Address,
        (chat, message): (&Chat, Option<i32>),
        inbox: &dyn Inbox,
    ) -> Result<Vec<Action>> {
        let say = |text: &str| vec![Action::Say { chat: chat.id, below: message, html: escape(text) }];
        let idly = |html: String| vec![Action::SayIdly { chat: chat.id, below: message, html }];
        match command {
            Command::Help => Ok(idly(escape(HELP))),
            Command::Info => {
                let docs = format!("{}docs", self.public_url);
                let html = words::info(inbox.counts().await?, &self.public_url, &docs);
                Ok(idly(html))
            }
            // Who has a link, and what awaits them, is not for a group.
            Command::Start | Command::Pending | Command::Stop if !chat.is_private() => {
                Ok(idly(escape(words::PRIVATELY)))
            }
            Command::Start => Ok(say(&self.start(argument, who, inbox).await?)),
            Command::Stop => {
                match inbox.accept(Inbound::Unlinked { channel: self.name.clone(), from: who.clone() }).await? {
                    Reply::Unlinked(user) => Ok(say(&words::unlinked(user.as_ref()))),
                    _ => Ok(Vec::new()),
                }
            }
            Command::Pending => {
                let Some(pending) = inbox.pending(&self.name, who, PENDING_MAX).await? else {
                    return Ok(say(words::NOT_LINKED));
                };
                let mut actions = say(&words::pending(&pending));
                let again = |awaiting| Action::Again { chat: chat.id, awaiting: Box::new(awaiting) };
                actions.extend(pending.out.into_iter().map(again));
                Ok(actions)
            }
        }
    }

    /// Links an account, where there is a code; else greets.
    async fn start(&self, code: Option<&str>, who: &Address, inbox: &dyn Inbox) -> Result<String> {
        let (hub, channel) = (self.public_url.trim_end_matches('/'), self.name.clone());
        if let Some(code) = code {
            let linked = inbox.accept(Inbound::Linked { channel, from: who.clone(), code: code.into() }).await?;
            return Ok(if let Reply::Linked(linked) = linked { words::linked(&linked, hub) } else { String::new() });
        }
        Ok(words::start(inbox.person_at(&self.name, who).await?.as_ref(), hub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_with_its_argument_and_another_bots_is_not() {
        let read = |text| command(text, "our_bot");
        assert_eq!(read("/start abc def"), Some(("start", Some("abc"))));
        assert_eq!(read("/info@Our_Bot"), Some(("info", None)));
        for none in ["", "/", "start", "/info@other_bot", " /info"] {
            assert_eq!(read(none), None, "{none}");
        }
        assert!(is_anothers("/info@other_bot x", "our_bot") && !is_anothers("/info@our_bot", "our_bot"));
        assert!(!is_anothers("/srv/git@host", "our_bot") && !is_anothers("info@other_bot", "our_bot"));
        assert_eq!(Command::read("PENDING"), Some(Command::Pending));
        assert_eq!(Command::read("weather"), None);
    }
}
