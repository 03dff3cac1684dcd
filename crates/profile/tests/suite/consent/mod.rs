//! What changes a record: decisions, withdrawals, signals, data subjects, ingest and merge; and the ledger of it all.

mod data_subject;
mod decisions;
mod evidence;
mod gpp;
mod ingest;
mod late;
mod ledger;
mod merge;
mod signal;
mod tcf;
mod tcf_rules;
mod transitions;
mod withdraw_all;
