//! Pairs: each call of a case meets with an accident, and soon after something else happens that nobody expects either. What
//! people did, they undo half an hour later, and then the end must be a lawful one.

use std::collections::BTreeMap;
use std::time::Duration;

use hermitcrab::ids::{ImageId, VolumeId};
use hermitcrab::ports::ErrorKind;
use hermitcrab::sim::{Accident, CrashPoint, Look, World};
use hermitcrab::simulate::{Ending, Simulation, lawful};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::after;

use super::case::{Case, THIRD, Transcript};
use super::{HEALED, RECREATED, ROLLED_BACK, SURGE};

/// The time after which people undo what they did.
const LATER: Duration = Duration::from_secs(30 * 60);

/// The first accident: of one call, or of every call of its kind from then on until people have seen to it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    Once(Accident),
    Ever(ErrorKind),
}

/// The second event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Second {
    Nothing,
    ThirdImage,
    FirstImage,
    AnotherController,
    LossOfAnother,
    StopOfAnother,
    OldSweeps,
    CopiedVolume,
}

const KINDS: [ErrorKind; 8] = [
    ErrorKind::Throttled,
    ErrorKind::Denied,
    ErrorKind::NoCapacity,
    ErrorKind::NotFound,
    ErrorKind::Invalid,
    ErrorKind::TokenSpent,
    ErrorKind::Unreachable,
    ErrorKind::Unknown,
];
const SECONDS: [Second; 8] = [
    Second::Nothing,
    Second::ThirdImage,
    Second::FirstImage,
    Second::AnotherController,
    Second::LossOfAnother,
    Second::StopOfAnother,
    Second::OldSweeps,
    Second::CopiedVolume,
];

fn firsts() -> Vec<First> {
    let once = [
        Accident::Crash(CrashPoint::AfterEffect),
        Accident::AnswerLost,
        Accident::Twice,
        Accident::Pause(Duration::from_secs(90)),
        Accident::StaleLook(Duration::from_secs(15)),
    ];
    let refused = KINDS.into_iter().map(Accident::Refused);
    once.into_iter().chain(refused).map(First::Once).chain(KINDS.into_iter().map(First::Ever)).collect()
}

/// One run: a call, its accident, and what happens then.
#[derive(Debug)]
struct Pair<'e> {
    case: Case,
    call: u64,
    first: First,
    second: Second,
    /// The effect that the call has where nothing goes wrong, e.g. `attach`.
    effect: &'e str,
}

/// The number of times that each pair of accidents was met, by effect.
type Coverage = BTreeMap<String, BTreeMap<String, usize>>;

impl Pair<'_> {
    /// Runs to the end. Says what is wrong with it, if anything is.
    fn run(&self) -> Option<String> {
        let (world, mut simulation) = self.case.begin();
        world.remember_answers();
        let mut transcript = Transcript::default();
        let soon = after(world.time(), Duration::from_secs(4 * 3_600));
        if let First::Once(accident) = self.first {
            world.arrange(self.call, accident);
        }
        let before = self.call - u64::from(matches!(self.first, First::Ever(_)));
        simulation.run_until(soon, &mut |line| transcript.hear(line), &mut || world.sent() >= before);
        if let First::Ever(kind) = self.first {
            world.refuse(Some(self.effect), kind, None, None);
            let limit = after(world.time(), Duration::from_secs(120));
            simulation.run_until(limit, &mut |line| transcript.hear(line), &mut || false);
        }
        let from = simulation.committed();
        let copy = self.second.happen(&world, &mut simulation, &self.case);
        let limit = after(world.time(), LATER);
        simulation.run_until(limit, &mut |line| transcript.hear(line), &mut || false);
        world.allow_everything();
        self.second.undo(&world, &from);
        copy.iter().for_each(|copy| world.discard_copy(copy));
        let run = self.case.finish(&world, &mut simulation, transcript);
        let unlawful = match &run.came.ending {
            ending @ (Ending::Violated | Ending::Unsettled) => Some(ending.to_string()),
            ending => lawful::objection(ending, &simulation.committed(), &world),
        };
        unlawful.map(|why| format!("{self:?}: {why}\n{}", run.transcript))
    }
}

impl Second {
    /// Lets the event happen. Names the copy of a volume that came of it.
    fn happen(self, world: &World, simulation: &mut Simulation, case: &Case) -> Option<VolumeId> {
        let spec = simulation.committed();
        let other = |number: usize| world.instances_of(&spec.name, &spec.slots[number].name).first().cloned();
        match self {
            Self::Nothing => {}
            Self::ThirdImage => simulation.commit(ClusterSpec { image: ImageId::from(THIRD), ..spec }),
            Self::FirstImage => simulation.commit(case.spec()),
            Self::AnotherController => simulation.join(1),
            Self::LossOfAnother => drop(other(2).map(|id| world.terminate_instance(&id))),
            Self::StopOfAnother => drop(other(2).map(|id| world.stop_instance(&id))),
            Self::OldSweeps => world.make_old(Look::Sweep, Duration::from_secs(15), Duration::from_secs(60)),
            Self::CopiedVolume => return world.copy_volume(world.volumes_of(&spec.name, &spec.slots[1].name).first()?),
        }
        None
    }

    fn undo(self, world: &World, spec: &ClusterSpec) {
        if self == Self::StopOfAnother {
            for id in world.instances_of(&spec.name, &spec.slots[2].name) {
                world.start_instance(&id);
            }
        }
    }
}

/// Runs every `stride`-th pair, and prints what was met.
fn pairs(stride: usize) {
    let (mut coverage, mut wrong, mut runs) = (Coverage::new(), Vec::new(), 0);
    for case in [SURGE, RECREATED, ROLLED_BACK, HEALED] {
        let effects = case.run(|_, _| {}).order;
        let (firsts, mut number) = (firsts(), 0);
        for (call, effect) in (1..).zip(&effects) {
            for first in &firsts {
                for second in SECONDS {
                    number += 1;
                    if number % stride != 0 {
                        continue;
                    }
                    let pair = Pair { case, call, first: *first, second, effect };
                    wrong.extend(pair.run());
                    runs += 1;
                    *coverage
                        .entry(effect.clone())
                        .or_default()
                        .entry(format!("{first:?} × {second:?}"))
                        .or_default() += 1;
                }
            }
        }
    }
    for (effect, met) in &coverage {
        let (cells, all) = (met.len(), firsts().len() * SECONDS.len());
        println!("{effect:20} {cells:4} of {all} cells, {} runs", met.values().sum::<usize>());
    }
    let names: Vec<_> = wrong.iter().map(|problem: &String| problem.lines().next().unwrap_or_default()).collect();
    assert!(wrong.is_empty(), "{}\n\n{} of {runs} pairs:\n{}", wrong[0], wrong.len(), names.join("\n"));
}

#[test]
fn pairs_of_accidents_come_to_a_lawful_end() {
    pairs(199);
}

#[test]
#[ignore = "every call × accident × second event: an hour in a release build"]
fn every_pair_of_accidents_comes_to_a_lawful_end() {
    pairs(1);
}
