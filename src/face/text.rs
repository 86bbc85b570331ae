//! Answers as text, for a person at a terminal: what commands write, and what only the daemon knows beside it.

use std::fmt::Write as _;

use crate::ids::ClusterName;

use super::document::{BrokenFile, Daemon, Lease, Summary};
use super::report::Report;
use super::state::Cluster;
use super::{Documents, Face};

impl Face {
    /// Writes a screen for each cluster, those that need a person first.
    pub(super) fn fleet_text(&self) -> String {
        self.report(|report| {
            let fleet = report.fleet();
            let known = |summary: &Summary| report.state.clusters.get(&ClusterName::from(&*summary.cluster));
            let screens = fleet.clusters.iter().filter_map(|summary| Some(self.screen(known(summary)?, summary)));
            let parts: Vec<_> =
                [of_daemon(&fleet.daemon, None)].into_iter().filter(|text| !text.is_empty()).chain(screens).collect();
            parts.join("\n")
        })
    }

    /// Writes the screen of one cluster, below what holds for every one; none if there is no such cluster.
    pub(super) fn cluster_text(&self, name: &str) -> Option<String> {
        self.report(|report| {
            let cluster = report.state.clusters.get(&ClusterName::from(name))?;
            let screen = self.screen(cluster, &report.summary(cluster));
            Some(of_daemon(&report.daemon(), Some(name)) + &screen)
        })
    }

    fn screen(&self, cluster: &Cluster, summary: &Summary) -> String {
        let Documents { status_text, .. } = self.about.documents;
        let mut screen = match &cluster.pass {
            Some(pass) => status_text(&pass.status),
            None => format!("{}: not looked at yet\n", summary.cluster),
        };
        screen.extend(summary.remarks.iter().map(|remark| format!("  daemon: {remark}\n")));
        screen
    }
}

/// Writes what holds for every cluster, each fact in a line; of broken files only that of one cluster, if one is named.
fn of_daemon(daemon: &Daemon, cluster: Option<&str>) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        let _ = writeln!(text, "daemon: {words}");
    };
    match daemon.lease {
        Lease::Awaited => line("another controller holds the lease, or nobody answers: nothing is looked after"),
        Lease::Lost => line("the lease is lost: nothing more is begun until it is held again"),
        Lease::NotUsed | Lease::Held => {}
    }
    if let Some(trouble) = daemon.repository.as_ref().and_then(|repository| repository.standing.trouble.as_ref()) {
        line(&format!("no newer revision: {trouble}"));
    }
    if let Some(why) = &daemon.stopped {
        line(&format!("every change is stopped: {why}"));
    }
    if daemon.observe_only {
        line("it only observes: nothing is done");
    }
    let is_told = |file: &&BrokenFile| cluster.is_none() || file.cluster.as_deref() == cluster;
    for file in daemon.files.broken.iter().filter(is_told) {
        line(&format!("{} cannot be used", file.path));
        for problem in &file.problems {
            line(&format!("  line {}: {}", problem.line.unwrap_or(1), problem.message));
        }
    }
    text
}

impl Report<'_> {
    /// Writes what the daemon knows about one cluster beside its gates.
    pub fn beside_gates(&self, cluster: &Cluster) -> String {
        let summary = self.summary(cluster);
        let mut text = of_daemon(&self.daemon(), Some(&summary.cluster));
        text.extend(summary.remarks.iter().map(|remark| format!("daemon: {remark}\n")));
        text
    }
}
