//! The two requests to the servers: to let another lead, and not to shrink the cluster.

use serde_json::{Map, Value};

use super::read::Answers;
use super::servers::{AUTOPILOT, Servers, heard};
use crate::http::servers::read;
use crate::http::{SETTINGS, Server};
use crate::ids::MemberId;
use crate::ports::{ErrorKind, Outcome, PortError};

const TRANSFER: &str = "/v1/operator/raft/transfer-leader";
/// The rules that a token needs in order to change anything.
const TO_CHANGE: &str = "`operator = \"write\"`";

/// Moves leadership from one server to another. None if the servers do not offer that.
pub(super) async fn transfer_leadership(
    servers: &Servers,
    answers: &Answers,
    from: &MemberId,
    to: &MemberId,
) -> Result<Option<Outcome>, PortError> {
    let known = answers.raft.servers.as_deref().unwrap_or_default();
    let leads = known.iter().find(|server| server.leader && answers.health.is_some()).map(|server| server.id.as_str());
    if leads == Some(to) {
        return Ok(Some(Outcome::AlreadySo));
    }
    if leads != Some(from) {
        let found = leads.map_or_else(|| "nobody leads".to_owned(), |id| format!("{id} leads"));
        return Ok(Some(Outcome::Changed { expected: format!("{from} leads"), found }));
    }
    if !known.iter().any(|server| server.id == **to && server.voter) {
        return Ok(Some(Outcome::Changed { expected: format!("{to} is a voter"), found: "it is not".to_owned() }));
    }
    let doing = servers.doing("move leadership among");
    let answer = reached(servers).await?.post(TRANSFER, &[("id", to)]).await;
    match heard(&doing, answer, TO_CHANGE) {
        Ok(_) => Ok(Some(Outcome::Done)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets autopilot's `MinQuorum`, and writes every other field back as it was: the call replaces the whole.
pub(super) async fn set_pruning(servers: &Servers, down_to: usize) -> Result<Outcome, PortError> {
    const FIELD: &str = "MinQuorum";
    let doing = servers.doing("set autopilot's MinQuorum for");
    let server = reached(servers).await?;
    let answer = heard(&doing, server.get(AUTOPILOT, &[], SETTINGS).await, "`operator = \"read\"`")?;
    let mut settings: Map<String, Value> = read(&doing, &answer)?;
    if settings.get(FIELD).and_then(Value::as_u64).is_some_and(|found| found >= down_to as u64) {
        return Ok(Outcome::AlreadySo);
    }
    let Some(index) = settings.get("ModifyIndex").and_then(Value::as_u64) else {
        return Err(PortError::new(doing, ErrorKind::Unknown, "the settings have no ModifyIndex to compare with"));
    };
    settings.insert(FIELD.to_owned(), Value::from(down_to));
    let body = Value::from(settings).to_string().into_bytes();
    let answer = server.put(AUTOPILOT, &[("cas", &index.to_string())], body).await;
    match read(&doing, &heard(&doing, answer, TO_CHANGE)?)? {
        true => Ok(Outcome::Done),
        false => {
            let found = "somebody has changed them meanwhile".to_owned();
            Ok(Outcome::Changed { expected: format!("autopilot's settings of index {index}"), found })
        }
    }
}

/// Finds the server to send a change to.
async fn reached(servers: &Servers) -> Result<&Server, PortError> {
    let (live, leaders) = servers.live().await?;
    Servers::best(&live, &leaders)
        .ok_or_else(|| PortError::new(servers.doing("reach"), ErrorKind::Unreachable, "none answers"))
}
