//! Reads of one kind that queue up during one of them share the next, as writes share a commit: what every call of the API asks
//! costs one trip for many callers.

use hearback_core::{Error, Result as PortResult};
use tokio::sync::{mpsc, oneshot};

use super::{
    fault::{self, Fault, Result},
    session::{Count, Pool, UnderWay},
};

/// How many callers wait before others wait to be among them.
const QUEUE: usize = 1024;
/// The most callers of one read.
const MOST: usize = 64;

struct Asked<I, O> {
    input: I,
    tx: oneshot::Sender<PortResult<O>>,
}

/// Reads of one kind.
#[derive(Debug)]
pub(super) struct Together<I, O> {
    tx: mpsc::Sender<Asked<I, O>>,
    count: Count,
}

impl<I: Clone + Send + Sync + 'static, O: Send + 'static> Together<I, O> {
    /// Has `read` called with what was asked; it answers in the same order.
    pub(super) fn start<F>(readers: &Pool, read: fn(Pool, Vec<I>) -> F) -> Self
    where
        F: Future<Output = Result<Vec<O>>> + Send + 'static,
    {
        let (tx, mut rx) = mpsc::channel(QUEUE);
        let (readers, count) = (readers.clone(), readers.count.clone());
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(MOST);
            while rx.recv_many(&mut batch, MOST).await > 0 {
                // Whoever has hung up is not read for.
                batch.retain(|asked: &Asked<I, O>| !asked.tx.is_closed());
                let batch = std::mem::take(&mut batch);
                if !batch.is_empty() {
                    let inputs = batch.iter().map(|asked| asked.input.clone()).collect();
                    let answers = read(readers.clone(), inputs).await;
                    if batch.len() > 1 && answers.as_ref().is_err_and(|fault| !fault.is_of_the_disk()) {
                        // What is stored for one of them, or what one asked, must not cost the others their answer.
                        for asked in batch {
                            let answers = read(readers.clone(), vec![asked.input.clone()]).await;
                            tell(vec![asked], answers);
                        }
                    } else {
                        tell(batch, answers);
                    }
                }
            }
        });
        Self { tx, count }
    }

    /// Reads for one caller.
    pub(super) async fn read(&self, input: I) -> PortResult<O> {
        let _under_way = UnderWay::begin(&self.count);
        let (tx, rx) = oneshot::channel();
        self.tx.send(Asked { input, tx }).await.map_err(|_| fault::closed())?;
        rx.await.map_err(|_| fault::closed())?
    }
}

/// A caller who hung up meanwhile hears nothing.
fn tell<I, O>(batch: Vec<Asked<I, O>>, answers: Result<Vec<O>>) {
    match answers {
        Ok(answers) => batch.into_iter().zip(answers).for_each(|(asked, answer)| drop(asked.tx.send(Ok(answer)))),
        Err(Fault(fault)) => {
            for asked in batch {
                let error = Error::new(fault.kind(), fault.operation(), fault.detail().to_owned());
                let _ = asked.tx.send(Err(error));
            }
        }
    }
}
