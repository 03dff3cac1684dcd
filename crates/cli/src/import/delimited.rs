//! Reads records of values with a delimiter (RFC 4180, section 2), of bounded length. Always: a record that readers read in
//! different ways is refused, and the next one begins at the next line.
//!
//! ```text
//!   BEGIN ── other ──▶ PLAIN ── delimiter ──▶ BEGIN         line end: the record is complete, but in QUOTED, where it
//!     │ quote                                               belongs to the value
//!     ▼
//!   QUOTED ◀── quote ──▶ CLOSED ── delimiter ──▶ BEGIN      CLOSED, then a quote: a quote of the value
//!
//!   a quote in PLAIN, anything else in CLOSED, CR without LF, the end of the file in QUOTED: a fault
//! ```

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};

use crate::import::row::{KEPT_BYTES_MAX, ROW_BYTES_MAX};

/// The rest of a file, record by record.
#[derive(Debug)]
pub(crate) struct Delimited {
    input: BufReader<File>,
    offset: u64,
    delimiter: u8,
}

/// A record.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Its bytes with the line end; of one that is too long, the beginning.
    pub(crate) raw: Vec<u8>,
    /// All values, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Why it cannot be read.
    pub(crate) fault: Option<Fault>,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(
        "has a quote within a value that does not begin with one; quote the value, and write its quotes twice"
    )]
    StrayQuote,
    #[error("has text after a closing quote; write a quote within a value twice")]
    AfterQuote,
    #[error(
        "has a carriage return without a line feed; quote the value that has it, or, if lines end in it, convert them: \
         `tr '\\r' '\\n'`"
    )]
    BareReturn,
    #[error("has a quote that is not closed: all that follows to the end of the file is part of it")]
    Unclosed,
    #[error("is longer than {ROW_BYTES_MAX} bytes; its first {KEPT_BYTES_MAX} are kept")]
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Plain,
    Quoted,
    Closed,
    /// After CR.
    Return,
    /// After a fault: the rest of the line is passed over.
    Fault,
}

impl Record {
    /// How many values it has.
    pub(crate) fn length(&self) -> usize {
        self.ends.len()
    }

    /// The values in their order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| self.text.get(begin..*end).unwrap_or_default())
    }

    /// Takes the next byte, which is not the end of the record.
    fn push(&mut self, at: State, byte: u8, delimiter: u8) -> State {
        match (at, byte) {
            (State::Fault, _) => State::Fault,
            (State::Begin, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) => self.value(byte, State::Quoted),
            (State::Closed, b'"') => self.value(byte, State::Quoted),
            (State::Begin | State::Plain | State::Closed, b'\r') => State::Return,
            (State::Begin | State::Plain | State::Closed, _) if byte == delimiter => {
                self.ends.push(self.text.len());
                State::Begin
            }
            (State::Plain, b'"') => self.fault(Fault::StrayQuote),
            (State::Begin | State::Plain, _) => self.value(byte, State::Plain),
            (State::Closed, _) => self.fault(Fault::AfterQuote),
            (State::Return, _) => self.fault(Fault::BareReturn),
        }
    }

    fn value(&mut self, byte: u8, next: State) -> State {
        self.text.push(byte);
        next
    }

    fn fault(&mut self, fault: Fault) -> State {
        self.fault.get_or_insert(fault);
        State::Fault
    }

    /// Keeps no more than the beginning of what is too long. Quotes are still followed, to find its end.
    fn bound(&mut self) {
        if self.raw.len() as u64 > ROW_BYTES_MAX {
            self.fault = Some(Fault::TooLong);
            self.raw.truncate(KEPT_BYTES_MAX);
        }
        if self.fault == Some(Fault::TooLong) {
            self.text.clear();
            self.ends.clear();
            self.raw.truncate(KEPT_BYTES_MAX);
        }
    }
}

impl Delimited {
    /// The records of a file from an offset on.
    pub(crate) fn from(mut file: File, offset: u64, delimiter: u8) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { input: BufReader::new(file), offset, delimiter })
    }

    /// The offset after the last record.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record that is not a blank line; `None` after the last one.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Record>> {
        loop {
            let Some(record) = self.record()? else { return Ok(None) };
            let is_blank =
                |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n') && *byte != self.delimiter;
            if !record.raw.iter().all(is_blank) {
                return Ok(Some(record));
            }
        }
    }

    fn record(&mut self) -> std::io::Result<Option<Record>> {
        let (mut record, mut at) = (Record::default(), State::Begin);
        loop {
            let read = self.input.fill_buf()?;
            if read.is_empty() {
                return Ok((!record.raw.is_empty()).then(|| ended(record, at)));
            }
            let mut taken = 0;
            let mut complete = false;
            for byte in read {
                taken += 1;
                record.raw.push(*byte);
                if *byte == b'\n' && at != State::Quoted {
                    complete = true;
                    break;
                }
                at = record.push(at, *byte, self.delimiter);
            }
            self.input.consume(taken);
            self.offset += taken as u64;
            record.bound();
            if complete {
                record.ends.push(record.text.len());
                return Ok(Some(record));
            }
        }
    }
}

/// The last record, without a line end.
fn ended(mut record: Record, at: State) -> Record {
    match at {
        State::Quoted if record.fault.is_none() => record.fault = Some(Fault::Unclosed),
        State::Return => record.fault = record.fault.or(Some(Fault::BareReturn)),
        State::Begin | State::Plain | State::Quoted | State::Closed | State::Fault => {}
    }
    record.ends.push(record.text.len());
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Record> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        let mut input = Delimited::from(File::open(&path).unwrap(), 0, b';').unwrap();
        let mut records = Vec::new();
        while let Some(record) = input.next().unwrap() {
            records.push(record);
        }
        assert_eq!(input.offset(), bytes.len() as u64);
        records
    }

    fn values(record: &Record) -> Vec<&str> {
        record.values().map(|value| std::str::from_utf8(value).unwrap()).collect()
    }

    #[test]
    fn quoted_values_have_delimiters_quotes_and_line_ends() {
        let records = read(b"a;b;c\r\n\r\n\"1;\"\"2\"\"\";\"3\r\n4\";\n;;\"\"\nlast;x;y");
        let all: Vec<_> = records.iter().map(values).collect();
        assert_eq!(all, [["a", "b", "c"], ["1;\"2\"", "3\r\n4", ""], ["", "", ""], ["last", "x", "y"]]);
        assert!(records.iter().all(|record| record.fault.is_none()));
        assert_eq!(records[3].raw, b"last;x;y");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_a_fault_and_the_next_line_is_read() {
        for (line, fault) in [
            ("5\" pipe;x", Fault::StrayQuote),
            ("a; \"b;c\"", Fault::StrayQuote),
            ("\"a\"b;c", Fault::AfterQuote),
            ("\"a\" ;c", Fault::AfterQuote),
            ("a\rb;c", Fault::BareReturn),
            ("\"a\r\nb;\"c\";d", Fault::AfterQuote),
        ] {
            let records = read(format!("{line}\nnext;1\n").as_bytes());
            assert_eq!(records.len(), 2, "{line}");
            assert_eq!((records[0].fault, values(&records[1])), (Some(fault), vec!["next", "1"]), "{line}");
            assert_eq!(records[0].raw, format!("{line}\n").as_bytes());
        }
        let open = read(b"a;b\n\"1;2\n3;4\n");
        assert_eq!((open.len(), open[1].fault), (2, Some(Fault::Unclosed)));
        assert_eq!(read(b"a\r")[0].fault, Some(Fault::BareReturn));
    }

    #[test]
    fn of_a_record_that_is_too_long_only_the_beginning_is_in_memory() {
        let long = "x\n".repeat(2 * 1024 * 1024);
        let records = read(format!("1;\"{long}\"\n2;b\n").as_bytes());
        assert_eq!((records.len(), records[0].fault), (2, Some(Fault::TooLong)));
        assert!(records[0].raw.len() == KEPT_BYTES_MAX && records[0].raw.capacity() < 4 * 1024 * 1024);
        assert_eq!(values(&records[1]), ["2", "b"]);
    }
}
