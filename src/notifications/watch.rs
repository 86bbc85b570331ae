//! Finds what is news: the change of a cluster's standing, and not every pass that sees it stand so.
//!
//! News are found by comparing what is seen with what was told, so that a daemon that starts anew tells nothing twice, and tells
//! what happened while it was away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::news::{Kind, News};
use crate::event::{Event, EventKind, Pass};
use crate::ids::ClusterName;
use crate::input::text;
use crate::observed::Claim;
use crate::plan::gates::GateName;
use crate::plan::{Hazard, Plan, Stall};
use crate::spec::load::{Loaded, Severity};
use crate::status::{Attention, Status};
use crate::time::{Timestamp, elapsed};

/// The time for which a cluster must be without quorum, or not seen, before it is told: while a member is replaced, both come and
/// go. For as long a trouble must be over before it is forgotten.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most troubles that are told of one cluster while it does not recover.
const MOST_TROUBLES: usize = 20;

/// Everything that was told, as far as it must not be told again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The clusters of which something was told that is not over.
    clusters: BTreeMap<String, Told>,
    /// The files that were told to be broken.
    broken: BTreeSet<String>,
}

/// The standing of one cluster as it was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    /// The generation that a rollout under way brings its slots to.
    rollout: Option<String>,
    troubles: BTreeSet<Trouble>,
    is_orphaned: bool,
}

/// A reason why a cluster needs a person. Another reason is another trouble, of which a person wants to hear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Trouble {
    kind: Kind,
    why: Vec<String>,
}

impl Trouble {
    fn new(kind: Kind, why: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { kind, why: why.into_iter().map(Into::into).collect() }
    }

    /// The generation that the file wants has failed.
    fn rejected() -> Self {
        Self::new(Kind::Stalled, ["generation-rejected"])
    }

    fn patience(&self) -> Duration {
        if matches!(self.kind, Kind::NoQuorum | Kind::NotSeen) { PATIENCE } else { Duration::ZERO }
    }

    /// Whether a person wants to hear that it is over. Whoever has approved, resumed or committed another image knows.
    fn is_alarm(&self) -> bool {
        !matches!(self.kind, Kind::ApprovalAwaited | Kind::NeedsPerson) && *self != Self::rejected()
    }
}

/// Hears every event, and knows what was told.
#[derive(Debug, Default)]
pub struct Watch {
    memory: Memory,
    /// The file of each cluster.
    files: BTreeMap<ClusterName, PathBuf>,
    since: BTreeMap<ClusterName, Since>,
}

/// Moments of one cluster, which are waited out anew after a restart.
#[derive(Debug, Default)]
struct Since {
    /// The trouble that was seen last, and since when.
    trouble: Option<(Trouble, Timestamp)>,
    /// The moment since which there is none.
    calm: Option<Timestamp>,
}

impl Watch {
    /// Goes on from what was told before.
    pub fn resume(memory: Memory) -> Self {
        Self { memory, ..Self::default() }
    }

    /// Everything that was told.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes an event. Answers with its news, perhaps none of them, if what has to be remembered is different from before.
    pub fn take(&mut self, event: &Event) -> Option<Vec<News>> {
        match (&event.kind, &event.cluster) {
            (EventKind::DesiredRead(loaded), _) => self.read(event.at, loaded),
            (EventKind::Planned(pass), _) => self.planned(pass),
            (EventKind::Orphaned, Some(cluster)) => self.update(cluster, |told, _| {
                let title = format!("{cluster} is orphaned: no file declares it any more");
                let is_new = !std::mem::replace(&mut told.is_orphaned, true);
                let detail = "Nothing of it is changed.";
                Vec::from_iter(is_new.then(|| News::new(Kind::Orphaned, event.at, Some(cluster), &title, detail)))
            }),
            (EventKind::Broken, Some(cluster)) => self.update(cluster, |told, _| {
                let title = format!("{cluster} is stalled: an internal assertion broke");
                let is_new = told.troubles.insert(Trouble::new(Kind::Stalled, ["assertion-broke"]));
                let detail = "The cluster is left alone until its file changes.";
                Vec::from_iter(is_new.then(|| News::new(Kind::Stalled, event.at, Some(cluster), &title, detail)))
            }),
            _ => None,
        }
    }

    fn read(&mut self, at: Timestamp, loaded: &Loaded) -> Option<Vec<News>> {
        self.files = loaded.specs().map(|(path, spec)| (spec.name.clone(), path.to_owned())).collect();
        let broken: Vec<_> = loaded.files.values().filter(|file| file.spec.is_none()).collect();
        let names = broken.iter().map(|file| text::path(&file.path)).collect();
        let before = std::mem::replace(&mut self.memory.broken, names);
        let new = broken.iter().filter(|file| !before.contains(&text::path(&file.path)));
        let news = new.map(|file| {
            let path = text::path(&file.path);
            let first = file.problems.iter().find(|problem| problem.severity == Severity::Error);
            let detail = first.map_or(String::new(), |problem| match &problem.place {
                Some(place) => format!("line {}: {}", place.line, problem.message),
                None => problem.message.clone(),
            });
            let title = format!("{path} cannot be used");
            let news = News::new(Kind::FileBroken, at, file.name.as_deref(), &title, &detail);
            News { file: Some(shown(&file.path)), ..news }
        });
        let news: Vec<_> = news.collect();
        (before != self.memory.broken).then_some(news)
    }

    fn planned(&mut self, pass: &Pass) -> Option<Vec<News>> {
        let cluster = &pass.spec.name;
        let file = self.files.get(cluster).map(|path| shown(path));
        let source = pass.status.source.as_ref();
        let revision = source.and_then(|standing| Some(standing.revision.as_ref()?.id.clone()));
        let mut changed = self.update(cluster, |told, since| {
            told.is_orphaned = false;
            let mut news = rollout(told, pass);
            news.extend(troubles(told, since, pass));
            for news in &mut news {
                news.is_rolling = told.rollout.is_some();
            }
            news
        });
        for news in changed.iter_mut().flatten() {
            news.environment = Some(text::clean(&pass.spec.environment).into_owned());
            news.image = Some(pass.spec.image.to_string());
            news.file.clone_from(&file);
            news.revision.clone_from(&revision);
        }
        changed
    }

    /// Changes what was told of a cluster. Answers only if it is another thing then.
    fn update(
        &mut self,
        cluster: &ClusterName,
        change: impl FnOnce(&mut Told, &mut Since) -> Vec<News>,
    ) -> Option<Vec<News>> {
        let name = cluster.to_string();
        let before = self.memory.clusters.get(&name).cloned().unwrap_or_default();
        let mut told = before.clone();
        let news = change(&mut told, self.since.entry(cluster.clone()).or_default());
        if told == before {
            return None;
        }
        if told == Told::default() {
            self.memory.clusters.remove(&name);
        } else {
            self.memory.clusters.insert(name, told);
        }
        Some(news)
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Follows the rollout: its beginning, its end, and its failure.
fn rollout(told: &mut Told, pass: &Pass) -> Vec<News> {
    let (cluster, status, at) = (&pass.spec.name, &pass.status, pass.seen.now);
    let mut news = Vec::new();
    let mut tell = |kind, title: &str, detail: &str| news.push(News::new(kind, at, Some(cluster), title, detail));
    let record = pass.seen.claim.seen();
    let claim = record.and_then(|record| record.held.as_ref());
    if let Some(claim) = claim.filter(|claim| claim.old().is_some())
        && told.rollout.as_deref() != Some(&*claim.generation)
    {
        told.rollout = Some(claim.generation.to_string());
        tell(Kind::RolloutBegan, &begun(status, claim), "");
    }
    if matches!(pass.plan, Plan::Settled) && told.rollout.take().is_some() {
        told.troubles.clear();
        tell(Kind::Settled, &format!("{cluster} is settled on {}", pass.spec.image), "");
    }
    let is_rejected = record.is_some() && claim.is_none() && status.slots.iter().any(|slot| slot.rejected);
    if is_rejected && told.rollout.as_deref() == Some(&*status.generation) {
        told.rollout = None;
        told.troubles.insert(Trouble::rejected());
        let title = format!("{cluster} was taken back: {} failed, and what ran before serves again", status.image);
        tell(Kind::TakenBack, &title, &detail(status));
    }
    news
}

fn begun(status: &Status, claim: &Claim) -> String {
    let from = status.slots.iter().find(|slot| slot.slot == claim.slot).and_then(|slot| slot.image.as_ref());
    let from = from.filter(|from| **from != claim.image).map(|from| format!("{from} → ")).unwrap_or_default();
    format!("a rollout of {} has begun: {from}{}", status.cluster, claim.image)
}

/// Follows the reasons why a person is needed.
fn troubles(told: &mut Told, since: &mut Since, pass: &Pass) -> Option<News> {
    let (cluster, status, at) = (&pass.spec.name, &pass.status, pass.seen.now);
    let Some(trouble) = trouble(pass) else {
        since.trouble = None;
        let calm = *since.calm.get_or_insert(at);
        if told.troubles.is_empty() || elapsed(at, calm) < PATIENCE {
            return None;
        }
        let was_alarm = std::mem::take(&mut told.troubles).iter().any(Trouble::is_alarm);
        let title = format!("{cluster} goes on again");
        return was_alarm.then(|| News::new(Kind::Recovered, at, Some(cluster), &title, &detail(status)));
    };
    since.calm = None;
    let begun = since.trouble.take().filter(|(before, _)| *before == trouble).map_or(at, |(_, begun)| begun);
    since.trouble = Some((trouble.clone(), begun));
    if elapsed(at, begun) < trouble.patience() || told.troubles.len() >= MOST_TROUBLES {
        return None;
    }
    let what = match trouble.kind {
        Kind::NoQuorum => "has no quorum",
        Kind::NotSeen => "cannot be seen",
        Kind::ApprovalAwaited => "waits for an approval",
        Kind::NeedsPerson => "waits for a person",
        _ => "is stalled: a person must act",
    };
    let kind = trouble.kind;
    let is_new = told.troubles.insert(trouble);
    is_new.then(|| News::new(kind, at, Some(cluster), &format!("{cluster} {what}"), &detail(status)))
}

/// The reason why the cluster needs a person, if it does. Whatever is ahead while something is still done, is told when it is there.
fn trouble(pass: &Pass) -> Option<Trouble> {
    match (pass.status.attention, &pass.plan) {
        (Attention::Stalled, Plan::Stalled(stalls)) => Some(Trouble::new(Kind::Stalled, stalls.reasons())),
        (Attention::Stalled, Plan::Blocked(blocked)) if !blocked.beside.is_empty() => {
            Some(Trouble::new(Kind::Stalled, blocked.beside.iter().map(Stall::reason)))
        }
        (Attention::Stalled, _) => Some(Trouble::rejected()),
        (Attention::NoQuorum, _) => Some(Trouble::new(Kind::NoQuorum, [""; 0])),
        (Attention::NotSeen, _) => Some(Trouble::new(Kind::NotSeen, [""; 0])),
        (Attention::NeedsPerson, Plan::Blocked(blocked)) => Some(refusal(&blocked.hazards)),
        (Attention::NeedsPerson | Attention::Blocked | Attention::UnderWay | Attention::Settled, _) => None,
    }
}

/// The trouble of a cluster whose gates a person must open. An approval is for one plan: another one is to be approved anew.
fn refusal(hazards: &[Hazard]) -> Trouble {
    let approval = hazards.iter().find(|hazard| hazard.gate() == GateName::ApprovalRequired);
    let of_person = hazards.iter().filter(|hazard| hazard.takes_person()).map(Hazard::gate);
    match approval {
        Some(hazard) => Trouble::new(Kind::ApprovalAwaited, [hazard.to_string()]),
        None => Trouble::new(Kind::NeedsPerson, of_person.map(|gate| gate.as_str())),
    }
}

/// The controller's answer with its advice.
fn detail(status: &Status) -> String {
    let hints = if status.hints.is_empty() {
        status.refusals.iter().filter_map(|refusal| refusal.hint.as_deref()).collect::<Vec<_>>().join("; ")
    } else {
        status.hints.join("; ")
    };
    let answer = text::without_passwords(&status.answer);
    if hints.is_empty() { answer } else { format!("{answer} ({})", text::without_passwords(&hints)) }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use super::*;
    use crate::cli::cloud::Environment;
    use crate::plan::{Hazards, plan};
    use crate::revision::{Revision, Standing};
    use crate::sim::{FaultLevel, World};
    use crate::spec::load::load;
    use crate::status::status;
    use crate::time::after;

    /// A pass of a settled cluster, so many seconds later, that needs a person that much.
    fn pass(second: u64, attention: Attention) -> Event {
        pass_from(None, second, attention)
    }

    /// The same, of a cluster whose file came from a source of revisions.
    fn pass_from(source: Option<Standing>, second: u64, attention: Attention) -> Event {
        let spec = load(&["desired-state/prod/consul.yaml".into()]).specs().next().unwrap().1.clone();
        let world = World::new(0, FaultLevel::None);
        world.settle(&spec);
        let mut seen = Environment::simulated(vec![spec.clone()], world, None).look(&spec);
        seen.now = after(seen.now, Duration::from_secs(second));
        seen.source = source.map(Arc::new);
        let suspended = Plan::Blocked(Hazards { hazards: vec![Hazard::Suspended], ..Hazards::default() });
        let plan = if attention == Attention::NeedsPerson { suspended } else { plan(&spec, &seen) };
        let status = Rc::new(Status { attention, ..status(&spec, &seen, &plan, None) });
        let (at, cluster) = (seen.now, Some(spec.name.clone()));
        Event {
            at,
            cluster,
            kind: EventKind::Planned(Rc::new(Pass { spec: Arc::new(spec), seen, plan, status, is_new: true })),
        }
    }

    fn told(watch: &mut Watch, second: u64, attention: Attention) -> Vec<Kind> {
        watch.take(&pass(second, attention)).unwrap_or_default().iter().map(|news| news.kind).collect()
    }

    #[test]
    fn a_quorum_that_is_gone_for_a_moment_is_no_news_and_one_that_stays_away_is_told_once() {
        let mut watch = Watch::default();
        for second in [0, 60, 119] {
            assert_eq!(told(&mut watch, second, Attention::NoQuorum), []);
        }
        assert_eq!(told(&mut watch, 121, Attention::UnderWay), []);
        assert_eq!(told(&mut watch, 130, Attention::NoQuorum), []);
        assert_eq!(told(&mut watch, 250, Attention::NoQuorum), [Kind::NoQuorum]);
        assert_eq!(told(&mut watch, 900, Attention::NoQuorum), []);
        // A daemon that starts anew goes by what was told.
        let memory: Memory = serde_json::from_str(&serde_json::to_string(watch.memory()).unwrap()).unwrap();
        let mut watch = Watch::resume(memory);
        assert_eq!(told(&mut watch, 1_000, Attention::NoQuorum), []);
        assert_eq!(told(&mut watch, 1_200, Attention::NoQuorum), []);
        assert_eq!(told(&mut watch, 1_300, Attention::Blocked), []);
        assert_eq!(told(&mut watch, 1_310, Attention::NoQuorum), [], "it never was over");
        assert_eq!(told(&mut watch, 1_400, Attention::Blocked), []);
        assert_eq!(told(&mut watch, 1_520, Attention::Blocked), [Kind::Recovered]);
        assert_eq!(*watch.memory(), Memory::default(), "nothing is remembered of what is over");
    }

    #[test]
    fn whoever_has_resumed_a_cluster_is_not_told_that_it_goes_on() {
        let mut watch = Watch::default();
        assert_eq!(told(&mut watch, 0, Attention::NeedsPerson), [Kind::NeedsPerson]);
        assert_eq!(told(&mut watch, 1, Attention::UnderWay), []);
        assert_eq!(told(&mut watch, 200, Attention::UnderWay), []);
        assert_eq!(told(&mut watch, 201, Attention::NeedsPerson), [Kind::NeedsPerson], "it was over");
    }

    #[test]
    fn the_revision_of_a_source_goes_along() {
        let at = Timestamp::UNIX_EPOCH;
        let [reference, author, subject] = ["main", "Ada", "Roll"].map(str::to_owned);
        let revision = Revision { id: "a".repeat(40), reference, author, subject, committed_at: at, verified_by: None };
        let source = Standing { revision: Some(revision), trouble: None, verifies: false, rewritten_from: None };
        for (source, expected) in [(Some(source), Some("a".repeat(40))), (None, None)] {
            let news = Watch::default().take(&pass_from(source, 0, Attention::NeedsPerson)).unwrap();
            assert_eq!(news[0].revision, expected);
        }
    }
}
