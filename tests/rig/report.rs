//! The state that a rollout must leave behind, and the costs of the rollout.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::cluster::{Rig, Seat};
use crate::ec2::PERSON;
use crate::history::{self, History};

/// The state before a rollout.
pub struct Before {
    pub seats: BTreeMap<String, Seat>,
    pub elections: usize,
    pub leader: Option<String>,
    at: Instant,
    downs: usize,
    calls: usize,
}

impl Rig {
    pub fn before(&self) -> Before {
        Before {
            seats: self.seats(),
            elections: self.hypervisor.elections(),
            leader: self.hypervisor.leader(),
            at: Instant::now(),
            downs: self.truth.downs().len(),
            calls: self.proxy.calls().len(),
        }
    }

    /// How often controllers changed what, so far.
    pub fn effects(&self) -> BTreeMap<String, u32> {
        let mut effects = BTreeMap::new();
        for call in self.proxy.calls().into_iter().filter(|call| call.effect && call.who != PERSON) {
            *effects.entry(call.action).or_default() += 1;
        }
        effects
    }

    /// Every slot runs this image, with the volume, the member and the fixed address that it had.
    pub fn all_moved_to(&self, image: &str, before: &Before) {
        for (slot, was) in &before.seats {
            let is = self.seats().remove(slot).unwrap_or_else(|| panic!("{slot} has no volume"));
            assert_eq!((&is.volume, &is.member), (&was.volume, &was.member), "volume and member of {slot}");
            assert_eq!(is.fixed, was.fixed, "fixed address of {slot}");
            assert_eq!(is.image, image, "image of {slot}");
        }
    }

    /// Checks that of those who were stopped only the last one led. Without fixed addresses leadership moves once, when that
    /// one is stopped. With them, each member that comes back may hold an election.
    pub fn leader_went_last(&self, before: &Before) {
        let elections = self.hypervisor.elections() - before.elections;
        assert!(self.has_addresses() || elections <= 1, "{elections} elections");
        let mut downs = self.truth.downs().split_off(before.downs);
        downs.pop();
        assert!(downs.iter().all(|down| !down.led), "a leader was stopped before the others: {downs:?}");
    }

    /// Checks what clients saw, and tells what it all cost.
    pub fn account_for(&self, before: &Before, history: &History) {
        let wrong = history::check(history);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        print!("{}", self.table(before, history));
    }

    fn table(&self, before: &Before, history: &History) -> String {
        let total = before.at.elapsed();
        let mut table = format!("\n{}\n", self.title);
        let downs = self.truth.downs().split_off(before.downs);
        let down = downs.iter().map(|down| format!("{} {:.1} s", down.slot, down.lasted().as_secs_f64()));
        let _ = writeln!(table, "  member down    {}", down.collect::<Vec<_>>().join(", "));
        let (known, unknown) = history::writes(history);
        let stall = history::longest_stall(history).as_secs_f64();
        let _ = writeln!(
            table,
            "  writes         {known} acknowledged, {unknown} unknown, none lost; longest stall {stall:.1} s"
        );
        let _ = writeln!(table, "  elections      {}", self.hypervisor.elections() - before.elections);
        for (kind, mutating) in [("changes", true), ("looks", false)] {
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            let calls = self.proxy.calls().split_off(before.calls);
            for call in calls.iter().filter(|call| call.mutating == mutating && call.who != PERSON) {
                *counts.entry(call.action.clone()).or_default() += 1;
            }
            let counts: Vec<String> = counts.into_iter().map(|(action, count)| format!("{action} {count}")).collect();
            let _ = writeln!(table, "  {kind:<14} {}", counts.join(", "));
        }
        let waits = self.unavoidable(&downs.iter().map(|down| down.lasted()).collect::<Vec<_>>());
        let (total, waits) = (total.as_secs_f64(), waits.as_secs_f64());
        let _ = writeln!(table, "  total          {total:.0} s, of which EC2 and the members took {waits:.0} s");
        table
    }

    /// Launch and checks of each replacement, and the time until its member was back.
    fn unavoidable(&self, downs: &[Duration]) -> Duration {
        let delays = self.proxy.world.borrow().delays;
        downs.iter().map(|down| delays.launch + delays.checks + *down).sum()
    }
}
