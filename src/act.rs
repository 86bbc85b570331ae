//! Carries out one action. There are no decisions here: one match, and one check of age.

use std::time::Duration;

use crate::action::{Action, Effect};
use crate::ports::{Application, Clock, Cloud, Coordination, Outcome, Outside, PortError, Seat};
use crate::spec::ClusterSpec;
use crate::time::{Human, Timestamp, elapsed};

/// A decision is sent within this time or not at all: a controller that was paused must not act on what it once saw.
pub const DECISION_LIFE: Duration = Duration::from_secs(5);

/// Carries out an action that was decided at `decided`.
pub async fn execute<O: Outside>(
    outside: &O,
    spec: &ClusterSpec,
    seats: &[Seat],
    action: &Action,
    decided: Timestamp,
) -> Result<Outcome, PortError> {
    let age = elapsed(outside.clock().now(), decided);
    if age > DECISION_LIFE {
        let expected = format!("a decision at most {} old", Human(DECISION_LIFE));
        return Ok(Outcome::Changed { expected, found: format!("one that is {} old", Human(age)) });
    }
    match &action.effect {
        Effect::Cloud(effect) => outside.cloud().change(&action.cluster, action.slot.as_ref(), effect).await,
        Effect::Member(effect) => outside.application().change(spec, seats, effect).await,
        Effect::Claim(effect) => outside.coordination().write(&action.cluster, effect).await,
    }
}
