//! What changes a record: decisions, withdrawals, signals, data subjects, ingest and merge; and the ledger of it all.

mod data_subject;
mod decisions;
mod evidence;
mod ingest;
mod late;
mod ledger;
mod merge;
mod signal;
mod tcf;
mod transitions;
mod withdraw_all;
