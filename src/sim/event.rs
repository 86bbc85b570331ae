//! Events of the world: the transcript of `simulate -o jsonl`. Their names are an interface.

use serde::{Deserialize, Serialize};

use super::judge::Rule;
use crate::ids::{ClusterName, ImageId, InstanceId, SlotName, VolumeId, Zone};

/// One line of the transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Simulated seconds since the world began.
    pub t: f64,
    /// The event itself.
    #[serde(flatten)]
    pub what: What,
}

/// An event, by `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A cluster as it is at the beginning.
    World { cluster: ClusterName, slots: Vec<SlotLine> },
    /// A mutating call of a controller reached the world.
    Action {
        cluster: ClusterName,
        /// `Effect::name()`.
        action: String,
        controller: u8,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        slot: Option<SlotName>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        instance: Option<InstanceId>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        volume: Option<VolumeId>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        image: Option<ImageId>,
        /// The outcome of the call, when that is not plain success: `already-so`, `changed: …`, or the kind of failure.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        outcome: Option<String>,
    },
    /// A slot's member stopped or began to be a healthy voter.
    Member { cluster: ClusterName, slot: SlotName, state: UpDown },
    /// The world did something unkind.
    Fault {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        cluster: Option<ClusterName>,
        /// A stable name, e.g. `answer-lost`.
        fault: String,
        detail: String,
    },
    /// An adopted Auto Scaling group did something by itself.
    Group {
        cluster: ClusterName,
        group: String,
        /// `launches` or `terminates`.
        did: String,
        instance: InstanceId,
    },
    /// A controller died.
    Crash {
        controller: u8,
        /// `before-send`, `after-effect`, `after-answer` or `while-waiting`.
        at: String,
    },
    /// An invariant does not hold.
    Violation { cluster: ClusterName, invariant: String, detail: String },
}

impl What {
    /// Names the cluster that an event is about, unless a person must know of it whichever that is.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match self {
            Self::World { cluster, .. }
            | Self::Action { cluster, .. }
            | Self::Member { cluster, .. }
            | Self::Group { cluster, .. } => Some(cluster),
            Self::Fault { cluster, .. } => cluster.as_ref(),
            Self::Crash { .. } | Self::Violation { .. } => None,
        }
    }
}

/// A slot in the `world` line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotLine {
    pub slot: SlotName,
    pub zone: Zone,
    pub instance: Option<InstanceId>,
    pub image: Option<ImageId>,
    pub volumes: Vec<VolumeId>,
    /// `leader`, `voter`, `non-voter` or `none`.
    pub role: String,
}

/// Whether a slot's member is a healthy voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpDown {
    Up,
    Down,
}

/// A safety rule that was found broken, from ground truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// Simulated seconds since the world began.
    pub t: f64,
    /// The cluster that it is broken for.
    pub cluster: ClusterName,
    /// The rule that does not hold.
    #[serde(rename = "invariant")]
    pub rule: Rule,
    /// The observation that breaks it.
    pub detail: String,
}
