//! Latencies as counts in buckets. PURE.
//!
//! Log-linear: 64 buckets for each doubling, so that a value read from it is at most 1.6 % above the true one, from a
//! microsecond to an hour and more in 17 KiB.

/// Buckets for each doubling; below twice as many microseconds each has a bucket of its own.
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const SUB_BITS: u32 = 6;
/// Doublings above the linear part: up to 2^39 microseconds, six days.
const DOUBLINGS: usize = 32;
const BUCKETS: usize = (DOUBLINGS + 2) << SUB_BITS;

/// How often which latency was seen.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: u64,
}

impl Histogram {
    /// Nothing seen yet.
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max_us: 0 }
    }

    /// One latency, in microseconds.
    pub(super) fn record(&mut self, us: u64) {
        self.counts[bucket(us)] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// The latency in microseconds that so many of a thousand do not exceed; 0 when nothing was seen.
    pub(super) fn per_mille(&self, per_mille: u64) -> u64 {
        let rank = (self.total * per_mille).div_ceil(1_000);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank && seen > 0
        });
        at.map_or(0, |at| highest(at).min(self.max_us))
    }

    /// The longest, in microseconds.
    pub(super) const fn max_us(&self) -> u64 {
        self.max_us
    }
}

/// The bucket of a latency; the last one takes whatever is longer.
fn bucket(us: u64) -> usize {
    let shift = (us | SUB_BUCKETS).ilog2() - SUB_BITS;
    let at = u64::from(shift) * SUB_BUCKETS + (us >> shift);
    usize::try_from(at).map_or(BUCKETS - 1, |at| at.min(BUCKETS - 1))
}

/// The longest latency, in microseconds, that falls into a bucket.
const fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / SUB_BUCKETS).saturating_sub(1);
    ((bucket - shift * SUB_BUCKETS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_and_are_narrow() {
        let mut us = 0;
        for at in 0..BUCKETS - 1 {
            assert_eq!((bucket(us), bucket(highest(at))), (at, at), "{us}");
            assert!((highest(at) - us) * SUB_BUCKETS <= us, "{us} to {} is wide", highest(at));
            us = highest(at) + 1;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.per_mille(500), histogram.max_us()), (0, 0));
        (1..=1_000).for_each(|us| histogram.record(us));
        assert_eq!(histogram.per_mille(50), 50);
        for (per_mille, us) in [(500, 500), (990, 990), (999, 999), (1_000, 1_000)] {
            let read = histogram.per_mille(per_mille);
            assert!(read >= us && read <= us + us / SUB_BUCKETS, "{per_mille}: {read}");
        }
        assert_eq!(histogram.max_us(), 1_000);
    }
}
