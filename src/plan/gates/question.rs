//! The question that every gate is asked, and the answer that it gives.

use crate::ids::ImageId;
use crate::plan::answer::Hazard;
use crate::plan::look::{Look, SlotLook};

/// A question to a gate: may this slot be disrupted now, to get that image?
pub struct Question<'l, 'a> {
    /// The cluster at this moment.
    pub look: &'l Look<'a>,
    /// The slot whose instance would be replaced.
    pub slot: &'l SlotLook<'a>,
    /// The image that it would get.
    pub image: &'l ImageId,
}

/// A gate's answer.
pub struct Finding {
    /// The value that was found, to be read by a person, e.g. `3 members; missing: none; strangers: none`.
    pub value: String,
    /// The value that the gate wants, e.g. `the 3 declared ones`.
    pub wants: String,
    /// The reason why the gate refuses, if it does.
    pub hazard: Option<Hazard>,
}

/// Makes a finding: one that lets the action pass, or one that refuses it.
pub(super) fn finding(value: impl Into<String>, wants: impl Into<String>, hazard: Option<Hazard>) -> Finding {
    Finding { value: value.into(), wants: wants.into(), hazard }
}

/// Makes the finding of a gate about something that the application does not have.
pub(super) fn not_asked() -> Finding {
    finding("not asked of this application", "nothing", None)
}

/// Lists names in a row, or says `none`.
pub(super) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}
