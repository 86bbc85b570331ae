//! The page of one cluster: what is so, what is being done, and why not more.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::face::document::{Cluster, FileState, Instance, Slot, Step, StepState, Volume};
use crate::history::record::Record;
use crate::history::rollout::{self, Outcome, Rollout};
use crate::status::Attention;
use crate::time::clock;

use super::{Page, parts};

/// The most events that the page shows. The interface has more.
pub const MOST_EVENTS: usize = 25;

/// The most rollouts that the page shows.
const MOST_ROLLOUTS: usize = 10;

/// The past of a cluster, as far as it is remembered.
pub struct Past {
    /// The newest first.
    pub events: Vec<Record>,
    pub history: rollout::Document,
}

/// The part of `explain` that the page shows.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Explanation {
    slot: Option<String>,
    why_this_slot: String,
    gates: Vec<Gate>,
}

#[derive(Deserialize)]
struct Gate {
    gate: String,
    open: bool,
    value: String,
    wants: String,
}

/// The part of `plan` that the page shows.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Plan {
    approval_needed: Option<String>,
    notes: Vec<String>,
    slots: Vec<SlotPlan>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlotPlan {
    slot: String,
    takes_seconds: u64,
    member_down_seconds: u64,
}

/// Writes the page of a cluster. `plan` and `explain` are there once the cluster was looked at.
pub fn cluster(cluster: &Cluster, past: &Past, plan: Option<Value>, explain: Option<Value>) -> String {
    let summary = &cluster.summary;
    let plan: Plan = plan.and_then(|plan| serde_json::from_value(plan).ok()).unwrap_or_default();
    let explanation: Explanation = explain.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default();
    let title = format!("{} – hermitcrab", summary.cluster);
    let stream = format!("/api/v1/clusters/{}/stream", summary.cluster);
    let headline = format!("{}: {}", summary.cluster, summary.answer);
    let content = html! {
        nav aria-label="Where this is" { a href="/" { "All clusters" } }
        div.title { h1 { (summary.cluster) } (parts::badge(summary)) }
        (answer(cluster, &plan))
        (facts(cluster))
        section aria-labelledby="slots" {
            h2 #slots { "Slots" }
            div.cards { @for slot in &cluster.slots { (card(slot, &summary.wanted)) } }
        }
        @if !cluster.steps.is_empty() { (steps(cluster)) }
        @if !plan.slots.is_empty() { (to_come(&plan)) }
        @if !explanation.gates.is_empty() { (gates(&explanation)) }
        @if !past.history.rollouts.is_empty() { (history(&past.history.rollouts, &cluster.daemon.at)) }
        (self::events(&past.events, &cluster.daemon.at))
    };
    Page {
        title: &title,
        stream: &stream,
        headline: &headline,
        daemon: &cluster.daemon,
        cluster: Some(&summary.cluster),
        content,
    }
    .write()
}

fn answer(cluster: &Cluster, plan: &Plan) -> Markup {
    let class = match cluster.summary.attention {
        Attention::Stalled | Attention::NoQuorum => "says bad",
        Attention::NotSeen | Attention::NeedsPerson | Attention::Blocked => "says so-so",
        Attention::UnderWay | Attention::Settled => "says",
    };
    let hints = cluster.status.iter().flat_map(|status| &status.hints);
    html! {
        div class=(class) {
            p { (cluster.summary.answer) }
            @for hint in hints { p.quiet { (hint) } }
            @for remark in &cluster.summary.remarks { p { (remark) } }
            @if let Some(id) = &plan.approval_needed { p { "To approve: " code { "approved: " (id) } } }
            @for setback in &cluster.setbacks {
                p { (setback.doing) ": " (setback.found) span.quiet { " (" (setback.times) " times since " (parts::instant(&setback.since, &cluster.daemon.at)) ")" } }
            }
            @for note in &plan.notes { p.quiet { "Note: " (note) } }
            @if let Some(status) = &cluster.status {
                @if !status.orphans.is_empty() { p { "Left alone, of no declared slot: " code { (status.orphans.join(", ")) } } }
            }
        }
    }
}

fn facts(cluster: &Cluster) -> Markup {
    let summary = &cluster.summary;
    let place = [&*summary.application, &*summary.environment, &*summary.region];
    let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
    html! {
        dl.facts {
            div.wide { dt { "Image" } dd { (parts::images(summary)) } }
            div { dt { "Slots up to date" } dd { (summary.slots.current) " of " (summary.slots.declared) } }
            div {
                dt { "Quorum" }
                dd {
                    (parts::margin(&summary.quorum))
                    @if let Some(healthy) = summary.quorum.healthy {
                        span.quiet.block { (healthy) " healthy, " (summary.quorum.needed) " needed" }
                    }
                }
            }
            div { dt { "Since" } dd { (parts::age(summary.since_seconds)) } }
            div.seen { dt { "Seen" } dd { (parts::age(summary.age_seconds)) } }
            div { dt { "Place" } dd { (place.join(" · ")) } }
            div.wide {
                dt { "File" }
                dd {
                    @match &cluster.file.path { Some(path) => code { (path) }, None => "–" }
                    @match cluster.file.state {
                        FileState::Current => "",
                        FileState::LastGood => span.bad.block { "broken; its last good version stays in force" },
                        FileState::Orphaned => span.bad.block { "declares the cluster no more" },
                    }
                }
            }
        }
    }
}

/// A slot as a card: each of its instances is a box, with the volumes and the address inside the one that has them.
fn card(slot: &Slot, wanted: &str) -> Markup {
    let class = if slot.claimed { "card claimed" } else { "card" };
    let free: Vec<_> = slot.volumes.iter().filter(|volume| volume.instance.is_none()).collect();
    html! {
        article class=(class) aria-label=(slot.slot) {
            header {
                h3 { (slot.slot) }
                span.quiet { (slot.zone) }
            }
            p.member {
                span class=(if slot.healthy { "dot good" } else { "dot bad" }) aria-hidden="true" {}
                (slot.role) ", " (slot.health)
            }
            div.instances {
                @if slot.instances.is_empty() { p.quiet { "no instance" } }
                @for (index, instance) in slot.instances.iter().enumerate() {
                    @if index > 0 { (passage(&free)) }
                    (self::instance(instance, slot, wanted))
                }
                @if slot.instances.len() < 2 && !free.is_empty() { (passage(&free)) }
            }
            @if slot.rejected { p.bad { "the desired image failed here" } }
        }
    }
}

/// The way between two instances, with the volumes that are at neither.
fn passage(free: &[&Volume]) -> Markup {
    html! {
        div.passage {
            span.arrow aria-hidden="true" { "↓" }
            @for volume in free { (self::volume(volume)) }
        }
    }
}

fn instance(instance: &Instance, slot: &Slot, wanted: &str) -> Markup {
    let is_old = instance.part == "old" || instance.image != wanted;
    let class = match (is_old, instance.part) {
        (true, _) => "instance old",
        (false, "new") => "instance new",
        (false, _) => "instance",
    };
    let word = match instance.part {
        "old" => "old ",
        "new" => "new ",
        _ => "",
    };
    html! {
        div class=(class) {
            p { @if !word.is_empty() { strong { (word) } } code { (instance.id) } }
            p { code { (instance.image) } }
            p.quiet { (instance.state) @if instance.retired { ", retired" } }
            @for volume in slot.volumes.iter().filter(|volume| volume.instance.as_deref() == Some(&*instance.id)) {
                (self::volume(volume))
            }
            @if let Some(address) = slot.address.as_ref().filter(|_| instance.has_address) {
                span.chip.address { span.quiet { "address " } (address) }
            }
        }
    }
}

fn volume(volume: &Volume) -> Markup {
    let phase = volume.phase.as_deref().unwrap_or(&volume.place);
    let class = if phase == "attached" { "chip" } else { "chip moving" };
    html! {
        span class=(class) {
            span.quiet { (volume.name) " " }
            @if let Some(id) = &volume.id { code { (id) } }
            span.quiet { " " (phase) }
        }
    }
}

fn steps(cluster: &Cluster) -> Markup {
    let slot = cluster.slots.iter().find(|slot| slot.claimed).map(|slot| slot.slot.as_str());
    html! {
        section aria-labelledby="steps" {
            h2 #steps { "Replacement" @if let Some(slot) = slot { " of " (slot) } }
            ol.steps { @for step in &cluster.steps { (self::step(step)) } }
        }
    }
}

fn step(step: &Step) -> Markup {
    let (class, word) = match step.state {
        StepState::Done => ("done", "done"),
        StepState::Now => ("now", "now"),
        StepState::ToCome => ("to-come", "to come"),
    };
    html! {
        li class=(class) aria-current=[(step.state == StepState::Now).then_some("step")] {
            span.what { (step.action) span.unseen { ", " (word) } }
            @if step.member_down { span.down { "member down" } }
            span.quiet.times {
                @if let Some(took) = step.took_seconds { (parts::span(took)) " · " }
                "about " (parts::span(step.forecast_seconds))
            }
        }
    }
}

fn to_come(plan: &Plan) -> Markup {
    html! {
        section aria-labelledby="to-come" {
            h2 #to-come { "To come" }
            ol.plain.to-come {
                @for slot in &plan.slots {
                    li {
                        strong { (slot.slot) }
                        span.quiet {
                            " about " (parts::span(slot.takes_seconds))
                            @if slot.member_down_seconds > 0 {
                                ", its member down for about " (parts::span(slot.member_down_seconds))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn gates(explanation: &Explanation) -> Markup {
    let (open, closed): (Vec<_>, Vec<_>) = explanation.gates.iter().partition(|gate| gate.open);
    html! {
        section aria-labelledby="gates" {
            h2 #gates { "Gates" @if let Some(slot) = &explanation.slot { " before " (slot) } }
            p.quiet { (explanation.why_this_slot) }
            @if !closed.is_empty() { ul.gates { @for gate in closed { (self::gate(gate)) } } }
            details #open-gates {
                summary { (open.len()) " of " (explanation.gates.len()) " gates are open" }
                ul.gates { @for gate in open { (self::gate(gate)) } }
            }
        }
    }
}

fn gate(gate: &Gate) -> Markup {
    let (class, mark, word) = if gate.open { ("open", "✓", "open") } else { ("closed", "✗", "closed") };
    html! {
        li class=(class) {
            span.mark aria-hidden="true" { (mark) } span.unseen { (word) ": " }
            span.name { (gate.gate) }
            span.value { (gate.value) span.quiet { "; wants " (gate.wants) } }
        }
    }
}

fn events(events: &[Record], today: &str) -> Markup {
    html! {
        section aria-labelledby="events" {
            h2 #events { "Events" }
            @if events.is_empty() { p.quiet { "Nothing is remembered." } }
            ol.plain.events {
                @for event in events {
                    li {
                        (parts::instant(&clock(event.at), today))
                        span.kind { (event.what.kind()) }
                        span { (event.words()) }
                    }
                }
            }
        }
    }
}

fn history(rollouts: &[Rollout], today: &str) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 #history { "History" }
            @for rollout in rollouts.iter().rev().take(MOST_ROLLOUTS) { (self::rollout(rollout, today)) }
        }
    }
}

/// One rollout in a line, and below it what there is to know, once somebody wants to.
fn rollout(rollout: &Rollout, today: &str) -> Markup {
    let class = match rollout.outcome {
        Outcome::TakenBack | Outcome::Stalled => "bad",
        Outcome::Blocked => "so-so",
        Outcome::Settled | Outcome::Superseded | Outcome::UnderWay => "quiet",
    };
    let picture = format!("/api/v1/clusters/{}/history/{}/picture", rollout.cluster, rollout.id);
    html! {
        details.rollout id={ "rollout-" (rollout.id) } {
            summary {
                (parts::instant(&clock(rollout.started), today))
                " " code { (rollout.what()) } " "
                span class=(class) { (rollout.outcome) }
                @if let Some(took) = rollout.took() { span.quiet { " after " (took) } }
            }
            @for trouble in rollout.troubles() { p.bad { (trouble) } }
            @if let Some(down) = rollout.down() { p.quiet { "Members were down: " (down) } }
            @if let Some(approval) = &rollout.approval { p.quiet { "Approved: " code { (approval) } } }
            a href=(picture) {
                img.picture src=(picture) loading="lazy" alt={ "The time line of this rollout, " (rollout.what()) };
            }
        }
    }
}
