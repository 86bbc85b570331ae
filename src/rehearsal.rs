//! A rehearsal: a throw-away copy of a cluster goes the way that the cluster is to go, and is destroyed whatever comes of it.
//!
//! The copy is created at the image that runs now, blank or with the cluster's data, given canary data by way of the
//! application, brought to the new image by the same controller, and asked for its data. A copy's name says of which cluster
//! it is one and since when, so that what a crash has left is found by its tags alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, FutureExt};

use crate::controller::errand::{Errand, Finish};
use crate::controller::{Audience, Settings};
use crate::ids::{ClusterName, ImageId};
use crate::observed::Remains;
use crate::plan::Goal;
use crate::ports::{Canaries, Clock, Coordination, OutsideWithCanaries};
use crate::spec::{self, Approval, Capacity, ClusterSpec, Original};
use crate::time::{Timestamp, elapsed};

mod changes;
mod report;
mod watch;

pub use changes::{Changes, NoSource, Source, UnknownZone};
pub use report::Report;

use watch::Watch;

/// Between a cluster's name and the time, in the name of a copy.
const MARK: &str = "-rehearsal-";
/// The time in it.
const FORMAT: &str = "%Y%m%dt%H%M%Sz";
/// Instance tags by which a guest takes a volume that is not its own.
const ADOPT: [&str; 2] = ["hermitcrab-adopt", "hermitcrab-adopt-from"];
/// The longest name that a cluster may have.
const LONGEST: usize = 63;
/// How often a canary is written.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// Canaries that are written before anything is changed.
const WRITTEN_BEFORE: usize = 20;
/// How long canaries are asked for, where nobody answers.
const ASKED_FOR: Duration = Duration::from_secs(60);

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Of which cluster.
    pub original: ClusterName,
    /// The copy, as it is to be in the end.
    pub copy: ClusterSpec,
    /// In what it differs from the cluster because somebody wants it to, in words.
    pub changed: Vec<String>,
    /// The image that it is created at.
    pub from: ImageId,
    /// What it may cost.
    pub budget: Budget,
}

/// What a rollout may cost. What is not said is not judged.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The longest that any member may be down.
    pub member_down: Option<Duration>,
    /// The longest that nothing may be written.
    pub write_stall: Option<Duration>,
    /// For each part: creation, rollout and end.
    pub part: Duration,
}

/// A name for a copy of a cluster that is made now.
pub fn name(original: &ClusterName, now: Timestamp) -> ClusterName {
    let time = now.strftime(FORMAT).to_string();
    let room = LONGEST - MARK.len() - time.len();
    let original: String = original.chars().take(room).collect();
    format!("{}{MARK}{time}", original.trim_end_matches('-')).as_str().into()
}

/// When a copy of that cluster was made, by its name; none if it is no copy of it.
pub fn made_at(original: &ClusterName, name: &ClusterName) -> Option<Timestamp> {
    let time = name.rsplit_once(MARK)?.1;
    let at = jiff::civil::DateTime::strptime(FORMAT, time).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    (self::name(original, at) == *name).then_some(at)
}

/// A cluster like that one, in which nothing has to be agreed to or waited for, and of which nothing is kept.
pub fn copy(original: &ClusterSpec, name: ClusterName) -> ClusterSpec {
    let mut copy = ClusterSpec { name, suspend: false, freeze: false, deletion_protection: false, ..original.clone() };
    copy.capacity = Capacity::Instances;
    copy.origin = Some(Original { cluster: original.name.clone(), seed: None });
    copy.instance.tags.retain(|key, _| !ADOPT.contains(&&**key));
    (copy.rollout.windows, copy.rollout.approval, copy.rollout.approved) = (Vec::new(), Approval::Never, None);
    copy.rollout.rehearsal = spec::Rehearsal::Optional;
    for volume in &mut copy.volumes {
        volume.snapshot_before_replace = false;
    }
    for slot in &mut copy.slots {
        let name: String = format!("rehearsal-{}", slot.name).chars().take(LONGEST).collect();
        slot.name = name.as_str().into();
    }
    copy
}

impl Rehearsal {
    /// Goes all the way, or until `stop` comes; the copy is destroyed in any case.
    pub async fn run<O: OutsideWithCanaries + Clone>(
        &self,
        outside: O,
        settings: impl Fn() -> Settings,
        audience: &dyn Audience,
        stop: impl Future<Output = ()>,
    ) -> Report {
        let mut report = Report::of(self);
        let stop = stop.shared();
        let watch = Watch::new(audience);
        let bring = async |spec: ClusterSpec, goal, stop| {
            let begun = outside.clock().now();
            let errand = Errand { spec, goal, limit: self.budget.part };
            let finish = Box::pin(errand.run(outside.clone(), settings(), &watch, stop)).await;
            (finish, elapsed(outside.clock().now(), begun))
        };
        let created = ClusterSpec {
            image: self.from.clone(),
            application: self.copy.application.of_any_version(),
            ..self.copy.clone()
        };
        let (finish, took) = bring(created.clone(), Goal::AsDeclared, stop.clone().left_future()).await;
        report.create_seconds = took.as_secs_f64();
        report.takes("the copy was not created", &finish);
        if finish == Finish::Reached {
            let canaries = outside.canaries_of(&self.copy.application);
            report.without_canaries = canaries.is_none();
            let log = RefCell::default();
            let clients = Clients { clock: outside.clock(), canaries, spec: &self.copy, watch: &watch, log };
            if clients.load().await {
                watch.begin();
                let roll = bring(self.copy.clone(), Goal::AsDeclared, stop.left_future());
                let ((finish, took), _) = match future::select(pin!(roll), pin!(clients.go_on())).await {
                    future::Either::Left((rolled, writing)) => (rolled, writing),
                    future::Either::Right((never, _)) => match never {},
                };
                report.roll_seconds = took.as_secs_f64();
                report.takes("the rollout did not come to its end", &finish);
                clients.look("the rollout").await;
            }
            let log = clients.log.into_inner();
            report.counts(&log, &watch.downs(), &self.budget);
        }
        let end = Goal::Gone(Remains::Nothing);
        let (finish, took) = bring(self.copy.clone(), end, future::pending().right_future()).await;
        report.destroy_seconds = took.as_secs_f64();
        report.takes("the copy is not all gone", &finish);
        if finish == Finish::Reached
            && let Err(error) = outside.coordination().forget(&self.copy.name).await
        {
            report.finds(format!("its claim record is left: {}", crate::controller::chain(&error)));
        }
        report
    }
}

/// Clients of the copy, which do nothing where its application keeps no canaries.
struct Clients<'a, C, T> {
    clock: &'a T,
    canaries: Option<&'a C>,
    spec: &'a ClusterSpec,
    watch: &'a Watch<'a>,
    log: RefCell<Log>,
}

/// What clients were told.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Acknowledged, by key.
    written: BTreeMap<String, String>,
    /// How many were sent.
    sent: usize,
    longest_stall: Duration,
    last: Option<Timestamp>,
    /// Acknowledged and missed at some look, and after what.
    lost: BTreeMap<String, String>,
    /// Why the last write that failed did.
    refused: Option<String>,
    /// What speaks against the image, beside what was lost.
    finding: Option<String>,
}

enum Never {}

impl<C: Canaries, T: Clock> Clients<'_, C, T> {
    /// Writes the first data, and says whether the rollout may begin.
    async fn load(&self) -> bool {
        let Some(canaries) = self.canaries else { return true };
        let until = crate::time::after(self.clock.now(), ASKED_FOR);
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

    /// Writes on and on, and asks for everything after each slot.
    async fn go_on(&self) -> Never {
        loop {
            if let Some(canaries) = self.canaries {
                self.write(canaries).await;
            }
            if let Some(slot) = self.watch.released() {
                self.look(&slot).await;
            }
            self.clock.sleep(WRITE_EVERY).await;
        }
    }

    async fn write(&self, canaries: &C) {
        let number = self.log.borrow().sent;
        self.log.borrow_mut().sent += 1;
        // One value to a key: a write that nobody acknowledged may still land.
        let (key, value) = (format!("{number:06}"), format!("{} {number}", self.spec.name));
        let written = canaries.write_canary(self.spec, &self.watch.seats(), &key, &value).await;
        let now = self.clock.now();
        let mut log = self.log.borrow_mut();
        match written {
            Ok(()) => {
                let stall = log.last.map_or(Duration::ZERO, |last| elapsed(now, last));
                log.longest_stall = log.longest_stall.max(stall);
                log.last = Some(now);
                log.written.insert(key, value);
            }
            Err(error) => log.refused = Some(crate::controller::chain(&error)),
        }
    }

    /// Asks for everything that was acknowledged before.
    async fn look(&self, after: &str) {
        let Some(canaries) = self.canaries else { return };
        let wanted = self.log.borrow().written.clone();
        let until = crate::time::after(self.clock.now(), ASKED_FOR);
        loop {
            match canaries.canaries(self.spec, &self.watch.seats()).await {
                Ok(found) => {
                    let lost = wanted.iter().filter(|(key, value)| found.get(*key) != Some(value));
                    let lost = lost.map(|(key, _)| (key.clone(), after.to_owned()));
                    self.log.borrow_mut().lost.extend(lost);
                    return;
                }
                Err(error) if self.clock.now() > until => {
                    let why = crate::controller::chain(&error);
                    self.log.borrow_mut().finding = Some(format!("nobody gives the data back: {why}"));
                    return;
                }
                Err(_) => self.clock.sleep(WRITE_EVERY).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copys_name_says_what_it_is_a_copy_of_and_since_when() {
        let at: Timestamp = "2026-11-23T04:45:12Z".parse().unwrap();
        for original in ["consul-prod", &"a-".repeat(31), &"x".repeat(63)] {
            let original = ClusterName::from(original);
            let name = name(&original, at);
            assert!(name.len() <= LONGEST && !name.contains("--"), "{name}");
            assert_eq!(made_at(&original, &name), Some(at));
        }
        let name = name(&"consul-prod".into(), at);
        assert_eq!(&*name, "consul-prod-rehearsal-20261123t044512z");
        for other in ["consul", "consul-pro"] {
            assert_eq!(made_at(&other.into(), &name), None);
        }
        for other in ["consul-prod", "consul-prod-rehearsal-", "consul-prod-rehearsal-tomorrow"] {
            assert_eq!(made_at(&"consul-prod".into(), &other.into()), None);
        }
    }
}
