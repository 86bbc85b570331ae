//! A member as a person reads it.

use hermitcrab::observed::{Health, Member};

/// Tells a member in one line, with so many of the first digits of its id.
pub fn line(member: &Member, digits: usize) -> String {
    let slot = member.slot.as_ref().map_or("no slot", |slot| slot);
    let address = member.address.map_or("nowhere".to_owned(), |address| address.to_string());
    let vote = if member.counts { "voter" } else { "no vote" };
    let lag = member.lag.map_or("? entries".to_owned(), |lag| lag.to_string());
    let version = member.version.as_deref().unwrap_or("?");
    let health = match &member.health {
        Health::Healthy => "healthy".to_owned(),
        Health::Unhealthy(why) => format!("UNHEALTHY: {why}"),
        Health::Unknown(why) => format!("unknown: {why}"),
    };
    format!("{slot} {} {address} {vote} -{lag} {version} {health}", &member.id[..digits])
}
