//! What the planner's answers say to a person. Every sentence is written here, once.

use std::fmt;

use crate::action::{Action, ClaimEffect, CloudEffect, CreateVolume, Effect, GroupEffect, MemberEffect};
use crate::time::{Human, clock};

use super::answer::{Awaited, Hazard, Hazards, Plan, Rank, Stall, Unproven, WaitingOn, Why};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => f.write_str("settled: every slot is as the spec wants it"),
            Self::Act(action, why) => write!(f, "{action} ({why})"),
            Self::Wait(waiting) => write!(f, "waiting {waiting}"),
            Self::Blocked(hazards) => write!(f, "blocked: {hazards}"),
            Self::Stalled(stall) => write!(f, "stalled: {stall}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.slot {
            Some(slot) => write!(f, "{slot}: {}", self.effect),
            None => self.effect.fmt(f),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud(effect) => effect.fmt(f),
            Self::Member(MemberEffect::TransferLeadership { from, to }) => {
                write!(f, "move leadership from {from} to {to}")
            }
            Self::Member(MemberEffect::SetPruning { down_to }) => {
                write!(f, "keep members from being pruned below {down_to}")
            }
            Self::Claim(ClaimEffect::Claim { claim, .. }) => match &claim.old {
                Some(old) => write!(f, "claim the slot to replace {old} (attempt {})", claim.attempt),
                None => write!(f, "claim the slot to give it an instance (attempt {})", claim.attempt),
            },
            Self::Claim(ClaimEffect::Release { .. }) => f.write_str("release the claim"),
            Self::Claim(ClaimEffect::End { .. }) => f.write_str("put an end to the cluster"),
            Self::Claim(ClaimEffect::Revive { .. }) => f.write_str("let the cluster be again"),
            Self::Claim(ClaimEffect::Rehearsed { rehearsed, .. }) => {
                write!(f, "write down what the rehearsal of {} came to", rehearsed.to)
            }
        }
    }
}

impl fmt::Display for CloudEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateVolume(CreateVolume { name, size_gib, zone, snapshot: None, .. }) => {
                write!(f, "create blank volume {name} of {size_gib} GiB in {zone}")
            }
            Self::CreateVolume(CreateVolume { name, size_gib, zone, snapshot: Some(snapshot), .. }) => {
                write!(f, "create volume {name} of {size_gib} GiB in {zone} from {snapshot}")
            }
            Self::Launch(launch) => write!(f, "launch {} from {}", launch.instance_type, launch.image),
            Self::Stop { instance } => write!(f, "stop {instance}"),
            Self::Start { instance } => write!(f, "start {instance}"),
            Self::Snapshot { volume, .. } => write!(f, "snapshot {volume}"),
            Self::CopyVolume { volume, of, .. } => write!(f, "snapshot {volume} of {of} to begin with"),
            Self::DeleteSnapshot { snapshot } => write!(f, "delete {snapshot}"),
            Self::Detach { volume, instance, .. } => write!(f, "detach {volume} from {instance}"),
            Self::Attach { volume, instance, device } => write!(f, "attach {volume} to {instance} as {device}"),
            Self::Terminate { instance } => write!(f, "terminate {instance}"),
            Self::Retire { instance } => write!(f, "mark {instance} retired"),
            Self::Reject { generation, .. } => write!(f, "mark {generation} rejected here"),
            Self::Forgive { generation, .. } => write!(f, "forget that {generation} was rejected here"),
            Self::Settle { generation, .. } => write!(f, "record that {generation} settled here"),
            Self::RecordSlots { slots, .. } => write!(f, "record on the volumes that {} slots exist", slots.len()),
            Self::Tag { instance, .. } => write!(f, "set the declared tags of {instance}"),
            Self::Recruit(recruitment) => write!(f, "take {}, which the group launched", recruitment.instance),
            Self::DeleteVolume { volume } => write!(f, "delete {volume}"),
            Self::Group { group, effect } => effect.told(f, group),
        }
    }
}

impl GroupEffect {
    fn told(&self, f: &mut fmt::Formatter<'_>, group: &str) -> fmt::Result {
        match self {
            Self::RecordResume { processes } => write!(f, "write down on {group} that {} run", joined(processes)),
            Self::Suspend { processes } => write!(f, "suspend {} of {group}", joined(processes)),
            Self::Join { instance } => write!(f, "attach {instance} to {group}"),
            Self::Protect { instance } => write!(f, "protect {instance} from scale-in of {group}"),
            Self::Vouch { instance } => write!(f, "tell {group} that {instance} is healthy"),
            Self::Leave { instance } => write!(f, "detach {instance} from {group}, which then wants one fewer"),
            Self::Resize { from, to } => write!(f, "have {group} want {to} instances, not {from}"),
            Self::LowerMinimum { from } => write!(f, "lower the minimum of {group} from {from} to 0"),
            Self::Resume { processes } => write!(f, "resume {} of {group}", joined(processes)),
            Self::ForgetResume { .. } => write!(f, "forget what was suspended of {group}"),
            Self::CreateTemplateVersion(version) => {
                write!(f, "make a version of {} from {} for {group}", version.template, version.image)
            }
            Self::UseTemplateVersion { template, to, .. } => {
                write!(f, "let {group} launch from version {to} of {template}")
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outdated { drifts, rank } => write!(f, "{}; {rank}", joined(drifts)),
            Self::Lost => f.write_str("it has lost its instance"),
            Self::New => f.write_str("it has never had one"),
            Self::Interrupted { instance } => write!(f, "{instance} was launched for it, and nobody claims it"),
            Self::NextStep => f.write_str("next step"),
            Self::Leads => f.write_str("it leads, and leadership goes before the leader"),
            Self::LaunchFailed { reason } => write!(f, "the launch came to nothing: {reason}"),
            Self::NotBackInTime { limit } => write!(f, "its member was not back within {}", Human(*limit)),
            Self::TakenBack => f.write_str("the replacement is being taken back"),
            Self::Superseded => f.write_str("it is not wanted any more, or not now, and no data has moved"),
            Self::Forming => f.write_str("it can prove itself only when the others are there"),
            Self::Proven => f.write_str("the new member has proved itself"),
            Self::WouldPrune { down_to, declared } => {
                write!(f, "stopped members would be pruned down to {down_to} of {declared}")
            }
            Self::Memory => f.write_str("the volumes' memory is behind"),
            Self::Tags => f.write_str("tags differ"),
            Self::KeepStill => f.write_str("the group could end or add an instance meanwhile"),
            Self::OutOfStep => f.write_str("the group is to count just what serves"),
            Self::LetGo => f.write_str("nothing is under way, so the group may act again"),
            Self::TemplateBehind => f.write_str("what the group launches is not what has settled here"),
            Self::Unwanted => f.write_str("the cluster is to be no more"),
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unhealthy => "unhealthy, so first",
            Self::Maintenance => "maintenance is announced",
            Self::NonVoter => "non-voter",
            Self::Follower => "follower",
            Self::Leader => "leader, so last",
        })
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.slot {
            Some(slot) => write!(f, "for {slot}: {}", self.what),
            None => write!(f, "for {}", self.what),
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { instance } => write!(f, "{instance} to run"),
            Self::Checks { instance } => write!(f, "{instance} to pass its status checks"),
            Self::Stopped { instance } => write!(f, "{instance} to stop"),
            Self::Terminated { instance } => write!(f, "{instance} to terminate"),
            Self::VolumeFree { volume } => write!(f, "{volume} to detach"),
            Self::VolumeAttached { volume, instance } => write!(f, "{volume} to attach to {instance}"),
            Self::VolumeCreated { volume } => write!(f, "{volume} to be created"),
            Self::ViewsAgree { detail } => write!(f, "EC2's views to agree: {detail}"),
            Self::MemberBack { why_not } => write!(f, "its member to be back: {why_not}"),
            Self::Bake { until } => write!(f, "its new member to stay healthy until {}", clock(*until)),
            Self::Steady { until } => write!(f, "its member to stay healthy until {}", clock(*until)),
            Self::Formation { missing } => {
                write!(f, "the members to find each other; outstanding: {}", joined(missing))
            }
            Self::Joined { instance, group } => write!(f, "{instance} to be in service in {group}"),
            Self::Left { instance, group } => write!(f, "{instance} to be let go by {group}"),
            Self::Recruit { group } => write!(f, "{group} to launch another instance"),
            Self::SnapshotCompleted { volume } => write!(f, "the last snapshot of {volume} to be completed"),
            Self::VolumeCopied { volume, snapshot } => {
                write!(f, "{snapshot}, the copy of {volume}, to be completed")
            }
            Self::NothingLate { until } => {
                write!(f, "{}: a launch may have been on its way when the end began", clock(*until))
            }
            Self::NextLaunch { reason } => write!(f, "a later launch, after several came to nothing: {reason}"),
        }
    }
}

impl fmt::Display for Hazards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(slot) = &self.slot {
            write!(f, "{slot}: ")?;
        }
        f.write_str(&self.hazards.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl Hazard {
    /// The stable name of the gate that refuses.
    pub fn gate(&self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::KillSwitch { .. } => "kill-switch",
            Self::WrongAccount { .. } => "wrong-account",
            Self::Suspended => "suspended",
            Self::OutsideWindow { .. } => "outside-window",
            Self::ApprovalRequired { .. } => "approval-required",
            Self::NotRehearsed { .. } => "not-rehearsed",
            Self::GenerationRejected { .. } => "generation-rejected",
            Self::RollbackCooldown { .. } => "rollback-cooldown",
            Self::ImageUnavailable { .. } => "image-unavailable",
            Self::NotOwned { .. } => "not-owned",
            Self::OwnedByAutoscaling { .. } => "owned-by-autoscaling",
            Self::GroupUnusable { .. } => "group-unusable",
            Self::GroupHasNoRoom { .. } => "group-has-no-room",
            Self::GroupChanging { .. } => "group-changing",
            Self::NoLeader => "no-leader",
            Self::MembersMissing { .. } => "members-missing",
            Self::MemberNotVoter { .. } => "member-not-voter",
            Self::MemberUnhealthy { .. } => "member-unhealthy",
            Self::QuorumWouldBeLost { .. } => "quorum-would-be-lost",
            Self::Lagging { .. } => "lagging",
            Self::Unstable { .. } => "unstable",
            Self::AutopilotWouldPrune { .. } => "autopilot-would-prune",
            Self::AnotherReplacement { .. } => "another-replacement",
            Self::ClaimHeld { .. } => "claim-held",
            Self::VolumeMissing { .. } => "volume-missing",
            Self::VolumeImpaired { .. } => "volume-impaired",
            Self::VolumeModifying { .. } => "volume-modifying",
            Self::ZoneImpaired { .. } => "zone-impaired",
            Self::ScheduledEvent { .. } => "scheduled-event",
            Self::DeleteOnTermination { .. } => "delete-on-termination",
            Self::StaleObservation { .. } => "stale-observation",
            Self::UnknownHealth { .. } => "unknown-health",
        }
    }

    /// It will not clear before a person does something about it.
    pub fn takes_person(&self) -> bool {
        let may_clear = matches!(self, Self::StaleObservation { .. } | Self::UnknownHealth { .. });
        !may_clear && self.hint().is_some()
    }

    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Frozen => "set `freeze: false` to let anything happen again".into(),
            Self::KillSwitch { .. } => "remove the kill switch to let anything happen again".into(),
            Self::WrongAccount { wanted, .. } => format!("use credentials of account {wanted}, or correct `account`"),
            Self::Suspended => "set `suspend: false` to go on with upgrades".into(),
            Self::ApprovalRequired { plan, .. } => {
                format!("review the plan, then set `approved: {plan}` under `rollout`")
            }
            Self::NotRehearsed { image, why: Unproven::Otherwise { runs, .. }, .. } => {
                format!("try it from there too: `hermitcrab rehearse FILE --from {runs} --image {image}`")
            }
            Self::NotRehearsed { image, .. } => format!("try it on a copy: `hermitcrab rehearse FILE --image {image}`"),
            Self::GenerationRejected { .. } => "commit another image (or other instance settings)".into(),
            Self::ImageUnavailable { .. } => {
                "check the id, the region, and that the image is shared with this account".into()
            }
            Self::NotOwned { group: Some(group), .. } => {
                format!("take them out of {group}, or terminate them, if nobody needs what is on them")
            }
            Self::NotOwned { .. } => "adopt the resources, or remove them from this cluster's tags".into(),
            Self::OwnedByAutoscaling { group, running, .. } if running.is_empty() => {
                format!(
                    "adopt {group} with `capacity`, or take the instance out of it: it would replace one that stops"
                )
            }
            Self::GroupUnusable { .. } => "mend the group, or take `capacity` out of the file".into(),
            Self::GroupHasNoRoom { group, max, spare } if spare.is_empty() => {
                format!("raise the maximum of {group} to at least {}", max + 1)
            }
            Self::GroupHasNoRoom { group, spare, .. } => {
                format!("take {} out of {group}: no slot needs what the group has launched there", joined(spare))
            }
            Self::QuorumWouldBeLost { quorum, .. } if *quorum <= 1 => {
                "a cluster of one cannot be upgraded without being down; declare three slots".into()
            }
            Self::MembersMissing { strangers, .. } if !strangers.is_empty() => {
                "remove the members that are not declared, or declare their slots".into()
            }
            Self::AutopilotWouldPrune { declared, .. } => {
                format!("set `manageAutopilot: true`, or set autopilot's MinQuorum to {declared} yourself")
            }
            Self::VolumeMissing { .. } => "find the volume; a new one is never made in its place".into(),
            Self::DeleteOnTermination { .. } => "turn DeleteOnTermination off for the volume at that instance".into(),
            Self::ClaimHeld { slot } => format!("declare {slot} again until its replacement is finished"),
            Self::StaleObservation { unread: true, .. } | Self::UnknownHealth { .. } => {
                "`hermitcrab doctor` shows what can be reached, and what is allowed".into()
            }
            Self::OutsideWindow { .. }
            | Self::RollbackCooldown { .. }
            | Self::NoLeader
            | Self::MembersMissing { .. }
            | Self::MemberNotVoter { .. }
            | Self::MemberUnhealthy { .. }
            | Self::QuorumWouldBeLost { .. }
            | Self::Lagging { .. }
            | Self::Unstable { .. }
            | Self::AnotherReplacement { .. }
            | Self::VolumeImpaired { .. }
            | Self::VolumeModifying { .. }
            | Self::ZoneImpaired { .. }
            | Self::ScheduledEvent { .. }
            | Self::OwnedByAutoscaling { .. }
            | Self::GroupChanging { .. }
            | Self::StaleObservation { unread: false, .. } => return None,
        })
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen => f.write_str("the cluster is frozen"),
            Self::KillSwitch { why } => write!(f, "the kill switch is thrown: {why}"),
            Self::WrongAccount { found, wanted } => {
                write!(f, "the credentials belong to account {found}, and the cluster to {wanted}")
            }
            Self::Suspended => f.write_str("upgrades are suspended"),
            Self::OutsideWindow { opens: Some(opens), .. } => {
                write!(f, "outside the change window, which opens at {}", clock(*opens))
            }
            Self::OutsideWindow { closes: Some(closes), .. } => {
                write!(f, "the change window closes at {}, before the replacement could be finished", clock(*closes))
            }
            Self::OutsideWindow { .. } => f.write_str("outside the change window"),
            Self::ApprovalRequired { plan, given: None } => write!(f, "{plan} is not approved"),
            Self::ApprovalRequired { plan, given: Some(given) } => {
                write!(f, "{plan} is not approved; the approval is for {given}")
            }
            Self::NotRehearsed { image, generation, why } => match why {
                Unproven::Never => write!(f, "{image} ({generation}) has not been rehearsed"),
                Unproven::Failed { at, finding } => {
                    write!(f, "the rehearsal of {image} ({generation}) at {} failed: {finding}", clock(*at))
                }
                Unproven::Otherwise { from, runs } => {
                    write!(f, "{image} ({generation}) has been rehearsed from {from}, and the slot runs {runs}")
                }
            },
            Self::GenerationRejected { image, generation, slots } => {
                write!(f, "{image} ({generation}) has failed in {}", joined(slots))
            }
            Self::RollbackCooldown { until } => {
                write!(f, "a replacement was just taken back; none begins before {}", clock(*until))
            }
            Self::ImageUnavailable { image, why } => write!(f, "{image} {why}"),
            Self::NotOwned { resources, group: Some(group) } => {
                write!(f, "in {group} and not tagged as ours: {}", resources.join(", "))
            }
            Self::NotOwned { resources, group: None } => write!(f, "not tagged as ours: {}", resources.join(", ")),
            Self::OwnedByAutoscaling { instance, group, running } if running.is_empty() => {
                write!(f, "{instance} belongs to Auto Scaling group {group}")
            }
            Self::OwnedByAutoscaling { instance, group, running } => {
                write!(f, "{instance} belongs to Auto Scaling group {group}, of which {} run", joined(running))
            }
            Self::GroupUnusable { group, why } => write!(f, "Auto Scaling group {group} {why}"),
            Self::GroupHasNoRoom { group, max, .. } => {
                write!(f, "Auto Scaling group {group} takes at most {max} instances, so none can be added")
            }
            Self::GroupChanging { group, why } => write!(f, "Auto Scaling group {group} {why}"),
            Self::NoLeader => f.write_str("there is no leader"),
            Self::MembersMissing { missing, strangers } => {
                let part =
                    |what, names: String| if names.is_empty() { String::new() } else { format!("{what}: {names}") };
                let parts = [part("not among the members", joined(missing)), part("not declared", joined(strangers))];
                f.write_str(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; "))
            }
            Self::MemberNotVoter { slots } => write!(f, "without a vote: {}", joined(slots)),
            Self::MemberUnhealthy { members } => {
                let ill: Vec<_> = members.iter().map(|(slot, why)| format!("{slot} is unhealthy ({why})")).collect();
                f.write_str(&ill.join(", "))
            }
            Self::QuorumWouldBeLost { healthy_after, quorum } => {
                write!(f, "{healthy_after} healthy voters would remain, and the quorum is {quorum}")
            }
            Self::Lagging { members } => {
                let behind: Vec<_> =
                    members.iter().map(|(slot, lag)| format!("{slot} is {lag} log entries behind")).collect();
                f.write_str(&behind.join(", "))
            }
            Self::Unstable { slots, until: None } => write!(f, "not healthy for long enough: {}", joined(slots)),
            Self::Unstable { slots, until: Some(until) } => {
                write!(f, "not healthy for long enough: {} (until {})", joined(slots), clock(*until))
            }
            Self::AutopilotWouldPrune { down_to, declared } => {
                write!(f, "a stopped member would be pruned: the limit is {down_to}, not {declared}")
            }
            Self::AnotherReplacement { slots } => write!(f, "not served by one instance: {}", joined(slots)),
            Self::ClaimHeld { slot } => write!(f, "the claim is held for {slot}"),
            Self::VolumeMissing { slot, volumes } => write!(f, "{slot} lacks its volume {}", joined(volumes)),
            Self::VolumeImpaired { volume, why } => write!(f, "{volume} is impaired: {why}"),
            Self::VolumeModifying { volume } => write!(f, "{volume} is being modified"),
            Self::ZoneImpaired { zone, why } => write!(f, "{zone} is impaired: {why}"),
            Self::ScheduledEvent { slot, code, not_before } => {
                write!(f, "{slot} has {code} announced for {}", clock(*not_before))
            }
            Self::DeleteOnTermination { volume, instance } => {
                write!(f, "{volume} would be deleted with {instance}")
            }
            Self::StaleObservation { why, .. } => write!(f, "what was seen is no ground for a decision: {why}"),
            Self::UnknownHealth { why } => write!(f, "health is not known: {why}"),
        }
    }
}

impl Stall {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::VolumeMissing { .. } => {
                "find the volume and tag it again, or restore it from a snapshot; a new one is never made in its place"
                    .into()
            }
            Self::VolumeElsewhere { .. } => "correct the slot's zone: a volume cannot leave its own".into(),
            Self::VolumeTaken { volume, by, .. } => {
                format!("detach {volume} from {by} when whoever attached it is done")
            }
            Self::CopyFailed { .. } => "try again: this copy is destroyed, and its snapshot with it".into(),
            Self::VolumeUnusable { .. } => "look at the volume in EC2; nothing is done to it meanwhile".into(),
            Self::Contested { slot, .. } => {
                format!("leave one instance tagged for {slot}, and take the tags off the others")
            }
            Self::Refused { .. } => {
                "mend what it says; it is tried again after five minutes, or at once after a commit".into()
            }
            Self::InstanceStopped { instance, .. } => {
                format!("start {instance} again, or terminate it to have it replaced")
            }
            Self::Held { .. } => "mend the member, or commit another image".into(),
            Self::RollbackFailed { instance, .. } => {
                format!("look at {instance}: both instances and all volumes are kept")
            }
            Self::Ended { .. } => {
                "finish with `hermitcrab destroy`, and take its file away; or bring it back with `hermitcrab retry`"
                    .into()
            }
            Self::ClaimForUndeclared { slot } => format!("declare {slot} again until its replacement is finished"),
            Self::NotFormed { .. } => {
                "mend the members; an instance that is terminated is replaced from the image that is committed".into()
            }
            Self::NothingToHealWith { .. } => "commit an image that works".into(),
        }
    }

    /// The stable name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::VolumeMissing { .. } => "VolumeMissing",
            Self::VolumeElsewhere { .. } => "VolumeElsewhere",
            Self::VolumeTaken { .. } => "VolumeTaken",
            Self::CopyFailed { .. } => "CopyFailed",
            Self::VolumeUnusable { .. } => "VolumeUnusable",
            Self::Contested { .. } => "Contested",
            Self::Refused { .. } => "Refused",
            Self::InstanceStopped { .. } => "InstanceStopped",
            Self::Held { .. } => "Held",
            Self::RollbackFailed { .. } => "RollbackFailed",
            Self::Ended { .. } => "Ended",
            Self::ClaimForUndeclared { .. } => "ClaimForUndeclared",
            Self::NotFormed { .. } => "NotFormed",
            Self::NothingToHealWith { .. } => "NothingToHealWith",
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VolumeMissing { slot, volumes } => {
                write!(f, "{slot} had a volume {} and it is not there", joined(volumes))
            }
            Self::VolumeElsewhere { slot, volume, zone, declared } => {
                write!(f, "{volume} of {slot} lies in {zone}, and the slot is declared in {declared}")
            }
            Self::VolumeTaken { slot, volume, by } => {
                write!(f, "{volume} of {slot} is attached to {by}, which is not one of the slot's instances")
            }
            Self::CopyFailed { slot, volume, snapshot } => {
                write!(f, "{slot} was to begin with a copy of {volume}, and EBS could not make {snapshot}")
            }
            Self::VolumeUnusable { slot, volume, why } => write!(f, "{volume} of {slot} is {why}"),
            Self::Contested { slot, instances } => write!(f, "several instances claim {slot}: {}", joined(instances)),
            Self::Refused { why } => f.write_str(why),
            Self::InstanceStopped { slot, instance } => write!(f, "{instance} of {slot} is stopped, and not by us"),
            Self::Held { slot, generation, why_not } => {
                write!(f, "{slot} did not come back on {generation}: {why_not}")
            }
            Self::RollbackFailed { slot, instance, why_not } => {
                write!(f, "{slot} did not come back on its old instance {instance} either: {why_not}")
            }
            Self::Ended { since } => write!(f, "somebody put an end to it at {}", clock(*since)),
            Self::ClaimForUndeclared { slot } => {
                write!(f, "a replacement of {slot} is under way, and the spec no longer declares it")
            }
            Self::NotFormed { missing } => {
                write!(f, "the members have not found each other; outstanding: {}", joined(missing))
            }
            Self::NothingToHealWith { slot, generation } => {
                write!(
                    f,
                    "{slot} has lost its instance, and {generation} and what ran before it are both rejected there"
                )
            }
        }
    }
}

fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
