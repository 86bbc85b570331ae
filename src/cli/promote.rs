//! `promote`: writes another image into a desired-state file, with the version that belongs to it, and changes nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::ids::ImageId;
use crate::input::text;
use crate::spec::ClusterSpec;
use crate::spec::splice::edit::{Edit, fields};
use crate::spec::splice::{self, SpliceError};

use super::desired::Desired;
use super::edit::{self, Writing};
use super::format::{self, Format};
use super::{Exit, Failure, Output, file, image};

mod between;

const EXAMPLES: &str = "\
Examples:
  hermitcrab promote desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb
      Write the image into the file; once it is committed, the cluster is rolled to the image
  hermitcrab promote desired-state/prod/consul.yaml --manifest packer-manifest.json --application-version 1.21.0
      Take the image that Packer built last for the cluster's region, and change the version with it
  hermitcrab promote desired-state --cluster consul-prod --image ami-0bbbbbbbbbbbbbbbb --dry-run
      Find the file by its cluster, and only show the lines that would change
  hermitcrab promote --from staging --to prod --soak 24h --state /var/lib/hermitcrab --commit
      Write what the files of staging say into those of the same names in prod, where it has been settled for a day
  hermitcrab promote --from staging --to prod --check --daemon 127.0.0.1:8642
      In a pipeline: check that the images in prod's files have proved themselves in staging

Exit codes:
  0  written, or the files have those images already; with --check: all have proved themselves
  1  error: that file was not changed
  5  an image has not proved itself for as long as --soak says, and was not written";

/// Write another image into a desired-state file, and change nothing else in the file
///
/// Comments, quotes, the order of fields and the ends of lines stay as they are. Only files are read: `plan` and `doctor`
/// check whether the image exists.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("which").args(["image", "manifest", "from"]).required(true))]
pub struct Args {
    /// The file, or a folder with `--cluster`
    #[arg(value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    path: Option<PathBuf>,
    #[command(flatten)]
    image: image::Args,
    /// The version that members on the image report, to be written with it
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "from")]
    application_version: Option<String>,
    /// The cluster, where the path declares several; elsewhere a guard
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    between: between::Args,
    #[command(flatten)]
    writing: Writing,
    /// The format of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
}

/// The image to write, and the version that belongs to it, where that is known.
struct Wanted {
    image: ImageId,
    version: Option<String>,
}

/// One image written into one file.
struct Promotion<'a> {
    path: &'a Path,
    spec: &'a ClusterSpec,
    to: Wanted,
    /// The file's text before the change.
    before: &'a str,
    after: String,
    /// The line of the image, counted from 1.
    line: usize,
    writing: &'a Writing,
}

/// The change, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    cluster: &'a str,
    file: String,
    line: usize,
    from: &'a ImageId,
    to: &'a ImageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionChange<'a>>,
    written: bool,
}

#[derive(Serialize)]
struct VersionChange<'a> {
    from: Option<String>,
    to: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    format_version: &'a str,
    #[serde(flatten)]
    change: Change<'a>,
}

const FORMAT_VERSION: &str = "1.1";

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let Some(path) = &args.path else {
        return args.between.run(args.cluster.as_deref(), &args.writing, args.output, out);
    };
    let desired = Desired::read(std::slice::from_ref(path), out)?;
    let spec = desired.chosen(args.cluster.as_deref())?;
    let Some(image) = args.image.read(&spec.region)? else {
        return Err(Failure::new("no image is named").hint("give --image, or --manifest"));
    };
    let wanted = Wanted { image, version: args.application_version.clone() };
    let promotion = Promotion::new(&desired, spec, wanted, &args.writing)?;
    promotion.write()?;
    if args.output == Format::Json {
        out.json(&Document { format_version: FORMAT_VERSION, change: promotion.change() })?;
    } else {
        promotion.tell(out)?;
    }
    promotion.commit(args.output, out)?;
    promotion.remind(out)?;
    Ok(Exit::Done)
}

fn refused(path: &Path, error: SpliceError) -> Failure {
    let hint = match &error {
        SpliceError::NotLiteral { image, .. } => format!("write `image: {image}` there, and run the command again"),
        SpliceError::Shared { .. } => {
            "write the values out instead of `&` and `*`, and run the command again".to_owned()
        }
        SpliceError::Invalid { .. } => "nothing was changed; name another image".to_owned(),
    };
    Failure::new(file::FileError::new(path, "changed", error)).hint(hint)
}

impl<'a> Promotion<'a> {
    /// Makes the text with the other image, and with the other version where one is wanted.
    fn new(desired: &'a Desired, spec: &'a ClusterSpec, to: Wanted, writing: &'a Writing) -> Result<Self, Failure> {
        let (path, before) = desired.file(spec);
        let spliced = splice::image(path, before, spec, &to.image).map_err(|error| refused(path, error))?;
        let after = match &to.version {
            None => spliced.text,
            Some(version) => {
                let spliced_spec = ClusterSpec { image: to.image.clone(), ..spec.clone() };
                let edit = Edit::Version(Some(version.clone()));
                fields(path, &spliced.text, &spliced_spec, &[edit]).map_err(|error| edit::refused(path, error))?
            }
        };
        Ok(Self { path, spec, to, before, after, line: spliced.place.line, writing })
    }

    fn is_new(&self) -> bool {
        self.after != self.before
    }

    fn write(&self) -> Result<(), Failure> {
        if self.is_new() { self.writing.write(self.path, self.before, &self.after) } else { Ok(()) }
    }

    /// Commits the change, where that is asked for and there is one.
    fn commit(&self, format: Format, out: &mut Output) -> Result<(), Failure> {
        let done = || format!("{}: {}", self.spec.name, self.what());
        let id = if self.is_new() { self.writing.commit(self.path, done)? } else { None };
        match (id, format) {
            (Some(id), Format::Json) => writeln!(out.notes, "committed as {id}")?,
            (Some(id), _) => writeln!(out.data, "committed as {id}")?,
            (None, _) => {}
        }
        Ok(())
    }

    /// Words the change.
    fn what(&self) -> String {
        let image =
            (self.to.image != self.spec.image).then(|| format!("image {} → {}", self.spec.image, self.to.image));
        let version = self.version().map(|VersionChange { from, to }| match from {
            Some(from) => format!("version {from} → {to}"),
            None => format!("version {to}"),
        });
        image.into_iter().chain(version).collect::<Vec<_>>().join(", ")
    }

    fn version(&self) -> Option<VersionChange<'_>> {
        let from = self.spec.application.rules().version;
        let to = self.to.version.as_deref().filter(|to| Some(*to) != from.as_deref())?;
        Some(VersionChange { from, to })
    }

    /// Says in words what was changed, with the lines for a dry run.
    fn tell(&self, out: &mut Output) -> Result<(), Failure> {
        let (name, at) = (&self.spec.name, format!("{}:{}", text::path(self.path), self.line));
        if !self.is_new() {
            writeln!(out.data, "{name}: the image is {} already ({at})", self.to.image)?;
            return Ok(());
        }
        let would = if self.writing.dry_run { ", if it were written" } else { "" };
        writeln!(out.data, "{name}: {}{would} ({at})", self.what())?;
        if self.writing.dry_run {
            for line in edit::diff(self.before, &self.after) {
                writeln!(out.data, "{line}")?;
            }
        }
        Ok(())
    }

    fn change(&self) -> Change<'_> {
        Change {
            cluster: &self.spec.name,
            file: text::path(self.path),
            line: self.line,
            from: &self.spec.image,
            to: &self.to.image,
            version: self.version(),
            written: self.is_new() && !self.writing.dry_run,
        }
    }

    /// Reminds of the version: a member that reports another version than the file wants never counts as back.
    fn remind(&self, out: &mut Output) -> Result<(), Failure> {
        if let (None, true, Some(version)) = (&self.to.version, self.is_new(), self.spec.application.rules().version) {
            writeln!(
                out.notes,
                "note: the file wants members of version {version}; if the image has another, change it in the same commit, with \
                 --application-version"
            )?;
        }
        Ok(())
    }
}
