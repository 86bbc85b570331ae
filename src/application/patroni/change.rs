//! The one request to the members: a planned switchover. A failover, which may lose what was acknowledged, is never asked for.

use serde_json::json;

use super::read::{Answers, address, is_synchronous_standby};
use super::servers::{Servers, heard};
use crate::http::SETTINGS;
use crate::ids::MemberId;
use crate::ports::{ErrorKind, Outcome, PortError};

const SWITCHOVER: &str = "/switchover";
/// The status of a switchover that Patroni says is not possible.
const NOT_POSSIBLE: u16 = 412;

/// Lets another member lead. The leader waits until it has come to pass, which takes seconds.
pub(super) async fn switch_over(
    servers: &Servers,
    answers: &Answers,
    from: &MemberId,
    to: &MemberId,
) -> Result<Outcome, PortError> {
    let changed = |expected: String, found: String| Ok(Outcome::Changed { expected, found });
    let leader = match answers.leader() {
        Ok((listed, _)) if *listed.name == **to => return Ok(Outcome::AlreadySo),
        Ok((listed, _)) if *listed.name == **from => listed,
        Ok((listed, _)) => return changed(format!("{from} leads"), format!("{} leads", listed.name)),
        Err(why) => return changed(format!("{from} leads"), why),
    };
    let heir = answers.cluster.members.iter().find(|listed| *listed.name == **to);
    match heir {
        None => return changed(format!("{to} is a member"), "it is not".to_owned()),
        Some(heir) if answers.is_synchronous() && !is_synchronous_standby(heir) => {
            return changed(format!("{to} is a synchronous standby"), "it is not".to_owned());
        }
        Some(_) => {}
    }
    let doing = servers.doing("move leadership among");
    let Some(server) = address(leader).and_then(|at| servers.at(at)) else {
        return Err(PortError::new(doing, ErrorKind::Unreachable, format!("the leader, {from}, does not answer")));
    };
    let body = json!({ "leader": &**from, "candidate": &**to });
    let answer = server.post_json(SWITCHOVER, &body, SETTINGS).await;
    match answer {
        Ok(answer) if answer.status == NOT_POSSIBLE => {
            changed(format!("{from} leads, and {to} can"), answer.refused().to_string())
        }
        answer => heard(&doing, answer).map(|_| Outcome::Done),
    }
}
