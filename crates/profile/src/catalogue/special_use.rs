//! Owns the uses that the law protects from what limits all others. Always: numbers are those of the API.

use crate::numbered::numbered;

numbered! {
    /// A use that goes on under a restriction (GDPR Art. 18), and with data whose consent was taken back.
    #[derive(PartialOrd, Ord)]
    pub enum SpecialUse ("special_use", expected "data subject's rights or legal claims") {
        /// To answer the data subject's requests, GDPR Arts. 15 to 22. Art. 18 suspends none of them.
        DataSubjectRights = 1,
        /// To establish, exercise or defend legal claims, GDPR Arts. 9(2)(f), 17(3)(e), 18(2).
        LegalClaims = 2,
    }
}
