//! How long things take: quantile tables from published measurements, drawn from by seed.
//!
//! Sources: brevdev/ec2-coldboot-research `docs/cold-baseline-results.md` (RunInstances 4.8 s, pending to running 17.8 s,
//! boot 3.2 s) and `docs/start-stopped-results.md`; daemonology.net 2021-08-12 (1.5 + 4.9 + 17.2 + 5.6 s);
//! aws-ebs-csi-driver `docs/design.md` (create 1–3 s, attach 2+ s) and issue 1955 (detach and attach rarely 20+ s).
//! The spans without a published figure (stop, shut down, status checks) are what EC2 users commonly report.

use fastrand::Rng;

use super::ec2::Span;
use super::time::Millis;

/// A distribution by its quantiles: per cent and milliseconds, from 0 to 100 per cent, straight lines between.
pub struct Quantiles(&'static [(u64, Millis)]);

impl Quantiles {
    /// Draws one.
    pub fn draw(&self, rng: &mut Rng) -> Millis {
        let at = rng.u64(0..=10_000);
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        for ((low, from), (high, to)) in pairs {
            if at <= high * 100 {
                return from + (to - from) * (at - low * 100) / ((high - low) * 100);
            }
        }
        self.0.last().map_or(0, |(_, longest)| *longest)
    }
}

/// Most EC2 calls.
pub const API: Quantiles = Quantiles(&[(0, 100), (50, 200), (95, 600), (100, 1_000)]);
/// `RunInstances` and `StartInstances`.
pub const RUN_INSTANCES: Quantiles = Quantiles(&[(0, 1_000), (50, 1_800), (90, 4_800), (100, 5_000)]);
/// Volumes attached to the member's process started.
pub const MOUNT: Quantiles = Quantiles(&[(0, 1_000), (50, 2_000), (100, 5_000)]);
/// One call to the application or to the claim store, in the same region.
pub const NEARBY: Quantiles = Quantiles(&[(0, 4), (50, 15), (95, 80), (100, 300)]);
/// `pending` to `running`.
const PENDING: Quantiles = Quantiles(&[(0, 12_000), (50, 17_200), (90, 17_800), (100, 30_000)]);
/// `running` to a guest that can mount.
const BOOT: Quantiles = Quantiles(&[(0, 3_000), (50, 3_200), (90, 5_600), (100, 9_000)]);
/// `running` to status checks `ok`.
const CHECKS: Quantiles = Quantiles(&[(0, 20_000), (50, 45_000), (100, 90_000)]);
/// `stopping` to `stopped`.
const STOP: Quantiles = Quantiles(&[(0, 10_000), (50, 20_000), (90, 40_000), (100, 60_000)]);
/// `shutting-down` to `terminated`.
const SHUT_DOWN: Quantiles = Quantiles(&[(0, 15_000), (50, 30_000), (100, 90_000)]);
/// `creating` to `available`.
const CREATE: Quantiles = Quantiles(&[(0, 1_000), (100, 3_000)]);
/// `attaching` to `attached`.
const ATTACH: Quantiles = Quantiles(&[(0, 1_000), (50, 2_000), (100, 5_000)]);
/// `detaching` to `available`.
const DETACH: Quantiles = Quantiles(&[(0, 2_000), (50, 5_000), (95, 12_000), (100, 20_000)]);
/// A modification of a volume, from `modifying` to `optimizing`: seconds, a few minutes at times.
const MODIFY: Quantiles = Quantiles(&[(0, 5_000), (50, 20_000), (95, 60_000), (100, 180_000)]);
/// And from `optimizing` to `completed`: minutes to hours, six for a full TiB (EBS user guide, "modify a volume").
const OPTIMIZE: Quantiles = Quantiles(&[(0, 300_000), (50, 1_800_000), (95, 7_200_000), (100, 21_600_000)]);
/// From `AssignPrivateIpAddresses` to the instance's metadata: some three seconds (ClusterLabs resource-agents 797).
const REMAP: Quantiles = Quantiles(&[(0, 1_000), (50, 2_000), (95, 4_000), (100, 8_000)]);
/// From a change of a group or of a member of it, to the group's noticing it.
const NOTICES: std::ops::RangeInclusive<Millis> = 10_000..=40_000;

/// Draws how long a change of state takes.
pub fn draw(span: Span, rng: &mut Rng) -> Millis {
    let quantiles = match span {
        Span::Pending => PENDING,
        Span::Boot => BOOT,
        Span::Checks => CHECKS,
        Span::Stop => STOP,
        Span::ShutDown => SHUT_DOWN,
        Span::Create => CREATE,
        Span::Attach => ATTACH,
        Span::Detach => DETACH,
        Span::Modify => MODIFY,
        Span::Optimize => OPTIMIZE,
        Span::Remap => REMAP,
        Span::Notice => return rng.u64(NOTICES),
        Span::Exactly(span) => return span,
    };
    quantiles.draw(rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_the_table_and_fill_it() {
        let mut rng = Rng::with_seed(1);
        let drawn: Vec<Millis> = (0..2_000).map(|_| STOP.draw(&mut rng)).collect();
        assert!(drawn.iter().all(|span| (10_000..=60_000).contains(span)));
        assert!(drawn.iter().filter(|span| **span < 20_000).count() > 800);
        assert!(drawn.iter().any(|span| *span > 50_000));
    }
}
