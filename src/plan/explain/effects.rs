//! Effects in words.

use std::fmt;

use crate::action::{ClaimEffect, CloudEffect, CreateVolume, Effect, GroupEffect, MemberEffect};
use crate::observed::{Taken, Way};

use super::words::joined;

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud(effect) => effect.fmt(f),
            Self::Member(MemberEffect::TransferLeadership { from, to }) => {
                write!(f, "move leadership from {from} to {to}")
            }
            Self::Member(MemberEffect::Prepare { member, instance }) => {
                write!(f, "prepare {member} for the stop of {instance}")
            }
            Self::Member(MemberEffect::MoveMember { member, instance, address }) => {
                write!(f, "tell the members that {member} is at {address}, on {instance}")
            }
            Self::Member(MemberEffect::SetPruning { down_to }) => {
                write!(f, "keep members from being pruned below {down_to}")
            }
            Self::Claim(ClaimEffect::Claim { claim, .. }) => match claim.old() {
                Some(old) => write!(f, "claim the slot to replace {old} (attempt {})", claim.attempt),
                None => write!(f, "claim the slot to give it an instance (attempt {})", claim.attempt),
            },
            Self::Claim(ClaimEffect::MarkStop { instance, .. }) => {
                write!(f, "record that {instance} is about to be stopped")
            }
            Self::Claim(ClaimEffect::Turn { to: Way::Back, .. }) => {
                f.write_str("record that the replacement is about to be taken back")
            }
            Self::Claim(ClaimEffect::Turn { to: Way::Forward | Way::ForwardAgain, .. }) => {
                f.write_str("record that the replacement is about to go on after all")
            }
            Self::Claim(ClaimEffect::Turned { .. }) => {
                f.write_str("record that nothing else is on its way, and that the replacement goes as it was turned")
            }
            Self::Claim(ClaimEffect::Release { .. }) => f.write_str("release the claim"),
            Self::Claim(ClaimEffect::Move { from, claim, .. }) => {
                let (old, attempt) = (claim.old().map_or("nothing", |old| &**old), claim.attempt);
                if *from == claim.slot {
                    write!(f, "claim the slot once more, to replace {old} (attempt {attempt})")
                } else {
                    write!(f, "move the claim here from {from}, to replace {old} (attempt {attempt})")
                }
            }
            Self::Claim(ClaimEffect::Announce { ahead, .. }) => {
                write!(f, "record that its replacement is about to be launched ahead (attempt {})", ahead.attempt)
            }
            Self::Claim(ClaimEffect::LetGo { .. }) => f.write_str("record that the launch ahead is let go"),
            Self::Claim(ClaimEffect::Forget { .. }) => f.write_str("record that nothing is left of the launch ahead"),
            Self::Claim(ClaimEffect::CreateAgain { slot, name, .. }) => {
                write!(f, "record that {name} of {slot} has to be created again")
            }
            Self::Claim(ClaimEffect::End { .. }) => f.write_str("record that the cluster is to be destroyed"),
            Self::Claim(ClaimEffect::Revive { .. }) => f.write_str("record that the cluster may run again"),
            Self::Claim(ClaimEffect::Rehearsed { rehearsed, .. }) => {
                write!(f, "record the result of the rehearsal of {}", rehearsed.to)
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
            Self::Launch(launch) => write!(f, "launch {} from {}", launch.make.instance_type, launch.make.image),
            Self::Stop { instance } => write!(f, "stop {instance}"),
            Self::Start { instance } => write!(f, "start {instance}"),
            Self::Snapshot { volume, taken: Taken::AtRest, .. } => write!(f, "snapshot {volume}"),
            Self::Snapshot { volume, taken: Taken::Running, .. } => write!(f, "snapshot {volume} before the stop"),
            Self::CopyVolume { volume, of, .. } => write!(f, "snapshot {volume} of {of} to begin with"),
            Self::DeleteSnapshot { snapshot } => write!(f, "delete {snapshot}"),
            Self::Detach { volume, instance, .. } => write!(f, "detach {volume} from {instance}"),
            Self::Attach { volume, instance, device } => write!(f, "attach {volume} to {instance} as {device}"),
            Self::Grow { volume, from_gib, to_gib, .. } => write!(f, "grow {volume} from {from_gib} to {to_gib} GiB"),
            Self::AssignAddress { address, instance, interface, .. } => {
                write!(f, "move {address} to {interface} of {instance}")
            }
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
            Self::RecordResume { processes } => write!(f, "record on {group} that {} run", joined(processes)),
            Self::Suspend { processes } => write!(f, "suspend {} of {group}", joined(processes)),
            Self::Join { instance } => write!(f, "attach {instance} to {group}"),
            Self::Protect { instance } => write!(f, "protect {instance} from scale-in of {group}"),
            Self::Vouch { instance } => write!(f, "tell {group} that {instance} is healthy"),
            Self::Leave { instance } => write!(f, "detach {instance} from {group}, which then wants one fewer"),
            Self::Resize { from, to } => write!(f, "have {group} want {to} instances, not {from}"),
            Self::LowerMinimum { from } => write!(f, "lower the minimum of {group} from {from} to 0"),
            Self::Resume { processes } => write!(f, "resume {} of {group}", joined(processes)),
            Self::ForgetResume { .. } => write!(f, "delete the record of what was suspended of {group}"),
            Self::CreateTemplateVersion(version) => {
                write!(f, "make a version of {} from {} for {group}", version.template, version.make.image)
            }
            Self::UseTemplateVersion { template, to, .. } => {
                write!(f, "let {group} launch from version {to} of {template}")
            }
        }
    }
}
