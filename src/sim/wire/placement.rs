//! The place of an instance among hosts, and its capacity reservation, in launches and in launch templates.

use super::params::Params;
use super::problem::Problem;
use super::xml::Xml;
use crate::make::{CapacityReservation, Placement, SHARED};

/// Reads the place of a launch, or of a template. A placement group, like a key pair, is taken to be there.
pub fn read(params: &Params) -> Result<Placement, Problem> {
    let placement = params.below("Placement");
    let tenancy = match placement.take("Tenancy") {
        Some(word) if word == SHARED => None,
        Some(word) if word == "host" => {
            return Err(Problem::new("UnsupportedOperation", "The simulated world has no dedicated hosts"));
        }
        tenancy => tenancy,
    };
    Ok(Placement { tenancy, group: placement.take("GroupName") })
}

/// Reads the reservation of a launch, or of a template: one with room, like a placement group, is taken to be there.
pub fn reservation(params: &Params) -> Result<Option<CapacityReservation>, Problem> {
    let asked = params.below("CapacityReservationSpecification");
    let id = asked.below("CapacityReservationTarget").take("CapacityReservationId");
    let preference = asked.take("CapacityReservationPreference");
    if id.is_some() && preference.is_some() {
        let text = "A capacity reservation preference and a target are not specified together";
        return Err(Problem::new("InvalidParameterCombination", text));
    }
    let chosen = id.or(preference).map(CapacityReservation::from);
    Ok(chosen.filter(|chosen| *chosen != CapacityReservation::Open))
}

/// Writes the place of an instance, or of what a template launches.
pub fn written(placement: &Placement) -> impl Iterator<Item = Xml> {
    let group = placement.group.as_ref().map(|name| Xml::text("groupName", name));
    [Xml::text("tenancy", placement.tenancy())].into_iter().chain(group)
}

/// Writes the reservations that are used: any open one, where nothing else was chosen.
pub fn reservation_written(chosen: Option<&CapacityReservation>) -> Xml {
    let chosen = chosen.unwrap_or(&CapacityReservation::Open);
    let said = match chosen {
        CapacityReservation::Avoided | CapacityReservation::Open => Xml::text("capacityReservationPreference", chosen),
        CapacityReservation::Named(id) => {
            Xml::group("capacityReservationTarget", [Xml::text("capacityReservationId", id)])
        }
    };
    Xml::group("capacityReservationSpecification", [said])
}
