//! Reasons for acting and for waiting in words.

use std::fmt;

use crate::plan::answer::{Awaited, Rank, Why};
use crate::time::{Human, clock};

use super::words::joined;

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outdated { drifts, rank } if drifts.is_empty() => rank.fmt(f),
            Self::Outdated { drifts, rank } => write!(f, "{}; {rank}", joined(drifts)),
            Self::Lost => f.write_str("its instance is gone"),
            Self::New => f.write_str("the slot is new"),
            Self::Interrupted { instance } => write!(f, "{instance} was launched for it, and nobody claims it"),
            Self::Stopped { reason } => write!(f, "it was stopped: {reason}"),
            Self::CannotStart { instance } => write!(f, "{instance} cannot be started, and another make is committed"),
            Self::NextStep => f.write_str("next step"),
            Self::Leads => f.write_str("it leads, and leadership goes before the leader"),
            Self::LaunchFailed { reason } => write!(f, "the launch failed: {reason}"),
            Self::WaitsInVain => f.write_str("its guest waits for a volume that is no more"),
            Self::AddressChanged => f.write_str("the other members look for its member at another address"),
            Self::AddressLost => f.write_str("its member serves at this address, and has lost it"),
            Self::AddressFirst => f.write_str("its old instance has lost its fixed address, and gets that back first"),
            Self::VolumeNotMade { reason } => f.write_str(reason),
            Self::Stuck { volume, to } => write!(f, "{volume} got stuck on its way to {to}"),
            Self::StepRefused { doing } => write!(f, "`{doing}` is refused, and its old instance can serve"),
            Self::NotBackInTime { limit } => write!(f, "its member was not back within {}", Human(*limit)),
            Self::TakenBack => f.write_str("the replacement is being taken back"),
            Self::GoesOn => f.write_str("the old instance cannot serve, or the new one is wanted after all"),
            Self::GivesWay => f.write_str("this slot cannot go on, and another one has lost its instance"),
            Self::Superseded => {
                f.write_str("the spec no longer asks for it, or another slot comes first; no data has moved")
            }
            Self::OldLost => f.write_str("its old instance is gone, and a lost slot is healed with what settled there"),
            Self::Forming => f.write_str("it can prove itself only when the others are there"),
            Self::LeftOver => f.write_str("its successor has proved itself, and the claim has moved on"),
            Self::Proven => f.write_str("the new member has proved itself"),
            Self::WouldPrune { down_to, declared } => {
                write!(f, "stopped members would be pruned down to {down_to} of {declared}")
            }
            Self::Memory => f.write_str("the volumes' memory is behind"),
            Self::Tags => f.write_str("tags differ"),
            Self::TooSmall => f.write_str("the file wants it larger"),
            Self::KeepStill => f.write_str("the group could end or add an instance meanwhile"),
            Self::OutOfStep => f.write_str("the group should count exactly the instances that serve"),
            Self::LetGo => f.write_str("nothing is under way, so the group may act again"),
            Self::TemplateBehind => f.write_str("the group does not launch what has settled here"),
            Self::Ahead { of } => write!(f, "it comes next, and starts while {of} is replaced"),
            Self::LetGoAhead { reason } => write!(f, "launched ahead, and let go: {reason}"),
            Self::Unwanted => f.write_str("the cluster is being destroyed"),
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
            Self::LeaderFirst => "leader, so first",
            Self::LeaderLast => "leader, so last",
        })
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
            Self::PeersTold { instance } => {
                write!(f, "a leader who can be told that its member is to be found on {instance}")
            }
            Self::MemberBack { why_not } => write!(f, "its member to be back: {why_not}"),
            Self::Bake { until } => write!(f, "its new member to stay healthy until {}", clock(*until)),
            Self::Steady { until } => write!(f, "its member to stay healthy until {}", clock(*until)),
            Self::Formation { missing } => {
                write!(f, "the members to find each other; outstanding: {}", joined(missing))
            }
            Self::Joined { instance, group } => write!(f, "{instance} to be in service in {group}"),
            Self::Left { instance, group } => write!(f, "{instance} to be detached from {group}"),
            Self::Recruit { group } => write!(f, "{group} to launch another instance"),
            Self::SnapshotCompleted { volume } => write!(f, "the last snapshot of {volume} to be completed"),
            Self::VolumeSaved { volume, snapshot } => {
                write!(f, "{snapshot}, which saves {volume} before the stop, to be completed")
            }
            Self::VolumeCopied { volume, snapshot } => {
                write!(f, "{snapshot}, the copy of {volume}, to be completed")
            }
            Self::NothingLate { until } => {
                write!(f, "{}: a launch may have been on its way when the end began", clock(*until))
            }
            Self::NoLateStop { instance, until } => {
                write!(f, "{}: a stop of {instance} may still be on its way", clock(*until))
            }
            Self::NothingElse { until } => {
                write!(f, "{}: what was sent before this was written may still be on its way", clock(*until))
            }
            Self::NoLateLaunch { until } => {
                write!(f, "{}: a launch ahead that was let go may still be on its way", clock(*until))
            }
        }
    }
}
