//! `hermitcrab run`: the daemon. It watches desired state and keeps every cluster as it is wanted.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{self, Either, FutureExt};
use tokio::time::{Instant, sleep_until};

use crate::controller::convergence::Convergence;
use crate::controller::{self, Settings};
use crate::daemon::convergences::Convergences;
use crate::daemon::files::Files;
use crate::daemon::lease::{Lease, Unshared};
use crate::daemon::listeners::log::Log;
use crate::daemon::listeners::recorder::Recorder;
use crate::daemon::source::Source;
use crate::daemon::{Daemon, Ended};
use crate::event::Listeners;
use crate::face::Calls;
use crate::history::latest::Latest;
use crate::ids::Owner;
use crate::input::text;
use crate::ports::told::Told;
use crate::ports::{Clock, Outside};
use crate::status::Status;

use super::cloud::Kind;
use super::progress::Progress;
use super::signals::{Signal, UnderWay, hang_ups};
use super::{Exit, Failure, Output, aws, runtime, state};

pub(super) mod face;
mod haste;
#[cfg(feature = "aws")]
mod on_aws;
mod problems;
mod receivers;
mod reload;
mod service;
mod simulated;
mod source;

#[cfg(feature = "aws")]
use on_aws::on_aws;

use haste::Haste;
use problems::Problems;
use reload::Reloaded;
use service::Service;
use simulated::Simulated;
use source::Chosen;

const EXAMPLES: &str = "\
Examples:
  hermitcrab run desired-state --cloud simulated
      Keep simulated clusters as the files say; edit a file and watch
  hermitcrab run desired-state --cloud simulated --once --world world.json
      Bring the clusters to what the files say, and exit; the world is kept for the next run
  hermitcrab run desired-state --cloud simulated --bad-image ami-0bad0bad0bad0bad0
      The same, where members on that image never join
  hermitcrab run desired-state --listen 127.0.0.1:8642
      Show what the daemon knows at that address: a page, JSON, metrics
  hermitcrab run --source 'git+https://git.example.com/org/state.git//prod?ref=main' --source-token-file token \
      --state /var/lib/hermitcrab
      Keep clusters as the newest commit of that branch says; whatever fails, the last good commit stays in force
  hermitcrab run desired-state --state /var/lib/hermitcrab --notify notifications.yaml
      Tell people in a channel when a rollout begins or ends, and when one of them is needed

Signals:
  SIGTERM, SIGINT, SIGHUP   finish the calls in flight, and exit with 0; a second one exits at once.
                            As a service (`Type=notify`), SIGHUP looks at desired state again instead

Exit codes:
  0    ended by a signal; with --once: every cluster is settled
  1    error
  3    a cluster is stalled (--once)
  4    not settled in time (--timeout)
  5    a cluster waits for a person (--once)
  74   the simulated world could not be saved
  129  ended by SIGHUP (--once)
  130  ended by SIGINT (--once)
  143  ended by SIGTERM (--once)";

/// Run the controller
///
/// Watches the files below DIR, and brings every cluster that they declare to what they say, one change at a time. A
/// file that breaks keeps its last good version; a file that goes away changes nothing in the world.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folders of desired-state files
    #[arg(value_name = "DIR", default_value = "desired-state")]
    paths: Vec<PathBuf>,
    /// Bring every cluster to what is desired, and exit
    #[arg(long)]
    once: bool,
    /// Plan and report, but never act
    #[arg(long, conflicts_with = "once")]
    observe: bool,
    /// With --once: how long to try, e.g. `45m`
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    timeout: Duration,
    /// Act only while this controller holds the lease, which lies where the claims do; wait as long as another does
    #[arg(long)]
    lease: bool,
    /// The time for which a file that was written in place must stay unchanged before it counts; one that was renamed
    /// into its place counts at once
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = span)]
    unchanged_for: Duration,
    /// Stop every mutation for as long as this file exists
    #[arg(long, value_name = "FILE")]
    kill_switch: Option<PathBuf>,
    /// A folder on a local disk to write a log of events to, for `events` and `history`; made if it does not exist
    #[arg(long, value_name = "DIR", env = state::VARIABLE, hide_env_values = true)]
    state: Option<PathBuf>,
    #[command(flatten)]
    source: source::Args,
    #[command(flatten)]
    receivers: receivers::Args,
    #[command(flatten)]
    face: face::Args,
    #[cfg(feature = "traces")]
    #[command(flatten)]
    pub(super) traces: super::traces::Args,
    /// The cloud to act on
    #[arg(long, value_enum, value_name = "CLOUD", help_heading = "Cloud")]
    cloud: Option<Kind>,
    #[command(flatten)]
    simulated: Simulated,
    #[command(flatten)]
    aws: aws::Args,
}

/// The time between two looks at the machine's clock.
const LOOKS_AT_CLOCK: Duration = Duration::from_secs(5);

/// The longest span that makes sense. Much longer ones lead out of what a clock can tell.
const LONGEST_SPAN: Duration = Duration::from_secs(366 * 86_400);

/// Reads a span that a person writes, e.g. `45m`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().map_err(|error| error.to_string())?;
    match Duration::try_from(span) {
        Err(_) => Err("it must not be negative".to_owned()),
        Ok(span) if span > LONGEST_SPAN => Err("it must not be longer than a year".to_owned()),
        Ok(span) => Ok(span),
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.once
        && args.source.address.is_none()
        && let Some(missing) = args.paths.iter().find(|path| !path.exists())
    {
        return Err(Failure::new(format!("{} does not exist", text::path(missing)))
            .hint("name a folder with `*.yaml` files; without --once it would be waited for"));
    }
    runtime::start()?.block_on(async {
        let source = choose(args).await?;
        if args.is_simulated() {
            let backend = simulated::backend(args, source).await?;
            let world = backend.outside.clone();
            let exit = attend(args, backend, Unshared, out).await?;
            // Whatever a full disk has kept from being saved on the way is saved now, or the command has failed.
            args.simulated.world.as_deref().map_or(Ok(()), |path| super::world::save(&world, path))?;
            Ok(exit)
        } else {
            on_aws(args, source, out).await
        }
    })
}

/// Chooses where desired state comes from.
async fn choose(args: &Args) -> Result<Chosen, Failure> {
    match &args.source.address {
        Some(address) => args.source.open(address, args.state.as_deref(), args.once).await,
        None => Ok(Chosen::Files(Files::watch(args.paths.clone(), args.unchanged_for))),
    }
}

#[cfg(not(feature = "aws"))]
async fn on_aws(_: &Args, _: impl Source, _: &mut Output) -> Result<Exit, Failure> {
    Err(super::cloud::no_aws())
}

/// The world that clusters are attended to in.
struct Backend<O, S> {
    outside: O,
    source: S,
    /// Decides the jitter.
    seed: u64,
}

/// Attends to the clusters until a signal comes, or with `--once` until they have come to an end.
async fn attend<O: Outside + Clone + 'static, S: Source, L: Lease>(
    args: &Args,
    backend: Backend<O, S>,
    lease: L,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let (log, records) = args.state.as_deref().map(state::open).transpose()?.unzip();
    let recorder = log.map(Recorder::new);
    let past = records.filter(|_| args.face.is_wanted()).map(Latest::resume).unwrap_or_default();
    let told = args.receivers.open(args.state.as_deref())?;
    let calls = Rc::new(Calls::default());
    let outside = Told::new(backend.outside, calls.clone());
    let timed = outside.clone();
    let face = args.face.open(&outside, args.lease, backend.source.wish(), told.counts(), calls, past).await?;
    let progress = Rc::new(Progress::start());
    let convergences = Rc::new(Convergences::default());
    let problems = Problems { is_colored: out.colors_notes() };
    let mut listeners = Listeners::default().with(progress.clone()).with(Rc::new(Log::default()));
    if let Some(recorder) = recorder {
        listeners = listeners.with(Rc::new(recorder));
    }
    let service = Rc::new(Service::start(args.lease));
    listeners = listeners.with(Rc::new(problems)).with(service.clone());
    if args.is_simulated() {
        listeners = listeners.with(Rc::new(Haste::default()));
    }
    let hang_ups = (service.is_managed() && !args.once).then(hang_ups);
    let daemon = Daemon {
        outside,
        source: Reloaded::new(backend.source, hang_ups),
        lease,
        settings: args.settings(backend.seed),
        listeners: face.listeners(told.listeners(listeners)),
        once: args.once.then(|| convergences.clone()),
    };
    let under_way = UnderWay::begin();
    let asked_to_end = asked_to_end(under_way.first_signal(), args.once.then_some(args.timeout));
    let end = async {
        match future::select(pin!(asked_to_end), pin!(set_back(timed.clock()))).await {
            Either::Left((exit, _)) => Ok(exit),
            Either::Right((by, _)) => Err(by),
        }
    };
    let ended = face.beside(daemon.run(end.inspect(|_| service.stopping()))).await;
    service.end();
    drop(under_way);
    progress.end();
    let exit = match ended.map_err(Failure::new)? {
        Ended::Converged => converged(&convergences),
        Ended::Stopped(Ok(exit)) => exit,
        Ended::Stopped(Err(by)) => {
            let hint = "start it again; whatever runs it as a service does so by itself";
            return Err(Failure::new(controller::set_back(by)).hint(hint));
        }
    };
    for (cluster, convergence) in convergences.by_cluster() {
        let status = convergences.latest(&cluster);
        writeln!(out.data, "{cluster}: {}", concluded(convergence, status.as_deref()))?;
        let hints = status.iter().filter(|_| convergence != Convergence::Settled).flat_map(|status| &status.hints);
        for hint in hints {
            writeln!(out.notes, "  hint: {hint}")?;
        }
    }
    Ok(exit)
}

/// Says how far a cluster has come, and why no further.
fn concluded(convergence: Convergence, status: Option<&Status>) -> String {
    let answer = status.map(|status| status.answer.as_str()).unwrap_or_default();
    let answer = answer.strip_prefix("stalled: ").or(answer.strip_prefix("blocked: ")).unwrap_or(answer);
    match convergence {
        Convergence::UnderWay | Convergence::NeedsPerson | Convergence::Stalled if !answer.is_empty() => {
            format!("{convergence}: {answer}")
        }
        convergence => convergence.to_string(),
    }
}

/// Waits for a signal, or until the time is up if there is a limit. A daemon is meant to be ended by a signal; with `--once`
/// the clusters are not settled then.
async fn asked_to_end(signal: impl Future<Output = Signal>, limit: Option<Duration>) -> Exit {
    match limit {
        Some(limit) => tokio::time::timeout(limit, signal).await.map_or(Exit::TimedOut, Signal::exit),
        None => {
            signal.await;
            Exit::Done
        }
    }
}

/// Waits until somebody has set the machine's clock back so far that this process cannot go on. Nothing is changed from that moment on.
async fn set_back(clock: &impl Clock) -> Duration {
    loop {
        // By the machine's own time, also where the world is a simulated one: that is the clock that is looked at.
        sleep_until(Instant::now() + LOOKS_AT_CLOCK).await;
        if let Some(by) = clock.set_back() {
            return by;
        }
    }
}

/// The exit code once every cluster has come to an end: that of the worst.
fn converged(convergences: &Convergences) -> Exit {
    match convergences.worst() {
        None | Some(Convergence::Settled) if convergences.has_broken_files() => Exit::Error,
        None | Some(Convergence::Settled) => Exit::Done,
        Some(Convergence::UnderWay) => Exit::TimedOut,
        Some(Convergence::NeedsPerson) => Exit::NeedsPerson,
        Some(Convergence::Stalled) => Exit::Failed,
        Some(Convergence::Broken) => Exit::Error,
    }
}

impl Args {
    fn is_simulated(&self) -> bool {
        self.cloud == Some(Kind::Simulated) || (self.cloud.is_none() && self.simulated.world.is_some())
    }

    fn settings(&self, seed: u64) -> Settings {
        let switch = self.kill_switch.clone();
        Settings {
            owner: Owner::from(self.aws.owner.as_str()),
            observe_only: self.observe,
            seed,
            kill_switch: Rc::new(move || switch.as_deref().and_then(thrown)),
            source: Rc::new(|| None),
        }
    }
}

/// The reason that a kill switch gives, if it is thrown. A switch that cannot be looked at is taken for thrown.
fn thrown(path: &Path) -> Option<String> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // A link that leads nowhere as well: somebody has put it there.
        Ok(_) => Some(format!("{} exists", text::path(path))),
        Err(error) => Some(format!("{} cannot be looked at: {error}", text::path(path))),
    }
}
