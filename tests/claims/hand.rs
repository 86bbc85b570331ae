//! A clock that is moved by hand.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::ports::Clock;
use hermitcrab::time::{Timestamp, after};
use tokio::sync::Notify;

/// Time that moves when it is told to.
#[derive(Clone, Debug)]
pub struct Hand {
    now: Rc<Cell<Timestamp>>,
    moved: Rc<Notify>,
}

impl Hand {
    pub fn new() -> Self {
        Self { now: Rc::new(Cell::new(Timestamp::UNIX_EPOCH)), moved: Rc::default() }
    }

    /// Lets so many seconds pass.
    pub fn advance(&self, seconds: u64) {
        self.now.set(after(self.now.get(), Duration::from_secs(seconds)));
        self.moved.notify_waiters();
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.now.get()
    }

    async fn sleep(&self, span: Duration) {
        let until = after(self.now(), span);
        while self.now() < until {
            self.moved.notified().await;
        }
    }
}
