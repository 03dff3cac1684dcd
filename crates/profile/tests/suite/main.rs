//! The laws of the profile, driven through its public functions.

#[cfg(test)]
mod activity;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod cleaning;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod contact;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod identifier;
#[cfg(test)]
mod law;
#[cfg(test)]
mod merging;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod world;
