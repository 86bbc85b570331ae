//! The report of a rehearsal: how each part ended, what it cost, and what speaks against the image.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::controller::converge::Conclusion;
use crate::ids::{ClusterName, ImageId, SlotName};
use crate::time::Human;

use super::clients::Log;
use super::{Budget, Rehearsal};

/// The report of a rehearsal. Times are in seconds of the cloud's clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub cluster: ClusterName,
    /// The copy's name.
    pub copy: ClusterName,
    pub from: ImageId,
    pub to: ImageId,
    /// The differences from the cluster that somebody wanted, e.g. `instance type m7i.large → t3.small`.
    pub changed: Vec<String>,
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Everything that speaks against the image.
    pub findings: Vec<String>,
    pub create_seconds: f64,
    pub roll_seconds: f64,
    pub destroy_seconds: f64,
    /// The longest that each member was down during the rollout.
    pub member_down_seconds: BTreeMap<SlotName, f64>,
    /// The longest that nothing could be written during it.
    pub longest_write_stall_seconds: f64,
    pub writes_acknowledged: usize,
    pub writes_lost: usize,
    /// Nothing was written, because this kind of application keeps no canaries.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_canaries: bool,
}

/// The judgement on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing speaks against the image.
    Passed,
    /// Something speaks against the image.
    Failed,
    /// The rehearsal was told to stop, so nothing is proven.
    Interrupted,
}

/// As two fields of the report that programs read: `passed` and `brokenOff`.
impl Serialize for Judgement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(2))?;
        fields.serialize_entry("passed", &(*self == Self::Passed))?;
        fields.serialize_entry("brokenOff", &(*self == Self::Interrupted))?;
        fields.end()
    }
}

impl Report {
    pub(crate) fn of(rehearsal: &Rehearsal) -> Self {
        Self {
            cluster: rehearsal.original.clone(),
            copy: rehearsal.copy.name.clone(),
            from: rehearsal.from.clone(),
            to: rehearsal.copy.image.clone(),
            changed: rehearsal.changed.clone(),
            judgement: Judgement::Passed,
            findings: Vec::new(),
            create_seconds: 0.0,
            roll_seconds: 0.0,
            destroy_seconds: 0.0,
            member_down_seconds: BTreeMap::new(),
            longest_write_stall_seconds: 0.0,
            writes_acknowledged: 0,
            writes_lost: 0,
            without_canaries: false,
        }
    }

    /// Adds a finding against the image.
    pub(super) fn finds(&mut self, finding: String) {
        if self.judgement == Judgement::Passed {
            self.judgement = Judgement::Failed;
        }
        self.findings.push(finding);
    }

    /// Adds how a part of the rehearsal ended; `failure` says what it means that it did not reach its end.
    pub(super) fn concludes(&mut self, failure: &str, conclusion: &Conclusion) {
        match conclusion {
            Conclusion::Reached => {}
            Conclusion::Stuck(plan) => self.finds(format!("{failure}: {plan}")),
            Conclusion::OutOfTime(plan) => self.finds(format!("{failure} in time; at the end: {plan}")),
            Conclusion::Interrupted => {
                self.judgement = Judgement::Interrupted;
                self.finds(format!("{failure}: broken off"));
            }
        }
    }

    /// Adds what clients and members went through, and judges it.
    pub(super) fn judges(&mut self, log: &Log, downs: &BTreeMap<SlotName, Duration>, budget: &Budget) {
        self.member_down_seconds = downs.iter().map(|(slot, down)| (slot.clone(), down.as_secs_f64())).collect();
        self.longest_write_stall_seconds = log.longest_stall.as_secs_f64();
        self.writes_acknowledged = log.written.len();
        self.writes_lost = log.lost.len();
        log.finding.iter().for_each(|finding| self.finds(finding.clone()));
        if let Some(after) = log.lost.values().next() {
            let (lost, all) = (self.writes_lost, self.writes_acknowledged);
            self.finds(format!("{lost} of {all} acknowledged writes were missing, first after {after}"));
        }
        let over = |limit: Option<Duration>, took: Duration| limit.filter(|limit| took > *limit);
        for (slot, down) in downs {
            if let Some(limit) = over(budget.member_down, *down) {
                self.finds(format!("{slot} was down for {}, and may be for {}", Human(*down), Human(limit)));
            }
        }
        if self.without_canaries && budget.write_stall.is_some() {
            self.finds(
                "how long nothing can be written is not known, because this application keeps no canaries".into(),
            );
        }
        if let Some(limit) = over(budget.write_stall, log.longest_stall) {
            let took = Human(log.longest_stall);
            self.finds(format!("nothing could be written for {took}, and that may take {}", Human(limit)));
        }
    }

    fn verdict(&self) -> &'static str {
        match self.judgement {
            Judgement::Passed => "passed",
            Judgement::Failed => "failed",
            Judgement::Interrupted => "broken off",
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let span = |seconds: f64| Human(Duration::from_secs_f64(seconds)).to_string();
        let downs = self.member_down_seconds.iter().map(|(slot, down)| format!("{slot} {}", span(*down)));
        let changed = (!self.changed.is_empty()).then(|| ("changed", self.changed.join("; ")));
        let rows = [
            ("creation", span(self.create_seconds)),
            ("rollout", span(self.roll_seconds)),
            ("end", span(self.destroy_seconds)),
            ("member down", downs.collect::<Vec<_>>().join(", ")),
        ];
        let writes = if self.without_canaries {
            vec![("writes", "none, because this application keeps no canaries".to_owned())]
        } else {
            vec![
                ("writes", format!("{} acknowledged, {} lost", self.writes_acknowledged, self.writes_lost)),
                ("write stall", span(self.longest_write_stall_seconds)),
            ]
        };
        changed.into_iter().chain(rows).chain(writes).collect()
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        let Self { cluster, from, to, copy, .. } = self;
        let mut text = format!("rehearsal of {cluster}, {from} → {to}: {}\n", self.verdict());
        for (name, value) in self.rows() {
            let _ = writeln!(text, "  {name:12} {value}");
        }
        let _ = writeln!(text, "  {:12} {copy}", "copy");
        for finding in &self.findings {
            let _ = writeln!(text, "  ✗ {finding}");
        }
        text
    }

    /// The report for a comment on a pull request. The marker in the first line names the comment that this one replaces.
    pub fn markdown(&self) -> String {
        let Self { cluster, from, to, .. } = self;
        let mut text = format!("<!-- hermitcrab:rehearsal:{cluster} -->\n");
        let _ = writeln!(text, "### Rehearsal of `{cluster}` {}\n\n`{from}` → `{to}`\n", self.verdict());
        for finding in &self.findings {
            let _ = writeln!(text, "- ✗ {finding}");
        }
        text.push_str("\n| | |\n|---|---|\n");
        for (name, value) in self.rows() {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text
    }
}
