//! Spans of a pass, for whoever collects traces: the pass, its looks, and its change. They hold names of clusters, slots and
//! effects and the kinds of answers, and no text of others, so no secret either.

use tracing::{Instrument, Span};

use crate::action::Action;
use crate::ids::ClusterName;
use crate::plan::Plan;
use crate::ports::{Outcome, PortError};

/// The target of every span, by which a collector's layer knows them.
pub const TARGET: &str = "hermitcrab::pass";

/// Makes a span where the feature `traces` is on. Else there is none, and the log knows of none.
macro_rules! span {
    ($name:literal $($field:tt)*) => {
        if cfg!(feature = "traces") { tracing::info_span!(target: TARGET, $name $($field)*) } else { Span::none() }
    };
}

/// Spans a whole pass over a cluster.
pub(super) fn pass(cluster: &ClusterName) -> Span {
    span!("pass", %cluster, answer = tracing::field::Empty)
}

/// Tells the pass that is under way what it came to.
pub(super) fn answered(plan: &Plan) {
    let answer = match plan {
        Plan::Settled => "settled",
        Plan::Act(..) => "act",
        Plan::Wait(_) => "wait",
        Plan::Blocked(_) => "blocked",
        Plan::Stalled(_) => "stalled",
    };
    Span::current().record("answer", answer);
}

/// Spans a look at EC2, at the claim or at the members.
pub(super) async fn look<T, E>(at: &'static str, looking: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let span = span!("look", at, otel.status_code = tracing::field::Empty);
    // On the heap: what waits for a look lies deep in other futures already.
    let looked = Box::pin(looking).instrument(span.clone()).await;
    if looked.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    looked
}

/// Spans a change.
pub(super) async fn change(
    action: &Action,
    changing: impl Future<Output = Result<Outcome, PortError>>,
) -> Result<Outcome, PortError> {
    let span = span!(
        "change",
        effect = action.effect.name(),
        slot = action.slot.as_deref(),
        outcome = tracing::field::Empty,
        error = tracing::field::Empty,
        otel.status_code = tracing::field::Empty
    );
    let changed = Box::pin(changing).instrument(span.clone()).await;
    match &changed {
        Ok(Outcome::AlreadySo) => span.record("outcome", "already so"),
        Ok(Outcome::Changed { .. }) => span.record("outcome", "not as expected"),
        Ok(_) => span.record("outcome", "done"),
        Err(error) => span.record("error", tracing::field::display(error.kind)).record("otel.status_code", "ERROR"),
    };
    changed
}
