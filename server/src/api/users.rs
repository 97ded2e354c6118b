//! People, as administrators see them.

use std::sync::Arc;

use hearback_core::id::UserId;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::{
    Tag,
    answer::{Created, Json},
    body::Body,
    idempotency::IdempotencyKey,
    list::{Cursor, Limit, Page},
    problem::Problem,
};
use crate::{
    account::UserDocument,
    app::App,
    auth::{AccountChanges, Administrator, CreatedServiceUser, NewServiceUser},
};

const SERVICE: &str = "/api/users/service";

const CURSOR: Cursor = Cursor::of("users");

/// The operations.
pub struct UsersApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/users", tag = "Tag::Users")]
impl UsersApi {
    /// List the accounts
    ///
    /// Newest first. For administrators.
    #[oai(path = "/", method = "get", operation_id = "list_users")]
    async fn list(
        &self,
        Administrator(_principal): Administrator,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// The most items of the page.
        limit: Query<Option<Limit>>,
    ) -> Result<Json<Page<UserDocument>>, Problem> {
        let before = CURSOR.read::<UserId>(cursor.0.as_deref())?;
        let page = self.0.accounts.accounts(before, Limit::or_default(limit.0)).await?;
        let items = page.items.into_iter().map(UserDocument::from).collect();
        Ok(Json(CURSOR.page(items, page.more, |user: &UserDocument| user.id.uuid())))
    }

    /// Read an account
    ///
    /// For administrators.
    #[oai(path = "/:id", method = "get", operation_id = "get_user")]
    async fn read(
        &self,
        Administrator(_principal): Administrator,
        id: Path<Uuid>,
    ) -> Result<Json<UserDocument>, Problem> {
        let account = self.0.accounts.account(id.0.into()).await?;
        Ok(Json(account.ok_or_else(no_such_account)?.into()))
    }

    /// Change an account
    ///
    /// What is absent stays as it is. Deactivating ends its sign-ins, and everything that goes on with its tokens, within a
    /// second; nobody can ask it any more. The last active administrator stays one. For administrators; a role and a password only in person, not by a token.
    #[oai(path = "/:id", method = "patch", operation_id = "change_user")]
    async fn change(
        &self,
        Administrator(principal): Administrator,
        id: Path<Uuid>,
        body: Body<AccountChanges>,
    ) -> Result<Json<UserDocument>, Problem> {
        if body.value.role.is_some() || body.value.password.is_some() {
            // A token could make itself anybody otherwise.
            principal.into_person()?;
        }
        let _wake = self.0.hub.routes_change();
        Ok(Json(self.0.auth.change_account(id.0.into(), body.value).await?.into()))
    }

    /// Connect another backend
    ///
    /// Makes a user that cannot sign in, with its token, which never expires. The token and the secret that signs callbacks
    /// are shown this once. For administrators.
    #[oai(path = "/service", method = "post", operation_id = "create_service_user")]
    async fn create_service(
        &self,
        Administrator(principal): Administrator,
        /// Makes repeating the call safe: 1 to 255 visible ASCII characters of your choice.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<NewServiceUser>,
    ) -> Result<Created<CreatedServiceUser>, Problem> {
        let claim = self.0.running.claim(&key, principal.id(), SERVICE, &body.raw)?;
        self.0.auth.create_service_user(body.value, claim.as_ref()).await
    }
}

/// The problem of an id that no account has.
pub(super) fn no_such_account() -> Problem {
    Problem::not_found("There is no account with this id.")
}
