//! Repeatable randomness: every test prints its seed, and `CUSTODIA_SEED` repeats the run.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct Random(u64);

impl Random {
    #[expect(clippy::disallowed_methods, reason = "a seed, not a time")]
    pub(crate) fn seeded() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = match std::env::var("CUSTODIA_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => u64::try_from(now % u128::from(u64::MAX)).unwrap(),
        };
        println!("CUSTODIA_SEED={seed}");
        Self(seed)
    }

    /// The same for the same numbers; for models that two processes compute.
    pub(crate) fn of(first: u64, second: u64) -> Self {
        Self(first.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ second.wrapping_mul(0xff51_afd7_ed55_8ccd))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
