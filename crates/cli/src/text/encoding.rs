//! Owns how a file's encoding is told. Always: files are UTF-8, with or without its byte-order mark; another encoding is named
//! with the command that converts it, and nothing is guessed.

/// What to say of bytes that are not UTF-8.
pub(crate) const NOT_UTF_8: &str =
    "is not UTF-8. If it is Windows-1252 or Latin-1, convert it: `iconv -f WINDOWS-1252 -t UTF-8`";

/// The UTF-8 byte-order mark: at the beginning of a file it says the encoding, anywhere else that files were joined.
pub(crate) const MARK: &str = "\u{feff}";

/// The length of the UTF-8 byte-order mark at the beginning of a file: 3 or 0. An error names the other encoding.
pub(crate) fn byte_order_mark(begin: &[u8]) -> Result<usize, String> {
    let other = |name| Err(format!("is {name}, not UTF-8; convert it: `iconv -f {name} -t UTF-8`"));
    match begin {
        [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, ..] => {
            Err("begins with two byte-order marks; remove one".into())
        }
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => other("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => other("UTF-16"),
        // Without a mark: every second byte of the first characters is zero, as no text of UTF-8 has it.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => other("UTF-16LE"),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => other("UTF-16BE"),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_known_by_its_first_bytes() {
        for (bytes, length) in [(&b""[..], 0), (b"id", 0), (b"\xef\xbb\xbfid", 3), (b"\xef\xbb", 0)] {
            assert_eq!(byte_order_mark(bytes), Ok(length));
        }
        assert!(
            byte_order_mark("\u{feff}\u{feff}id".as_bytes()).unwrap_err().contains("two byte-order marks")
        );
        for (bytes, name) in [
            (&b"\xff\xfei\0"[..], "UTF-16 "),
            (b"\xfe\xff\0i", "UTF-16 "),
            (b"\xff\xfe\0\0i\0\0\0", "UTF-32 "),
            (b"i\0d\0", "UTF-16LE "),
            (b"\0i\0d", "UTF-16BE "),
        ] {
            assert!(byte_order_mark(bytes).unwrap_err().contains(&format!("-f {name}")), "{bytes:?}");
        }
    }
}
