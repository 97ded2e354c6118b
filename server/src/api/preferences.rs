//! How people like to be reached.

use std::{collections::HashSet, sync::Arc};

use hearback_core::{
    channel::ChannelName,
    error::FieldError,
    hub::Channels,
    person::{Locale, Preferences, QuietHours, Timezone},
};
use poem_openapi::OpenApi;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Tag,
    answer::Json,
    body::Body,
    limits::{Counted, Limited},
    problem::Problem,
};
use crate::{
    app::App,
    auth::{Person, SignedIn},
};

/// How a person likes to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Preferences")]
pub struct PreferencesDocument {
    /// The names of channels, best first: questions go to these alone, in this order. Empty for the hub's own order.
    pub channels: Vec<ChannelName>,
    /// The language that the hub writes in, as a BCP 47 tag; `null` for the hub's own.
    pub locale: Option<Locale>,
    /// The IANA name of the time zone of the quiet hours; `null` for UTC.
    pub timezone: Option<Timezone>,
    /// When only what is urgent is brought; `null` for never.
    pub quiet_hours: Option<QuietHours>,
}

impl From<Preferences> for PreferencesDocument {
    fn from(Preferences { channels, locale, timezone, quiet_hours }: Preferences) -> Self {
        Self { channels, locale, timezone, quiet_hours }
    }
}

/// The operations.
pub struct PreferencesApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/me/preferences", tag = "Tag::Users")]
impl PreferencesApi {
    /// How you like to be reached
    ///
    /// For people.
    #[oai(path = "/", method = "get", operation_id = "get_preferences")]
    async fn get(&self, SignedIn(person): SignedIn) -> Result<Json<PreferencesDocument>, Problem> {
        let preferences = self.0.accounts.preferences(person.user.id).await?;
        Ok(Json(preferences.ok_or_else(nobody)?.into()))
    }

    /// Say how you like to be reached
    ///
    /// Replaces all of it: what is left out is as at first. In quiet hours only what is urgent is brought, and what would be
    /// over at their end; all else waits for that, also what waits already. For people.
    #[oai(path = "/", method = "put", operation_id = "set_preferences")]
    async fn set(
        &self,
        SignedIn(person): SignedIn,
        body: Body<Preferences>,
    ) -> Result<Limited<Json<PreferencesDocument>>, Problem> {
        let counted = Counted::of(&self.0, &person, None).await?;
        counted.with(self.replace(&person, body.value).await)
    }
}

impl PreferencesApi {
    async fn replace(&self, person: &Person, preferences: Preferences) -> Result<Json<PreferencesDocument>, Problem> {
        check(&preferences.channels, self.0.hub.channels())?;
        let _wake = self.0.hub.sends_change();
        if self.0.accounts.prefer(person.user.id, preferences.clone(), self.0.clock.now()).await? {
            return Ok(Json(preferences.into()));
        }
        Err(nobody())
    }
}

fn nobody() -> Problem {
    Problem::not_found("This account is there no more.")
}

fn check(names: &[ChannelName], channels: &Channels) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    let fault = |(index, name): (usize, &'_ ChannelName)| {
        let field = format!("channels[{index}]");
        if channels.get(name).is_none() {
            let known = channels.iter().map(|running| running.channel().name().to_string());
            return Some(FieldError::new(field, format!("there is no channel named `{name}`")).allowing(known));
        }
        (!seen.insert(name.clone())).then(|| FieldError::new(field, format!("`{name}` stands there twice")))
    };
    let faults: Vec<_> = names.iter().enumerate().filter_map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}
