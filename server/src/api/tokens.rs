//! Service tokens, which agents call with.

use std::sync::Arc;

use hearback_core::id::TokenId;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::{
    Tag,
    answer::{Created, Json, NoContent},
    body::Body,
    idempotency::IdempotencyKey,
    list::{Cursor, Limit, Page},
    problem::Problem,
};
use crate::{
    account::ServiceToken,
    app::App,
    auth::{CreatedToken, NewServiceToken, SignedIn},
};

const PATH: &str = "/api/tokens";
const CURSOR: Cursor = Cursor::of("tokens");

/// The operations.
pub struct TokensApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/tokens", tag = "Tag::Tokens")]
impl TokensApi {
    /// Your service tokens
    ///
    /// Newest first, without those that are revoked. For people.
    #[oai(path = "/", method = "get", operation_id = "list_tokens")]
    async fn list(
        &self,
        SignedIn(person): SignedIn,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// The most items of the page.
        limit: Query<Option<Limit>>,
    ) -> Result<Json<Page<ServiceToken>>, Problem> {
        let before = CURSOR.read::<TokenId>(cursor.0.as_deref())?;
        let page = self.0.auth.tokens(&person, before, Limit::or_default(limit.0)).await?;
        Ok(Json(CURSOR.page(page.items, page.more, |token| token.id.uuid())))
    }

    /// Make a service token
    ///
    /// The token and the secret that signs callbacks are shown this once. For people.
    #[oai(path = "/", method = "post", operation_id = "create_token")]
    async fn create(
        &self,
        SignedIn(person): SignedIn,
        /// Makes repeating the call safe: 1 to 255 visible ASCII characters of your choice.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<NewServiceToken>,
    ) -> Result<Created<CreatedToken>, Problem> {
        let claim = self.0.running.claim(&key, person.user.id.uuid(), PATH, &body.raw)?;
        self.0.auth.create_token(&person, body.value, claim.as_ref()).await
    }

    /// Revoke a service token
    ///
    /// Whoever uses it is cut off. For people.
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_token")]
    async fn revoke(&self, SignedIn(person): SignedIn, id: Path<Uuid>) -> Result<NoContent, Problem> {
        self.0.auth.revoke_token(&person, id.0.into()).await?;
        Ok(NoContent)
    }
}
