//! What a person sees who starts the hub by hand.

use std::io::{self, IsTerminal, Write};

use crate::config::{Config, LogFormat};

/// Tells the person at the terminal where the hub is and what to do next; a log that programs read gets none of it.
/// `config` is the one with the real port, see [`Config::listening_on`]; `first_account` says that there is none yet.
pub fn welcome(config: &Config, first_account: bool) {
    let mut out = io::stderr();
    if config.log_format == LogFormat::Text && out.is_terminal() {
        let _ = out.write_all(text(config, first_account).as_bytes());
    }
}

fn text(config: &Config, first_account: bool) -> String {
    let next = if first_account {
        "Open the page and create the first account, the administrator's; then make a\n  \
         service token there and paste its lines into a shell to ask your first question."
    } else {
        "Open the page to answer; make a service token there to ask with `hearback ask`."
    };
    format!(
        "\n  Hearback {version} is running.\n\n  Page      {page}\n  API docs  {docs}\n  Data      {data}\n\n  {next}\n  \
         Ctrl-C stops it.\n\n",
        version = env!("CARGO_PKG_VERSION"),
        page = config.public_url,
        docs = config.link("docs"),
        data = config.database_path().display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_the_real_port_below_the_prefix() {
        let bind = "127.0.0.1:0".parse().unwrap();
        let public_url = "http://127.0.0.1:0/hub".parse().unwrap();
        let config = Config { bind, public_url, path_prefix: "/hub".into(), ..Config::default() };
        let text = text(&config.listening_on("127.0.0.1:4711".parse().unwrap()), true);
        assert!(text.contains("http://127.0.0.1:4711/hub\n"), "{text}");
        assert!(text.contains("http://127.0.0.1:4711/hub/docs\n"), "{text}");
        assert!(text.contains("data/hearback.db"), "{text}");
    }
}
