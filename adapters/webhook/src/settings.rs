//! The table in the configuration, and what a plug-in can do.

use hearback_core::{
    channel::{Capabilities, SendRate},
    error::FieldError,
    secret::Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::signature::Key;

/// `[channels.NAME]` with `kind = "webhook"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the plug-in listens: http or https, without a user or a fragment.
    #[schemars(with = "String")]
    pub url: Secret,
    /// What both sides sign with: `whsec_` and the base64 of 24 to 64 random bytes.
    #[schemars(with = "String")]
    pub secret: Secret,
    /// What the hub counts on. Each must be declared by the plug-in itself, in its answer to `probe`.
    #[serde(default)]
    pub capabilities: Declared,
}

/// What a plug-in can do: in the configuration, what the hub counts on; in the answer to `probe`, what there is.
#[expect(clippy::struct_excessive_bools, reason = "each is an ability of its own, and a field of the protocol")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    /// Approvals and choices are answered by a tap.
    pub buttons: bool,
    /// Forms are filled in where they arrive.
    pub forms: bool,
    /// What was sent can be changed, so `settle` is understood.
    pub edit: bool,
    /// `thread` is understood.
    pub threads: bool,
    /// People can answer on it: it sends `response` or `text`.
    pub inbound: bool,
    /// It sends `delivered` or `read`.
    pub receipts: bool,
    /// The same `webhook-id` twice shows one message.
    pub idempotent_send: bool,
    /// Its addresses are e-mail addresses.
    pub email_addresses: bool,
    /// The longest text that people read first, in Unicode scalar values.
    #[schemars(range(min = 1))]
    pub text_max: Option<u32>,
    /// The most options of a choice.
    #[schemars(range(min = 1))]
    pub choices_max: Option<u32>,
    /// How fast it takes messages.
    pub send_rate: Option<SendRate>,
}

impl Declared {
    /// The abilities with their names, in the order of the documentation.
    #[must_use]
    pub const fn abilities(&self) -> [(&'static str, bool); 8] {
        [
            ("buttons", self.buttons),
            ("forms", self.forms),
            ("edit", self.edit),
            ("threads", self.threads),
            ("inbound", self.inbound),
            ("receipts", self.receipts),
            ("idempotent_send", self.idempotent_send),
            ("email_addresses", self.email_addresses),
        ]
    }

    /// The same as the hub knows it.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        Capabilities {
            buttons: self.buttons,
            forms: self.forms,
            // The protocol asks every plug-in for that.
            messages: true,
            edit: self.edit,
            threads: self.threads,
            inbound: self.inbound,
            receipts: self.receipts,
            idempotent_send: self.idempotent_send,
            // A plug-in knows people by addresses that they confirm.
            account_addresses: false,
            email_addresses: self.email_addresses,
            links: false,
            text_max: self.text_max,
            choices_max: self.choices_max,
            send_rate: self.send_rate,
            address_rate: None,
        }
    }

    /// The line for `hearback.toml` that counts on exactly this.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut parts: Vec<String> =
            self.abilities().into_iter().filter(|(_, can)| *can).map(|(name, _)| format!("{name} = true")).collect();
        parts.extend(self.text_max.map(|max| format!("text_max = {max}")));
        parts.extend(self.choices_max.map(|max| format!("choices_max = {max}")));
        parts.extend(self.send_rate.map(|SendRate { per_second, burst }| {
            format!("send_rate = {{ per_second = {per_second}, burst = {burst} }}")
        }));
        format!("capabilities = {{ {} }}", parts.join(", "))
    }

    /// The first thing that is counted on here and not there, in words.
    #[must_use]
    pub fn beyond(&self, there: &Self) -> Option<String> {
        let claimed = self.abilities().into_iter().zip(there.abilities());
        if let Some(((name, _), _)) = claimed.into_iter().find(|((_, here), (_, there))| *here && !there) {
            return Some(format!("the configuration counts on `{name}`, which the plug-in does not declare"));
        }
        let over = |name: &str, here: Option<u32>, there: Option<u32>| {
            let there = there?;
            let here = match here {
                Some(here) if here <= there => return None,
                Some(here) => here.to_string(),
                None => "no limit".into(),
            };
            Some(format!("the configuration counts on `{name}` of {here}, and the plug-in declares {there}"))
        };
        let rate = |of: fn(&SendRate) -> u32| (self.send_rate.as_ref().map(of), there.send_rate.as_ref().map(of));
        let (per_second, burst) = (rate(|rate| rate.per_second), rate(|rate| rate.burst));
        over("text_max", self.text_max, there.text_max)
            .or_else(|| over("choices_max", self.choices_max, there.choices_max))
            .or_else(|| over("send_rate.per_second", per_second.0, per_second.1))
            .or_else(|| over("send_rate.burst", burst.0, burst.1))
    }

    /// Checks that no limit is zero.
    ///
    /// # Errors
    ///
    /// The field at fault.
    pub fn check(&self) -> Result<(), FieldError> {
        let limits = [
            ("text_max", self.text_max),
            ("choices_max", self.choices_max),
            ("send_rate.per_second", self.send_rate.map(|rate| rate.per_second)),
            ("send_rate.burst", self.send_rate.map(|rate| rate.burst)),
        ];
        match limits.into_iter().find(|(_, limit)| *limit == Some(0)) {
            Some((name, _)) => Err(FieldError::new(format!("capabilities.{name}"), "must be at least 1")),
            None => Ok(()),
        }
    }
}

/// Reads the URL of a plug-in.
///
/// # Errors
///
/// What it must be. The text of the URL, which may hold a secret, is not repeated.
pub fn parse_url(text: &str) -> Result<Url, FieldError> {
    let fault = |detail: &str| FieldError::new("url", detail);
    let url = Url::parse(text).map_err(|error| fault(&format!("is not a URL: {error}")))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(fault("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("must not hold a user or a password: the secret proves who calls"));
    }
    if url.fragment().is_some() {
        return Err(fault("must not have a fragment (`#…`)"));
    }
    Ok(url)
}

/// Reads the secret of a plug-in.
///
/// # Errors
///
/// What it must be.
pub fn parse_secret(secret: &Secret) -> Result<Key, FieldError> {
    let detail = "must be whsec_ and the base64 of 24 to 64 random bytes; this makes one: \
                  echo whsec_$(openssl rand -base64 32)";
    Key::parse(secret).ok_or_else(|| FieldError::new("secret", detail))
}
