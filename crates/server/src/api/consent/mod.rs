//! ConsentService: what a data subject permits, how that changed, and why a decision was taken.

mod consent_mode;
mod convert;
mod data_subject;
mod explain;
mod export;
mod get_consents;
mod gpp_string;
mod history;
mod iab;
mod parse;
mod privacy_signal;
mod record_consent;
mod tc_string;
mod withdraw_all_consents;
mod withdraw_consent;
