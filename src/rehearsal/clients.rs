//! Clients of a copy: they write canaries all the while, and read all of them again after each slot. Where the application
//! keeps no canaries, clients do nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use crate::ports::{Canaries, Clock, chain};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after, elapsed};

use super::measurements::Measurements;

/// The pause between two writes.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// The number of canaries that are written before anything is changed.
const WRITTEN_BEFORE: usize = 20;
/// The time for which canaries are asked for again where nobody answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients of the copy.
pub(super) struct Clients<'a, C, T> {
    clock: &'a T,
    canaries: Option<&'a C>,
    spec: &'a ClusterSpec,
    measurements: &'a Measurements,
    log: RefCell<Log>,
}

/// Everything that clients were told.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Writes that were acknowledged, by key.
    pub(super) written: BTreeMap<String, String>,
    /// The number of writes that were sent.
    sent: usize,
    pub(super) longest_stall: Duration,
    /// The moment of the last write that was acknowledged.
    last: Option<Timestamp>,
    /// Writes that were acknowledged and then missing, by key; the value says after what, e.g. `consul-a`.
    pub(super) lost: BTreeMap<String, String>,
    /// The reason why the last write that failed did.
    refused: Option<String>,
    /// A finding against the image, beside the writes that were lost.
    pub(super) finding: Option<String>,
}

impl<'a, C: Canaries, T: Clock> Clients<'a, C, T> {
    /// Makes clients that have written nothing yet.
    pub(super) fn new(
        clock: &'a T,
        canaries: Option<&'a C>,
        spec: &'a ClusterSpec,
        measurements: &'a Measurements,
    ) -> Self {
        Self { clock, canaries, spec, measurements, log: RefCell::default() }
    }

    /// Writes the first data, and says whether the rollout may begin.
    pub(super) async fn begin(&self) -> bool {
        let Some(canaries) = self.canaries else { return true };
        let until = after(self.clock.now(), PATIENCE);
        while self.log.borrow().written.len() < WRITTEN_BEFORE {
            self.write(canaries).await;
            if self.clock.now() > until {
                let mut log = self.log.borrow_mut();
                let why = log.refused.take().unwrap_or_else(|| "it is too slow".to_owned());
                log.finding = Some(format!("the copy takes no data: {why}"));
                return false;
            }
        }
        self.log.borrow_mut().longest_stall = Duration::ZERO;
        true
    }

    /// Writes on and on, and reads everything after each slot.
    pub(super) async fn write_on(&self) -> Infallible {
        loop {
            if let Some(canaries) = self.canaries {
                self.write(canaries).await;
            }
            if let Some(slot) = self.measurements.released() {
                self.read_all(&slot).await;
            }
            self.clock.sleep(WRITE_EVERY).await;
        }
    }

    async fn write(&self, canaries: &C) {
        let number = self.log.borrow().sent;
        self.log.borrow_mut().sent += 1;
        // One value to a key: a write that nobody acknowledged may still land.
        let (key, value) = (format!("{number:06}"), format!("{} {number}", self.spec.name));
        let seats = self.measurements.seats();
        let written = canaries.write_canary(self.spec, &seats, &key, &value).await;
        let now = self.clock.now();
        let mut log = self.log.borrow_mut();
        match written {
            Ok(()) => {
                let stall = log.last.map_or(Duration::ZERO, |last| elapsed(now, last));
                log.longest_stall = log.longest_stall.max(stall);
                log.last = Some(now);
                log.written.insert(key, value);
            }
            Err(error) => log.refused = Some(chain(&error)),
        }
    }

    /// Reads everything that was acknowledged before, and notes what is missing.
    pub(super) async fn read_all(&self, after_what: &str) {
        let Some(canaries) = self.canaries else { return };
        let wanted = self.log.borrow().written.clone();
        let until = after(self.clock.now(), PATIENCE);
        loop {
            match canaries.canaries(self.spec, &self.measurements.seats()).await {
                Ok(found) => {
                    let lost = wanted.iter().filter(|(key, value)| found.get(*key) != Some(value));
                    let lost = lost.map(|(key, _)| (key.clone(), after_what.to_owned()));
                    self.log.borrow_mut().lost.extend(lost);
                    return;
                }
                Err(error) if self.clock.now() > until => {
                    self.log.borrow_mut().finding = Some(format!("nobody gives the data back: {}", chain(&error)));
                    return;
                }
                Err(_) => self.clock.sleep(WRITE_EVERY).await,
            }
        }
    }

    /// Everything that the clients were told.
    pub(super) fn into_log(self) -> Log {
        self.log.into_inner()
    }
}
