//! From a file's bytes to text: UTF-8, with or without a byte order mark, else GB18030.

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use encoding_rs::GB18030;
use zeroize::Zeroizing;

use super::report::{ImportError, RowFault};

/// Some twenty million cards; a file is held in memory while it is judged.
const MAX_FILE_MIB: u64 = 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A file's text, wiped when it is dropped: card numbers and terminal keys are in it.
pub(super) type Text = Zeroizing<String>;

/// A file's bytes; nothing where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, ImportError> {
    let failed = |source| ImportError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let size = file.metadata().map_err(failed)?.len();
    let limit = MAX_FILE_MIB << 20;
    if size > limit {
        return Err(ImportError::TooLarge { path: path.to_owned(), limit_mib: MAX_FILE_MIB });
    }
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// The text, or where it is in no encoding we take.
///
/// GB18030 is tried on what isn't UTF-8 only: nearly any UTF-8 text reads as GB18030 too,
/// as nonsense, and hardly any Chinese GB18030 text reads as UTF-8.
pub(super) fn decode(bytes: &[u8]) -> Result<Text, RowFault> {
    let marked = bytes.strip_prefix(BYTE_ORDER_MARK);
    let body = marked.unwrap_or(bytes);
    let error = match std::str::from_utf8(body) {
        Ok(text) => return Ok(Zeroizing::new(text.to_owned())),
        Err(error) => error,
    };
    let decoded = GB18030.decode_without_bom_handling_and_without_replacement(body);
    match decoded {
        Some(text) if marked.is_none() => Ok(Zeroizing::new(text.into_owned())),
        _ => Err(fault(body, error.valid_up_to(), marked.is_some())),
    }
}

fn fault(body: &[u8], valid: usize, marked: bool) -> RowFault {
    let line = 1 + body.iter().take(valid).filter(|byte| **byte == b'\n').count() as u64;
    let reason = if marked {
        "the file begins with UTF-8's byte order mark, but this line isn't UTF-8"
    } else {
        "the file is neither UTF-8 (first amiss in this line) nor GB18030: save it as one of them"
    };
    RowFault { line, column: Cow::Borrowed(""), reason: Cow::Borrowed(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_of_one_text() {
        let text = "name\n诚信一号店\n";
        let (gb, _, _) = GB18030.encode(text);
        for bytes in [text.as_bytes(), &[BYTE_ORDER_MARK, text.as_bytes()].concat(), &gb] {
            assert_eq!(decode(bytes).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_text_in_no_known_encoding_is_refused_with_its_line() {
        let error = decode(b"name\ngood\nbad \xFF\n").unwrap_err();
        assert_eq!(error.line, 3);
        let (gb, _, _) = GB18030.encode("name\n诚信\n");
        let error = decode(&[BYTE_ORDER_MARK, &gb].concat()).unwrap_err();
        assert!(error.line == 2 && error.reason.contains("byte order mark"), "{error:?}");
    }
}
