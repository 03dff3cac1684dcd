//! The pure law: records, consent decision, merge.
