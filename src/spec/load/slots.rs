//! The meaning of `slots`: how many, and spread over which zones.

use std::collections::BTreeMap;
use std::ops::Range;

use super::meaning::{Meaning, bytes};
use super::names;
use crate::ids::{SlotName, Zone};
use crate::spec::application::SlotLimits;
use crate::spec::raw::Spanned;
use crate::spec::{SlotSpec, raw};

impl Meaning<'_, '_> {
    /// Says what `slots` means. Where the kind of application is not known, their number is not judged.
    pub fn slots(
        &mut self,
        raw: &Option<Vec<raw::Slot>>,
        limits: Option<SlotLimits>,
        region: Option<&str>,
    ) -> Option<Vec<SlotSpec>> {
        let raw = raw.as_ref()?;
        if raw.is_empty() {
            self.report.error(self.at(), "no slots").hint("declare at least one; three is a good start");
        } else if let Some(limits) = limits {
            self.count_slots(raw.len(), &limits);
            self.spread(raw, &limits);
            self.addresses_if_needed(raw, &limits);
        }
        self.unique(raw.iter().map(|slot| &slot.name), "slots", "name");
        self.one_name_a_member(raw);
        self.one_zone_a_subnet(raw);
        self.all_addresses_or_none(raw);
        let slots: Vec<_> = raw.iter().map(|slot| self.slot(slot, region)).collect();
        slots.into_iter().collect()
    }

    fn slot(&mut self, raw: &raw::Slot, region: Option<&str>) -> Option<SlotSpec> {
        let name = self.valid(
            &raw.name,
            names::is_slot,
            |name| format!("`{name}` is no slot name"),
            |_| names::SLOT_HINT.to_owned(),
        );
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
        let address = self.address(raw);
        Some(SlotSpec { name: SlotName::from(name?), zone: Zone::from(zone?), subnet: subnet?, address: address? })
    }

    /// Finds the place of the word `slots`.
    fn at(&self) -> Option<Range<usize>> {
        self.root.key(&["spec", "slots"])
    }

    fn count_slots(&mut self, count: usize, limits: &SlotLimits) {
        let most = limits.most;
        if count > most {
            let message = format!("{count} slots; at most {most} make sense");
            self.report.error(self.at(), message).hint(limits.why_no_more);
            return;
        }
        let (fewer, more) = (count - 1, count + 1);
        let tolerance = tolerated(count, limits);
        if limits.more_tolerate_more && fewer > 0 && tolerated(fewer, limits) >= tolerance {
            self.report
                .warning(self.at(), format!("{count} slots tolerate no more failures than {fewer}"))
                .label(format!("{count} members tolerate {tolerance} failed"))
                .hint(format!("declare {fewer} or {more} slots"));
        }
    }

    /// Reports names that differ in the case of letters alone: to their members they are one.
    fn one_name_a_member(&mut self, raw: &[raw::Slot]) {
        let mut names: BTreeMap<String, &Spanned> = BTreeMap::new();
        for name in raw.iter().filter_map(|slot| slot.name.as_ref()) {
            let first = *names.entry(name.value.to_lowercase()).or_insert(name);
            if first.value != name.value {
                self.report
                    .error(
                        bytes(name),
                        format!("slots `{}` and `{}` have one name to their members", first.value, name.value),
                    )
                    .hint("give each a name that differs in more than the case of letters");
            }
        }
    }

    /// Reports a subnet that is said to lie in two zones.
    fn one_zone_a_subnet(&mut self, raw: &[raw::Slot]) {
        let mut zones: BTreeMap<&str, &Spanned> = BTreeMap::new();
        for slot in raw {
            let (Some(zone), Some(subnet)) = (&slot.zone, &slot.subnet) else { continue };
            let first = *zones.entry(&subnet.value).or_insert(zone);
            if first.value != zone.value {
                let line = self.report.line(bytes(first).start);
                self.report
                    .error(bytes(subnet), format!("subnet `{}` cannot lie in two zones", subnet.value))
                    .label(format!("in zone `{}` here, in `{}` in line {line}", zone.value, first.value))
                    .hint(format!("give the subnet that lies in `{}`", zone.value));
            }
        }
    }

    /// Warns where the loss of one zone would cost the quorum although the slots could be spread. Where only one member may
    /// fail, no spread helps.
    fn spread(&mut self, raw: &[raw::Slot], limits: &SlotLimits) {
        let mut zones: BTreeMap<&str, Vec<&Spanned>> = BTreeMap::new();
        for zone in raw.iter().filter_map(|slot| slot.zone.as_ref()) {
            zones.entry(&zone.value).or_default().push(zone);
        }
        let tolerance = tolerated(raw.len(), limits);
        if !limits.more_tolerate_more {
            return;
        }
        for (zone, slots) in zones.into_iter().filter(|(_, slots)| slots.len() > tolerance.max(1)) {
            self.report
                .warning(bytes(slots[1]), format!("{} of {} slots are in zone `{zone}`", slots.len(), raw.len()))
                .label("losing this zone would cost the quorum")
                .hint("spread the slots over more zones");
        }
    }
}

/// Says how many of a number of members may fail.
fn tolerated(count: usize, limits: &SlotLimits) -> usize {
    count.saturating_sub((limits.needed)(count))
}
