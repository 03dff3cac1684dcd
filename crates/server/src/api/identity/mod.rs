//! IdentityService: customers found by what identifies them.

mod activity;
mod agent_context;
mod batch_lookup;
mod convert;
mod list_identifiers;
mod lookup_profile;
mod merge_profiles;
mod release_identifier;
mod report_identifiers;
mod split_identifier;
mod unmerge_profiles;
mod update_identifier;
