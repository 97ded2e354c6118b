use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::StreamExt;
use hearback_core::{
    channel::{
        Address, Capabilities, Connect, Inbound, MemoryChannel, Outbound, Pending, Reach, Receipt, Reply, Settlement,
    },
    feedback::Request,
    id::RequestId,
    person::UserRef,
    secret::Secret,
    store::Counts,
};
use tokio::sync::mpsc;

use super::*;

/// A channel that answers every call, waits for `go` before it does, and says when it works on.
#[derive(Debug)]
struct Talker {
    memory: MemoryChannel,
    go: Mutex<Option<oneshot::Receiver<()>>>,
    worked: mpsc::UnboundedSender<Callback>,
}

#[async_trait]
impl Channel for Talker {
    fn name(&self) -> &ChannelName {
        self.memory.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.memory.capabilities()
    }

    async fn probe(&self) -> CoreResult<()> {
        Ok(())
    }

    async fn reach(&self, to: &Address) -> Reach {
        self.memory.reach(to).await
    }

    fn is_personal(&self, to: &Address) -> bool {
        self.memory.is_personal(to)
    }

    async fn link(&self, _: &Secret) -> CoreResult<String> {
        Err(Error::unsupported("talker.link"))
    }

    async fn send(&self, to: &Address, what: &Outbound) -> CoreResult<Receipt> {
        self.memory.send(to, what).await
    }

    async fn settle(&self, what: &Settlement<'_>) -> CoreResult<()> {
        self.memory.settle(what).await
    }

    async fn run(&self, _: Arc<dyn Inbox>, _: CancellationToken) -> CoreResult<()> {
        Ok(())
    }

    async fn callback(&self, call: Callback, _: Arc<dyn Inbox>) -> CoreResult<CallbackReply> {
        let go = self.go.lock().unwrap().take();
        go.unwrap().await.unwrap();
        let (body, worked) = (call.body.clone(), self.worked.clone());
        let after = async move { worked.send(call).unwrap() };
        Ok(CallbackReply { body, after: Some(Box::pin(after)), ..CallbackReply::ok() })
    }

    fn connect(&self) -> Option<&dyn Connect> {
        None
    }
}

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Inbox for Nowhere {
    async fn accept(&self, _: Inbound) -> CoreResult<Reply> {
        Ok(Reply::Noted)
    }

    async fn person_at(&self, _: &ChannelName, _: &Address) -> CoreResult<Option<UserRef>> {
        Ok(None)
    }

    async fn request(&self, _: RequestId) -> CoreResult<Option<Arc<Request>>> {
        Ok(None)
    }

    async fn pending(&self, _: &ChannelName, _: &Address, _: usize) -> CoreResult<Option<Pending>> {
        Ok(None)
    }

    async fn counts(&self) -> CoreResult<Counts> {
        Ok(Counts::default())
    }
}

/// A call under way.
struct UnderWay {
    go: oneshot::Sender<()>,
    answer: oneshot::Receiver<CoreResult<Called>>,
    worked: mpsc::UnboundedReceiver<Callback>,
}

fn called() -> UnderWay {
    let ((go, gone), (tx, answer)) = (oneshot::channel(), oneshot::channel());
    let (worked, after) = mpsc::unbounded_channel();
    let memory = MemoryChannel::new("talker".parse().unwrap(), MemoryChannel::CAPABILITIES);
    let channel = Arc::new(Talker { memory, go: Mutex::new(Some(gone)), worked });
    let call = Callback {
        method: Method::POST,
        tail: "events".into(),
        query: "a=%20b".into(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b" {\"untouched\" : 1}\n"),
    };
    tokio::spawn(run(channel, call, Arc::new(Nowhere), tx));
    UnderWay { go, answer, worked: after }
}

/// Lets every other task go as far as it can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_work_after_an_answer_begins_when_the_answer_has_gone_out() {
    let UnderWay { go, answer, mut worked } = called();
    go.send(()).unwrap();
    let mut response = answer.await.unwrap().unwrap().into_response();
    tell_when_sent(&Method::POST, &mut response).await;
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "19");
    let mut body = response.take_body().into_bytes_stream();
    drop(response);
    assert_eq!(&body.next().await.unwrap().unwrap()[..], b" {\"untouched\" : 1}\n");
    settle().await;
    assert!(worked.try_recv().is_err(), "its last byte may not be out yet");
    drop(body);
    let call = worked.recv().await.unwrap();
    assert_eq!((call.method, call.tail.as_str(), call.query.as_str()), (Method::POST, "events", "a=%20b"));
}

#[tokio::test]
async fn a_caller_who_hangs_up_cuts_nothing_short() {
    let UnderWay { go, answer, mut worked } = called();
    settle().await;
    drop(answer);
    go.send(()).unwrap();
    assert!(worked.recv().await.is_some());
}

#[test]
fn only_plain_paths_of_adapters_are_spared_the_check_of_origins() {
    for path in ["/api/channels/team/events", "/api/channels/a/b"] {
        assert!(is_callback(path), "{path}");
    }
    for path in [
        "/api/channels",
        "/api/channels/",
        "/api/channels/team",
        "/api/channels/team/",
        "/api/channels//events",
        "/api/channels/team/disconnect",
        "/api/channels/team/%64isconnect",
        "/api/channels/team/events/more",
        "/api/tokens/a/b",
        "/hub/api/channels/team/events",
    ] {
        assert!(!is_callback(path), "{path}");
    }
}

#[test]
fn a_fault_becomes_the_problem_that_a_provider_understands() {
    let of = |kind| problem(&Error::new(kind, "webhook.callback", "the-detail"));
    for (kind, expected, told) in [
        (ErrorKind::Unsupported, ProblemKind::NotFound, false),
        (ErrorKind::Auth, ProblemKind::Unauthenticated, true),
        (ErrorKind::NotFound, ProblemKind::NotFound, true),
        (ErrorKind::Rejected, ProblemKind::Invalid, true),
        (ErrorKind::RateLimited, ProblemKind::TooManyRequests, true),
        (ErrorKind::Unavailable, ProblemKind::Unavailable, false),
        (ErrorKind::Ambiguous, ProblemKind::Unavailable, false),
        (ErrorKind::Config, ProblemKind::Internal, false),
        (ErrorKind::Unexpected, ProblemKind::Internal, false),
    ] {
        let problem = of(kind);
        assert_eq!((problem.kind(), problem.detail().contains("the-detail")), (expected, told), "{kind:?}");
        let retry = problem.into_response("").headers().contains_key(header::RETRY_AFTER);
        assert_eq!(retry, matches!(expected, ProblemKind::TooManyRequests | ProblemKind::Unavailable), "{kind:?}");
    }
    let later = Error::new(ErrorKind::RateLimited, "webhook.callback", "slow down");
    let later = later.with_retry(Retry::After(std::time::Duration::from_millis(2500)));
    assert_eq!(problem(&later).into_response("").headers()[header::RETRY_AFTER], "3");
}

#[tokio::test]
async fn a_problem_of_an_adapters_gets_the_id_of_its_call_and_nothing_else_does() {
    for (content_type, body, expected) in [
        (CONTENT_TYPE, r#"{"status":405}"#, r#"{"request_id":"r-1","status":405}"#),
        (CONTENT_TYPE, r#"{"request_id":"theirs"}"#, r#"{"request_id":"theirs"}"#),
        (CONTENT_TYPE, "no problem", "no problem"),
        ("application/json", r#"{"status":405}"#, r#"{"status":405}"#),
    ] {
        let content_type = Some(http::HeaderValue::from_static(content_type));
        let reply = CallbackReply { content_type, body: body.into(), ..CallbackReply::ok() };
        let sent = Sent(Arc::new(CancellationToken::new().drop_guard()));
        let mut response = Called(reply, sent).into_response();
        name_problem("r-1", &mut response).await;
        assert_eq!(response.take_body().into_string().await.unwrap(), expected);
    }
}
