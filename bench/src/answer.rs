//! From the first byte of an answer to the last byte that the parked waiter reads.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::hub::Hub;

const ROUNDS: usize = 200;
/// How long a waiter is left alone, so that it is parked when the answer comes.
const PARKED_AFTER: Duration = Duration::from_millis(20);

pub(crate) struct Figures {
    answer: Vec<Duration>,
    yardstick: Vec<Duration>,
}

pub(crate) async fn measure(hub: &Hub) -> Figures {
    let mut figures = Figures { answer: Vec::new(), yardstick: Vec::new() };
    for _ in 0..ROUNDS {
        let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"]});
        let request = hub.post("/api/feedback", &hub.agent, &draft).await;
        let path = format!("{}/api/feedback/{}", hub.url, request["id"].as_str().unwrap());
        let wait = hub.client.get(format!("{path}?wait=60")).bearer_auth(&hub.agent);
        let waiter = tokio::spawn(async move {
            let heard = wait.send().await.unwrap().bytes().await.unwrap();
            (Instant::now(), heard)
        });
        tokio::time::sleep(PARKED_AFTER).await;
        let begun = Instant::now();
        let answer = hub.client.post(format!("{path}/responses")).bearer_auth(&hub.person);
        answer.json(&json!({"value": "approved"})).send().await.unwrap().error_for_status().unwrap();
        let (heard_at, heard) = waiter.await.unwrap();
        assert!(String::from_utf8_lossy(&heard).contains("\"answered\""));
        figures.answer.push(heard_at.duration_since(begun));

        let begun = Instant::now();
        hub.client.get(format!("{}/livez", hub.url)).send().await.unwrap().bytes().await.unwrap();
        figures.yardstick.push(begun.elapsed());
    }
    figures.answer.sort_unstable();
    figures.yardstick.sort_unstable();
    figures
}

fn millis(sorted: &[Duration], per_cent: usize) -> f64 {
    sorted[(sorted.len() * per_cent / 100).min(sorted.len() - 1)].as_secs_f64() * 1000.0
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (millis(&self.answer, 50), millis(&self.answer, 99));
        let (yard50, yard99) = (millis(&self.yardstick, 50), millis(&self.yardstick, 99));
        writeln!(f, "  p50 {p50:.2} ms, p99 {p99:.2} ms, of {ROUNDS} rounds; the target is 50 ms")?;
        writeln!(f, "  yardstick, GET /livez in the same rounds: p50 {yard50:.2} ms, p99 {yard99:.2} ms")?;
        writeln!(f, "  ratio: p50 {:.1}, p99 {:.1}", p50 / yard50, p99 / yard99)
    }
}
