//! Owns JSON as a file has it (RFC 8259). Always: a number keeps its digits, and an object that has a name twice is
//! refused at every level: programs differ in which value they take (section 4).

use std::ops::Range;

/// Deeper nesting is refused.
const DEPTH_MAX: usize = 64;

/// A value; its ranges are those of the text that it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    /// A number, `true` or `false`, as the text has it.
    Plain(Range<usize>),
    /// A string, unescaped.
    Text(String),
    Array(Range<usize>, Vec<Json>),
    Object(Range<usize>, Members),
}

/// The members of an object in their order; no name is there twice.
pub(crate) type Members = Vec<(String, Json)>;

/// Parses a document. An error names a name that occurs twice, and no value.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    parse_up_to(usize::MAX, text)
}

/// The same for a document of no more values than that, at all levels together: many small ones take much more memory than
/// their text.
pub(crate) fn parse_up_to(values_max: usize, text: &str) -> Result<Json, String> {
    let mut parser = Parser { text, at: 0, depth: 0, values: 0, values_max };
    let value = parser.value()?;
    parser.skip_blanks();
    if parser.at == text.len() { Ok(value) } else { Err(NOT_JSON.into()) }
}

/// The member of this name.
pub(crate) fn member<'m>(members: &'m [(String, Json)], name: &str) -> Option<&'m Json> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

const NOT_JSON: &str = "is not JSON";

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    values: usize,
    values_max: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Json, String> {
        if self.values == self.values_max {
            return Err(format!("has more than {} values", self.values_max));
        }
        self.values += 1;
        self.skip_blanks();
        let begin = self.at;
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'n') => self.word("null").map(|()| Json::Null),
            Some(b't') => self.word("true").map(|()| Json::Plain(begin..self.at)),
            Some(b'f') => self.word("false").map(|()| Json::Plain(begin..self.at)),
            _ => self.number().map(|()| Json::Plain(begin..self.at)),
        }
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Json, String>) -> Result<Json, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("is nested more than {DEPTH_MAX} levels deep"));
        }
        self.depth += 1;
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Json, String> {
        let (begin, mut members) = (self.at, Members::new());
        let mut names = std::collections::BTreeSet::new();
        self.at += 1;
        if self.accepts(b'}') {
            return Ok(Json::Object(begin..self.at, members));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err(format!("has the name {name:?} twice in one object"));
            }
            self.expect(b':')?;
            members.push((name, self.value()?));
            if self.accepts(b'}') {
                return Ok(Json::Object(begin..self.at, members));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self) -> Result<Json, String> {
        let (begin, mut items) = (self.at, Vec::new());
        self.at += 1;
        if self.accepts(b']') {
            return Ok(Json::Array(begin..self.at, items));
        }
        loop {
            items.push(self.value()?);
            if self.accepts(b']') {
                return Ok(Json::Array(begin..self.at, items));
            }
            self.expect(b',')?;
        }
    }

    /// The library unescapes; a lone surrogate is an error.
    fn string(&mut self) -> Result<String, String> {
        let begin = self.at;
        if self.peek() != Some(b'"') {
            return Err(NOT_JSON.into());
        }
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(NOT_JSON.into()),
            }
        }
        self.at += 1;
        let quoted = self.text.get(begin..self.at).ok_or(NOT_JSON)?;
        serde_json::from_str(quoted).map_err(|_error| NOT_JSON.into())
    }

    /// `[ minus ] int [ frac ] [ exp ]` (section 6).
    fn number(&mut self) -> Result<(), String> {
        self.skip(b"-");
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), String> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > begin { Ok(()) } else { Err(NOT_JSON.into()) }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += word.len();
        if found { Ok(()) } else { Err(NOT_JSON.into()) }
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.accepts(byte) { Ok(()) } else { Err(NOT_JSON.into()) }
    }

    /// Skips blanks, then the byte if it is there.
    fn accepts(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        self.skip(&[byte])
    }

    fn skip(&mut self, one_of: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| one_of.contains(&byte));
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while self.skip(b" \t\r\n") {}
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_strings_lose_their_escapes() {
        let text = r#" {"a": [1.10, 1e400, -0], "b": {"c": "\u00e9\n"}, "d": null, "e": true} "#;
        let Json::Object(whole, members) = parse(text).unwrap() else { panic!("an object") };
        assert_eq!(&text[whole], text.trim());
        let Some(Json::Array(range, items)) = member(&members, "a") else { panic!("an array") };
        assert_eq!((&text[range.clone()], items.len()), ("[1.10, 1e400, -0]", 3));
        let Some(Json::Object(_, inner)) = member(&members, "b") else { panic!("an object") };
        assert_eq!(member(inner, "c"), Some(&Json::Text("é\n".into())));
        assert_eq!(member(&members, "d"), Some(&Json::Null));
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused_at_every_level() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":[{"c":{"a":1,"a":1}}]}"#,
            r#"[{"a":1,"a":1}]"#,
        ] {
            assert_eq!(parse(text), Err(r#"has the name "a" twice in one object"#.into()), "{text}");
        }
        assert!(parse(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn a_document_of_too_many_values_is_refused() {
        for text in [r#"{"a":[1,2,3]}"#, r#"[{"a":{}},{"b":0}]"#] {
            assert!(parse_up_to(5, text).is_ok(), "{text}");
            assert_eq!(parse_up_to(4, text).unwrap_err(), "has more than 4 values");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "nul",
            "NaN",
            "'a'",
            "\"\\ud800\"",
            "\"a\u{1}\"",
            "\"\\",
            "{} {}",
            "\u{feff}{}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(1_000_000)).unwrap_err().contains("64 levels"));
    }
}
