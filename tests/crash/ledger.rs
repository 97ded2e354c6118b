//! What the clients heard, kept outside the hub: the hub is compared with it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::promise::Promise;

/// How often one broken promise is kept: the first times tell the most.
const BROKEN_MAX: usize = 4;

/// What is known of a request from what the hub acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// As it was acknowledged when it was put; `None` when only a later call told of it.
    pub created: Option<Value>,
    /// As it was when it was first seen to be over.
    pub ended: Option<Value>,
    /// The response that was acknowledged as accepted.
    pub accepted: Option<Value>,
    /// The request as its asker heard that it is cancelled.
    pub cancelled: Option<Value>,
}

#[derive(Debug, Default)]
struct Heard {
    known: BTreeMap<String, Known>,
    /// What was heard of since the last restart that was compared.
    touched: BTreeSet<String>,
    /// Calls that put a request: the id, once acknowledged, by the name that the call gave it.
    calls: HashMap<String, Option<String>>,
    broken: Vec<(Promise, String)>,
}

/// How often what happened; shown at the end, and asked for what shows that the run was worth something.
#[derive(Debug, Default)]
pub struct Counts {
    pub calls: AtomicU64,
    pub lost: AtomicU64,
    pub replayed: AtomicU64,
    pub waits_resumed: AtomicU64,
    pub sockets_resumed: AtomicU64,
    pub streams_resumed: AtomicU64,
    pub compared: AtomicU64,
}

impl Counts {
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The clients' own record.
#[derive(Debug)]
pub struct Ledger {
    heard: Mutex<Heard>,
    log: Mutex<File>,
    since: Instant,
    /// Cancelled at the first broken promise.
    pub over: CancellationToken,
    pub counts: Counts,
}

/// A request without what its ending changes.
pub fn as_put(request: &Value) -> Value {
    let mut request = request.clone();
    if let Some(fields) = request.as_object_mut() {
        for name in ["status", "outcome", "ended_at"] {
            fields.remove(name);
        }
    }
    request
}

pub fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap_or_default()
}

pub fn is_over(request: &Value) -> bool {
    request["status"] != "pending"
}

impl Ledger {
    pub fn new(log: File) -> Self {
        Self {
            heard: Mutex::default(),
            log: Mutex::new(log),
            since: Instant::now(),
            over: CancellationToken::new(),
            counts: Counts::default(),
        }
    }

    /// Writes a line into the log that is kept when the run fails.
    pub fn log(&self, line: &str) {
        let at = self.since.elapsed().as_secs_f64();
        // A full disk shows in the hub first.
        let _ = writeln!(self.log.lock().unwrap(), "{at:9.4} {line}");
    }

    pub fn broken(&self, promise: Promise, detail: impl Into<String>) {
        let detail = detail.into();
        self.log(&format!("BROKEN {}: {detail}", promise.name()));
        let mut heard = self.heard.lock().unwrap();
        if heard.broken.iter().filter(|(other, _)| *other == promise).count() < BROKEN_MAX {
            heard.broken.push((promise, detail));
        }
        self.over.cancel();
    }

    /// Says that something is broken unless it `holds`.
    pub fn holds(&self, promise: Promise, holds: bool, detail: impl FnOnce() -> String) {
        if !holds {
            self.broken(promise, detail());
        }
    }

    pub fn all_broken(&self) -> Vec<(Promise, String)> {
        self.heard.lock().unwrap().broken.clone()
    }

    /// A call that puts a request begins; `call` names it.
    pub fn puts(&self, call: &str) {
        self.heard.lock().unwrap().calls.insert(call.into(), None);
    }

    /// Such a call is acknowledged: `request` is put.
    pub fn put(&self, call: &str, request: &Value) {
        let before = {
            let mut heard = self.heard.lock().unwrap();
            heard.touched.insert(id(request).into());
            heard.calls.insert(call.into(), Some(id(request).into()));
            let known = heard.known.entry(id(request).into()).or_default();
            known.created.replace(request.clone())
        };
        if let Some(before) = before.filter(|before| before != request) {
            self.broken(Promise::AcknowledgedIsThere, format!("{call} was answered {before}, then {request}"));
        }
    }

    /// A response was acknowledged as accepted.
    pub fn accepted(&self, response: &Value, request: &Value) {
        let before = {
            let mut heard = self.heard.lock().unwrap();
            heard.known.entry(id(request).into()).or_default().accepted.replace(response.clone())
        };
        if let Some(before) = before.filter(|before| before != response) {
            self.broken(Promise::OneAccepted, format!("{before} was accepted, and then {response}"));
        }
        self.saw(request);
    }

    /// The asker heard that the request is cancelled.
    pub fn cancelled(&self, request: &Value) {
        self.heard.lock().unwrap().known.entry(id(request).into()).or_default().cancelled = Some(request.clone());
        self.holds(Promise::EndedStaysEnded, request["status"] == "cancelled", || {
            format!("a cancellation was acknowledged with {request}")
        });
        self.saw(request);
    }

    /// Somebody was shown the request, over or not: what is over stays so, in the same way for everybody.
    pub fn saw(&self, request: &Value) {
        if !is_over(request) {
            return;
        }
        let before = {
            let mut heard = self.heard.lock().unwrap();
            heard.touched.insert(id(request).into());
            let known = heard.known.entry(id(request).into()).or_default();
            known.ended.get_or_insert_with(|| request.clone()).clone()
        };
        self.holds(Promise::EndedStaysEnded, before == *request, || format!("it ended as {before}, and as {request}"));
    }

    pub fn known(&self, id: &str) -> Option<Known> {
        self.heard.lock().unwrap().known.get(id).cloned()
    }

    pub fn all_known(&self) -> BTreeMap<String, Known> {
        self.heard.lock().unwrap().known.clone()
    }

    /// What was heard of since the last time this was asked, and what is known of it now.
    pub fn take_touched(&self) -> BTreeMap<String, Known> {
        let mut heard = self.heard.lock().unwrap();
        let touched = std::mem::take(&mut heard.touched);
        touched.into_iter().filter_map(|id| heard.known.get(&id).cloned().map(|known| (id, known))).collect()
    }

    /// Every call that puts a request, with the id of what it was acknowledged to have put.
    pub fn all_calls(&self) -> HashMap<String, Option<String>> {
        self.heard.lock().unwrap().calls.clone()
    }
}
