//! Real time, so many times as fast: the one place where the world looks at a real clock.
#![allow(clippy::disallowed_methods)] // a paced world is watched by a person; nothing here is replayed

use std::time::Duration;

use tokio::time::Instant;

use super::time::Millis;

/// The world's clock follows the real one.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: f64,
    origin: Instant,
    from: Millis,
}

impl Pace {
    /// Begins now, at a moment of the world.
    pub fn new(speed: f64, from: Millis) -> Self {
        Self { speed: speed.max(0.001), origin: Instant::now(), from }
    }

    /// Tells what the world's clock should show now.
    pub fn now(&self) -> Millis {
        self.from + (self.origin.elapsed().as_secs_f64() * self.speed * 1_000.0) as Millis
    }

    /// Waits until the world's clock should show `until`.
    pub async fn wait_until(&self, until: Millis) {
        let ahead = until.saturating_sub(self.from) as f64 / 1_000.0 / self.speed;
        let at = self.origin + Duration::from_secs_f64(ahead);
        tokio::time::sleep_until(at).await;
    }
}
