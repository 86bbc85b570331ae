//! Events in words, for people who read them one after the other.

use crate::event::{Acted, EventKind, Pass};
use crate::input::text;
use crate::ports::Outcome;
use crate::revision::{Standing, short};

/// Puts an event into words: its kind, and what happened. Passes that bring no news are none.
pub fn event(kind: &EventKind) -> Option<(&'static str, String)> {
    Some(match kind {
        EventKind::Started { source, observe_only } => {
            let how = if *observe_only { ", and changes nothing" } else { "" };
            ("started", format!("the daemon watches {}{how}", text::argument(source)))
        }
        EventKind::SourceAsked(asked) if asked.is_new => source(&asked.standing)?,
        EventKind::FileUsable(path) => ("file-usable", format!("{} can be used again", text::path(path))),
        EventKind::FileBroken(path) => ("file-broken", format!("{} cannot be used", text::path(path))),
        EventKind::Orphaned => {
            ("orphaned", "no file declares the cluster any more; nothing of it is changed".to_owned())
        }
        EventKind::DesiredChanged(spec) => ("desired", format!("the file wants image {}", spec.image)),
        EventKind::Planned(pass) if pass.is_new => ("answer", answer(pass)),
        EventKind::Acted(acted) => ("acted", self::acted(acted)),
        EventKind::Broken => {
            ("broken", "an internal assertion broke; the cluster is left alone until its spec changes".to_owned())
        }
        EventKind::LeaseLost => ("lease-lost", "nothing more is begun until the lease is held again".to_owned()),
        EventKind::Stopped => ("stopped", "the daemon looks after no cluster any more".to_owned()),
        EventKind::Planned(_) | EventKind::SourceAsked(_) | EventKind::DesiredRead(_) | EventKind::ProblemsFound(_) => {
            return None;
        }
    })
}

/// Says how a source stands: the trouble with it, or the revision in force.
fn source(standing: &Standing) -> Option<(&'static str, String)> {
    if let Some(trouble) = &standing.trouble {
        return Some(("source-failed", format!("no newer revision: {trouble}")));
    }
    let before = standing.rewritten_from.as_deref().map(short);
    let rewritten = before.map(|before| format!("; the branch was rewritten, and {before} is not before it"));
    Some(("revision", format!("{} is in force{}", standing.revision.as_ref()?, rewritten.unwrap_or_default())))
}

fn answer(pass: &Pass) -> String {
    let answer = &pass.status.answer;
    if pass.status.hints.is_empty() { answer.clone() } else { format!("{answer} ({})", pass.status.hints.join("; ")) }
}

fn acted(acted: &Acted) -> String {
    let action = &acted.action;
    match &acted.outcome {
        Ok(Outcome::Launched(instance)) => format!("{action}: {instance}"),
        Ok(Outcome::Created(volume)) => format!("{action}: {volume}"),
        Ok(Outcome::Snapshotted(snapshot)) => format!("{action}: {snapshot}"),
        Ok(Outcome::Done) => format!("{action}: done"),
        Ok(Outcome::AlreadySo) => format!("{action}: it was so already"),
        Ok(Outcome::Changed { expected, found }) => {
            format!("{action}: not done, expected {expected} and found {found}")
        }
        Err(failed) => format!("{action}: failed ({}): {}", failed.kind, text::without_passwords(&failed.why)),
    }
}
