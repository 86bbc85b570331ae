//! Carries out one action. There are no decisions here: one match, and one check of age.

use crate::action::{Action, Effect};
use crate::limits::Limits;
use crate::ports::{Clock, Cloud, Coordination, Members, Outcome, Outside, PortError, Seat};
use crate::spec::ClusterSpec;
use crate::time::{Human, Timestamp, elapsed};

/// Carries out an action that was decided at `decided`, unless that is too long ago.
pub async fn execute<O: Outside>(
    outside: &O,
    spec: &ClusterSpec,
    seats: &[Seat],
    action: &Action,
    decided: Timestamp,
    limits: &Limits,
) -> Result<Outcome, PortError> {
    let age = elapsed(outside.clock().now(), decided);
    if age > limits.decision {
        let expected = format!("a decision at most {} old", Human(limits.decision));
        return Ok(Outcome::Changed { expected, found: format!("one that is {} old", Human(age)) });
    }
    match &action.effect {
        Effect::Cloud(effect) => outside.cloud().change(spec, action.slot.as_ref(), effect).await,
        Effect::Member(effect) => outside.members().change(spec, seats, effect).await,
        Effect::Claim(effect) => outside.coordination().write(&action.cluster, effect).await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::action::CloudEffect;
    use crate::sim::executor::block_on;
    use crate::sim::{FaultLevel, Payload, World};
    use crate::time::before;

    fn stop_decided(age: Duration) -> (Outcome, u64) {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let (_, spec) = loaded.specs().next().unwrap();
        let world = World::new(1, FaultLevel::None);
        world.register_image(&spec.image, Payload::default());
        world.settle(spec);
        let instance = world.instances_of(&spec.name, &spec.slots[0].name).remove(0);
        let effect = Effect::Cloud(CloudEffect::Stop { instance });
        let action = Action { cluster: spec.name.clone(), slot: None, effect };
        let decided = before(world.now(), age);
        let outcome = block_on(&world, execute(&world, spec, &[], &action, decided, &Limits::DEFAULT)).unwrap();
        (outcome, world.calls().get("stop").copied().unwrap_or(0))
    }

    #[test]
    fn a_fresh_decision_is_sent() {
        assert_eq!(stop_decided(Limits::DEFAULT.decision), (Outcome::Done, 1));
    }

    #[test]
    fn a_decision_that_somebody_slept_on_is_not() {
        let (outcome, sent) = stop_decided(Limits::DEFAULT.decision + Duration::from_secs(1));
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        assert_eq!(sent, 0);
    }
}
