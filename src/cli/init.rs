//! `init`: writes a first desired-state file, from Terraform's outputs, from flags, or by asking.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::input::text;
use crate::spec::load::{check, load};
use crate::spec::render;

use super::plan::counted;
use super::validate::can_spare_one;
use super::{Exit, Failure, Output, file, image};

mod draft;
mod kind;

mod compose;
mod objection;

mod collect;
mod questions;
mod terminal;
pub mod terraform;

use collect::Collected;
use draft::{Draft, Field, Slot};
use questions::{Ask, Question};
use terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  hermitcrab init
      Ask for every field that is needed, and check each answer
  terraform -chdir=infra output -json | hermitcrab init desired-state/prod/consul.yaml --from-terraform - \\
      --manifest packer-manifest.json
      Take the network and the account from Terraform, and the image from Packer
  hermitcrab init - --name consul-dev --region us-east-1 --image ami-0aaaaaaaaaaaaaaaa \\
      --slot consul-a=us-east-1a:subnet-0aaaaaaaaaaaaaaaa
      Give every field by a flag, and write to stdout
  hermitcrab init - --kind etcd --name etcd-dev --region us-east-1 --image ami-0aaaaaaaaaaaaaaaa \\
      --application-version 3.5.16 --slot etcd-a=us-east-1a:subnet-0aaaaaaaaaaaaaaaa:10.0.1.10
      The same for etcd, whose new clusters need fixed addresses

Where a field is missing that a file must have, the command asks on a terminal, and elsewhere names what is missing. An
existing file is never changed.

Exit codes:
  0  written
  1  nothing was written
  64 nothing was written, and other flags are needed";

/// Write a first desired-state file, from Terraform's outputs, from flags, or by asking
///
/// The file passes the same checks as in `validate`. Nothing is read from AWS.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write, `-` for stdout [default: desired-state/NAME.yaml]
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    /// The output of `terraform output -json`; `-` reads stdin. A flag takes precedence over an output
    #[arg(long, value_name = "JSON")]
    from_terraform: Option<PathBuf>,
    #[command(flatten)]
    image: image::Args,
    /// The kind of application: consul, etcd, patroni, zookeeper, or command for any other [default: consul]
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The cluster's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The AWS region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The AWS account, as a guard
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// A slot of the cluster; given once a slot
    #[arg(long = "slot", value_name = "NAME=ZONE:SUBNET[:ADDRESS]", value_parser = slot)]
    slots: Vec<Slot>,
    /// The instance type [default: m7i.large]
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// The name of the members' instance profile
    #[arg(long, value_name = "NAME")]
    instance_profile: Option<String>,
    /// A security group of the members; may be given several times
    #[arg(long = "security-group", value_name = "SG")]
    security_groups: Vec<String>,
    /// The size of each member's data volume [default: 20GiB]
    #[arg(long, value_name = "SIZE")]
    volume_size: Option<String>,
    /// Consul's datacenter [default: dc1]
    #[arg(long, value_name = "NAME")]
    datacenter: Option<String>,
    /// The application's version in the image; for etcd, PostgreSQL and ZooKeeper it must be known
    #[arg(long, value_name = "VERSION", alias = "consul-version")]
    application_version: Option<String>,
    /// The cluster's name in Patroni's own configuration
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// The program of the kind `command`, by its path from the file that is written
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
    /// The members of the kind `command` that must be healthy: quorum, one or all-but-one
    #[arg(long, value_name = "WORD")]
    needed: Option<String>,
    /// The leader's place in the order of replacements, for the kind `command`: last, first, or none where no member leads
    #[arg(long, value_name = "WORD")]
    leader: Option<String>,
    /// The addresses at which members of the kind `command` may come back: fixed or any
    #[arg(long, value_name = "WORD")]
    addresses: Option<String>,
    /// An Auto Scaling group to adopt
    #[arg(long, value_name = "NAME")]
    auto_scaling_group: Option<String>,
}

fn slot(text: &str) -> Result<Slot, String> {
    let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(':')?)));
    let (name, (zone, rest)) = parts.ok_or("write it as NAME=ZONE:SUBNET or NAME=ZONE:SUBNET:ADDRESS")?;
    let (subnet, address) = rest.split_once(':').map_or((rest, None), |(subnet, address)| (subnet, Some(address)));
    let address = address.map(Into::into);
    Ok(Slot { name: name.into(), zone: zone.into(), subnet: subnet.into(), address, cidr: None })
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(path) = &args.path {
        can_be_written(path)?;
    }
    let Collected { mut draft, refused, exit } = collect::collect(args)?;
    let asks = refused.is_empty() && Terminal::is_there() && !collect::missing(&draft, args).is_empty();
    if asks {
        questions::ask(&mut draft, &mut Terminal)?;
    } else {
        let obstacles: Vec<_> = refused.into_iter().chain(collect::missing(&draft, args)).collect();
        if !obstacles.is_empty() {
            let failure = Failure::new(Incomplete(obstacles));
            return Err(Failure { exit, ..failure }.hint("nothing was written; `hermitcrab init` on a terminal asks"));
        }
    }
    let draft = draft.with_defaults();
    let path = match &args.path {
        Some(path) => path.clone(),
        None => place(&draft, asks)?,
    };
    write(&draft, &path, out)
}

/// The reasons why no file can be written, a line each.
#[derive(Debug)]
struct Incomplete(Vec<String>);

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fields that were given do not make a file")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Incomplete {}

/// Chooses the file's path where no argument gives it.
fn place(draft: &Draft, asks: bool) -> Result<PathBuf, Failure> {
    let default = format!("desired-state/{}.yaml", draft.text(Field::Name).unwrap_or_default());
    if !asks {
        can_be_written(Path::new(&default))?;
        return Ok(default.into());
    }
    let question = Question { text: "Which file should be written?".to_owned(), default: Some(default) };
    let right = |answer: &str| can_be_written(Path::new(answer)).map_err(|failure| failure.error.to_string());
    Terminal.ask(&question, &right).map(PathBuf::from)
}

/// Checks that a file of that name would be found, and does not exist yet.
fn can_be_written(path: &Path) -> Result<(), Failure> {
    let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if path == Path::new("-") {
        Ok(())
    } else if is_hidden || !is_yaml {
        Err(Failure::new(format!("{} would not be found as a desired-state file", text::path(path)))
            .hint("give it a name that ends in `.yaml` and does not begin with a dot"))
    } else if fs::symlink_metadata(path).is_ok() {
        Err(Failure::new(format!("{} exists already, and is never changed", text::path(path)))
            .hint("give another file; `hermitcrab promote` writes another image into an existing file"))
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
        return Err(Failure::new("the fields that were given do not make a usable file, so nothing was written")
            .hint("the problems above show what would have been written; give other flags"));
    };
    if path == Path::new("-") {
        write!(out.data, "{text}")?;
        return Ok(Exit::Done);
    }
    refuse_second(&spec.name, path)?;
    file::create(path, &text)?;
    let shown = text::path(path);
    let another = if &*spec.image == ANOTHER[0] { ANOTHER[1] } else { ANOTHER[0] };
    writeln!(out.data, "wrote {shown}: cluster {}, {}", spec.name, counted(spec.slots.len(), "slot"))?;
    writeln!(out.notes, " next: hermitcrab simulate {shown} --image {another}")?;
    writeln!(out.notes, "       commit it; `hermitcrab run` then creates the instances and volumes")?;
    let schema = compose::schema_beside(path);
    if !schema.exists() {
        let (folder, schema) = (text::path(schema.parent().unwrap_or(Path::new("."))), text::path(&schema));
        writeln!(
            out.notes,
            "       mkdir -p {folder} && hermitcrab schema > {schema}   # for editors; the file names it"
        )?;
    }
    if !can_spare_one(spec) {
        let enough = if compose::least_with_a_spare(draft) == 2 { "two" } else { "three" };
        writeln!(
            out.notes,
            " note: so few slots are created and healed, and never upgraded; declare {enough} for that"
        )?;
    }
    Ok(Exit::Done)
}

/// Images for the example of `simulate`, which needs another one than the file's.
const ANOTHER: [&str; 2] = ["ami-0bbbbbbbbbbbbbbbb", "ami-0cccccccccccccccc"];

/// Refuses a second file for a cluster: both files would be refused then.
fn refuse_second(name: &str, path: &Path) -> Result<(), Failure> {
    let all = path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "desired-state"));
    let Some(folder) = all.or(path.parent()).filter(|folder| folder.is_dir()) else { return Ok(()) };
    let loaded = load(&[folder.to_owned()]);
    match loaded.files.values().find(|file| file.name.as_deref() == Some(name)) {
        Some(file) => Err(Failure::new(format!("cluster `{name}` is declared in {} already", text::path(&file.path)))
            .hint("give another --name; nothing was written")),
        None => Ok(()),
    }
}
