//! The laws of the profile, driven through its public functions.

#[cfg(test)]
mod catalogue_entries;
#[cfg(test)]
mod codec;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod identifiers;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod law;
#[cfg(test)]
mod merge;
#[cfg(test)]
mod request_memory;
#[cfg(test)]
mod values;
#[cfg(test)]
mod world;
