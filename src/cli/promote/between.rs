//! `promote --from --to`: what the files of one environment say, written into those of the same names in another one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::clock::SystemClock;
use crate::face::listen::Place;
use crate::history::record::Record;
use crate::history::soak::{Soak, soak};
use crate::input::text;
use crate::ports::Clock;
use crate::spec::ClusterSpec;
use crate::time::{Human, Timestamp};

use super::super::desired::Desired;
use super::super::edit::Writing;
use super::super::format::Format;
use super::super::run::span;
use super::super::{Exit, Failure, Output, state};
use super::{Change, FORMAT_VERSION, Promotion, Wanted};

/// The folder that environments lie in, where one is named by its name alone.
const ENVIRONMENTS: &str = "desired-state";
/// For how long an image must have been settled, where `--check` is given alone.
const USUAL_SOAK: Duration = Duration::from_secs(86_400);

/// The arguments of a promotion from one environment to another.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From one environment to another")]
#[group(skip)]
pub(super) struct Args {
    /// Take image and version from the files of this environment: a folder, or its name below `desired-state`
    #[arg(long, value_name = "ENVIRONMENT", requires = "to")]
    from: Option<PathBuf>,
    /// Write them into the files of the same names in this environment
    #[arg(long, value_name = "ENVIRONMENT", requires = "from")]
    to: Option<PathBuf>,
    /// Change nothing, but check that the images in the files of --to have proved themselves in --from
    #[arg(long, requires = "from", conflicts_with_all = ["dry_run", "commit"])]
    check: bool,
    /// The time for which an image must have been settled in --from, e.g. `36h`; with --check 24h if left out
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "from")]
    soak: Option<Duration>,
    /// The log in which that is looked for: the folder that the daemon of --from was given as --state
    #[arg(long, value_name = "DIR", requires = "from", conflicts_with = "daemon")]
    state: Option<PathBuf>,
    /// The daemon of --from that is asked for it, by the place at which it listens (`run --listen`)
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    daemon: Option<Place>,
}

/// Two clusters whose files have the same name below their environments.
struct Pair<'d> {
    source: &'d ClusterSpec,
    target: &'d ClusterSpec,
}

/// The proof that an image must have, with what is known of it.
struct Proof {
    /// For how long it must have been settled.
    span: Duration,
    records: Vec<Record>,
    now: Timestamp,
}

/// One pair, with the change that is meant and what is known of its image.
struct Attempt<'a> {
    pair: &'a Pair<'a>,
    promotion: Promotion<'a>,
    /// Whether nothing is to be changed.
    check: bool,
    /// The way in which the image has done in the source; none where nobody asked.
    soaked: Option<Soak>,
    /// The reason for which the image is not written, or fails the check.
    refused: Option<String>,
}

/// A report on one pair, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    source: &'a str,
    #[serde(flatten)]
    change: Change<'a>,
    /// For how long the image has been settled in the source, in whole seconds; null where it is not, or nobody asked.
    soaked_seconds: Option<u64>,
    /// The reason for which the image was not written, or fails the check.
    refused: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    format_version: &'a str,
    promotions: Vec<Report<'a>>,
}

impl Args {
    /// Goes through all pairs. One that cannot be promoted keeps no other from it.
    pub(super) fn run(
        &self,
        cluster: Option<&str>,
        writing: &Writing,
        format: Format,
        out: &mut Output,
    ) -> Result<Exit, Failure> {
        let (Some(from), Some(to)) = (&self.from, &self.to) else {
            return Err(Failure::new("no environment is named").hint("give --from and --to"));
        };
        let (from, to) = (environment(from)?, environment(to)?);
        if !self.check && from.canonicalize()? == to.canonicalize()? {
            let failure = Failure::new(format!("{} would be promoted into itself", text::path(&from)));
            return Err(Failure { exit: Exit::Usage, ..failure.hint("name two environments") });
        }
        let proof = self.proof()?;
        let sources = Desired::read(std::slice::from_ref(&from), out)?;
        let targets = Desired::read(std::slice::from_ref(&to), out)?;
        let pairs = pairs((&from, &sources), (&to, &targets), cluster, out)?;
        let mut exit = if sources.exit() == Exit::Done { targets.exit() } else { sources.exit() };
        let mut attempts = Vec::new();
        for pair in &pairs {
            let attempt = self.attempt(pair, &targets, proof.as_ref(), writing).and_then(|attempt| {
                attempt.carry_out(format, out)?;
                Ok(attempt)
            });
            match attempt {
                Ok(attempt) => attempts.push(attempt),
                Err(failure) => {
                    failure.print(out);
                    exit = Exit::Error;
                }
            }
        }
        if format == Format::Json {
            let promotions = attempts.iter().map(Attempt::report).collect();
            out.json(&Document { format_version: FORMAT_VERSION, promotions })?;
        }
        let is_refused = attempts.iter().any(|attempt| attempt.refused.is_some());
        Ok(if is_refused && exit == Exit::Done { Exit::NeedsPerson } else { exit })
    }

    fn attempt<'a>(
        &self,
        pair: &'a Pair,
        targets: &'a Desired,
        proof: Option<&Proof>,
        writing: &'a Writing,
    ) -> Result<Attempt<'a>, Failure> {
        pair.refuse_unless_alike()?;
        let Pair { source, target } = pair;
        let wanted = if self.check {
            Wanted { image: target.image.clone(), version: None }
        } else {
            Wanted { image: source.image.clone(), version: source.application.rules().version }
        };
        let soaked = proof.map(|proof| proof.of(source, &wanted.image));
        let refused =
            proof.zip(soaked.as_ref()).and_then(|(proof, soaked)| proof.refusal(source, &wanted.image, soaked));
        let promotion = Promotion::new(targets, target, wanted, writing)?;
        Ok(Attempt { pair, promotion, check: self.check, soaked, refused })
    }

    /// Reads what is known of the images; none where no proof is asked for.
    fn proof(&self) -> Result<Option<Proof>, Failure> {
        let span = self.soak.or(self.check.then_some(USUAL_SOAK));
        let records = match (span, &self.daemon, &self.state) {
            (None, None, None) => return Ok(None),
            (None, ..) => {
                return Err(wrong("`--state` and `--daemon` have no effect without `--soak` or `--check`")
                    .hint("say for how long an image must have been settled, e.g. `--soak 24h`"));
            }
            (Some(_), None, None) => {
                return Err(wrong("nobody is named who knows how the images have done in --from")
                    .hint("name its daemon's log with --state DIR, or the daemon with --daemon ADDRESS"));
            }
            (Some(_), Some(place), _) => state::told(place, "/api/v1/events")?,
            (Some(_), None, Some(folder)) => state::found(folder)?.records,
        };
        Ok(span.map(|span| Proof { span, records, now: SystemClock::start().now() }))
    }
}

fn wrong(message: &str) -> Failure {
    Failure { exit: Exit::Usage, ..Failure::new(message) }
}

/// Finds the folder of an environment.
fn environment(named: &Path) -> Result<PathBuf, Failure> {
    let below = Path::new(ENVIRONMENTS).join(named);
    if named.is_dir() {
        Ok(named.to_owned())
    } else if below.is_dir() {
        Ok(below)
    } else {
        Err(Failure::new(format!("there is no environment {}", text::path(named)))
            .hint(format!("name a folder of desired-state files, or one that lies in {ENVIRONMENTS}")))
    }
}

/// Pairs the files by their names below their environments.
fn pairs<'d>(
    (from, sources): (&Path, &'d Desired),
    (to, targets): (&Path, &'d Desired),
    cluster: Option<&str>,
    out: &mut Output,
) -> Result<Vec<Pair<'d>>, Failure> {
    let wanted: Vec<_> = match cluster {
        Some(name) => vec![targets.named(name)?],
        None => targets.specs.iter().collect(),
    };
    let mut pairs = Vec::new();
    for target in wanted {
        let (path, _) = targets.file(target);
        let namesake = path.strip_prefix(to).map(|name| from.join(name)).unwrap_or_default();
        match sources.specs.iter().find(|source| sources.file(source).0 == namesake) {
            Some(source) => pairs.push(Pair { source, target }),
            None => writeln!(
                out.notes,
                "note: {} has no namesake that can be used in {}",
                text::path(path),
                text::path(from)
            )?,
        }
    }
    if pairs.is_empty() {
        return Err(Failure::new(format!("no file of {} has a namesake in {}", text::path(to), text::path(from)))
            .hint("give the files of one cluster the same name in both environments, e.g. `consul.yaml`"));
    }
    Ok(pairs)
}

impl Pair<'_> {
    /// Refuses clusters of two kinds, and of two regions: no image is right for both.
    fn refuse_unless_alike(&self) -> Result<(), Failure> {
        let Self { source, target } = self;
        let (kind, other) = (source.application.kind(), target.application.kind());
        if kind != other {
            return Err(Failure::new(format!("{} runs {other}, and {} runs {kind}", target.name, source.name))
                .hint("name the image yourself: `hermitcrab promote FILE --image AMI`"));
        }
        if source.region != target.region {
            let (region, there) = (&source.region, &target.region);
            let (source, target) = (&source.name, &target.name);
            return Err(Failure::new(format!("{source} is in {region}, and {target} is in {there}"))
                .hint("an image exists in one region: copy it, and name the copy with --image or --manifest"));
        }
        Ok(())
    }
}

impl Attempt<'_> {
    /// Writes and commits the change, unless something speaks against it, and says what came of it.
    fn carry_out(&self, format: Format, out: &mut Output) -> Result<(), Failure> {
        let Self { pair, promotion, .. } = self;
        let (name, is_text) = (&pair.target.name, format != Format::Json);
        match (&self.refused, &self.soaked) {
            (Some(refused), _) if is_text => writeln!(out.data, "{name}: {refused}")?,
            (None, Some(soaked)) if self.check && is_text => {
                writeln!(out.data, "{name}: {} {soaked} in {}", promotion.to.image, pair.source.name)?;
            }
            (None, _) if !self.check => {
                promotion.write()?;
                if is_text {
                    promotion.tell(out)?;
                }
                promotion.commit(format, out)?;
                promotion.remind(out)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn report(&self) -> Report<'_> {
        let change = self.promotion.change();
        Report {
            source: &self.pair.source.name,
            change: Change { written: change.written && self.refused.is_none() && !self.check, ..change },
            soaked_seconds: match &self.soaked {
                Some(Soak::Settled(lasted)) => Some(lasted.as_secs()),
                _ => None,
            },
            refused: self.refused.clone(),
        }
    }
}

impl Proof {
    fn of(&self, source: &ClusterSpec, image: &str) -> Soak {
        soak(&self.records, &source.name, image, self.now)
    }

    /// The reason for which that is no proof; none where it is one.
    fn refusal(&self, source: &ClusterSpec, image: &str, soaked: &Soak) -> Option<String> {
        let source = &source.name;
        let refusal = match soaked {
            Soak::Settled(lasted) if *lasted >= self.span => return None,
            Soak::Settled(_) => format!("{image} {soaked} in {source}, and {} is asked for", Human(self.span)),
            _ => format!("in {source} {image} {soaked}"),
        };
        Some(text::clean(&refusal).into_owned())
    }
}
