//! The one request to the members: to let another lead.

use serde_json::json;

use super::login::problem;
use super::read::{Answers, View, id};
use super::servers::{Servers, heard};
use super::wire::Problem;
use crate::http::SETTINGS;
use crate::ids::MemberId;
use crate::ports::{ErrorKind, Outcome, PortError};

const TRANSFER: &str = "/v3/maintenance/transfer-leadership";

/// Moves leadership from one member to another. Only the leader itself takes the request.
pub(super) async fn transfer_leadership(
    servers: &Servers,
    answers: &Answers,
    view: Result<View, String>,
    from: &MemberId,
    to: &MemberId,
) -> Result<Outcome, PortError> {
    let changed = |expected: String, found: &str| Ok(Outcome::Changed { expected, found: found.to_owned() });
    let view = match view {
        Ok(view) if id(view.leader) == *to => return Ok(Outcome::AlreadySo),
        Ok(view) if id(view.leader) == *from => view,
        Ok(view) => return changed(format!("{from} leads"), &format!("{} leads", id(view.leader))),
        Err(why) => return changed(format!("{from} leads"), &why),
    };
    let Some(heir) = answers.members.iter().find(|listed| id(listed.id) == *to && !listed.is_learner) else {
        return changed(format!("{to} is a voter"), "it is not");
    };
    let doing = servers.doing("move leadership among");
    let Some(server) = servers.leader(answers, view) else {
        return Err(PortError::new(doing, ErrorKind::Unreachable, format!("the leader, {from}, does not answer")));
    };
    let answer = servers.post(server, TRANSFER, &json!({ "targetID": heir.id.to_string() }), SETTINGS).await;
    if let Ok(refused) = &answer
        && refused.trouble().is_some()
        && problem(refused) == Problem::PRECONDITION
    {
        return changed(format!("{from} leads, and {to} can"), &refused.refused().to_string());
    }
    heard(&doing, answer).map(|_| Outcome::Done)
}
