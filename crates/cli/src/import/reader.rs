//! Reads rows one by one, from the start or from where an earlier run stopped; never the whole file at once.
//!
//! An unreadable row is still a row: it has its number, its position and the reason why it is unreadable.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::error::CliError;
use crate::import::mapping::{Input, InputFormat};
use crate::import::row::{Cells, Row};

/// Longer lines are an error: the file is most likely not a table.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

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
    Csv(Box<csv::Reader<File>>, csv::ByteRecord),
    Lines { lines: BufReader<File>, offset: u64, cells_of: CellsOf },
}

/// The cells of a line of a file with these columns.
type CellsOf = fn(&Arc<[String]>, &[u8]) -> Cells;

impl Reader {
    /// Opens a file after the rows that are done.
    pub(crate) fn open(path: &Path, input: &Input, done: Position) -> Result<Self, CliError> {
        let file = File::open(path).map_err(CliError::file(path))?;
        let source = match input.format {
            InputFormat::Csv => {
                let delimiter = u8::try_from(input.delimiter).unwrap_or(b',');
                let mut csv = csv::ReaderBuilder::new();
                let csv = csv.delimiter(delimiter).has_headers(false).flexible(true).from_reader(file);
                Source::Csv(Box::new(csv), csv::ByteRecord::new())
            }
            InputFormat::Whitespace => Source::lines(file, blank_separated_cells),
            InputFormat::Jsonl => Source::lines(file, object_cells),
        };
        let mut reader = Self { source, columns: Arc::from([]), trim: input.trim, next: 1 };
        let has_header = input.header && input.format != InputFormat::Jsonl;
        let header = if has_header { reader.header(path)? } else { Vec::new() };
        reader.columns = if input.columns.is_empty() { header.into() } else { input.columns.clone().into() };
        if done.rows > 0 {
            reader.seek(done).map_err(CliError::file(path))?;
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
        let reason = || CliError::Content {
            path: path.to_owned(),
            reason: "the header line is missing or not UTF-8".into(),
        };
        let texts = match &mut self.source {
            Source::Csv(csv, record) => {
                if !csv.read_byte_record(record).map_err(|_error| reason())? {
                    return Err(reason());
                }
                texts_of(record.iter(), true)
            }
            Source::Lines { lines, offset, .. } => {
                let line = next_line(lines, offset).map_err(CliError::file(path))?.ok_or_else(reason)?;
                let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
                texts_of(blank_separated(line), true)
            }
        };
        texts.ok_or_else(reason)
    }

    fn seek(&mut self, done: Position) -> std::io::Result<()> {
        match &mut self.source {
            Source::Csv(csv, _) => {
                let mut position = csv::Position::new();
                position.set_byte(done.bytes);
                csv.seek(position).map_err(std::io::Error::other)
            }
            Source::Lines { lines, offset, .. } => {
                *offset = lines.seek(SeekFrom::Start(done.bytes))?;
                Ok(())
            }
        }
    }

    fn cells(&mut self) -> std::io::Result<Option<(Cells, u64)>> {
        match &mut self.source {
            Source::Csv(csv, record) => {
                if !csv.read_byte_record(record).map_err(std::io::Error::other)? {
                    return Ok(None);
                }
                let cells = column_cells(&self.columns, texts_of(record.iter(), self.trim), || {
                    record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
                });
                Ok(Some((cells, csv.position().byte())))
            }
            Source::Lines { lines, offset, cells_of } => loop {
                let Some(line) = next_line(lines, offset)? else { return Ok(None) };
                if !line.trim_ascii().is_empty() {
                    return Ok(Some((cells_of(&self.columns, &line), *offset)));
                }
            },
        }
    }
}

impl Source {
    fn lines(file: File, cells_of: CellsOf) -> Self {
        Self::Lines { lines: BufReader::new(file), offset: 0, cells_of }
    }
}

/// The next line with its line end; advances the offset past it.
fn next_line(lines: &mut BufReader<File>, offset: &mut u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let length = lines.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? as u64;
    if length == LINE_BYTES_MAX && !line.ends_with(b"\n") {
        let reason = format!("a line is longer than {LINE_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
    }
    *offset += length;
    Ok((length > 0).then_some(line))
}

/// `None` if the bytes are not UTF-8.
fn texts_of<'b>(cells: impl Iterator<Item = &'b [u8]>, trim: bool) -> Option<Vec<String>> {
    let text = |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(if trim { text.trim() } else { text }.to_owned())
    };
    cells.map(text).collect()
}

fn column_cells(columns: &Arc<[String]>, texts: Option<Vec<String>>, raw: impl FnOnce() -> String) -> Cells {
    match texts {
        None => Cells::Unreadable("the row is not UTF-8", raw()),
        Some(texts) if texts.len() > columns.len() => {
            Cells::Unreadable("the row has more values than columns", raw())
        }
        Some(texts) if texts.len() < columns.len() => {
            Cells::Unreadable("the row has fewer values than columns", raw())
        }
        Some(texts) => Cells::Columns(Arc::clone(columns), texts),
    }
}

fn blank_separated(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|text| !text.is_empty())
}

fn blank_separated_cells(columns: &Arc<[String]>, line: &[u8]) -> Cells {
    column_cells(columns, texts_of(blank_separated(line), false), || line_text(line))
}

fn object_cells(_columns: &Arc<[String]>, line: &[u8]) -> Cells {
    serde_json::from_slice(line).map_or_else(
        |_error| Cells::Unreadable("the line is not a JSON object", line_text(line)),
        Cells::Object,
    )
}

fn line_text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.trim_ascii()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(format: InputFormat) -> Input {
        Input { format, ..Input::default() }
    }

    fn rows(text: &str, input: &Input) -> Vec<Row> {
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
        let rows = rows("id, name\n1, Ada\r\n2,\"Eve\nB\"\n3,\n", &input(InputFormat::Csv));
        assert_eq!(rows.len(), 3);
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
        assert!(matches!(rows[0].cells, Cells::Unreadable("the row has fewer values than columns", _)));
        assert!(matches!(rows[1].cells, Cells::Unreadable("the row has more values than columns", _)));
        assert_eq!(rows[2].cell("b").as_deref(), Some("2"));
    }

    #[test]
    fn each_json_line_is_a_row() {
        let rows = rows("{\"a\": 1}\nnonsense\n{\"a\": 2}\n", &input(InputFormat::Jsonl));
        assert_eq!(rows[0].cell("a").as_deref(), Some("1"));
        assert_eq!(rows[1].to_json(), "nonsense");
        assert_eq!(rows[2].cell("a").as_deref(), Some("2"));
    }
}
