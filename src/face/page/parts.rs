//! The small parts that both pages are made of.

use std::time::Duration;

use maud::{Markup, html};

use crate::face::document::{Quorum, StepCount, Summary};
use crate::status::Attention;
use crate::time::Human;

/// A link to a cluster's page.
pub fn link(cluster: &str) -> Markup {
    html! { a href={ "/clusters/" (cluster) } { (cluster) } }
}

/// A span of whole seconds, e.g. `2m 5s`.
pub fn span(seconds: u64) -> String {
    Human(Duration::from_secs(seconds)).to_string()
}

/// The urgency and the phase, as a word in a colour of its own.
pub fn badge(summary: &Summary) -> Markup {
    let (class, word) = match summary.attention {
        Attention::Stalled => ("badge stalled", "stalled"),
        Attention::NoQuorum => ("badge stalled", "no quorum"),
        Attention::NotSeen => ("badge person", "not seen"),
        Attention::NeedsPerson => ("badge person", "needs a person"),
        Attention::Blocked => ("badge blocked", "blocked"),
        Attention::UnderWay => ("badge moving", summary.phase.as_str()),
        Attention::Settled => ("badge settled", "settled"),
    };
    html! { span class=(class) { (word) } }
}

/// The images that run, and the one that is wanted where it differs.
pub fn images(summary: &Summary) -> Markup {
    let is_there = summary.images.iter().all(|image| *image == summary.wanted) && !summary.images.is_empty();
    html! {
        @if is_there {
            code { (summary.wanted) }
        } @else {
            @for image in summary.images.iter().filter(|image| **image != summary.wanted) { code.block { (image) } }
            @if summary.images.is_empty() { span.quiet.block { "none" } }
            span.wanted { span aria-hidden="true" { "→ " } span.unseen { "to " } code { (summary.wanted) } }
        }
    }
}

/// Says how many members may fail.
pub fn margin(quorum: &Quorum) -> Markup {
    let (class, words) = match quorum.may_fail {
        None => ("quiet", "not known".to_owned()),
        Some(margin) if margin < 0 => ("bad", format!("{} too few", -margin)),
        Some(0) => ("so-so", "none may fail".to_owned()),
        Some(margin) => ("good", format!("{margin} may fail")),
    };
    html! { span class=(class) { (words) } }
}

/// The step of a replacement among all of them, with a bar.
pub fn step(step: &StepCount) -> Markup {
    html! {
        span.step {
            (step.slot) ": " (step.action)
            span.quiet { " · step " (step.number) " of " (step.of) }
            progress value=(step.number) max=(step.of) aria-label={ "step " (step.number) " of " (step.of) } {}
        }
    }
}

/// Says how long ago something was, which the script counts on.
pub fn age(seconds: Option<u64>) -> Markup {
    html! {
        @match seconds {
            Some(seconds) => span.age data-age=(seconds) { (span(seconds)) " ago" },
            None => span.quiet { "not yet" },
        }
    }
}

/// An instant as a `time` element, with its date unless that is the date of `today`, e.g. `2026-01-05T09:00:20Z`.
pub fn instant(at: &str, today: &str) -> Markup {
    let is_today = at.get(..10) == today.get(..10);
    let shown = if is_today { at.get(11..19) } else { at.get(5..16) }.unwrap_or(at).replace('T', " ");
    html! { time datetime=(at) title=(at) { (shown) } }
}
