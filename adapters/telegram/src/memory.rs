//! What is remembered between updates, in the vault, so that a restart forgets none of it and every server knows it: what
//! somebody has ticked, what a reply to a prompt answers, and where a question was shown again.

use std::{collections::BTreeSet, fmt, sync::Arc};

use hearback_core::{
    Error, ErrorKind, Result,
    channel::ChannelName,
    id::RequestId,
    secret::{ExposeSecret, Secret},
    vault::Vault,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// So many questions of a person are remembered; the oldest goes first.
const KEPT: usize = 32;
/// So many taps are known again, by which one that is told twice ticks once.
const TAPS: usize = 16;
/// How often a change is tried that others make at the same time.
const TRIES: usize = 16;

/// What is remembered of somebody.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Somebody {
    ticks: Vec<Ticks>,
    prompts: Vec<Prompt>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ticks {
    request: RequestId,
    ticked: BTreeSet<usize>,
    taps: Vec<i64>,
}

/// A message whose reply is a comment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prompt {
    /// Its chat.
    pub(crate) chat: i64,
    /// Its id in the chat.
    pub(crate) message: i32,
    /// The question.
    pub(crate) request: RequestId,
    /// What is answered with the comment.
    pub(crate) value: Value,
}

/// What a channel remembers.
pub(crate) struct Memory {
    vault: Arc<dyn Vault>,
    prefix: String,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.prefix)
    }
}

impl Memory {
    /// Another bot under the same name has messages of its own.
    pub(crate) fn new(vault: Arc<dyn Vault>, channel: &ChannelName, bot: &str) -> Self {
        Self { vault, prefix: format!("telegram/{channel}/{bot}") }
    }

    /// What somebody has ticked.
    pub(crate) async fn ticked(&self, user: i64, request: RequestId) -> Result<BTreeSet<usize>> {
        let somebody: Somebody = self.read(&person(user)).await?.0;
        let ticks = somebody.ticks.into_iter().find(|ticks| ticks.request == request);
        Ok(ticks.map(|ticks| ticks.ticked).unwrap_or_default())
    }

    /// Ticks an option, or takes its tick away; the same tap does so once. Says what is ticked then.
    pub(crate) async fn tick(
        &self,
        user: i64,
        request: RequestId,
        option: usize,
        update: i64,
    ) -> Result<BTreeSet<usize>> {
        self.change(&person(user), |somebody: &mut Somebody| {
            let at = somebody.ticks.iter().position(|ticks| ticks.request == request);
            let mut ticks = match at {
                Some(at) => somebody.ticks.remove(at),
                None => Ticks { request, ticked: BTreeSet::new(), taps: Vec::new() },
            };
            if !ticks.taps.contains(&update) {
                if !ticks.ticked.remove(&option) {
                    ticks.ticked.insert(option);
                }
                push(&mut ticks.taps, update, TAPS);
            }
            let ticked = ticks.ticked.clone();
            push(&mut somebody.ticks, ticks, KEPT);
            ticked
        })
        .await
    }

    /// Remembers what a reply to a prompt answers.
    pub(crate) async fn prompted(&self, user: i64, prompt: Prompt) -> Result<()> {
        self.change(&person(user), |somebody: &mut Somebody| push(&mut somebody.prompts, prompt.clone(), KEPT)).await
    }

    /// What a reply to a message answers, where that is a prompt to this person.
    pub(crate) async fn prompt(&self, user: i64, chat: i64, message: i32) -> Result<Option<Prompt>> {
        let somebody: Somebody = self.read(&person(user)).await?.0;
        Ok(somebody.prompts.into_iter().rfind(|prompt| (prompt.chat, prompt.message) == (chat, message)))
    }

    /// Remembers that a question was shown once more, by a message of a chat.
    pub(crate) async fn copied(&self, request: RequestId, chat: i64, message: i32) -> Result<()> {
        self.change(&shown_in(chat), |shown: &mut Vec<(i32, RequestId)>| push(shown, (message, request), KEPT)).await
    }

    /// The messages of a chat that show a question once more.
    pub(crate) async fn copies(&self, request: RequestId, chat: i64) -> Result<Vec<i32>> {
        let shown: Vec<(i32, RequestId)> = self.read(&shown_in(chat)).await?.0;
        Ok(shown.into_iter().filter(|(_, of)| *of == request).map(|(message, _)| message).collect())
    }

    /// Forgets messages of a chat that show a question once more.
    pub(crate) async fn forget_copies(&self, chat: i64, copies: &[i32]) -> Result<()> {
        if copies.is_empty() {
            return Ok(());
        }
        let forget = |shown: &mut Vec<(i32, RequestId)>| shown.retain(|(message, _)| !copies.contains(message));
        self.change(&shown_in(chat), forget).await
    }

    /// The question that a message shows once more.
    pub(crate) async fn copy_of(&self, chat: i64, message: i32) -> Result<Option<RequestId>> {
        let shown: Vec<(i32, RequestId)> = self.read(&shown_in(chat)).await?.0;
        Ok(shown.into_iter().rfind(|(at, _)| *at == message).map(|(_, request)| request))
    }

    /// A text under a key, made when there is none: every server gets the same.
    pub(crate) async fn or_make(&self, what: &str, make: impl Fn() -> Secret) -> Result<Secret> {
        let key = self.key(what);
        for _ in 0..TRIES {
            if let Some(found) = self.vault.get(&key).await? {
                return Ok(found.value);
            }
            let text = make();
            if self.vault.compare_and_swap(&key, None, Some(text.clone())).await? {
                return Ok(text);
            }
        }
        Err(contended())
    }

    /// A text under a key.
    pub(crate) async fn text(&self, what: &str) -> Result<Option<String>> {
        let found = self.vault.get(&self.key(what)).await?;
        Ok(found.map(|found| found.value.expose_secret().to_owned()))
    }

    /// Puts a text under a key.
    pub(crate) async fn put(&self, what: &str, text: &str) -> Result<()> {
        let key = self.key(what);
        let version = self.vault.get(&key).await?.map(|found| found.version);
        self.vault.compare_and_swap(&key, version, Some(text.into())).await.map(drop)
    }

    fn key(&self, what: &str) -> String {
        format!("{}/{what}", self.prefix)
    }

    async fn read<T: DeserializeOwned + Default>(&self, what: &str) -> Result<(T, Option<u64>)> {
        let Some(found) = self.vault.get(&self.key(what)).await? else { return Ok((T::default(), None)) };
        // What another version of the hub wrote, and this one cannot read, is begun anew.
        let value = serde_json::from_str(found.value.expose_secret()).unwrap_or_default();
        Ok((value, Some(found.version)))
    }

    async fn change<T, R>(&self, what: &str, change: impl Fn(&mut T) -> R) -> Result<R>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        for _ in 0..TRIES {
            let (mut value, version) = self.read::<T>(what).await?;
            let result = change(&mut value);
            let text = serde_json::to_string(&value)
                .map_err(|error| Error::new(ErrorKind::Unexpected, "telegram.memory", error.to_string()))?;
            if self.vault.compare_and_swap(&self.key(what), version, Some(text.into())).await? {
                return Ok(result);
            }
        }
        Err(contended())
    }
}

fn person(user: i64) -> String {
    format!("person/{user}")
}

fn shown_in(chat: i64) -> String {
    format!("shown/{chat}")
}

fn push<T>(list: &mut Vec<T>, item: T, most: usize) {
    list.push(item);
    if list.len() > most {
        list.remove(0);
    }
}

fn contended() -> Error {
    Error::new(ErrorKind::Unavailable, "telegram.memory", "others change the same at the same time")
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use hearback_core::vault::{MemoryVault, Versioned};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    /// Somebody else is always faster.
    #[derive(Debug)]
    struct Contended;

    #[async_trait]
    impl Vault for Contended {
        async fn get(&self, _: &str) -> Result<Option<Versioned>> {
            Ok(None)
        }

        async fn compare_and_swap(&self, _: &str, _: Option<u64>, _: Option<Secret>) -> Result<bool> {
            Ok(false)
        }
    }

    fn memory(vault: Arc<dyn Vault>) -> Memory {
        Memory::new(vault, &"telegram".parse().unwrap(), "42")
    }

    fn request(number: u128) -> RequestId {
        Uuid::from_u128(number).into()
    }

    #[tokio::test]
    async fn a_tick_comes_and_goes_and_the_same_tap_ticks_once() {
        let memory = memory(Arc::new(MemoryVault::default()));
        assert_eq!(memory.tick(7, request(1), 2, 100).await.unwrap(), [2].into());
        assert_eq!(memory.tick(7, request(1), 2, 100).await.unwrap(), [2].into(), "the same tap");
        assert_eq!(memory.tick(7, request(1), 0, 101).await.unwrap(), [0, 2].into());
        assert_eq!(memory.tick(7, request(1), 2, 102).await.unwrap(), [0].into());
        assert_eq!(memory.ticked(8, request(1)).await.unwrap(), [].into(), "somebody else's");
        assert_eq!(memory.ticked(7, request(2)).await.unwrap(), [].into(), "another question's");
    }

    #[tokio::test]
    async fn of_each_person_the_newest_questions_are_remembered() {
        let memory = memory(Arc::new(MemoryVault::default()));
        for number in 0..=KEPT as u128 {
            memory.tick(7, request(number), 1, 1).await.unwrap();
            let message = i32::try_from(number).unwrap();
            memory
                .prompted(7, Prompt { chat: 7, message, request: request(number), value: json!("approved") })
                .await
                .unwrap();
            memory.copied(request(number), 7, message).await.unwrap();
        }
        assert!(memory.ticked(7, request(0)).await.unwrap().is_empty());
        assert!(!memory.ticked(7, request(1)).await.unwrap().is_empty());
        assert!(memory.prompt(7, 7, 0).await.unwrap().is_none());
        assert_eq!(memory.prompt(7, 7, 1).await.unwrap().unwrap().request, request(1));
        assert!(memory.prompt(8, 7, 1).await.unwrap().is_none(), "somebody else's");
        assert_eq!(
            (memory.copy_of(7, 0).await.unwrap(), memory.copy_of(7, 1).await.unwrap()),
            (None, Some(request(1)))
        );
        assert_eq!(memory.copies(request(1), 7).await.unwrap(), [1]);
        memory.forget_copies(7, &[1]).await.unwrap();
        assert_eq!(memory.copies(request(1), 7).await.unwrap(), [0; 0]);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_begun_anew() {
        let vault = Arc::new(MemoryVault::default());
        vault.compare_and_swap("telegram/telegram/42/person/7", None, Some("[]".into())).await.unwrap();
        let memory = memory(vault);
        assert_eq!(memory.tick(7, request(1), 2, 100).await.unwrap(), [2].into());
    }

    #[tokio::test]
    async fn a_change_that_others_are_always_faster_than_is_told_again_later() {
        let memory = memory(Arc::new(Contended));
        assert_eq!(memory.tick(7, request(1), 2, 100).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(memory.or_make("secret", || "x".into()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn every_server_gets_the_same_secret() {
        let vault: Arc<dyn Vault> = Arc::new(MemoryVault::default());
        let made = memory(vault.clone()).or_make("secret", || "first".into()).await.unwrap();
        let found = memory(vault).or_make("secret", || "second".into()).await.unwrap();
        assert_eq!((made.expose_secret(), found.expose_secret()), ("first", "first"));
    }
}
