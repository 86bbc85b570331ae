//! The place of an instance among EC2's hosts, and the reservation that its capacity comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Make;

/// The tenancy of an instance on a host that other accounts' instances run on as well, in EC2's word.
pub const SHARED: &str = "default";

/// The place of an instance among EC2's hosts, as far as somebody has chosen it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    /// In EC2's words, e.g. `dedicated`. A make that is wanted and has none leaves the choice to the VPC; one that was found
    /// and has none shares its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<String>,
    /// The name of the placement group, e.g. `consul-spread`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Placement {
    /// Says whether nothing of it was chosen.
    pub fn is_left_open(&self) -> bool {
        *self == Self::default()
    }

    /// Gives the tenancy that an instance has.
    pub fn tenancy(&self) -> &str {
        self.tenancy.as_deref().unwrap_or(SHARED)
    }
}

/// The capacity reservations that an instance may be launched into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum CapacityReservation {
    /// None, not even one that fits.
    Avoided,
    /// Any open one that fits.
    Open,
    /// The one with that id, e.g. `cr-0123456789abcdef0`. A launch is refused where it is full.
    Named(String),
}

impl CapacityReservation {
    /// The words of a file, and of EC2.
    pub const WORDS: [&'static str; 2] = ["none", "open"];
}

impl From<String> for CapacityReservation {
    fn from(written: String) -> Self {
        let [avoided, open] = Self::WORDS;
        match written.as_str() {
            word if word == avoided => Self::Avoided,
            word if word == open => Self::Open,
            _ => Self::Named(written),
        }
    }
}

impl From<CapacityReservation> for String {
    fn from(reservation: CapacityReservation) -> Self {
        reservation.to_string()
    }
}

impl fmt::Display for CapacityReservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [avoided, open] = Self::WORDS;
        f.pad(match self {
            Self::Avoided => avoided,
            Self::Open => open,
            Self::Named(id) => id,
        })
    }
}

/// Names what a make has where the wanted one leaves the choice to EC2, e.g. `tenancy dedicated`. It is no difference, and a
/// replacement may be without it.
pub fn left_to_ec2(found: &Make, wanted: &Make) -> Vec<String> {
    let named =
        |what: &str, is: Option<&str>, is_left_open: bool| is.filter(|_| is_left_open).map(|is| format!("{what} {is}"));
    let (is, chosen) = (&found.placement, &wanted.placement);
    let reservation = found.capacity_reservation.as_ref().map(ToString::to_string);
    let all = [
        named("tenancy", is.tenancy.as_deref(), chosen.tenancy.is_none()),
        named("placement group", is.group.as_deref(), chosen.group.is_none()),
        named("capacity reservation", reservation.as_deref(), wanted.capacity_reservation.is_none()),
    ];
    all.into_iter().flatten().collect()
}
