//! Pictures of rollouts: a time line as an SVG, drawn from the events that were recorded.
//!
//! [`course`] says what happened to each slot when, as spans on one axis; [`draw`] puts that on paper. A picture is one file that
//! needs nothing beside it: no script, no font, nothing from elsewhere. It is dark where its reader is, and tells the same to a
//! screen reader as to the eye.

pub mod course;
mod draw;
mod paper;

use crate::history::record::Record;
use crate::history::rollout::Rollout;

/// Draws a rollout. Of the records those count that are its cluster's.
pub fn svg(rollout: &Rollout, records: &[Record]) -> String {
    draw::draw(rollout, &course::Course::of(rollout, records))
}
