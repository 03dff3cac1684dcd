//! Owns the built-in jurisdictions of Europe, its neighbours and Africa. Always: each cites its source.

use super::{BuiltIn, EVERY_LETTER, NoContact, OPT_IN, SOFT, WEEKEND};
use crate::{catalogue::SensitiveConsent, preferences::DayOfWeek};

pub(super) const LIST: [BuiltIn; 6] = [
    // In the EEA by Joint Committee Decision 154/2018. The bases are those of Art. 6(1). Sensitive data: explicit consent,
    // Art. 9(2)(a); vital interests, a legal obligation and a public task on a ground of Art. 9(2) that the purpose names. A
    // guardian consents below 16, Art. 8(1); a member state may lower that to 13. Those that did: by their implementing acts, of which the newer
    // ones are Denmark's (since 1 January 2024) and Slovenia's (ZVOP-2, Art. 8). Liechtenstein did not (Datenschutzstelle,
    // Aktuelles 1/2024). Territories with a country code of their
    // own (`RE`, `AX`) are not listed, so that `default` applies there. Calls: in France from Monday to Friday, from 10 to 13
    // and from 14 to 20; in Spain and Norway not at weekends, else from 9 to 21.
    BuiltIn {
        id: "eu",
        display_name: "European Economic Area",
        law: "Regulation (EU) 2016/679 (GDPR), Arts. 6, 7, 8(1) with the national ages, and 9; \
              Directive 2002/58/EC, Art. 13(1) to (3); calls: Code de la consommation, D. 223-9; TRLGDCU, art. 96(2); \
              markedsføringsloven, § 14.",
        regions: &[
            "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
            "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
        ],
        sensitive_needs_ground: true,
        no_contact_hours: &[
            NoContact::calls(&[], (21, 0), (8, 0)),
            NoContact::calls(&[], (20, 0), (10, 0)).within(&["FR"]),
            NoContact::calls(&[], (13, 0), (14, 0)).within(&["FR"]),
            NoContact::calls(&WEEKEND, (0, 0), (0, 0)).within(&["FR"]),
            NoContact::calls(&[], (21, 0), (9, 0)).within(&["ES", "NO"]),
            NoContact::calls(&WEEKEND, (0, 0), (0, 0)).within(&["ES", "NO"]),
        ],
        guardian_below_age: 16,
        regional_ages: &[
            (13, &["BE", "EE", "FI", "IS", "LV", "MT", "NO", "PT", "SE"]),
            (14, &["AT", "BG", "CY", "ES", "IT", "LT"]),
            (15, &["CZ", "DK", "FR", "GR", "SI"]),
        ],
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
    // The bases are those of the UK GDPR, Art. 6(1); sensitive data as in `eu`; the age is that of s. 9(a) of the Act.
    BuiltIn {
        id: "gb",
        display_name: "United Kingdom",
        law: "UK GDPR, Arts. 6, 7 and 9; Data Protection Act 2018, s. 9(a); \
              Privacy and Electronic Communications Regulations 2003, regs. 19 to 22.",
        regions: &["GB"],
        sensitive_needs_ground: true,
        guardian_below_age: 13,
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
    // No list of bases: what harms the personality is justified by consent, an overriding interest or a law, Art. 31(1).
    // Consent to sensitive data is express, Art. 6(7)(a). There is no age but the capacity of judgement, Civil Code
    // Arts. 16 and 19c: the setting is the age below which it is commonly doubted.
    BuiltIn {
        id: "ch",
        display_name: "Switzerland",
        law: "Federal Act on Data Protection of 25 September 2020 (SR 235.1), Arts. 6 and 31; Civil Code, Art. 19c; \
              Unfair Competition Act (SR 241), Art. 3(1)(o), (u).",
        regions: &["CH"],
        guardian_below_age: 16,
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
    // The bases are those of Art. 6(1): consent, 1; law, 2; public authorities, 4; contract, 5; life and health, 6;
    // legitimate interests, 7. Special categories, Art. 10(2): consent in writing, 1, so on paper and signed by hand, or an
    // electronic document with an electronic signature, Art. 9(4); life and health, 3; labour, social and other laws, 2.3,
    // 7 and 8. The legal representative consents for those who cannot, Art. 9(6): below 14, Civil Code Art. 28. Marketing by
    // prior consent alone, whatever the channel, Art. 15(1).
    BuiltIn {
        id: "ru",
        display_name: "Russia",
        law: "Federal Law 152-FZ of 27 July 2006, Arts. 6, 9(4), 9(6) and 10(2); \
              Art. 15; Federal Law 38-FZ, Art. 18(1).",
        regions: &["RU"],
        sensitive_consent: SensitiveConsent::Signed,
        guardian_below_age: 14,
        consent_channels: &EVERY_LETTER,
        ..OPT_IN
    },
    // The bases are those of Art. 5: explicit consent, (1); law, (2)(a); life, (2)(b); contract, (2)(c); legal obligation,
    // (2)(ç); legitimate interests, (2)(f). Special categories: Art. 6(3). Minors: below 18, Civil Code Arts. 11, 16.
    BuiltIn {
        id: "tr",
        display_name: "Türkiye",
        law: "Law 6698 on the Protection of Personal Data (KVKK), Arts. 5 and 6; Civil Code, Arts. 11 and 16; \
              Law 6563 on Electronic Commerce, Art. 6.",
        regions: &["TR"],
        ..OPT_IN
    },
    // The bases are those of s. 11(1): consent, (a); contract, (b); law, (c); the data subject's interest, (d); public
    // duty, (e); legitimate interests, (f). Special data: ss. 26 to 33. Children: below 18, ss. 1, 34 and 35. Calls:
    // not on Sundays, on Saturdays from 9 to 13, else from 8 to 20.
    BuiltIn {
        id: "za",
        display_name: "South Africa",
        law: "Protection of Personal Information Act 4 of 2013 (POPIA), ss. 11, 26, 27, 34 and 35; \
              Consumer Protection Act 68 of 2008, s. 12, with GN R.294 of 1 April 2011; \
              POPIA, s. 69.",
        regions: &["ZA"],
        no_contact_hours: &[
            NoContact::calls(&[], (20, 0), (8, 0)),
            NoContact::calls(&[DayOfWeek::Saturday], (8, 0), (9, 0)),
            NoContact::calls(&[DayOfWeek::Saturday], (13, 0), (20, 0)),
            NoContact::calls(&[DayOfWeek::Sunday], (0, 0), (0, 0)),
        ],
        soft_opt_in_channels: &SOFT,
        ..OPT_IN
    },
];
