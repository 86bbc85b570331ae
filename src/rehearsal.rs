//! A rehearsal: a throw-away copy of a cluster goes the way that the cluster is to go, and is destroyed whatever comes of it.
//!
//! The copy is created at the image that runs now, blank or with the cluster's data, given canary data by way of the
//! application, brought to the new image by the same controller, and asked for its data. A copy's name says of which cluster
//! it is one and since when, so that copies that a crash has left are found by their tags alone.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{self, Future};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};

use crate::controller::Settings;
use crate::controller::converge::{Conclusion, Target};
use crate::event::Listeners;
use crate::ids::{ClusterName, ImageId};
use crate::observed::Remains;
use crate::plan::Goal;
use crate::ports::{Clock, Coordination, OutsideWithCanaries, chain};
use crate::spec::{self, Approval, Capacity, ClusterSpec, Original};
use crate::time::{Timestamp, elapsed};

mod changes;
mod clients;
mod measurements;
mod report;

pub use changes::{Changes, NoSource, Source, UnknownZone};
pub use report::{Judgement, Report};

use clients::Clients;
use measurements::Measurements;

/// The text between a cluster's name and the time, in the name of a copy.
const MARK: &str = "-rehearsal-";
/// The time in the name of a copy.
const FORMAT: &str = "%Y%m%dt%H%M%Sz";
/// Instance tags by which a guest takes a volume that is not its own.
const ADOPT: [&str; 2] = ["hermitcrab-adopt", "hermitcrab-adopt-from"];
/// The longest name that a cluster may have.
const LONGEST: usize = 63;

/// A rollout that is rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The cluster that the copy is made of.
    pub original: ClusterName,
    /// The copy, as it is to be in the end.
    pub copy: ClusterSpec,
    /// The differences from the cluster that somebody wants, in words, e.g. `instance type m7i.large → t3.small`.
    pub changed: Vec<String>,
    /// The image that the copy is created at.
    pub from: ImageId,
    /// The most that the rollout may cost.
    pub budget: Budget,
}

/// The most that a rollout may cost. A cost without a limit is not judged.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The longest that any member may be down.
    pub member_down: Option<Duration>,
    /// The longest that nothing may be written.
    pub write_stall: Option<Duration>,
    /// The longest that each part may take: creation, rollout and end.
    pub part: Duration,
}

/// Names a copy of a cluster that is made now, e.g. `consul-prod-rehearsal-20261123t044512z`.
pub fn name(original: &ClusterName, now: Timestamp) -> ClusterName {
    let time = now.strftime(FORMAT).to_string();
    let room = LONGEST - MARK.len() - time.len();
    let original: String = original.chars().take(room).collect();
    format!("{}{MARK}{time}", original.trim_end_matches('-')).as_str().into()
}

/// Says by a copy's name when the copy of that cluster was made; none if it is no copy of it.
pub fn made_at(original: &ClusterName, name: &ClusterName) -> Option<Timestamp> {
    let time = name.rsplit_once(MARK)?.1;
    let at = jiff::civil::DateTime::strptime(FORMAT, time).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    (self::name(original, at) == *name).then_some(at)
}

/// Makes a cluster like that one, in which nothing has to be agreed to or waited for, and of which nothing is kept.
pub fn copy(original: &ClusterSpec, name: ClusterName) -> ClusterSpec {
    let mut copy = ClusterSpec { name, suspend: false, freeze: false, deletion_protection: false, ..original.clone() };
    copy.capacity = Capacity::Instances;
    copy.depends_on = BTreeSet::new();
    copy.origin = Some(Original { cluster: original.name.clone(), seed: None });
    copy.instance.tags.retain(|key, _| !ADOPT.contains(&&**key));
    copy.rollout.windows = Vec::new();
    copy.rollout.approval = Approval::Never;
    copy.rollout.approved = None;
    copy.rollout.rehearsal = spec::Rehearsal::Optional;
    for volume in &mut copy.volumes {
        volume.snapshot_before_replace = spec::SnapshotBeforeReplace::Never;
    }
    for slot in &mut copy.slots {
        let name: String = format!("rehearsal-{}", slot.name).chars().take(LONGEST).collect();
        slot.name = name.as_str().into();
        slot.address = None; // the original keeps its own
    }
    copy
}

impl Rehearsal {
    /// Goes all the way, or until `stop` comes; the copy is destroyed in any case.
    pub async fn run<O: OutsideWithCanaries + Clone>(
        &self,
        outside: O,
        settings: &Settings,
        listeners: Listeners<'_>,
        stop: impl Future<Output = ()>,
    ) -> Report {
        let measurements = Rc::new(Measurements::default());
        let listeners = listeners.with(measurements.clone());
        let course = Course { rehearsal: self, outside: &outside, settings, listeners, measurements: &measurements };
        let mut report = Report::of(self);
        let stop = stop.shared();
        if course.create(&mut report, stop.clone()).await {
            course.roll_out(&mut report, stop).await;
        }
        course.destroy(&mut report).await;
        report
    }
}

/// A rehearsal under way.
struct Course<'a, O> {
    rehearsal: &'a Rehearsal,
    outside: &'a O,
    settings: &'a Settings,
    listeners: Listeners<'a>,
    measurements: &'a Measurements,
}

impl<O: OutsideWithCanaries + Clone> Course<'_, O> {
    /// Creates the copy at the image that runs now. Says whether it is there.
    async fn create(&self, report: &mut Report, stop: impl Future<Output = ()>) -> bool {
        let copy = &self.rehearsal.copy;
        let (image, application) = (self.rehearsal.from.clone(), copy.application.of_any_version());
        let created = ClusterSpec { image, application, ..copy.clone() };
        let (conclusion, took) = self.reach(created, Goal::AsDeclared, stop).await;
        report.create_seconds = took.as_secs_f64();
        report.concludes("the copy was not created", &conclusion);
        conclusion == Conclusion::Reached
    }

    /// Brings the copy to the new image while clients write, and judges what they and the members went through.
    async fn roll_out(&self, report: &mut Report, stop: impl Future<Output = ()>) {
        let copy = &self.rehearsal.copy;
        let canaries = self.outside.canaries_of(&copy.application);
        report.without_canaries = canaries.is_none();
        let clients = Clients::new(self.outside.clock(), canaries, copy, self.measurements);
        if clients.begin().await {
            self.measurements.begin();
            let rollout = self.reach(copy.clone(), Goal::AsDeclared, stop);
            let (conclusion, took) = while_others(rollout, clients.write_on()).await;
            report.roll_seconds = took.as_secs_f64();
            report.concludes("the rollout did not come to its end", &conclusion);
            clients.read_all("the rollout").await;
        }
        report.judges(&clients.into_log(), &self.measurements.downs(), &self.rehearsal.budget);
    }

    /// Destroys everything of the copy, its claim record last.
    async fn destroy(&self, report: &mut Report) {
        let copy = &self.rehearsal.copy;
        let (conclusion, took) = self.reach(copy.clone(), Goal::Gone(Remains::Nothing), future::pending()).await;
        report.destroy_seconds = took.as_secs_f64();
        report.concludes("the copy is not all gone", &conclusion);
        if conclusion == Conclusion::Reached
            && let Err(error) = self.outside.coordination().forget(&copy.name).await
        {
            report.finds(format!("its claim record is left: {}", chain(&error)));
        }
    }

    /// Brings the copy to a goal. Says how that ended, and how long it took.
    async fn reach(&self, spec: ClusterSpec, goal: Goal, stop: impl Future<Output = ()>) -> (Conclusion, Duration) {
        let begun = self.outside.clock().now();
        let target = Target { spec, goal, limit: self.rehearsal.budget.part };
        let reached = target.reach(self.outside.clone(), self.settings.clone(), self.listeners.clone(), stop);
        let conclusion = Box::pin(reached).await;
        (conclusion, elapsed(self.outside.clock().now(), begun))
    }
}

/// Runs the first future to its end, and the second one for as long.
async fn while_others<T>(first: impl Future<Output = T>, second: impl Future<Output = Infallible>) -> T {
    match select(pin!(first), pin!(second)).await {
        Either::Left((ended, _)) => ended,
        Either::Right((never, _)) => match never {},
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
