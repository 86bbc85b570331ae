//! `promote`: writes another image into a desired-state file, and changes nothing else in the file.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::ids::ImageId;
use crate::input::text;
use crate::spec::ClusterSpec;
use crate::spec::splice::{self, SpliceError, Spliced};

use super::desired::Desired;
use super::format::{self, Format};
use super::{Exit, Failure, Output, file, image};

const EXAMPLES: &str = "\
Examples:
  hermitcrab promote desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb
      Write the image into the file; once it is committed, the cluster is rolled to the image
  hermitcrab promote desired-state/prod/consul.yaml --manifest packer-manifest.json
      Take the image that Packer built last for the cluster's region
  hermitcrab promote desired-state --cluster consul-prod --image ami-0bbbbbbbbbbbbbbbb --dry-run
      Find the file by its cluster, and only show the line that would change

Exit codes:
  0  written, or the file has that image already
  1  nothing was changed";

/// Write another image into a desired-state file, and change nothing else in the file
///
/// Comments, quotes, the order of fields and the ends of lines stay as they are. Only the file is read: `plan` and `doctor`
/// check whether the image exists.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("which").args(["image", "manifest"]).required(true))]
pub struct Args {
    /// The file, or a folder with `--cluster`
    #[arg(value_name = "FILE")]
    path: PathBuf,
    #[command(flatten)]
    image: image::Args,
    /// The cluster, where the path declares several; elsewhere a guard
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// The format of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = format::among(&format::REPORT))]
    output: Format,
}

/// One image written into one file.
struct Promotion<'a> {
    path: &'a Path,
    spec: &'a ClusterSpec,
    to: ImageId,
    /// The file's text before the change.
    before: &'a str,
    spliced: Spliced,
    dry_run: bool,
}

/// The change, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    format_version: &'a str,
    cluster: &'a str,
    file: String,
    line: usize,
    from: &'a ImageId,
    to: &'a ImageId,
    written: bool,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let desired = Desired::read(std::slice::from_ref(&args.path), out)?;
    let spec = desired.chosen(args.cluster.as_deref())?;
    let (path, before) = desired.file(spec);
    let Some(to) = args.image.read(&spec.region)? else {
        return Err(Failure::new("no image is named").hint("give --image, or --manifest"));
    };
    let spliced = splice::image(path, before, spec, &to).map_err(|error| refused(path, error))?;
    let promotion = Promotion { path, spec, to, before, spliced, dry_run: args.dry_run };
    if promotion.is_written() {
        file::replace(path, before, &promotion.spliced.text)?;
    }
    if args.output == Format::Json {
        out.json(&promotion.change())?;
    } else {
        writeln!(out.data, "{}", promotion.text())?;
    }
    if promotion.is_new() {
        remind(spec, out)?;
    }
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

impl Promotion<'_> {
    fn is_new(&self) -> bool {
        self.to != self.spec.image
    }

    fn is_written(&self) -> bool {
        self.is_new() && !self.dry_run
    }

    /// Says in words what was changed, with the old and the new line for a dry run.
    fn text(&self) -> String {
        let line = self.spliced.place.line;
        let (name, from, to) = (&self.spec.name, &self.spec.image, &self.to);
        let at = format!("{}:{line}", text::path(self.path));
        if !self.is_new() {
            format!("{name}: the image is {to} already ({at})")
        } else if self.dry_run {
            let nth = |text: &str| text.lines().nth(line - 1).unwrap_or_default().to_owned();
            format!("{name}: the image would change ({at})\n- {}\n+ {}", nth(self.before), nth(&self.spliced.text))
        } else {
            format!("{name}: image {from} → {to} ({at})")
        }
    }

    fn change(&self) -> Change<'_> {
        Change {
            format_version: "1.0",
            cluster: &self.spec.name,
            file: text::path(self.path),
            line: self.spliced.place.line,
            from: &self.spec.image,
            to: &self.to,
            written: self.is_written(),
        }
    }
}

/// Reminds of the version: a member that reports another version than the file wants never counts as back.
fn remind(spec: &ClusterSpec, out: &mut Output) -> Result<(), Failure> {
    if let Some(version) = spec.application.rules().version {
        writeln!(
            out.notes,
            "note: the file wants members of version {version}; if the image has another, change `version` in the same commit"
        )?;
    }
    Ok(())
}
