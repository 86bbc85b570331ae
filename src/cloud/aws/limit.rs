//! Our own rate limit: a share of what EC2 allows the whole account, by the buckets that EC2 counts with. Each call has one of its own,
//! of the size that its row says.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::{Timestamp, elapsed};

/// Calls that have buckets of one size. The figures are those of "Request throttling for the Amazon EC2 API", by account and region:
/// "each API is evaluated individually", so that one's requests take nothing from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    /// `Describe*`, filtered or paginated, of what moves or is about to.
    Describe,
    /// The same of the whole fleet, page after page: a part of the limit of its own, so that a long look keeps nobody
    /// waiting, and is never kept waiting for good.
    Survey,
    /// Whatever changes something and has no row of its own.
    Change,
    /// `RunInstances` and `StartInstances`.
    Launch,
    Terminate,
    /// `CreateTags` and `DeleteTags`.
    Tag,
    /// `CreateVolume` and `CreateSnapshot`.
    Create,
    /// Auto Scaling's `Describe*`. What Auto Scaling allows is not published, nor how it counts: apart from EC2, and all calls of a
    /// row together.
    Look,
    /// Calls that change an Auto Scaling group, together as well.
    Group,
    /// STS, which allows far more.
    Identity,
}

impl Bucket {
    /// The published capacity, and the refill a second. Those of `Describe*` are split in two.
    fn published(self) -> (i64, i64) {
        match self {
            Self::Describe => (75, 15),
            Self::Survey => (25, 5),
            Self::Look | Self::Identity => (100, 20),
            Self::Change | Self::Group => (50, 5),
            Self::Launch => (5, 2),
            Self::Terminate | Self::Create => (100, 5),
            Self::Tag => (100, 10),
        }
    }
}

/// A call, and the size of its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub bucket: Bucket,
    /// E.g. `DescribeInstances`.
    pub call: &'static str,
}

impl Row {
    /// The row whose level counts.
    fn counted(self) -> Self {
        match self.bucket {
            Bucket::Look | Bucket::Group => Self { call: "", ..self },
            _ => self,
        }
    }
}

/// Levels are kept in 100,000ths of a request, so that a percent of a request each second is a whole number each
/// millisecond.
const REQUEST: i64 = 100_000;

/// The buckets of one region.
#[derive(Debug)]
pub(super) struct Limiter {
    percent: i64,
    levels: BTreeMap<Row, Level>,
}

/// Tokens left in a bucket at a moment, below zero while somebody waits for a turn.
#[derive(Clone, Copy, Debug)]
struct Level {
    left: i64,
    at: Timestamp,
}

impl Limiter {
    /// With so many percent of what is published; with one at least.
    pub(super) fn new(percent: u32) -> Self {
        Self { percent: i64::from(percent.max(1)), levels: BTreeMap::new() }
    }

    /// Takes one request from the other part of a limit that is split in two, where that is more than half full.
    pub(super) fn borrow(&mut self, row: Row, now: Timestamp) -> bool {
        let other = match row.bucket {
            Bucket::Describe => Bucket::Survey,
            Bucket::Survey => Bucket::Describe,
            _ => return false,
        };
        let (capacity, _) = self.capacity(other);
        let level = self.level(Row { bucket: other, ..row }, now);
        let lends = level.left - REQUEST >= capacity / 2;
        if lends {
            level.left -= REQUEST;
        }
        lends
    }

    /// Takes one request, and says how long to wait before it is sent. If that is longer than `patience`, nothing is
    /// taken, and the wait is the error.
    pub(super) fn reserve(&mut self, row: Row, now: Timestamp, patience: Duration) -> Result<Duration, Duration> {
        let (_, refill) = self.capacity(row.bucket);
        let level = self.level(row, now);
        let lacking = (REQUEST - level.left).max(0);
        let wait = Duration::from_millis(u64::try_from((lacking + refill - 1) / refill).unwrap_or(0));
        if wait > patience {
            return Err(wait);
        }
        level.left -= REQUEST;
        Ok(wait)
    }

    /// Our share of a bucket's capacity, in parts of a request, and of its refill each millisecond.
    fn capacity(&self, bucket: Bucket) -> (i64, i64) {
        let (capacity, refill) = bucket.published();
        // A bucket that cannot hold one request would never give one. Hundredths of a request a second are `REQUEST`ths
        // a millisecond.
        ((capacity * self.percent * REQUEST / 100).max(REQUEST), refill * self.percent)
    }

    /// The level of a bucket now.
    fn level(&mut self, row: Row, now: Timestamp) -> &mut Level {
        let (capacity, refill) = self.capacity(row.bucket);
        let level = self.levels.entry(row.counted()).or_insert(Level { left: capacity, at: now });
        let passed = i64::try_from(elapsed(now, level.at).as_millis()).unwrap_or(i64::MAX);
        level.left = level.left.saturating_add(passed.saturating_mul(refill)).min(capacity);
        level.at = level.at.max(now);
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(milliseconds: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, Duration::from_millis(milliseconds))
    }

    fn row(bucket: Bucket) -> Row {
        Row { bucket, call: "DescribeInstances" }
    }

    fn waits(limiter: &mut Limiter, bucket: Bucket, now: u64, calls: usize) -> Vec<u128> {
        waits_for(limiter, row(bucket), now, calls)
    }

    fn waits_for(limiter: &mut Limiter, row: Row, now: u64, calls: usize) -> Vec<u128> {
        (0..calls).map(|_| limiter.reserve(row, at(now), MINUTE).unwrap().as_millis()).collect()
    }

    #[test]
    fn a_full_bucket_gives_a_tenth_of_what_is_published_at_once_and_then_a_tenth_of_the_refill() {
        let mut limiter = Limiter::new(10);
        assert_eq!(waits(&mut limiter, Bucket::Look, 0, 10), [0; 10]);
        assert_eq!(waits(&mut limiter, Bucket::Look, 0, 3), [500, 1_000, 1_500]);
        assert_eq!(waits(&mut limiter, Bucket::Look, 1_500, 1), [500]);
    }

    #[test]
    fn a_bucket_of_less_than_one_request_gives_one_all_the_same() {
        let mut limiter = Limiter::new(10);
        assert_eq!(waits(&mut limiter, Bucket::Launch, 0, 3), [0, 5_000, 10_000]);
        assert_eq!(waits(&mut limiter, Bucket::Launch, 60_000, 2), [0, 5_000]);
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_capacity() {
        let mut limiter = Limiter::new(10);
        waits(&mut limiter, Bucket::Change, 0, 1);
        assert_eq!(waits(&mut limiter, Bucket::Change, 3_600_000, 6), [0, 0, 0, 0, 0, 2_000]);
    }

    #[test]
    fn who_has_no_patience_takes_nothing() {
        let mut limiter = Limiter::new(10);
        waits(&mut limiter, Bucket::Launch, 0, 1);
        let impatient = limiter.reserve(row(Bucket::Launch), at(0), Duration::from_secs(4));
        assert_eq!(impatient, Err(Duration::from_secs(5)));
        assert_eq!(waits(&mut limiter, Bucket::Launch, 5_000, 1), [0]);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let mut limiter = Limiter::new(10);
        waits(&mut limiter, Bucket::Launch, 10_000, 1);
        assert_eq!(waits(&mut limiter, Bucket::Launch, 5_000, 1), [5_000]);
        assert_eq!(waits(&mut limiter, Bucket::Launch, 15_000, 1), [5_000]);
    }

    /// A call's wait: its own part of the limit, or the other part where that has more than enough.
    fn asks(limiter: &mut Limiter, bucket: Bucket, call: &'static str, now: u64) -> u64 {
        let row = Row { bucket, call };
        if limiter.borrow(row, at(now)) { 0 } else { waits_for(limiter, row, now, 1)[0] as u64 }
    }

    #[test]
    fn a_look_at_fifty_thousand_instances_and_one_at_a_busy_cluster_do_not_keep_each_other_waiting() {
        const CALLS: [&str; 3] = ["DescribeInstances", "DescribeVolumes", "DescribeInstanceStatus"];
        const PAGES: usize = 50; // of each
        let mut limiter = Limiter::new(10);
        let (mut survey, mut pages, mut surveyed) = (0, 0, None);
        let (mut look, mut calls, mut longest) = (0, 0, 0);
        // Each asks for its next call when the one before has been sent.
        while surveyed.is_none() || look < 600_000 {
            if survey <= look {
                for call in CALLS {
                    survey += asks(&mut limiter, Bucket::Survey, call, survey) + 200;
                }
                pages += 1;
                surveyed = surveyed.or((pages == PAGES).then_some(survey));
            } else {
                let begun = look;
                for call in CALLS {
                    look += asks(&mut limiter, Bucket::Describe, call, look) + 200;
                }
                calls += 1;
                longest = longest.max(look - begun);
                look += 1_000;
            }
        }
        assert!(surveyed.is_some_and(|at| at < 5 * 60_000), "the whole fleet is seen every few minutes: {surveyed:?}");
        assert!(longest < 5_000, "a reading of what moves is never older than 30 s: {longest} ms");
        let allowed = 10 + 2 * look.max(survey) / 1_000;
        assert!(
            calls + pages as u64 <= allowed,
            "{calls} and {pages} of a kind are more than a tenth of what EC2 allows"
        );
    }

    #[test]
    fn each_call_has_a_bucket_of_its_own_but_for_those_of_auto_scaling() {
        let mut limiter = Limiter::new(10);
        let mut first_waits = |bucket, call| waits_for(&mut limiter, Row { bucket, call }, 0, 11)[10];
        assert_eq!(first_waits(Bucket::Change, "AttachVolume"), 12_000);
        assert_eq!(first_waits(Bucket::Change, "DetachVolume"), 12_000);
        assert_eq!(first_waits(Bucket::Look, "DescribeAutoScalingGroups"), 500);
        assert_eq!(first_waits(Bucket::Look, "DescribeLoadBalancers"), 6_000);
    }
}
