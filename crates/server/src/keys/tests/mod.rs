//! The keys of a shard over the memory engine, with a group that applies commands as the real one does.

mod faults;
mod first_keys;
mod group;
mod races;
mod rotations;
