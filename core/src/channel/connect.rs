//! Connecting a channel by OAuth.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use crate::error::Result;

/// How an administrator connects a mailbox or a workspace. The tokens go to the vault.
#[async_trait]
pub trait Connect: fmt::Debug + Send + Sync {
    /// The provider's page on which the administrator agrees. The provider comes back to `redirect` with `state`.
    async fn authorize(&self, redirect: &str, state: &str) -> Result<String>;

    /// Takes what the provider came back with. The caller has checked and used up the state.
    async fn complete(&self, params: BTreeMap<String, String>) -> Result<()>;

    /// Revokes the tokens at the provider and forgets them.
    async fn disconnect(&self) -> Result<()>;
}
