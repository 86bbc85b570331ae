//! Members of any application, which a user's program speaks to: one JSON request on its standard input, one JSON answer on its
//! standard output, and an exit code that says what an answer would not.
//!
//! `wire` has the requests and answers, `program` says which programs may be run, `run` runs one, `read` makes one [`Membership`]
//! of an answer, and `conformance` tries a program out for whoever writes it.
//!
//! Absent on purpose: a request to undo what was prepared. So nothing may be prepared that would have to be undone when the stop does
//! not come, such as a drain.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::ErrorKind::{NotFound, PermissionDenied};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Deserialize;
use tokio::sync::Mutex;

use super::bounded::MOST_SERVERS;
use crate::action::MemberEffect;
use crate::ids::{ClusterName, InstanceId, MemberId};
use crate::observed::{Health, Membership};
use crate::ports::{ErrorKind, Outcome, PortError, Seat, canary_key};
use crate::program::{Ended, Trouble};
use crate::spec::{ClusterSpec, CommandSpec};

pub mod conformance;
mod program;
pub mod read;
mod run;
pub mod wire;

use program::Program;
use run::Run;
use wire::{
    Canaries, Cluster, Description, Members, PROTOCOL, Preparation, Prepared, Request, Slot, Transfer, Transferred,
    Wish, Written,
};

/// The most members that an answer may list.
const MOST_MEMBERS: usize = MOST_SERVERS;
/// The most canaries that an answer may have, with all else.
const MOST_CANARIES: usize = 10_000;

/// The programs for any number of clusters.
#[derive(Default)]
pub struct Command {
    /// The folder whose programs may be run; without one none is.
    folder: Option<PathBuf>,
    known: RefCell<BTreeMap<ClusterName, Rc<Known>>>,
}

/// The things that are remembered of one cluster. Nothing that is decided rests on them.
#[derive(Debug, Default)]
struct Known {
    /// Held while a program runs: one at a time is enough for any member.
    turn: Mutex<()>,
    /// The program that has last described itself as the file does, and the file's words.
    agreed: RefCell<Option<(Program, CommandSpec)>>,
}

/// The program of one cluster, and where the members can be reached now.
pub struct Reached<'a> {
    spec: &'a ClusterSpec,
    how: &'a CommandSpec,
    seats: &'a [Seat],
    program: Program,
    known: Rc<Known>,
}

impl Command {
    /// Runs programs that lie in a folder, and no others.
    pub fn from(folder: Option<PathBuf>) -> Self {
        Self { folder, known: RefCell::default() }
    }

    /// Looks at the program, and runs nothing yet. `Denied` if it may not be run; `Unreachable` if no seat is taken.
    pub fn open<'a>(
        &self,
        spec: &'a ClusterSpec,
        how: &'a CommandSpec,
        seats: &'a [Seat],
    ) -> Result<Reached<'a>, PortError> {
        let failed = |kind, source: Box<dyn Error + Send + Sync>| PortError::new(doing("ask", spec), kind, source);
        if seats.is_empty() {
            return Err(failed(ErrorKind::Unreachable, "no running instance has an address".into()));
        }
        let program = Program::within(self.folder.as_deref(), Path::new(&how.program));
        let program = program.map_err(|error| failed(ErrorKind::Denied, error.into()))?;
        let known = self.known.borrow_mut().entry(spec.name.clone()).or_default().clone();
        Ok(Reached { spec, how, seats, program, known })
    }
}

fn doing(verb: &str, spec: &ClusterSpec) -> String {
    format!("{verb} the members of {} by its program", spec.name)
}

/// An answer of a program's that is none, or none that fits.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unfit(String);

/// The end of a program that has no answer to give, with what it said of the reason.
#[derive(Debug, thiserror::Error)]
#[error("it ended with {how}{}", of(.stderr))]
struct NoAnswer {
    how: String,
    stderr: String,
}

/// The words for an end without a reason.
const SAID_NOTHING: &str = ", and said nothing";

fn of(stderr: &str) -> String {
    if stderr.is_empty() { SAID_NOTHING.to_owned() } else { format!(": {stderr}") }
}

impl Reached<'_> {
    /// Asks what the members say now.
    pub async fn membership(&self) -> Result<Membership, PortError> {
        let doing = doing("ask", self.spec);
        self.agree(&doing).await?;
        let said: Members = self.ask(&doing, Wish::Membership).await?;
        let declared: Vec<_> = self.spec.slots.iter().map(|slot| slot.name.clone()).collect();
        let read = read::membership(&declared, &self.how.rules, self.seats, said);
        read.map_err(|why| PortError::new(doing, ErrorKind::Unknown, Unfit(why)))
    }

    /// Carries out one request, if the members are as it expects.
    pub async fn change(&self, effect: &MemberEffect) -> Result<Outcome, PortError> {
        match effect {
            // No member is dropped here, and none told of another's address, because none ever is by the rules of this kind.
            MemberEffect::SetPruning { .. } | MemberEffect::MoveMember { .. } => Ok(Outcome::AlreadySo),
            MemberEffect::Prepare { member, instance } => self.prepare(member, instance).await,
            MemberEffect::TransferLeadership { from, to } => {
                let now = self.membership().await?;
                if let Some(outcome) = settled(&now, from, to) {
                    return Ok(outcome);
                }
                let wish = Wish::Transfer { from: from.to_string(), to: to.to_string() };
                let said: Transferred = self.ask(&doing("move leadership among", self.spec), wish).await?;
                Ok(match said.outcome {
                    Transfer::Done => Outcome::Done,
                    Transfer::AlreadySo => Outcome::AlreadySo,
                    Transfer::Changed => Outcome::Changed {
                        expected: format!("{from} leads, and {to} can"),
                        found: found_by(said.found),
                    },
                })
            }
        }
    }

    /// Tells the program of a member that is about to be stopped, if it is healthy at the address of that instance.
    async fn prepare(&self, member: &MemberId, instance: &InstanceId) -> Result<Outcome, PortError> {
        let now = self.membership().await?;
        let found = now.members.iter().find(|found| found.id == *member);
        let seat = self.seats.iter().find(|seat| seat.instance == *instance);
        let address = seat.map(|seat| seat.address).filter(|address| {
            found.is_some_and(|found| found.health == Health::Healthy && found.address == Some(*address))
        });
        let expected = || format!("{member} is healthy on {instance}");
        let Some(address) = address else {
            let found = found.map_or("it is no member".to_owned(), |found| match found.address {
                Some(address) => format!("it is {} at {address}", found.health),
                None => format!("it is {}", found.health),
            });
            return Ok(Outcome::Changed { expected: expected(), found });
        };
        let wish = Wish::Prepare { member: member.to_string(), address };
        let said: Prepared = self.ask(&doing(&format!("prepare {member} of"), self.spec), wish).await?;
        Ok(match said.outcome {
            Preparation::Done => Outcome::Done,
            Preparation::Changed => Outcome::Changed { expected: expected(), found: found_by(said.found) },
        })
    }

    /// Stores an entry, and has it acknowledged.
    pub async fn write_canary(&self, key: &str, value: &str) -> Result<(), PortError> {
        canary_key(key)?;
        let doing = doing(&format!("write canary {key} to"), self.spec);
        self.agree(&doing).await?;
        let wish = Wish::CanaryWrite { key: key.to_owned(), value: value.to_owned() };
        let said: Written = self.ask(&doing, wish).await?;
        if said.acknowledged {
            return Ok(());
        }
        Err(PortError::new(doing, ErrorKind::Unknown, Unfit("it answers that nothing was acknowledged".to_owned())))
    }

    /// Reads every entry.
    pub async fn canaries(&self) -> Result<BTreeMap<String, String>, PortError> {
        let doing = doing("read the canary data of", self.spec);
        self.agree(&doing).await?;
        let said: Canaries = self.ask(&doing, Wish::CanaryRead).await?;
        if said.canaries.len() > MOST_CANARIES {
            let why = Unfit(format!("it answers with more than {MOST_CANARIES} entries"));
            return Err(PortError::new(doing, ErrorKind::Unknown, why));
        }
        Ok(said.canaries)
    }

    /// Has the program describe itself, and refuses one that contradicts the file. One that has not changed since is not asked
    /// again.
    async fn agree(&self, doing: &str) -> Result<(), PortError> {
        let agreed = (self.program.clone(), self.how.clone());
        if self.known.agreed.borrow().as_ref() == Some(&agreed) {
            return Ok(());
        }
        let described: Description = self.ask(doing, Wish::Describe).await?;
        if let Some(why) = read::disagreement(&self.how.rules, &described.rules) {
            return Err(PortError::new(doing, ErrorKind::Invalid, Unfit(why)));
        }
        self.known.agreed.replace(Some(agreed));
        Ok(())
    }

    /// Runs the program on one request.
    async fn ask<T: for<'de> Deserialize<'de>>(&self, doing: &str, wish: Wish) -> Result<T, PortError> {
        let cluster = (!matches!(wish, Wish::Describe)).then(|| self.cluster());
        let request = Request { protocol: PROTOCOL, cluster, files: self.how.files.clone(), wish };
        let request = serde_json::to_vec(&request).map_err(|error| PortError::new(doing, ErrorKind::Invalid, error))?;
        let run = Run { program: &self.program.path, args: &self.how.args, timeout: self.how.timeout };
        let _turn = self.known.turn.lock().await;
        answer(run.on(&request).await).map_err(|(kind, source)| PortError::new(doing, kind, source))
    }

    fn cluster(&self) -> Cluster {
        let slots = self.spec.slots.iter().map(|slot| Slot {
            name: slot.name.to_string(),
            address: slot.address,
            addresses: self.seats.iter().filter(|seat| seat.slot == slot.name).map(|seat| seat.address).collect(),
        });
        Cluster { name: self.spec.name.to_string(), slots: slots.collect() }
    }
}

/// Gives the words of a program that has found things otherwise.
fn found_by(said: Option<String>) -> String {
    said.unwrap_or_else(|| "the program does not say what else".to_owned())
}

/// Says what comes of a request to let another lead where the members are not as it expects.
fn settled(now: &Membership, from: &MemberId, to: &MemberId) -> Option<Outcome> {
    let changed = |expected: String, found: String| Some(Outcome::Changed { expected, found });
    match &now.leader {
        Some(leader) if leader == to => return Some(Outcome::AlreadySo),
        Some(leader) if leader == from => {}
        Some(leader) => return changed(format!("{from} leads"), format!("{leader} leads")),
        None => return changed(format!("{from} leads"), "nobody leads".to_owned()),
    }
    if !now.can_transfer {
        return changed("leadership moves on request".to_owned(), "it does not".to_owned());
    }
    match now.members.iter().find(|member| member.id == *to) {
        Some(heir) if heir.counts && heir.health == Health::Healthy => None,
        Some(heir) => changed(format!("{to} is healthy and counts"), format!("it is {}", heir.health)),
        None => changed(format!("{to} is a member"), "it is not".to_owned()),
    }
}

/// The cause of a request that came to nothing.
type Cause = Box<dyn Error + Send + Sync>;

/// Reads what a run has come to: an answer, or the meaning of how it ended.
fn answer<T: for<'de> Deserialize<'de>>(run: Result<Ended, Trouble>) -> Result<T, (ErrorKind, Cause)> {
    let Ended { status, stdout, stderr } = run.map_err(|trouble| {
        let kind = match &trouble {
            Trouble::CannotRun(error) if matches!(error.kind(), NotFound | PermissionDenied) => ErrorKind::Invalid,
            _ => ErrorKind::Unknown,
        };
        (kind, trouble.into())
    })?;
    let no_answer = |kind, how: String| Err((kind, NoAnswer { how, stderr: stderr.clone() }.into()));
    match status.code() {
        Some(0) => wire::answer(&stdout).map_err(|error| {
            let why = format!("its answer cannot be used: {}{}", error, complaint(&stderr));
            (ErrorKind::Unknown, Unfit(why).into())
        }),
        Some(1) => no_answer(ErrorKind::Unreachable, "1 (failed)".to_owned()),
        Some(2) => no_answer(ErrorKind::Denied, "2 (denied)".to_owned()),
        Some(3) => no_answer(ErrorKind::Invalid, "3 (invalid, or not supported)".to_owned()),
        Some(code @ (126 | 127)) => no_answer(ErrorKind::Invalid, format!("{code} (something it needs cannot be run)")),
        Some(code) => no_answer(ErrorKind::Unknown, format!("{code}, which means nothing here")),
        None => no_answer(ErrorKind::Unknown, status.to_string()),
    }
}

fn complaint(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it says: {stderr}") }
}
