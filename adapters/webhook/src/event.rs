//! What comes in, as flat JSON objects with `type`.

use hearback_core::{
    channel::{About, Address, ChannelName, Connection, Inbound, Receipt},
    error::FieldError,
    id::{DeliveryId, RequestId},
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    answer::{RECEIPT_MAX, parse_receipt},
    settings::Declared,
};

/// Something that a plug-in tells.
#[derive(Debug, JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A person answered.
    Response {
        /// Which question.
        request_id: RequestId,
        /// Who, as the service behind the plug-in proves it; never by the text.
        from: Address,
        /// The value given.
        value: Value,
        /// What was said besides: at most 4,000 characters.
        comment: Option<String>,
    },
    /// A person answered in their own words, by an explicit reply to one question. The hub reads them.
    Text {
        /// Which question.
        request_id: RequestId,
        /// Who, as the service behind the plug-in proves it.
        from: Address,
        /// The whole message.
        text: String,
    },
    /// The receipt of something that was answered with 202.
    Receipt {
        /// The `delivery` of what was sent.
        delivery: DeliveryId,
        /// Its receipt.
        #[schemars(with = "String")]
        receipt: Receipt,
    },
    /// What was sent reached the person's device.
    Delivered {
        /// To whom.
        from: Address,
        /// Its receipt.
        #[schemars(with = "String")]
        receipt: Receipt,
    },
    /// The person saw what was sent.
    Read {
        /// To whom.
        from: Address,
        /// Its receipt.
        #[schemars(with = "String")]
        receipt: Receipt,
    },
    /// Somebody who could not be reached can be now.
    Connected {
        /// Who.
        address: Address,
    },
    /// Somebody cannot be reached any more.
    Disconnected {
        /// Who.
        address: Address,
    },
}

/// The types with their fields, where a `?` marks one that may be left out, and the capability that they need.
const TYPES: [(&str, &[&str], Option<&str>); 7] = [
    ("response", &["request_id", "from", "value", "comment?"], Some("inbound")),
    ("text", &["request_id", "from", "text"], Some("inbound")),
    ("receipt", &["delivery", "receipt"], None),
    ("delivered", &["from", "receipt"], Some("receipts")),
    ("read", &["from", "receipt"], Some("receipts")),
    ("connected", &["address"], None),
    ("disconnected", &["address"], None),
];

impl Event {
    /// Reads one from a JSON value.
    ///
    /// # Errors
    ///
    /// Every field at fault, with the values that would do.
    pub fn read(value: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(mut fields) = value else {
            return Err(vec![FieldError::new("body", "expected an object")]);
        };
        let kind = fields.remove("type").unwrap_or_default();
        let Some((kind, known, _)) = TYPES.into_iter().find(|(name, ..)| kind == *name) else {
            let fault = FieldError::new("type", "is not one of the types");
            return Err(vec![fault.allowing(TYPES.iter().map(|(name, ..)| *name))]);
        };
        let mut reader = Reader { fields, faults: Vec::new() };
        reader.check_names(kind, known);
        let event = reader.event(kind);
        match event {
            Some(event) if reader.faults.is_empty() => Ok(event),
            _ => Err(reader.faults),
        }
    }

    /// Whether it comes by an ability that is counted on: an approval must not come from where nobody is to answer.
    ///
    /// # Errors
    ///
    /// `type`, with what to declare for it and the types that come without.
    pub fn check(&self, declared: &Declared, channel: &ChannelName) -> Result<(), FieldError> {
        let abilities = declared.abilities();
        let may = |needs: Option<&str>| needs.is_none_or(|needs| abilities.contains(&(needs, true)));
        match TYPES.into_iter().find(|(name, ..)| *name == self.kind()) {
            Some((kind, _, Some(needs))) if !may(Some(needs)) => {
                let detail = format!(
                    "`{kind}` needs the capability `{needs}`: write `{needs} = true` into the capabilities of \
                     [channels.{channel}] in hearback.toml"
                );
                let allowed = TYPES.into_iter().filter(|(_, _, needs)| may(*needs)).map(|(name, ..)| name);
                Err(FieldError::new("type", detail).allowing(allowed))
            }
            _ => Ok(()),
        }
    }

    /// The word in `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Response { .. } => "response",
            Self::Text { .. } => "text",
            Self::Receipt { .. } => "receipt",
            Self::Delivered { .. } => "delivered",
            Self::Read { .. } => "read",
            Self::Connected { .. } => "connected",
            Self::Disconnected { .. } => "disconnected",
        }
    }

    /// The same as the hub knows it: on `channel`, with the id by which a repetition is known.
    #[must_use]
    pub fn inbound(self, channel: ChannelName, id: String) -> Inbound {
        let (event, connection) = (Some(id), Connection::Service);
        match self {
            Self::Response { request_id: request, from, value, comment } => {
                Inbound::Response { channel, from, request, value, comment, event }
            }
            Self::Text { request_id, from, text } => {
                Inbound::Text { channel, from, about: About::Request(request_id), text, event }
            }
            Self::Receipt { delivery, receipt } => Inbound::Sent { channel, delivery, receipt },
            Self::Delivered { from, receipt } => Inbound::Acknowledged { channel, from, receipt, read: false },
            Self::Read { from, receipt } => Inbound::Acknowledged { channel, from, receipt, read: true },
            Self::Connected { address } => Inbound::Connected { channel, address, connection },
            Self::Disconnected { address } => Inbound::Disconnected { channel, address, connection },
        }
    }
}

struct Reader {
    fields: Map<String, Value>,
    faults: Vec<FieldError>,
}

impl Reader {
    fn check_names(&mut self, kind: &str, known: &'static [&'static str]) {
        let names = || known.iter().map(|name| name.trim_end_matches('?'));
        for name in self.fields.keys().filter(|name| !names().any(|known| known == *name)) {
            let fault = FieldError::new(name, format!("is not a field of `{kind}`"));
            self.faults.push(fault.allowing(names()));
        }
        for (name, value) in &self.fields {
            if holds_nul(value) {
                self.faults.push(FieldError::new(name, "holds a NUL character"));
            }
        }
        for name in known.iter().filter(|name| !name.ends_with('?') && !self.fields.contains_key(**name)) {
            self.faults.push(FieldError::new(*name, "is required"));
        }
    }

    fn event(&mut self, kind: &str) -> Option<Event> {
        Some(match kind {
            "response" => {
                let (request_id, from, comment) =
                    (self.take("request_id"), self.take("from"), self.optional("comment"));
                Event::Response { request_id: request_id?, from: from?, value: self.fields.remove("value")?, comment }
            }
            "text" => {
                let (request_id, from, text) = (self.take("request_id"), self.take("from"), self.take("text"));
                Event::Text { request_id: request_id?, from: from?, text: text? }
            }
            "receipt" => {
                let (delivery, receipt) = (self.take("delivery"), self.receipt());
                Event::Receipt { delivery: delivery?, receipt: receipt? }
            }
            "delivered" | "read" => {
                let (from, receipt) = (self.take("from"), self.receipt());
                let (from, receipt) = (from?, receipt?);
                if kind == "read" { Event::Read { from, receipt } } else { Event::Delivered { from, receipt } }
            }
            "connected" => Event::Connected { address: self.take("address")? },
            _ => Event::Disconnected { address: self.take("address")? },
        })
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.fields.remove(name)?;
        let read = serde_json::from_value(value);
        read.map_err(|error| self.faults.push(FieldError::new(name, error.to_string()))).ok()
    }

    fn optional(&mut self, name: &str) -> Option<String> {
        self.take::<Option<String>>(name).flatten()
    }

    fn receipt(&mut self) -> Option<Receipt> {
        let receipt = parse_receipt(self.take("receipt")?);
        if receipt.is_none() {
            let detail = format!("must have 1 to {RECEIPT_MAX} bytes and no control characters");
            self.faults.push(FieldError::new("receipt", detail));
        }
        receipt
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}
