//! Owns the numbering plans of the world: Google's data of libphonenumber, as the `phonenumber` crate has it. Always: what
//! is returned is valid in a plan, and is read as itself.
//!
//! ```text
//!   +49 (0)30 …   country code ──▶ as it is, if valid; else without trunk prefix, if valid
//!   0049 30 …     international prefix of the home country ──▶ the same
//!   030 …         plan of the home country: as it is; without trunk prefix; with a country code that lacks its plus
//! ```
//! The crate's own parser is not used. It strips the trunk prefix of the default country from numbers of another (`+39 06…`
//! of Rome), it matches the beginning of a number where the whole must match, and it keeps the last 100 compiled expressions
//! behind one lock: numbers of five countries in turn made each take milliseconds, one after the other. Here each plan
//! compiles its expressions once, at its first number.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use phonenumber::{
    Metadata,
    metadata::{DATABASE, Descriptor},
};
use regex::{Captures, Regex, RegexBuilder};

/// Digits of a number with the longest international prefix and a trunk prefix.
pub(super) const DIGITS_MAX: usize = 24;
/// Digits of a country code, ITU-T E.164.
const COUNTRY_CODE_DIGITS_MAX: usize = 3;
/// Digits of a number with its country code, ITU-T E.164. Germany has longer ones for services, which the data allows.
const NUMBER_DIGITS_MAX: usize = 17;

/// The plans by country code; those of one code with its main country first.
static PLANS: LazyLock<BTreeMap<u16, Vec<Plan>>> = LazyLock::new(|| {
    let plans_of = |code: u16| {
        let regions = DATABASE.region(&code)?;
        let mut plans = DATABASE.by_code(&code)?;
        plans.sort_by_key(|plan| regions.iter().position(|region| *region == plan.id()));
        Some((code, plans.into_iter().map(Plan::new).collect()))
    };
    (1..1_000).filter_map(plans_of).collect()
});

/// The normal form of a number that begins with its country code.
pub(super) fn international(digits: &str) -> Option<String> {
    let (code, national, plans) = (1..=COUNTRY_CODE_DIGITS_MAX).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let code = code.parse().ok().filter(|_| !code.starts_with('0'))?;
        Some((code, national, PLANS.get(&code)?))
    })?;
    let main = plans.first()?;
    number_of(code, plans, national).or_else(|| number_of(code, plans, &main.without_trunk_prefix(national)?))
}

/// The normal form of a national number that is valid in one of the plans of a country code.
fn number_of(code: u16, plans: &[Plan], national: &str) -> Option<String> {
    let number = format!("+{code}{national}");
    let is_valid = number.len() <= 1 + NUMBER_DIGITS_MAX && plans.iter().any(|plan| plan.has(national));
    is_valid.then_some(number)
}

/// One country's plan, or that of a country code which belongs to none.
#[derive(Debug)]
pub(super) struct Plan {
    metadata: &'static Metadata,
    rules: OnceLock<Option<Rules>>,
}

impl Plan {
    const fn new(metadata: &'static Metadata) -> Self {
        Self { metadata, rules: OnceLock::new() }
    }

    /// The plan of a country, by its ISO 3166-1 alpha-2 code.
    pub(super) fn of_region(region: &str) -> Option<&'static Self> {
        let code = DATABASE.by_id(region)?.country_code();
        PLANS.get(&code)?.iter().find(|plan| plan.metadata.id() == region)
    }

    /// The normal form of a number that is dialled in the country.
    pub(super) fn national(&self, digits: &str) -> Option<String> {
        let code = self.metadata.country_code();
        let plans = PLANS.get(&code)?;
        self.after_international_prefix(digits)
            .and_then(international)
            .or_else(|| number_of(code, plans, digits))
            .or_else(|| number_of(code, plans, &self.without_trunk_prefix(digits)?))
            .or_else(|| international(digits).filter(|_| digits.starts_with(&code.to_string())))
    }

    /// The rest of a number that begins as one to another country does.
    fn after_international_prefix<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let found = self.rules()?.international_prefix.as_ref()?.find(digits)?;
        digits.get(found.end()..)
    }

    /// The number without its trunk prefix, or as the country writes it abroad, if it begins with one.
    fn without_trunk_prefix(&self, digits: &str) -> Option<String> {
        let found = self.rules()?.trunk_prefix.as_ref()?.captures(digits)?;
        let rest = digits.get(found.get(0)?.end()..)?;
        Some(self.transformed(&found).unwrap_or_default() + rest)
    }

    /// What stands in the place of the trunk prefix, if the last group of its expression is part of the number.
    fn transformed(&self, found: &Captures<'_>) -> Option<String> {
        let rule = self.metadata.national_prefix_transform_rule()?;
        found.get(found.len().checked_sub(1).filter(|last| *last > 0)?)?;
        // `9$15` would be group 15.
        let rule = rule.replace("$1", "${1}").replace("$2", "${2}");
        let mut transformed = String::new();
        found.expand(&rule, &mut transformed);
        Some(transformed)
    }

    /// Whether the plan has this national number.
    fn has(&self, national: &str) -> bool {
        self.rules().is_some_and(|rules| rules.match_number(national))
    }

    fn rules(&self) -> Option<&Rules> {
        self.rules.get_or_init(|| Rules::new(self.metadata)).as_ref()
    }
}

/// A plan's expressions.
#[derive(Debug)]
struct Rules {
    /// The beginning of a number to another country.
    international_prefix: Option<Regex>,
    /// The beginning of a national number that is no part of it abroad.
    trunk_prefix: Option<Regex>,
    /// The beginnings that tell countries of one code apart.
    leading_digits: Option<Regex>,
    /// Every number of the plan.
    general: Regex,
    /// The numbers that are of a kind.
    of_a_kind: Regex,
}

impl Rules {
    /// None if an expression does not compile; a test reads numbers of every plan.
    fn new(metadata: &Metadata) -> Option<Self> {
        let all = metadata.descriptors();
        let kinds = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.premium_rate(),
            all.shared_cost(),
            all.personal_number(),
            all.voip(),
            all.pager(),
            all.uan(),
            all.voicemail(),
        ];
        let of = |descriptor: &Descriptor| format!("(?:{})", descriptor.national_number().as_str());
        let kinds: Vec<_> = kinds.into_iter().flatten().map(of).collect();
        let begins = |pattern: Option<&str>| match pattern {
            Some(pattern) => compiled(&format!(r"\A(?:{pattern})")).map(Some),
            None => Some(None),
        };
        let trunk_prefix = metadata.national_prefix_for_parsing().map(|pattern| pattern.as_str());
        Some(Self {
            international_prefix: begins(metadata.international_prefix().map(|pattern| pattern.as_str()))?,
            trunk_prefix: begins(trunk_prefix.or(metadata.national_prefix()))?,
            leading_digits: begins(metadata.leading_digits().map(|pattern| pattern.as_str()))?,
            general: compiled(&format!(r"\A{}\z", of(all.general())))?,
            of_a_kind: compiled(&format!(r"\A(?:{})\z", kinds.join("|")))?,
        })
    }

    fn match_number(&self, national: &str) -> bool {
        let leads = self.leading_digits.as_ref().is_none_or(|pattern| pattern.is_match(national));
        leads && self.general.is_match(national) && self.of_a_kind.is_match(national)
    }
}

/// The data's expressions have line ends for people, and no digits but those of ASCII.
fn compiled(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).ignore_whitespace(true).unicode(false).build().ok()
}
