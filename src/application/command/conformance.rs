//! A program tried out for whoever writes it: each thing that the protocol asks for is asked once, and what is not as it should be is
//! named. Members are changed by none of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::program::Program;
use super::read;
use super::run::Run;
use super::wire::{Canaries, Description, Members, PROTOCOL, Preparation, Prepared, Rules, Transfer, Transferred};
use super::{Cause, answer};
use crate::ids::SlotName;
use crate::input::text;
use crate::observed::{Health, Membership};
use crate::ports::{ErrorKind, Seat, chain};
use crate::program::Ended;
use crate::spec::{CommandRules, Leads, Needed};

/// The time after which a run is cut off, to see that the next one does not mind.
const CUT_OFF: Duration = Duration::from_millis(50);
/// An address at which nobody answers: TEST-NET-1.
const NOWHERE: &str = "192.0.2.1";
/// The most characters that are shown of what a program says.
const SHOWN: usize = 300;
/// The most characters of what a membership says.
const LONGEST_SUMMARY: usize = 2_000;

/// A program to try out.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// The file.
    pub program: &'a Path,
    /// The arguments that it is run with.
    pub args: &'a [String],
    /// Files that it is told the paths of, by name.
    pub files: BTreeMap<String, String>,
    /// The time that each run may take.
    pub timeout: Duration,
    /// The members that it may ask; none where none runs, and it has to say so.
    pub seats: Vec<Seat>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The thing, e.g. `an unknown request`.
    pub what: &'static str,
    /// The program does as it should.
    pub right: bool,
    /// The finding, or what is wrong.
    pub found: String,
}

/// Tries everything, and says what was found. A program that cannot be run, or does not describe itself, is asked nothing more.
pub async fn check(trial: &Trial<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let program = match Program::of(trial.program) {
        Ok(program) => program,
        Err(error) => return vec![finding("the file", Err(chain(&error)))],
    };
    findings.push(finding("the file", Ok("is a program that nobody else may write".to_owned())));
    let tried = Tried { trial, run: Run { program: &program.path, args: trial.args, timeout: trial.timeout } };
    let rules = match tried.describe(json!({})).await {
        Ok(rules) => rules,
        Err(why) => {
            findings.push(finding("describe", Err(why)));
            return findings;
        }
    };
    let stated = read::rules(&rules);
    findings.push(finding("describe", Ok(words(&stated))));
    let again = |described: Result<Rules, String>| {
        let differs = described.and_then(|rules| read::disagreement(&stated, &rules).map_or(Ok(()), Err));
        differs.map(|()| "says the same".to_owned())
    };
    findings.push(finding("describe again", again(tried.describe(json!({})).await)));
    findings.push(finding("a field that is not known", again(tried.describe(json!({ "later": [1] })).await)));
    findings.push(finding("membership", tried.membership(&stated).await));
    findings.push(finding("membership again", tried.membership(&stated).await));
    findings.push(finding("an unknown request", tried.refused(&tried.request("no-such-request", json!({}))).await));
    let other = json!({ "protocol": PROTOCOL + 1 });
    findings.push(finding("another version of the protocol", tried.refused(&tried.request("describe", other)).await));
    findings.push(finding("input that is no JSON", tried.refused(b"describe\n").await));
    findings.push(finding("an input that ends at once", tried.empty().await));
    if trial.seats.is_empty() {
        if stated.leader == Leads::Last {
            findings.push(finding("transfer, where nobody can", tried.transfer().await));
        }
        if stated.prepares {
            findings.push(finding("prepare, where nobody can", tried.prepare().await));
        }
        findings.push(finding("canary-read, where nobody can", tried.canaries().await));
    }
    findings.push(finding("describe, after it was killed", again(tried.after_the_end().await)));
    findings
}

fn finding(what: &'static str, found: Result<String, String>) -> Finding {
    let right = found.is_ok();
    Finding { what, right, found: found.unwrap_or_else(|why| why) }
}

/// Words the rules that a program describes.
fn words(rules: &CommandRules) -> String {
    let needed = match rules.needed {
        Needed::Quorum => "a quorum is needed",
        Needed::One => "one member is needed",
        Needed::AllButOne => "all but one are needed",
    };
    let leader = match rules.leader {
        Leads::Last => "the leader goes last",
        Leads::First => "the leader goes first",
        Leads::None => "nobody leads",
    };
    format!("{needed}, {leader}, and a member may be {} behind", rules.lag_limit)
}

/// A program under trial, as it is run.
struct Tried<'a> {
    trial: &'a Trial<'a>,
    run: Run<'a>,
}

impl Tried<'_> {
    /// Makes a request, with further fields.
    fn request(&self, name: &str, with: Value) -> Vec<u8> {
        let slot = |name: &SlotName| {
            let own = self.trial.seats.iter().filter(|seat| seat.slot == *name);
            json!({ "name": name, "addresses": own.map(|seat| seat.address).collect::<Vec<_>>() })
        };
        let mut request = json!({ "protocol": PROTOCOL, "request": name, "files": self.trial.files });
        if name != "describe" {
            request["cluster"] =
                json!({ "name": "conformance", "slots": self.names().iter().map(slot).collect::<Vec<_>>() });
        }
        if let (Some(request), Value::Object(with)) = (request.as_object_mut(), with) {
            request.extend(with);
        }
        request.to_string().into_bytes()
    }

    /// Lists the slots that the program is told of.
    fn names(&self) -> Vec<SlotName> {
        let mut names: Vec<_> = self.trial.seats.iter().map(|seat| seat.slot.clone()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() { ["a", "b", "c"].map(SlotName::from).to_vec() } else { names }
    }

    /// Runs the program on a request, and reads its answer.
    async fn ask<T: for<'de> Deserialize<'de>>(&self, request: &[u8]) -> Result<T, (ErrorKind, String)> {
        let told = |(kind, cause): (ErrorKind, Cause)| (kind, chain(&*cause));
        answer(self.run.on(request).await).map_err(told)
    }

    async fn describe(&self, with: Value) -> Result<Rules, String> {
        let said: Result<Description, _> = self.ask(&self.request("describe", with)).await;
        said.map(|said| said.rules).map_err(|(_, why)| why)
    }

    async fn membership(&self, rules: &CommandRules) -> Result<String, String> {
        let said: Members = match self.ask(&self.request("membership", json!({}))).await {
            Ok(said) => said,
            Err((ErrorKind::Unreachable, why)) if self.trial.seats.is_empty() => return with_a_reason(why),
            Err((_, why)) => return Err(why),
        };
        let read = read::membership(&self.names(), rules, &self.trial.seats, said)?;
        if self.trial.seats.is_empty() {
            return Err("it answers for members that nobody can ask".to_owned());
        }
        Ok(summary(&read))
    }

    /// Expects a request to be refused with 3, in words on the standard error alone.
    async fn refused(&self, request: &[u8]) -> Result<String, String> {
        let Ended { status, stdout, stderr } = self.run.on(request).await.map_err(|trouble| chain(&trouble))?;
        match (status.code(), stdout.is_empty(), stderr.is_empty()) {
            (Some(3), true, false) => Ok("is refused with 3 and a reason".to_owned()),
            (Some(3), false, _) => Err("it is refused with 3, and yet there is an answer on stdout".to_owned()),
            (Some(3), true, true) => Err("it is refused with 3, and without a reason on stderr".to_owned()),
            _ => Err(format!("it should end with 3, and ended with {status}")),
        }
    }

    /// Expects the program to end where nobody says anything to it.
    async fn empty(&self) -> Result<String, String> {
        let ended = self.run.on(b"").await.map_err(|trouble| chain(&trouble))?;
        match ended.status.code() {
            Some(0) => Err("it should end with 3, and answers a request that nobody made".to_owned()),
            Some(_) => Ok("it ends".to_owned()),
            None => Err(format!("it should end with 3, and ended with {}", ended.status)),
        }
    }

    async fn transfer(&self) -> Result<String, String> {
        let request = self.request("transfer", json!({ "from": "nobody", "to": "nobody-else" }));
        match self.ask::<Transferred>(&request).await {
            Ok(Transferred { outcome: Transfer::Changed, .. }) => Ok("nothing was sent".to_owned()),
            Ok(_) => Err("it says that leadership has moved from nobody to nobody else".to_owned()),
            Err((ErrorKind::Unreachable | ErrorKind::Invalid, why)) => with_a_reason(why),
            Err((_, why)) => Err(why),
        }
    }

    /// Expects that nobody is prepared where nobody answers. A program whose rules announce the request knows it.
    async fn prepare(&self) -> Result<String, String> {
        let request = self.request("prepare", json!({ "member": "nobody", "address": NOWHERE }));
        match self.ask::<Prepared>(&request).await {
            Ok(Prepared { outcome: Preparation::Changed, .. }) => Ok("nothing was done".to_owned()),
            Ok(_) => Err("it says that nobody is prepared for its stop".to_owned()),
            Err((ErrorKind::Unreachable, why)) => with_a_reason(why),
            Err((_, why)) => Err(why),
        }
    }

    async fn canaries(&self) -> Result<String, String> {
        match self.ask::<Canaries>(&self.request("canary-read", json!({}))).await {
            Ok(_) => Err("it has read entries that nobody can read".to_owned()),
            Err((ErrorKind::Unreachable | ErrorKind::Invalid, why)) => with_a_reason(why),
            Err((_, why)) => Err(why),
        }
    }

    /// Kills the program in the middle of its work, as a timeout does, and has it describe itself once more.
    async fn after_the_end(&self) -> Result<Rules, String> {
        let request = self.request("membership", json!({}));
        let _ = timeout(CUT_OFF, self.run.on(&request)).await;
        self.describe(json!({})).await
    }
}

/// Asks for a reason beside the exit code: a person must know what to repair.
fn with_a_reason(why: String) -> Result<String, String> {
    if why.ends_with(super::SAID_NOTHING) { Err(why) } else { Ok(text::cut_lines(&why, SHOWN)) }
}

/// Sums a membership up: how many are healthy, who leads, who is not healthy and why, and what holds everything up.
fn summary(read: &Membership) -> String {
    let healthy = read.members.iter().filter(|member| member.health == Health::Healthy).count();
    let leader = read.leader.as_ref().map_or("nobody leads".to_owned(), |leader| format!("{leader} leads"));
    let strangers = read.members.iter().filter(|member| member.slot.is_none());
    let unwell = read.members.iter().filter(|member| member.health != Health::Healthy);
    let said = [format!("{} members, of whom {healthy} are healthy", read.members.len()), leader]
        .into_iter()
        .chain(strangers.map(|member| format!("{} is in no slot", member.id)))
        .chain(unwell.map(|member| format!("{} is {}", member.id, member.health)))
        .chain(read.blockers.iter().map(|blocker| format!("held up, because {}", blocker.why)));
    text::cut(&said.collect::<Vec<_>>().join("; "), LONGEST_SUMMARY)
}
