//! Rollouts, folded from the records of a log: what a cluster was brought from and to, when, and how that ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use super::record::{Action, ActionResult, Answer, AnswerKind, Desired, FORMAT_VERSION, Members, Record, What};
use crate::revision::Revision;
use crate::time::{Human, Timestamp, elapsed};

/// The history of some clusters.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "hermitcrab history", rename = "History")]
pub struct Document {
    /// The version of this shape, `major.minor`. Refuse a major version that you do not know.
    pub format_version: &'static str,
    /// In the order in which they began.
    pub rollouts: Vec<Rollout>,
}

/// One rollout of a cluster, or the healing or creation of its slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The number of the event that it began with, by which it is asked for.
    pub id: u64,
    /// The cluster, e.g. `consul-prod`.
    pub cluster: String,
    pub kind: Kind,
    /// The make that ran before; null where nothing did, or where nobody knows.
    pub from: Option<Make>,
    pub to: Make,
    /// The moment of the first claim, in UTC.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: Timestamp,
    /// The moment of its end; null while it has none.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended: Option<Timestamp>,
    pub outcome: Outcome,
    /// The reason why it began, in words.
    pub why: Option<String>,
    /// The latest refusal, in words, while it has not settled.
    pub answer: Option<String>,
    /// The plan id that had been approved; null where nobody had to agree.
    pub approval: Option<String>,
    /// The revision that asked for it, where desired state comes from git.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The least number of members that might have failed beside those that were down.
    pub least_margin: Option<i64>,
    /// The slots that were claimed, in the order of their claims.
    pub slots: Vec<SlotRollout>,
    /// The hash that it brings its slots to.
    #[serde(skip)]
    generation: String,
}

/// The make of an instance, as far as the log has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Make {
    /// E.g. `ami-0aaaaaaaaaaaaaaaa`.
    pub image: String,
    /// The version that a file gave with that image, where the log has it.
    pub version: Option<String>,
}

/// The kinds of rollouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Instances are replaced, because they differ from what is wanted.
    Upgrade,
    /// Slots are given what they have lost.
    Heal,
    /// Slots are created, with new volumes.
    Create,
}

/// The ways in which a rollout ends, or stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The cluster is as its file wants it.
    Settled,
    /// A slot's new instance failed, and the old one serves again.
    TakenBack,
    /// Something else was wanted before it had settled.
    Superseded,
    /// The rollout goes on.
    UnderWay,
    /// The rollout may not go on now.
    Blocked,
    /// A person must act.
    Stalled,
}

/// One slot of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotRollout {
    /// The slot, e.g. `consul-a`.
    pub slot: String,
    /// The moment of its claim, in UTC.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: Timestamp,
    /// The moment at which the claim was released.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended: Option<Timestamp>,
    /// The instance that was replaced.
    pub old_instance: Option<String>,
    /// The instance that was launched.
    pub new_instance: Option<String>,
    /// The reason why the new instance failed here, in words; null if it did not.
    pub failed: Option<String>,
    /// For how long its member was seen down during the rollout, in whole seconds; null of a slot that was created.
    pub member_down_seconds: Option<u64>,
}

impl Rollout {
    /// From what it goes to what, in words.
    pub fn what(&self) -> String {
        let to = &self.to;
        match (self.kind, &self.from) {
            (Kind::Heal, _) => format!("healed with {to}"),
            (Kind::Create, _) => format!("created with {to}"),
            (Kind::Upgrade, None) => format!("to {to}"),
            (Kind::Upgrade, Some(from)) if from.image == to.image => format!("other settings, on {to}"),
            (Kind::Upgrade, Some(from)) => format!("{from} → {to}"),
        }
    }

    /// For how long it took; none while it has no end.
    pub fn took(&self) -> Option<Human> {
        self.ended.map(|ended| Human(elapsed(ended, self.started)))
    }

    /// For how long the member of each slot was down, e.g. `consul-a 31s, consul-b 29s`; none where none was.
    pub fn down(&self) -> Option<String> {
        let slots = self.slots.iter().filter_map(|slot| Some((&slot.slot, slot.member_down_seconds?)));
        let spans: Vec<_> =
            slots.map(|(slot, seconds)| format!("{slot} {}", Human(Duration::from_secs(seconds)))).collect();
        (!spans.is_empty()).then(|| spans.join(", "))
    }

    /// Why it failed, or does not go on.
    pub fn troubles(&self) -> impl Iterator<Item = String> {
        let failed = |slot: &SlotRollout| Some(format!("{} failed: {}", slot.slot, slot.failed.as_ref()?));
        self.slots.iter().filter_map(failed).chain(self.answer.clone())
    }
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} ({version})", self.image),
            None => f.write_str(&self.image),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settled => "settled",
            Self::TakenBack => "taken back",
            Self::Superseded => "superseded",
            Self::UnderWay => "under way",
            Self::Blocked => "blocked",
            Self::Stalled => "stalled",
        })
    }
}

/// Folds the rollouts of all clusters, in the order in which they began.
pub fn rollouts<'r>(records: impl IntoIterator<Item = &'r Record>) -> Vec<Rollout> {
    let mut clusters: BTreeMap<&str, Cluster> = BTreeMap::new();
    for record in records {
        if let Some(name) = &record.cluster {
            clusters.entry(name).or_default().take(name, record);
        }
    }
    let mut all: Vec<_> = clusters.into_values().flat_map(|cluster| cluster.rollouts).collect();
    all.sort_by(|one, two| (one.started, &one.cluster).cmp(&(two.started, &two.cluster)));
    all
}

/// Puts the rollouts into a document.
pub fn document(rollouts: Vec<Rollout>) -> Document {
    Document { format_version: FORMAT_VERSION, rollouts }
}

/// Writes the JSON schema of the document.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<Document>().to_value()
}

/// One cluster, as far as its records are folded.
#[derive(Debug, Default)]
struct Cluster {
    rollouts: Vec<Rollout>,
    desired: Option<Desired>,
    /// The version that a file gave with each image.
    versions: BTreeMap<String, String>,
    /// The slots whose members are down, and since when.
    down: BTreeMap<String, Timestamp>,
    members: Option<Members>,
    /// A volume was created, and no slot was claimed since.
    is_creating: bool,
    /// The instances that were launched ahead, by slot.
    ahead: BTreeMap<String, String>,
}

impl Cluster {
    fn take(&mut self, name: &str, record: &Record) {
        match &record.what {
            What::Desired(desired) => self.wanted(desired),
            What::Members(members) => self.counted(members, record.at),
            What::Action(action) if action.result == ActionResult::Done => self.done(name, action, record),
            What::Answer(answer) => self.answered(answer, record.at),
            _ => {}
        }
    }

    fn wanted(&mut self, desired: &Desired) {
        if let Some(version) = &desired.version {
            self.versions.insert(desired.image.clone(), version.clone());
        }
        self.desired = Some(desired.clone());
        self.approve();
    }

    /// Notes the approval of the rollout under way: it may come between two slots.
    fn approve(&mut self) {
        let Some(desired) = self.desired.clone() else { return };
        if let Some(open) = self.open().filter(|open| open.generation == desired.generation) {
            open.approval = desired.approved.or(open.approval.take());
            open.revision = open.revision.take().or(desired.revision);
        }
    }

    fn open(&mut self) -> Option<&mut Rollout> {
        self.rollouts.last_mut().filter(|rollout| rollout.ended.is_none())
    }

    fn counted(&mut self, members: &Members, at: Timestamp) {
        let is_down = |slot: &String| members.down.contains(slot);
        let back: Vec<_> = self.down.keys().filter(|slot| !is_down(slot)).cloned().collect();
        for slot in back {
            let Some(since) = self.down.remove(&slot) else { continue };
            self.was_down(&slot, since, at);
        }
        for slot in &members.down {
            self.down.entry(slot.clone()).or_insert(at);
        }
        self.members = Some(members.clone());
        self.weigh();
    }

    /// Adds the span for which a slot's member was down to the rollout under way.
    fn was_down(&mut self, slot: &str, since: Timestamp, until: Timestamp) {
        let Some(open) = self.open() else { return };
        let (since, kind) = (since.max(open.started), open.kind);
        let slot = open.slots.iter_mut().find(|one| one.slot == slot).filter(|_| kind != Kind::Create);
        if let Some(down) = slot.and_then(|slot| slot.member_down_seconds.as_mut()) {
            *down += elapsed(until, since).as_secs();
        }
    }

    fn weigh(&mut self) {
        let Some(members) = self.members.clone() else { return };
        let margin = i64::try_from(members.healthy).unwrap_or(0) - i64::try_from(members.needed).unwrap_or(0);
        if let Some(open) = self.open().filter(|open| open.kind != Kind::Create) {
            open.least_margin = Some(open.least_margin.map_or(margin, |least| least.min(margin)));
        }
    }

    fn done(&mut self, name: &str, action: &Action, record: &Record) {
        let at = record.at;
        if let Some(open) = self.open() {
            (open.outcome, open.answer) = (Outcome::UnderWay, None);
        }
        if action.action == "create-volume" {
            self.is_creating = true;
        }
        let Some(slot) = &action.slot else { return };
        match (action.action.as_str(), &action.instance) {
            ("claim", _) => self.claimed(name, slot, action, record),
            ("move-claim", _) => {
                let open = self.open().into_iter().flat_map(|open| &mut open.slots);
                open.filter(|one| one.ended.is_none()).for_each(|one| one.ended = Some(at));
                self.claimed(name, slot, action, record);
            }
            ("launch", Some(instance)) => drop(self.ahead.insert(slot.clone(), instance.clone())),
            ("retire", Some(instance)) => self.ahead.retain(|_, ahead| ahead != instance),
            _ => {}
        }
        let Some(slot) = self.open().and_then(|open| open.slots.iter_mut().find(|one| one.slot == *slot)) else {
            return;
        };
        match action.action.as_str() {
            "launch" => slot.new_instance.clone_from(&action.instance),
            "reject" => slot.failed = Some(action.why.clone().unwrap_or_else(|| action.text.clone())),
            "release" => slot.ended = Some(at),
            _ => {}
        }
    }

    fn claimed(&mut self, name: &str, slot: &str, action: &Action, record: &Record) {
        let at = record.at;
        let generation = action.generation.clone().unwrap_or_default();
        let is_creating = std::mem::take(&mut self.is_creating);
        let heals = action.instance.is_none();
        // A slot that has lost its instance is healed within any rollout.
        if self.open().is_some_and(|open| open.generation != generation && !heals) {
            self.end(at, Outcome::Superseded);
        }
        if self.open().is_none() {
            let make = |image: &String| Make { image: image.clone(), version: self.versions.get(image).cloned() };
            let kind = match (heals, is_creating) {
                (false, _) => Kind::Upgrade,
                (true, false) => Kind::Heal,
                (true, true) => Kind::Create,
            };
            self.rollouts.push(Rollout {
                id: record.id,
                cluster: name.to_owned(),
                kind,
                from: action.from_image.as_ref().filter(|_| kind == Kind::Upgrade).map(make),
                to: make(&action.image.clone().unwrap_or_default()),
                started: at,
                ended: None,
                outcome: Outcome::UnderWay,
                why: action.why.clone(),
                answer: None,
                approval: None,
                revision: None,
                least_margin: None,
                slots: Vec::new(),
                generation,
            });
            self.approve();
            self.weigh();
        }
        let ahead = self.ahead.remove(slot);
        if let Some(open) = self.open()
            && !open.slots.iter().any(|one| one.slot == slot)
        {
            open.slots.push(SlotRollout {
                slot: slot.to_owned(),
                started: at,
                ended: None,
                old_instance: action.instance.clone(),
                new_instance: ahead,
                failed: None,
                member_down_seconds: (open.kind != Kind::Create).then_some(0),
            });
        }
    }

    fn answered(&mut self, answer: &Answer, at: Timestamp) {
        let is_rejected = answer.reasons.iter().any(|reason| reason == "generation-rejected");
        let has_failed = self.open().is_some_and(|open| open.slots.iter().any(|slot| slot.failed.is_some()));
        let outcome = match answer.answer {
            AnswerKind::Settled => {
                let wanted = self.desired.as_ref().map(|desired| desired.generation.clone());
                let open = self.open().map(|open| open.generation.clone());
                let is_other = wanted.is_some() && open.is_some() && wanted != open;
                let is_upgrade = self.open().is_some_and(|open| open.kind == Kind::Upgrade);
                return self.end(at, if is_other && is_upgrade { Outcome::Superseded } else { Outcome::Settled });
            }
            AnswerKind::Blocked if is_rejected && has_failed => return self.end(at, Outcome::TakenBack),
            AnswerKind::Blocked => Outcome::Blocked,
            AnswerKind::Stalled => Outcome::Stalled,
            AnswerKind::Waiting | AnswerKind::WouldAct => Outcome::UnderWay,
        };
        if let Some(open) = self.open() {
            let is_refusal = matches!(outcome, Outcome::Blocked | Outcome::Stalled);
            (open.outcome, open.answer) = (outcome, is_refusal.then(|| answer.text.clone()));
        }
    }

    /// Ends the rollout under way.
    fn end(&mut self, at: Timestamp, outcome: Outcome) {
        let down: Vec<_> = self.down.iter().map(|(slot, since)| (slot.clone(), *since)).collect();
        for (slot, since) in down {
            self.was_down(&slot, since, at);
        }
        let Some(open) = self.open() else { return };
        (open.ended, open.outcome, open.answer) = (Some(at), outcome, None);
    }
}
