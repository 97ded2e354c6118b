//! Other servers' commits, told on this server: their events to its bus, and which tokens and sign-ins are over.
//!
//! The bus promises its listeners the order of the log. A commit of this server may come before word of another's that was
//! committed earlier, so whoever publishes first reads what lies between from the log: numbers are given without gaps, and
//! whatever is committed has everything before it committed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hearback_core::event::Work;
use sqlx::{
    Executor,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::{
    select,
    sync::{Mutex, Notify},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use uuid::Uuid;

use super::open;
use crate::{
    account::Over,
    digest,
    storage::sql::{self, Audience, Fault, News, session::Pool},
};

/// The name that servers notify each other by, within one database.
const CHANNEL: &str = "hearback";
/// How many ended tokens and sign-ins one notification tells of: it holds 8,000 bytes.
const OVER_MAX: usize = 150;
/// How many events are read at once.
const PAGE: u32 = 256;
/// How often the connection and the log are looked at, whatever is heard.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long after a fault the listener tries again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a connection may take to be made, or to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What this server has told of the log.
#[derive(Debug)]
pub(super) struct Relay {
    readers: Pool,
    audience: Audience,
    /// Which server this is, to tell its own notifications.
    server: String,
    /// The newest event that was published here.
    published: Mutex<u64>,
    /// Told when a commit got no answer.
    doubt: Notify,
    stop: CancellationToken,
}

/// A connection that listens. It is never made anew by itself, since nobody would hear of that.
async fn connect(options: &PgConnectOptions) -> Result<PgListener, Fault> {
    let connect = async {
        let mut listener = PgListener::connect_with(&open::pool_of_one(options.clone())).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    };
    let connected: Result<_, sqlx::Error> =
        timeout(ANSWER_MAX, connect).await.map_err(|_| Fault::unavailable("the database does not answer"))?;
    Ok(connected?)
}

impl Relay {
    /// Goes on after the newest event there is.
    pub(super) async fn new(readers: Pool, audience: Audience) -> Result<Arc<Self>, Fault> {
        let head = sql::head(&readers).await?;
        let (server, stop) = (digest::random_text(), CancellationToken::new());
        Ok(Arc::new(Self { readers, audience, server, published: Mutex::new(head), doubt: Notify::new(), stop }))
    }

    /// The newest event that was published here.
    pub(super) async fn head(&self) -> u64 {
        *self.published.lock().await
    }

    /// The statements that tell the other servers of a commit: one, unless very much is over at once.
    pub(super) fn notify(&self, head: u64, news: &News) -> String {
        let (server, over) = (&self.server, news.over.chunks(OVER_MAX));
        let words: Vec<String> = over.map(|over| over.iter().map(|over| word(*over)).collect()).collect();
        let work: String = news.work.iter().map(ToString::to_string).collect();
        let notify = |words: &str| format!("NOTIFY {CHANNEL}, '{server} {head} -{work}{words}'; ");
        if words.is_empty() { notify("") } else { words.iter().map(|words| notify(words)).collect() }
    }

    /// Tells what this server has just committed, after everything before it.
    pub(super) async fn tell_own(&self, news: News) {
        self.audience.tell_over(news.over);
        let Some(first) = news.events.first() else { return };
        let mut published = self.published.lock().await;
        let before = first.id.0.saturating_sub(1);
        if let Err(Fault(error)) = self.catch_up(&mut published, before).await {
            // The listener reads all of it, these too, at its next look.
            warn!(%error, "events of other servers could not be read");
            return;
        }
        // Another look may have been faster.
        let events: Vec<_> = news.events.into_iter().filter(|event| event.id.0 > *published).collect();
        if let Some(last) = events.last() {
            *published = last.id.0;
            self.audience.bus.publish(&events);
        }
    }

    /// Publishes everything up to `head` that was not.
    async fn catch_up(&self, published: &mut u64, head: u64) -> Result<(), Fault> {
        while *published < head {
            let events = sql::log(&self.readers, *published, head, PAGE).await?;
            let Some(last) = events.last() else {
                // What was removed from the log is old: nobody waits for it.
                *published = head;
                return Ok(());
            };
            *published = last.id.0;
            self.audience.bus.publish(&events);
        }
        Ok(())
    }

    async fn look(&self, head: Option<u64>) -> Result<(), Fault> {
        let mut published = self.published.lock().await;
        let head = match head {
            Some(head) => head,
            None => sql::head(&self.readers).await?,
        };
        self.catch_up(&mut published, head).await
    }

    /// Hears of other servers' commits until the storage is closed.
    pub(super) async fn listen(self: Arc<Self>, options: PgConnectOptions) -> Result<(), Fault> {
        let listener = connect(&options).await?;
        let stop = self.stop.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(self.hear(listener, options)).await;
        });
        Ok(())
    }

    /// Hears on one connection after another.
    async fn hear(&self, mut listener: PgListener, options: PgConnectOptions) {
        loop {
            let Err(Fault(error)) = self.hear_on(&mut listener).await;
            error!(%error, "news of other servers could not be heard");
            listener = loop {
                sleep(PAUSE).await;
                match connect(&options).await {
                    Ok(listener) => break listener,
                    Err(Fault(error)) => error!(%error, "no connection to hear of other servers by"),
                }
            };
            // Events that cannot be read now are read at the next look.
            let _ = self.make_up().await;
        }
    }

    /// Hears on one connection until that is lost, or what was said cannot be looked at.
    async fn hear_on(&self, listener: &mut PgListener) -> Result<Infallible, Fault> {
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            select! {
                heard = timeout_at(look_at, listener.try_recv()) => match heard {
                    Ok(Ok(Some(notification))) => self.read(notification.payload()).await?,
                    Ok(Ok(None)) => return Err(Fault::unavailable("the connection was lost")),
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_) => {
                        look_at = Instant::now() + LOOK_EVERY;
                        // It can be dead without saying so.
                        let asked = timeout(ANSWER_MAX, (&mut *listener).execute("SELECT 1")).await;
                        asked.map_err(|_| Fault::unavailable("the connection does not answer"))??;
                        self.look(None).await?;
                    }
                },
                () = self.doubt.notified() => self.make_up().await?,
            }
        }
    }

    /// Nobody knows what was said meanwhile: whoever has to know asks.
    async fn make_up(&self) -> Result<(), Fault> {
        self.audience.tell_over([Over::Unknown]);
        for work in Work::ALL {
            self.audience.bus.wake(work);
        }
        self.look(None).await
    }

    /// A commit of this server got no answer: what it told the others may be so, and nobody was told of it here.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Tells what another server's notification says; this server's own says nothing new.
    async fn read(&self, payload: &str) -> Result<(), Fault> {
        let mut words = payload.split(' ');
        let (server, head) = (words.next().unwrap_or_default(), words.next().and_then(|head| head.parse().ok()));
        if server == self.server {
            return Ok(());
        }
        let work = words.next().unwrap_or_default().chars();
        // What a newer server may say besides is not known here.
        for work in work.filter_map(|letter| letter.to_string().parse().ok()) {
            self.audience.bus.wake(work);
        }
        self.audience.tell_over(words.map(over));
        self.look(head).await
    }

    /// Ends the listening.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// How a notification says what is over, after a space.
fn word(over: Over) -> String {
    match over {
        Over::Token(id) => format!(" t{}", id.uuid().simple()),
        Over::SignIn(id) => format!(" s{}", id.simple()),
        Over::Account(id) => format!(" a{}", id.uuid().simple()),
        Over::Unknown => " ?".into(),
    }
}

/// What such a word says. What a newer server may say besides is not known here: whoever has to know asks.
fn over(word: &str) -> Over {
    let mut letters = word.chars();
    match (letters.next(), letters.as_str().parse::<Uuid>()) {
        (Some('t'), Ok(token)) => Over::Token(token.into()),
        (Some('s'), Ok(sign_in)) => Over::SignIn(sign_in),
        (Some('a'), Ok(account)) => Over::Account(account.into()),
        _ => Over::Unknown,
    }
}
