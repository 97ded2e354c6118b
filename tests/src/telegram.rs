//! A Bot API over real HTTP that does what it is told to: refusals, hangs, cut connections, blocked chats, a webhook that
//! vanishes. What Telegram documents of the methods that the hub uses, it does.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    sync::{Notify, watch},
};

/// The token of the bot.
pub const TOKEN: &str = "4242:AAF-secret_of-the-bot_7hQ";
/// Its name.
pub const USERNAME: &str = "hearback_test_bot";

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// Nothing: what is ordered next is for the call after it.
    Nothing,
    /// It is refused: the status, the description, and `parameters.retry_after`.
    Refused(u16, String, Option<u64>),
    /// It is refused like that, and the description repeats everything that was sent.
    Repeats(u16, Option<u64>),
    /// It is answered as if all were well, with what was sent where something else is to stand.
    Echoes,
    /// It is taken and never answered.
    Hangs,
    /// It is taken and the connection cut.
    Cut,
    /// It is refused, since the group has another number now.
    Moved(String, i64),
    /// It is answered with a bot that has no name.
    Nameless,
    /// It is answered by something that is no Bot API.
    Page(u16),
}

/// A message that the bot has sent, as it stands.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its chat.
    pub chat: String,
    /// Its id.
    pub id: i32,
    /// All of its fields, as they were sent and edited.
    pub fields: Value,
    /// How often it was edited.
    pub edits: usize,
}

impl Message {
    /// Its text, with tags.
    #[must_use]
    pub fn text(&self) -> &str {
        self.fields["text"].as_str().unwrap_or_default()
    }

    /// Its buttons, in their order: what they show, and what they say or where they lead.
    #[must_use]
    pub fn buttons(&self) -> Vec<(String, String)> {
        let rows = self.fields["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
        let buttons = rows.iter().filter_map(Value::as_array).flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        buttons
            .map(|button| {
                let says = button["callback_data"].as_str().or_else(|| button["url"].as_str()).unwrap_or_default();
                (text(&button["text"]), says.to_owned())
            })
            .collect()
    }

    /// What the button says that shows this.
    ///
    /// # Panics
    ///
    /// There is none.
    #[must_use]
    pub fn button(&self, shows: &str) -> String {
        let buttons = self.buttons();
        let found = buttons.iter().find(|(text, _)| text.contains(shows));
        found.unwrap_or_else(|| panic!("no button {shows}: {buttons:?}")).1.clone()
    }
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<(String, Value)>,
    messages: Vec<Message>,
    wrong: HashMap<String, VecDeque<Wrong>>,
    blocked: HashSet<String>,
    deleted: HashSet<i32>,
    updates: BTreeMap<i64, Value>,
    next_update: i64,
    webhook: Value,
    answers: Vec<Value>,
}

/// The Bot API, for one bot.
#[derive(Debug)]
pub struct BotApi {
    port: u16,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    hanging: Notify,
}

impl BotApi {
    /// Begins to listen.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Mutex::new(State { next_update: 1, ..State::default() });
        let api = Arc::new(Self { port, state, changed: watch::Sender::new(0), hanging: Notify::new() });
        let serving = Arc::downgrade(&api);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(api) = serving.upgrade() else { return };
                tokio::spawn(api.serve(stream));
            }
        });
        api
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Orders what goes wrong with the next call of a method, after those that were ordered before.
    pub fn wrong(&self, method: &str, wrong: Wrong) {
        self.state().wrong.entry(method.to_lowercase()).or_default().push_back(wrong);
    }

    /// Lets a chat block the bot, or take that back.
    pub fn block(&self, chat: &str, blocked: bool) {
        let set = &mut self.state().blocked;
        if blocked {
            set.insert(chat.into())
        } else {
            set.remove(chat)
        };
    }

    /// Deletes a message in everybody's app.
    pub fn delete(&self, message: i32) {
        self.state().deleted.insert(message);
    }

    /// Returns when a call has come to a hang.
    pub async fn hangs(&self) {
        self.hanging.notified().await;
    }

    /// Every call so far: its method, and its parameters.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.state().calls.clone()
    }

    /// The parameters of the calls of one method.
    #[must_use]
    pub fn calls_of(&self, method: &str) -> Vec<Value> {
        let calls = self.calls().into_iter();
        calls.filter(|(called, _)| called.eq_ignore_ascii_case(method)).map(|(_, body)| body).collect()
    }

    /// Every message so far, as it stands, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    /// The texts by which taps were answered, oldest first.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        self.state().answers.iter().map(|answer| answer["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The webhook: `url`, `secret_token` and all that was set with it; null when there is none.
    #[must_use]
    pub fn webhook(&self) -> Value {
        self.state().webhook.clone()
    }

    /// Puts another webhook there, or none, behind the hub's back.
    pub fn replace_webhook(&self, webhook: Value) {
        self.state().webhook = webhook;
        self.note();
    }

    /// Tells an update to whoever polls, and says which number it has.
    pub fn tell(&self, mut update: Value) -> i64 {
        let id = {
            let mut state = self.state();
            let id = state.next_update;
            state.next_update += 1;
            update["update_id"] = id.into();
            state.updates.insert(id, update);
            id
        };
        self.note();
        id
    }

    /// Tells an update that was confirmed, as if it had not been.
    pub fn tell_again(&self, number: i64, mut update: Value) {
        update["update_id"] = number.into();
        self.state().updates.insert(number, update);
        self.note();
    }

    /// Returns once something holds; looks whenever anything has changed.
    ///
    /// # Panics
    ///
    /// It does not hold within half a minute.
    pub async fn until<T>(&self, what: &str, mut holds: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = holds(self) {
                    return found;
                }
                // It fails only when the sender is gone, which `self` holds.
                let _ = changed.changed().await;
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(30), found).await;
        within.unwrap_or_else(|_| {
            let calls = self.calls();
            let called: Vec<_> = calls.iter().rev().take(5).map(|(method, body)| format!("{method} {body}")).collect();
            panic!("{what}, in vain; called last:\n{}", called.join("\n"))
        })
    }

    /// The newest message to a chat, once there are this many.
    pub async fn message(&self, chat: &str, count: usize) -> Message {
        self.until(&format!("message {count} to {chat}"), |api| {
            let messages: Vec<_> = api.messages().into_iter().filter(|message| message.chat == chat).collect();
            messages.get(count - 1).cloned()
        })
        .await
    }

    /// A message, once its text holds this.
    pub async fn shows(&self, id: i32, part: &str) -> Message {
        self.until(&format!("`{part}` in message {id}"), |api| {
            api.messages().into_iter().find(|message| message.id == id && message.text().contains(part))
        })
        .await
    }

    /// The answer to the tap with this number, counted from 1.
    pub async fn answer(&self, count: usize) -> String {
        self.until(&format!("the answer to tap {count}"), |api| api.answers().get(count - 1).cloned()).await
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn note(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let Some((path, head, body)) = read(&mut stream).await else { return };
        let Some(method) = path.strip_prefix(&format!("/bot{TOKEN}/")).map(str::to_owned) else {
            let refusal = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
            return write(&mut stream, 401, &refusal.to_string()).await;
        };
        let wrong = {
            let mut state = self.state();
            state.calls.push((method.clone(), body.clone()));
            state.wrong.get_mut(&method.to_lowercase()).and_then(VecDeque::pop_front)
        };
        self.note();
        let echo = || format!("{path}: {head} {body}");
        let refused = |status: u16, description: String, after: Option<u64>| {
            let parameters = after.map_or(Value::Null, |after| json!({"retry_after": after}));
            (status, json!({"ok": false, "error_code": status, "description": description, "parameters": parameters}))
        };
        let (status, answer) = match wrong {
            None | Some(Wrong::Nothing) => {
                let answered = select! {
                    answered = self.take(&method, &body) => answered,
                    // The hub gave up.
                    _ = stream.readable() => return,
                };
                match answered {
                    Ok(result) => (200, json!({"ok": true, "result": result})),
                    Err((status, description)) => refused(status, description.into(), None),
                }
            }
            Some(Wrong::Refused(status, description, after)) => refused(status, description, after),
            Some(Wrong::Moved(description, to)) => {
                let parameters = json!({"migrate_to_chat_id": to});
                let refusal =
                    json!({"ok": false, "error_code": 400, "description": description, "parameters": parameters});
                (400, refusal)
            }
            Some(Wrong::Repeats(status, after)) => refused(status, echo(), after),
            Some(Wrong::Echoes) => (200, json!({"ok": true, "result": {"message_id": echo(), "username": [echo()]}})),
            Some(Wrong::Nameless) => {
                (200, json!({"ok": true, "result": {"id": 4242, "is_bot": true, "first_name": "?"}}))
            }
            Some(Wrong::Page(status)) => {
                return write(&mut stream, status, "<html>this is another server</html>").await;
            }
            Some(Wrong::Cut) => return,
            Some(Wrong::Hangs) => {
                self.hanging.notify_one();
                return std::future::pending().await;
            }
        };
        write(&mut stream, status, &answer.to_string()).await;
    }

    async fn take(&self, method: &str, body: &Value) -> Result<Value, (u16, &'static str)> {
        let chat = || match &body["chat_id"] {
            Value::String(name) => name.clone(),
            id => id.to_string(),
        };
        let done = match method {
            "getMe" => Ok(json!({"id": 4242, "is_bot": true, "first_name": "Hearback", "username": USERNAME})),
            "setMyCommands" | "answerCallbackQuery" | "deleteWebhook" | "setWebhook" => {
                let mut state = self.state();
                match method {
                    "answerCallbackQuery" => state.answers.push(body.clone()),
                    "deleteWebhook" => state.webhook = Value::Null,
                    "setWebhook" => state.webhook = body.clone(),
                    _ => {}
                }
                Ok(Value::Bool(true))
            }
            "getWebhookInfo" => {
                let webhook = self.state().webhook.clone();
                let url = webhook["url"].as_str().unwrap_or_default().to_owned();
                let allowed = webhook["allowed_updates"].clone();
                Ok(json!({"url": url, "has_custom_certificate": false, "pending_update_count": 0,
                    "allowed_updates": allowed}))
            }
            "getUpdates" => return self.updates(body).await,
            "sendMessage" => {
                let chat = chat();
                let mut state = self.state();
                if state.blocked.contains(&chat) {
                    return Err((403, "Forbidden: bot was blocked by the user"));
                }
                let id = i32::try_from(state.messages.len()).unwrap_or_default() + 1;
                state.messages.push(Message { chat: chat.clone(), id, fields: body.clone(), edits: 0 });
                Ok(json!({"message_id": id, "date": 0, "chat": {"id": chat.parse::<i64>().unwrap_or(-100_777),
                    "type": "private"}, "text": body["text"]}))
            }
            "editMessageText" | "editMessageReplyMarkup" => {
                let mut state = self.state();
                let id = body["message_id"].as_i64().unwrap_or_default();
                if state.deleted.iter().any(|deleted| i64::from(*deleted) == id) {
                    return Err((400, "Bad Request: message to edit not found"));
                }
                let Some(message) = state.messages.iter_mut().find(|message| i64::from(message.id) == id) else {
                    return Err((400, "Bad Request: message to edit not found"));
                };
                if message.fields["reply_markup"]["force_reply"] == true {
                    return Err((400, "Bad Request: message can't be edited"));
                }
                let text = if body["text"].is_null() { &message.fields["text"] } else { &body["text"] };
                if *text == message.fields["text"] && body["reply_markup"] == message.fields["reply_markup"] {
                    return Err((400, "Bad Request: message is not modified"));
                }
                message.fields["text"] = text.clone();
                message.fields["reply_markup"] = body["reply_markup"].clone();
                message.edits += 1;
                Ok(json!({"message_id": id}))
            }
            _ => Err((404, "Not Found")),
        };
        self.note();
        done
    }

    /// Holds a poll open until there is something to tell, or its time is over.
    async fn updates(&self, body: &Value) -> Result<Value, (u16, &'static str)> {
        if !self.state().webhook.is_null() {
            return Err((
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first",
            ));
        }
        let mut changed = self.changed.subscribe();
        let from = body["offset"].as_i64().unwrap_or_default();
        let held = async {
            loop {
                let found: Vec<Value> = {
                    let mut state = self.state();
                    state.updates.retain(|id, _| *id >= from);
                    state.updates.values().cloned().collect()
                };
                if !found.is_empty() {
                    return found;
                }
                let _ = changed.changed().await;
            }
        };
        let span = Duration::from_secs(body["timeout"].as_u64().unwrap_or_default());
        Ok(tokio::time::timeout(span, held).await.unwrap_or_default().into())
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, String, Value)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some((path, head, serde_json::from_slice(&bytes[end..]).unwrap_or_default()))
}

async fn write(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // The hub may have given up.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// A tap on a button, as Telegram tells it.
#[must_use]
pub fn tap(from: i64, chat: i64, message: i32, data: &str) -> Value {
    json!({"callback_query": {"id": format!("tap-{from}-{message}"), "from": {"id": from, "is_bot": false,
        "first_name": "Somebody"}, "chat_instance": "1", "data": data, "message": {"message_id": message, "date": 0,
        "chat": chat_of(chat)}}})
}

/// A text, as Telegram tells it; in reply to a message, where it is one.
#[must_use]
pub fn text(from: i64, chat: i64, text: &str, reply_to: Option<i32>) -> Value {
    let replied = reply_to.map_or(Value::Null, |id| json!({"message_id": id, "date": 0, "chat": chat_of(chat)}));
    json!({"message": {"message_id": 9_000, "date": 0, "from": {"id": from, "is_bot": false, "first_name": "Somebody"},
        "chat": chat_of(chat), "text": text, "reply_to_message": replied}})
}

/// How the bot stands in somebody's chat now, as Telegram tells it.
#[must_use]
pub fn member(from: i64, status: &str) -> Value {
    let user = json!({"id": from, "is_bot": false, "first_name": "Somebody"});
    json!({"my_chat_member": {"chat": chat_of(from), "from": user, "date": 0,
        "old_chat_member": {"status": "member"}, "new_chat_member": {"status": status}}})
}

fn chat_of(chat: i64) -> Value {
    json!({"id": chat, "type": if chat > 0 { "private" } else { "supergroup" }})
}
