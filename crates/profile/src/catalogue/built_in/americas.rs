//! Owns the built-in jurisdictions of the Americas. Always: each cites its source.
//!
//! The states of the United States here are those whose law honours opt-out preference signals. None has a list of
//! bases: sale, sharing and targeted advertising go on until the consumer opts out. Sensitive data needs opt-in, but in
//! California, where the consumer limits its use. A parent consents below 13, as under the Children's Online Privacy
//! Protection Act, 15 U.S.C. §6502; up to the other age, sale and targeted advertising need opt-in, and where a law
//! forbids them for minors, consent is not enough. Calls: federal law,
//! from 8 to 21, 47 CFR 64.1200(c)(1), and those of a state where they are narrower; texts and calling machines by consent, 64.1200(a)(2), while e-mail is opt-out,
//! 15 U.S.C. §7704. The national do-not-call register, 64.1200(c)(2), is not known here: who calls must check it. The list
//! that each caller keeps itself, 64.1200(d), is the customer's wish about the channel. Other states and territories: `default`.

use super::{
    BuiltIn, CALLS_AND_TEXTS, ConsentModel, LawfulBasis, NARROW, NoContact, OPT_IN, WEEKDAYS, WEEKEND,
    WITHOUT_INTERESTS,
};
use crate::{
    catalogue::{ChannelKind, SensitiveConsent},
    preferences::DayOfWeek,
};

const STATE: BuiltIn = BuiltIn {
    consent_model: ConsentModel::OptOut,
    honours_gpc: true,
    sensitive_consent: SensitiveConsent::OptIn,
    sensitive_bases: &NARROW,
    guardian_below_age: 13,
    consent_channels: &[ChannelKind::TextMessage, ChannelKind::AutomatedCall],
    ..OPT_IN
};

/// On weekdays from 9 to 21:30, at weekends from 10 to 18: CRTC Unsolicited Telecommunications Rules, Part III, s. 23.
const CANADIAN_HOURS: [NoContact; 4] = [
    NoContact::calls(&WEEKDAYS, (0, 0), (9, 0)),
    NoContact::calls(&WEEKDAYS, (21, 30), (0, 0)),
    NoContact::calls(&WEEKEND, (0, 0), (10, 0)),
    NoContact::calls(&WEEKEND, (18, 0), (0, 0)),
];

pub(super) const LIST: [BuiltIn; 15] = [
    // Sale and sharing: §1798.120(a); sensitive data: §1798.121(a). Below 16 only by opt-in, below 13 by that of a parent
    // or guardian, §1798.120(c), (d). Opt-out preference signals: §1798.135(e), Cal. Code Regs. tit. 11 §7025.
    BuiltIn {
        id: "us-ca",
        display_name: "California",
        law: "Cal. Civ. Code §§1798.100-1798.199.100 (CCPA), §1798.120, §1798.121 and §1798.135; \
              Cal. Code Regs. tit. 11 §7025.",
        regions: &["US-CA"],
        sensitive_bases: &LawfulBasis::ALL,
        sensitive_consent: SensitiveConsent::NotRefused,
        opt_in_below_age: 16,
        ..STATE
    },
    BuiltIn {
        id: "us-co",
        display_name: "Colorado",
        law: "Colo. Rev. Stat. §§6-1-1301 to 6-1-1313 (Colorado Privacy Act): signals §6-1-1306(1)(a)(IV), \
              sensitive data §6-1-1308(7), minors §6-1-1308.5.",
        regions: &["US-CO"],
        opt_in_below_age: 18,
        ..STATE
    },
    // Below 18 sale and targeted advertising are forbidden even with consent from July 2026 on (SB 1295, 2025).
    BuiltIn {
        id: "us-ct",
        display_name: "Connecticut",
        law: "Conn. Gen. Stat. §§42-515 to 42-526 (Connecticut Data Privacy Act): signals and sensitive data §42-520; \
              minors §42-529a; calls and texts §42-288a.",
        regions: &["US-CT"],
        no_contact_hours: &[NoContact::calls(&[], (20, 0), (9, 0)).on(&CALLS_AND_TEXTS)],
        opt_in_below_age: 18,
        sale_forbidden_below_age: 18,
        ..STATE
    },
    BuiltIn {
        id: "us-de",
        display_name: "Delaware",
        law: "Del. Code tit. 6, ch. 12D (Delaware Personal Data Privacy Act): signals, sensitive data and minors §12D-106.",
        regions: &["US-DE"],
        opt_in_below_age: 18,
        ..STATE
    },
    // Sensitive data only where strictly necessary for what the consumer asked for, so consent is no ground, and never sold:
    // §14-4707(a)(1)-(2). Below 18 sale and targeted advertising are forbidden even with consent: §14-4707(a)(4)-(5).
    BuiltIn {
        id: "us-md",
        display_name: "Maryland",
        law: "Md. Code, Com. Law §§14-4701 to 14-4714 (Maryland Online Data Privacy Act): sensitive data and minors §14-4707; \
              calls §14-4502.",
        regions: &["US-MD"],
        no_contact_hours: &[NoContact::calls(&[], (20, 0), (8, 0))],
        sensitive_bases: &[LawfulBasis::Contract, LawfulBasis::LegalObligation, LawfulBasis::VitalInterests],
        opt_in_below_age: 18,
        sale_forbidden_below_age: 18,
        ..STATE
    },
    // "Between the ages of 13 and 16": the stricter reading includes 16.
    BuiltIn {
        id: "us-mn",
        display_name: "Minnesota",
        law: "Minn. Stat. ch. 325M (Minnesota Consumer Data Privacy Act): signals §325M.14, sensitive data and minors \
              §325M.16.",
        regions: &["US-MN"],
        opt_in_below_age: 17,
        ..STATE
    },
    // Minors: as amended in 2025 (SB 297).
    BuiltIn {
        id: "us-mt",
        display_name: "Montana",
        law: "Mont. Code §§30-14-2801 to 30-14-2817 (Montana Consumer Data Privacy Act): sensitive data §30-14-2812; \
              minors as amended by SB 297 (2025).",
        regions: &["US-MT"],
        opt_in_below_age: 18,
        ..STATE
    },
    BuiltIn {
        id: "us-ne",
        display_name: "Nebraska",
        law: "Neb. Rev. Stat. §§87-1101 to 87-1130 (Nebraska Data Privacy Act): sensitive data §87-1112.",
        regions: &["US-NE"],
        ..STATE
    },
    BuiltIn {
        id: "us-nh",
        display_name: "New Hampshire",
        law: "N.H. Rev. Stat. ch. 507-H: signals, sensitive data and minors §507-H:6.",
        regions: &["US-NH"],
        opt_in_below_age: 16,
        ..STATE
    },
    BuiltIn {
        id: "us-nj",
        display_name: "New Jersey",
        law: "N.J. Stat. §§56:8-166.4 to 56:8-166.19: signals §56:8-166.11, sensitive data and minors §56:8-166.12.",
        regions: &["US-NJ"],
        opt_in_below_age: 17,
        ..STATE
    },
    // Below 16 sale and targeted advertising are forbidden since 2026 even with consent (HB 2008, 2025).
    BuiltIn {
        id: "us-or",
        display_name: "Oregon",
        law: "Or. Rev. Stat. §§646A.570 to 646A.589 (Oregon Consumer Privacy Act): signals, sensitive data and minors \
              §646A.578; calls and texts HB 3865 (2025).",
        regions: &["US-OR"],
        no_contact_hours: &[NoContact::calls(&[], (20, 0), (8, 0)).on(&CALLS_AND_TEXTS)],
        opt_in_below_age: 16,
        sale_forbidden_below_age: 16,
        ..STATE
    },
    BuiltIn {
        id: "us-tx",
        display_name: "Texas",
        law: "Tex. Bus. & Com. Code ch. 541 (Texas Data Privacy and Security Act): signals §541.055(e), sensitive data \
              §541.101(b); calls §301.051.",
        regions: &["US-TX"],
        no_contact_hours: &[
            NoContact::calls(&[], (21, 0), (9, 0)),
            NoContact::calls(&[DayOfWeek::Sunday], (0, 0), (12, 0)),
        ],
        ..STATE
    },
    // The bases are those of Art. 7: consent, I; legal obligation, II; public administration, III; contract, V; life and
    // safety, VII; legitimate interests, IX. Sensitive data, Art. 11: specific and highlighted consent, I; legal obligation,
    // II(a); public administration, II(b); life and safety, II(e). A parent or guardian consents for children, Art. 14 §1:
    // below 12, Lei 8.069/1990 Art. 2.
    BuiltIn {
        id: "br",
        display_name: "Brazil",
        law: "Lei 13.709/2018 (LGPD), Arts. 7, 11 and 14; Lei 8.069/1990, Art. 2.",
        regions: &["BR"],
        guardian_below_age: 12,
        ..OPT_IN
    },
    // Marketing in Canada: the implied consent of the Anti-Spam Legislation, s. 10(9) to (10), is not modelled, and a soft
    // opt-in is none, since it is recorded as legitimate interests, which these laws do not know.
    //
    // Consent, and exceptions: law, emergencies and public bodies, s. 7. A contract stands for the consent that it implies,
    // Schedule 1, 4.3.6. Express consent to sensitive data, 4.3.6. The age is that of the Privacy Commissioner's guidelines.
    BuiltIn {
        id: "ca",
        display_name: "Canada",
        law: "Personal Information Protection and Electronic Documents Act (PIPEDA), s. 7 and Schedule 1, 4.3; \
              Guidelines for obtaining meaningful consent (2018): 13 years; CRTC Unsolicited Telecommunications \
              Rules, Part III, s. 23; \
              Canada's Anti-Spam Legislation, S.C. 2010, c. 23, ss. 6 and 10.",
        regions: &["CA"],
        no_contact_hours: &CANADIAN_HOURS,
        lawful_bases: &WITHOUT_INTERESTS,
        guardian_below_age: 13,
        ..OPT_IN
    },
    // Consent, ss. 12 to 14, express for sensitive information, s. 12; by a parent below 14, s. 4.1; law and emergencies,
    // ss. 18 ff.
    BuiltIn {
        id: "ca-qc",
        display_name: "Québec",
        law: "Act respecting the protection of personal information in the private sector (CQLR c. P-39.1), \
              ss. 4.1, 12, 14 and 18; CRTC Unsolicited Telecommunications Rules, Part III, s. 23; \
              Canada's Anti-Spam Legislation, S.C. 2010, c. 23, ss. 6 and 10.",
        regions: &["CA-QC"],
        no_contact_hours: &CANADIAN_HOURS,
        lawful_bases: &WITHOUT_INTERESTS,
        guardian_below_age: 14,
        ..OPT_IN
    },
];
