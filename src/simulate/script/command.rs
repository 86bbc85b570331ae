//! The commands of a story, read word by word.

use std::time::Duration;

use crate::ids::{ImageId, SlotName, Zone};
use crate::ports::ErrorKind;
use crate::simulate::Behaviour;

use super::forms::CALLS;
use super::mistake::Mistake;
use super::trouble::{self, Trouble};
use super::words::{Placed, Words};

const ERRORS: [(&str, ErrorKind); 8] = [
    ("throttled", ErrorKind::Throttled),
    ("denied", ErrorKind::Denied),
    ("no-capacity", ErrorKind::NoCapacity),
    ("not-found", ErrorKind::NotFound),
    ("invalid", ErrorKind::Invalid),
    ("token-spent", ErrorKind::TokenSpent),
    ("unreachable", ErrorKind::Unreachable),
    ("unknown", ErrorKind::Unknown),
];

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Payload(ImageId, Behaviour),
    Deregister(ImageId),
    Commit(Change),
    Revert,
    Approve,
    Run(Until),
    Controller(u8, ControllerDeed),
    Instance(InstanceDeed, Pick, Placed<SlotName>),
    Volume(VolumeDeed, Placed<SlotName>),
    Address(AddressDeed, Placed<SlotName>),
    Zone(ZoneDeed, Placed<Zone>, Duration),
    HideMembers(Duration),
    HideMember(Placed<SlotName>, Duration),
    LoseLeader,
    LoseClaims(Duration),
    Refuse { call: Option<String>, error: ErrorKind, length: Length },
    Allow,
    ResumeGroup,
    ShowGroup,
    Status,
    Trouble(Trouble),
}

/// The first command of a story.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cluster {
    pub file: Option<String>,
    pub from_nothing: bool,
    /// The number of copies of the cluster that are in the same world.
    pub beside: u8,
}

/// A change of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Set { field: String, value: String },
    Without { field: String },
    File(String),
}

/// The moment up to which a story goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Until {
    End,
    Action { action: String, slot: Option<SlotName> },
    Answer(Said),
    Later(Duration),
}

/// An answer that a story waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Said {
    Blocked,
    Stalled,
    Settled,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ControllerDeed {
    Crash,
    Start,
    Pause(Duration),
    /// The clock is ahead by so many milliseconds, or behind.
    Clock(i64),
    /// No further commit is heard.
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InstanceDeed {
    Stop,
    Start,
    Terminate,
    /// The retirement is announced so long ahead, and happens then; or it is announced for a week ahead.
    AnnounceRetirement(Option<Duration>),
    CrashMember(Option<Duration>),
}

/// The instance of a slot that is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pick {
    Oldest,
    Newest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum VolumeDeed {
    Delete,
    Wipe,
    Copy,
    RevokeKey,
}

/// A deed about a slot's fixed address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AddressDeed {
    /// Somebody takes the address off its instance.
    Unassign,
    /// Something that is none of the cluster's gets the address.
    Lend,
    /// Whatever has the address gives it up again.
    Free,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ZoneDeed {
    NoCapacity,
    Lose,
}

/// The length of time for which calls are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Length {
    Once,
    For(Duration),
    Ever,
}

/// The reader of all that follows a command's first word.
pub(super) type Read = fn(&mut Words) -> Result<Command, Mistake>;

pub(super) const FIRST_WORDS: [(&str, Read); 29] = [
    ("payload", payload),
    ("deregister", |words| words.image().map(Command::Deregister)),
    ("commit", |words| commit(words).map(Command::Commit)),
    ("revert", |_| Ok(Command::Revert)),
    ("approve", |_| Ok(Command::Approve)),
    ("run", |words| run(words).map(Command::Run)),
    ("crash", crash),
    ("pause", pause),
    ("clock", clock),
    ("hold", hold),
    ("stop", |words| instance(words, InstanceDeed::Stop)),
    ("start", start),
    ("terminate", |words| instance(words, InstanceDeed::Terminate)),
    ("announce", announce),
    ("delete", |words| volume(words, "volume of", VolumeDeed::Delete)),
    ("wipe", |words| volume(words, "volume of", VolumeDeed::Wipe)),
    ("copy", |words| volume(words, "volume of", VolumeDeed::Copy)),
    ("unassign", |words| address(words, AddressDeed::Unassign)),
    ("lend", |words| address(words, AddressDeed::Lend)),
    ("free", |words| address(words, AddressDeed::Free)),
    ("revoke", |words| volume(words, "key of", VolumeDeed::RevokeKey)),
    ("no", no_capacity),
    ("lose", lose),
    ("hide", hide),
    ("refuse", refuse),
    ("allow", |words| words.say("everything").map(|()| Command::Allow)),
    ("resume", |words| words.say("group").map(|()| Command::ResumeGroup)),
    ("group", |_| Ok(Command::ShowGroup)),
    ("status", |_| Ok(Command::Status)),
];

/// The reader of all that follows a first word.
#[derive(Clone, Copy)]
enum Reader {
    Command(Read),
    Trouble(fn(&mut Words) -> Result<Trouble, Mistake>),
}

/// Reads a story's first command.
pub(super) fn first(words: &mut Words) -> Result<Cluster, Mistake> {
    words.say("cluster")?;
    let is_file = words.peek().is_some_and(|word| !["from", "beside"].contains(&word));
    let file = if is_file { Some(words.word("a file")?.value) } else { None };
    let from_nothing = words.takes("from");
    if from_nothing {
        words.say("nothing")?;
    }
    let beside = if words.takes("beside") { beside(words)? } else { 0 };
    words.end()?;
    Ok(Cluster { file, from_nothing, beside })
}

fn beside(words: &mut Words) -> Result<u8, Mistake> {
    let number = words.controller()?;
    words.say("others")?;
    Ok(number)
}

/// Reads a further command.
pub(super) fn further(words: &mut Words) -> Result<Command, Mistake> {
    let trouble = trouble::FIRST_WORDS.into_iter().chain(trouble::MEMBER_WORDS);
    let choices = FIRST_WORDS.map(|(word, read)| (word, Reader::Command(read))).into_iter();
    let choices: Vec<_> = choices.chain(trouble.map(|(word, read)| (word, Reader::Trouble(read)))).collect();
    let command = match words.one_of(&choices)? {
        Reader::Command(read) => read(words)?,
        Reader::Trouble(read) => Command::Trouble(read(words)?),
    };
    words.end()?;
    Ok(command)
}

fn address(words: &mut Words, deed: AddressDeed) -> Result<Command, Mistake> {
    words.say("address of")?;
    words.slot().map(|slot| Command::Address(deed, slot))
}

fn payload(words: &mut Words) -> Result<Command, Mistake> {
    let image = words.image()?;
    let behaviours = Behaviour::ALL.map(|behaviour| (behaviour.name(), behaviour));
    words.one_of(&behaviours).map(|behaviour| Command::Payload(image, behaviour))
}

fn commit(words: &mut Words) -> Result<Change, Mistake> {
    let field = "a field of the file, e.g. `image` or `slots.consul-b.subnet`";
    if words.takes("without") {
        return words.word(field).map(|field| Change::Without { field: field.value });
    }
    if words.takes("file") {
        return words.word("a file").map(|file| Change::File(file.value));
    }
    if words.takes("image") {
        return words.image().map(|image| Change::Set { field: "image".to_owned(), value: image.to_string() });
    }
    let field = words.word(field)?.value;
    words.rest("the field's new value").map(|value| Change::Set { field, value })
}

fn run(words: &mut Words) -> Result<Until, Mistake> {
    match words.one_of(&[("to", 0), ("until", 1), ("for", 2)])? {
        0 => words.say("the end").map(|()| Until::End),
        1 => until(words),
        _ => words.span().map(Until::Later),
    }
}

fn until(words: &mut Words) -> Result<Until, Mistake> {
    for (word, said) in [("blocked", Said::Blocked), ("stalled", Said::Stalled), ("settled", Said::Settled)] {
        if words.takes(word) {
            return Ok(Until::Answer(said));
        }
    }
    let action = call(words)?;
    let slot = if words.takes("of") { Some(words.slot()?.value) } else { None };
    Ok(Until::Action { action, slot })
}

/// Takes the name of an action or of a look.
fn call(words: &mut Words) -> Result<String, Mistake> {
    let known = words.peek().is_some_and(|word| CALLS.contains(&word));
    let wanted = || format!("the name of an action, one of {}", CALLS.join(", "));
    let found = if known { words.word("an action") } else { Err(words.expected(wanted())) };
    found.map(|found| found.value)
}

/// Takes the number of a controller, where one is said.
fn numbered(words: &mut Words) -> Result<u8, Mistake> {
    let said = words.peek().is_some_and(|word| word.parse::<u8>().is_ok());
    if said { words.controller() } else { Ok(0) }
}

fn crash(words: &mut Words) -> Result<Command, Mistake> {
    if words.one_of(&[("controller", true), ("member", false)])? {
        return numbered(words).map(|index| Command::Controller(index, ControllerDeed::Crash));
    }
    words.say("of")?;
    let slot = words.slot()?;
    let span = if words.takes("for") { Some(words.span()?) } else { None };
    Ok(Command::Instance(InstanceDeed::CrashMember(span), Pick::Oldest, slot))
}

fn pause(words: &mut Words) -> Result<Command, Mistake> {
    words.say("controller")?;
    let index = numbered(words)?;
    words.say("for")?;
    words.span().map(|span| Command::Controller(index, ControllerDeed::Pause(span)))
}

fn clock(words: &mut Words) -> Result<Command, Mistake> {
    words.say("of controller")?;
    let index = numbered(words)?;
    let sign = words.one_of(&[("ahead", 1), ("behind", -1)])?;
    let span = words.span()?;
    Ok(Command::Controller(index, ControllerDeed::Clock(sign * span.as_millis() as i64)))
}

fn hold(words: &mut Words) -> Result<Command, Mistake> {
    words.say("controller")?;
    let index = numbered(words)?;
    words.say("at its commit")?;
    Ok(Command::Controller(index, ControllerDeed::Hold))
}

fn start(words: &mut Words) -> Result<Command, Mistake> {
    if words.takes("controller") {
        return words.controller().map(|index| Command::Controller(index, ControllerDeed::Start));
    }
    instance(words, InstanceDeed::Start)
}

fn announce(words: &mut Words) -> Result<Command, Mistake> {
    words.say("retirement of")?;
    let command = instance(words, InstanceDeed::AnnounceRetirement(None))?;
    match command {
        Command::Instance(_, pick, slot) if words.takes("in") => {
            let notice = words.span()?;
            Ok(Command::Instance(InstanceDeed::AnnounceRetirement(Some(notice)), pick, slot))
        }
        command => Ok(command),
    }
}

fn instance(words: &mut Words, deed: InstanceDeed) -> Result<Command, Mistake> {
    picked(words).map(|(pick, slot)| Command::Instance(deed, pick, slot))
}

/// Takes the words that pick an instance: `[new] instance of SLOT`.
pub(super) fn picked(words: &mut Words) -> Result<(Pick, Placed<SlotName>), Mistake> {
    let pick = if words.takes("new") { Pick::Newest } else { Pick::Oldest };
    words.say("instance of")?;
    words.slot().map(|slot| (pick, slot))
}

fn volume(words: &mut Words, phrase: &str, deed: VolumeDeed) -> Result<Command, Mistake> {
    words.say(phrase)?;
    words.slot().map(|slot| Command::Volume(deed, slot))
}

fn no_capacity(words: &mut Words) -> Result<Command, Mistake> {
    words.say("capacity in")?;
    zone(words, ZoneDeed::NoCapacity)
}

fn zone(words: &mut Words, deed: ZoneDeed) -> Result<Command, Mistake> {
    let zone = words.zone()?;
    words.say("for")?;
    words.span().map(|span| Command::Zone(deed, zone, span))
}

fn lose(words: &mut Words) -> Result<Command, Mistake> {
    if words.takes("leader") {
        return Ok(Command::LoseLeader);
    }
    if words.takes("claims") {
        words.say("for")?;
        return words.span().map(Command::LoseClaims);
    }
    if words.peek().is_none() {
        return Err(words.expected("`leader`, `claims` or a zone"));
    }
    zone(words, ZoneDeed::Lose)
}

fn hide(words: &mut Words) -> Result<Command, Mistake> {
    if words.takes("member") {
        words.say("of")?;
        let slot = words.slot()?;
        words.say("for")?;
        return words.span().map(|span| Command::HideMember(slot, span));
    }
    words.say("members for")?;
    words.span().map(Command::HideMembers)
}

fn refuse(words: &mut Words) -> Result<Command, Mistake> {
    let call = if words.takes("everything") { None } else { Some(call(words)?) };
    words.say("with")?;
    let error = words.one_of(&ERRORS)?;
    let length = match words.one_of(&[("once", true), ("for", false)])? {
        true => Length::Once,
        false if words.takes("ever") => Length::Ever,
        false => Length::For(words.span()?),
    };
    Ok(Command::Refuse { call, error, length })
}
