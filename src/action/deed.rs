//! The question whether two actions are the same one, tried again.

use super::{Action, ClaimEffect, CloudEffect, Effect, MemberEffect};
use crate::ids::{Attempt, InstanceId, Token, VolumeId, digest};
use crate::time::Timestamp;

impl Action {
    /// Gives the action without the numbers and dates that differ from one try to the next, so that two tries of one deed
    /// are equal.
    fn deed(&self) -> Self {
        let mut deed = self.clone();
        match &mut deed.effect {
            Effect::Cloud(CloudEffect::Launch(launch)) => {
                (launch.token, launch.attempt) = (Token::from(""), Attempt::default());
            }
            Effect::Cloud(CloudEffect::CreateVolume(create)) => {
                create.token = Token::from("");
                create.slots.clear();
            }
            Effect::Claim(claim) => undate(claim),
            // Whoever is to lead instead, the deed is that this member leads no more.
            Effect::Member(MemberEffect::TransferLeadership { from, to }) => *to = from.clone(),
            Effect::Cloud(_) | Effect::Member(_) => {}
        }
        deed
    }

    /// Gives a short key of the deed: equal for two tries of it, and for nothing else.
    pub fn deed_key(&self) -> String {
        digest(format!("{:?}", self.deed()).as_bytes())
    }

    /// Says what is done, e.g. `detach vol-1 for consul-a`.
    pub fn doing(&self) -> String {
        let whom: &str = self.slot.as_ref().map_or(&*self.cluster, |slot| slot);
        let object = match &self.effect {
            Effect::Cloud(effect) => {
                effect.volume().map(VolumeId::to_string).or(effect.instance().map(InstanceId::to_string))
            }
            Effect::Member(MemberEffect::TransferLeadership { to, .. }) => Some(format!("to {to}")),
            Effect::Member(MemberEffect::MoveMember { member, address, .. }) => Some(format!("{member} to {address}")),
            Effect::Member(MemberEffect::Prepare { instance, .. })
            | Effect::Claim(ClaimEffect::MarkStop { instance, .. }) => Some(instance.to_string()),
            Effect::Member(MemberEffect::SetPruning { .. }) | Effect::Claim(_) => None,
        };
        match object {
            Some(object) => format!("{} {object} for {whom}", self.effect.name()),
            None => format!("{} for {whom}", self.effect.name()),
        }
    }
}

fn undate(effect: &mut ClaimEffect) {
    let claim = match effect {
        ClaimEffect::Claim { claim, .. } => Some(claim),
        ClaimEffect::Move { claim, .. } => Some(&mut **claim),
        _ => None,
    };
    if let Some(claim) = claim {
        (claim.attempt, claim.tries, claim.since) = (Attempt::default(), 0, Timestamp::UNIX_EPOCH);
    }
    if let ClaimEffect::Announce { ahead, .. } = effect {
        ahead.attempt = Attempt::default();
    }
    match effect {
        ClaimEffect::Claim { expects, .. }
        | ClaimEffect::MarkStop { expects, .. }
        | ClaimEffect::Turn { expects, .. }
        | ClaimEffect::Turned { expects }
        | ClaimEffect::Release { expects, .. }
        | ClaimEffect::Move { expects, .. }
        | ClaimEffect::Announce { expects, .. }
        | ClaimEffect::LetGo { expects }
        | ClaimEffect::Forget { expects }
        | ClaimEffect::CreateAgain { expects, .. }
        | ClaimEffect::End { expects, .. }
        | ClaimEffect::Revive { expects }
        | ClaimEffect::Rehearsed { expects, .. } => *expects = 0,
    }
}
