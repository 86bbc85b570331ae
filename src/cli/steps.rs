//! What an errand does, told as it happens: a line for each step.

use std::cell::RefCell;
use std::io::Write;

use crate::controller::{Audience, Report, chain};
use crate::plan::Plan;
use crate::ports::{Outcome, PortError};

use super::Output;
use super::output::{BAD, styled};

/// Writes to the notes.
pub struct Steps<'a>(pub RefCell<&'a mut Output>);

impl Audience for Steps<'_> {
    fn planned(&self, _: &Report<'_>) {}

    fn acted(&self, report: &Report<'_>, outcome: &Result<Outcome, PortError>) {
        let Plan::Act(action, _) = report.plan else { return };
        let came_to = match outcome {
            Ok(Outcome::Changed { found, .. }) => format!("  not yet: {found}"),
            Ok(_) => String::new(),
            Err(error) => format!("  {}: {}", styled(BAD, "failed"), chain(error)),
        };
        let slot = action.slot.as_deref().unwrap_or_default();
        // Whoever does not listen any more does not keep the cluster from its end.
        let _ = writeln!(self.0.borrow_mut().notes, "  {slot:12} {}{came_to}", action.effect);
    }
}
