//! Settings of an EBS volume beside its size, and what EBS offers of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::input::text;

use super::VolumeSpec;

/// The settings of an EBS volume, as they are asked for when it is made and as EBS shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EbsSettings {
    /// E.g. `gp3`.
    #[serde(rename = "type")]
    pub volume_type: String,
    /// The I/O operations a second that are provisioned, e.g. 6000; what the type has by itself where none are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// The throughput in MiB/s, e.g. 250; what the type has by itself where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    pub encrypted: bool,
    /// The KMS key that encrypts it, by its ARN or its id; the account's default one where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
}

/// The root volume of an instance, where it is not to be as the image has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootVolumeSpec {
    /// None where the image says how large it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<u32>,
    #[serde(flatten)]
    pub ebs: EbsSettings,
}

/// Writes it as the tag of an instance has it, e.g. `30GiB gp3 iops=6000 encrypted`.
impl fmt::Display for RootVolumeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EbsSettings { volume_type, iops, throughput, encrypted, kms_key } = &self.ebs;
        let parts = [
            self.size_gib.map(|size| format!("{size}GiB")),
            Some(volume_type.clone()),
            iops.map(|iops| format!("iops={iops}")),
            throughput.map(|throughput| format!("throughput={throughput}")),
            encrypted.then(|| "encrypted".to_owned()),
            kms_key.as_ref().map(|key| format!("kmsKey={key}")),
        ];
        f.pad(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// Everything that EBS offers of one type of volume;
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>, and `CreateVolume` in EC2's API reference.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// E.g. `gp3`.
    pub volume_type: &'static str,
    /// The least and the most, in GiB.
    pub size_gib: [u32; 2],
    /// None where IOPS cannot be asked for.
    pub iops: Option<IopsOffer>,
    /// The least and the most, in MiB/s; none where throughput cannot be asked for.
    pub throughput: Option<[u32; 2]>,
}

/// Everything that EBS offers of provisioned IOPS.
#[derive(Clone, Copy, Debug)]
pub struct IopsOffer {
    pub least: u32,
    pub most: u32,
    /// The most for each GiB of the volume, beyond the least.
    pub per_gib: u32,
    /// None where they must be asked for.
    pub default: Option<u32>,
}

/// The IOPS that a volume must have for each MiB/s of throughput.
const IOPS_PER_THROUGHPUT: u32 = 4;

const TIB: u32 = 1024;

/// All types of volume.
pub const OFFERS: [Offer; 7] = [
    Offer {
        iops: Some(IopsOffer { least: 3_000, most: 80_000, per_gib: 500, default: Some(3_000) }),
        throughput: Some([125, 2_000]),
        ..plain("gp3", 1, 64 * TIB)
    },
    plain("gp2", 1, 16 * TIB),
    Offer {
        iops: Some(IopsOffer { least: 100, most: 64_000, per_gib: 50, default: None }),
        ..plain("io1", 4, 16 * TIB)
    },
    Offer {
        iops: Some(IopsOffer { least: 100, most: 256_000, per_gib: 1_000, default: None }),
        ..plain("io2", 4, 64 * TIB)
    },
    plain("st1", 125, 16 * TIB),
    plain("sc1", 125, 16 * TIB),
    plain("standard", 1, TIB),
];

const fn plain(volume_type: &'static str, least: u32, most: u32) -> Offer {
    Offer { volume_type, size_gib: [least, most], iops: None, throughput: None }
}

/// A reason for which EBS makes no volume with some settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    UnknownType,
    /// The size lies outside of what the type has, in GiB.
    Size {
        least: u32,
        most: u32,
    },
    /// The type takes no IOPS.
    IopsNotTaken,
    /// The type wants IOPS.
    IopsMissing,
    Iops {
        least: u32,
        most: u32,
    },
    /// A volume of that size has at most so many.
    IopsForSize {
        most: u32,
        per_gib: u32,
    },
    /// The type takes no throughput.
    ThroughputNotTaken,
    /// In MiB/s.
    Throughput {
        least: u32,
        most: u32,
    },
    /// A volume with those IOPS has at most so much, in MiB/s.
    ThroughputForIops {
        most: u32,
    },
    /// A key is named for a volume that is not encrypted.
    KeyWithoutEncryption,
}

impl EbsSettings {
    /// Asks for a type alone, encrypted with the account's default key.
    pub fn plain(volume_type: &str) -> Self {
        Self { volume_type: volume_type.to_owned(), iops: None, throughput: None, encrypted: true, kms_key: None }
    }

    /// Finds what EBS offers of the type, if it has it.
    pub fn offer(&self) -> Option<&'static Offer> {
        OFFERS.iter().find(|offer| offer.volume_type == self.volume_type)
    }

    /// Lists everything for which EBS would refuse to make a volume of that size.
    pub fn objections(&self, size_gib: u32) -> Vec<Objection> {
        let Some(offer) = self.offer() else { return vec![Objection::UnknownType] };
        let [least, most] = offer.size_gib;
        let size = outside(size_gib, least, most).then_some(Objection::Size { least, most });
        let key = (self.kms_key.is_some() && !self.encrypted).then_some(Objection::KeyWithoutEncryption);
        let all = [size, self.iops_objection(offer, size_gib), self.throughput_objection(offer), key];
        all.into_iter().flatten().collect()
    }

    /// Lists the reasons for which EBS would make no such volume, however large it is.
    pub fn objections_at_any_size(&self) -> Vec<Objection> {
        let of_size =
            |objection: &Objection| matches!(objection, Objection::Size { .. } | Objection::IopsForSize { .. });
        self.objections(u32::MAX).into_iter().filter(|objection| !of_size(objection)).collect()
    }

    fn iops_objection(&self, offer: &Offer, size_gib: u32) -> Option<Objection> {
        match (self.iops, &offer.iops) {
            (None, Some(IopsOffer { default: None, .. })) => Some(Objection::IopsMissing),
            (None, _) => None,
            (Some(_), None) => Some(Objection::IopsNotTaken),
            (Some(iops), Some(IopsOffer { least, most, .. })) if outside(iops, *least, *most) => {
                Some(Objection::Iops { least: *least, most: *most })
            }
            (Some(iops), Some(IopsOffer { least, per_gib, .. })) => {
                let most = size_gib.saturating_mul(*per_gib).max(*least);
                (iops > most).then_some(Objection::IopsForSize { most, per_gib: *per_gib })
            }
        }
    }

    fn throughput_objection(&self, offer: &Offer) -> Option<Objection> {
        let throughput = self.throughput?;
        let Some([least, most]) = offer.throughput else { return Some(Objection::ThroughputNotTaken) };
        if outside(throughput, least, most) {
            return Some(Objection::Throughput { least, most });
        }
        let iops = self.iops.or(offer.iops?.default)?;
        let most = iops / IOPS_PER_THROUGHPUT;
        (throughput > most).then_some(Objection::ThroughputForIops { most })
    }
}

fn outside(value: u32, least: u32, most: u32) -> bool {
    value < least || value > most
}

impl VolumeSpec {
    /// Gives the size that a volume which exists is to grow to where it is. Volumes never shrink, and none becomes larger than
    /// EBS has its type.
    pub fn grown_size(&self, size_gib: u32, shown: Option<&EbsSettings>) -> Option<u32> {
        let [_, most] = shown?.offer()?.size_gib;
        (size_gib < self.size_gib && self.size_gib <= most).then_some(self.size_gib)
    }

    /// Names everything that stays different of a volume that exists from what would be made today, e.g. `type gp2 → gp3` or
    /// `tag team none → data`. What the file leaves to EBS differs from nothing, and tags beyond the declared ones are nobody's
    /// business.
    pub fn differences_from(
        &self,
        size_gib: u32,
        shown: Option<&EbsSettings>,
        borne: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let grows = self.grown_size(size_gib, shown).is_some();
        let size = differs("size", &format!("{size_gib}GiB"), &format!("{}GiB", self.size_gib)).filter(|_| !grows);
        let settings = shown.map(|shown| self.ebs.differences_from(shown)).unwrap_or_default();
        let tag = |(key, wanted): (&String, &String)| {
            let is = borne.get(key).map_or("none", String::as_str);
            differs(&format!("tag {key}"), is, wanted)
        };
        size.into_iter().chain(settings).chain(self.tags.iter().filter_map(tag)).collect()
    }
}

impl EbsSettings {
    fn differences_from(&self, shown: &Self) -> Vec<String> {
        let number = |field, shown: Option<u32>, wanted: Option<u32>| {
            differs(field, &shown.map_or_else(|| "none".to_owned(), |is| is.to_string()), &wanted?.to_string())
        };
        let key = || {
            let (wanted, shown) = (self.kms_key.as_deref()?, shown.kms_key.as_deref().unwrap_or("none"));
            if is_key(shown, wanted) { None } else { differs("kmsKey", shown, wanted) }
        };
        let all = [
            differs("type", &shown.volume_type, &self.volume_type),
            number("iops", shown.iops, self.iops),
            number("throughput", shown.throughput, self.throughput),
            differs("encrypted", &shown.encrypted.to_string(), &self.encrypted.to_string()),
            key(),
        ];
        all.into_iter().flatten().collect()
    }
}

fn differs(field: &str, is: &str, wanted: &str) -> Option<String> {
    (is != wanted).then(|| format!("{field} {} → {wanted}", text::clean(is)))
}

/// Says whether a key as it is shown, by its ARN, is one as it was named, by its ARN or its id.
pub fn is_key(shown: &str, named: &str) -> bool {
    shown == named || (!named.contains('/') && shown.rsplit('/').next() == Some(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(volume_type: &str, iops: Option<u32>, throughput: Option<u32>) -> EbsSettings {
        EbsSettings { iops, throughput, ..EbsSettings::plain(volume_type) }
    }

    #[test]
    fn each_type_has_its_limits() {
        let objections = |volume_type, iops, throughput, size| settings(volume_type, iops, throughput).objections(size);
        for fits in [
            objections("gp3", None, None, 1),
            objections("gp3", Some(3_000), Some(750), 1),
            objections("gp3", Some(8_000), Some(2_000), 16),
            objections("io1", Some(200), None, 4),
            objections("io2", Some(256_000), None, 256),
            objections("standard", None, None, 1024),
        ] {
            assert_eq!(fits, []);
        }
        assert_eq!(objections("gp4", None, None, 1), [Objection::UnknownType]);
        assert_eq!(objections("io2", Some(100), None, 3), [Objection::Size { least: 4, most: 65_536 }]);
        assert_eq!(objections("io1", None, None, 4), [Objection::IopsMissing]);
        assert_eq!(objections("gp2", Some(100), None, 4), [Objection::IopsNotTaken]);
        assert_eq!(objections("gp3", Some(2_999), None, 4), [Objection::Iops { least: 3_000, most: 80_000 }]);
        assert_eq!(objections("gp3", Some(3_001), None, 6), [Objection::IopsForSize { most: 3_000, per_gib: 500 }]);
        assert_eq!(objections("io1", Some(201), None, 4), [Objection::IopsForSize { most: 200, per_gib: 50 }]);
        assert_eq!(objections("io2", Some(4_000), Some(125), 4), [Objection::ThroughputNotTaken]);
        assert_eq!(objections("gp3", None, Some(2_001), 4), [Objection::Throughput { least: 125, most: 2_000 }]);
        assert_eq!(objections("gp3", None, Some(751), 4), [Objection::ThroughputForIops { most: 750 }]);
        let bare = EbsSettings { encrypted: false, kms_key: Some("key".to_owned()), ..EbsSettings::plain("gp3") };
        assert_eq!(bare.objections(1), [Objection::KeyWithoutEncryption]);
    }

    #[test]
    fn a_key_is_known_by_its_arn_and_by_its_id() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let arn = format!("arn:aws:kms:us-east-1:123456789012:key/{id}");
        assert!(is_key(&arn, &arn) && is_key(&arn, id));
        assert!(!is_key(&arn, "1234abcd-12ab-34cd-56ef-000000000000"));
        assert!(!is_key(&arn, &arn.replace("123456789012", "210987654321")), "the same id in another account");
    }
}
