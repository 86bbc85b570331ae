//! One rollout's figures, taken from what is so in the world, whoever carries the rollout out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hermitcrab::ids::{ImageId, SlotName};
use hermitcrab::sim::{FaultLevel, Payload, UpDown, What, World};
use hermitcrab::simulate;
use hermitcrab::spec::load::load;
use hermitcrab::spec::{ClusterSpec, quorum};

const FILE: &str = "tests/fixtures/consul-addresses.yaml";
const NEW_IMAGE: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A settled cluster, and the image that it is to be brought to.
pub struct Scene {
    pub world: World,
    /// The cluster as it is committed: with the new image.
    pub spec: ClusterSpec,
    pub seed: u64,
    term: u64,
    begun: f64,
}

impl Scene {
    /// Makes a world with a cluster that has been running for a while.
    pub fn new(addresses: bool, seed: u64) -> Self {
        let mut from = load(&[PathBuf::from(FILE)]).specs().next().expect("a file of the repository").1.clone();
        if !addresses {
            from.slots.iter_mut().for_each(|slot| slot.address = None);
        }
        let world = World::new(seed, FaultLevel::None);
        world.settle(&from);
        let image = ImageId::from(NEW_IMAGE);
        world.register_image(&image, Payload::Good { version: simulate::version(&from) });
        let spec = ClusterSpec { image, ..from };
        let (term, begun) = (world.term(&spec.name), world.seconds());
        Self { world, spec, seed, term, begun }
    }

    /// Sums up the rollout, which has just come to its end.
    pub fn end(&self) -> Run {
        let slots: BTreeSet<_> = self.spec.slots.iter().map(|slot| slot.name.clone()).collect();
        Run {
            down: self.world.member_down_seconds(&self.spec.name).into_values().collect(),
            total: self.world.seconds() - self.begun,
            elections: self.world.term(&self.spec.name) - self.term,
            without_quorum: without_quorum(&self.world, slots),
        }
    }
}

/// Sums up the time in which fewer than a quorum of the declared members were healthy voters.
fn without_quorum(world: &World, mut up: BTreeSet<SlotName>) -> f64 {
    let needed = quorum(up.len());
    let (mut lost_at, mut sum) = (None, 0.0);
    for event in world.drain_events() {
        let What::Member { slot, state, .. } = event.what else { continue };
        match state {
            UpDown::Up => up.insert(slot),
            UpDown::Down => up.remove(&slot),
        };
        match (up.len() < needed, lost_at) {
            (true, None) => lost_at = Some(event.t),
            (false, Some(since)) => {
                sum += event.t - since;
                lost_at = None;
            }
            _ => {}
        }
    }
    sum + lost_at.map_or(0.0, |since| world.seconds() - since)
}

/// The figures of one rollout.
pub struct Run {
    /// For each member, the seconds in which it was no healthy voter.
    down: Vec<f64>,
    total: f64,
    /// Elections and hand-overs of leadership.
    elections: u64,
    /// The seconds without a quorum of healthy voters.
    without_quorum: f64,
}

/// The figures of many rollouts.
#[derive(Clone)]
pub struct Summary {
    median_down: f64,
    p99_down: f64,
    total: f64,
    elections: f64,
    /// The number of rollouts in which quorum was lost, and for how long together.
    lost: usize,
    without_quorum: f64,
}

impl Summary {
    pub const HEADING: &str = "    down, median       down, p99           total  elections  quorum lost in";

    pub fn of(runs: Vec<Run>) -> Self {
        let number = runs.len() as f64;
        let mut down: Vec<f64> = runs.iter().flat_map(|run| run.down.iter().copied()).collect();
        down.sort_by(f64::total_cmp);
        let at = |part: f64| down[((down.len() - 1) as f64 * part).round() as usize];
        Self {
            median_down: at(0.5),
            p99_down: at(0.99),
            total: runs.iter().map(|run| run.total).sum::<f64>() / number,
            elections: runs.iter().map(|run| run.elections as f64).sum::<f64>() / number,
            lost: runs.iter().filter(|run| run.without_quorum > 0.0).count(),
            without_quorum: runs.iter().map(|run| run.without_quorum).sum(),
        }
    }

    /// Words the figures, times with their ratios to another's.
    pub fn beside(&self, other: &Self) -> String {
        let Self { median_down, p99_down, total, elections, lost, without_quorum } = self;
        let times = |own: f64, others: f64| format!("{own:.0} s ({:.1}×)", own / others);
        format!(
            "{:>16}{:>16}{:>16}{elections:>11.1}  {lost} rollouts, {without_quorum:.0} s",
            times(*median_down, other.median_down),
            times(*p99_down, other.p99_down),
            times(*total, other.total),
        )
    }
}
