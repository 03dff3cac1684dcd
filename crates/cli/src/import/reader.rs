//! Reads rows one by one, from the start or from where an earlier run stopped; never the whole file at once.
//!
//! An unreadable row is still a row: it has its number, its position and the reason why it is unreadable.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::error::CliError;
use crate::import::delimited::{Delimited, Record};
use crate::import::lines::{Line, Lines};
use crate::import::mapping::{Input, InputFormat};
use crate::import::row::{
    COLUMNS_MAX, Cells, KEPT_BYTES_MAX, ROW_BYTES_MAX, Row, VALUES_MAX, ambiguous_name,
};
use crate::text::encoding;
use crate::text::json::{self, Json};

/// The end of the rows that are done, where a run resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Position {
    /// The number of bytes up to the end of the last row that is done.
    pub(crate) bytes: u64,
    /// Its number.
    pub(crate) rows: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Reader {
    source: Source,
    columns: Arc<[String]>,
    trim: bool,
    next: u64,
}

#[derive(Debug)]
enum Source {
    Delimited(Delimited),
    Blanks(Lines),
    Objects(Lines),
}

impl Source {
    fn from(path: &Path, input: &Input, offset: u64) -> std::io::Result<Self> {
        let file = File::open(path)?;
        Ok(match input.format {
            InputFormat::Csv => {
                let delimiter = u8::try_from(input.delimiter).unwrap_or(b',');
                Self::Delimited(Delimited::from(file, offset, delimiter)?)
            }
            InputFormat::Whitespace => Self::Blanks(Lines::from(file, offset)?),
            InputFormat::Jsonl => Self::Objects(Lines::from(file, offset)?),
        })
    }
}

impl Reader {
    /// Opens a file after the rows that are done. Fails if its encoding or its header cannot be read in one way only.
    pub(crate) fn open(path: &Path, input: &Input, done: Position) -> Result<Self, CliError> {
        let mut begin = Vec::new();
        let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut begin));
        read.map_err(CliError::file(path))?;
        let mark = encoding::byte_order_mark(&begin).map_err(CliError::content(path))?;
        let source = Source::from(path, input, mark as u64).map_err(CliError::file(path))?;
        let mut reader = Self { source, columns: Arc::from([]), trim: input.trim, next: 1 };
        check_begin(&begin, mark, input.format).map_err(CliError::content(path))?;
        let header = if input.has_header() { reader.header(path)? } else { Vec::new() };
        reader.columns = if input.columns.is_empty() {
            check_header(&header).map_err(CliError::content(path))?;
            header.into()
        } else {
            input.columns.clone().into()
        };
        if done.rows > 0 {
            reader.source = Source::from(path, input, done.bytes).map_err(CliError::file(path))?;
            reader.next = done.rows + 1;
        }
        Ok(reader)
    }

    /// The columns' names; empty for jsonl, whose rows have their own.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; `None` after the last one.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Row>> {
        let number = self.next;
        let Some((cells, end)) = self.cells()? else { return Ok(None) };
        self.next += 1;
        Ok(Some(Row { number, end, cells }))
    }

    fn header(&mut self, path: &Path) -> Result<Vec<String>, CliError> {
        let cells = match &mut self.source {
            Source::Delimited(records) => {
                let record = records.next().map_err(CliError::file(path))?;
                record.map(|record| texts_of_record(&record, true))
            }
            Source::Blanks(lines) | Source::Objects(lines) => {
                let line = next_line(lines).map_err(CliError::file(path))?;
                line.map(|line| match line {
                    Line::Whole(line) => texts_of(blank_separated(&line), true),
                    Line::TooLong(_) => Err(too_long()),
                })
            }
        };
        let fail = |reason: String| CliError::content(path)(format!("the header line {reason}"));
        cells.ok_or_else(|| fail("is missing".into()))?.map_err(fail)
    }

    fn cells(&mut self) -> std::io::Result<Option<(Cells, u64)>> {
        match &mut self.source {
            Source::Delimited(records) => {
                let Some(record) = records.next()? else { return Ok(None) };
                let texts = texts_of_record(&record, self.trim);
                Ok(Some((column_cells(&self.columns, texts, record.raw), records.offset())))
            }
            Source::Blanks(lines) => Ok(next_line(lines)?.map(|line| {
                let cells = match line {
                    Line::Whole(line) => {
                        column_cells(&self.columns, texts_of(blank_separated(&line), false), line)
                    }
                    Line::TooLong(begin) => unreadable(too_long(), begin),
                };
                (cells, lines.offset())
            })),
            Source::Objects(lines) => Ok(next_line(lines)?.map(|line| {
                let cells = match line {
                    Line::Whole(line) => object_cells(line),
                    Line::TooLong(begin) => unreadable(too_long(), begin),
                };
                (cells, lines.offset())
            })),
        }
    }
}

/// The next line that is not blank.
fn next_line(lines: &mut Lines) -> std::io::Result<Option<Line>> {
    loop {
        match lines.next()? {
            Some(Line::Whole(line)) if line.trim_ascii().is_empty() => {}
            other => return Ok(other),
        }
    }
}

/// What begins a file whose rows would all be refused.
fn check_begin(begin: &[u8], mark: usize, format: InputFormat) -> Result<(), String> {
    let first = begin.get(mark..).unwrap_or_default().trim_ascii_start().first();
    if format == InputFormat::Jsonl && first == Some(&b'[') {
        return Err(
            "is a JSON array; a file in jsonl has one object per line: `jq -c '.[]'` makes it of an array"
                .into(),
        );
    }
    Ok(())
}

/// Which column a name means must be plain. Columns without a name cannot be mapped.
fn check_header(names: &[String]) -> Result<(), String> {
    if names.len() > COLUMNS_MAX {
        return Err(format!("the header line has more than {COLUMNS_MAX} columns"));
    }
    let mut known = BTreeMap::new();
    for (place, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = known.insert(name, place) {
            return Err(format!(
                "the header line has the name `{name}` twice, for columns {} and {}; name all columns in input.columns",
                first + 1,
                place + 1
            ));
        }
    }
    Ok(())
}

fn too_long() -> String {
    format!("is longer than {ROW_BYTES_MAX} bytes; its first {KEPT_BYTES_MAX} are kept")
}

fn unreadable(reason: String, raw: Vec<u8>) -> Cells {
    Cells::Unreadable(format!("the row {reason}"), raw)
}

fn texts_of_record(record: &Record, trim: bool) -> Result<Vec<String>, String> {
    match record.fault {
        Some(fault) => Err(fault.to_string()),
        None if record.length() > COLUMNS_MAX => Err(format!("has more than {COLUMNS_MAX} values")),
        None => texts_of(record.values(), trim),
    }
}

fn texts_of<'b>(cells: impl Iterator<Item = &'b [u8]>, trim: bool) -> Result<Vec<String>, String> {
    // A line end that is part of a value is no blank around it.
    let is_blank = |one: char| one.is_whitespace() && !matches!(one, '\n' | '\r');
    let text = |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(if trim { text.trim_matches(is_blank) } else { text }.to_owned())
    };
    cells.map(text).collect::<Option<_>>().ok_or_else(|| encoding::NOT_UTF_8.into())
}

fn column_cells(columns: &Arc<[String]>, texts: Result<Vec<String>, String>, raw: Vec<u8>) -> Cells {
    match texts {
        _ if raw.starts_with(encoding::MARK.as_bytes()) => unreadable(JOINED.into(), raw),
        Err(reason) => unreadable(reason, raw),
        Ok(texts) if texts.len() > columns.len() => unreadable("has more values than columns".into(), raw),
        Ok(texts) if texts.len() < columns.len() => unreadable("has fewer values than columns".into(), raw),
        Ok(texts) => Cells::Columns(Arc::clone(columns), texts),
    }
}

/// What a mark within a file tells.
const JOINED: &str = "begins with a byte-order mark, as in a file that was joined with another; remove the mark, and the \
                      header that may follow it";

fn blank_separated(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|text| !text.is_empty())
}

fn object_cells(line: Vec<u8>) -> Cells {
    let text = match String::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return unreadable(encoding::NOT_UTF_8.into(), error.into_bytes()),
    };
    if text.starts_with(encoding::MARK) {
        return unreadable(JOINED.into(), text.into_bytes());
    }
    let members = match json::parse_up_to(VALUES_MAX, &text) {
        Ok(Json::Object(_, members)) => members,
        Ok(Json::Null | Json::Plain(_) | Json::Text(_) | Json::Array(..)) => {
            return unreadable("is not a JSON object".into(), text.into_bytes());
        }
        Err(reason) => return unreadable(reason, text.into_bytes()),
    };
    match ambiguous_name(&members) {
        Some(name) => {
            let reason = format!("has {name:?} both as a name and as a member of another object");
            unreadable(reason, text.into_bytes())
        }
        None => Cells::Object(text, members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(format: InputFormat) -> Input {
        Input { format, ..Input::default() }
    }

    fn rows(text: impl AsRef<[u8]>, input: &Input) -> Vec<Row> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, text).unwrap();
        let mut all = Vec::new();
        let mut reader = Reader::open(&path, input, Position::default()).unwrap();
        while let Some(row) = reader.next().unwrap() {
            all.push(row);
        }
        // Wherever a run stops, the next one resumes with the next row.
        for (index, row) in all.iter().enumerate() {
            let done = Position { bytes: row.end, rows: row.number };
            let mut rest = Reader::open(&path, input, done).unwrap();
            for expected in &all[index + 1..] {
                let next = rest.next().unwrap().unwrap();
                assert_eq!(
                    (next.number, next.end, next.to_json()),
                    (expected.number, expected.end, expected.to_json())
                );
            }
            assert!(rest.next().unwrap().is_none());
        }
        all
    }

    #[test]
    fn csv_values_are_trimmed_and_may_contain_line_ends() {
        let rows = rows("id, name\n1, Ada\r\n2,\"Eve\nB\n\"\n  \n3,\n", &input(InputFormat::Csv));
        assert_eq!(rows.len(), 3, "a blank line is no row");
        assert_eq!(rows[1].cell("name").as_deref(), Some("Eve\nB\n"), "line ends of a value stay");
        assert_eq!(rows[0].cell("name").as_deref(), Some("Ada"));
        assert_eq!(rows[2].cell("name"), None);
    }

    #[test]
    fn blanks_separate_columns_and_lines_end_in_any_way() {
        let rows =
            rows(" id  date\r\n 00001 19970101\r\n\r\n00002   19970112", &input(InputFormat::Whitespace));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].number, 2);
        assert_eq!(rows[1].cell("date").as_deref(), Some("19970112"));
    }

    #[test]
    fn a_bad_row_has_its_position_and_its_reason() {
        let rows = rows("a,b\n1\n1,2,3\n1,2\n", &input(InputFormat::Csv));
        assert_eq!(reason(&rows[0]), "the row has fewer values than columns");
        assert_eq!(reason(&rows[1]), "the row has more values than columns");
        assert_eq!(rows[2].cell("b").as_deref(), Some("2"));
    }

    fn reason(row: &Row) -> &str {
        match &row.cells {
            Cells::Unreadable(reason, _) => reason,
            other @ (Cells::Columns(..) | Cells::Object(..)) => panic!("{other:?}"),
        }
    }

    fn fails(bytes: &[u8], input: &Input) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        Reader::open(&path, input, Position::default()).unwrap_err().to_string()
    }

    #[test]
    fn each_json_line_is_a_row() {
        let rows = rows("{\"a\": 1}\nnonsense\n\n{\"a\": 1.10}\n[1]\n", &input(InputFormat::Jsonl));
        assert_eq!(rows[0].cell("a").as_deref(), Some("1"));
        assert_eq!(
            (reason(&rows[1]), rows[1].to_json().as_str()),
            ("the row is not JSON", "\"nonsense\\n\"")
        );
        assert_eq!(rows[2].cell("a").as_deref(), Some("1.10"));
        assert_eq!(reason(&rows[3]), "the row is not a JSON object");
    }

    #[test]
    fn a_json_row_that_can_be_read_in_two_ways_is_refused() {
        let text =
            "{\"a\":1,\"a\":2}\n{\"b\":{\"a\":1,\"a\":2}}\n{\"a.b\":1,\"a\":{\"b\":2}}\n{\"a\":1e400}\n";
        let rows = rows(text, &input(InputFormat::Jsonl));
        assert_eq!(reason(&rows[0]), "the row has the name \"a\" twice in one object");
        assert_eq!(reason(&rows[1]), "the row has the name \"a\" twice in one object");
        assert!(reason(&rows[2]).contains("\"a.b\" both as a name"));
        assert_eq!(rows[3].cell("a").as_deref(), Some("1e400"), "only the value is wrong, if it is a number");
    }

    #[test]
    fn a_byte_order_mark_belongs_to_no_row_of_any_format() {
        let jsonl = rows("\u{feff}{\"a\": 1}\n", &input(InputFormat::Jsonl));
        assert_eq!(jsonl[0].cell("a").as_deref(), Some("1"));
        for format in [InputFormat::Csv, InputFormat::Whitespace] {
            let rows = rows("\u{feff}a\n1\n2\n", &input(format));
            assert_eq!((rows.len(), rows[0].cell("a").as_deref()), (2, Some("1")));
        }
    }

    #[test]
    fn another_encoding_is_named() {
        let utf_16: Vec<u8> = "\u{feff}a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for format in [InputFormat::Csv, InputFormat::Whitespace, InputFormat::Jsonl] {
            assert!(fails(&utf_16, &input(format)).contains("UTF-16"));
            assert!(fails(&utf_16[2..], &input(format)).contains("UTF-16LE"));
        }
        let latin_1 = fails(b"id,stra\xdfe\n", &input(InputFormat::Csv));
        assert!(latin_1.contains("the header line is not UTF-8") && latin_1.contains("WINDOWS-1252"));
        let rows = rows(b"id,name\n1,Zo\xeb\n2,Ada\n", &input(InputFormat::Csv));
        assert!(reason(&rows[0]).contains("WINDOWS-1252"));
        assert_eq!(rows[1].cell("name").as_deref(), Some("Ada"));
    }

    #[test]
    fn a_name_that_the_header_has_twice_is_refused() {
        let twice = fails(b"id, email,phone,email \n1,a,b,c\n", &input(InputFormat::Csv));
        assert!(twice.contains("`email` twice, for columns 2 and 4"), "{twice}");
        assert!(fails(b"id id\n", &input(InputFormat::Whitespace)).contains("`id` twice"));
        let renamed = Input { columns: vec!["a".into(), "b".into()], ..input(InputFormat::Csv) };
        assert_eq!(rows("x,x\n1,2\n", &renamed)[0].cell("b").as_deref(), Some("2"));
        assert_eq!(rows("id,,\n1,2,3\n", &input(InputFormat::Csv)).len(), 1, "two without a name");
    }

    #[test]
    fn a_byte_order_mark_in_a_file_is_found_where_files_were_joined() {
        for (format, text) in [
            (InputFormat::Csv, "a,b\n1,2\n\u{feff}a,b\n3,4\n"),
            (InputFormat::Csv, "a,b\n1,2\n\u{feff}\"a\",b\n3,4\n"),
            (InputFormat::Whitespace, "a b\n1 2\n\u{feff}a b\n3 4\n"),
            (InputFormat::Jsonl, "{\"a\":1}\n\u{feff}{\"a\":2}\n{\"a\":3}\n"),
        ] {
            let rows = rows(text, &input(format));
            assert!(reason(&rows[1]).contains("byte-order mark"), "{text}");
            assert_eq!(rows[2].cell("a").as_deref(), Some("3"));
        }
        assert!(
            fails("\u{feff}\u{feff}a,b\n".as_bytes(), &input(InputFormat::Csv)).contains("two byte-order")
        );
    }

    #[test]
    fn what_is_no_file_of_rows_is_told_with_what_makes_it_one() {
        let array = fails(b"\n [{\"a\":1}]", &input(InputFormat::Jsonl));
        assert!(array.contains("jq -c"), "{array}");
        let returns = fails(b"a,b\r1,2\r3,4\r", &input(InputFormat::Csv));
        assert!(returns.contains("tr '\\r' '\\n'"), "{returns}");
    }

    #[test]
    fn a_row_has_a_limited_number_of_columns_and_values() {
        let names = |count: usize| (0..count).map(|name| format!("c{name}")).collect::<Vec<_>>().join(",");
        let header = fails(format!("{}\n", names(COLUMNS_MAX + 1)).as_bytes(), &input(InputFormat::Csv));
        assert!(header.contains("4096"), "{header}");
        let wide = rows(format!("{0}\n{0}\n", names(COLUMNS_MAX)), &input(InputFormat::Csv));
        assert_eq!(wide[0].cell("c4095").as_deref(), Some("c4095"));
        let long = rows(format!("a,b\n{}\n1,2\n", ",".repeat(200_000)), &input(InputFormat::Csv));
        assert_eq!((long.len(), reason(&long[0])), (2, "the row has more than 4096 values"));
        let object = format!("{{\"a\":[{}]}}\n", vec!["0"; VALUES_MAX].join(","));
        let json = rows(object, &input(InputFormat::Jsonl));
        assert_eq!(reason(&json[0]), "the row has more than 16384 values");
    }

    #[test]
    fn a_row_that_is_too_long_is_refused_with_its_number_and_the_others_are_read() {
        let long = "x".repeat(3 * 1024 * 1024);
        for (format, text) in [
            (InputFormat::Csv, format!("a,b\n1,2\n1,{long}\n3,4\n")),
            (InputFormat::Csv, format!("a,b\n1,2\n1,\"{long}\n\"\n3,4\n")),
            (InputFormat::Whitespace, format!("a b\n1 2\n1 {long}\n3 4\n")),
            (InputFormat::Jsonl, format!("{{\"a\":1}}\n{{\"a\":\"{long}\"}}\n{{\"a\":3}}\n")),
        ] {
            let rows = rows(text, &input(format));
            assert_eq!((rows.len(), rows[1].number), (3, 2));
            assert!(reason(&rows[1]).contains("longer than 1048576 bytes"));
            assert!(rows[1].bytes() <= KEPT_BYTES_MAX);
            assert_eq!(rows[2].cell("a").as_deref(), Some("3"));
        }
    }
}
