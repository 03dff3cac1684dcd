//! The keys of the shards that this node leads.
