//! Conditions of an adopted Auto Scaling group.

use std::collections::BTreeSet;

use crate::ids::InstanceId;
use crate::observed::{Group, Launches, Process};

use super::condition::Difference;

/// Something that a group is or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GroupCondition<'e> {
    /// Shown at all.
    IsShown,
    /// With just these processes written down, to be resumed later.
    Resumes(&'e BTreeSet<Process>),
    /// With these processes among those written down.
    ResumesAtLeast(&'e BTreeSet<Process>),
    /// With nothing written down.
    ResumesNothing,
    /// With something written down.
    KnowsWhatToResume,
    /// With all of these processes suspended.
    Suspends(&'e BTreeSet<Process>),
    /// With none of these processes suspended.
    Runs(&'e BTreeSet<Process>),
    /// With both processes suspended that change how many instances there are.
    NeitherLaunchesNorTerminates,
    /// With that instance as a member.
    Has(&'e InstanceId),
    /// Without that instance.
    HasNot(&'e InstanceId),
    /// With that member protected from scale-in.
    Protects(&'e InstanceId),
    /// With that member counted as healthy.
    TakesForHealthy(&'e InstanceId),
    /// With that desired capacity.
    Wants(u32),
    /// With that minimum.
    HasMinimum(u32),
    /// With a launch template of one kind that can be kept as the spec wants it.
    HasTemplate,
    /// With that version of its launch template in use.
    LaunchesFrom(u64),
    /// The same, named by its number and not as the latest or the default one.
    LaunchesFromPinned(u64),
}

/// Processes that add and end instances.
const CAPACITY_PROCESSES: [Process; 2] = [Process::Launch, Process::Terminate];

impl GroupCondition<'_> {
    /// Tells whether the versions of the group's launch template must be looked at as well.
    pub(super) fn asks_for_template(&self) -> bool {
        matches!(self, Self::HasTemplate | Self::LaunchesFrom(_) | Self::LaunchesFromPinned(_))
    }

    /// Holds the condition against a group.
    pub(super) fn compare(&self, seen: &Group) -> Result<(), Difference> {
        if self.holds(seen) { Ok(()) } else { Err(Difference::new(self.words(seen), self.found(seen))) }
    }

    fn holds(&self, seen: &Group) -> bool {
        let member = |id: &InstanceId| seen.members.get(id);
        let template = match &seen.launches {
            Launches::Template(template) => Some(template),
            Launches::Otherwise(_) => None,
        };
        match *self {
            Self::IsShown => true,
            Self::Resumes(processes) => seen.resume.as_ref() == Some(processes),
            Self::ResumesAtLeast(processes) => {
                seen.resume.as_ref().is_some_and(|recorded| processes.is_subset(recorded))
            }
            Self::ResumesNothing => seen.resume.is_none(),
            Self::KnowsWhatToResume => seen.resume.is_some(),
            Self::Suspends(processes) => processes.is_subset(&seen.suspended),
            Self::Runs(processes) => processes.is_disjoint(&seen.suspended),
            Self::NeitherLaunchesNorTerminates => {
                CAPACITY_PROCESSES.iter().all(|process| seen.suspended.contains(process))
            }
            Self::Has(instance) => member(instance).is_some(),
            Self::HasNot(instance) => member(instance).is_none(),
            Self::Protects(instance) => member(instance).is_some_and(|member| member.protected),
            Self::TakesForHealthy(instance) => member(instance).is_some_and(|member| member.healthy),
            Self::Wants(number) => seen.desired == number,
            Self::HasMinimum(number) => seen.min == number,
            Self::HasTemplate => template.is_some(),
            Self::LaunchesFrom(number) => template.is_some_and(|template| template.version.number == number),
            Self::LaunchesFromPinned(number) => {
                template.is_some_and(|template| template.version.number == number && template.pinned)
            }
        }
    }

    fn words(&self, seen: &Group) -> String {
        match self {
            Self::IsShown => seen.name.clone(),
            Self::Resumes(processes) | Self::ResumesAtLeast(processes) => format!("{} written down", listed(processes)),
            Self::ResumesNothing => "nothing written down".to_owned(),
            Self::KnowsWhatToResume => "what to resume".to_owned(),
            Self::Suspends(processes) => format!("{} suspended", listed(processes)),
            Self::Runs(processes) => format!("{} running", listed(processes)),
            Self::NeitherLaunchesNorTerminates => "Launch and Terminate suspended".to_owned(),
            Self::Has(instance) | Self::Protects(instance) | Self::TakesForHealthy(instance) => {
                format!("{instance} in {}", seen.name)
            }
            Self::HasNot(instance) => format!("{instance} outside {}", seen.name),
            Self::Wants(number) => format!("{number} wanted"),
            Self::HasMinimum(number) => format!("a minimum of {number}"),
            Self::HasTemplate => "a launch template".to_owned(),
            Self::LaunchesFrom(number) | Self::LaunchesFromPinned(number) => format!("version {number}"),
        }
    }

    fn found(&self, seen: &Group) -> String {
        match self {
            Self::IsShown => String::new(),
            Self::Resumes(_) | Self::ResumesAtLeast(_) | Self::ResumesNothing | Self::KnowsWhatToResume => {
                seen.resume.as_ref().map_or_else(|| "nothing".to_owned(), listed)
            }
            Self::Suspends(_) | Self::Runs(_) | Self::NeitherLaunchesNorTerminates => {
                format!("{} suspended", listed(&seen.suspended))
            }
            Self::Has(_) | Self::Protects(_) | Self::TakesForHealthy(_) => "no member".to_owned(),
            Self::HasNot(_) => "a member".to_owned(),
            Self::Wants(_) => seen.desired.to_string(),
            Self::HasMinimum(_) => seen.min.to_string(),
            Self::HasTemplate | Self::LaunchesFrom(_) | Self::LaunchesFromPinned(_) => match &seen.launches {
                Launches::Template(template) => format!("version {}", template.version.number),
                Launches::Otherwise(what) => what.clone(),
            },
        }
    }
}

fn listed(processes: &BTreeSet<Process>) -> String {
    let names: Vec<_> = processes.iter().map(|process| process.name()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}
