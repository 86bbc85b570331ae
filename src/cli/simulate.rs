//! `hermitcrab simulate`: a rollout in a simulated world, told as a story, for one seed or for many.

use std::io::Write;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::thread;

use clap::ValueEnum;

use crate::ids::ImageId;
use crate::input::text::clean_json;
use crate::sim::{FaultLevel, Payload};
use crate::simulate::{Ending, Line, Scenario, Summary, Tally, text};
use crate::spec::ClusterSpec;
use crate::time::Human;

use super::desired::Desired;
use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb
      Roll the cluster from its file's image to another one, and tell what happens
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb --payload never-joins
      The same with an image whose members never become healthy
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb --seeds 1..2000 --faults many
      Two thousand times in unkind worlds, and count how it ended

Exit codes:
  0 settled, or for --seeds: every run ended settled or in a named answer
  1 error; a safety rule was broken, or a run came to no end
  3 stalled, or the image was rejected
  5 blocked until a person acts, or for longer than it should be";

/// Simulate a rollout, without an AWS account
///
/// The controller is the real one; EC2, the application and the clock are simulated. The same seed tells the same
/// story, to the byte.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file that declares the cluster, settled on the file's own image at the beginning
    path: PathBuf,
    /// The image that it is rolled to
    #[arg(long, value_name = "AMI", value_parser = super::cloud::image)]
    image: ImageId,
    /// The cluster, where the path declares several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Decides everything
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Run many worlds, from seed A to seed B, and count how they ended
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// How unkind the world is
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    faults: Faults,
    /// What members do on the image; drawn from the seed where there are faults
    #[arg(long, value_enum, value_name = "WHAT")]
    payload: Option<Behaviour>,
    /// Where to save the world at the end, for `status`, `plan` and `explain --world`
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    world: Option<PathBuf>,
    /// How the transcript is written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// A story
    #[default]
    Text,
    /// A JSON object a line
    Jsonl,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Faults {
    #[default]
    None,
    Some,
    Many,
}

/// What members do on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Behaviour {
    /// They run well
    Good,
    /// Their process never starts
    NeverJoins,
    /// They join, and never become healthy
    Unhealthy,
    /// They are healthy, ill, healthy, ill …
    Flaps,
    /// They run well, but another version than the image is meant to have
    WrongVersion,
    /// They run well, and have lost their canary data whenever they start, which nobody notices who does not ask for it
    LosesData,
}

impl Behaviour {
    /// The same in the simulated world's words, for a cluster that expects `version`.
    pub fn payload(self, version: &str) -> Payload {
        match self {
            Self::Good => Payload::Good { version: version.to_owned() },
            Self::NeverJoins => Payload::NeverJoins,
            Self::Unhealthy => Payload::JoinsUnhealthy,
            Self::Flaps => Payload::Flaps,
            Self::WrongVersion => Payload::WrongVersion("0.0.1".to_owned()),
            Self::LosesData => Payload::LosesData,
        }
    }
}

impl From<Faults> for FaultLevel {
    fn from(faults: Faults) -> Self {
        match faults {
            Faults::None => Self::None,
            Faults::Some => Self::Some,
            Faults::Many => Self::Many,
        }
    }
}

/// The most seeds of one command: what came of each is kept until the end.
const MOST_SEEDS: u64 = 1_000_000;

/// Seeds, both ends included.
#[derive(Clone, Copy, Debug)]
struct Seeds {
    first: u64,
    last: u64,
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let (first, last) = text.split_once("..").ok_or("seeds are a range, e.g. `1..2000`")?;
    let number = |text: &str| text.parse().map_err(|error: ParseIntError| format!("`{text}`: {error}"));
    let (first, last): (u64, u64) = (number(first)?, number(last)?);
    match last.checked_sub(first) {
        None => Err("the first seed comes after the last".to_owned()),
        Some(more) if more >= MOST_SEEDS => Err(format!("more than {MOST_SEEDS} seeds; run one part after the other")),
        Some(_) => Ok(Seeds { first, last }),
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    let from = args.cluster(&desired)?.clone();
    if from.image == args.image {
        return Err(Failure::new(format!("{} is the image that {} already has", args.image, from.name))
            .hint("name another image; any `ami-…` will do, for nothing is looked up in AWS"));
    }
    match args.seeds {
        None => one(args, from, out),
        Some(seeds) => many(args, &from, seeds, out),
    }
}

impl Args {
    fn cluster<'d>(&self, desired: &'d Desired) -> Result<&'d ClusterSpec, Failure> {
        match (&self.cluster, desired.specs.as_slice()) {
            (Some(name), _) => desired.named(name),
            (None, [only]) => Ok(only),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|spec| spec.name.to_string()).collect();
                Err(Failure::new(format!("{} declares several clusters", self.path.display()))
                    .hint(format!("name a file, or one of them with --cluster: {}", names.join(", "))))
            }
        }
    }

    fn scenario(&self, from: &ClusterSpec, seed: u64) -> Scenario {
        let version = crate::simulate::version(from);
        Scenario {
            from: from.clone(),
            image: self.image.clone(),
            payload: self.payload.map(|behaviour| behaviour.payload(&version)),
            seed,
            faults: self.faults.into(),
        }
    }
}

/// One world, told line by line.
fn one(args: &Args, from: ClusterSpec, out: &mut Output) -> Result<Exit, Failure> {
    let scenario = args.scenario(&from, args.seed);
    let world = scenario.world();
    let mut written = Ok(());
    let summary = scenario.run_in(&world, &mut |line| {
        if written.is_ok() {
            written = tell(args.output, line, &mut out.data);
        }
    });
    written?;
    if let Some(path) = &args.world {
        super::cloud::save(&world, path)?;
    }
    if summary.ending == Ending::Violated || summary.ending == Ending::Unsettled {
        writeln!(out.notes, "{}", broken(&summary, args))?;
    }
    Ok(exit(&summary.ending))
}

fn tell(format: Format, line: &Line, out: &mut dyn Write) -> Result<(), Failure> {
    match format {
        Format::Text => writeln!(out, "{}", text::line(line))?,
        Format::Jsonl => writeln!(out, "{}", clean_json(&serde_json::to_string(line)?))?,
    }
    Ok(())
}

/// What a rollout that must not end so is reported with.
fn broken(summary: &Summary, args: &Args) -> String {
    let faults = args.faults.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    format!(
        "error: seed {}: {}\n hint: replay it with `hermitcrab simulate {} --image {} --faults {faults} --seed {}`",
        summary.seed,
        summary.outcome,
        args.path.display(),
        args.image,
        summary.seed,
    )
}

fn exit(ending: &Ending) -> Exit {
    match ending {
        Ending::Settled => Exit::Done,
        Ending::Blocked(gates) if gates.contains(&"generation-rejected") => Exit::Failed,
        Ending::Blocked(_) => Exit::NeedsPerson,
        Ending::Stalled(_) => Exit::Failed,
        Ending::Unsettled | Ending::Violated => Exit::Error,
    }
}

/// Many worlds, on as many threads as there are cores; each is a world of its own.
fn many(args: &Args, from: &ClusterSpec, seeds: Seeds, out: &mut Output) -> Result<Exit, Failure> {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    // Counted from the first, because the last may be the largest number there is.
    let share =
        |thread: u64| (thread..=seeds.last - seeds.first).step_by(threads as usize).map(|more| seeds.first + more);
    let run = |seed: u64| args.scenario(from, seed).run(&mut |_| {});
    let mut summaries: Vec<Summary> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|t| scope.spawn(move || share(t).map(run).collect::<Vec<_>>())).collect();
        // A thread that panicked has said so on stderr; its runs are missing below, and that is reported.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    summaries.sort_by_key(|summary| summary.seed);
    let mut tally = Tally::default();
    for summary in &summaries {
        tally.add(summary);
        if let Format::Jsonl = args.output {
            writeln!(out.data, "{}", clean_json(&serde_json::to_string(&Line::Summary(summary.clone()))?))?;
        }
        if summary.ending == Ending::Violated || summary.ending == Ending::Unsettled {
            writeln!(out.notes, "{}", broken(summary, args))?;
        }
    }
    let wanted = seeds.last - seeds.first + 1;
    let missing = wanted - summaries.len() as u64;
    if let Format::Text = args.output {
        write!(out.data, "{}", counted(&tally, wanted))?;
    }
    if missing > 0 {
        return Err(Failure::new(format!("{missing} of {wanted} runs broke off in an internal assertion")));
    }
    Ok(if tally.failures.is_empty() { Exit::Done } else { Exit::Error })
}

fn counted(tally: &Tally, runs: u64) -> String {
    let mut endings: Vec<_> = tally.endings.iter().collect();
    endings.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut text: String = endings.iter().map(|(ending, count)| format!("{count:>8}  {ending}\n")).collect();
    text.push_str(&format!(
        "{runs:>8}  runs, {} of them violated a safety rule or came to no end\n",
        tally.failures.len()
    ));
    text.push_str(&format!("{:>8}  passes, {} faults\n", tally.passes, tally.faults));
    if let Some((seconds, seed, slot)) = &tally.longest_down {
        let span = Human(std::time::Duration::from_secs_f64(*seconds));
        text.push_str(&format!("{span:>8}  is the longest that a member was down ({slot}, seed {seed})\n"));
    }
    text
}
