//! What pairs are judged by, learned from the stored records.
//!
//! A node trains when it needs a model and has none, on a sample of whole blocks: all customers under the first keys of the
//! index. Blinded keys are random, so these are random blocks, and every node takes the same. The model stays in memory, since
//! its counts are of the values themselves. A scan makes all nodes train anew.
//!
//! Must always hold: no decision of a person enters.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use custodia_linkage::{Features, Linkage, Model, Thresholds, Verdict, blocking_keys};
use custodia_profile::{MatchVerdict, PairScore, TimestampMs};
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::message::{customer_in, pair_score};
use crate::{
    shard::ShardContext,
    wire::{ServiceError, now},
};

/// Records of the sample, from which on no further block is added.
const SAMPLE_RECORDS_MAX: usize = 10_000;
/// How long a model is used for each record that it was learned from: one of few records is soon wrong, and soon learned again.
const AGE_PER_RECORD: Duration = Duration::from_secs(1);
/// How long it is used at least and at most.
const AGE_MIN: Duration = Duration::from_secs(10);
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// Of the choice of pairs in training: the same records give the same model.
const SEED: u64 = 1;

/// A model, and what it was learned from.
pub(crate) struct TrainedModel {
    model: Model,
    pub(crate) trained_at: TimestampMs,
    pub(crate) sample_records: u64,
    /// Records that are compared, estimated.
    pub(crate) records: u64,
    old_at: Instant,
}

impl fmt::Debug for TrainedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrainedModel").field("sample_records", &self.sample_records).finish_non_exhaustive()
    }
}

impl TrainedModel {
    /// From which probability on a pair is taken for one person, or shown to a person.
    pub(crate) fn thresholds(&self) -> Thresholds {
        self.model.thresholds()
    }

    /// Bits for one person, prior included.
    pub(super) fn log_odds(&self, left: &Features, right: &Features) -> f64 {
        self.model.log_odds(left, right)
    }

    /// The score of a pair that is not taken for two people.
    pub(super) fn judge(&self, left: &Features, right: &Features, now: TimestampMs) -> Option<PairScore> {
        let least = self.thresholds().review_min;
        self.model.log_odds_from(left, right, (least / (1.0 - least)).log2())?;
        let score = self.model.score(left, right);
        let verdict = match self.thresholds().verdict(score.probability) {
            Verdict::Same => MatchVerdict::Same,
            Verdict::Review => MatchVerdict::Review,
            Verdict::Different => return None,
        };
        Some(pair_score(&score, verdict, now))
    }
}

/// The model of this node.
#[derive(Debug, Default)]
pub(super) struct Models {
    /// Shared with the training, which ends even if its caller waits no longer.
    current: Arc<ArcSwapOption<TrainedModel>>,
    /// One training at a time.
    training: Mutex<()>,
}

impl Models {
    /// The next who needs a model trains.
    pub(super) fn forget(&self) {
        self.current.store(None);
    }

    fn current(&self) -> Option<Arc<TrainedModel>> {
        self.current.load_full().filter(|model| Instant::now() < model.old_at)
    }
}

struct Sample {
    features: Vec<Features>,
    records: u64,
}

impl ShardContext {
    /// The model of this node, trained now if there is none.
    pub(super) async fn model(&self, deadline: Instant) -> Result<Arc<TrainedModel>, ServiceError> {
        let models = &self.duplicates().models;
        if let Some(model) = models.current() {
            return Ok(model);
        }
        let training = timeout_at(deadline, models.training.lock()).await;
        let _training = training.map_err(|_elapsed| ServiceError::DeadlinePassed)?;
        if let Some(model) = models.current() {
            return Ok(model);
        }
        let sample = self.sample(deadline).await?;
        let current = Arc::clone(&models.current);
        let trained = spawn_blocking(move || {
            let model = Arc::new(train(&sample));
            current.store(Some(Arc::clone(&model)));
            model
        });
        let lost =
            |_panicked| ServiceError::Internal { context: "the training of a model ended without one" };
        timeout_at(deadline, trained).await.map_err(|_elapsed| ServiceError::DeadlinePassed)?.map_err(lost)
    }

    /// The customers of the first blocks, up to a limit.
    async fn sample(&self, deadline: Instant) -> Result<Sample, ServiceError> {
        let mut customers = BTreeSet::new();
        let (mut entries, mut from) = (0, 0);
        let share = loop {
            let range = self.block_range(from, deadline).await?;
            entries += range.entries.len();
            for entry in &range.entries {
                customers.insert(customer_in(&entry.customer)?);
            }
            match range.next {
                None => break 1.0,
                Some(next) if customers.len() >= SAMPLE_RECORDS_MAX => break share_below(next),
                Some(next) => from = next,
            }
        };
        let features: Vec<_> = self.features_of(customers, deadline).await?.into_values().collect();
        let keys: usize = features.iter().map(|features| blocking_keys(features).len()).sum();
        let records = estimated(entries, share, keys, features.len());
        Ok(Sample { features, records })
    }
}

/// The share of all keys that are below one.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
pub(super) fn share_below(key: u64) -> f64 {
    key as f64 / u64::MAX as f64
}

/// How many records have so many entries in this share of the index, if as many of them have so many keys.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of a count far below 2^52"
)]
fn estimated(entries: usize, share: f64, keys: usize, records: usize) -> u64 {
    let of_all = entries as f64 / share * records as f64 / (keys as f64).max(1.0);
    (of_all.round() as u64).max(records as u64)
}

fn train(sample: &Sample) -> TrainedModel {
    let count = u32::try_from(sample.features.len()).unwrap_or(u32::MAX);
    TrainedModel {
        model: Linkage::train_for(&sample.features, sample.records, SEED),
        trained_at: now(),
        sample_records: count.into(),
        records: sample.records,
        old_at: Instant::now() + AGE_PER_RECORD.saturating_mul(count).clamp(AGE_MIN, AGE_MAX),
    }
}
