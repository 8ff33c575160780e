//! Format errors, made in frames that were right.
//!
//! Cut into the bytes, not written by the terminal's code: that can't write a wrong message,
//! and should not learn it for this. The MAC isn't made again; format is checked before it.

use xingka_wire::dialect::{Dialect, LengthPrefix};

/// Something for field 57 to hold, so that it can be spoilt.
pub const SERVICE: &[u8] = b"A";

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoilt {
    /// Field 22, which it needs, isn't there.
    NoEntryMode,
    /// A TLV in field 57 is longer than the field.
    LongTlv,
    /// A byte after the last field.
    TrailingByte,
}

impl Spoilt {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoEntryMode, Self::LongTlv, Self::TrailingByte];
}

/// Where the bitmap stands: after length, TPDU, header and type.
const BITMAP: usize = 2 + 11 + 2;

/// The length of field 2, in digits.
const CARD_LENGTH: usize = BITMAP + 8;

/// Whether a dialect's frames look as [`spoil`] needs them.
pub fn can_spoil(dialect: &Dialect) -> bool {
    dialect.framing.tpdu && matches!(dialect.framing.length, LengthPrefix::Binary2)
}

/// Spoils a star inquiry without amount that asks for [`SERVICE`]; gives its new length.
pub fn spoil(frame: &mut [u8], length: usize, how: Spoilt) -> usize {
    let length = match how {
        Spoilt::NoEntryMode => remove_entry_mode(frame, length),
        Spoilt::LongTlv => lengthen_tlv(frame, length),
        Spoilt::TrailingByte => append(frame, length),
    };
    let prefix = u16::try_from(length - 2).unwrap_or(u16::MAX).to_be_bytes();
    frame[..2].copy_from_slice(&prefix);
    length
}

fn remove_entry_mode(frame: &mut [u8], length: usize) -> usize {
    let digits = usize::from(frame[CARD_LENGTH] >> 4) * 10 + usize::from(frame[CARD_LENGTH] & 0x0F);
    // Fields 3 and 11 stand between, three bytes each.
    let at = CARD_LENGTH + 1 + digits.div_ceil(2) + 6;
    frame.copy_within(at + 2..length, at);
    frame[BITMAP + 21 / 8] &= !(0x80 >> (21 % 8));
    length - 2
}

fn lengthen_tlv(frame: &mut [u8], length: usize) -> usize {
    // Nothing before it has a byte DF: digits are packed, and text is ASCII.
    if let Some(at) = frame[..length].windows(2).position(|tag| tag == [0xDF, 0x01]) {
        frame[at + 2] = 0x7F;
    }
    length
}

fn append(frame: &mut [u8], length: usize) -> usize {
    frame[length] = 0;
    length + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use xingka_terminal::{Profile, Swipe, Terminal};
    use xingka_wire::dialect::CUP;
    use xingka_wire::fault::{Fault, FaultKind};
    use xingka_wire::frame::{Step, next_frame};
    use xingka_wire::integrity::IntegrityRequest;
    use xingka_wire::mac::MacAlgorithm;
    use xingka_wire::messages::StarInquiry;
    use xingka_wire::pan::Pan;
    use xingka_wire::session_keys::Tmk;

    fn fault(how: Spoilt, digits: &[u8]) -> Fault {
        let profile = Profile::new(*b"QZ000001", *b"999520153990001", &CUP, MacAlgorithm::AesCmac);
        let terminal = Terminal::new(profile, Tmk::new([0x31; 16]), 7);
        assert!(!terminal.is_signed_in());
        let mut frame = inquiry(digits);
        let length = frame.len();
        frame.push(0);
        let length = spoil(&mut frame, length, how);
        let Step::Frame(read, whole) = next_frame(&[&CUP], &frame[..length]) else { panic!("{how:?}: no frame") };
        assert_eq!(whole, length);
        xingka_wire::decode(&read).unwrap_err().fault
    }

    /// As a terminal writes it, the MAC of zeros.
    fn inquiry(digits: &[u8]) -> Vec<u8> {
        use xingka_wire::encode::{Seal, Writer, seal_frame};
        use xingka_wire::messages::{Origin, Presented};
        use xingka_wire::mti::Head;
        let integrity = IntegrityRequest { service: Some(SERVICE), ..IntegrityRequest::default() };
        let Swipe { card, entry_mode, .. } = Swipe::of(Pan::from_ascii(digits).unwrap());
        let origin = Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 7, batch: 1 };
        let presented = Presented { origin, card, amount_fen: None, entry_mode, currency: *b"156", integrity };
        let (mut buffer, mut frame) = ([0; 512], vec![0; 512]);
        let mut writer = Writer::new(&CUP, StarInquiry::MTI, Seal::Narrow, &mut buffer);
        StarInquiry { presented }.encode(&mut writer);
        let mab = writer.finish().unwrap();
        let head = Head::of_terminal([0, 3], [0, 0]);
        let length = seal_frame(&CUP, head, mab, Some([0; 8]), &mut frame).unwrap();
        frame.truncate(length);
        frame
    }

    #[test]
    fn each_has_the_format_error_it_says() {
        for digits in [&b"6299990000000000012"[..], b"6299990000000012"] {
            assert_eq!(fault(Spoilt::NoEntryMode, digits), Fault::missing(22));
            assert_eq!(fault(Spoilt::LongTlv, digits).field, 57);
            assert_eq!(fault(Spoilt::TrailingByte, digits).kind, FaultKind::TrailingBytes);
        }
    }
}
