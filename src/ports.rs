//! The ports: what the controller and rehearsals need from outside, and how that may fail. Adapters and the simulated
//! world fill them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::action::{ClaimEffect, CloudEffect, MemberEffect};
use crate::ids::{ClusterName, ImageId, InstanceId, SlotName, SnapshotId, VolumeId};
use crate::input::text;
use crate::observed::{ClaimRecord, Membership, Sweep};
use crate::spec::{ApplicationSpec, ClusterSpec};
use crate::time::Timestamp;

mod decision;
pub mod told;

pub use decision::Decision;

/// The instances and volumes of the whole fleet.
#[allow(async_fn_in_trait)] // one thread, no `Send`
pub trait Cloud {
    /// Reads every managed instance, volume and snapshot of one region, whatever the number of clusters: paginated,
    /// filtered by tag; and each wanted group with its members. The catalogue has what is wanted, and the images that
    /// instances and volumes in the sweep name. Where only some clusters are wanted, the others may be left out.
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError>;

    /// Makes one mutating call. What the effect expects is checked before it is sent, and the age of the decision after
    /// every wait: one that is too old is not sent.
    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError>;
}

/// The members of the application that runs on the instances.
#[allow(async_fn_in_trait)]
pub trait Members {
    /// Asks what the members say of each other now. Never answers from a cache.
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError>;

    /// Sends one request to the application.
    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError>;
}

/// Data that a rehearsal writes into the application and reads back. Some kinds of application have no place for it.
#[allow(async_fn_in_trait)]
pub trait Canaries {
    /// Stores a canary as a client would store its data, in a place that is ours alone. Ok only if the application has
    /// acknowledged it. After an error it may be stored, or may be later, so a key is given one value and no other.
    /// `Invalid` if [`canary_key`] refuses the key.
    async fn write_canary(&self, spec: &ClusterSpec, seats: &[Seat], key: &str, value: &str) -> Result<(), PortError>;

    /// Reads every canary that the application has now, by key. Each one that was acknowledged before is there, unless
    /// the application has lost it: the reading is never stale, and fails where that cannot be had.
    async fn canaries(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<BTreeMap<String, String>, PortError>;
}

/// Refuses a key that could mean another place once it is part of an address: it has parts between slashes, and each
/// part has letters, digits, `-`, `_`, `.` and `:`, not dots alone.
pub fn canary_key(key: &str) -> Result<(), PortError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let fits = |part: &str| part.chars().all(plain) && part.chars().any(|c| c != '.');
    if key.split('/').all(fits) {
        return Ok(());
    }
    let why = "use letters, digits, `-`, `_`, `.` and `:`, in one part or in several with `/` between them";
    Err(PortError::new(format!("name a canary `{}`", key.escape_debug()), ErrorKind::Invalid, why))
}

/// The claim record of each cluster, written with compare-and-set.
#[allow(async_fn_in_trait)]
pub trait Coordination {
    /// Takes note of where a cluster is: the record of one with the same name in another region or account is another's.
    /// Said before the record is read or written.
    fn is_about(&self, _: &ClusterSpec) {}

    /// Reads the record as of now; a cluster that was never claimed has the default one.
    async fn read(&self, cluster: &ClusterName) -> Result<ClaimRecord, PortError>;

    /// Replaces the record if it still has the revision that the effect expects.
    async fn write(&self, cluster: &ClusterName, effect: &ClaimEffect) -> Result<Outcome, PortError>;

    /// Lists the addresses of the servers that keep the records, as far as they are known; none where no server does.
    async fn kept_at(&self) -> Vec<IpAddr> {
        Vec::new()
    }

    /// Removes the record of a cluster that is gone for good.
    async fn forget(&self, cluster: &ClusterName) -> Result<(), PortError>;
}

/// Time, which only comes in through here.
#[allow(async_fn_in_trait)]
pub trait Clock {
    /// Reads the time. Observations are dated with it.
    fn now(&self) -> Timestamp;

    /// Waits for a span of time.
    async fn sleep(&self, span: Duration);

    /// The span by which the machine's clock lies behind the time that is read here, because somebody set it back while this process lived;
    /// none up to [`SET_BACK`]. Whatever EC2 dates looks older than it is by so much.
    fn set_back(&self) -> Option<Duration> {
        None
    }
}

/// The most by which a machine's clock may be set back before a process that it misled has to begin anew: far less than any limit.
pub const SET_BACK: Duration = Duration::from_secs(60);

/// A clock that several share.
impl<T: Clock> Clock for std::rc::Rc<T> {
    fn now(&self) -> Timestamp {
        T::now(self)
    }

    async fn sleep(&self, span: Duration) {
        T::sleep(self, span).await;
    }

    fn set_back(&self) -> Option<Duration> {
        T::set_back(self)
    }
}

/// Everything that the controller needs from outside.
pub trait Outside {
    /// Instances and volumes.
    type Cloud: Cloud;
    /// The members of each cluster.
    type Members: Members;
    /// The claim records.
    type Coordination: Coordination;
    /// The time.
    type Clock: Clock;

    /// Gives the port to instances and volumes.
    fn cloud(&self) -> &Self::Cloud;
    /// Gives the port to the members.
    fn members(&self) -> &Self::Members;
    /// Gives the port to the claim records.
    fn coordination(&self) -> &Self::Coordination;
    /// Gives the clock.
    fn clock(&self) -> &Self::Clock;
}

/// Everything that a rehearsal needs from outside.
pub trait OutsideWithCanaries: Outside {
    /// Data to write and to read back.
    type Canaries: Canaries;

    /// Gives the port to the canaries of an application, unless its kind has none.
    fn canaries_of(&self, application: &ApplicationSpec) -> Option<&Self::Canaries>;
}

/// One thing that fills every port, such as the simulated world.
impl<T: Cloud + Members + Coordination + Clock> Outside for T {
    type Cloud = T;
    type Members = T;
    type Coordination = T;
    type Clock = T;

    fn cloud(&self) -> &T {
        self
    }

    fn members(&self) -> &T {
        self
    }

    fn coordination(&self) -> &T {
        self
    }

    fn clock(&self) -> &T {
        self
    }
}

/// The scope of a sweep: a region, and what to look up beside the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The region, e.g. `us-east-1`.
    pub region: String,
    /// The clusters that are looked at by themselves, because something moves there; the whole fleet where none is named.
    pub only: BTreeSet<ClusterName>,
    /// Images that specs name.
    pub images: BTreeSet<ImageId>,
    /// Instance types that specs name.
    pub instance_types: BTreeSet<String>,
    /// Fixed addresses that specs declare.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Auto Scaling groups that specs adopt, for the cluster of each.
    pub groups: BTreeMap<ClusterName, String>,
    /// The snapshots that throw-away copies of clusters begin with. Only rehearsals have any.
    pub copies: bool,
    /// The clusters whose volumes are saved while their instances run. Their snapshots are shown where such a cluster is looked at by
    /// itself.
    pub saved_running: BTreeSet<ClusterName>,
}

/// The place where a slot's member can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub slot: SlotName,
    pub instance: InstanceId,
    pub address: IpAddr,
}

/// The outcome of a mutating call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call took effect.
    Done,
    /// The call took effect and launched this instance.
    Launched(InstanceId),
    /// The call took effect and created this volume.
    Created(VolumeId),
    /// The call took effect and began this snapshot.
    Snapshotted(SnapshotId),
    /// Nothing was left to do.
    AlreadySo,
    /// The world was not as the effect expects, so nothing was sent: look again, no alarm.
    Changed { expected: String, found: String },
}

/// A call that failed, or whose outcome is not known.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct PortError {
    /// The deed and its object, e.g. `launch an instance for consul-a`.
    pub doing: String,
    /// The consequence. Text never decides.
    pub kind: ErrorKind,
    /// The port's own account.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl PortError {
    /// A failed call.
    pub fn new(
        doing: impl Into<String>,
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing: doing.into(), kind, source: source.into() }
    }
}

/// The most characters of an error that are told, and of each of its causes: some quote what others wrote.
const LONGEST: usize = 2_000;

/// Words an error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(|error| text::cut(&error.to_string(), LONGEST)).collect::<Vec<_>>().join(": ")
}

/// The meaning of a failure for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Too many calls: come back later.
    Throttled,
    /// Not allowed: a human must act.
    Denied,
    /// EC2 has no such instance to give, or a quota or subnet is full: come back much later.
    NoCapacity,
    /// The named thing does not exist, or cannot be seen yet.
    NotFound,
    /// The request can never succeed as it is: a human must act.
    Invalid,
    /// The token was used before, for an instance that is gone or for other parameters: a further attempt is needed.
    TokenSpent,
    /// No answer, or a server's error: the effect may or may not have happened. The same call may be sent again.
    Unreachable,
    /// An unknown code: hold.
    Unknown,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::NoCapacity => "no capacity",
            Self::NotFound => "not found",
            Self::Invalid => "invalid",
            Self::TokenSpent => "token spent",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        })
    }
}
