//! `init`: writes a first desired-state file, from Terraform's outputs, from flags, or by asking.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::input::text;
use crate::spec::load::{check, load};
use crate::spec::render;

use super::{Exit, Failure, Output, file, image};

mod compose;
mod draft;
mod questions;
mod terminal;
mod terraform;

use draft::{Draft, Field, Given, REQUIRED, Slot};
use questions::{Ask, Question};
use terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  hermitcrab init
      Ask for all that is needed, and check each answer
  terraform -chdir=infra output -json | hermitcrab init desired-state/prod/consul.yaml --from-terraform - \\
      --manifest packer-manifest.json
      Take the ground from Terraform and the image from Packer
  hermitcrab init - --name consul-dev --region us-east-1 --image ami-0aaaaaaaaaaaaaaaa \\
      --slot consul-a=us-east-1a:subnet-0aaaaaaaaaaaaaaaa
      Say all of it, and write to stdout

On a terminal it asks for what was not said; elsewhere it names what is missing. A file that exists is left alone.

Exit codes:
  0  written
  1  nothing was written
  64 nothing was written, and other flags are needed";

/// Write a first desired-state file, from Terraform's outputs, from flags, or by asking
///
/// What is written has passed the same checks as `validate` makes. Nothing in AWS is looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write, `-` for stdout; left out, desired-state/NAME.yaml
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    /// What `terraform output -json` wrote; `-` reads stdin. Flags win over it
    #[arg(long, value_name = "JSON")]
    from_terraform: Option<PathBuf>,
    #[command(flatten)]
    image: image::Args,
    /// The cluster's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The AWS region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The AWS account, as a guard
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// A seat of the cluster; once a slot
    #[arg(long = "slot", value_name = "NAME=ZONE:SUBNET", value_parser = slot)]
    slots: Vec<Slot>,
    /// The instance type; left out, m7i.large
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// The name of the members' instance profile
    #[arg(long, value_name = "NAME")]
    instance_profile: Option<String>,
    /// A security group of the members; may be given several times
    #[arg(long = "security-group", value_name = "SG")]
    security_groups: Vec<String>,
    /// How large each member's data volume is; left out, 20GiB
    #[arg(long, value_name = "SIZE")]
    volume_size: Option<String>,
    /// Consul's datacenter; left out, dc1
    #[arg(long, value_name = "NAME")]
    datacenter: Option<String>,
    /// The Consul version in the image
    #[arg(long, value_name = "VERSION")]
    consul_version: Option<String>,
    /// An Auto Scaling group to adopt
    #[arg(long, value_name = "NAME")]
    auto_scaling_group: Option<String>,
}

fn slot(text: &str) -> Result<Slot, String> {
    let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(':')?)));
    let (name, (zone, subnet)) = parts.ok_or("write it as NAME=ZONE:SUBNET")?;
    Ok(Slot { name: name.into(), zone: zone.into(), subnet: subnet.into() })
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(path) = &args.path {
        can_be_written(path)?;
    }
    let Collected { mut draft, wrong, exit } = collect(args)?;
    let mut lacking = Lacking(wrong);
    let asks = lacking.0.is_empty() && Terminal::is_there();
    if asks {
        questions::ask(&mut draft, &mut Terminal)?;
    } else {
        lacking.0.extend(missing(&draft, args));
        if !lacking.0.is_empty() {
            let failure = Failure::new(lacking).hint("nothing was written; `hermitcrab init` on a terminal asks");
            return Err(Failure { exit, ..failure });
        }
    }
    let draft = draft.with_defaults();
    let path = match &args.path {
        Some(path) => path.clone(),
        None => place(&draft, asks)?,
    };
    write(&draft, &path, out)
}

/// What flags and Terraform said.
struct Collected {
    draft: Draft,
    /// What cannot be so, and who said it.
    wrong: Vec<String>,
    /// How it ends if something is wrong or missing: it is Terraform's doing, or that of the flags.
    exit: Exit,
}

fn collect(args: &Args) -> Result<Collected, Failure> {
    let flags = flags(args);
    let overridden = |field: Field| flags.iter().any(|(_, given)| given.field() == field);
    let mut exit = Exit::Usage;
    let mut wrong = Vec::new();
    let mut said: Vec<(String, Given)> = Vec::new();
    for read in outputs(args)?.into_iter().filter(|read| !overridden(read.field)) {
        let name = format!("output `{}`", read.name);
        match read.given {
            Ok(given) => said.push((name, given)),
            Err(defect) => {
                exit = Exit::Error;
                wrong.push(format!("{name} {defect}: Terraform should give {}", read.is));
            }
        }
    }
    said.extend(flags);
    said.sort_by_key(|(_, given)| given.field());
    let mut draft = Draft::default();
    for (name, given) in said {
        if let Err(objection) = draft.take(given) {
            if name.starts_with("output") {
                exit = Exit::Error;
            }
            wrong.push(format!("{name}: {objection}"));
        }
    }
    let region = draft.text(Field::Region).map(str::to_owned);
    if args.image.manifest.is_some() && region.is_none() {
        if args.region.is_none() && args.from_terraform.is_none() {
            wrong.push("--manifest: say the --region too, because each of Packer's images is of one region".to_owned());
        }
    } else if let Some(image) = args.image.read(&region.unwrap_or_default())? {
        wrong.extend(draft.take(Given::Text(Field::Image, image.to_string())).err());
    }
    Ok(Collected { draft, wrong, exit })
}

fn outputs(args: &Args) -> Result<Vec<terraform::Read>, Failure> {
    let Some(path) = &args.from_terraform else { return Ok(Vec::new()) };
    let text =
        file::read_text(path).map_err(|failure| failure.hint("give the file that `terraform output -json` wrote"))?;
    terraform::read(&text).map_err(|error| {
        let hint = error.hint();
        Failure::new(file::FileError::new(path, "used", error)).hint(hint)
    })
}

/// What the flags say, but for the image: which one it is may depend on the region.
fn flags(args: &Args) -> Vec<(String, Given)> {
    let texts = [
        ("--name", Field::Name, &args.name),
        ("--region", Field::Region, &args.region),
        ("--account", Field::Account, &args.account),
        ("--instance-type", Field::InstanceType, &args.instance_type),
        ("--instance-profile", Field::InstanceProfile, &args.instance_profile),
        ("--volume-size", Field::VolumeSize, &args.volume_size),
        ("--datacenter", Field::Datacenter, &args.datacenter),
        ("--consul-version", Field::Version, &args.consul_version),
        ("--auto-scaling-group", Field::AutoScalingGroup, &args.auto_scaling_group),
    ];
    let mut flags: Vec<_> = texts
        .into_iter()
        .filter_map(|(flag, field, text)| Some((flag.to_owned(), Given::Text(field, text.clone()?))))
        .collect();
    if !args.security_groups.is_empty() {
        flags.push(("--security-group".to_owned(), Given::SecurityGroups(args.security_groups.clone())));
    }
    if !args.slots.is_empty() {
        flags.push(("--slot".to_owned(), Given::Slots(args.slots.clone())));
    }
    flags
}

/// What nobody said and has no default. What was said and is wrong has been reported already.
fn missing(draft: &Draft, args: &Args) -> Vec<String> {
    let said = |field: Field| match field {
        Field::Image => args.image.image.is_some() || args.image.manifest.is_some(),
        Field::Region if args.image.manifest.is_some() => true,
        // Of an output that is not there it was said already that Terraform should give it.
        _ => args.from_terraform.is_some() || flags(args).iter().any(|(_, given)| given.field() == field),
    };
    let lacks = REQUIRED.iter().filter(|(field, ..)| !draft.has(*field) && !said(*field));
    lacks.map(|(_, flag, what)| format!("missing {flag}: {what}")).collect()
}

/// All that keeps the file from being written, a line each.
#[derive(Debug)]
struct Lacking(Vec<String>);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was said does not make a file yet")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Lacking {}

/// Where the file goes if nobody said so with an argument.
fn place(draft: &Draft, asks: bool) -> Result<PathBuf, Failure> {
    let default = format!("desired-state/{}.yaml", draft.text(Field::Name).unwrap_or_default());
    if !asks {
        can_be_written(Path::new(&default))?;
        return Ok(default.into());
    }
    let question = Question { text: "Which file shall it be written to?".to_owned(), default: Some(default) };
    let right = |answer: &str| can_be_written(Path::new(answer)).map_err(|failure| failure.error.to_string());
    Terminal.ask(&question, &right).map(PathBuf::from)
}

/// Whether a file of that name would be found, and is not there yet.
fn can_be_written(path: &Path) -> Result<(), Failure> {
    let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if path == Path::new("-") {
        Ok(())
    } else if is_hidden || !is_yaml {
        Err(Failure::new(format!("{} would not be found as a desired-state file", text::path(path)))
            .hint("give it a name that ends in `.yaml` and does not begin with a dot"))
    } else if fs::symlink_metadata(path).is_ok() {
        Err(Failure::new(format!("{} exists already, and is left alone", text::path(path)))
            .hint("give another file; `hermitcrab promote` writes another image into one that exists"))
    } else {
        Ok(())
    }
}

/// Checks the whole file once more, and writes it.
fn write(draft: &Draft, path: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let text = compose::compose(draft, path);
    let loaded = check(path, &text);
    let color = out.colors_notes();
    write!(out.notes, "{}", render::text(&loaded, color))?;
    let Some((_, spec)) = loaded.specs().next() else {
        return Err(Failure::new("what was said makes no file that can be used, so nothing was written")
            .hint("the problems above show what would have been written; say it with other flags"));
    };
    if path == Path::new("-") {
        write!(out.data, "{text}")?;
        return Ok(Exit::Done);
    }
    refuse_second(&spec.name, path)?;
    file::create(path, &text)?;
    let shown = text::path(path);
    let another = if &*spec.image == ANOTHER[0] { ANOTHER[1] } else { ANOTHER[0] };
    let slots = if spec.slots.len() == 1 { "slot" } else { "slots" };
    writeln!(out.data, "wrote {shown}: cluster {}, {} {slots}", spec.name, spec.slots.len())?;
    writeln!(out.notes, " next: hermitcrab simulate {shown} --image {another}")?;
    writeln!(out.notes, "       commit it; `hermitcrab run` then creates what is not there yet")?;
    Ok(Exit::Done)
}

/// To simulate takes another image than the file's; any will do.
const ANOTHER: [&str; 2] = ["ami-0bbbbbbbbbbbbbbbb", "ami-0cccccccccccccccc"];

/// Two files that declare one cluster would both be refused.
fn refuse_second(name: &str, path: &Path) -> Result<(), Failure> {
    let all = path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "desired-state"));
    let Some(folder) = all.or(path.parent()).filter(|folder| folder.is_dir()) else { return Ok(()) };
    let loaded = load(&[folder.to_owned()]);
    match loaded.files.values().find(|file| file.name.as_deref() == Some(name)) {
        Some(file) => Err(Failure::new(format!("cluster `{name}` is declared already in {}", text::path(&file.path)))
            .hint("give this one another --name; nothing was written")),
        None => Ok(()),
    }
}
