//! Where people are reached, as administrators say. What people say themselves is in `my_addresses.rs`.

use std::sync::Arc;

use hearback_core::{
    channel::{Address, ChannelName},
    error::FieldError,
    hub::{Channels, Running},
};
use poem_openapi::{OpenApi, param::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Tag,
    answer::{Created, Json, NoContent},
    body::Body,
    list::Page,
    problem::{Problem, ProblemKind},
    users::no_such_account,
};
use crate::{
    account::{AddressAdded, AddressDocument, NewAddress},
    app::App,
    auth::Administrator,
};

/// An address to give a person.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressDraft {
    /// The name of a channel that knows people by addresses.
    pub channel: ChannelName,
    /// Where the person is reached there, in the channel's own manner: 1 to 512 bytes without control characters.
    pub address: Address,
}

/// An address that a person says is theirs, or the channel alone, to get a link there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressClaimDraft {
    /// The name of a channel that knows people by addresses.
    pub channel: ChannelName,
    /// Where you are reached there, in the channel's own manner: 1 to 512 bytes without control characters. Without it you get
    /// a link, where the channel links accounts.
    #[serde(default)]
    pub address: Option<Address>,
}

impl AddressClaimDraft {
    /// With an address: that. Without: the channel, if it links accounts.
    pub(super) fn split(self, channels: &Channels) -> Result<Claimed<'_>, Problem> {
        let Self { channel, address } = self;
        if let Some(address) = address {
            return Ok(Claimed::Address(AddressDraft { channel, address }));
        }
        let links = |running: &Running| running.channel().capabilities().links;
        let detail = match channels.get(&channel) {
            Some(running) if links(running) => return Ok(Claimed::Link(running)),
            Some(running) if running.channel().capabilities().account_addresses => {
                "this channel knows people by their account: they need no address on it".to_owned()
            }
            Some(_) => {
                let detail = "is needed: this channel links no accounts";
                return Err(Problem::invalid(vec![FieldError::new("address", detail)]));
            }
            None => format!("there is no channel named `{channel}`"),
        };
        let names =
            channels.iter().filter(|running| links(running)).map(|running| running.channel().name().to_string());
        Err(Problem::invalid(vec![FieldError::new("channel", detail).allowing(names)]))
    }
}

/// What somebody says of where they are reached.
#[derive(Debug)]
pub(super) enum Claimed<'a> {
    /// It is this address.
    Address(AddressDraft),
    /// It will be the one from which they open a link to this channel.
    Link(&'a Running),
}

impl AddressDraft {
    /// The channel, if it knows people by addresses, and, where a code is to be sent, carries that; and the address as it is
    /// kept.
    pub(super) fn check(self, channels: &Channels, with_code: bool) -> Result<(&Running, Address), Problem> {
        let takes = |running: &Running| {
            let can = running.channel().capabilities();
            !can.account_addresses && (can.messages || !with_code)
        };
        let detail = match channels.get(&self.channel) {
            Some(running) if takes(running) && !running.channel().is_personal(&self.address) => {
                let detail = "is not one person's own, as a group is not: name it in a request's `channels`";
                return Err(Problem::invalid(vec![FieldError::new("address", detail)]));
            }
            Some(running) if takes(running) => return Ok((running, running.usual(self.address))),
            Some(running) if running.channel().capabilities().account_addresses => {
                "this channel knows people by their account: they need no address on it".into()
            }
            Some(_) => "this channel carries no codes: an administrator gives people their addresses on it".into(),
            None => format!("there is no channel named `{}`", self.channel),
        };
        let names =
            channels.iter().filter(|running| takes(running)).map(|running| running.channel().name().to_string());
        Err(Problem::invalid(vec![FieldError::new("channel", detail).allowing(names)]))
    }
}

/// The operations.
pub struct AddressesApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api", tag = "Tag::Users")]
impl AddressesApi {
    /// List a person's addresses
    ///
    /// By channel. For administrators.
    #[oai(path = "/users/:id/addresses", method = "get", operation_id = "list_addresses")]
    async fn list(
        &self,
        Administrator(_principal): Administrator,
        id: Path<Uuid>,
    ) -> Result<Json<Page<AddressDocument>>, Problem> {
        let user = id.0.into();
        if self.0.accounts.account(user).await?.is_none() {
            return Err(no_such_account());
        }
        Ok(Json(Page { items: self.0.accounts.addresses(user).await?, next_cursor: None }))
    }

    /// Give a person an address
    ///
    /// It counts as confirmed: what is asked of the person goes there from now on, also what nobody could deliver before, and
    /// what comes from there is believed to be theirs. It takes the place of the one that they had on that channel. Giving the
    /// same one again is answered the same. On a channel of e-mail, the account's own e-mail is confirmed by it. For
    /// administrators.
    #[oai(path = "/users/:id/addresses", method = "post", operation_id = "add_address")]
    async fn add(
        &self,
        Administrator(_principal): Administrator,
        id: Path<Uuid>,
        body: Body<AddressDraft>,
    ) -> Result<Created<AddressDocument>, Problem> {
        let (running, address) = body.value.check(self.0.hub.channels(), false)?;
        let channel = running.channel().name().clone();
        let is_email = running.channel().capabilities().email_addresses;
        let (id, user, at) = (self.0.ids.next(), id.0.into(), self.0.clock.now());
        let new = NewAddress { id, user, channel: channel.clone(), address: address.clone(), is_email, at };
        let _wake = self.0.hub.routes_change();
        match self.0.accounts.add_address(new).await? {
            AddressAdded::Theirs(id) => Created::new(&AddressDocument {
                id,
                channel,
                address,
                confirmed: true,
                expires_at: None,
                blocked_at: None,
            }),
            AddressAdded::NoSuchPerson => Err(no_such_account()),
            AddressAdded::Taken(owner) => {
                let detail = format!("This address is {}'s.", owner.username);
                let fault = FieldError::new("address", "already taken");
                Err(Problem::new(ProblemKind::Taken, detail).with_errors(vec![fault]))
            }
        }
    }

    /// Take an address away from a person
    ///
    /// What is out there stays; the next delivery goes elsewhere, and what comes from there is nobody's. For administrators.
    #[oai(path = "/users/:id/addresses/:address_id", method = "delete", operation_id = "remove_address")]
    async fn remove(
        &self,
        Administrator(_principal): Administrator,
        id: Path<Uuid>,
        address_id: Path<Uuid>,
    ) -> Result<NoContent, Problem> {
        if self.0.accounts.remove_address(id.0.into(), address_id.0.into()).await? {
            return Ok(NoContent);
        }
        Err(Problem::not_found("This person has no address with this id."))
    }
}
