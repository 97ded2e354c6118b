//! Every kind of question, answered by its form.

use serde_json::json;

use super::{link, now, open, responses, send};
use crate::server::TestServer;

#[tokio::test]
async fn an_approval_is_two_buttons_and_a_comment() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent
        .put(json!({
            "kind": "approval", "prompt": "Deploy **1.4.2**?", "context": "See [the log](https://ci.example/1).\n\n<b>raw</b>",
            "to": ["ana"], "urgent": true,
        }))
        .await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    page.shows(
        200,
        &[
            "deploy-bot",
            "on behalf of <span dir=\"auto\">ana</span>",
            "Deploy <strong>1.4.2</strong>?",
            "<a href=\"https://ci.example/1\"",
            "&lt;b&gt;raw&lt;/b&gt;",
            "Urgent",
            "name=\"value\" value=\"approved\"",
            "name=\"value\" value=\"rejected\"",
            "name=\"comment\"",
            "UTC</span>",
        ],
    );
    let nothing = send(&url, &page, &[("comment", "so")]).await;
    nothing.shows(422, &["Press one of the two buttons.", "so</textarea>"]);
    let done = send(&url, &nothing, &[("value", "rejected"), ("comment", " not <today> ")]).await;
    done.shows(200, &["Thank you", "Rejected by you on the web, ", "not &#60;today&#62;"]).lacks(&["<form"]);
    let outcome = &now(&agent, &request).await["outcome"];
    assert_eq!((&outcome["value"], &outcome["comment"]), (&json!("rejected"), &json!("not <today>")));
    assert_eq!((&outcome["by"]["username"], &outcome["channel"]), (&json!("ana"), &json!("web")));
    assert_eq!(responses(&agent, &request).await, ["accepted web \"rejected\""]);
}

#[tokio::test]
async fn choices_are_boxes() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let options = json!([{"value": "eu", "label": "Europe"}, {"value": "u s"}, {"value": "ap"}]);
    let mut draft = json!({"kind": "choice", "prompt": "Which region?", "options": options, "to": ["ana"]});
    let one = ana.put(draft.clone()).await;
    let url = link(&server, &one, &ana).await;
    let page = open(&url).await;
    page.shows(200, &["type=\"radio\"", "<span dir=\"auto\">Europe</span>", "<span dir=\"auto\">u s</span>"]);
    send(&url, &page, &[]).await.shows(422, &["Choose one.", "aria-invalid"]);
    send(&url, &page, &[("value", "1")]).await.shows(200, &["Answered by you", "u s"]);
    assert_eq!(now(&ana, &one).await["outcome"]["value"], "u s");

    draft["multiple"] = json!(true);
    let many = ana.put(draft).await;
    let url = link(&server, &many, &ana).await;
    let page = open(&url).await;
    page.shows(200, &["type=\"checkbox\""]);
    send(&url, &page, &[]).await.shows(422, &["Choose at least one."]);
    send(&url, &page, &[("value", "0"), ("value", "2")]).await.shows(200, &["Europe, ap"]);
    assert_eq!(now(&ana, &many).await["outcome"]["value"], json!(["eu", "ap"]));
}

#[tokio::test]
async fn an_input_tells_its_limits_and_keeps_what_was_typed() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let short = json!({"kind": "input", "prompt": "A name?", "min_length": 3, "max_length": 20, "pattern": r"^\p{Lu}", "to": ["ana"]});
    let request = ana.put(short).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    page.shows(200, &["<input id=\"field-1\" name=\"value\" type=\"text\"", r"3 to 20 characters; must match ^\p{Lu}"]);
    let page = send(&url, &page, &[("value", "fa\"lcon"), ("comment", "hm")]).await;
    page.shows(
        422,
        &["value=\"fa&#34;lcon\"", r"does not match the pattern ^\p{Lu}", "hm</textarea>", "Not sent yet."],
    );
    send(&url, &page, &[("value", "Ördög 🦅")]).await.shows(200, &["Ördög 🦅"]);
    assert_eq!(responses(&ana, &request).await, ["invalid web \"fa\\\"lcon\"", "accepted web \"Ördög 🦅\""]);

    let open_ended = ana.put(json!({"kind": "input", "prompt": "Anything else?", "to": ["ana"]})).await;
    let url = link(&server, &open_ended, &ana).await;
    let page = open(&url).await;
    page.shows(200, &["<textarea id=\"field-1\" name=\"value\""]);
    // As a browser sends the ends of lines.
    send(&url, &page, &[("value", "\r\nTwo\r\nlines"), ("comment", "")]).await.shows(200, &["\nTwo\nlines"]);
    assert_eq!(now(&ana, &open_ended).await["outcome"]["value"], "\nTwo\nlines");
}

#[tokio::test]
async fn a_form_is_drawn_from_its_schema_and_corrected_where_it_is_wrong() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana
        .put(json!({
            "kind": "form", "prompt": "What happened?", "to": ["ana"],
            "schema": {
                "type": "object",
                "properties": {
                    "contact": {"type": "string", "title": "Who takes calls?", "minLength": 3},
                    "affected": {"type": "integer", "title": "Customers affected", "minimum": 0, "default": 5},
                    "impact": {"enum": ["none", "slow", "outage"]},
                    "published": {"type": "boolean", "title": "Already on the status page"},
                    "hosts": {"type": "array", "items": {"type": "string"}},
                    "areas": {"type": "array", "items": {"enum": ["web", "mail"]}},
                    "since": {"type": "string", "format": "date-time"},
                    "lead": {"type": "object", "title": "Lead", "properties": {"name": {"type": "string"}}, "required": ["name"]},
                    "more": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                },
                "required": ["contact", "affected", "impact"], "additionalProperties": false,
                "if": {"properties": {"impact": {"const": "outage"}}},
                "then": {"properties": {"affected": {"minimum": 1}}},
            },
        }))
        .await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    page.shows(
        200,
        &[
            "Who takes calls?</label>",
            "name=\"value.affected\" type=\"text\" value=\"5\"",
            "inputmode=\"numeric\"",
            "<option value=\"2\">outage</option>",
            "type=\"datetime-local\"",
            "<legend dir=\"auto\">Lead<span class=\"optional\"> (optional)</span></legend>",
            "name=\"value.lead.name\"",
            "Written as JSON.",
        ],
    );
    // What no value can be made of is told before the hub judges anything.
    let typed = [("value.contact", "al"), ("value.affected", "3.5"), ("value.hosts", "a\r\nb"), ("value.areas", "1")];
    let page = send(&url, &page, &typed).await;
    page.shows(
        422,
        &[
            "data-error-for=\"value.affected\"",
            "Write a whole number.",
            "data-error-for=\"value.impact\"",
            "This is needed.",
            "value=\"3.5\"",
            "\na\nb</textarea>",
            "name=\"value.areas\" value=\"1\" checked",
        ],
    );
    assert_eq!(responses(&ana, &request).await, [""; 0]);
    // And what the hub's rules say of a value stands at its field too.
    let fixed = [("value.contact", "al"), ("value.affected", "0"), ("value.impact", "2"), ("value.more", "{")];
    let page = send(&url, &page, &fixed).await;
    page.shows(422, &["data-error-for=\"value.more\"", "This is not valid JSON."]);
    let fixed = [("value.contact", "al"), ("value.affected", "0"), ("value.impact", "2"), ("value.more", "{}")];
    let page = send(&url, &page, &fixed).await;
    page.shows(
        422,
        &[
            "data-error-for=\"value.contact\"",
            "data-error-for=\"value.affected\"",
            "data-error-for=\"value.more\"",
            "<option value=\"2\" selected>outage</option>",
        ],
    );
    let right = [
        ("value.contact", "Alma"),
        ("value.affected", "1200"),
        ("value.impact", "2"),
        ("value.published", "yes"),
        ("value.hosts", "a\r\nb\r\n"),
        ("value.areas", "1"),
        ("value.since", "2026-11-24T09:30"),
        ("value.lead.name", "Ben"),
        ("value.more", "\"x\""),
    ];
    send(&url, &page, &right).await.shows(200, &["<dt dir=\"auto\">Customers affected</dt><dd dir=\"auto\">1200</dd>"]);
    let value = json!({
        "contact": "Alma", "affected": 1200, "impact": "outage", "published": true, "hosts": ["a", "b"], "areas": ["mail"],
        "since": "2026-11-24T09:30:00Z", "lead": {"name": "Ben"}, "more": "x",
    });
    assert_eq!(now(&ana, &request).await["outcome"]["value"], value);
}
