//! Owns the bytes of what is known about a data subject: a message embedded in ledger entries, and in the core record
//! if anything is known.

use super::field::message;
use crate::data_subject::{DataSubject, LegalHold, Restriction};

message! {
    Restriction as WireRestriction {
        1 [string] reason: String, "restriction";
        2 [sint64] since: i64;
    }
}

message! {
    LegalHold as WireLegalHold {
        1 [string] reference: String, "legal hold";
        2 [sint64] since: i64;
    }
}

message! {
    DataSubject as WireSubject {
        1 [string, repeated] regions: Vec<String>, "region";
        2 [bool] region_unknown: bool;
        // Days since 1970-01-01.
        3 [sint32, optional] birth_date: Option<i32>, "birth date";
        4 [message, optional] restriction: Option<WireRestriction>;
        5 [message, optional] legal_hold: Option<WireLegalHold>;
        6 [sint64, optional] updated_at: Option<i64>;
        7 [sint64, optional] sale_opt_out: Option<i64>;
        8 [sint64, optional] do_not_sell: Option<i64>;
        9 [sint64, optional] sensitive_limit: Option<i64>;
    }
}
