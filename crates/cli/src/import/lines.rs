//! Reads lines of bounded length: of a longer one only the beginning is in memory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use crate::import::row::{KEPT_BYTES_MAX, ROW_BYTES_MAX};

/// The rest of a file, line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    input: BufReader<File>,
    offset: u64,
}

/// A line with its line end.
#[derive(Debug)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    /// The beginning of a line that is longer than a row may be.
    TooLong(Vec<u8>),
}

impl Lines {
    /// The lines of a file from an offset on.
    pub(crate) fn from(mut file: File, offset: u64) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { input: BufReader::new(file), offset })
    }

    /// The offset after the last line.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line; `None` after the last one.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Line>> {
        let mut line = Vec::new();
        let length = (&mut self.input).take(ROW_BYTES_MAX).read_until(b'\n', &mut line)? as u64;
        self.offset += length;
        if length < ROW_BYTES_MAX || line.ends_with(b"\n") {
            return Ok((length > 0).then_some(Line::Whole(line)));
        }
        line.truncate(KEPT_BYTES_MAX);
        loop {
            let rest = self.input.fill_buf()?;
            let end = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let length = end.unwrap_or(rest.len());
            self.input.consume(length);
            self.offset += length as u64;
            if end.is_some() || length == 0 {
                return Ok(Some(Line::TooLong(line)));
            }
        }
    }
}
