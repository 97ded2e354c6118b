//! Where people are reached, as they say themselves: an address counts once the code that was sent there came back.

use std::sync::Arc;

use hearback_core::{
    Error, ErrorKind, Retry, Timestamp,
    channel::{Address, ChannelName},
    error::FieldError,
    hub::{Code, Running},
    id::{AddressId, UserId},
    secret::{ExposeSecret, Secret},
};
use poem_openapi::{OpenApi, param::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Tag,
    addresses::{AddressClaimDraft, AddressDraft, Claimed},
    answer::{Created, Json, NoContent},
    body::Body,
    limits::{Counted, Limited},
    list::Page,
    problem::{Problem, ProblemKind},
};
use crate::{
    account::{
        AddressClaim, AddressClaimed, AddressDocument, CODE_DIGITS, CODE_LIFE, CODE_PAUSE, CodeShown, LinkDocument,
        LinkOffer, ShownCode, WAITING_MAX, new_code, new_link_code,
    },
    app::App,
    auth::{Person, SignedIn},
    digest::sha256,
};

/// The path of the operations, as the document writes it.
pub(super) const PATH: &str = "/api/me/addresses";

/// A code that came to an address.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressCode {
    /// The 8 digits; spaces between them do not count.
    #[schemars(with = "String", regex(pattern = r"^\s*([0-9]\s*){8}$"))]
    pub code: Secret,
}

impl AddressCode {
    fn check(self) -> Result<Secret, Problem> {
        let code: String = self.code.expose_secret().split_whitespace().collect();
        if code.len() == CODE_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(code.into());
        }
        Err(Problem::invalid(vec![FieldError::new(
            "code",
            format!("expected the {CODE_DIGITS} digits that were sent"),
        )]))
    }
}

/// An address that waits for its confirmation or is confirmed already, or a link.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum AddressOrLink {
    /// With `address` in the body: the address.
    Address(AddressDocument),
    /// Without: the link.
    Link(LinkDocument),
}

/// The operations.
pub struct MyAddressesApi(pub Arc<App>);

impl MyAddressesApi {
    async fn claim_any(&self, person: &Person, draft: AddressClaimDraft) -> Result<Created<AddressOrLink>, Problem> {
        let made = match draft.split(self.0.hub.channels())? {
            Claimed::Address(draft) => AddressOrLink::Address(self.wait_for(person, draft).await?),
            Claimed::Link(running) => AddressOrLink::Link(self.link(person, running).await?),
        };
        Created::new(&made)
    }

    /// A link to a channel, whose code is kept before anybody can open it.
    async fn link(&self, person: &Person, running: &Running) -> Result<LinkDocument, Problem> {
        let (channel, code) = (running.channel(), new_link_code());
        let link = channel.link(&code).await.map_err(|error| no_link(channel.name(), &error))?;
        let expires_at = self.0.clock.now().after(CODE_LIFE);
        let hash = sha256(code.expose_secret().as_bytes());
        let offer = LinkOffer { user: person.user.id, channel: channel.name().clone(), hash, expires_at };
        self.0.accounts.offer_link(offer).await?;
        Ok(LinkDocument { link, code: code.expose_secret().into(), expires_at })
    }

    async fn wait_for(&self, person: &Person, draft: AddressDraft) -> Result<AddressDocument, Problem> {
        let (running, address) = draft.check(self.0.hub.channels(), true)?;
        let (user, code, at) = (person.user.id, new_code(), self.0.clock.now());
        let (id, channel) = (self.0.ids.next(), running.channel().name().clone());
        let claim = AddressClaim { id, user, channel, address, code: code.clone(), at };
        match self.0.accounts.claim_address(claim).await? {
            AddressClaimed::Confirmed(address) => Ok(address),
            AddressClaimed::Waiting(waiting) => {
                self.send(user, (&waiting.channel, &waiting.address), code, at).await?;
                Ok(waiting)
            }
            AddressClaimed::TooSoon(next) => {
                let detail = "A code was sent to this address less than a minute ago.";
                Err(Problem::new(ProblemKind::TooManyRequests, detail).with_retry_after(next.since(at)))
            }
            AddressClaimed::TooMany => {
                let detail = format!(
                    "{WAITING_MAX} other addresses of yours wait for their confirmation, or did within {} minutes: confirm \
                     or delete one, or wait.",
                    CODE_LIFE.as_secs() / 60
                );
                Err(Problem::new(ProblemKind::TooManyRequests, detail).with_retry_after(CODE_LIFE))
            }
        }
    }

    async fn take_code(
        &self,
        person: &Person,
        id: AddressId,
        code: AddressCode,
    ) -> Result<Json<AddressDocument>, Problem> {
        let channels = self.0.hub.channels().iter().map(|running| running.channel());
        let email = channels.filter(|channel| channel.capabilities().email_addresses);
        let shown = ShownCode {
            user: person.user.id,
            id,
            code: code.check()?,
            email_channels: email.map(|channel| channel.name().clone()).collect(),
            at: self.0.clock.now(),
        };
        let _wake = self.0.hub.routes_change();
        match self.0.accounts.confirm_address(shown).await? {
            CodeShown::Confirmed(address) => Ok(Json(address)),
            CodeShown::Wrong(left) => {
                let then = match left {
                    0 => "and was the last try: POST the address again for another".to_owned(),
                    1 => "1 try is left".to_owned(),
                    left => format!("{left} tries are left"),
                };
                Err(Problem::invalid(vec![FieldError::new("code", format!("is not the one that was sent; {then}"))]))
            }
            CodeShown::Stale => {
                let detail = "No code for this address is good any more. POST the address again for another.";
                Err(Problem::new(ProblemKind::Expired, detail))
            }
            // Only who reads what comes there hears this, and not whose it is.
            CodeShown::Taken => {
                let detail = "Another account has this address: it has to be taken away there first.";
                let fault = FieldError::new("address", "already taken");
                Err(Problem::new(ProblemKind::Taken, detail).with_errors(vec![fault]))
            }
            CodeShown::NotFound => Err(not_yours()),
        }
    }

    async fn take_away(&self, person: &Person, id: AddressId) -> Result<NoContent, Problem> {
        if self.0.accounts.remove_address(person.user.id, id).await? { Ok(NoContent) } else { Err(not_yours()) }
    }

    /// Sends a code; the problem says why it could not be sent.
    async fn send(
        &self,
        user: UserId,
        to: (&ChannelName, &Address),
        code: Secret,
        at: Timestamp,
    ) -> Result<(), Problem> {
        let locale = self.0.accounts.preferences(user).await?.and_then(|preferences| preferences.locale);
        let code = Code { code, expires_at: at.after(CODE_LIFE), locale };
        self.0.hub.send_code(to.0, to.1, code).await.map_err(|error| not_sent(to.0, &error))
    }
}

fn not_sent(channel: &ChannelName, error: &Error) -> Problem {
    let wait = match error.retry() {
        Retry::After(wait) => wait.max(CODE_PAUSE),
        Retry::Never | Retry::Backoff => CODE_PAUSE,
    };
    let reason = error.detail();
    match error.kind() {
        ErrorKind::RateLimited => {
            let detail = format!("`{channel}` takes no more codes for now: {reason}.");
            Problem::new(ProblemKind::TooManyRequests, detail).with_retry_after(wait)
        }
        ErrorKind::Unavailable => {
            let detail = format!("`{channel}` takes no code now: {reason}.");
            Problem::new(ProblemKind::Unavailable, detail).with_retry_after(wait)
        }
        ErrorKind::Ambiguous => {
            let detail = format!("It is not known whether the code arrived: {reason}. If it does, it is good.");
            Problem::new(ProblemKind::Undeliverable, detail).with_retry_after(wait)
        }
        _ => Problem::new(ProblemKind::Undeliverable, format!("`{channel}` did not take the code: {reason}.")),
    }
}

fn no_link(channel: &ChannelName, error: &Error) -> Problem {
    let detail = format!("`{channel}` cannot be linked now: {}.", error.detail());
    match error.retry() {
        Retry::Never => Problem::new(ProblemKind::Undeliverable, detail),
        Retry::After(wait) => Problem::new(ProblemKind::Unavailable, detail).with_retry_after(wait),
        Retry::Backoff => Problem::new(ProblemKind::Unavailable, detail).with_retry_after(CODE_PAUSE),
    }
}

fn not_yours() -> Problem {
    Problem::not_found("You have no address with this id.")
}

#[OpenApi(prefix_path = "/api/me/addresses", tag = "Tag::Users")]
impl MyAddressesApi {
    /// Your addresses
    ///
    /// By channel. For people.
    #[oai(path = "/", method = "get", operation_id = "list_my_addresses")]
    async fn list(&self, SignedIn(person): SignedIn) -> Result<Json<Page<AddressDocument>>, Problem> {
        Ok(Json(Page { items: self.0.accounts.addresses(person.user.id).await?, next_cursor: None }))
    }

    /// Say where you are reached
    ///
    /// A code of 8 digits is sent there, which confirms the address at `POST /api/me/addresses/{id}/confirm`. It is good for
    /// 10 minutes. The same address again gets another code, a minute after the one before at the earliest; one that is
    /// confirmed as yours gets none. At most 5 addresses may wait for their confirmation. Where the channel does not take the
    /// code, the answer says so.
    ///
    /// On a channel with the capability `links`, the body without `address` is answered with a link: open it in the channel's
    /// app, and the account that opens it is linked to yours. It is good for 10 minutes and once, and the next one takes its
    /// place. For people.
    #[oai(path = "/", method = "post", operation_id = "claim_address")]
    async fn claim(
        &self,
        SignedIn(person): SignedIn,
        body: Body<AddressClaimDraft>,
    ) -> Result<Limited<Created<AddressOrLink>>, Problem> {
        let counted = Counted::of(&self.0, &person, None).await?;
        counted.with(self.claim_any(&person, body.value).await)
    }

    /// Confirm an address
    ///
    /// With the code that was sent there, which is good once; 5 wrong ones use it up. From now on what is asked of you goes
    /// there, also what nobody could deliver before, and what comes from there is believed to be yours. It takes the place of
    /// the one that you had on that channel. On a channel of e-mail, your account's own e-mail is confirmed by it: you can be
    /// asked by it. For people.
    #[oai(path = "/:id/confirm", method = "post", operation_id = "confirm_address")]
    async fn confirm(
        &self,
        SignedIn(person): SignedIn,
        id: Path<Uuid>,
        body: Body<AddressCode>,
    ) -> Result<Limited<Json<AddressDocument>>, Problem> {
        let counted = Counted::of(&self.0, &person, None).await?;
        counted.with(self.take_code(&person, id.0.into(), body.value).await)
    }

    /// Take an address of yours away
    ///
    /// What is out there stays; the next delivery goes elsewhere, and what comes from there is nobody's. For people.
    #[oai(path = "/:id", method = "delete", operation_id = "remove_my_address")]
    async fn remove(&self, SignedIn(person): SignedIn, id: Path<Uuid>) -> Result<Limited<NoContent>, Problem> {
        let counted = Counted::of(&self.0, &person, None).await?;
        counted.with(self.take_away(&person, id.0.into()).await)
    }
}
