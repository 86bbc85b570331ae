//! The names of the gates, each spelled once.

use std::fmt;

/// Declares the names: a variant each, and the stable spelling that people and programs see.
macro_rules! gate_names {
    ($($variant:ident = $name:literal,)*) => {
        /// The name of a gate, part of the interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum GateName {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl GateName {
            /// The stable spelling, e.g. `quorum-would-be-lost`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

gate_names! {
    Frozen = "frozen",
    KillSwitch = "kill-switch",
    WrongAccount = "wrong-account",
    StaleObservation = "stale-observation",
    NotUnderstood = "not-understood",
    Suspended = "suspended",
    OutsideWindow = "outside-window",
    LeftBehind = "left-behind",
    ApprovalRequired = "approval-required",
    NotRehearsed = "not-rehearsed",
    GenerationRejected = "generation-rejected",
    RollbackCooldown = "rollback-cooldown",
    ClaimInCluster = "claim-in-cluster",
    ClaimHeld = "claim-held",
    AnotherReplacement = "another-replacement",
    DependencyUnsettled = "dependency-unsettled",
    ImageUnavailable = "image-unavailable",
    TypeUnsuitable = "type-unsuitable",
    DeviceTaken = "device-taken",
    AddressTaken = "address-taken",
    NotOwned = "not-owned",
    OwnedByAutoscaling = "owned-by-autoscaling",
    GroupUnusable = "group-unusable",
    GroupHasNoRoom = "group-has-no-room",
    GroupChanging = "group-changing",
    VolumeMissing = "volume-missing",
    UndeclaredVolume = "undeclared-volume",
    VolumeImpaired = "volume-impaired",
    VolumeModifying = "volume-modifying",
    DeleteOnTermination = "delete-on-termination",
    ZoneImpaired = "zone-impaired",
    ScheduledEvent = "scheduled-event",
    UnknownHealth = "unknown-health",
    NoLeader = "no-leader",
    MembersMissing = "members-missing",
    MemberNotVoter = "member-not-voter",
    MemberUnhealthy = "member-unhealthy",
    QuorumWouldBeLost = "quorum-would-be-lost",
    Lagging = "lagging",
    Unstable = "unstable",
    WouldBePruned = "would-be-pruned",
    ApplicationForbids = "application-forbids",
    MemberElsewhere = "member-elsewhere",
    VersionUnprovable = "version-unprovable",
    VersionSkew = "version-skew",
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
