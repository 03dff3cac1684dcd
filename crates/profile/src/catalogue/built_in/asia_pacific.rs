//! Owns the built-in jurisdictions of Asia and the Pacific. Always: each cites its source.

use super::{BuiltIn, CALLS_AND_TEXTS, EVERY_LETTER, NARROW, NoContact, OPT_IN, SOFT, WITHOUT_INTERESTS};
use crate::{catalogue::SensitiveConsent, preferences::DayOfWeek};

pub(super) const LIST: [BuiltIn; 7] = [
    // The bases are those of Art. 13: consent, (1); contract, (2); statutory duties, (3); emergencies, (4). It knows no
    // legitimate interests. Sensitive data by separate consent, Art. 29; that of children below 14 is sensitive, and a
    // parent consents, Art. 31. Advertising to homes and vehicles needs consent too, so post does: Advertising Law Art. 43.
    BuiltIn {
        id: "cn",
        display_name: "China",
        law: "Personal Information Protection Law of 20 August 2021, Arts. 13, 14, 28, 29 and 31; \
              Advertising Law, Art. 43.",
        regions: &["CN"],
        lawful_bases: &WITHOUT_INTERESTS,
        guardian_below_age: 14,
        consent_channels: &EVERY_LETTER,
        ..OPT_IN
    },
    // Consent, s. 6; legitimate uses, s. 7: the State and its law, (b) to (e); life and health, (f) and (g). It knows neither
    // contract nor legitimate interests. It has no special categories: the setting is that of the other laws. A parent
    // consents below 18, ss. 2(f) and 9(1). Commercial calls from 10 to 21: the Telecom Commercial Communications Customer
    // Preference Regulations, 2018. The duties of ss. 3 to 17 are in force from about May 2027, eighteen months after the
    // rules of November 2025; they are the setting already.
    BuiltIn {
        id: "in",
        display_name: "India",
        law: "Digital Personal Data Protection Act, 2023, ss. 2(f), 6, 7 and 9; Telecom Commercial Communications \
              Customer Preference Regulations, 2018.",
        regions: &["IN"],
        no_contact_hours: &[NoContact::calls(&[], (21, 0), (10, 0))],
        lawful_bases: &NARROW,
        ..OPT_IN
    },
    // The bases are those of s. 24: life, (2); contract, (3); public task, (4); legitimate interests, (5); law, (6); and
    // consent, s. 19. Sensitive data: explicit consent or s. 26(1) to (5). Minors: s. 20; a guardian consents too, but for
    // what a minor may do alone. The setting is that of all below 20, Civil and Commercial Code s. 19.
    BuiltIn {
        id: "th",
        display_name: "Thailand",
        law: "Personal Data Protection Act B.E. 2562 (2019), ss. 19, 20, 24 and 26; Civil and Commercial Code, s. 19.",
        regions: &["TH"],
        guardian_below_age: 20,
        ..OPT_IN
    },
    // Sensitive data by explicit consent, Art. 58; the rest for stated purposes, Art. 59. There is no general law with a
    // list of bases, so no legitimate interests. Legal age: Civil Code Art. 1210 and its note; the setting is 18.
    BuiltIn {
        id: "ir",
        display_name: "Iran",
        law: "Electronic Commerce Law of 17 Dey 1382 (7 January 2004), Arts. 58 and 59; Civil Code, Art. 1210; \
              Electronic Commerce Law, Art. 55.",
        regions: &["IR"],
        lawful_bases: &WITHOUT_INTERESTS,
        ..OPT_IN
    },
    // The bases are those of Art. 15(1): consent, 1; law, 2; public institutions, 3; contract, 4; life, 5; legitimate
    // interests, 6. Sensitive data: separate consent or law, Art. 23(1). A legal representative consents below 14,
    // Art. 22-2. Advertising by telephone or text not from 21 to 8, Network Act Art. 50(3).
    BuiltIn {
        id: "kr",
        display_name: "Republic of Korea",
        law: "Personal Information Protection Act, Arts. 15, 22-2 and 23; Network Act, Art. 50(3): 21 to 8 h; \
              Network Act, Art. 50(1).",
        regions: &["KR"],
        no_contact_hours: &[NoContact::calls(&[], (21, 0), (8, 0)).on(&CALLS_AND_TEXTS)],
        guardian_below_age: 14,
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
    // No list of bases: use within the stated purpose, Arts. 17 and 18. Special care-required information by consent, law or
    // emergency, Art. 20(2). There is no age; the Commission's questions and answers say about 12 to 15.
    BuiltIn {
        id: "jp",
        display_name: "Japan",
        law: "Act on the Protection of Personal Information (Act 57 of 2003), Arts. 17, 18, 20(2) and 27; \
              Act on Regulation of Transmission of Specified Electronic Mail, Art. 3.",
        regions: &["JP"],
        sensitive_consent: SensitiveConsent::OptIn,
        guardian_below_age: 16,
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
    // No list of bases: what is reasonably necessary, APP 3, and its purpose, APP 6. Sensitive information by consent or law,
    // APP 3.3 and 3.4. There is no age; the Commissioner's guidelines presume capacity from 15. Calls: not on Sundays, on
    // Saturdays from 9 to 17, else from 9 to 20.
    BuiltIn {
        id: "au",
        display_name: "Australia",
        law: "Privacy Act 1988 (Cth), Schedule 1, APP 3 and 6; APP guidelines, B.60: 15 years; Telecommunications \
              (Telemarketing and Research Calls) Industry Standard 2017; \
              Spam Act 2003 (Cth), s. 16.",
        regions: &["AU"],
        no_contact_hours: &[
            NoContact::calls(&[], (20, 0), (9, 0)),
            NoContact::calls(&[DayOfWeek::Saturday], (17, 0), (20, 0)),
            NoContact::calls(&[DayOfWeek::Sunday], (0, 0), (0, 0)),
        ],
        guardian_below_age: 15,
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
];
