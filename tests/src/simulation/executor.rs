//! Runs one schedule on one thread, and tells its driver when nobody else has anything left to do.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use tokio::runtime::Builder;

/// Tells when every task waits for something.
#[derive(Clone, Debug, Default)]
pub struct Idle(Arc<Mutex<Option<Waker>>>);

impl Idle {
    /// Returns once every other task waits: for time to pass, or for ever.
    pub async fn reached(&self) {
        let mut asked = false;
        poll_fn(|context| {
            // Only the parking thread takes the waker.
            if asked && self.0.lock().unwrap().is_none() {
                return Poll::Ready(());
            }
            asked = true;
            *self.0.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn parking(&self) {
        let driver = self.0.lock().unwrap().take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

/// Runs the future that `driver` makes to its end; what it has spawned and left is dropped then.
pub fn run<T, F: Future<Output = T>>(driver: impl FnOnce(Idle) -> F) -> T {
    let idle = Idle::default();
    let parked = idle.clone();
    // No timers and no sockets: a thread without work has nothing to wait for but the driver.
    let runtime = Builder::new_current_thread().on_thread_park(move || parked.parking()).build().unwrap();
    runtime.block_on(driver(idle))
}
