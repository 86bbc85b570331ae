//! How long each thing may take before something else is decided, as one value with a reason for each field.
//!
//! The planner is given its limits, so that a test or an explorer can change them. [`Limits::DEFAULT`] is for everybody
//! else. What a cluster's own file says (bake time, join deadline, windows) is no limit of this kind, and is in its
//! spec.

use std::time::Duration;

/// Every waiting limit of the planner, and of the sending of what it has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that EC2 takes to show a change, or to carry out a request: its views agree within seconds as a
    /// rule, and it refuses a request that was signed longer ago than this (`RequestExpired`). So an instance that was
    /// launched is waited for this long, a volume at a stranger is believed after it, and for this long after a
    /// replacement was taken back, or fell at the end of its cluster, nothing begins that a late call could hit.
    pub late: Duration,
    /// The greatest age of a reading: an older one is no ground for a decision.
    pub fresh: Duration,
    /// The greatest age of a decision that is sent: a controller that was paused must not act on what it once saw.
    pub decision: Duration,
    /// The time after which a call has reached EC2 or never will, unless whoever sends it stands still in the middle: it is sent
    /// while its decision is young, and given up after ten seconds without an answer. So long after somebody has read that a
    /// replacement is being turned, nothing of the other way is on its way.
    pub call: Duration,
    /// The time for which members have no leader before it is certain that they do not elect one by themselves: an
    /// election takes seconds.
    pub leaderless: Duration,
    /// The time for which EC2 goes on showing a terminated instance. An instance that is not shown may still be there
    /// before that.
    pub terminated_shown: Duration,
    /// The time for which a member that was prepared for its stop counts as prepared: it goes on serving meanwhile, so what was
    /// prepared wears off.
    pub prepared: Duration,
    /// The longest that an instance should take to start, stop or terminate before a person should look at it. A guest
    /// that does not shut down is forced to within this time.
    pub instance: Duration,
    /// The longest that a volume should take to attach, detach or be created: attaching takes seconds, and EBS's own
    /// driver gives up after 90 s.
    pub volume: Duration,
    /// The longest that a slot which nobody claims should be in between two states, whichever of its parts is the slow
    /// one.
    pub slot: Duration,
    /// The longest that a snapshot should take: a large volume is copied for hours.
    pub snapshot: Duration,
    /// The longest that status checks may take before the new instance is given up: they run once a minute, and a boot
    /// that takes longer than this has failed.
    pub checks: Duration,
    /// The time that a member has to show itself at its new instance while there is no leader: mounting and starting take
    /// half a minute. After that its old instance, which can give the cluster its quorum back, is started again.
    pub first_sign: Duration,
    /// The time that a wait may last beyond the time at which a person should look, before it is called a stall.
    pub overdue: Duration,
    /// The number of launches that are tried in a row before a longer pause: BOSH's figure.
    pub launches: u32,
    /// The longer pause. Capacity that is missing comes back in tens of minutes, not in seconds.
    pub next_launches: Duration,
    /// The time before the end of a bake from which on the next slot's replacement is launched: longer than a boot and its status
    /// checks usually take.
    pub ahead: Duration,
    /// The longest that an instance that was launched ahead waits for its slot's turn before it is let go.
    pub kept_ahead: Duration,
    /// The longest that an Auto Scaling group may take to launch an instance in place of one that it lost. It notices
    /// within a minute or two, and launches at once.
    pub group_launch: Duration,
    /// The longest that attaching to or detaching from a group should take: seconds, unless a lifecycle hook waits.
    pub group_change: Duration,
    /// The longest that the members of a new cluster may take to find each other before a person should look at them.
    pub formation: Duration,
    /// The time before announced maintenance of another slot's instance in which it counts: that member may be lost at
    /// any moment, and a replacement should be over before.
    pub maintenance: Duration,
}

impl Limits {
    /// The limits that a controller runs with.
    pub const DEFAULT: Self = Self {
        late: minutes(5),
        fresh: Duration::from_secs(30),
        decision: Duration::from_secs(5),
        call: Duration::from_secs(15),
        leaderless: minutes(2),
        terminated_shown: minutes(60),
        prepared: minutes(5),
        instance: minutes(10),
        volume: Duration::from_secs(90),
        slot: minutes(10),
        snapshot: minutes(24 * 60),
        checks: minutes(15),
        first_sign: minutes(1),
        overdue: minutes(10),
        launches: 3,
        next_launches: minutes(30),
        ahead: minutes(5),
        kept_ahead: minutes(30),
        group_launch: minutes(5),
        group_change: minutes(10),
        formation: minutes(10),
        maintenance: minutes(2 * 60),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
