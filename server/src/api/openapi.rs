//! The OpenAPI document: what poem-openapi collects, with the schemas of schemars, with the header that every answer has,
//! and without the problems that an operation cannot have.

use poem_openapi::{OpenApi, OpenApiService};
use serde_json::{Map, Value, json};

use super::{answer_page, callbacks, my_addresses, schema};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The header that every answer has.
const REQUEST_ID: &str = "X-Request-Id";

/// The document of all operations, below a path prefix.
///
/// # Panics
///
/// When two types describe themselves differently under one name.
pub(super) fn document<A: OpenApi>(service: &OpenApiService<A, ()>, prefix: &str) -> Value {
    let mut document: Value = serde_json::from_str(&service.spec()).unwrap_or_default();
    document["servers"] = json!([{ "url": if prefix.is_empty() { "/" } else { prefix } }]);
    document["info"]["description"] = json!(include_str!("openapi.md"));
    document["info"]["license"] = json!({ "name": "Apache-2.0 OR MIT" });
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schema::unpack(schemas);
    }
    document["components"]["headers"] = json!({ REQUEST_ID: {
        "description": "The id under which the log has this call: the caller's own where it sent one that is fit for a log.",
        "required": true,
        "schema": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$" },
    }});
    let Some(paths) = document["paths"].as_object_mut() else { return document };
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                // Said, not left out: the operation is for everybody.
                operation.entry("security").or_insert_with(|| json!([]));
                prune(method, path, operation);
                name_calls(operation);
            }
        }
    }
    document
}

/// Takes out the problems that this operation cannot have, by what it takes.
fn prune(method: &str, path: &str, operation: &mut Map<String, Value>) {
    let reads = method == "get";
    let public = operation.get("security").and_then(Value::as_array).is_none_or(Vec::is_empty);
    let parameter = |place: &str| {
        let list = operation.get("parameters").and_then(Value::as_array);
        list.into_iter().flatten().any(|parameter| parameter["in"] == place)
    };
    let called_back = path == callbacks::PATH;
    let by_link = path == answer_page::PATH;
    let streams = operation["responses"]["200"]["content"].get("text/event-stream").is_some();
    let (body, object, query) = (operation.contains_key("requestBody"), path.contains('{'), parameter("query"));
    let header = parameter("header");
    let impossible = [
        ("400", !(body || object || query || header)),
        ("401", public && !body && !called_back),
        ("403", public && (reads && !by_link || called_back)),
        ("404", !(object || body)),
        ("409", reads || method == "delete" || called_back || !(body || object)),
        ("410", called_back || !(streams || body && object)),
        ("413", !(body || called_back)),
        ("415", called_back || !body),
        ("422", !(body || called_back)),
        ("429", reads && !called_back),
        ("502", path != my_addresses::PATH || reads),
    ];
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for (status, impossible) in impossible {
            if impossible {
                responses.remove(status);
            }
        }
    }
}

fn name_calls(operation: &mut Map<String, Value>) {
    let reference = json!({ "$ref": format!("#/components/headers/{REQUEST_ID}") });
    for (_, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        response["headers"][REQUEST_ID] = reference.clone();
    }
}
