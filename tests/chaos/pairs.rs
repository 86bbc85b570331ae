//! Pairs: each call of a case meets with an accident, and soon after something else happens that nobody expects either. What
//! people did, they undo half an hour later, and then the end must be a lawful one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use hermitcrab::ids::{ImageId, VolumeId};
use hermitcrab::ports::ErrorKind;
use hermitcrab::sim::{Accident, CrashPoint, Look, World};
use hermitcrab::simulate::{Ending, Reach, Simulation, lawful};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::after;

use super::case::{Case, Run, THIRD, Transcript};

/// The variable of the environment that names the part of all pairs that is wanted.
const PART: &str = "HERMITCRAB_PAIRS";
/// A stack that has room for the SDK's futures within the controller's.
const STACK: usize = 64 << 20;
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
    /// The next call that changes something is refused.
    RefusedOnce(ErrorKind),
    /// Every call is refused from then on, looks and claims too, until people have seen to it.
    RefusedEver(ErrorKind),
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

fn seconds() -> Vec<Second> {
    let single = [
        Second::Nothing,
        Second::ThirdImage,
        Second::FirstImage,
        Second::AnotherController,
        Second::LossOfAnother,
        Second::StopOfAnother,
        Second::OldSweeps,
        Second::CopiedVolume,
    ];
    let refused = KINDS.into_iter().flat_map(|kind| [Second::RefusedOnce(kind), Second::RefusedEver(kind)]);
    single.into_iter().chain(refused).collect()
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

/// A cell of the table of effects, accidents and second events.
#[derive(Default)]
struct Cell {
    runs: usize,
    /// The runs in which both really happened.
    met: usize,
    /// The reason for which one of them could not.
    why_not: Option<&'static str>,
}

/// The cells, by effect, then by accident and second event.
type Coverage = BTreeMap<String, BTreeMap<String, Cell>>;

impl Pair<'_> {
    /// Says why this accident cannot happen to a call of that kind, if it cannot.
    fn spares(&self) -> Option<&'static str> {
        const WITHOUT_A_LOOK: [&str; 15] = [
            "claim",
            "release",
            "move-claim",
            "mark-stop",
            "turn-back",
            "turn-forward",
            "turned",
            "announce-launch",
            "let-go",
            "forget-launch",
            "transfer-leadership",
            "prepare",
            "move-member",
            "set-pruning",
            "create-again",
        ];
        let is_stale = matches!(self.first, First::Once(Accident::StaleLook(_)));
        (is_stale && WITHOUT_A_LOOK.contains(&self.effect)).then_some("no look of an adapter's comes before the call")
    }

    /// Runs to the end. Says what is wrong with it, if anything is, and why something did not happen.
    fn run(&self, reach: &Reach) -> (Option<String>, Option<&'static str>) {
        let (world, mut simulation) = self.case.begin_by(reach);
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
        let (from, sent) = (simulation.committed(), world.sent());
        let (copy, why_not) = self.second.happen(&world, &mut simulation, &self.case);
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
        let not_met = (run.accidents == 0).then_some("nothing went wrong with the call");
        let is_last = matches!(self.second, Second::RefusedOnce(_)) && run.sent == sent;
        let no_other = is_last.then_some("no call comes after it");
        let why_not = why_not.or_else(|| self.spares()).or(not_met).or(no_other);
        (unlawful.map(|why| format!("{self:?}: {why}\n{}", run.transcript)), why_not)
    }
}

impl Second {
    /// Lets the event happen. Names the copy of a volume that came of it, or says why nothing could.
    fn happen(
        self,
        world: &World,
        simulation: &mut Simulation,
        case: &Case,
    ) -> (Option<VolumeId>, Option<&'static str>) {
        let spec = simulation.committed();
        let other = world.instances_of(&spec.name, &spec.slots[2].name).first().cloned();
        let no_other = other.is_none().then_some("the other slot has no instance then");
        let mut copy = None;
        let why_not = match self {
            Self::Nothing => None,
            Self::ThirdImage => commit(simulation, &spec, ImageId::from(THIRD)),
            Self::FirstImage => commit(simulation, &spec, case.spec().image),
            Self::AnotherController => {
                simulation.join(1);
                None
            }
            Self::LossOfAnother => {
                other.iter().for_each(|id| world.terminate_instance(id));
                no_other
            }
            Self::StopOfAnother => {
                other.iter().for_each(|id| world.stop_instance(id));
                no_other
            }
            Self::OldSweeps => {
                world.make_old(Look::Sweep, Duration::from_secs(15), Duration::from_secs(60));
                None
            }
            Self::CopiedVolume => {
                let volumes = world.volumes_of(&spec.name, &spec.slots[1].name);
                copy = volumes.first().and_then(|volume| world.copy_volume(volume));
                copy.is_none().then_some("the other slot has no volume then")
            }
            Self::RefusedOnce(kind) => {
                world.arrange(world.sent() + 1, Accident::Refused(kind));
                None
            }
            Self::RefusedEver(kind) => {
                world.refuse(None, kind, None, None);
                None
            }
        };
        (copy, why_not)
    }

    fn undo(self, world: &World, spec: &ClusterSpec) {
        if self == Self::StopOfAnother {
            for id in world.instances_of(&spec.name, &spec.slots[2].name) {
                world.start_instance(&id);
            }
        }
    }
}

/// Commits an image. Says why that changes nothing, if it does not.
fn commit(simulation: &Simulation, spec: &ClusterSpec, image: ImageId) -> Option<&'static str> {
    let why_not = (spec.image == image).then_some("that image is committed already");
    simulation.commit(ClusterSpec { image, ..spec.clone() });
    why_not
}

/// One of so many equal parts of all pairs.
#[derive(Clone, Copy)]
pub struct Part {
    /// The number of the part, from 0.
    pub number: usize,
    pub of: usize,
}

impl Part {
    /// Reads the part that is wanted, e.g. `3/19`, from the environment: all pairs, if nothing is said.
    pub fn wanted() -> Self {
        let Ok(words) = std::env::var(PART) else { return Self { number: 0, of: 1 } };
        let parsed = words.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let (number, of): (usize, usize) = parsed.expect("a part, such as 3/19");
        assert!((1..=of).contains(&number), "{number} is none of {of} parts");
        Self { number: number - 1, of }
    }
}

/// Runs one part of all pairs of these cases, on as many threads as there are cores, by controllers that reach the world in
/// this way, and prints what was met.
pub fn come_to_a_lawful_end(cases: &[Case], part: Part, reach: fn() -> Reach) {
    let cases: Vec<_> = cases.iter().map(|case| (*case, case.run_by(&reach(), |_, _| {}))).collect();
    let mut all = Vec::new();
    for (case, Run { order: effects, sent, .. }) in &cases {
        assert_eq!(effects.len() as u64, *sent, "{case:?}: a call has no effect, or several");
        for (call, effect) in (1..).zip(effects) {
            for first in firsts() {
                all.extend(seconds().into_iter().map(|second| Pair { case: *case, call, first, second, effect }));
            }
        }
    }
    let wanted: Vec<_> = all.into_iter().skip(part.number).step_by(part.of).collect();
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // Each world has an endpoint of its own.
    let run = |pair: &Pair| pair.run(&reach());
    let runs =
        |from: usize| wanted.iter().skip(from).step_by(threads).map(|pair| (pair, run(pair))).collect::<Vec<_>>();
    let runs = &runs;
    let found: Vec<_> = thread::scope(|scope| {
        let worker = |from| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || runs(from));
        let workers: Vec<_> = (0..threads).map(|from| worker(from).expect("a thread")).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a pair has panicked")).collect()
    });
    let (mut coverage, mut wrong) = (Coverage::new(), Vec::new());
    for (pair, (found, why_not)) in found {
        wrong.extend(found);
        let cells = coverage.entry(pair.effect.to_owned()).or_default();
        let cell = cells.entry(format!("{:?} × {:?}", pair.first, pair.second)).or_default();
        cell.runs += 1;
        cell.met += usize::from(why_not.is_none());
        cell.why_not = cell.why_not.or(why_not);
    }
    show(&coverage, wanted.len());
    let names: Vec<_> = wrong.iter().map(|problem: &String| problem.lines().next().unwrap_or_default()).collect();
    assert!(wrong.is_empty(), "{}\n\n{} of {} pairs:\n{}", wrong[0], wrong.len(), wanted.len(), names.join("\n"));
}

/// Prints for each effect how many cells were met, and why others were not.
fn show(coverage: &Coverage, runs: usize) {
    let all = firsts().len() * seconds().len();
    println!("{runs} runs");
    for (effect, cells) in coverage {
        let met = cells.values().filter(|cell| cell.met > 0).count();
        let number: usize = cells.values().map(|cell| cell.runs).sum();
        let mut reasons = BTreeMap::<&str, usize>::new();
        for cell in cells.values().filter(|cell| cell.met == 0) {
            *reasons.entry(cell.why_not.unwrap_or_default()).or_default() += 1;
        }
        if cells.len() < all {
            reasons.insert("not in this sample", all - cells.len());
        }
        println!("{effect:20} {met:4} of {all} cells, {number:5} runs; never: {reasons:?}");
    }
}
