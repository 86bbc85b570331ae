//! The meaning of the settings of an EBS volume: what EBS offers, with a key that is the same tomorrow.

use super::meaning::{Meaning, boolean, bytes, written};
use super::{names, quantity};
use crate::spec::EbsSettings;
use crate::spec::ebs::{OFFERS, Objection};
use crate::spec::raw::Text;

/// The most that EBS has offered in every region and account for long. More came in 2025.
const COMMON: [(&str, u32, &str); 3] = [
    ("large a volume", 16 * 1024, "16TiB is the most that every region and account has"),
    ("much `iops`", 16_000, "16000 is the most that every region and account has"),
    ("much `throughput`", 1_000, "1000 is the most that every region and account has"),
];

/// The settings of a volume as they are written.
pub struct WrittenEbs<'t> {
    pub size: &'t Text,
    pub volume_type: &'t Text,
    pub iops: &'t Text,
    pub throughput: &'t Text,
    pub encrypted: &'t Text,
    pub kms_key: &'t Text,
}

impl Meaning<'_, '_> {
    /// Says how large a volume is to be, where the file says it, and what else is asked of EBS, if EBS would make it.
    pub fn ebs(&mut self, raw: &WrittenEbs<'_>, region: Option<&str>) -> Option<(Option<u32>, EbsSettings)> {
        let size_gib = self.quantity(raw.size, quantity::size_gib, "size");
        let before = self.report.count();
        let settings = EbsSettings {
            volume_type: written(raw.volume_type).unwrap_or(OFFERS[0].volume_type).to_owned(),
            iops: self.quantity(raw.iops, quantity::whole, "number of IOPS"),
            throughput: self.quantity(raw.throughput, quantity::whole, "throughput"),
            encrypted: boolean(raw.encrypted, true),
            kms_key: self.kms_key(raw.kms_key, region),
        };
        if self.report.count() > before {
            return None;
        }
        let objections = size_gib.map_or_else(|| settings.objections_at_any_size(), |size| settings.objections(size));
        for objection in objections {
            self.object(raw, &settings.volume_type, size_gib.unwrap_or_default(), objection);
        }
        if self.report.count() > before {
            return None;
        }
        self.warn_of_much(raw, &settings, size_gib);
        Some((size_gib, settings))
    }

    /// Reads a KMS key. An alias can be pointed at another key, so it is refused as a parameter is in place of an image.
    fn kms_key(&mut self, text: &Text, region: Option<&str>) -> Option<String> {
        let is_alias = |key: &str| key.starts_with("alias/") || key.contains(":alias/");
        let is_elsewhere = |key: &str| region_of(key).zip(region).is_some_and(|(of_key, region)| of_key != region);
        self.valid(
            text,
            |key| is_kms_key(key) && !is_elsewhere(key),
            |key| match () {
                () if is_alias(key) => format!("`{key}` may be another key tomorrow"),
                () if is_kms_key(key) => format!("`{key}` is a key of another region"),
                () => format!("`{key}` is no KMS key"),
            },
            |key| match () {
                () if is_alias(key) => {
                    "give the ARN or the id of the key itself, as `aws kms describe-key` shows it".to_owned()
                }
                () if is_kms_key(key) => {
                    format!("EBS uses keys of its own region alone: name one of {}", region.unwrap_or("it"))
                }
                () => "a key is written as its ARN, `arn:aws:kms:REGION:ACCOUNT:key/ID`, or as its id".to_owned(),
            },
        )
    }

    fn object(&mut self, raw: &WrittenEbs<'_>, kind: &str, size_gib: u32, objection: Objection) {
        let (at, message, hint) = match objection {
            Objection::UnknownType => return, // the schema has the types, and refuses others
            Objection::Size { least, most } => {
                let message = format!("too {} for {kind}", if size_gib < least { "small" } else { "large" });
                let most = format!("at most {}TiB", most / 1024);
                let hint = if least > 1 { format!("at least {least}GiB, and {most}") } else { most };
                (raw.size, message, format!("such a volume has {hint}"))
            }
            Objection::IopsNotTaken => {
                (raw.iops, format!("{kind} takes no `iops`"), "leave `iops` out, or take gp3, io1 or io2".to_owned())
            }
            Objection::IopsMissing => (
                raw.volume_type,
                format!("{kind} without `iops`"),
                "add `iops`: EBS makes such a volume with just as many as are asked for".to_owned(),
            ),
            Objection::Iops { least, most } => {
                (raw.iops, format!("{kind} has no such `iops`"), format!("it has {least} to {most}"))
            }
            Objection::IopsForSize { most, per_gib } => (
                raw.iops,
                format!("too many `iops` for {size_gib}GiB of {kind}"),
                format!("such a volume has {per_gib} for each GiB, so at most {most} at that size"),
            ),
            Objection::ThroughputNotTaken => (
                raw.throughput,
                format!("{kind} takes no `throughput`"),
                "leave `throughput` out, or take gp3".to_owned(),
            ),
            Objection::Throughput { least, most } => {
                (raw.throughput, format!("{kind} has no such `throughput`"), format!("it has {least} to {most} MiB/s"))
            }
            Objection::ThroughputForIops { most } => (
                raw.throughput,
                "too much `throughput` for so few `iops`".to_owned(),
                format!("it takes 4 IOPS for each MiB/s, so with these it is at most {most}"),
            ),
            Objection::KeyWithoutEncryption => (
                raw.kms_key,
                "a key for a volume that is not encrypted".to_owned(),
                "leave `encrypted: false` out, or the key".to_owned(),
            ),
        };
        self.report.error(at.as_ref().map(bytes), message).hint(hint);
    }

    fn warn_of_much(&mut self, raw: &WrittenEbs<'_>, settings: &EbsSettings, size_gib: Option<u32>) {
        let is_gp3 = settings.volume_type == OFFERS[0].volume_type;
        let iops = settings.iops.filter(|_| is_gp3); // the others have always had more
        let asked = [(raw.size, size_gib), (raw.iops, iops), (raw.throughput, settings.throughput)];
        for ((text, value), (what, most, hint)) in asked.into_iter().zip(COMMON) {
            if value.is_some_and(|value| value > most) {
                let message = format!("so {what} has not always been offered");
                self.report.warning(text.as_ref().map(bytes), message).hint(hint);
            }
        }
    }
}

/// Finds the region in the ARN of a key.
fn region_of(key: &str) -> Option<&str> {
    key.strip_prefix("arn:")?.split(':').nth(2)
}

/// Says whether a text is the ARN of a key or its id, of one region or of several (`mrk-…`).
fn is_kms_key(text: &str) -> bool {
    let id = match text.strip_prefix("arn:").map(|rest| rest.splitn(5, ':').collect::<Vec<_>>()) {
        None => Some(text),
        Some(parts) => match parts[..] {
            [partition, "kms", region, account, key] => {
                let is_account = account.len() == 12 && account.chars().all(|c| c.is_ascii_digit());
                let is_place = partition.starts_with("aws") && names::is_region(region) && is_account;
                key.strip_prefix("key/").filter(|_| is_place)
            }
            _ => None,
        },
    };
    let hexadecimal = |text: &str, length| {
        text.len() == length && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    };
    let is_uuid = |id: &str| {
        let parts: Vec<_> = id.split('-').collect();
        parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, length)| hexadecimal(part, length))
    };
    id.is_some_and(|id| is_uuid(id) || id.strip_prefix("mrk-").is_some_and(|rest| hexadecimal(rest, 32)))
}
