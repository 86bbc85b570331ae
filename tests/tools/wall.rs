//! The clock on the wall, for tests against real files and real servers.
#![allow(clippy::disallowed_methods)] // here real time is what comes in through the door

use std::time::Duration;

use hermitcrab::ports::Clock;
use hermitcrab::time::Timestamp;

/// Real time.
#[derive(Clone, Copy, Debug)]
pub struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
