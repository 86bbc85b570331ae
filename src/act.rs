//! Carries out one action. There are no decisions here: one match, and two checks whether what was decided still holds.

use crate::action::{Action, CloudEffect, Effect};
use crate::ids::ClusterName;
use crate::ports::{Clock, Cloud, Coordination, Decision, Members, Outcome, Outside, PortError, Seat};
use crate::spec::ClusterSpec;

/// Carries out an action that was decided on, unless that was too long ago.
pub async fn execute<O: Outside>(
    outside: &O,
    spec: &ClusterSpec,
    seats: &[Seat],
    action: &Action,
    decision: &Decision,
) -> Result<Outcome, PortError> {
    if let Some(too_old) = decision.too_old(outside.clock().now()) {
        return Ok(too_old);
    }
    match &action.effect {
        Effect::Cloud(effect) => {
            if let Some(changed) = claim_moved(outside, &action.cluster, effect, decision).await? {
                return Ok(changed);
            }
            outside.cloud().change(spec, action.slot.as_ref(), effect, decision).await
        }
        Effect::Member(effect) => outside.members().change(spec, seats, effect).await,
        Effect::Claim(effect) => outside.coordination().write(&action.cluster, effect).await,
    }
}

/// Reads the claim again before whatever moves a member from one instance to another: these are the calls that harm if somebody
/// has given the claim up since, has made it another one, or has turned the replacement round.
async fn claim_moved<O: Outside>(
    outside: &O,
    cluster: &ClusterName,
    effect: &CloudEffect,
    decision: &Decision,
) -> Result<Option<Outcome>, PortError> {
    let Some(revision) = decision.claim else { return Ok(None) };
    if !moves_a_member(effect) {
        return Ok(None);
    }
    let found = outside.coordination().read(cluster).await?.revision;
    let changed = || Outcome::Changed {
        expected: format!("the claim at revision {revision}"),
        found: format!("it at revision {found}"),
    };
    Ok((found != revision).then(changed))
}

fn moves_a_member(effect: &CloudEffect) -> bool {
    matches!(
        effect,
        CloudEffect::Launch(_)
            | CloudEffect::Recruit(_)
            | CloudEffect::Stop { .. }
            | CloudEffect::Start { .. }
            | CloudEffect::Snapshot { .. }
            | CloudEffect::Detach { .. }
            | CloudEffect::AssignAddress { .. }
            | CloudEffect::Attach { .. }
            | CloudEffect::Retire { .. }
            | CloudEffect::Terminate { .. }
            | CloudEffect::Reject { .. }
            | CloudEffect::Settle { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::action::ClaimEffect;
    use crate::ids::{InstanceId, VolumeId};
    use crate::limits::Limits;
    use crate::sim::executor::block_on;
    use crate::sim::{FaultLevel, Payload, World};
    use crate::time::before;

    /// A stop that was decided so long ago, on the claim as it was then or as it was before somebody wrote to it.
    fn stop_decided(age: Duration, claim_moves: bool) -> (Outcome, u64) {
        decided(age, claim_moves, false, |instance, _| CloudEffect::Stop { instance })
    }

    /// A call about a slot's instance, which runs or was stopped, and its volume that was decided so long ago, and how often it
    /// was sent.
    fn decided(
        age: Duration,
        claim_moves: bool,
        is_stopped: bool,
        call: impl FnOnce(InstanceId, VolumeId) -> CloudEffect,
    ) -> (Outcome, u64) {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let (_, spec) = loaded.specs().next().unwrap();
        let world = World::new(1, FaultLevel::None);
        world.register_image(&spec.image, Payload::default());
        world.settle(spec);
        let instance = world.instances_of(&spec.name, &spec.slots[0].name).remove(0);
        let volume = world.volumes_of(&spec.name, &spec.slots[0].name).remove(0);
        if is_stopped {
            world.stop_instance(&instance);
            block_on(&world, world.sleep(Duration::from_secs(120)));
        }
        let effect = Effect::Cloud(call(instance, volume));
        let name = effect.name();
        let action = Action { cluster: spec.name.clone(), slot: None, effect };
        let claim = block_on(&world, Coordination::read(&world, &spec.name)).unwrap().revision;
        let life = Limits::DEFAULT.decision;
        if claim_moves {
            let write = ClaimEffect::Revive { expects: claim };
            block_on(&world, Coordination::write(&world, &spec.name, &write)).unwrap();
        }
        let decision = Decision { at: before(world.now(), age), life, claim: Some(claim), revision: None };
        let outcome = block_on(&world, execute(&world, spec, &[], &action, &decision)).unwrap();
        (outcome, world.calls().get(name).copied().unwrap_or(0))
    }

    #[test]
    fn a_fresh_decision_is_sent() {
        assert_eq!(stop_decided(Duration::ZERO, false), (Outcome::Done, 1));
    }

    #[test]
    fn a_decision_that_somebody_slept_on_is_not() {
        let (outcome, sent) = stop_decided(Limits::DEFAULT.decision + Duration::from_secs(1), false);
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        assert_eq!(sent, 0);
    }

    #[test]
    fn nothing_is_stopped_under_a_claim_that_has_moved() {
        let (outcome, sent) = stop_decided(Duration::ZERO, true);
        let Outcome::Changed { expected, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(expected.starts_with("the claim at revision"), "{expected}");
        assert_eq!(sent, 0);
    }

    /// Another controller may have turned the replacement round, and be about to start the instance.
    #[test]
    fn nothing_is_moved_under_a_claim_that_has_moved() {
        let detach = |instance, volume| CloudEffect::Detach { volume, instance, device: "/dev/sdf".to_owned() };
        let start = |instance, _| CloudEffect::Start { instance };
        for claim_moves in [false, true] {
            let sent = u64::from(!claim_moves);
            assert_eq!(decided(Duration::ZERO, claim_moves, true, detach).1, sent);
            assert_eq!(decided(Duration::ZERO, claim_moves, true, start).1, sent);
        }
    }
}
