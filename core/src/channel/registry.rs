//! The kinds of adapter there are, and how a channel is built from its settings.

use std::{fmt, sync::Arc, time::Duration};

use schemars::Schema;
use serde_json::Value;

use super::{Channel, ChannelName};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, FieldError, Result},
    network::Networks,
    vault::Vault,
};

/// What a channel is built with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The durable state of the adapter: tokens, history ids, offsets.
    pub vault: Arc<dyn Vault>,
    /// Where providers and plug-ins call: below it come the channel's name and one more segment. Ends with a slash.
    pub callbacks_url: String,
    /// The hub's page, as people open it. Ends with a slash.
    pub public_url: String,
    /// Private networks that may be called nevertheless.
    pub outbound_allow: Networks,
    /// How long a send may take before it counts as hanging.
    pub send_timeout: Duration,
}

/// One kind of adapter.
pub trait Adapter: fmt::Debug + Send + Sync + 'static {
    /// The word for it in the configuration: `kind = "slack"`.
    fn kind(&self) -> &'static str;

    /// The JSON Schema of its settings.
    fn schema(&self) -> Schema;

    /// Builds a channel. Does no I/O.
    ///
    /// # Errors
    ///
    /// The setting at fault, and the values that would do.
    fn build(&self, name: ChannelName, settings: Value, parts: &Parts) -> Result<Arc<dyn Channel>, FieldError>;
}

/// The kinds that this program knows, as an explicit list.
#[derive(Debug, Default)]
pub struct Adapters(Vec<Box<dyn Adapter>>);

impl Adapters {
    /// A list of kinds.
    #[must_use]
    pub fn new(list: Vec<Box<dyn Adapter>>) -> Self {
        Self(list)
    }

    /// The kinds, by their words.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|adapter| adapter.kind())
    }

    /// The adapter of one kind.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&dyn Adapter> {
        self.0.iter().map(AsRef::as_ref).find(|adapter| adapter.kind() == kind)
    }

    /// Builds the channel `name` from its table in the configuration, whose `kind` says which adapter.
    ///
    /// # Errors
    ///
    /// The setting at fault: an unknown kind names the known ones; a reserved name says so.
    pub fn build(&self, name: &str, mut settings: Value, parts: &Parts) -> Result<Arc<dyn Channel>, FieldError> {
        let field = format!("channels.{name}");
        let name: ChannelName = name.parse().map_err(|error| FieldError::new(&field, format!("{error}")))?;
        if name.is_reserved() {
            return Err(FieldError::new(field, "this name is reserved for answers over the page and the API"));
        }
        let kind = settings.as_object_mut().and_then(|table| table.remove("kind"));
        let known = || FieldError::new(format!("{field}.kind"), "is not a known kind").allowing(self.kinds());
        let adapter = kind.as_ref().and_then(Value::as_str).and_then(|kind| self.get(kind)).ok_or_else(known)?;
        adapter.build(name, settings, parts).map_err(|mut fault| {
            fault.field = format!("{field}.{}", fault.field);
            fault
        })
    }
}

/// Reads typed settings, naming the one at fault.
///
/// # Errors
///
/// The setting that is unknown, missing or of the wrong type.
pub fn read_settings<T: serde::de::DeserializeOwned>(settings: Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let path = error.path().to_string();
        FieldError::new(path, error.into_inner().to_string())
    })
}

impl From<FieldError> for Error {
    fn from(fault: FieldError) -> Self {
        Self::new(ErrorKind::Config, "configuration", fault.to_string())
    }
}
