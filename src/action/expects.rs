//! Expectations of each effect, as a table beside the effects.
//!
//! Between a decision and its call the world may move, and most calls of EC2 have no token and no condition of their own.
//! So whoever carries out an effect looks once more at what the effect names, and holds what is there against this table.
//! The AWS adapter and the simulated EC2 ask the same table, so that neither accepts what the other refuses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::ids::{InstanceId, InterfaceId, Owner, SlotName, VolumeId};
use crate::observed::InstanceState::{self, Pending, Running, ShuttingDown, Stopped, Stopping, Terminated};
use crate::observed::Taken;
use crate::spec::ClusterSpec;

use super::facts::Facts;
use super::{CloudEffect, GroupEffect};

mod address;
mod condition;
mod group;
mod instance;
mod snapshot;
mod volume;

pub use address::AddressCondition;
pub use condition::{Condition, Difference, Mismatch, Ours, Purpose, Subject};
pub use group::GroupCondition;
pub use instance::InstanceCondition;
pub use snapshot::SnapshotCondition;
pub use volume::VolumeCondition;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expectation<'e> {
    /// A condition of the decision. Where it does not hold, the world has moved, and nothing is sent.
    Needs(Condition<'e>),
    /// The effect of the call. Where it holds already, nothing is left to send.
    Unless(Condition<'e>),
    /// A rule that EC2 or the safety of somebody's data sets. Where it does not hold, no repetition helps, so a person
    /// must act.
    Possible(Condition<'e>),
}

/// An expectation, held against facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The call may be sent, as far as this expectation goes.
    Met,
    /// The call has nothing left to do.
    AlreadySo,
    /// The world has moved since the decision.
    Changed(Difference),
    /// The call can never succeed as it is.
    Impossible {
        /// Short name of the rule, e.g. `device-taken`.
        code: &'static str,
        /// Account for a person to read.
        why: Difference,
    },
    /// EC2 does not show the instance, volume or group of this name, which does not mean that it is gone.
    NotShown(String),
}

impl<'e> Expectation<'e> {
    /// Holds the expectation against facts about everything that its condition names.
    pub fn held_against(&self, facts: &Facts) -> Finding {
        match (self, self.condition().compare(facts)) {
            (_, Err(Mismatch::NotShown(id))) => Finding::NotShown(id),
            (Self::Unless(_), Ok(())) => Finding::AlreadySo,
            (Self::Unless(_), Err(Mismatch::Differs(_))) | (Self::Needs(_) | Self::Possible(_), Ok(())) => Finding::Met,
            (Self::Needs(_), Err(Mismatch::Differs(difference))) => Finding::Changed(difference),
            (Self::Possible(condition), Err(Mismatch::Differs(why))) => {
                Finding::Impossible { code: condition.code(), why }
            }
        }
    }

    /// Gives the condition, whichever way it is meant.
    pub fn condition(&self) -> Condition<'e> {
        match *self {
            Self::Needs(condition) | Self::Unless(condition) | Self::Possible(condition) => condition,
        }
    }
}

/// States from which no instance writes to its volumes.
const AT_REST: &[InstanceState] = &[Stopped, Terminated];
/// States in which EC2 attaches a volume.
const ATTACHABLE: &[InstanceState] = &[Running, Stopped];
/// States of an instance that is neither gone nor on its way there.
const LIVE: &[InstanceState] = &[Pending, Running, Stopping, Stopped];

impl CloudEffect {
    /// Gives the rows for this effect, in the order in which they are asked: the first one that is not met decides.
    /// `slot` is the slot that the effect is for, where it is for one.
    pub fn expects<'e>(
        &'e self,
        spec: &'e ClusterSpec,
        owner: &'e Owner,
        slot: Option<&'e SlotName>,
    ) -> Vec<Expectation<'e>> {
        use Expectation::{Needs, Possible, Unless};
        let ours = Ours { cluster: &spec.name, owner, slot };
        match self {
            Self::CreateVolume(wanted) => {
                let (cluster, slot, name) = (&spec.name, &wanted.slot, &wanted.name);
                vec![
                    Possible(Condition::TokenFits(&wanted.token)),
                    Unless(Condition::VolumeExists { cluster, slot, name }),
                ]
            }
            // After a lost answer the same token is sent again, which makes nothing new. So no look is needed.
            Self::Launch(launch) => vec![Possible(Condition::TokenFits(&launch.token))],
            Self::Stop { instance } => {
                let mut stop = turn(instance, ours, &[Stopping, Stopped], &[Running]);
                stop.push(Possible(of(instance, InstanceCondition::MayBeTerminated)));
                stop
            }
            Self::Start { instance } => turn(instance, ours, &[Pending, Running], &[Stopped]),
            Self::Terminate { instance } => vec![
                Needs(of(instance, InstanceCondition::IsOurs(ours))),
                Unless(of(instance, InstanceCondition::In(&[ShuttingDown, Terminated]))),
                Needs(of(instance, InstanceCondition::IsRetired)),
                Needs(of(instance, InstanceCondition::HoldsNoData)),
                Possible(of(instance, InstanceCondition::DeletesNothing)),
            ],
            Self::Snapshot { volume, attempt, taken, .. } => vec![
                Needs(on(volume, VolumeCondition::IsOurs(ours))),
                Needs(on(volume, VolumeCondition::IsPresent)),
                Needs(Condition::Holder { volume, is: InstanceCondition::IsOurs(ours) }),
                Needs(Condition::Holder { volume, is: InstanceCondition::In(saved_in(*taken)) }),
                Unless(Condition::SnapshotTaken { volume, purpose: Purpose::Attempt(*attempt, *taken) }),
            ],
            Self::CopyVolume { volume, of, name, .. } => vec![
                Needs(on(volume, VolumeCondition::IsOf { cluster: of, name })),
                Unless(Condition::SnapshotTaken { volume, purpose: Purpose::Copy { of, into: &spec.name } }),
            ],
            Self::DeleteSnapshot { snapshot } => {
                let is = |is| Condition::Snapshot { snapshot, is };
                let anywhere = Ours { slot: None, ..ours };
                vec![
                    Unless(is(SnapshotCondition::IsGone)),
                    Needs(is(SnapshotCondition::IsOurs(anywhere))),
                    Needs(is(SnapshotCondition::IsCopy)),
                ]
            }
            Self::Detach { volume, instance, .. } => detach(volume, instance, ours),
            Self::Attach { volume, instance, device } => attach(volume, instance, device, ours),
            Self::Grow { volume, instance, from_gib, to_gib } => vec![
                Needs(on(volume, VolumeCondition::IsOurs(ours))),
                Unless(on(volume, VolumeCondition::HasAtLeast(*to_gib))),
                Needs(on(volume, VolumeCondition::HasJust(*from_gib))),
                Needs(on(volume, VolumeCondition::IsAttachedTo(instance))),
                Needs(of(instance, InstanceCondition::IsOurs(ours))),
                Needs(of(instance, InstanceCondition::In(&[Running]))),
                Needs(on(volume, VolumeCondition::IsNotBeingModified)),
            ],
            Self::AssignAddress { address, instance, interface, subnet } => {
                assign(*address, subnet, instance, interface, ours)
            }
            Self::Retire { instance } => vec![
                Needs(of(instance, InstanceCondition::IsOurs(ours))),
                Unless(of(instance, InstanceCondition::IsRetired)),
            ],
            Self::Tag { instance, tags } => vec![
                Needs(of(instance, InstanceCondition::IsOurs(ours))),
                Unless(of(instance, InstanceCondition::Bears(tags))),
            ],
            Self::Reject { volumes, generation, attempt } => {
                mark(volumes, ours, VolumeCondition::Rejected { generation, attempt: *attempt })
            }
            Self::Forgive { volumes, generation } => mark(volumes, ours, VolumeCondition::Forgiven { generation }),
            Self::Settle { volumes, generation, image, attempt, .. } => {
                mark(volumes, ours, VolumeCondition::Settled { generation, image, attempt: *attempt })
            }
            // Each volume of the cluster remembers each slot, so the volumes are those of all slots.
            Self::RecordSlots { volumes, slots } => {
                mark(volumes, Ours { slot: None, ..ours }, VolumeCondition::Remembers(slots))
            }
            Self::DeleteVolume { volume } => vec![
                Needs(on(volume, VolumeCondition::IsOurs(ours))),
                Unless(on(volume, VolumeCondition::IsDeleted)),
                Needs(on(volume, VolumeCondition::IsAvailable)),
            ],
            Self::Recruit(wanted) => {
                let (instance, group) = (&wanted.instance, spec.capacity.group());
                vec![
                    Unless(of(instance, InstanceCondition::IsRecruited { cluster: &spec.name, wanted })),
                    Needs(of(instance, InstanceCondition::InNoCluster)),
                    Needs(of(instance, InstanceCondition::InGroup(group))),
                    Needs(of(instance, InstanceCondition::In(LIVE))),
                ]
            }
            Self::Group { group, effect } => effect.expects(group, ours),
        }
    }
}

/// Lists the states of an instance in which its volumes are saved so.
fn saved_in(taken: Taken) -> &'static [InstanceState] {
    match taken {
        Taken::Running => &[Running],
        Taken::AtRest => AT_REST,
    }
}

fn of<'e>(instance: &'e InstanceId, is: InstanceCondition<'e>) -> Condition<'e> {
    Condition::Instance { instance, is }
}

fn on<'e>(volume: &'e VolumeId, is: VolumeCondition<'e>) -> Condition<'e> {
    Condition::Volume { volume, is }
}

/// Lists what a stop or a start expects: the instance in one of the states `from`, and not in one of `already`.
fn turn<'e>(
    instance: &'e InstanceId,
    ours: Ours<'e>,
    already: &'static [InstanceState],
    from: &'static [InstanceState],
) -> Vec<Expectation<'e>> {
    vec![
        Expectation::Needs(of(instance, InstanceCondition::IsOurs(ours))),
        Expectation::Unless(of(instance, InstanceCondition::In(already))),
        Expectation::Needs(of(instance, InstanceCondition::In(from))),
    ]
}

/// Lists what a detachment expects: the volume attached to an instance that cannot be using it. EC2 asks for no more, and a
/// device that differs would be a reason to leave a member down.
fn detach<'e>(volume: &'e VolumeId, instance: &'e InstanceId, ours: Ours<'e>) -> Vec<Expectation<'e>> {
    vec![
        Expectation::Needs(on(volume, VolumeCondition::IsOurs(ours))),
        Expectation::Unless(on(volume, VolumeCondition::IsLeaving(instance))),
        Expectation::Needs(on(volume, VolumeCondition::IsAt(instance))),
        Expectation::Needs(of(instance, InstanceCondition::IsOurs(ours))),
        Expectation::Needs(of(instance, InstanceCondition::In(AT_REST))),
    ]
}

/// Lists what an attachment expects: a free volume, and an instance of its own slot that can take it.
fn attach<'e>(volume: &'e VolumeId, instance: &'e InstanceId, device: &'e str, ours: Ours<'e>) -> Vec<Expectation<'e>> {
    vec![
        Expectation::Needs(on(volume, VolumeCondition::IsOurs(ours))),
        Expectation::Unless(on(volume, VolumeCondition::IsComingTo(instance))),
        Expectation::Needs(on(volume, VolumeCondition::IsAvailable)),
        Expectation::Needs(of(instance, InstanceCondition::IsOurs(ours))),
        Expectation::Needs(of(instance, InstanceCondition::In(ATTACHABLE))),
        Expectation::Needs(Condition::InOneSlot { volume, instance }),
        Expectation::Needs(of(instance, InstanceCondition::ListsNot(volume))),
        Expectation::Possible(Condition::InOneZone { volume, instance }),
        Expectation::Possible(of(instance, InstanceCondition::HasFree(device))),
    ]
}

/// Lists what the move of a fixed address expects: an instance that is there to have it, and nobody who serves at it.
fn assign<'e>(
    address: Ipv4Addr,
    subnet: &'e str,
    instance: &'e InstanceId,
    interface: &'e InterfaceId,
    ours: Ours<'e>,
) -> Vec<Expectation<'e>> {
    let is = |is| Condition::Address { address, subnet, is };
    vec![
        Expectation::Needs(of(instance, InstanceCondition::IsOurs(ours))),
        Expectation::Needs(of(instance, InstanceCondition::In(LIVE))),
        Expectation::Needs(of(instance, InstanceCondition::HasInterface(interface))),
        Expectation::Unless(is(AddressCondition::IsAt(interface))),
        Expectation::Possible(is(AddressCondition::MayMove(ours))),
        Expectation::Needs(is(AddressCondition::HolderIs(AT_REST))),
    ]
}

/// Lists what a mark on volumes expects: they are ours, and one of them does not bear the mark yet.
fn mark<'e>(volumes: &'e BTreeSet<VolumeId>, ours: Ours<'e>, is: VolumeCondition<'e>) -> Vec<Expectation<'e>> {
    vec![
        Expectation::Needs(Condition::Volumes { volumes, are: VolumeCondition::IsOurs(ours) }),
        Expectation::Unless(Condition::Volumes { volumes, are: is }),
    ]
}

impl GroupEffect {
    /// Gives the rows for a call about a group, in the order in which they are asked.
    fn expects<'e>(&'e self, group: &'e str, ours: Ours<'e>) -> Vec<Expectation<'e>> {
        use Expectation::{Needs, Unless};
        let is = |is| Condition::Group { group, is };
        match self {
            Self::RecordResume { processes } => {
                vec![Unless(is(GroupCondition::Resumes(processes))), Needs(is(GroupCondition::ResumesNothing))]
            }
            Self::Suspend { processes } => {
                vec![Needs(is(GroupCondition::KnowsWhatToResume)), Unless(is(GroupCondition::Suspends(processes)))]
            }
            Self::Join { instance } => vec![
                Unless(is(GroupCondition::Has(instance))),
                Needs(of(instance, InstanceCondition::IsOurs(ours))),
                Needs(of(instance, InstanceCondition::In(&[Running]))),
                Needs(of(instance, InstanceCondition::InGroup(None))),
            ],
            Self::Protect { instance } => {
                vec![Needs(is(GroupCondition::Has(instance))), Unless(is(GroupCondition::Protects(instance)))]
            }
            Self::Vouch { instance } => {
                vec![Needs(is(GroupCondition::Has(instance))), Unless(is(GroupCondition::TakesForHealthy(instance)))]
            }
            Self::Leave { instance } => vec![Unless(is(GroupCondition::HasNot(instance)))],
            Self::Resize { from, to } => vec![
                Unless(is(GroupCondition::Wants(*to))),
                Needs(is(GroupCondition::Wants(*from))),
                Needs(is(GroupCondition::NeitherLaunchesNorTerminates)),
            ],
            Self::LowerMinimum { from } => vec![
                Unless(is(GroupCondition::HasMinimum(0))),
                Needs(is(GroupCondition::HasMinimum(*from))),
                Needs(is(GroupCondition::NeitherLaunchesNorTerminates)),
            ],
            Self::Resume { processes } => {
                vec![Needs(is(GroupCondition::ResumesAtLeast(processes))), Unless(is(GroupCondition::Runs(processes)))]
            }
            Self::ForgetResume { processes } => vec![
                Unless(is(GroupCondition::ResumesNothing)),
                Needs(is(GroupCondition::Resumes(processes))),
                Needs(is(GroupCondition::Runs(processes))),
            ],
            Self::CreateTemplateVersion(_) => vec![Needs(is(GroupCondition::IsShown))],
            Self::UseTemplateVersion { from, to, .. } => vec![
                Needs(is(GroupCondition::HasTemplate)),
                Unless(is(GroupCondition::LaunchesFromPinned(*to))),
                Needs(is(GroupCondition::LaunchesFrom(*from))),
            ],
        }
    }
}
