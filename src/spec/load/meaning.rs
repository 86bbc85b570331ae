//! The meaning of a file that can be read: defaults filled in, values checked one by one and against each other.
//!
//! Each check takes what is written and gives what is meant, or `None` after it has reported why not. What is
//! missing altogether or of the wrong type, `shape` has reported already.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};

use super::find::{FoundFile, cause};
use super::names::{self, LABEL_HINT};
use super::tree::Node;
use super::{Report, quantity, read, rollout};
use crate::ids::{ClusterName, ImageId, SlotName, VolumeName, Zone};
use crate::spec::raw::{self, Text};
use crate::spec::{ApplicationSpec, ClusterSpec, ConsulSpec, InstanceSpec, Scheme, SlotSpec, VolumeSpec, quorum};

/// EC2 takes no more, before it is encoded.
const LARGEST_USER_DATA: usize = 16 * 1024;
/// EC2 takes 50 tags on an instance; ten are kept for our own.
const MOST_TAGS: usize = 40;

/// What the file means; the user data is handed out beside it, because it matters even if the file is broken.
pub fn of(root: &Node, found: &FoundFile, report: &mut Report, user_data: &mut Option<String>) -> Option<ClusterSpec> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::FirstWins,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
    };
    let file: raw::Cluster = match serde_saphyr::from_str_with_options(report.text, options) {
        Ok(file) => file,
        Err(_) if report.has_errors() => return None,
        Err(error) => {
            report.error(None, format!("cannot read the file: {error}"));
            return None;
        }
    };
    let mut meaning = Meaning { report, root, folder: found.path.parent().unwrap_or(Path::new("")) };
    let spec = file.spec.unwrap_or_default();
    let name = meaning.label(&file.metadata.unwrap_or_default().name, "cluster");
    let region = meaning.region(&spec.region);
    let account = meaning.account(&spec.account);
    let image = meaning.image(&spec.image);
    let application = meaning.consul(&spec.application.unwrap_or_default().consul.unwrap_or_default());
    let instance = meaning.instance(&spec.instance.unwrap_or_default());
    *user_data = instance.as_ref().and_then(|instance| instance.user_data.clone());
    let volumes = meaning.volumes(&spec.volumes);
    let slots = meaning.slots(&spec.slots, region.as_deref());
    let rollout = rollout::of(&mut meaning, &spec.rollout.unwrap_or_default());
    Some(ClusterSpec {
        name: ClusterName::from(name?),
        environment: found.environment.clone(),
        region: region?,
        account,
        image: image?,
        application: ApplicationSpec::Consul(application?),
        instance: instance?,
        volumes: volumes?,
        slots: slots?,
        rollout: rollout?,
        suspend: boolean(&spec.suspend, false),
        freeze: boolean(&spec.freeze, false),
        deletion_protection: boolean(&spec.deletion_protection, true),
    })
}

/// What the checks of one file share.
pub struct Meaning<'r, 'a> {
    pub report: &'r mut Report<'a>,
    pub root: &'r Node,
    /// The folder that relative paths begin in.
    folder: &'r Path,
}

impl Meaning<'_, '_> {
    fn label(&mut self, text: &Text, what: &str) -> Option<String> {
        let message = |name: &str| format!("`{name}` is no {what} name");
        self.valid(text, names::is_label, message, |_| LABEL_HINT.to_owned())
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

    fn consul(&mut self, raw: &raw::Consul) -> Option<ConsulSpec> {
        let scheme = match written(&raw.scheme) {
            Some("https") => Scheme::Https,
            _ => Scheme::Http,
        };
        let version = self.valid(
            &raw.version,
            is_version,
            |version| format!("`{version}` is no version"),
            |version| match version.strip_prefix('v') {
                Some(bare) => format!("leave out the `v`: `{bare}`"),
                None => "give it as members report it, e.g. `1.20.1`".to_owned(),
            },
        );
        let default_port = if scheme == Scheme::Https { 8501 } else { 8500 };
        Some(ConsulSpec {
            datacenter: written(&raw.datacenter).unwrap_or("dc1").to_owned(),
            scheme,
            port: self.port(&raw.port, default_port)?,
            ca_file: self.beside(&raw.ca_file),
            token_file: self.beside(&raw.token_file),
            version,
            manage_autopilot: boolean(&raw.manage_autopilot, false),
        })
    }

    fn port(&mut self, text: &Text, default: u16) -> Option<u16> {
        let Some(text) = text else { return Some(default) };
        let port = text.value.parse::<u16>().ok().filter(|port| *port > 0);
        if port.is_none() {
            self.report
                .error(bytes(text), format!("`{}` is no port", text.value))
                .hint("a port is a number from 1 to 65535");
        }
        port
    }

    /// A path as seen from where the controller runs: what is written is relative to the file.
    fn beside(&self, text: &Text) -> Option<String> {
        written(text).map(|path| self.folder.join(path).to_string_lossy().into_owned())
    }

    fn instance(&mut self, raw: &raw::Instance) -> Option<InstanceSpec> {
        let is_type = |text: &str| {
            text.split_once('.').is_some_and(|(family, size)| names::is_id(family, "") && names::is_id(size, ""))
        };
        let instance_type = self.valid(
            &raw.instance_type,
            is_type,
            |text| format!("`{text}` is no instance type"),
            |_| "an instance type is written like `m7i.large`".to_owned(),
        );
        let security_groups = raw.security_groups.iter().flatten();
        let security_groups: Option<BTreeSet<_>> = security_groups.map(|group| self.security_group(group)).collect();
        let tags = self.tags(raw.tags.as_ref());
        let user_data = self.user_data(&raw.user_data_file);
        Some(InstanceSpec {
            instance_type: instance_type?,
            iam_instance_profile: self.profile(&raw.iam_instance_profile),
            security_groups: security_groups?,
            key_name: written(&raw.key_name).map(str::to_owned),
            user_data,
            tags: tags?,
        })
    }

    fn profile(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            |name| !name.starts_with("arn:"),
            |_| "an ARN where a name belongs".to_owned(),
            |arn| format!("give the instance profile's name: `{}`", arn.rsplit('/').next().unwrap_or_default()),
        )
    }

    fn security_group(&mut self, group: &Spanned<String>) -> Option<String> {
        if names::is_id(&group.value, "sg-") {
            return Some(group.value.clone());
        }
        self.report
            .error(bytes(group), format!("`{}` is no security group id", group.value))
            .hint("give the group's id, `sg-…`, not its name");
        None
    }

    fn tags(&mut self, raw: Option<&BTreeMap<String, Spanned<String>>>) -> Option<BTreeMap<String, String>> {
        let before = self.report.problems.len();
        for (key, value) in raw.into_iter().flatten() {
            let at = self.root.key(&["spec", "instance", "tags", key]).unwrap_or(bytes(value));
            if let Some(prefix) = ["hermitcrab:", "aws:"].iter().find(|prefix| key.to_lowercase().starts_with(**prefix))
            {
                let owner = if *prefix == "aws:" { "AWS" } else { "the controller" };
                self.report
                    .error(at, format!("the tag prefix `{prefix}` is kept for {owner}"))
                    .hint("give the tag another name");
            } else if key.chars().count() > 128 || value.value.chars().count() > 256 {
                self.report
                    .error(at, "the tag is too long")
                    .hint("EC2 takes 128 characters for a name and 256 for a value");
            }
        }
        if raw.map_or(0, BTreeMap::len) > MOST_TAGS {
            self.report
                .error(self.root.key(&["spec", "instance", "tags"]), format!("more than {MOST_TAGS} tags"))
                .hint("EC2 takes 50, and the controller needs some for itself");
        }
        let tags = raw.into_iter().flatten().map(|(key, value)| (key.clone(), value.value.clone())).collect();
        (self.report.problems.len() == before).then_some(tags)
    }

    fn user_data(&mut self, text: &Text) -> Option<String> {
        let text = text.as_ref()?;
        let path = self.folder.join(&text.value);
        let problem = match read::at_most(&path, LARGEST_USER_DATA).map(String::from_utf8) {
            Ok(Ok(user_data)) => return Some(user_data),
            Ok(Err(_)) => ("the user data is not UTF-8".to_owned(), "save the file as UTF-8"),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => (
                "the user data is larger than 16 KiB".to_owned(),
                "EC2 takes no more; let a short script fetch the rest",
            ),
            Err(error) => {
                (format!("cannot read the user data: {}", cause(&error)), "the path is relative to this file")
            }
        };
        self.report.error(bytes(text), problem.0).hint(problem.1);
        None
    }

    fn volumes(&mut self, raw: &Option<Vec<raw::Volume>>) -> Option<Vec<VolumeSpec>> {
        let raw = raw.as_ref()?;
        if raw.is_empty() {
            self.report
                .error(self.root.key(&["spec", "volumes"]), "no volumes")
                .hint("declare at least one: a member's data must outlive its instance");
        }
        self.unique(raw.iter().map(|volume| &volume.name), "volumes", "name");
        self.unique(raw.iter().map(|volume| &volume.device), "volumes", "device");
        let volumes: Vec<_> = raw.iter().map(|volume| self.volume(volume)).collect();
        volumes.into_iter().collect()
    }

    fn volume(&mut self, raw: &raw::Volume) -> Option<VolumeSpec> {
        let name = self.label(&raw.name, "volume");
        let is_device = |device: &str| {
            device.strip_prefix("/dev/sd").is_some_and(|letter| letter.len() == 1 && ("f"..="p").contains(&letter))
        };
        let device = self.valid(
            &raw.device,
            is_device,
            |text| format!("`{text}` is no device name"),
            |_| "EC2 keeps `/dev/sdf` to `/dev/sdp` for volumes like this".to_owned(),
        );
        let size = self.quantity(&raw.size, quantity::size_gib, "size");
        let volume_type = written(&raw.volume_type).unwrap_or("gp3");
        if let (Some(size), "st1" | "sc1", Some(text)) = (size, volume_type, &raw.size)
            && size < 125
        {
            self.report
                .error(bytes(text), format!("too small for {volume_type}"))
                .hint("such a volume has at least 125GiB");
        }
        Some(VolumeSpec {
            name: VolumeName::from(name?),
            device: device?,
            size_gib: size?,
            volume_type: volume_type.to_owned(),
            encrypted: boolean(&raw.encrypted, true),
            snapshot_before_replace: boolean(&raw.snapshot_before_replace, false),
        })
    }

    fn slots(&mut self, raw: &Option<Vec<raw::Slot>>, region: Option<&str>) -> Option<Vec<SlotSpec>> {
        let raw = raw.as_ref()?;
        self.count_slots(raw.len());
        self.unique(raw.iter().map(|slot| &slot.name), "slots", "name");
        self.one_zone_a_subnet(raw);
        self.spread(raw);
        let slots: Vec<_> = raw.iter().map(|slot| self.slot(slot, region)).collect();
        slots.into_iter().collect()
    }

    fn slot(&mut self, raw: &raw::Slot, region: Option<&str>) -> Option<SlotSpec> {
        let name = self.label(&raw.name, "slot");
        let is_subnet = |text: &str| names::is_id(text, "subnet-");
        let subnet = self.valid(
            &raw.subnet,
            is_subnet,
            |text| format!("`{text}` is no subnet id"),
            |_| "give the subnet's id, `subnet-…`, not its name".to_owned(),
        );
        let in_region = |zone: &str| region.is_none_or(|region| names::is_zone_of(zone, region));
        let region = region.unwrap_or_default();
        let zone = self.valid(
            &raw.zone,
            in_region,
            |zone| format!("zone `{zone}` is not in region `{region}`"),
            |_| format!("a zone is the region and a letter, e.g. `{region}a`"),
        );
        Some(SlotSpec { name: SlotName::from(name?), zone: Zone::from(zone?), subnet: subnet? })
    }

    fn count_slots(&mut self, count: usize) {
        let at = self.root.key(&["spec", "slots"]);
        match count {
            0 => drop(self.report.error(at, "no slots").hint("declare one to nine; three is a good start")),
            10.. => drop(self.report.error(at, format!("{count} slots; at most nine make sense")).hint(
                "each further voter makes every write slower; add non-voting members outside of this cluster instead",
            )),
            _ if count.is_multiple_of(2) => {
                let tolerance = count - quorum(count);
                let (fewer, more) = (count - 1, count + 1);
                self.report
                    .warning(at, format!("an even number of slots: {count} tolerate no more failures than {fewer}"))
                    .label(format!("{count} members tolerate {tolerance} failed"))
                    .hint(format!("declare {fewer} or {more} slots"));
            }
            _ => {}
        }
    }

    /// A subnet lies in one zone.
    fn one_zone_a_subnet(&mut self, raw: &[raw::Slot]) {
        let mut zones: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
        for slot in raw {
            let (Some(zone), Some(subnet)) = (&slot.zone, &slot.subnet) else { continue };
            let first = *zones.entry(&subnet.value).or_insert(zone);
            if first.value != zone.value {
                self.report
                    .error(bytes(subnet), format!("subnet `{}` cannot lie in two zones", subnet.value))
                    .label(format!(
                        "in zone `{}` here, in `{}` in line {}",
                        zone.value,
                        first.value,
                        first.referenced.line()
                    ))
                    .hint(format!("give the subnet that lies in `{}`", zone.value));
            }
        }
    }

    /// Warns where the loss of one zone would cost the quorum although the slots could be spread.
    fn spread(&mut self, raw: &[raw::Slot]) {
        let mut zones: BTreeMap<&str, Vec<&Spanned<String>>> = BTreeMap::new();
        for zone in raw.iter().filter_map(|slot| slot.zone.as_ref()) {
            zones.entry(&zone.value).or_default().push(zone);
        }
        let tolerance = raw.len() - quorum(raw.len()).min(raw.len());
        for (zone, slots) in zones.into_iter().filter(|(_, slots)| slots.len() > tolerance.max(1)) {
            self.report
                .warning(bytes(slots[1]), format!("{} of {} slots are in zone `{zone}`", slots.len(), raw.len()))
                .label("losing this zone would cost the quorum")
                .hint("spread the slots over more zones");
        }
    }

    fn unique<'t>(&mut self, texts: impl Iterator<Item = &'t Text>, things: &str, field: &str) {
        let mut first: BTreeMap<&str, u64> = BTreeMap::new();
        for text in texts.flatten() {
            if let Some(line) = first.get(&*text.value) {
                self.report
                    .error(bytes(text), format!("two {things} with the {field} `{}`", text.value))
                    .label(format!("first used in line {line}"))
                    .hint(format!("give each its own {field}"));
            } else {
                first.insert(&text.value, text.referenced.line());
            }
        }
    }

    /// A quantity, or a report of what to write instead.
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

    /// The text if it is valid; else a report with a message and a hint about it.
    fn valid(
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
    core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u32>().is_ok())
}

/// What is written, if anything is.
pub fn written(text: &Text) -> Option<&str> {
    text.as_ref().map(|text| text.value.as_str())
}

fn boolean(text: &Text, default: bool) -> bool {
    written(text).map_or(default, |text| text.eq_ignore_ascii_case("true"))
}

/// Where a value is written.
pub fn bytes<T>(spanned: &Spanned<T>) -> Range<usize> {
    let span = spanned.referenced.span();
    let start = span.byte_offset().unwrap_or_default() as usize;
    start..start + span.byte_len().unwrap_or_default() as usize
}
