//! Probabilistic record linkage: which records are of one person, learned without labels.
//!
//! ```text
//! values ──▶ Features ──▶ blocking keys ──▶ pairs ──▶ comparison ──▶ mixture model ──▶ score ──▶ clusters
//!                └────────────────▶ Linkage::train ─────────────────────┘
//! ```
//! No clock, no disk, no network, no async. What is random comes from a seed, so the same input gives the same result.
//!
//! | Module | Owns |
//! |---|---|
//! | `field` | kinds of values, comparisons and their levels |
//! | `features`, `normalise`, `nickname` | a record as it is compared |
//! | `blocking`, `pairs` | which pairs are compared at all |
//! | `similarity`, `compare`, `frequency` | the level of each field, and how common a value is |
//! | `parameters`, `training`, `model` | the mixture, its estimation, scores |
//! | `thresholds`, `clusters` | from scores to decisions, from pairs to persons |
//! | [`population`] | generated people with known truth, for measurements |
#![expect(clippy::cast_precision_loss, reason = "counts of records and pairs are far below 2^52")]

mod blocking;
mod clusters;
mod compare;
mod features;
mod field;
mod frequency;
mod model;
mod nickname;
mod normalise;
mod pairs;
mod parameters;
pub mod population;
mod random;
mod similarity;
mod thresholds;
mod training;

pub use blocking::{BlockingDigests, BlockingKey, KeyKind, REFINEMENTS, blocking_keys, refinements};
pub use clusters::{Edge, clusters};
pub use features::{Features, RecordId, VALUES_MAX};
pub use field::{Category, Field, FieldKind};
pub use model::{FieldScore, Linkage, Model, Score};
pub use pairs::{BLOCK_RECORDS_MAX, CandidatePair, PairIndex};
pub use parameters::probability;
pub use thresholds::{FALSE_SHARE_MAX, Thresholds, Verdict};
