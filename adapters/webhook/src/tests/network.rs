//! Which addresses are called at all.

use hearback_core::{ErrorKind, channel::Channel};
use serde_json::json;

use super::{
    ana, build,
    fake::{Plugin, Script},
    question,
};

#[tokio::test]
async fn private_addresses_in_every_spelling_are_refused_and_the_setting_is_named() {
    let plugin = Plugin::scripted([Script::Hang]).await;
    let port = plugin.port;
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "127.1",
        "017700000001",
        "0.0.0.0",
        "localhost",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]",
        "[fe80::1]",
    ] {
        let world = build(&format!("http://{host}:{port}/?key=of-the-query"), &json!({"edit": true}), "").unwrap();
        for error in [
            world.webhook.send(&ana(), &question()).await.unwrap_err(),
            super::settle(world.webhook.as_ref()).await.unwrap_err(),
            world.webhook.probe().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config, "{host}: {error}");
            assert!(error.detail().contains("set OUTBOUND_ALLOW to a network"), "{host}: {error}");
            assert!(!error.detail().contains("of-the-query"));
            // What a name of the operator's network stands for is nobody's business.
            assert!(
                host != "localhost" || !error.to_string().contains("127.0.0.") && !error.to_string().contains("::1")
            );
        }
    }
    assert!(plugin.calls().is_empty());
}

#[tokio::test]
async fn an_allowed_network_is_called_by_literal_and_by_name() {
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        let plugin = Plugin::scripted([super::fake::answer(200, &json!({"receipt": "m-1"}))]).await;
        let url = format!("http://{host}:{}/", plugin.port);
        let world = build(&url, &json!({}), "127.0.0.0/8").unwrap();
        assert_eq!(world.webhook.send(&ana(), &question()).await.unwrap().as_str(), "m-1", "{host}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Plugin::scripted([Script::Hang]).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("http://127.0.0.1:{}/secret-place", target.port);
        let plugin = Plugin::scripted([Script::Answer(status, vec![("Location", to)], String::new())]).await;
        let world = build(&plugin.url(), &json!({}), "127.0.0.0/8").unwrap();
        let error = world.webhook.send(&ana(), &question()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.detail().contains("not followed") && !error.detail().contains("secret-place"), "{error}");
    }
    assert!(target.calls().is_empty());
}
