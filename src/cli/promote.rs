//! `promote`: writes another image into a desired-state file, and changes nothing else in it.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::ids::ImageId;
use crate::input::text;
use crate::spec::load::{Loaded, load};
use crate::spec::splice::{self, SpliceError, Spliced};
use crate::spec::{ClusterSpec, render};

use super::desired::unknown;
use super::{Exit, Failure, Output, file, image};

const EXAMPLES: &str = "\
Examples:
  hermitcrab promote desired-state/prod/consul.yaml --image ami-0bbbbbbbbbbbbbbbb
      Write the image into the file; commit it, and the cluster goes there
  hermitcrab promote desired-state/prod/consul.yaml --manifest packer-manifest.json
      Take the image that Packer built last for the cluster's region
  hermitcrab promote desired-state --cluster consul-prod --image ami-0bbbbbbbbbbbbbbbb --dry-run
      Find the file by its cluster, and only show the line that would change

Exit codes:
  0  written, or the file has that image already
  1  nothing was changed";

/// Write another image into a desired-state file, and change nothing else in it
///
/// Comments, quotes, the order of fields and the ends of lines stay as they are. Nothing but the file is looked at:
/// whether there is such an image is for `plan` and `doctor` to say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("which").args(["image", "manifest"]).required(true))]
pub struct Args {
    /// The file, or a folder with `--cluster`
    #[arg(value_name = "FILE")]
    path: PathBuf,
    #[command(flatten)]
    image: image::Args,
    /// The cluster, where the path declares several; otherwise a guard
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// How the change is written: text for people, json for programs
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// What was changed, or would be.
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
    let loaded = load(std::slice::from_ref(&args.path));
    let color = out.colors_notes();
    write!(out.notes, "{}", render::text(&loaded, color))?;
    let (path, spec) = chosen(args, &loaded)?;
    let Some(to) = args.image.read(&spec.region)? else {
        return Err(Failure::new("no image is named").hint("give --image, or --manifest"));
    };
    let before: &str = loaded.files.get(path).map_or("", |file| &file.text);
    let spliced = splice::image(path, before, spec, &to).map_err(|error| refused(path, error))?;
    let written = to != spec.image && !args.dry_run;
    if written {
        file::replace(path, before, &spliced.text)?;
    }
    match args.output {
        Format::Text => tell(args, path, spec, &to, before, &spliced, out)?,
        Format::Json => out.json(&Change {
            format_version: "1.0",
            cluster: &spec.name,
            file: path.display().to_string(),
            line: spliced.place.line,
            from: &spec.image,
            to: &to,
            written,
        })?,
    }
    if to != spec.image {
        remind(spec, out)?;
    }
    Ok(Exit::Done)
}

/// The one cluster that is meant, with its file.
fn chosen<'l>(args: &Args, loaded: &'l Loaded) -> Result<(&'l Path, &'l ClusterSpec), Failure> {
    let specs: Vec<_> = loaded.specs().collect();
    let names = || specs.iter().map(|(_, spec)| &*spec.name);
    let shown = text::path(&args.path);
    match (&args.cluster, specs.as_slice()) {
        (_, []) => Err(Failure::new(format!("no file of {shown} can be used, so nothing was changed"))
            .hint("mend the problems above; `hermitcrab validate` checks files alone")),
        (Some(name), _) => specs
            .iter()
            .find(|(_, spec)| *spec.name == **name)
            .copied()
            .ok_or_else(|| unknown("cluster", name, names())),
        (None, [only]) => Ok(*only),
        (None, _) => Err(Failure::new(format!("{shown} declares several clusters"))
            .hint(format!("name a file, or one of them with --cluster: {}", names().collect::<Vec<_>>().join(", ")))),
    }
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

/// What changed, and where; with the line before and after if it was only asked about.
fn tell(
    args: &Args,
    path: &Path,
    spec: &ClusterSpec,
    to: &ImageId,
    before: &str,
    spliced: &Spliced,
    out: &mut Output,
) -> Result<(), Failure> {
    let (name, from, at) = (&spec.name, &spec.image, format!("{}:{}", text::path(path), spliced.place.line));
    if to == from {
        writeln!(out.data, "{name}: the image is {to} already ({at})")?;
    } else if args.dry_run {
        let line = |text: &str| text.lines().nth(spliced.place.line - 1).unwrap_or_default().to_owned();
        writeln!(out.data, "{name}: the image would change ({at})\n- {}\n+ {}", line(before), line(&spliced.text))?;
    } else {
        writeln!(out.data, "{name}: image {from} → {to} ({at})")?;
    }
    Ok(())
}

/// A member that reports another version than the file wants does not count as back.
fn remind(spec: &ClusterSpec, out: &mut Output) -> Result<(), Failure> {
    if let Some(version) = spec.application.rules().version {
        writeln!(
            out.notes,
            "note: the file wants version {version} of its members; if the image has another, change `version` in the same commit"
        )?;
    }
    Ok(())
}
