//! Texts for a terminal's display: UTF-8 or GBK, cut at a character's edge.

use encoding_rs::{EncoderResult, GBK};

use crate::dialect::TextEncoding;

/// Writes as much of `text` as fits into `to` and returns it. A character that GBK doesn't
/// have becomes `?`.
pub fn encode_text<'b>(text: &str, encoding: TextEncoding, to: &'b mut [u8]) -> &'b [u8] {
    let mut at = 0;
    for character in text.chars() {
        let mut utf8 = [0; 4];
        let utf8 = character.encode_utf8(&mut utf8);
        let mut gbk = [0; 8];
        let bytes = match encoding {
            TextEncoding::Utf8 => utf8.as_bytes(),
            TextEncoding::Gbk => gbk_bytes(utf8, &mut gbk),
        };
        let Some(place) = to.get_mut(at..at + bytes.len()) else {
            break;
        };
        place.copy_from_slice(bytes);
        at += bytes.len();
    }
    to.get(..at).unwrap_or_default()
}

fn gbk_bytes<'b>(character: &str, to: &'b mut [u8; 8]) -> &'b [u8] {
    let (result, _, written) = GBK.new_encoder().encode_from_utf8_without_replacement(character, to, true);
    match result {
        EncoderResult::InputEmpty => to.get(..written).unwrap_or_default(),
        EncoderResult::OutputFull | EncoderResult::Unmappable(_) => b"?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let mut to = [0; 7];
        assert_eq!(encode_text("诚信A卡", TextEncoding::Utf8, &mut to), "诚信A".as_bytes());
        assert_eq!(encode_text("诚信卡😀", TextEncoding::Gbk, &mut to), b"\xb3\xcf\xd0\xc5\xbf\xa8?");
    }
}
