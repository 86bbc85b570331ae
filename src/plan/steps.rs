//! The steps of a replacement, and about how long each takes.
//!
//! The spans are medians of published figures and say "about".

use std::time::Duration;

use serde::Serialize;

use crate::spec::{ClusterSpec, Strategy};

/// From `RunInstances` to running: 17.8 s cold for an m7i.large, and 4.8 s for the call itself (brevdev, 2026-02).
const LAUNCH: Duration = Duration::from_secs(23);
/// From running to both status checks passed; they run once a minute.
const CHECKS: Duration = Duration::from_secs(75);
/// A graceful stop: 10 to 60 s.
const STOP: Duration = Duration::from_secs(25);
/// Detaching and attaching in the healthy case (EBS CSI driver: each 1–4 s normally, rarely 20 s).
const DETACH: Duration = Duration::from_secs(5);
const ATTACH: Duration = Duration::from_secs(4);
/// Mounting, starting, and being seen as a healthy voter by the others.
const JOIN: Duration = Duration::from_secs(25);
/// Leadership, where it can be moved.
const TRANSFER: Duration = Duration::from_secs(2);
/// Joining an Auto Scaling group.
const ENLIST: Duration = Duration::from_secs(5);
/// A call that has nothing to wait for.
pub(super) const CALL: Duration = Duration::from_secs(1);

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The name of the action.
    pub action: &'static str,
    /// About how long until the next one.
    pub takes: Duration,
    /// The member is down meanwhile.
    pub down: bool,
    /// It is a mutating EC2 call.
    pub ec2: bool,
    /// It cannot be undone.
    pub destructive: bool,
}

/// About how long one whole replacement takes.
pub fn replacement_span(spec: &ClusterSpec) -> Duration {
    replacement(spec, true, true).iter().map(|step| step.takes).sum()
}

/// About how long a replacement takes from the stop of the old instance on.
pub fn span_from_stop(spec: &ClusterSpec) -> Duration {
    replacement(spec, true, true).iter().skip_while(|step| step.action != "stop").map(|step| step.takes).sum()
}

pub(super) const fn call(action: &'static str, takes: Duration, down: bool) -> Step {
    Step { action, takes, down, ec2: true, destructive: false }
}

/// The steps of one whole replacement.
pub(super) fn replacement(spec: &ClusterSpec, snapshot: bool, transfer: bool) -> Vec<Step> {
    let ask = |action, takes| Step { action, takes, down: false, ec2: false, destructive: false };
    let per_volume = |action, takes| spec.volumes.iter().map(move |_| call(action, takes, true));
    let snapshots = spec.volumes.iter().filter(|volume| snapshot && volume.snapshot_before_replace);
    let (surge, bake) = (spec.rollout.strategy == Strategy::Surge, spec.rollout.bake_time);
    let launch = |down| [call("launch", LAUNCH + CHECKS, down)].into_iter().chain(enlist(spec, down));

    let mut steps = vec![ask("claim", CALL)];
    steps.extend(surge.then(|| launch(false)).into_iter().flatten());
    steps.extend(transfer.then(|| ask("transfer-leadership", TRANSFER)));
    steps.push(call("stop", STOP, true));
    for volume in spec.volumes.iter() {
        steps.extend(snapshots.clone().filter(|v| v.name == volume.name).map(|_| call("snapshot", CALL, true)));
        steps.push(call("detach", DETACH, true));
    }
    steps.extend((!surge).then(|| launch(true)).into_iter().flatten());
    steps.extend(per_volume("attach", ATTACH));
    if let Some(last) = steps.last_mut() {
        last.takes += JOIN;
    }
    steps.push(call("retire", CALL + bake, false));
    steps.extend(spec.capacity.group().map(|_| call("leave-group", CALL, false)));
    steps.push(Step { destructive: true, ..call("terminate", CALL, false) });
    steps.extend([call("settle", CALL, false), ask("release", CALL)]);
    steps
}

/// A new instance joins the adopted group, if there is one.
fn enlist(spec: &ClusterSpec, down: bool) -> impl Iterator<Item = Step> {
    let steps = [call("join-group", ENLIST, down), call("protect", CALL, down)];
    steps.into_iter().filter(|_| spec.capacity.group().is_some())
}

/// The steps of giving an empty slot an instance.
pub(super) fn filling(spec: &ClusterSpec, volumes_to_make: usize) -> Vec<Step> {
    let ask = |action| Step { action, takes: CALL, down: false, ec2: false, destructive: false };
    let mut steps = vec![call("create-volume", ATTACH, true); volumes_to_make];
    steps.extend([ask("claim"), call("launch", LAUNCH + CHECKS, true)]);
    steps.extend(enlist(spec, true));
    steps.extend(spec.volumes.iter().map(|_| call("attach", ATTACH, true)));
    if let Some(last) = steps.last_mut() {
        last.takes += JOIN;
    }
    steps.push(call("settle", CALL + spec.rollout.bake_time, false));
    steps.push(ask("release"));
    steps
}
