//! `watch`: the clusters as a tree that follows them on a terminal; elsewhere a line whenever one of them changes.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, Shared, pending, select};
use futures_util::{FutureExt, pin_mut};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::clock::SystemClock;
use crate::event::{Event, EventKind, Listener, Pass, is_same_news};
use crate::face::client;
use crate::face::listen::Place;
use crate::face::{About, Face};
use crate::history::latest::Latest;
use crate::plan::plan;
use crate::ports::Clock;
use crate::spec::ClusterSpec;
use crate::status::status;

use super::cloud::{self, Environment};
use super::desired::{Desired, Only, Paths};
use super::format::{self, Format};
use super::from::{self, Fleet, From};
use super::run::face::DOCUMENTS;
use super::run::span;
use super::signals::{Signal, UnderWay};
use super::{Exit, Failure, Output, output, runtime};

mod tree;

/// The clusters of a daemon of which everything is asked: those that need a person first.
const MOST: usize = 12;

const EXAMPLES: &str = "\
Examples:
  hermitcrab watch desired-state/prod
      Look every two seconds; Ctrl-C ends it
  hermitcrab watch --from 127.0.0.1:8642
      Follow the daemon that listens there, which tells of each change
  hermitcrab watch --from 127.0.0.1:8642 --cluster consul-prod
      Follow one of its clusters
  hermitcrab watch --from 127.0.0.1:8642 --until-settled -o jsonl
      For a program: a JSON object whenever a cluster changes, until nothing is left to do

Exit codes:
  0    every cluster is settled (with --until-settled), or nobody reads any more
  1    a file cannot be used, or the daemon does not answer
  129  ended by SIGHUP
  130  ended by SIGINT
  143  ended by SIGTERM";

/// Follow the clusters: their slots, and the steps of each replacement with the time that they take
///
/// On a terminal the tree is drawn anew in its place. Elsewhere, and with `-o jsonl`, there is a line whenever a cluster changes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    only: Only,
    /// The time between two looks
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = span, conflicts_with = "from")]
    every: Duration,
    /// End when every cluster is settled
    #[arg(long)]
    until_settled: bool,
    /// The format of what is told
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::TRANSCRIPT))]
    output: Format,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    cloud: cloud::Args,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut shown = Shown::start(args.output);
    // Lines end where a signal finds them, also those that nobody takes; a tree is left whole.
    let drawn = shown.bar.is_some().then(UnderWay::begin);
    let signal = async {
        match &drawn {
            Some(drawn) => drawn.first_signal().await,
            None => pending().await,
        }
    };
    let signal = signal.shared();
    let ended = match &args.from.from {
        Some(place) => runtime::start()?.block_on(follow(args, place, &mut shown, out, signal)),
        None => look(args, &mut shown, out, signal),
    };
    shown.end(out)?;
    ended
}

/// Looks again and again.
fn look<F: Future<Output = Signal>>(
    args: &Args,
    shown: &mut Shown,
    out: &mut Output,
    signal: Shared<F>,
) -> Result<Exit, Failure> {
    let (time, runtime) = (SystemClock::start(), runtime::start()?);
    let mut desired = Desired::read(&args.paths.paths, out)?;
    desired.keep(&args.only)?;
    let looked = Rc::new(std::cell::Cell::new(time.now()));
    let now = looked.clone();
    let about = About {
        now: Rc::new(move || now.get()),
        uses_lease: false,
        notifications: None,
        calls: None,
        documents: DOCUMENTS,
        hook: None,
    };
    let face = Face::new(about, Latest::default());
    let mut environment = args.cloud.open(&desired.specs)?.beside(&desired);
    for spec in &environment.specs {
        hear(&face, &environment, spec, EventKind::DesiredChanged(Arc::new(spec.clone())));
    }
    loop {
        for spec in &environment.specs {
            let seen = environment.look(spec);
            looked.set(seen.now);
            let plan = plan(spec, &seen);
            let status = Rc::new(status(spec, &seen, &plan, None));
            let pass = Pass { spec: Arc::new(spec.clone()), seen, plan, status, is_new: true };
            hear(&face, &environment, spec, EventKind::Planned(Rc::new(pass)));
        }
        let clusters = face.clusters().iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        if let Some(exit) = shown.show(&clusters, args.until_settled, out)? {
            return Ok(if exit == Exit::Done { desired.exit_of(&args.only) } else { exit });
        }
        if let Some(signal) = runtime.block_on(within(&time, args.every, signal.clone())) {
            return Ok(signal.exit());
        }
        if args.cloud.world.is_some() {
            environment = args.cloud.open(&desired.specs)?.beside(&desired); // somebody else saves the world
        }
    }
}

fn hear(face: &Face, environment: &Environment, spec: &ClusterSpec, kind: EventKind) {
    face.hear(&Event { at: environment.now(), cluster: Some(spec.name.clone()), kind });
}

/// Waits for so long, or until a signal comes, which is the answer then.
async fn within(time: &SystemClock, span: Duration, signal: impl Future<Output = Signal>) -> Option<Signal> {
    let sleep = time.sleep(span);
    pin_mut!(sleep, signal);
    match select(sleep, signal).await {
        Either::Left(_) => None,
        Either::Right((signal, _)) => Some(signal),
    }
}

/// Follows a daemon: asks it anew whenever it tells of a change.
async fn follow<F: Future<Output = Signal>>(
    args: &Args,
    place: &Place,
    shown: &mut Shown,
    out: &mut Output,
    signal: Shared<F>,
) -> Result<Exit, Failure> {
    let told = tokio::sync::Notify::new();
    let telling = client::follow(place, "/api/v1/stream", || told.notify_one());
    pin_mut!(telling);
    loop {
        let fleet: Fleet = client::document(place, Fleet::PATH).await.map_err(from::unanswered)?;
        let clusters = documents(place, &fleet.keep(&args.only)?.clusters).await.map_err(from::unanswered)?;
        if let Some(exit) = shown.show(&clusters, args.until_settled, out)? {
            return Ok(exit);
        }
        tokio::select! {
            signal = signal.clone() => return Ok(signal.exit()),
            ended = &mut telling => {
                ended.map_err(from::unanswered)?;
                return Err(Failure::new(format!("the daemon at {place} has ended its stream")).hint("run the command again"));
            }
            () = told.notified() => {}
        }
    }
}

/// Asks for everything about the clusters that are not settled, and for the rows of the others.
async fn documents(place: &Place, rows: &[Value]) -> Result<Vec<Value>, client::Unanswered> {
    let mut all = Vec::new();
    for (nth, row) in rows.iter().enumerate() {
        let document = if nth < MOST && row["attention"] != "settled" {
            client::document(place, &from::cluster_path(from::name(row))).await?
        } else {
            serde_json::json!({ "summary": row })
        };
        all.push(document);
    }
    Ok(all)
}

/// Everything that was shown so far, and where.
struct Shown {
    /// The tree, on a terminal.
    bar: Option<ProgressBar>,
    is_json: bool,
    /// The latest line of each cluster, elsewhere.
    lines: BTreeMap<String, String>,
}

impl Shown {
    fn start(output: Format) -> Self {
        let is_json = output == Format::Jsonl;
        let bar = (!is_json && io::stdout().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style)
        });
        Self { bar, is_json, lines: BTreeMap::new() }
    }

    /// Shows the clusters. Answers with the exit code if there is nothing more to show.
    fn show(&mut self, clusters: &[Value], until_settled: bool, out: &mut Output) -> Result<Option<Exit>, Failure> {
        match &self.bar {
            Some(bar) => {
                let width = output::width().unwrap_or(output::USUAL_WIDTH);
                // The cursor has the last line.
                let room = output::height().map_or(usize::MAX, |height| height - 1);
                let lines = tree::render(clusters, room);
                let lines: Vec<_> = lines.iter().map(|line| output::cut(line, width - 1)).collect();
                bar.set_message(lines.join("\n"));
            }
            None => clusters.iter().try_for_each(|cluster| self.tell(cluster, out))?,
        }
        let is_over = until_settled && clusters.iter().all(|cluster| cluster["summary"]["attention"] == "settled");
        Ok((is_over || !out.is_read()).then_some(Exit::Done))
    }

    /// Tells of a cluster that has changed, in one line.
    fn tell(&mut self, cluster: &Value, out: &mut Output) -> Result<(), Failure> {
        let summary = &cluster["summary"];
        let name = summary["cluster"].as_str().unwrap_or_default().to_owned();
        let line = tree::line(summary);
        let before = self.lines.entry(name).or_default();
        if is_same_news(before, &line) {
            return Ok(());
        }
        before.clone_from(&line);
        if self.is_json {
            out.json_line(summary)?
        } else {
            writeln!(out.data, "{line}")?
        }
        out.data.flush()?;
        Ok(())
    }

    /// Leaves the tree as it was last, with the cursor below it.
    fn end(&self, out: &mut Output) -> Result<(), Failure> {
        if let Some(bar) = &self.bar {
            bar.abandon();
            writeln!(out.data)?;
        }
        Ok(())
    }
}
