//! Real time, so many times as fast: the one place where the world waits for a real clock.
#![allow(clippy::disallowed_methods)] // a paced world is watched by a person; nothing here is replayed

use std::time::Duration;

use tokio::time::Instant;

use super::time::Millis;

/// The speed at which a world is watched. The world's clock goes from one sleeper's time to the next, so on a machine that
/// is too slow for the speed it falls behind: nothing that a controller sees grows old while the machine computes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: f64,
    origin: Instant,
    from: Millis,
}

impl Pace {
    /// Begins now, at a moment of the world, which then goes so many times as fast as real time.
    pub fn new(speed: f64, from: Millis) -> Self {
        Self { speed: speed.max(0.001), origin: Instant::now(), from }
    }

    /// Waits until the world may have come to that moment. A world that has fallen behind does not wait.
    pub async fn wait_until(&self, until: Millis) {
        let ahead = until.saturating_sub(self.from) as f64 / 1_000.0 / self.speed;
        let at = self.origin + Duration::from_secs_f64(ahead);
        if at <= Instant::now() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep_until(at).await;
        }
    }
}
