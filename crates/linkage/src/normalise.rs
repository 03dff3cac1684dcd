//! Values as they are compared: lower-case ASCII letters and digits, words separated by one space.
//!
//! NFKC, then a transliteration of every script, so that `Иванов` and `Ivanov` are compared at all. Everything else
//! that differs in spelling is left to the comparison's levels.

use unicode_normalization::UnicodeNormalization as _;

/// Characters of a value that count; what follows is ignored.
const VALUE_CHARS_MAX: usize = 200;
/// Bytes of a normalised value.
const TEXT_BYTES_MAX: usize = 128;

const TITLES: &[&str] = &[
    "mr", "mrs", "ms", "miss", "dr", "prof", "herr", "frau", "sr", "jr", "mme", "dipl", "ing", "mag", "phd",
    "md", "sir", "rev", "reverend", "rt", "esq", "capt", "lt", "bt", "baronet", "viscount", "baroness",
];

/// What is put for a given name that nobody knows or wants to give. Words that are names somewhere, such as `Son`, are not here.
const NO_NAMES: &str = "adult anonymous aunt baby brother child cousin dad daughter father female gentleman girl \
granddaughter grandfather grandma grandmother grandpa grandson guest hija hijo husband infant inmate kid mom mother name nephew \
newborn niece none occupant person resident senor senora sister student teenager test toddler uncle unknown unnamed wife woman";

/// Letters and digits in lower-case ASCII, words separated by one space. Apostrophes join (`O'Brien` is `obrien`).
pub(crate) fn text(value: &str) -> String {
    let mut out = String::new();
    let mut gap = false;
    let mut push = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            out.push(letter.to_ascii_lowercase());
        } else if !matches!(letter, '\'' | '`' | '"') {
            gap = true;
        }
    };
    if value.is_ascii() {
        value.chars().take(VALUE_CHARS_MAX).for_each(push);
    } else {
        for letter in value.nfkc().take(VALUE_CHARS_MAX) {
            if letter.is_ascii() {
                push(letter);
            } else if let Some(ascii) = deunicode::deunicode_char(letter) {
                ascii.chars().for_each(&mut push);
            }
        }
    }
    out.truncate(TEXT_BYTES_MAX);
    out.truncate(out.trim_end().len());
    out
}

/// A name without titles. A name that is nothing but a title stays.
pub(crate) fn name(value: &str) -> String {
    let whole = text(value);
    if !whole.split(' ').any(|word| TITLES.contains(&word)) {
        return whole;
    }
    let words: Vec<&str> = whole.split(' ').filter(|word| !TITLES.contains(word)).collect();
    if words.is_empty() { whole } else { words.join(" ") }
}

/// A given name without titles. What is no name at all, such as `unknown` or `baby`, is left out.
pub(crate) fn given_name(value: &str) -> String {
    let name = name(value);
    let is_name = |word: &&str| NO_NAMES.split(' ').all(|other| other != *word);
    let words: Vec<&str> = name.split(' ').filter(is_name).collect();
    // an initial beside such a word is of another given name
    let is_other = words.len() < name.split(' ').count() && words.iter().all(|word| word.len() == 1);
    if is_other { String::new() } else { words.join(" ") }
}

/// Given names and surname of one text: split at a comma, else before the last word. What follows a comma and is a rank, as in
/// `Martin Luther King, Jr.` or `John Campbell, 9th Duke of Argyll`, is no given name.
pub(crate) fn full_name(value: &str) -> (String, String) {
    let rank = |text: &str| {
        let plain = text.trim_start().to_ascii_lowercase();
        let word = plain.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        TITLES.contains(&word) || word.starts_with(|letter: char| letter.is_ascii_digit())
    };
    let value = match value.split_once(',') {
        Some((name, text)) if rank(text) => name,
        _ => value,
    };
    if let Some((surname, given)) = value.split_once(',') {
        let (given, surname) = (name(given), name(surname));
        if !given.is_empty() {
            return (given, surname);
        }
    }
    let whole = name(value);
    match whole.rsplit_once(' ') {
        Some((given, surname)) => (given.to_owned(), surname.to_owned()),
        None => (String::new(), whole),
    }
}

/// `yyyymmdd`, or `yyyy` where no more is known; empty for what is no date. Letters that character recognition puts for digits
/// are read as those: no date in figures has letters.
pub(crate) fn birth_date(value: &str) -> String {
    let read = |letter: char| match letter {
        'l' | 'I' | 'i' | '|' => '1',
        'O' | 'o' => '0',
        'Z' | 'z' => '2',
        'S' | 's' => '5',
        'B' => '8',
        other => other,
    };
    // a time may follow
    let date = value.trim().split('T').next().unwrap_or_default();
    let plain = text(&date.chars().take(VALUE_CHARS_MAX).map(read).collect::<String>());
    let groups: Vec<&str> = plain.split(' ').filter(|group| !group.is_empty()).collect();
    if !groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit())) {
        return String::new();
    }
    match groups.as_slice() {
        [whole] if whole.len() == 8 || whole.len() == 4 => (*whole).to_owned(),
        [year, month, day] if year.len() == 4 => date_parts(year, month, day),
        [day, month, year] if year.len() == 4 => date_parts(year, month, day),
        // a time of day may follow
        [year, month, day, ..] if year.len() == 4 => date_parts(year, month, day),
        _ => String::new(),
    }
}

fn date_parts(year: &str, month: &str, day: &str) -> String {
    if month.len() > 2 || day.len() > 2 { String::new() } else { format!("{year}{month:0>2}{day:0>2}") }
}

/// `f`, `m`, or the first letter of another word.
pub(crate) fn gender(value: &str) -> String {
    let plain = text(value);
    match plain.as_str() {
        "" | "unknown" | "u" | "na" | "none" => String::new(),
        "weiblich" | "w" | "woman" | "femme" | "frau" | "girl" => "f".to_owned(),
        "mann" | "homme" | "herr" | "h" | "boy" => "m".to_owned(),
        other => other.chars().take(1).collect(),
    }
}

/// `local@domain` in lower case; empty where there is no `@`.
pub(crate) fn email(value: &str) -> String {
    let Some((local, domain)) = value.trim().rsplit_once('@') else { return String::new() };
    if local.is_empty() || domain.is_empty() || value.len() > TEXT_BYTES_MAX {
        return String::new();
    }
    let plain = |part: &str| -> String {
        part.nfkc().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
    };
    format!("{}@{}", plain(local), plain(domain))
}

/// The last nine digits: the subscriber's number without country code or trunk prefix; empty if fewer than six.
pub(crate) fn phone(value: &str) -> String {
    let digits: Vec<char> = value.nfkc().filter(char::is_ascii_digit).take(20).collect();
    if digits.len() < 6 {
        String::new()
    } else {
        digits.iter().skip(digits.len().saturating_sub(9)).collect()
    }
}

/// Letters and digits without any gap.
pub(crate) fn code(value: &str) -> String {
    text(value).replace(' ', "")
}

/// Name of the street, and what of it is a house number: the words that begin with a digit.
pub(crate) fn street(value: &str) -> (String, String) {
    let whole = text(value);
    let (numbers, words): (Vec<&str>, Vec<&str>) =
        whole.split(' ').partition(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
    if words.is_empty() { (whole, String::new()) } else { (words.join(" "), numbers.join(" ")) }
}
