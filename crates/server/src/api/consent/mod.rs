//! ConsentService: what a data subject allows, what became of it, and why.

mod consent_mode;
mod convert;
mod data_subject;
#[cfg(test)]
mod data_subject_tests;
mod explain;
mod export;
mod get_consents;
mod history;
mod parse;
mod privacy_signal;
mod record_consent;
mod tc_string;
#[cfg(test)]
mod test_requests;
#[cfg(test)]
mod tests;
mod withdraw_all_consents;
mod withdraw_consent;
