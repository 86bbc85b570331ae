//! `status --wait`: looks again and again until every cluster is as somebody waits for, or does not get there by itself.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;

use crate::clock::SystemClock;
use crate::controller::convergence::{Confirmation, Convergence};
use crate::event::is_same_news;
use crate::ids::ClusterName;
use crate::plan::plan;
use crate::ports::Clock;
use crate::status::{Status, status};
use crate::time::{after, clock};

use super::desired::Desired;
use super::run::span;
use super::{Exit, Failure, Output, cloud, runtime};

/// The time between two looks. Whoever acts looks every second or two; whoever waits for minutes need not.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The arguments of waiting.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Waiting")]
#[group(skip)]
pub struct Args {
    /// Look again until every cluster is there, or does not get there by itself; nothing is changed
    #[arg(long, conflicts_with = "from")]
    wait: bool,
    /// The thing to wait for
    #[arg(long = "for", value_enum, value_name = "WHAT", default_value_t, requires = "wait")]
    wanted: Wanted,
    /// The longest time to wait, e.g. `45m`
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span, requires = "wait")]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Nothing differs from the files
    #[default]
    Settled,
    /// Every member is healthy and counts, whatever its image
    Healthy,
}

impl Args {
    /// Waits, if that is asked for. Answers with the exit code; none if nobody waits.
    pub fn until(&self, desired: &Desired, args: &cloud::Args, out: &mut Output) -> Result<Option<Exit>, Failure> {
        if !self.wait {
            return Ok(None);
        }
        let (time, runtime) = (SystemClock::start(), runtime::start()?);
        let until = after(time.now(), self.timeout);
        let mut watched = Watched { wanted: self.wanted, clusters: BTreeMap::new() };
        let mut environment = args.open(&desired.specs)?.beside(desired);
        loop {
            let mut worst = Convergence::Settled;
            let mut is_over = true;
            for spec in &environment.specs {
                let seen = environment.look(spec);
                let plan = plan(spec, &seen);
                let (confirmation, told) = watched.clusters.entry(spec.name.clone()).or_default();
                let status = status(spec, &seen, &plan, None);
                let convergence = watched.wanted.judge(confirmation.after(&plan, status.at), &status);
                is_over &= convergence != Convergence::UnderWay;
                worst = worst.max(convergence);
                if !is_same_news(told, &status.answer) {
                    writeln!(out.notes, "{} {}: {}", clock(status.at), spec.name, status.answer)?;
                    *told = status.answer;
                }
            }
            if is_over {
                return Ok(Some(exit(worst)));
            }
            if time.now() >= until {
                return Ok(Some(Exit::TimedOut));
            }
            runtime.block_on(time.sleep(LOOK_EVERY.min(self.timeout)));
            if args.world.is_some() {
                environment = args.open(&desired.specs)?.beside(desired); // somebody else saves the world
            }
        }
    }
}

/// The clusters that are waited for: how far each has come, and what was told of it last.
struct Watched {
    wanted: Wanted,
    clusters: BTreeMap<ClusterName, (Confirmation, String)>,
}

impl Wanted {
    /// How far a cluster is from what is waited for.
    fn judge(self, settling: Convergence, status: &Status) -> Convergence {
        let healthy = status.slots.iter().filter(|slot| slot.counts_as_healthy()).count();
        match (self, settling) {
            (Self::Settled, settling) => settling,
            (Self::Healthy, _) if healthy == status.progress.total => Convergence::Settled,
            // An upgrade that waits for a person says nothing of members that are not healthy: they may come back.
            (Self::Healthy, Convergence::Stalled | Convergence::Broken) => settling,
            (Self::Healthy, _) => Convergence::UnderWay,
        }
    }
}

fn exit(worst: Convergence) -> Exit {
    match worst {
        Convergence::Settled => Exit::Done,
        Convergence::UnderWay => Exit::TimedOut,
        Convergence::NeedsPerson => Exit::NeedsPerson,
        Convergence::Stalled => Exit::Failed,
        Convergence::Broken => Exit::Error,
    }
}
