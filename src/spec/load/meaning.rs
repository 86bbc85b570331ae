//! The meaning of a file that can be read: defaults filled in, values checked one by one and against each other.
//!
//! Each check takes what is written and gives what is meant, or `None` after it has reported why not. A field that is
//! missing altogether or of the wrong type was reported by `shape` already.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::fields;
use super::find::FoundFile;
use super::names::{self, LABEL_HINT};
use super::report::Report;
use super::rollout;
use super::tags::Bearer;
use super::tree::Node;
use crate::ids::{ClusterName, ImageId};
use crate::spec::raw::{self, Spanned, Text};
use crate::spec::{Capacity, ClusterSpec, Made, Scheme};

/// The most bytes of a path that Linux takes.
const LONGEST_PATH: usize = 4_095;

/// Says what the file means; the user data is handed out beside it, because it matters even if the file is broken.
pub(super) fn of(
    root: &Node,
    found: &FoundFile,
    report: &mut Report,
    user_data: &mut Option<String>,
) -> Option<ClusterSpec> {
    let file = as_written(root, report)?;
    let mut meaning = Meaning { report, root, found };
    let spec = file.spec.unwrap_or_default();
    let name = meaning.label(&file.metadata.unwrap_or_default().name, "cluster");
    let region = meaning.region(&spec.region);
    let account = meaning.account(&spec.account);
    let image = meaning.image(&spec.image);
    let written = spec.application.unwrap_or_default();
    let application = written.meant(&mut meaning);
    let tags = meaning.tags(&["spec", "tags"], &spec.tags, Bearer::Instances);
    let shared = tags.clone().unwrap_or_default();
    let instance = meaning.instance(&spec.instance.unwrap_or_default(), region.as_deref(), &shared);
    *user_data = instance.as_ref().and_then(|instance| instance.user_data.clone());
    let written_capacity = spec.capacity.unwrap_or_default();
    let capacity = meaning.capacity(&written_capacity);
    let written_slots = spec.slots.as_deref().unwrap_or_default();
    meaning.no_addresses_in_a_group(&written_capacity.auto_scaling_group, written_slots);
    let volumes = meaning.volumes(&spec.volumes, region.as_deref(), &shared);
    let slots = meaning.slots(&spec.slots, written.slots(), region.as_deref());
    let depends_on = meaning.depends_on(spec.depends_on.as_deref().unwrap_or_default());
    let left_behind = meaning.left_behind(spec.left_behind.as_deref().unwrap_or_default());
    let rollout = rollout::of(&mut meaning, &spec.rollout.unwrap_or_default());
    meaning.no_rehearsal_of_what_cannot_be_copied(rollout.as_ref(), written.slots());
    Some(ClusterSpec {
        name: ClusterName::from(name?),
        environment: found.environment.clone(),
        region: region?,
        account,
        image: image?,
        application: application?,
        tags: tags?,
        instance: instance?,
        capacity: capacity?,
        volumes: volumes?,
        slots: slots?,
        rollout: rollout?,
        suspend: boolean(&spec.suspend, false),
        freeze: boolean(&spec.freeze, false),
        reason: self::written(&spec.reason).filter(|reason| !reason.is_empty()).map(str::to_owned),
        deletion_protection: boolean(&spec.deletion_protection, true),
        depends_on: depends_on?,
        left_behind: left_behind?,
        origin: None,
        made: Made::default(),
    })
}

/// Reads the file as it is written. The shape was checked before, with better messages than these.
fn as_written(root: &Node, report: &mut Report) -> Option<raw::Cluster> {
    match fields::as_written(root) {
        Ok(file) => Some(file),
        Err(_) if report.has_errors() => None,
        Err(error) => {
            let hint = "the file has the right shape, so this is a mistake of ours; please report it";
            report.error(None, format!("cannot read the file: {error}")).hint(hint);
            None
        }
    }
}

/// The things that the checks of one file share.
pub struct Meaning<'r, 'a> {
    pub(super) report: &'r mut Report<'a>,
    pub(super) root: &'r Node,
    /// The file, beside which relative paths begin.
    pub(super) found: &'r FoundFile,
}

impl Meaning<'_, '_> {
    /// Reads a name that can stand in a host name.
    pub fn label(&mut self, text: &Text, what: &str) -> Option<String> {
        let message = |name: &str| format!("`{name}` is no {what} name");
        self.valid(text, names::is_label, message, |_| LABEL_HINT.to_owned())
    }

    /// Reads the names of the clusters on which one stands.
    fn depends_on(&mut self, names: &[Spanned]) -> Option<BTreeSet<ClusterName>> {
        let names = names.iter().map(|name| self.label(&Some(name.clone()), "cluster").map(ClusterName::from));
        names.collect::<Vec<_>>().into_iter().collect()
    }

    /// Reads names of slots and clusters.
    fn left_behind(&mut self, names: &[Spanned]) -> Option<BTreeSet<String>> {
        let message = |name: &str| format!("`{name}` is no name of a cluster or a slot");
        let read =
            |name: &Spanned| self.valid(&Some(name.clone()), names::is_slot, message, |_| names::SLOT_HINT.to_owned());
        let names = names.iter().map(read);
        names.collect::<Vec<_>>().into_iter().collect()
    }

    fn region(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            names::is_region,
            |region| format!("`{region}` is no region"),
            |region| {
                let without = region.trim_end_matches(|c: char| c.is_ascii_lowercase());
                if names::is_region(without) {
                    format!("`{region}` is a zone; its region is `{without}`")
                } else {
                    "a region is written like `us-east-1`".to_owned()
                }
            },
        )
    }

    fn account(&mut self, text: &Text) -> Option<String> {
        let twelve_digits = |text: &str| text.len() == 12 && text.chars().all(|c| c.is_ascii_digit());
        self.valid(
            text,
            twelve_digits,
            |account| format!("`{account}` is no account id"),
            |_| "an account id has twelve digits, in quotes and without dashes: \"123456789012\"".to_owned(),
        )
    }

    fn image(&mut self, text: &Text) -> Option<ImageId> {
        let is_image = |text: &str| names::image_hint(text).is_none();
        let hint = |text: &str| names::image_hint(text).unwrap_or_default();
        self.valid(text, is_image, |image| format!("`{image}` is no image id"), hint).map(ImageId::from)
    }

    /// Reads the name of a Consul datacenter; Consul itself writes all of it in lower case.
    pub(in crate::spec) fn datacenter(&mut self, text: &Text) -> Option<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        self.valid(
            text,
            |name| (1..=64).contains(&name.len()) && name.chars().all(plain),
            |name| format!("`{name}` is no Consul datacenter"),
            |name| match name.to_lowercase() {
                lower if lower != name => format!("members say it in lower case: `{lower}`"),
                _ => "a datacenter has lower-case letters, digits, `-` and `_`".to_owned(),
            },
        )
    }

    /// Reads a DNS domain, without the dot at its end.
    pub(in crate::spec) fn domain(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            |domain| domain.len() <= 200 && domain.split('.').all(names::is_label),
            |domain| format!("`{domain}` is no domain"),
            |_| "write it as the certificates have it and without dots at its ends, e.g. `corp.example.com`".to_owned(),
        )
    }

    /// Refuses to send a secret where everybody on the way can read it, unless the file says so. A word that allows it where there
    /// is nothing to allow would allow it to a later edit that nobody thinks about.
    pub(in crate::spec) fn secret_in_clear(
        &mut self,
        what: &str,
        scheme: Scheme,
        file: &Text,
        (field, allowed): (&str, &Text),
    ) {
        let is_allowed = boolean(allowed, false);
        match (scheme, file, allowed) {
            (Scheme::Http, Some(text), _) if !is_allowed => {
                self.report
                    .error(bytes(text), format!("the {what} would be sent over plain HTTP"))
                    .label("everybody on the way could read it")
                    .hint(format!("set `scheme: https`; or write `{field}: true`, if nobody else is on the way"));
            }
            (Scheme::Https, _, Some(text)) | (_, None, Some(text)) if is_allowed => {
                let hint = format!("remove it: it would let a later edit send a {what} over plain HTTP");
                self.report.warning(bytes(text), format!("`{field}` allows nothing here")).hint(hint);
            }
            _ => {}
        }
    }

    /// Reads a version as members report it.
    pub(in crate::spec) fn version(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            is_version,
            |version| format!("`{version}` is no version"),
            |version| match version.strip_prefix('v') {
                Some(bare) => format!("leave out the `v`: `{bare}`"),
                None => "give it as members report it, e.g. `1.20.1`".to_owned(),
            },
        )
    }

    /// Reads the name of a cluster of Patroni's, which is a part of keys in its store.
    pub(in crate::spec) fn scope(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            |name| (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'),
            |name| format!("`{name}` is no scope of Patroni's"),
            |_| "give it as Patroni's own configuration has it: no spaces, no `/`, at most 100 characters".to_owned(),
        )
    }

    /// Reads a version of PostgreSQL, which has two numbers, and before 10 had three.
    pub(in crate::spec) fn postgresql_version(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            |version| (2..=3).contains(&version.split('.').count()) && version.split('.').all(is_number),
            |version| format!("`{version}` is no version of PostgreSQL"),
            |_| "give it as PostgreSQL reports it and without the packager's words, e.g. `15.18`".to_owned(),
        )
    }

    /// Reads a group's name as `CreateAutoScalingGroup` takes it: 1 to 255 characters, none of them a control character or
    /// `:`.
    fn capacity(&mut self, raw: &raw::Capacity) -> Option<Capacity> {
        let Some(_) = &raw.auto_scaling_group else { return Some(Capacity::Instances) };
        let is_name = |name: &str| {
            let fits = (1..=255).contains(&name.chars().count());
            fits && !name.starts_with("arn:") && !name.chars().any(|c| c.is_control() || c == ':')
        };
        self.valid(
            &raw.auto_scaling_group,
            is_name,
            |name| format!("`{name}` is no name of an Auto Scaling group"),
            |_| "give the group's name, not its ARN: at most 255 characters, and no `:`".to_owned(),
        )
        .map(Capacity::AutoScalingGroup)
    }

    /// Reports one of two fields that are of use only together.
    pub(in crate::spec) fn both(&mut self, one: (&str, &Text), other: (&str, &Text)) -> Option<()> {
        let (text, given, missing) = match (one, other) {
            ((given, Some(text)), (missing, None)) | ((missing, None), (given, Some(text))) => (text, given, missing),
            ((_, Some(_)), (_, Some(_))) | ((_, None), (_, None)) => return Some(()),
        };
        self.report
            .error(bytes(text), format!("`{given}` is of no use without `{missing}`"))
            .hint(format!("add `{missing}`, or leave out `{given}`"));
        None
    }

    /// Reports each field that is given although the AdminServer of ZooKeeper is off, and of which only that makes use.
    pub(in crate::spec) fn without_admin_server<'w>(&mut self, fields: impl IntoIterator<Item = (&'w str, &'w Text)>) {
        for (name, text) in fields.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            self.report
                .error(bytes(text), format!("`{name}` is of no use without the AdminServer"))
                .label("four-letter words are said in the clear")
                .hint("leave it out, or turn the AdminServer on and remove `adminServer: false`");
        }
    }

    /// Reads a port.
    pub(in crate::spec) fn port(&mut self, text: &Text, default: u16) -> Option<u16> {
        let Some(text) = text else { return Some(default) };
        let port = text.value.parse::<u16>().ok().filter(|port| *port > 0 && !text.value.starts_with('0'));
        if port.is_none() {
            self.report
                .error(bytes(text), format!("`{}` is no port", text.value))
                .hint("a port is a number from 1 to 65535");
        }
        port
    }

    /// Gives a path as seen from where the controller runs. As written, a path is relative to the file.
    pub(in crate::spec) fn beside(&mut self, text: &Text) -> Option<String> {
        let folder = self.found.path.parent().unwrap_or(Path::new(""));
        if let Some(text) = text.as_ref().filter(|text| text.value.trim().is_empty()) {
            self.report.error(bytes(text), "an empty path").hint("name a file, or remove the field");
        }
        if let Some(text) = text.as_ref().filter(|text| text.value.len() > LONGEST_PATH) {
            self.report
                .error(bytes(text), format!("a path of more than {LONGEST_PATH} bytes"))
                .hint("no system opens a file by such a path");
        }
        written(text).map(|path| folder.join(path).to_string_lossy().into_owned())
    }

    /// Reports every text that is used a second time.
    pub fn unique<'t>(&mut self, texts: impl Iterator<Item = &'t Text>, things: &str, field: &str) {
        let mut first: BTreeMap<&str, &Spanned> = BTreeMap::new();
        for text in texts.flatten() {
            if let Some(first) = first.get(&*text.value) {
                let line = self.report.line(first.bytes().start);
                self.report
                    .error(bytes(text), format!("two {things} with the {field} `{}`", text.value))
                    .label(format!("first used in line {line}"))
                    .hint(format!("give each its own {field}"));
            } else {
                first.insert(&text.value, text);
            }
        }
    }

    /// Reads a quantity, or reports what to write instead.
    pub fn quantity<T>(&mut self, text: &Text, read: fn(&str) -> Result<T, String>, what: &str) -> Option<T> {
        let text = text.as_ref()?;
        match read(&text.value) {
            Ok(value) => Some(value),
            Err(hint) => {
                self.report.error(bytes(text), format!("`{}` is no {what}", text.value)).hint(hint);
                None
            }
        }
    }

    /// Gives the text if it is valid, or reports a message and a hint about it.
    pub fn valid(
        &mut self,
        text: &Text,
        is_valid: impl Fn(&str) -> bool,
        message: impl Fn(&str) -> String,
        hint: impl Fn(&str) -> String,
    ) -> Option<String> {
        let text = text.as_ref()?;
        if is_valid(&text.value) {
            return Some(text.value.clone());
        }
        self.report.error(bytes(text), message(&text.value)).hint(hint(&text.value));
        None
    }
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(is_number)
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

/// Gives what is written, if anything is.
pub fn written(text: &Text) -> Option<&str> {
    text.as_ref().map(|text| text.value.as_str())
}

/// Reads a boolean.
pub fn boolean(text: &Text, default: bool) -> bool {
    written(text).map_or(default, |text| text.eq_ignore_ascii_case("true"))
}

/// Finds where a value is written.
pub fn bytes(spanned: &Spanned) -> Range<usize> {
    spanned.bytes()
}
