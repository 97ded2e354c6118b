//! The links: in what plug-ins are told, and below a path prefix.

use hearback_core::{
    Clock,
    clock::SystemClock,
    person::{Person, Preferences, UserRef},
};
use serde_json::json;
use tokio::time::timeout;

use super::{link, now, open, send, text};
use crate::{
    accounts::id,
    plug_ins::fake::{PlugIn, SECRET},
    program::BOUND,
    server::TestServer,
};

#[tokio::test]
async fn the_link_that_a_plug_in_is_told_is_enough_to_answer_and_wakes_the_agent() {
    let mut plug_in = PlugIn::start().await;
    let server = TestServer::with(|config| {
        // It takes no answers: the link is the only way.
        let capabilities = json!({"edit": true, "email_addresses": true});
        let desk = json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET, "capabilities": capabilities});
        config.channels.insert("desk".into(), desk);
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
    })
    .await;
    let ana = server.register("ana").await;
    let user = UserRef { id: server.running().app().ids.next(), username: "ben".into() };
    let addresses = vec![("desk".parse().unwrap(), "desk-7".parse().unwrap())];
    let ben = Person { user, preferences: Preferences::default(), addresses };
    server.running().storage().add_person(ben, None, SystemClock.now()).await.unwrap();
    let agent = server.agent(&ana).await;

    let ask = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ben"], "channels": ["desk"]});
    let request = agent.put(ask.clone()).await;
    let url = plug_in.told("request").await["answer_url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("{}/answer/", server.url())), "{url}");
    let (waiter, wait) = (agent.clone(), format!("/api/feedback/{}?wait=60", request["id"].as_str().unwrap()));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    server.parked(1).await;
    let page = open(&url).await;
    send(&url, &page, &[("value", "approved")]).await.shows(200, &["Approved by you on the web"]);
    let heard = timeout(BOUND, waiting).await.expect("the agent hears back").unwrap().body;
    assert_eq!((&heard["outcome"]["by"]["username"], &heard["outcome"]["channel"]), (&json!("ben"), &json!("web")));
    // What was shown there is settled.
    assert_eq!(plug_in.told("settle").await["request"]["status"], "answered");

    // An address that the asker named may be anybody's, however it is written.
    for named in ["a-group", "A-Group", "Desk-7"] {
        let mut draft = ask.clone();
        draft["channels"] = json!([{"channel": "desk", "address": named}]);
        let request = agent.put(draft).await;
        let shown = plug_in.told("request").await;
        let page = format!("{}/#/requests/{}", server.url(), request["id"].as_str().unwrap());
        assert_eq!((&shown["to"], &shown["answer_url"]), (&json!(named.to_lowercase()), &json!(page)));
    }
}

#[tokio::test]
async fn a_link_ends_with_the_address_that_it_went_to() {
    let mut plug_in = PlugIn::start().await;
    let server = TestServer::with(|config| {
        let desk = json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET});
        config.channels.insert("desk".into(), desk);
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
    })
    .await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ana).await;
    let addresses = async |who| format!("/api/users/{}/addresses", id(who).await);
    let give = async |who| {
        let given = ana.post(&addresses(who).await, json!({"channel": "desk", "address": "desk-7"})).await;
        assert_eq!(given.status.as_u16(), 201, "{given:?}");
        format!("{}/{}", addresses(who).await, text(&given.body["id"]))
    };
    let given = give(&ben).await;
    let ask = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ben"], "channels": ["desk"]});
    let request = agent.put(ask).await;
    let url = plug_in.told("request").await["answer_url"].as_str().unwrap().to_owned();
    let page = open(&url).await;
    page.shows(200, &["Deploy"]);

    let nowhere = async |why| {
        for page in [open(&url).await, send(&url, &page, &[("value", "approved")]).await] {
            assert_eq!(page.status.as_u16(), 404, "{why}");
            page.lacks(&["Deploy", "<form"]);
        }
    };
    assert_eq!(ana.delete(&given).await.status.as_u16(), 204);
    nowhere("the address is nobody's").await;
    let given = give(&ana).await;
    nowhere("the address is somebody else's").await;
    assert_eq!(now(&agent, &request).await["status"], "pending");
    assert_eq!(ana.delete(&given).await.status.as_u16(), 204);
    give(&ben).await;
    send(&url, &page, &[("value", "approved")]).await.shows(200, &["Thank you"]);
}

#[tokio::test]
async fn below_a_path_prefix_everything_is() {
    let server = TestServer::with(|config| {
        config.path_prefix = "/hub".into();
        config.public_url = "http://127.0.0.1:0/hub".parse().unwrap();
    })
    .await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    assert!(url.starts_with(&format!("{}/answer/", server.url())) && url.contains("/hub/answer/"), "{url}");
    let page = open(&url).await;
    for path in page.html.split('"').filter(|text| text.contains("assets/")) {
        let asset = url::Url::parse(&url).unwrap().join(path).unwrap();
        assert!(asset.path().starts_with("/hub/assets/"), "{asset}");
    }
    send(&url, &page, &[("value", "approved")]).await.shows(200, &["Thank you"]);
    assert_eq!(now(&ana, &request).await["status"], "answered");
    open(&url.replace("/hub/", "/")).await.shows(404, &["not_found"]);
}
