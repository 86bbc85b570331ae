//! Refusals in words, with what a person can do about each.

use std::fmt;

use crate::ids::ClusterName;
use crate::observed::Relation;
use crate::plan::answer::{Hazard, Unproven};
use crate::plan::gates::name::GateName;
use crate::time::clock;

use super::words::{address_hint, joined};

impl Hazard {
    /// Names the gate that refuses.
    pub fn gate(&self) -> GateName {
        match self {
            Self::Frozen => GateName::Frozen,
            Self::KillSwitch { .. } => GateName::KillSwitch,
            Self::WrongAccount { .. } => GateName::WrongAccount,
            Self::Unread { .. } | Self::StaleObservation { .. } => GateName::StaleObservation,
            Self::NotUnderstood { .. } => GateName::NotUnderstood,
            Self::Suspended => GateName::Suspended,
            Self::OutsideWindow { .. } | Self::WindowTooShort { .. } => GateName::OutsideWindow,
            Self::SlotsLeftBehind { .. } | Self::ClusterLeftBehind { .. } => GateName::LeftBehind,
            Self::ApprovalRequired { .. } => GateName::ApprovalRequired,
            Self::NotRehearsed { .. } => GateName::NotRehearsed,
            Self::GenerationRejected { .. } => GateName::GenerationRejected,
            Self::RollbackCooldown { .. } => GateName::RollbackCooldown,
            Self::ClaimInCluster { .. } => GateName::ClaimInCluster,
            Self::ClaimHeld { .. } => GateName::ClaimHeld,
            Self::AnotherReplacement { .. } => GateName::AnotherReplacement,
            Self::DependencyUnsettled { .. } => GateName::DependencyUnsettled,
            Self::ImageUnavailable { .. } => GateName::ImageUnavailable,
            Self::TypeUnsuitable { .. } => GateName::TypeUnsuitable,
            Self::DeviceTaken { .. } => GateName::DeviceTaken,
            Self::AddressTaken { .. } => GateName::AddressTaken,
            Self::UndeclaredVolume { .. } => GateName::UndeclaredVolume,
            Self::ApplicationForbids { .. } => GateName::ApplicationForbids,
            Self::MemberElsewhere { .. } => GateName::MemberElsewhere,
            Self::VersionUnprovable { .. } => GateName::VersionUnprovable,
            Self::VersionSkew { .. } => GateName::VersionSkew,
            Self::NotOwned { .. } | Self::StrangersInGroup { .. } => GateName::NotOwned,
            Self::OwnedByAutoscaling { .. } | Self::GroupNotStill { .. } => GateName::OwnedByAutoscaling,
            Self::GroupUnusable { .. } => GateName::GroupUnusable,
            Self::GroupFull { .. } | Self::GroupFullOfSpares { .. } => GateName::GroupHasNoRoom,
            Self::GroupChanging { .. } | Self::InStandby { .. } => GateName::GroupChanging,
            Self::VolumeMissing { .. } => GateName::VolumeMissing,
            Self::VolumeImpaired { .. } => GateName::VolumeImpaired,
            Self::VolumeModifying { .. } => GateName::VolumeModifying,
            Self::DeleteOnTermination { .. } => GateName::DeleteOnTermination,
            Self::ZoneImpaired { .. } => GateName::ZoneImpaired,
            Self::ScheduledEvent { .. } => GateName::ScheduledEvent,
            Self::UnknownHealth { .. } => GateName::UnknownHealth,
            Self::NoLeader => GateName::NoLeader,
            Self::MembersMissing { .. } => GateName::MembersMissing,
            Self::MemberNotVoter { .. } => GateName::MemberNotVoter,
            Self::MemberUnhealthy { .. } => GateName::MemberUnhealthy,
            Self::QuorumWouldBeLost { .. } => GateName::QuorumWouldBeLost,
            Self::Lagging { .. } => GateName::Lagging,
            Self::Unstable { .. } => GateName::Unstable,
            Self::WouldBePruned { .. } => GateName::WouldBePruned,
        }
    }

    /// Says whether the hazard will not clear before a person does something about it.
    pub fn takes_person(&self) -> bool {
        let may_clear = matches!(
            self,
            Self::Unread { .. }
                | Self::UnknownHealth { .. }
                | Self::NotUnderstood { .. }
                | Self::DependencyUnsettled { .. }
        );
        !may_clear && self.hint().is_some()
    }

    /// Says what a person can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Frozen => "set `freeze: false` to let anything happen again".into(),
            Self::KillSwitch { .. } => "remove the kill switch to let anything happen again".into(),
            Self::WrongAccount { wanted, .. } => format!("use credentials of account {wanted}, or correct `account`"),
            Self::Suspended => "set `suspend: false` to go on with upgrades".into(),
            Self::SlotsLeftBehind { slots, instances, .. } if !instances.is_empty() => format!(
                "declare {} again: a slot keeps its name; to give it up, end its instance and remove its member first",
                joined(slots)
            ),
            Self::SlotsLeftBehind { slots, .. } => format!(
                "declare {} again; if its volumes are left behind on purpose, write `leftBehind: [{}]` under `spec`",
                joined(slots),
                joined(slots)
            ),
            Self::ClusterLeftBehind { cluster, .. } => format!(
                "name the cluster `{cluster}` again, or give the file that declares {cluster}, too; if this is another \
                 cluster, write `leftBehind: [{cluster}]` under `spec`"
            ),
            Self::ApprovalRequired { plan, .. } => {
                format!("review the plan, then set `approved: {plan}` under `rollout`")
            }
            Self::NotRehearsed { image, why: Unproven::FromOtherImage { runs, .. }, .. } => {
                format!("try it from there too: `hermitcrab rehearse FILE --from {runs} --image {image}`")
            }
            Self::NotRehearsed { image, .. } => format!("try it on a copy: `hermitcrab rehearse FILE --image {image}`"),
            Self::GenerationRejected { in_place_of: Some(_), .. } => {
                "correct what was refused, or what keeps members there from coming back (the log names it), and allow \
                 another try with `hermitcrab retry`; or commit another image"
                    .into()
            }
            Self::GenerationRejected { .. } => "commit another image (or other instance settings)".into(),
            Self::ImageUnavailable { .. } => {
                "check the id and the region, that the image is shared with this account, and the account's Allowed AMIs"
                    .into()
            }
            Self::TypeUnsuitable { .. } => "commit another `type`: one on Nitro that the region has".into(),
            Self::DeviceTaken { .. } => {
                "declare another `device` for the volume, commit an image without that mapping, or detach what is there".into()
            }
            Self::AddressTaken { address, .. } => address_hint(*address),
            Self::UndeclaredVolume { .. } => {
                "declare the volume under `volumes` and tag it (`hermitcrab adopt`), or detach it; one that may go with an instance that hermitcrab launched needs DeleteOnTermination".into()
            }
            Self::ApplicationForbids { blockers } => {
                joined(blockers.iter().map(|blocker| &blocker.hint))
            }
            Self::MemberElsewhere { own, .. } => {
                format!("let the member advertise {own}, its instance's private address: its replacement is looked for at such an address")
            }
            Self::VersionUnprovable { .. } => "write `version` as the members report it, or leave it out".into(),
            Self::VersionSkew { remedy, .. } => (*remedy).into(),
            Self::StrangersInGroup { group, .. } => {
                format!("take them out of {group}, or terminate them, if nobody needs what is on them")
            }
            Self::NotOwned { .. } => "adopt the resources, or remove them from this cluster's tags".into(),
            Self::OwnedByAutoscaling { group, .. } => {
                format!(
                    "adopt {group} with `capacity`, or take the instance out of it: it would replace one that stops"
                )
            }
            Self::GroupUnusable { .. } => "correct the group, or remove `capacity` from the file".into(),
            Self::GroupFull { group, max } => {
                format!("raise the maximum of {group} to at least {}", max + 1)
            }
            Self::InStandby { instance, .. } => {
                format!("put {instance} back in service: Auto Scaling detaches no instance from standby")
            }
            Self::GroupFullOfSpares { group, spare, .. } => {
                format!("take {} out of {group}: no slot needs what the group has launched there", joined(spare))
            }
            Self::QuorumWouldBeLost { quorum, .. } if *quorum <= 1 => {
                "a cluster of one cannot be upgraded without being down; declare three slots".into()
            }
            Self::MembersMissing { strangers, .. } if !strangers.is_empty() => {
                "remove the members that are not declared, or declare their slots".into()
            }
            Self::WouldBePruned { remedy, .. } => (*remedy).into(),
            Self::VolumeMissing { .. } => "find the volume; a new one is never made in its place".into(),
            Self::DeleteOnTermination { .. } => "turn DeleteOnTermination off for the volume at that instance".into(),
            Self::ClaimInCluster { .. } => {
                "give `--claims` a place that does not stop with the cluster: a directory, or servers of their own".into()
            }
            Self::DependencyUnsettled { .. } => {
                "nothing, if it clears by itself: it goes on once that cluster is at rest and healthy (`hermitcrab status`). \
                 Where that one cannot be mended before this one is, take the name out of `dependsOn` meanwhile"
                    .into()
            }
            Self::ClaimHeld { slot } => format!("declare {slot} again until its replacement is finished"),
            Self::NotUnderstood { .. } => {
                "nothing, if it clears by itself within minutes; else look at it in EC2, and if EC2 has a new word for it, use a newer hermitcrab"
                    .into()
            }
            Self::Unread { .. } | Self::UnknownHealth { .. } => {
                "`hermitcrab doctor` shows what can be reached, and what is allowed".into()
            }
            Self::OutsideWindow { .. }
            | Self::WindowTooShort { .. }
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
            | Self::GroupNotStill { .. }
            | Self::GroupChanging { .. }
            | Self::StaleObservation { .. } => return None,
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
            Self::OutsideWindow { opens: Some(opens) } => {
                write!(f, "outside the change window, which opens at {}", clock(*opens))
            }
            Self::WindowTooShort { closes } => {
                write!(f, "the change window closes at {}, before the replacement could be finished", clock(*closes))
            }
            Self::OutsideWindow { opens: None } => f.write_str("outside the change window"),
            Self::SlotsLeftBehind { slots, instances, volumes } => {
                let there = instances.iter().chain(volumes);
                write!(f, "no longer declared, and still there: {} ({})", joined(slots), joined(there))
            }
            Self::ClusterLeftBehind { cluster, resources } => {
                write!(f, "{cluster} is in the same place, and no file declares it: {}", joined(resources))
            }
            Self::ApprovalRequired { plan, given: None } => write!(f, "{plan} is not approved"),
            Self::ApprovalRequired { plan, given: Some(given) } => {
                write!(f, "{plan} is not approved; the approval is for {given}")
            }
            Self::NotRehearsed { image, generation, why } => match why {
                Unproven::Never => write!(f, "{image} ({generation}) has not been rehearsed"),
                Unproven::Failed { at, finding } => {
                    write!(f, "the rehearsal of {image} ({generation}) at {} failed: {finding}", clock(*at))
                }
                Unproven::FromOtherImage { from, runs } => {
                    write!(f, "{image} ({generation}) has been rehearsed from {from}, and the slot runs {runs}")
                }
            },
            Self::GenerationRejected { image, generation, in_place_of: Some(instance), .. } => {
                write!(f, "{image} ({generation}) could not take the place of {instance}")
            }
            Self::GenerationRejected { image, generation, slots, .. } => {
                write!(f, "{image} ({generation}) has failed in {}", joined(slots))
            }
            Self::RollbackCooldown { until } => {
                write!(f, "a replacement was just taken back; none begins before {}", clock(*until))
            }
            Self::ImageUnavailable { image, why } => write!(f, "{image} {why}"),
            Self::StrangersInGroup { group, resources } => {
                write!(f, "in {group} without this controller's owner tag: {}", resources.join(", "))
            }
            Self::NotOwned { resources } => write!(f, "without this controller's owner tag: {}", resources.join(", ")),
            Self::OwnedByAutoscaling { instance, group } => {
                write!(f, "{instance} belongs to Auto Scaling group {group}")
            }
            Self::GroupNotStill { instance, group, running } => {
                write!(f, "{instance} belongs to Auto Scaling group {group}, of which {} run", joined(running))
            }
            Self::GroupUnusable { group, why } => write!(f, "Auto Scaling group {group} {why}"),
            Self::GroupFull { group, max } | Self::GroupFullOfSpares { group, max, .. } => {
                write!(f, "Auto Scaling group {group} takes at most {max} instances, so none can be added")
            }
            Self::InStandby { group, instance } => {
                write!(f, "{instance} is in standby in Auto Scaling group {group}, where somebody has put it")
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
                let voters = if *healthy_after == 1 { "voter" } else { "voters" };
                write!(f, "{healthy_after} healthy {voters} would remain, and the quorum is {quorum}")
            }
            Self::Lagging { members } => {
                let behind: Vec<_> = members.iter().map(|(slot, lag)| format!("{slot} is {lag} behind")).collect();
                f.write_str(&behind.join(", "))
            }
            Self::Unstable { slots, until: None } => write!(f, "not healthy for long enough: {}", joined(slots)),
            Self::Unstable { slots, until: Some(until) } => {
                write!(f, "not healthy for long enough: {} (until {})", joined(slots), clock(*until))
            }
            Self::WouldBePruned { down_to, declared, .. } => {
                write!(f, "a stopped member would be pruned: the limit is {down_to}, not {declared}")
            }
            Self::AnotherReplacement { slots } => write!(f, "not served by one instance: {}", joined(slots)),
            Self::ClaimInCluster { servers } => {
                write!(f, "the claim is kept in the cluster that it is about, at {}", joined(servers))
            }
            Self::DependencyUnsettled { clusters } => {
                let name = |(cluster, relation, why): &(ClusterName, Relation, String)| match relation {
                    Relation::Below => format!("it stands on {cluster} ({why})"),
                    Relation::Above => format!("{cluster} stands on it ({why})"),
                };
                f.write_str(&joined(clusters.iter().map(name)))
            }
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
            Self::Unread { why } | Self::StaleObservation { why } => {
                write!(f, "what was seen is no ground for a decision: {why}")
            }
            Self::TypeUnsuitable { instance_type, why } => write!(f, "{instance_type}: {why}"),
            Self::DeviceTaken { device, why } => write!(f, "{device} is taken: {why}"),
            Self::AddressTaken { address, by } => write!(f, "{address} is used by {by}"),
            Self::UndeclaredVolume { volumes } => {
                let found: Vec<_> =
                    volumes.iter().map(|(id, at, device)| format!("{id} is at {device} of {at}")).collect();
                write!(f, "{}, and the file does not declare it", found.join(", "))
            }
            Self::ApplicationForbids { blockers } => f.write_str(&joined(blockers.iter().map(|blocker| &blocker.why))),
            Self::MemberElsewhere { found, instance, own } => {
                write!(f, "its peers find the member at {found}, and {instance} has {own}")
            }
            Self::VersionUnprovable { expected, why } => {
                write!(f, "no member could be seen to run version {expected}: {why}")
            }
            Self::VersionSkew { from: Some(from), to: Some(to), rule, .. } => {
                write!(f, "version {from} → {to} is no step that the members take: they go {rule}")
            }
            Self::VersionSkew { rule, .. } => {
                write!(f, "nobody says which version the image brings, and the members go {rule}")
            }
            Self::NotUnderstood { resources } => {
                let odd: Vec<_> = resources.iter().map(|(id, why)| format!("{id}: {why}")).collect();
                write!(f, "what EC2 says is not understood: {}", odd.join("; "))
            }
            Self::UnknownHealth { why } => write!(f, "health is not known: {why}"),
        }
    }
}
