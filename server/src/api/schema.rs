//! The schemas of bodies and answers, as schemars describes them, on their way into the OpenAPI document.
//!
//! poem-openapi hands its registry of schemas to every type that an operation uses, and drops those that none uses. The
//! registry has no room for a foreign schema, except as the default value of one of its own: there the definitions
//! travel, and [`unpack`] takes them out. So no list of types has to be kept.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

const PARCEL: &str = "x-definitions";

/// Refers to the schema of `T`.
pub(super) fn reference<T: JsonSchema>() -> MetaSchemaRef {
    MetaSchemaRef::Reference(T::schema_name().into_owned())
}

/// Puts the schema of what is read as a `T` into the registry.
pub(super) fn register_body<T: JsonSchema>(registry: &mut Registry) {
    register::<T>(registry, SchemaSettings::openapi3().for_deserialize());
}

/// Puts the schema of what a `T` is written as into the registry.
pub(super) fn register_answer<T: JsonSchema>(registry: &mut Registry) {
    register::<T>(registry, SchemaSettings::openapi3().for_serialize());
}

fn register<T: JsonSchema>(registry: &mut Registry, settings: SchemaSettings) {
    registry.create_schema::<T, _>(T::schema_name().into_owned(), |_| {
        let mut generator = settings.into_generator();
        let schema = generator.subschema_for::<T>();
        let mut definitions = generator.take_definitions(true);
        definitions.entry(T::schema_name()).or_insert_with(|| schema.to_value());
        let parcel = Map::from_iter([(PARCEL.to_owned(), Value::Object(definitions))]);
        MetaSchema { default: Some(Value::Object(parcel)), ..MetaSchema::ANY }
    });
}

/// Replaces the parcels among `schemas` by what they carry.
///
/// # Panics
///
/// When two types describe themselves differently under one name, since one of them would be documented wrongly.
pub(super) fn unpack(schemas: &mut Map<String, Value>) {
    let mut unpacked = Map::new();
    for (name, schema) in std::mem::take(schemas) {
        let parcel = schema.get("default").and_then(|default| default.get(PARCEL)).and_then(Value::as_object).cloned();
        let definitions = parcel.unwrap_or_else(|| Map::from_iter([(name, schema)]));
        for (name, definition) in definitions {
            if let Some(known) = unpacked.get(&name) {
                assert_eq!(known, &definition, "two different schemas are called `{name}`");
            }
            unpacked.insert(name, definition);
        }
    }
    *schemas = unpacked;
}
