//! The fields of a new cluster that are given by flags, by outputs of Terraform and by Packer's manifest.

use super::draft::{Draft, Field, Given, Need, SLOTS, asked};
use super::kind::Kind;
use super::objection::take;
use super::{Args, terraform};
use crate::cli::{Exit, Failure, file};
use crate::spec::words::Word;

/// The fields that were given.
pub struct Collected {
    /// The fields that passed the checks.
    pub draft: Draft,
    /// The fields that did not, each with its origin and the reason.
    pub refused: Vec<String>,
    /// The exit code if a field is refused or missing: `Error` where an output is to blame, `Usage` where a flag is.
    pub exit: Exit,
}

/// Collects the fields that outputs of Terraform and flags give. A flag takes precedence over an output.
pub fn collect(args: &Args) -> Result<Collected, Failure> {
    let flags = flags(args);
    let is_overridden = |field: Field| flags.iter().any(|(_, given)| given.field() == field);
    let mut collected = Collected { draft: Draft::default(), refused: Vec::new(), exit: Exit::Usage };
    let mut given = Vec::new();
    for read in outputs(args)?.into_iter().filter(|read| !is_overridden(read.field)) {
        let name = format!("output `{}`", read.name);
        match read.given {
            Ok(value) => given.push((name, value)),
            Err(defect) => collected.refuse_output(format!("{name} {defect}: Terraform should give {}", read.is)),
        }
    }
    given.extend(flags);
    given.sort_by_key(|(_, given)| given.field());
    for (name, given) in given {
        let kind = Kind::of(&collected.draft);
        if !is_of(kind, given.field()) {
            if !name.starts_with("output") {
                let kind = kind.word();
                collected.refused.push(format!("{name}: it has no effect, because `{kind}` has no such field"));
            }
            continue;
        }
        match take(&mut collected.draft, given) {
            Ok(()) => {}
            Err(refusal) if name.starts_with("output") => collected.refuse_output(format!("{name}: {refusal}")),
            Err(refusal) => collected.refused.push(format!("{name}: {refusal}")),
        }
    }
    collected.take_image(args)?;
    Ok(collected)
}

impl Collected {
    fn refuse_output(&mut self, refusal: String) {
        self.exit = Exit::Error;
        self.refused.push(refusal);
    }

    /// Adds the image, which may depend on the region.
    fn take_image(&mut self, args: &Args) -> Result<(), Failure> {
        let region = self.draft.text(Field::Region).map(str::to_owned);
        if args.image.manifest.is_some() && region.is_none() {
            if args.region.is_none() && args.from_terraform.is_none() {
                self.refused.push(
                    "--manifest: give --region as well, because each of Packer's images is in one region".to_owned(),
                );
            }
        } else if let Some(image) = args.image.read(&region.unwrap_or_default())? {
            self.refused.extend(take(&mut self.draft, Given::Text(Field::Image, image.to_string())).err());
        }
        Ok(())
    }
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

/// Collects the fields that flags give, without the image.
fn flags(args: &Args) -> Vec<(String, Given)> {
    let texts = [
        ("--kind", Field::Kind, &args.kind),
        ("--name", Field::Name, &args.name),
        ("--region", Field::Region, &args.region),
        ("--account", Field::Account, &args.account),
        ("--instance-type", Field::InstanceType, &args.instance_type),
        ("--instance-profile", Field::InstanceProfile, &args.instance_profile),
        ("--volume-size", Field::VolumeSize, &args.volume_size),
        ("--datacenter", Field::Datacenter, &args.datacenter),
        ("--application-version", Field::Version, &args.application_version),
        ("--scope", Field::Scope, &args.scope),
        ("--program", Field::Program, &args.program),
        ("--needed", Field::Needed, &args.needed),
        ("--leader", Field::Leader, &args.leader),
        ("--addresses", Field::Addresses, &args.addresses),
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

/// Says whether a cluster of a kind has the field.
fn is_of(kind: Kind, field: Field) -> bool {
    const OF_ALL: [Field; 4] = [Field::SecurityGroups, Field::KmsKey, Field::AutoScalingGroup, Field::Slots];
    OF_ALL.contains(&field) || asked(kind).any(|asked| asked.field == field)
}

/// Lists the fields that have no default and were not given. A field that was refused is not listed again.
pub fn missing(draft: &Draft, args: &Args) -> Vec<String> {
    let is_given = |field: Field| flags(args).iter().any(|(_, given)| given.field() == field);
    let said = |field: Field| match field {
        Field::Image => args.image.image.is_some() || args.image.manifest.is_some(),
        Field::Region if args.image.manifest.is_some() => true,
        // A missing output was refused already.
        field if terraform::gives(field) => args.from_terraform.is_some() || is_given(field),
        field => is_given(field),
    };
    let required = asked(Kind::of(draft)).filter_map(|asked| match asked.need {
        Need::Required { flag, what, .. } => Some((asked.field, flag, what)),
        Need::Default(_) | Need::Optional => None,
    });
    let lacks = required.chain([(Field::Slots, SLOTS.0, SLOTS.1)]);
    let lacks = lacks.filter(|(field, ..)| !draft.has(*field) && !said(*field));
    lacks.map(|(_, flag, what)| format!("missing {flag}: {what}")).collect()
}
