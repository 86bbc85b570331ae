//! The requests to the members: to let another lead, and to look for one of them elsewhere.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::login::problem;
use super::read::{Answers, View, address, id, statuses};
use super::servers::{Servers, heard};
use super::wire::Problem;
use crate::http::SETTINGS;
use crate::ids::MemberId;
use crate::ports::{ErrorKind, Outcome, PortError};

const TRANSFER: &str = "/v3/maintenance/transfer-leadership";
const UPDATE: &str = "/v3/cluster/member/update";

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

/// Has the members look for one of them at another address: scheme and port of its peer URLs stay. The leader is asked, which needs
/// a quorum. A member that answers at another address than that is none to be moved, and neither is one that the leader reaches where
/// it looks: its peers would lose it.
pub(super) async fn move_member(
    servers: &Servers,
    answers: &Answers,
    view: Result<View, String>,
    member: &MemberId,
    to: IpAddr,
) -> Result<Outcome, PortError> {
    let changed = |expected: String, found: String| Ok(Outcome::Changed { expected, found });
    let view = match view {
        Ok(view) => view,
        Err(why) => return changed("a leader that can be told".to_owned(), why),
    };
    let Some(listed) = answers.members.iter().find(|listed| id(listed.id) == *member) else {
        return changed(format!("{member} is a member"), "it is not".to_owned());
    };
    if address(listed) == Some(to) {
        return Ok(Outcome::AlreadySo);
    }
    if let Some((at, _)) = statuses(answers, listed.id).find(|(at, _)| *at != to) {
        return changed(format!("{member} does not run"), format!("it answers at {at}"));
    }
    // A member may answer clients at one address and its peers at another.
    let (runs, reached) = (statuses(answers, listed.id).next().is_some(), answers.reached.get(&listed.id));
    if reached == Some(&true) || (runs && reached.is_none()) {
        let found = if reached.is_some() { "it does" } else { "it does not say" };
        return changed(format!("a leader that does not reach {member}"), found.to_owned());
    }
    let urls: Option<Vec<String>> = listed.peer_urls.iter().map(|url| at(url, to)).collect();
    let Some(urls) = urls.filter(|urls| !urls.is_empty()) else {
        return changed(format!("peer URLs of {member} with an address"), listed.peer_urls.join(", "));
    };
    let doing = servers.doing(&format!("move {member} to {to} among"));
    let Some(server) = servers.leader(answers, view) else {
        let why = format!("the leader, {}, does not answer", id(view.leader));
        return Err(PortError::new(doing, ErrorKind::Unreachable, why));
    };
    let body = json!({ "ID": listed.id.to_string(), "peerURLs": urls });
    heard(&doing, servers.post(server, UPDATE, &body, SETTINGS).await).map(|_| Outcome::Done)
}

/// Writes a peer URL with another address in it, e.g. `http://10.0.1.10:2380`; none for one with a host name.
fn at(url: &str, to: IpAddr) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let is_known = matches!(scheme, "http" | "https");
    let port = rest.parse::<SocketAddr>().ok()?.port();
    is_known.then(|| format!("{scheme}://{}", SocketAddr::new(to, port)))
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn a_peer_url_keeps_its_scheme_and_its_port() {
        let to = "10.0.2.20".parse().unwrap();
        assert_eq!(at("https://10.0.1.10:2380", to).as_deref(), Some("https://10.0.2.20:2380"));
        assert_eq!(at("http://[fd00::1]:7001", to).as_deref(), Some("http://10.0.2.20:7001"));
        // A URL without a scheme, which etcd takes, ends every member (etcd-io/etcd#9173).
        for odd in ["10.0.1.10:2380", "unix://10.0.1.10:2380", "http://etcd-a.internal:2380", "http://10.0.1.10", ""] {
            assert_eq!(at(odd, to), None, "{odd}");
        }
    }
}
