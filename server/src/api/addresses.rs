//! Where people are reached.

use std::sync::Arc;

use hearback_core::{
    channel::{Address, ChannelName},
    error::FieldError,
    hub::Channels,
    id::UserId,
};
use poem_openapi::{OpenApi, param::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Tag,
    answer::{Created, Json},
    body::Body,
    list::Page,
    problem::{Problem, ProblemKind},
    users::no_such_account,
};
use crate::{
    account::{AddressAdded, AddressDocument, NewAddress},
    app::App,
    auth::{Administrator, SignedIn},
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

impl AddressDraft {
    fn check(&self, channels: &Channels) -> Result<(), Problem> {
        let by_account = match channels.get(&self.channel) {
            Some(running) if !running.channel().capabilities().account_addresses => return Ok(()),
            found => found.is_some(),
        };
        let detail = if by_account {
            "this channel knows people by their account: they need no address on it".into()
        } else {
            format!("there is no channel named `{}`", self.channel)
        };
        let addressed = channels.iter().map(|running| running.channel());
        let addressed = addressed.filter(|channel| !channel.capabilities().account_addresses);
        let names = addressed.map(|channel| channel.name().to_string());
        Err(Problem::invalid(vec![FieldError::new("channel", detail).allowing(names)]))
    }
}

/// The operations.
pub struct AddressesApi(pub Arc<App>);

impl AddressesApi {
    async fn of(&self, user: UserId) -> Result<Json<Page<AddressDocument>>, Problem> {
        Ok(Json(Page { items: self.0.accounts.addresses(user).await?, next_cursor: None }))
    }
}

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
        self.of(user).await
    }

    /// Give a person an address
    ///
    /// It counts as confirmed: what is asked of the person goes there from now on, also what nobody could deliver before, and
    /// what comes from there is believed to be theirs. It takes the place of the one that they had on that channel. Giving the
    /// same one again is answered the same. For administrators.
    #[oai(path = "/users/:id/addresses", method = "post", operation_id = "add_address")]
    async fn add(
        &self,
        Administrator(_principal): Administrator,
        id: Path<Uuid>,
        body: Body<AddressDraft>,
    ) -> Result<Created<AddressDocument>, Problem> {
        body.value.check(self.0.hub.channels())?;
        let AddressDraft { channel, address } = body.value;
        let document = AddressDocument { channel: channel.clone(), address: address.clone(), confirmed: true };
        let new = NewAddress { user: id.0.into(), channel, address, at: self.0.clock.now() };
        let _wake = self.0.hub.routes_change();
        match self.0.accounts.add_address(new).await? {
            AddressAdded::Theirs => Created::new(&document),
            AddressAdded::NoSuchPerson => Err(no_such_account()),
            AddressAdded::Taken(owner) => {
                let detail = format!("This address is {}'s.", owner.username);
                let fault = FieldError::new("address", "already taken");
                Err(Problem::new(ProblemKind::Taken, detail).with_errors(vec![fault]))
            }
        }
    }

    /// Your addresses
    ///
    /// By channel. For people.
    #[oai(path = "/me/addresses", method = "get", operation_id = "list_my_addresses")]
    async fn mine(&self, SignedIn(person): SignedIn) -> Result<Json<Page<AddressDocument>>, Problem> {
        self.of(person.user.id).await
    }
}
