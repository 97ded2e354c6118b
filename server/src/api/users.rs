//! People, as administrators see them.

use std::sync::Arc;

use hearback_core::id::UserId;
use poem_openapi::{OpenApi, param::Query};

use super::{
    Tag,
    answer::Json,
    list::{Cursor, Limit, Page},
    problem::Problem,
};
use crate::{account::UserDocument, app::App, auth::Administrator};

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
        Administrator(_person): Administrator,
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
}
