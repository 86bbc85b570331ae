//! States that only a person can end in words, with what the person can do.

use std::collections::BTreeMap;
use std::fmt;

use crate::ids::{SlotName, VolumeId, VolumeName};
use crate::observed::VolumeState;
use crate::plan::answer::{Awaited, Stall};
use crate::time::clock;

use super::words::{address_hint, joined};

impl Stall {
    /// Says what a person can do about it.
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
            Self::AddressTaken { address, .. } => address_hint(*address),
            Self::CopyFailed { .. } => "try again: this copy is destroyed, and its snapshot with it".into(),
            Self::VolumeNotSaved { .. } => {
                "nothing is stopped meanwhile; see whether EBS may use the volume's KMS key, or have it replaced without a snapshot (`snapshotBeforeReplace: false`); it is tried again every half hour"
                    .into()
            }
            Self::VolumeUnusable { .. } => "look at the volume in EC2; nothing is done to it meanwhile".into(),
            Self::VolumeNotMade { .. } => {
                "see whether EC2 may use the KMS key that encrypts the volume; it is tried again every half hour, and at once when the volume is declared differently"
                    .into()
            }
            Self::NotLaunched { .. } => {
                "put right what ended them, or commit another instance type; it is tried again every half hour, and other slots are healed meanwhile"
                    .into()
            }
            Self::VolumeContested { slot, name, volumes } => which_is_right(slot, name, volumes),
            Self::Contested { slot, .. } => {
                format!("leave one instance tagged for {slot}, and take the tags off the others")
            }
            Self::Refused { .. } => {
                "correct what was refused; it is tried again after five minutes, or at once after a commit".into()
            }
            Self::NotAsExpected { .. } => {
                "look at what was found, and put it right; it is tried again from time to time, and at once after a commit"
                    .into()
            }
            Self::CapacityUnavailable { .. } => {
                "wait, ask AWS for a reservation or a higher quota, or commit another instance type; it is tried again every minute"
                    .into()
            }
            Self::Overdue { waiting, .. } => overdue_hint(&waiting.what).into(),
            Self::InstanceStopped { instance, .. } => {
                format!("start {instance} again, or terminate it to have it replaced")
            }
            Self::Held { .. } => "repair the member, or commit another image".into(),
            Self::RollbackFailed { instance, .. } => {
                format!("look at {instance}: both instances and all volumes are kept")
            }
            Self::QuorumLost { .. } => {
                "the data are on the slots' volumes: bring the members together as the application's own documentation says of an outage that took the quorum (docs/applications.md); fixed addresses prevent most of these".into()
            }
            Self::Ended { is_finished: true, .. } => {
                "delete the cluster's file; or allow the cluster to be created again with `hermitcrab retry`".into()
            }
            Self::Ended { is_finished: false, .. } => {
                "finish with `hermitcrab destroy`, and delete the cluster's file; or allow the cluster to be created again with `hermitcrab retry`"
                    .into()
            }
            Self::ClaimForUndeclared { slot } => format!("declare {slot} again until its replacement is finished"),
            Self::NotFormed { .. } => {
                "repair the members; a terminated instance is replaced from the committed image".into()
            }
            Self::NothingToHealWith { .. } => "commit an image that works".into(),
        }
    }

    /// Answers with the stable name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::VolumeMissing { .. } => "VolumeMissing",
            Self::VolumeElsewhere { .. } => "VolumeElsewhere",
            Self::VolumeTaken { .. } => "VolumeTaken",
            Self::AddressTaken { .. } => "AddressTaken",
            Self::CopyFailed { .. } => "CopyFailed",
            Self::VolumeNotSaved { .. } => "VolumeNotSaved",
            Self::VolumeUnusable { .. } => "VolumeUnusable",
            Self::VolumeNotMade { .. } => "VolumeNotMade",
            Self::NotLaunched { .. } => "NotLaunched",
            Self::VolumeContested { .. } => "VolumeContested",
            Self::Contested { .. } => "Contested",
            Self::Refused { .. } => "Refused",
            Self::NotAsExpected { .. } => "NotAsExpected",
            Self::CapacityUnavailable { .. } => "CapacityUnavailable",
            Self::InstanceStopped { .. } => "InstanceStopped",
            Self::Overdue { .. } => "Overdue",
            Self::Held { .. } => "Held",
            Self::RollbackFailed { .. } => "RollbackFailed",
            Self::QuorumLost { .. } => "QuorumLost",
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
            Self::AddressTaken { slot, address, by } => {
                write!(f, "{address} of {slot} is used by {by}, which is not one of the slot's instances")
            }
            Self::CopyFailed { slot, volume, snapshot } => {
                write!(f, "{slot} was to begin with a copy of {volume}, and EBS could not make {snapshot}")
            }
            Self::VolumeNotSaved { slot, volume, snapshot, times } => {
                write!(
                    f,
                    "{volume} of {slot} was to be saved before the stop, and EBS gave up {times} snapshots, {snapshot} last"
                )
            }
            Self::VolumeUnusable { slot, volume, why } => write!(f, "{volume} of {slot} is {why}"),
            Self::VolumeNotMade { slot, name, why, times } => {
                write!(f, "{name} of {slot} was to be created {times} times, and none came of it: {why}")
            }
            Self::NotLaunched { slot, why, times } => {
                write!(f, "{slot} was given {times} new instances in a row, and none came of it: {why}")
            }
            Self::VolumeContested { slot, name, volumes } => {
                let all = volumes.iter().map(|(id, state)| format!("{id} ({state})"));
                write!(f, "several volumes are tagged as {name} of {slot}: {}", joined(all))
            }
            Self::Contested { slot, instances } => write!(f, "several instances claim {slot}: {}", joined(instances)),
            Self::Refused { why } => f.write_str(why),
            Self::NotAsExpected { doing, found, since, times } => {
                write!(f, "`{doing}` has come to nothing {times} times since {}: {found}", clock(*since))
            }
            Self::CapacityUnavailable { doing, found, since, times } => {
                write!(f, "there was no capacity for `{doing}` {times} times since {}: {found}", clock(*since))
            }
            Self::InstanceStopped { slot, instance, why } => {
                write!(f, "{instance} of {slot} was stopped, and not by the controller")?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Overdue { waiting, since } => {
                let whom = waiting.slot.as_ref().map_or_else(String::new, |slot| format!("{slot}: "));
                write!(f, "{whom}since {} nothing else is waited for than {}", clock(*since), waiting.what)
            }
            Self::Held { slot, image, generation, why_not } => {
                write!(f, "{slot} did not come back on {image} ({generation}): {why_not}")
            }
            Self::RollbackFailed { slot, instance, why_not } => {
                write!(f, "{slot} did not come back on its old instance {instance} either: {why_not}")
            }
            Self::QuorumLost { slot, why } => {
                write!(f, "the member of {slot} cannot come back, because nobody can be elected any more: {why}")
            }
            Self::Ended { since, is_finished: false } => {
                write!(f, "somebody ordered its destruction at {}", clock(*since))
            }
            Self::Ended { since, is_finished: true } => {
                write!(f, "it was destroyed, as somebody ordered at {}", clock(*since))
            }
            Self::ClaimForUndeclared { slot } => {
                write!(f, "a replacement of {slot} is under way, and the spec no longer declares it")
            }
            Self::NotFormed { missing } => {
                write!(f, "the members have not found each other; outstanding: {}", joined(missing))
            }
            Self::NothingToHealWith { slot, generation } => {
                write!(f, "{slot} has no instance, and {generation} and what ran before it are both rejected there")
            }
        }
    }
}

/// Says how to tell which of several volumes is the slot's, and what to do about the others.
fn which_is_right(slot: &SlotName, name: &VolumeName, volumes: &BTreeMap<VolumeId, VolumeState>) -> String {
    let attached = volumes.iter().filter_map(|(id, state)| match state {
        VolumeState::InUse(at) => Some((id, &at.instance)),
        _ => None,
    });
    let attached: Vec<_> = attached.collect();
    let usually = match attached.as_slice() {
        [(id, instance)] => format!("usually {id}, which {instance} has"),
        _ => "see from which snapshot each was made, and when".to_owned(),
    };
    format!(
        "leave the tags on the volume that is {slot}'s {name} ({usually}), and take `hermitcrab:slot` off the others; none is deleted"
    )
}

/// Says what a person can do about a wait that does not end.
fn overdue_hint(what: &Awaited) -> &'static str {
    match what {
        Awaited::Stopped { .. } | Awaited::Terminated { .. } => {
            "look at the instance's console: its guest may not shut down. The controller never stops one by force, which can cost its last writes; a person can"
        }
        Awaited::VolumeFree { .. } | Awaited::VolumeAttached { .. } | Awaited::VolumeCreated { .. } => {
            "look at the volume in EC2, and ask AWS if it stays so; nothing is detached by force"
        }
        Awaited::PeersTold { .. }
        | Awaited::MemberBack { .. }
        | Awaited::Steady { .. }
        | Awaited::Bake { .. }
        | Awaited::Formation { .. } => "look at the member's own log",
        Awaited::VolumeSaved { .. } => {
            "look at the snapshot in EC2, and ask AWS if it stays so; nothing is stopped meanwhile, and `snapshotBeforeReplace: false` goes on without it"
        }
        _ => "look at it in EC2; it goes on by itself as soon as this happens",
    }
}
