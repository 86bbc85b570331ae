//! The page: the documents as HTML, complete without a script, and kept up to date by one of our own where scripts run.
//!
//! Nothing is loaded from elsewhere, no style stands in an attribute, and there is nothing to press that changes anything.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::input::text;
use crate::revision::short;

use super::document::{BrokenFile, Daemon, Lease, Repository};

mod cluster;
mod fleet;
mod parts;

pub use cluster::{MOST_EVENTS, Past, cluster};
pub use fleet::fleet;

/// The style of the page.
pub const STYLE: &str = include_str!("page/style.css");
/// The script that keeps the page up to date.
pub const SCRIPT: &str = include_str!("page/live.js");
/// The picture in the browser's tab.
pub const ICON: &str = include_str!("page/icon.svg");

/// One page: its title, the stream that tells of its changes, and its content.
struct Page<'p> {
    title: &'p str,
    stream: &'p str,
    /// The news in a sentence, for those who listen to the page.
    headline: &'p str,
    daemon: &'p Daemon,
    /// The only cluster whose broken file is told; all where there is none.
    cluster: Option<&'p str>,
    content: Markup,
}

impl Page<'_> {
    fn write(self) -> String {
        let Self { title, stream, headline, daemon, cluster, content } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                    noscript { meta http-equiv="refresh" content="10"; }
                    script src="/live.js" defer {}
                }
                body data-stream=(stream) {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/" { (PreEscaped(ICON)) span { "hermitcrab" } }
                        p.quiet { (about(daemon)) }
                    }
                    p #lost hidden { "The daemon does not answer: this page shows what was so before." }
                    p #news .unseen role="status" {}
                    main #main tabindex="-1" data-headline=(headline) {
                        (notices(daemon, cluster))
                        (content)
                    }
                    footer.quiet {
                        "Nothing can be changed here: what is committed is what runs. "
                        a href="/api/v1/openapi.json" { "Interface" } " · " a href="/metrics" { "Metrics" }
                    }
                }
            }
        };
        // Marks that steer instead of showing are written as their codes, wherever they come from.
        page.into_string().split('\n').map(text::clean).collect::<Vec<_>>().join("\n")
    }
}

/// A page that says that there is nothing.
pub fn missing(daemon: &Daemon, detail: &str) -> String {
    let content = html! {
        h1 { "There is nothing here" }
        p { (detail) }
        p { a href="/" { "All clusters" } }
    };
    Page { title: "Nothing here – hermitcrab", stream: "", headline: "", daemon, cluster: None, content }.write()
}

fn about(daemon: &Daemon) -> Markup {
    html! {
        "version " (daemon.version)
        @if let Some(source) = &daemon.source { " · watches " code { (source) } }
        @if let Some(revision) = daemon.repository.as_ref().and_then(|it| it.standing.revision.as_ref()) {
            " · revision " code title=(revision.id) { (revision.short()) }
            " of " (revision.reference) ", by " (revision.author) ": " (revision.subject)
            @if let Some(signer) = &revision.verified_by { ", signed by " (signer) }
        }
        @if daemon.lease == Lease::Held { " · holds the lease" }
    }
}

/// Whatever the daemon knows that holds for every cluster.
fn notices(daemon: &Daemon, cluster: Option<&str>) -> Markup {
    let is_told = |file: &&BrokenFile| cluster.is_none() || file.cluster.as_deref() == cluster;
    let lease = match daemon.lease {
        Lease::Awaited => Some("Another controller holds the lease, or nobody answers: this one looks after nothing."),
        Lease::Lost => Some("The lease is lost: nothing more is begun until it is held again."),
        Lease::NotUsed | Lease::Held => None,
    };
    html! {
        @if let Some(lease) = lease { p.notice.bad { (lease) } }
        @if let Some(why) = &daemon.stopped { p.notice.bad { strong { "Every change is stopped: " } (why) } }
        @if daemon.observe_only { p.notice { strong { "Observe mode: " } "the daemon plans, and changes nothing." } }
        @if let Some(repository) = &daemon.repository { (source(repository)) }
        @for file in daemon.files.broken.iter().filter(is_told) { (broken(file)) }
    }
}

/// Whatever is odd about the repository.
fn source(repository: &Repository) -> Markup {
    let standing = &repository.standing;
    html! {
        @if let Some(trouble) = &standing.trouble {
            p.notice.bad {
                strong { "No newer revision: " } (trouble) ". "
                @if standing.revision.is_some() { "The last good one stays in force." } @else { "There is none to go by." }
            }
        }
        @if let Some(before) = &standing.rewritten_from {
            p.notice {
                strong { "The branch was rewritten: " }
                "the revision in force does not descend from " code title=(before) { (short(before)) } ", which was in force before."
            }
        }
    }
}

fn broken(file: &BrokenFile) -> Markup {
    html! {
        section.notice.bad aria-label="A broken file" {
            p {
                strong { code { (file.path) } " cannot be used. " }
                @match &file.cluster {
                    Some(cluster) => { "The last good version of " (parts::link(cluster)) " stays in force." }
                    None => { "There is no good version to go by." }
                }
            }
            ul.plain {
                @for problem in &file.problems {
                    li {
                        @if let Some(line) = problem.line { span.mono { "line " (line) ": " } }
                        (problem.message)
                        @if let Some(hint) = &problem.hint { span.quiet { " – " (hint) } }
                    }
                }
            }
        }
    }
}
