//! The page of the fleet: one table, one row a cluster, those that need a person first.

use maud::{Markup, html};

use crate::face::document::{Fleet, Summary};
use crate::status::Attention;

use super::{Page, parts};

/// The most rows of the table. The most urgent come first, so what is left out needs nobody.
const MOST_ROWS: usize = 500;

/// Writes the page.
pub fn fleet(fleet: &Fleet) -> String {
    let counts = counts(&fleet.clusters);
    let content = html! {
        h1 { "Clusters" }
        p.counts { (counts) }
        @if fleet.clusters.is_empty() {
            p.quiet { "No file declares a cluster yet." }
        } @else {
            (table(&fleet.clusters))
        }
    };
    let (title, stream) = ("Clusters – hermitcrab", "/api/v1/stream");
    Page { title, stream, headline: &counts, daemon: &fleet.daemon, cluster: None, content }.write()
}

/// Sums the fleet up, e.g. `5 clusters: 1 stalled, 1 under way, 3 settled`.
fn counts(clusters: &[Summary]) -> String {
    let count = |(attention, word): (Attention, &str)| {
        let count = clusters.iter().filter(|cluster| cluster.attention == attention).count();
        (count > 0).then(|| format!("{count} {word}"))
    };
    let words = [
        (Attention::Stalled, "stalled"),
        (Attention::NoQuorum, "without a quorum"),
        (Attention::NotSeen, "not seen"),
        (Attention::NeedsPerson, "waiting for a person"),
        (Attention::Blocked, "blocked"),
        (Attention::UnderWay, "under way"),
        (Attention::Settled, "settled"),
    ];
    let parts: Vec<_> = words.into_iter().filter_map(count).collect();
    let noun = if clusters.len() == 1 { "cluster" } else { "clusters" };
    if parts.is_empty() { "no clusters".to_owned() } else { format!("{} {noun}: {}", clusters.len(), parts.join(", ")) }
}

fn table(clusters: &[Summary]) -> Markup {
    html! {
        // The roles are said, because the narrow layout would take them away.
        table.fleet role="table" {
            caption.unseen { "Every cluster, those that need a person first" }
            thead role="rowgroup" {
                tr role="row" {
                    @for head in ["Cluster", "State", "Image", "Slots", "Quorum", "Since", "Seen"] {
                        th scope="col" role="columnheader" { (head) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for cluster in clusters.iter().take(MOST_ROWS) { (row(cluster)) }
            }
        }
        @if clusters.len() > MOST_ROWS {
            p.quiet { "and " (clusters.len() - MOST_ROWS) " more, which are less urgent: the interface lists them" }
        }
    }
}

fn row(cluster: &Summary) -> Markup {
    let is_quiet = cluster.attention == Attention::Settled && cluster.remarks.is_empty();
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                (parts::link(&cluster.cluster))
                span.quiet.block { (cluster.application) @if !cluster.environment.is_empty() { " · " (cluster.environment) } }
            }
            td role="cell" data-label="State" {
                (parts::badge(cluster))
                @if !is_quiet { span.answer { (cluster.answer) } }
                @for remark in &cluster.remarks { span.answer { (remark) } }
            }
            td role="cell" data-label="Image" { (parts::images(cluster)) }
            td role="cell" data-label="Slots" {
                (cluster.slots.current) " of " (cluster.slots.declared)
                @if let Some(step) = &cluster.step { (parts::step(step)) }
            }
            td role="cell" data-label="Quorum" { (parts::margin(&cluster.quorum)) }
            td role="cell" data-label="Since" {
                (parts::age(cluster.since_seconds))
            }
            td role="cell" data-label="Seen" { (parts::age(cluster.age_seconds)) }
        }
    }
}
