//! Sending the codes by which people confirm their addresses.

use super::Hub;
use crate::{
    channel::{Address, ChannelName, Content, Outbound, Reach},
    clock::Timestamp,
    error::{Error, ErrorKind, Result, Retry},
    person::Locale,
    secret::Secret,
};

/// A code that confirms an address.
#[derive(Clone, Debug)]
pub struct Code {
    /// The code.
    pub code: Secret,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// The language of the person.
    pub locale: Option<Locale>,
}

const SEND: &str = "hub.send_code";

impl Hub {
    /// Sends a code to an address, once: whoever waits for it asks for another.
    ///
    /// # Errors
    ///
    /// `NotFound` without such a channel, or with nobody at the address; `Unavailable` when the person is not connected,
    /// or the channel takes nothing now; and those of the channel. After `Ambiguous` the code may have arrived.
    pub async fn send_code(&self, channel: &ChannelName, to: &Address, code: Code) -> Result<()> {
        let Some(running) = self.channels.get(channel) else {
            return Err(Error::new(ErrorKind::NotFound, SEND, format!("no channel named `{channel}` is configured")));
        };
        if let Some((reason, wait)) = running.refuses() {
            return Err(Error::new(ErrorKind::Unavailable, SEND, reason).with_retry(Retry::After(wait)).uncalled());
        }
        match running.channel().reach(to).await {
            Reach::Now => {}
            Reach::Later => return Err(Error::new(ErrorKind::Unavailable, SEND, "nobody is connected there now")),
            Reach::Never => return Err(Error::new(ErrorKind::NotFound, SEND, "there is nobody at this address")),
        }
        let Code { code, expires_at, locale } = code;
        let what = Outbound {
            id: self.ids.next(),
            content: Content::Code { code, expires_at },
            answer_url: None,
            thread: None,
            locale: locale.map(|locale| locale.to_string()),
        };
        let sent = running.channel().send(to, &what).await.map(drop);
        running.note(sent.as_ref().copied());
        sent
    }
}
