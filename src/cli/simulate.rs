//! `simulate`: rolls a cluster to another image in a simulated world, for one seed or for many.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;

use crate::event::Listeners;
use crate::history::book::Book;
use crate::ids::ImageId;
use crate::input::file;
use crate::input::text::{self as clean, clean_json, clean_lines};
use crate::sim::FaultLevel;
use crate::simulate::script::{FORMS, Mistake, Setting, Story};
use crate::simulate::{self, Behaviour, Ending, Line, Reach, Scenario, Summary, Tally, text};
use crate::spec::ClusterSpec;
use crate::time::Human;

use super::desired::Desired;
use super::format::{self, Format};
use super::progress::Counting;
use super::world;
use super::{Exit, Failure, Output, image, picture};

mod serve;

const EXAMPLES: &str = "\
Examples:
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb
      Roll the cluster from its file's image to another one, and show what happens
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb --payload never-joins
      The same with an image whose members never become healthy
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb --seeds 1..2000 --faults many
      Do so in two thousand worlds with many faults, and count how the rollouts ended
  hermitcrab simulate desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb --picture rollout.svg
      Draw the rollout as a time line as well
  hermitcrab simulate --script tests/rollout/bad-image-and-loss.txt
      Play a story: what is committed, lost and refused at which moment; `--help` lists the commands
  hermitcrab simulate desired-state/prod/consul.yaml --serve 127.0.0.1:5000
      Serve the world as an EC2 endpoint, for the AWS CLI, a pipeline or `run --cloud aws` to be pointed at

Exit codes:
  0 settled; with --seeds: every run ended settled or in a named answer; with --script: it was played, and ended settled or nowhere
  1 error: a safety rule was broken, or a run came to no end that it may come to
  3 stalled, or the image was rejected
  5 blocked until a person acts, or for longer than it should be";

/// Simulate a rollout, without an AWS account
///
/// The controller is the real one; EC2, the application and the clock are simulated. The same seed gives the same transcript,
/// to the byte.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = after_long_help())]
pub struct Args {
    /// A file that declares the cluster, settled on the file's own image at the beginning
    #[arg(required_unless_present = "script")]
    path: Option<PathBuf>,
    /// The image that the cluster is rolled to
    #[arg(long, value_name = "AMI", value_parser = image::id, required_unless_present_any = ["script", "serve"])]
    image: Option<ImageId>,
    /// A story to play in the place of one rollout: what happens to the cluster, and when. `-` reads it from stdin
    #[arg(long, value_name = "STORY", conflicts_with_all = ["image", "seeds", "payload", "output"])]
    script: Option<PathBuf>,
    /// Serve the world as an EC2 endpoint at this address of this machine, with an interface for each member at the member's
    /// own address, until a signal comes
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = serve::address, requires = "path", conflicts_with_all = ["script", "seeds", "output", "cluster", "clusters"])]
    serve: Option<SocketAddr>,
    /// With `--serve`: the number of the world's seconds in a second
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = serve::speed, requires = "serve")]
    speed: f64,
    /// The cluster, where the path declares several; without it all of them are rolled in one world, and the first is told of
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Simulate so many clusters in one world, the others copies of this one, all attended to by one controller
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1_000), conflicts_with = "script")]
    clusters: Option<u16>,
    /// The seed of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Run many worlds, from seed A to seed B, and count how the rollouts ended
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// The faults that the world injects
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    faults: Faults,
    /// The behaviour of members on the image; drawn from the seed where there are faults
    #[arg(long, value_enum, value_name = "BEHAVIOUR")]
    payload: Option<Behaviour>,
    /// The file to save the world to at the end, for `status`, `plan` and `explain --world`
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    world: Option<PathBuf>,
    /// Draw the rollout as a time line, an SVG
    #[arg(long, value_name = "FILE", conflicts_with_all = ["script", "seeds", "serve"])]
    picture: Option<PathBuf>,
    /// The format of the transcript
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::TRANSCRIPT))]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Faults {
    #[default]
    None,
    Some,
    Many,
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

/// The most seeds of one command, because the summary of each is kept until the end.
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

/// The examples, and every command of a story.
fn after_long_help() -> String {
    let forms: String = FORMS.iter().map(|(form, does)| format!("\n  {form}\n      {does}")).collect();
    format!("{EXAMPLES}\n\nCommands of a story, each in a line that begins with `> `:{forms}")
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(story) = &args.script {
        return play(args, story, out);
    }
    if let (Some(address), Some(path)) = (args.serve, &args.path) {
        return serve::run(&served(args, address, path), out);
    }
    let (Some(path), Some(image)) = (&args.path, &args.image) else {
        return Err(Failure::new("a file and an image are needed"));
    };
    let desired = Desired::read(std::slice::from_ref(path), out)?;
    let (from, beside) = clusters(args, &desired)?;
    if from.image == *image {
        return Err(Failure::new(format!("{image} is the image that {} already has", from.name))
            .hint("name another image; any `ami-…` will do, because nothing is read from AWS"));
    }
    let rollout = Rollout { args, path, image, from, beside };
    match args.seeds {
        None => one(&rollout, out),
        Some(seeds) => many(&rollout, seeds, out),
    }
}

/// Chooses the cluster that is told of, and those that are rolled beside it.
fn clusters(args: &Args, desired: &Desired) -> Result<(ClusterSpec, Vec<ClusterSpec>), Failure> {
    if let ([first, others @ ..], None, None) = (desired.specs.as_slice(), &args.cluster, args.clusters)
        && !others.is_empty()
    {
        return Ok((first.clone(), others.to_vec()));
    }
    let from = desired.chosen(args.cluster.as_deref())?.clone();
    let others = args.clusters.map_or(0, |clusters| usize::from(clusters) - 1);
    let beside = simulate::copies(&from, others);
    Ok((from, beside))
}

fn served<'a>(args: &'a Args, address: SocketAddr, path: &'a Path) -> serve::Served<'a> {
    serve::Served {
        address,
        path,
        image: args.image.as_ref(),
        payload: args.payload,
        seed: args.seed,
        faults: args.faults.into(),
        speed: args.speed,
        save_to: args.world.as_deref(),
    }
}

/// Plays a story, and writes it with what happens as it goes.
fn play(args: &Args, path: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let named = if path == Path::new("-") { "stdin".to_owned() } else { clean::path(path) };
    let wrong = |mistake: Mistake| {
        let failure = Failure::new(format!("{named}: {mistake}"));
        match mistake.hint {
            Some(hint) => failure.hint(hint),
            None => failure.hint("`hermitcrab simulate --help` lists the commands of a story"),
        }
    };
    let text = read_story(path).map_err(|error| Failure::new(format!("{named}: {error}")))?;
    let story = Story::parse(&text).map_err(wrong)?;
    let (path, cluster) = (args.path.clone(), args.cluster.clone());
    let setting = Setting { path, cluster, seed: args.seed, faults: args.faults.into(), reach: Reach::default() };
    let mut written = Ok(());
    let played = story.play(&setting, &mut |part| {
        if written.is_ok() {
            written = out.data.write_all(clean_lines(part).as_bytes());
        }
    });
    written?;
    let played = played.map_err(wrong)?;
    if let Some(path) = &args.world {
        world::save(&played.world, path)?;
    }
    Ok(played.ending.as_ref().map_or(Exit::Done, exit))
}

fn read_story(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(file::DOCUMENT as u64).read_to_string(&mut text)?;
        return Ok(text);
    }
    file::read_text(path, file::DOCUMENT)
}

/// A rollout that was asked for.
struct Rollout<'a> {
    args: &'a Args,
    path: &'a Path,
    image: &'a ImageId,
    from: ClusterSpec,
    /// The clusters that are rolled in the same world.
    beside: Vec<ClusterSpec>,
}

impl Rollout<'_> {
    fn scenario(&self, seed: u64) -> Scenario {
        let version = simulate::version(&self.from);
        Scenario {
            from: self.from.clone(),
            image: self.image.clone(),
            payload: self.args.payload.map(|behaviour| behaviour.payload(&version)),
            seed,
            faults: self.args.faults.into(),
        }
    }
}

/// Runs one world, and writes its transcript line by line.
fn one(rollout: &Rollout, out: &mut Output) -> Result<Exit, Failure> {
    let args = rollout.args;
    let scenario = rollout.scenario(args.seed);
    let world = scenario.world();
    let mut written = Ok(());
    let book = Rc::new(Book::default());
    let listeners = Listeners::default().with(book.clone());
    let summary = scenario.run_heard(&world, rollout.beside.clone(), (&Reach::default(), &listeners), &mut |line| {
        if written.is_ok() {
            written = tell(args.output, line, &mut out.data);
        }
    });
    written?;
    if let Some(path) = &args.world {
        world::save(&world, path)?;
    }
    if let Some(path) = &args.picture {
        let mut records = book.records();
        records.retain(|record| record.cluster.as_deref() == Some(&*rollout.from.name));
        picture::of_newest(path, &records)?;
    }
    if summary.must_not_be() {
        writeln!(out.notes, "{}", broken(&summary, rollout))?;
    }
    if summary.unlawful.is_some() && args.faults != Faults::None {
        return Ok(Exit::Error);
    }
    Ok(exit(&summary.ending))
}

fn tell(format: Format, line: &Line, out: &mut dyn Write) -> Result<(), Failure> {
    let line = if format == Format::Jsonl { clean_json(&serde_json::to_string(line)?) } else { text::line(line) };
    writeln!(out, "{line}")?;
    Ok(())
}

/// Reports a rollout that must not end as it did, with the command that replays it.
fn broken(summary: &Summary, rollout: &Rollout) -> String {
    let faults = rollout.args.faults.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    format!(
        "error: seed {}: {}\n hint: replay it with `hermitcrab simulate {} --image {} --faults {faults} --seed {}`",
        summary.seed,
        summary.unlawful.as_deref().unwrap_or(&summary.outcome),
        clean::path(rollout.path),
        rollout.image,
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

/// Runs many worlds, and counts how they ended.
fn many(rollout: &Rollout, seeds: Seeds, out: &mut Output) -> Result<Exit, Failure> {
    let args = rollout.args;
    let counting = Counting::up_to(seeds.last - seeds.first + 1, "worlds");
    let summaries = summaries(seeds, &|seed| {
        let scenario = rollout.scenario(seed);
        let summary = scenario.run_beside(&scenario.world(), rollout.beside.clone(), &mut |_| {});
        counting.one_more();
        summary
    });
    drop(counting);
    let mut tally = Tally::default();
    for summary in &summaries {
        tally.add(summary);
        if args.output == Format::Jsonl {
            writeln!(out.data, "{}", clean_json(&serde_json::to_string(&Line::Summary(summary.clone()))?))?;
        }
        if summary.must_not_be() {
            writeln!(out.notes, "{}", broken(summary, rollout))?;
        }
    }
    let wanted = seeds.last - seeds.first + 1;
    let missing = wanted - summaries.len() as u64;
    if args.output == Format::Text {
        write!(out.data, "{}", counted(&tally, wanted))?;
    }
    if missing > 0 {
        return Err(Failure::new(format!("{missing} of {wanted} runs were ended by an internal assertion")));
    }
    Ok(if tally.failures.is_empty() { Exit::Done } else { Exit::Error })
}

/// Runs a world for each seed, on as many threads as there are cores.
fn summaries(seeds: Seeds, run: &(impl Fn(u64) -> Summary + Sync)) -> Vec<Summary> {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    // Counted from the first seed, because the last may be the largest number that exists.
    let share =
        |thread: u64| (thread..=seeds.last - seeds.first).step_by(threads as usize).map(|more| seeds.first + more);
    let mut summaries: Vec<Summary> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|t| scope.spawn(move || share(t).map(run).collect::<Vec<_>>())).collect();
        // A thread that panicked has said so on stderr. The caller counts the missing runs.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    summaries.sort_by_key(|summary| summary.seed);
    summaries
}

fn counted(tally: &Tally, runs: u64) -> String {
    let mut endings: Vec<_> = tally.endings.iter().collect();
    endings.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut text: String = endings.iter().map(|(ending, count)| format!("{count:>8}  {ending}\n")).collect();
    text.push_str(&format!(
        "{runs:>8}  runs; {} of them broke a safety rule, or ended as they may not\n",
        tally.failures.len()
    ));
    text.push_str(&format!("{:>8}  passes, {} faults\n", tally.passes, tally.faults));
    if let Some((seconds, seed, slot)) = &tally.longest_down {
        let span = Human(Duration::from_secs_f64(*seconds));
        text.push_str(&format!("{span:>8}  is the longest time that a member was down ({slot}, seed {seed})\n"));
    }
    text
}
