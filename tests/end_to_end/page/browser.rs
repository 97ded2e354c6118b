//! A browser of a test's own, driven as a person would: it looks, waits, types and clicks.

use std::{
    env,
    fmt::Debug,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::CmdError, wd::WebDriverCompatibleCommand};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use url::{ParseError, Url};

use super::SOON;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// How long the driver may take to close its browser.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// A browser with its driver; both end with it, also when the test panics.
pub(crate) struct Browser {
    client: Client,
    _driver: Driver,
}

struct Driver {
    process: Child,
    port: u16,
    _profile: TempDir,
}

impl Browser {
    /// A new browser; `None` when this machine has none, which is said.
    pub(crate) async fn start() -> Option<Self> {
        Self::with(json!({})).await
    }

    /// A new browser in which no page's script runs; the driver's own do.
    pub(crate) async fn without_scripts() -> Option<Self> {
        Self::with(json!({"profile.managed_default_content_settings.javascript": 2})).await
    }

    async fn with(preferences: Value) -> Option<Self> {
        let (driver, chromium) = programs()?;
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--force-prefers-reduced-motion",
            "--window-size=1180,900",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted: Map<_, _> = [
            ("goog:chromeOptions".into(), json!({"binary": chromium, "args": arguments, "prefs": preferences})),
            ("goog:loggingPrefs".into(), json!({"browser": "ALL"})),
        ]
        .into_iter()
        .collect();
        let driver = Driver::start(&driver, profile);
        let url = format!("http://127.0.0.1:{}", driver.port);
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(wanted).connect(&url).await;
        Some(Self { client: client.expect("a browser"), _driver: driver })
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// Waits until an element is there and can be seen.
    pub(crate) async fn see(&self, css: &str) {
        self.until(&format!("{css} to be seen"), async || self.find(css).await?.is_displayed().await).await;
    }

    /// Waits until no such element can be seen.
    pub(crate) async fn see_gone(&self, css: &str) {
        let gone = async || {
            for element in self.client.find_all(Locator::Css(css)).await? {
                if element.is_displayed().await? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.until(&format!("{css} to be gone"), gone).await;
    }

    /// Waits until an element's visible text holds `part`.
    pub(crate) async fn read(&self, css: &str, part: &str) {
        let read = async || Ok(self.find(css).await?.text().await?.contains(part));
        self.until(&format!("{part:?} in {css}"), read).await;
    }

    /// The visible text of an element.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.see(css).await;
        self.find(css).await.unwrap().text().await.unwrap()
    }

    /// What stands in a field.
    pub(crate) async fn value(&self, css: &str) -> String {
        self.see(css).await;
        self.find(css).await.unwrap().prop("value").await.unwrap().unwrap_or_default()
    }

    /// How many such elements there are, seen or not.
    pub(crate) async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Scrolls to an element and clicks as a person does: what is covered or moving cannot be clicked yet.
    pub(crate) async fn click(&self, css: &str) {
        // What lies below the sticky head is in view for the driver, which then does not scroll.
        let scroll = "arguments[0].scrollIntoView({block: 'center'})";
        let click = async || {
            let element = self.find(css).await?;
            self.client.execute(scroll, vec![serde_json::to_value(&element)?]).await?;
            element.click().await.map(|()| true)
        };
        self.until(&format!("a click on {css}"), click).await;
    }

    /// Types into a field, instead of what stands there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        self.see(css).await;
        let field = self.find(css).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Goes on in the tab that was opened so many tabs after the first.
    pub(crate) async fn turn_to(&self, tab: usize) {
        let opened = async || Ok(self.client.windows().await?.len() > tab);
        self.until("the tab", opened).await;
        let tabs = self.client.windows().await.unwrap();
        self.client.switch_to_window(tabs[tab].clone()).await.unwrap();
    }

    /// Chooses an option by its words.
    pub(crate) async fn choose(&self, css: &str, label: &str) {
        self.see(css).await;
        self.find(css).await.unwrap().select_by_label(label).await.unwrap();
    }

    /// Whether a box is ticked.
    pub(crate) async fn ticked(&self, css: &str) -> bool {
        self.see(css).await;
        self.find(css).await.unwrap().is_selected().await.unwrap()
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// Ends the test: nothing broke the page's policy, and no script failed. Answers that the browser writes down as
    /// failed loads may only be those that the test provoked.
    pub(crate) async fn close(self, provoked: &[&str]) {
        let entries = self.client.issue_cmd(ConsoleLog).await.unwrap();
        let bad = entries.as_array().unwrap().iter().filter(|entry| {
            let message = entry["message"].as_str().unwrap();
            entry["source"] != "network" || !provoked.iter().any(|part| message.contains(part))
        });
        assert_eq!(bad.collect::<Vec<_>>(), Vec::<&Value>::new(), "the browser's console");
    }

    async fn find(&self, css: &str) -> Result<Element, CmdError> {
        self.client.find(Locator::Css(css)).await
    }

    /// Waits for a condition. An element that is not there, or not any more, is a reason to look again.
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> Result<bool, CmdError>) {
        let last = Instant::now() + SOON;
        loop {
            let seen = holds().await;
            match seen {
                Ok(true) => return,
                Err(CmdError::Lost(error)) => panic!("waiting for {what}: the browser is gone: {error}"),
                _ if Instant::now() > last => self.give_up(what, &seen).await,
                _ => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Fails with what stands on the page.
    async fn give_up(&self, what: &str, seen: &dyn Debug) -> ! {
        let shown = self.client.execute("return `${location}\n${document.body.innerText}`", vec![]).await;
        let shown = shown.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
        let log = self.client.issue_cmd(ConsoleLog).await;
        panic!("waited {SOON:?} for {what}: {seen:?}\nthe page shows {shown}\nthe console {log:?}");
    }
}

/// The paths of the driver and of the browser.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let set = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let (Some(driver), Some(chromium)) = (set("TEST_CHROMEDRIVER"), set("TEST_CHROMIUM")) {
        return Some((driver, chromium));
    }
    let test = thread::current().name().unwrap_or_default().to_owned();
    let line = format!("{test}: needs the paths of a browser in TEST_CHROMIUM and of its driver in TEST_CHROMEDRIVER");
    assert!(env::var_os("TEST_REQUIRE_SERVICES").is_none_or(|value| value != "1"), "{line}");
    // Not by eprintln, whose text is only shown of tests that fail.
    std::io::stderr().write_all(format!("SKIPPED {line}\n").as_bytes()).unwrap();
    None
}

impl Driver {
    fn start(program: &PathBuf, profile: TempDir) -> Self {
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ChromeDriver was started successfully on port ")?.trim_end_matches('.').parse().ok()
        });
        // Nobody reads on, and a full pipe would stop it.
        thread::spawn(move || lines.for_each(drop));
        Self { process, port: port.expect("the driver says its port"), _profile: profile }
    }

    /// Asks the driver to close its browser and to end.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(CLOSE_MAX))?;
        write!(stream, "GET /shutdown HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // What fails here leaves a process behind, and must not hide why the test failed.
        let _ = self.shut_down();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks for what the browser wrote to its console since it was last asked.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
