//! The laws of the profile, driven through its public functions.

#[cfg(test)]
mod api_numbers;
#[cfg(test)]
mod catalogue_codec;
#[cfg(test)]
mod catalogue_entries;
#[cfg(test)]
mod catalogue_history;
#[cfg(test)]
mod codec;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod contact;
#[cfg(test)]
mod data_subject;
#[cfg(test)]
mod decision_table;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod identifiers;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod jurisdictions;
#[cfg(test)]
mod law;
#[cfg(test)]
mod law_codec;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod merge;
#[cfg(test)]
mod preferences;
#[cfg(test)]
mod quiet_hours;
#[cfg(test)]
mod request_memory;
#[cfg(test)]
mod signal;
#[cfg(test)]
mod tcf;
#[cfg(test)]
mod transitions;
#[cfg(test)]
mod values;
#[cfg(test)]
mod withdraw_all;
#[cfg(test)]
mod world;
