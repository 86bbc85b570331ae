//! Fills the published shape of a plan from the planner's answer and from the forecast.

use std::time::Duration;

use super::{
    AddressMove, Answer, ApprovalPolicy, ApprovalReport, ClusterPlan, DriftReport, GrowthReport, HazardReport,
    HeldBack, InstanceReport, Next, OrphanReport, QuorumReport, ReasonKind, ReasonReport, SlotPlan, StepReport, Totals,
    VolumeMove,
};
use crate::ids::PlanId;
use crate::input::text;
use crate::make::Drift;
use crate::observed::Observation;
use crate::plan::ahead::Approvals;
use crate::plan::forecast::{Forecast, Reason, SlotForecast, VolumeGrowth, forecast};
use crate::plan::orphans::Orphan;
use crate::plan::steps::TimedStep;
use crate::plan::{self, Hazard, Look, Plan, Stall, ahead, approval, not_carried_out, orphans};
use crate::spec::{Approval, ClusterSpec};

impl ClusterPlan {
    /// Plans and forecasts, once.
    pub fn new(spec: &ClusterSpec, seen: &Observation) -> Self {
        let answer = plan::plan(spec, seen);
        let look = Look::at(spec, seen).look();
        let to_come = look.as_ref().map(forecast).unwrap_or_default();
        let refusals = match (&look, &answer) {
            (Some(look), answer) => ahead::refusals(look, answer),
            (None, Plan::Blocked(hazards)) => Some(hazards.clone()),
            (None, _) => None,
        };
        let hazards = refusals.iter().flat_map(|refusals| &refusals.hazards).map(HazardReport::new).collect();
        let approvals = look.as_ref().map(ahead::approvals).unwrap_or_default();
        let plan_id = approvals.next.clone().or_else(|| Some(approval::plan_id(look.as_ref()?, approval::REST)));
        let approval_needed = approvals.next.as_ref().filter(|id| spec.rollout.approved.as_ref() != Some(*id));
        Self {
            plan_id: plan_id.map(|id| id.to_string()),
            cluster: spec.name.to_string(),
            environment: spec.environment.clone(),
            region: spec.region.clone(),
            account: spec.account.clone(),
            at: seen.now.to_string(),
            seen: look.is_some(),
            image: spec.image.to_string(),
            next: Next::new(&answer),
            approval_needed: approval_needed.map(PlanId::to_string),
            approval: ApprovalReport::new(spec, &approvals, approval_needed.is_some()),
            held_back: HeldBack::of(spec),
            held_back_because: spec
                .reason
                .as_deref()
                .filter(|_| HeldBack::of(spec).is_some())
                .map(|it| text::clean(it).into_owned()),
            hazards,
            hazards_slot: refusals.and_then(|refusals| Some(refusals.slot?.to_string())),
            notes: look.as_ref().map(plan::notes).unwrap_or_default(),
            not_carried_out: look.as_ref().map(not_carried_out::notes).unwrap_or_default(),
            orphans: look
                .as_ref()
                .map(orphans::orphans)
                .unwrap_or_default()
                .into_iter()
                .map(OrphanReport::new)
                .collect(),
            totals: Totals::new(&to_come, spec.slots.len()),
            growths: to_come.growths.iter().map(GrowthReport::new).collect(),
            slots: to_come.slots.into_iter().map(SlotPlan::new).collect(),
        }
    }
}

impl ApprovalReport {
    fn new(spec: &ClusterSpec, approvals: &Approvals, is_needed: bool) -> Self {
        let policy = match spec.rollout.approval {
            Approval::Never => ApprovalPolicy::Never,
            Approval::Canary => ApprovalPolicy::Canary,
            Approval::EverySlot => ApprovalPolicy::EverySlot,
        };
        let later = match policy {
            ApprovalPolicy::EverySlot => approvals.later.len(),
            ApprovalPolicy::Never | ApprovalPolicy::Canary => usize::from(!approvals.later.is_empty()),
        };
        Self {
            policy,
            given: spec.rollout.approved.as_ref().map(PlanId::to_string),
            later: approvals.later.iter().map(ToString::to_string).collect(),
            outstanding: usize::from(is_needed) + later,
        }
    }
}

impl HeldBack {
    /// Reads it off the file.
    pub fn of(spec: &ClusterSpec) -> Option<Self> {
        match (spec.freeze, spec.suspend) {
            (true, _) => Some(Self::Frozen),
            (false, true) => Some(Self::Suspended),
            (false, false) => None,
        }
    }
}

impl OrphanReport {
    fn new(orphan: Orphan) -> Self {
        Self { slot: orphan.slot.map(|slot| slot.to_string()), id: orphan.id }
    }
}

impl Next {
    /// Puts the answer into words.
    pub fn new(plan: &Plan) -> Self {
        let text = match plan {
            // The word "settled" stands beside the text.
            Plan::Settled => "every slot is as the spec wants it".to_owned(),
            Plan::Act(action, why) => format!("{action} ({why})"),
            Plan::Wait(waiting) => waiting.to_string(),
            Plan::Blocked(hazards) => hazards.to_string(),
            Plan::Stalled(stalls) => stalls.to_string(),
        };
        let (answer, slot, action, hint) = match plan {
            Plan::Settled => (Answer::Settled, None, None, None),
            Plan::Act(action, _) => (Answer::Act, action.slot.as_ref(), Some(action.effect.name()), None),
            Plan::Wait(waiting) => (Answer::Wait, waiting.slot.as_ref(), None, None),
            Plan::Blocked(hazards) => {
                let hints: Vec<_> = hazards.beside.iter().map(Stall::hint).collect();
                let hint = (!hints.is_empty()).then(|| hints.join("; "));
                (Answer::Blocked, hazards.slot.as_ref(), None, hint)
            }
            Plan::Stalled(stalls) => (Answer::Stalled, None, None, Some(stalls.hints().join("; "))),
        };
        Self { answer, slot: slot.map(ToString::to_string), action: action.map(str::to_owned), text, hint }
    }
}

impl HazardReport {
    /// Puts a hazard into words.
    pub fn new(hazard: &Hazard) -> Self {
        Self { gate: hazard.gate().to_string(), message: hazard.to_string(), hint: hazard.hint() }
    }
}

impl GrowthReport {
    fn new(growth: &VolumeGrowth) -> Self {
        let VolumeGrowth { slot, name, volume, from_gib, to_gib } = growth;
        let (slot, name, volume) = (slot.to_string(), name.to_string(), volume.to_string());
        Self { slot, name, volume, from_gib: *from_gib, to_gib: *to_gib }
    }
}

impl SlotPlan {
    fn new(slot: SlotForecast) -> Self {
        let (old, new) = (slot.old.as_ref().map(ToString::to_string), slot.new.as_ref().map(ToString::to_string));
        let volumes = slot.volumes.iter().map(|(name, volume)| VolumeMove {
            name: name.to_string(),
            volume: volume.as_ref().map(ToString::to_string),
            from: old.clone(),
            to: new.clone(),
        });
        let (volumes, steps) = (volumes.collect(), steps(&slot));
        let quorum = slot.quorum;
        Self {
            slot: slot.slot.to_string(),
            zone: slot.zone.to_string(),
            volumes,
            address: slot.address.map(|address| AddressMove {
                address: address.to_string(),
                from: slot.address_from.as_ref().map(ToString::to_string),
                to: new.clone(),
            }),
            steps,
            from: InstanceReport { instance: old, image: slot.from.map(|image| image.to_string()) },
            to: InstanceReport { instance: new, image: Some(slot.to.to_string()) },
            reason: ReasonReport::new(slot.reason),
            quorum: QuorumReport {
                before: quorum.before,
                during: quorum.during,
                after: quorum.after,
                needed: quorum.needed,
                declared: quorum.declared,
            },
            launch_ahead_seconds: seconds(slot.ahead),
            member_down_seconds: seconds(slot.member_down),
            takes_seconds: seconds(slot.total),
            ec2_calls: slot.calls,
        }
    }
}

fn steps(slot: &SlotForecast) -> Vec<StepReport> {
    let last_down = slot.steps.iter().rposition(|step| step.down);
    let voters = |index: usize, down: bool| match (down, last_down) {
        (true, _) => slot.quorum.during,
        (false, Some(last)) if index > last => slot.quorum.after,
        (false, _) => slot.quorum.before,
    };
    let report = |(index, step): (usize, &TimedStep)| StepReport {
        id: format!("{}/{}-{}", slot.slot, index + 1, step.step),
        action: step.step.to_string(),
        destructive: step.step.is_destructive(),
        takes_seconds: seconds(step.takes),
        member_down: step.down,
        healthy_voters: voters(index, step.down),
    };
    slot.steps.iter().enumerate().map(report).collect()
}

impl ReasonReport {
    fn new(reason: Reason) -> Self {
        let (kind, rank, drifts) = match reason {
            Reason::UnderWay => (ReasonKind::UnderWay, None, Vec::new()),
            Reason::Empty => (ReasonKind::Empty, None, Vec::new()),
            Reason::Outdated { rank, drifts } => (ReasonKind::Outdated, Some(rank.to_string()), drifts),
        };
        let report = |drift: Drift| DriftReport { field: drift.field.to_string(), from: drift.is, to: drift.wanted };
        Self { kind, rank, drifts: drifts.into_iter().map(report).collect() }
    }
}

impl Totals {
    fn new(to_come: &Forecast, declared: usize) -> Self {
        Self {
            slots: to_come.slots.len(),
            declared_slots: declared,
            takes_seconds: seconds(to_come.total),
            ec2_calls: to_come.calls,
            instances_terminated: to_come
                .slots
                .iter()
                .filter_map(|slot| Some(slot.old.as_ref()?.to_string()))
                .collect(),
            volumes_deleted: 0,
        }
    }
}

fn seconds(span: Duration) -> u64 {
    span.as_secs()
}
