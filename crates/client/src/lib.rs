//! The Rust client: knows the shard map, goes straight to the leader.
