//! wire.md's star inquiry, read and written by everybody.
//!
//! Reading is from the bytes behind the length to a message whose fields can be asked for,
//! every character checked; `decode` of ours goes on to the typed request. Writing is
//! from values at hand (numbers and ASCII) to the frame's bytes, with a MAC that is given, in
//! a buffer that is there already where the codec can do that.

use std::hint::black_box;

use iso_8583_rs::{Builder, Message as FastMessage};
use iso8583_codec::{FieldValue, Message as CodecMessage, Mti as CodecMti};
use iso8583_msg::Message as MsgMessage;
use xingka_wire::dialect::{ASCII87, Dialect};
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::fields::Fields;
use xingka_wire::frame::{Frame, Step, next_frame};
use xingka_wire::messages::{Origin, Presented, Request, StarInquiry};
use xingka_wire::mti::Head;
use xingka_wire::pan::{CardRef, Pan};

use crate::peers::{self, ASCII87_HEX};

const MAC: [u8; 8] = *b"955F0697";
const PAN: &[u8] = b"6299990000000000012";

/// What a terminal knows when it asks.
pub fn request() -> StarInquiry<'static> {
    let origin = Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 1, batch: 1 };
    let card = CardRef::Pan(Pan::from_ascii(PAN).unwrap_or_else(|| panic!("a card number")));
    StarInquiry {
        presented: Presented {
            origin,
            card,
            amount_fen: None,
            entry_mode: 72,
            currency: *b"156",
            integrity: Default::default(),
        },
    }
}

/// Its frame, in a dialect.
pub fn frame(dialect: &'static Dialect) -> Vec<u8> {
    let mut frame = vec![0; 512];
    let length = write_ours(dialect, &request(), &mut frame);
    frame.truncate(length);
    frame
}

/// Ours, writing; the frame's length.
pub fn write_ours(dialect: &'static Dialect, request: &StarInquiry<'_>, frame: &mut [u8]) -> usize {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(dialect, StarInquiry::MTI, Seal::Narrow, &mut buffer);
    request.encode(&mut writer);
    let mab = writer.finish().unwrap_or_default();
    seal_frame(dialect, Head::of_terminal([0, 3], [0, 0]), mab, Some(MAC), frame).unwrap_or(0)
}

/// Ours, finding the message in the bytes of a connection.
pub fn frame_ours<'a>(dialects: &[&'static Dialect], bytes: &'a [u8]) -> Option<Frame<'a>> {
    match next_frame(dialects, black_box(bytes)) {
        Step::Frame(frame, _) => Some(frame),
        _ => None,
    }
}

/// Ours, reading every field: what the peers do.
pub fn read_fields(frame: &Frame<'_>) -> bool {
    black_box(&Fields::of(black_box(frame))).is_ok()
}

/// Ours, reading every field and making the typed request of them.
pub fn read_ours(frame: &Frame<'_>) -> bool {
    black_box(&xingka_wire::decode(black_box(frame))).is_ok()
}

/// The peers, and the bytes each reads.
pub struct Peers {
    fast: iso_8583_rs::CompiledSpec,
    codec: iso8583_codec::Spec,
    msg: iso8583_msg::Spec,
    /// Behind the length, with a hexadecimal bitmap.
    pub hex: Vec<u8>,
    /// Behind the length, with a binary one.
    pub binary: Vec<u8>,
}

impl Peers {
    /// With our table.
    pub fn new() -> Self {
        let behind = |dialect| frame(dialect).split_off(2);
        Self {
            fast: peers::fast(),
            codec: peers::codec(),
            msg: peers::msg(),
            hex: behind(&ASCII87_HEX),
            binary: behind(&ASCII87),
        }
    }

    /// `iso_8583_rs`, reading and checking every field.
    pub fn read_fast(&self) -> bool {
        black_box(&FastMessage::parse(&self.fast, black_box(&self.hex))).is_ok()
    }

    /// `iso_8583_rs`, and from it the typed request that ours makes.
    pub fn read_fast_typed(&self) -> bool {
        let read = FastMessage::parse(&self.fast, black_box(&self.hex)).ok();
        black_box(&read.as_ref().and_then(typed)).is_some()
    }

    /// `iso8583-codec`, reading.
    pub fn read_codec(&self) -> bool {
        black_box(&CodecMessage::parse(&self.codec, black_box(&self.binary))).is_ok()
    }

    /// `iso8583-msg`, reading.
    pub fn read_msg(&self) -> bool {
        black_box(&MsgMessage::decode(black_box(&self.binary), &self.msg)).is_ok()
    }

    /// `iso_8583_rs`, writing into a buffer that is there.
    pub fn write_fast(&self, bytes: &mut Vec<u8>) -> usize {
        let mut write = || {
            let mut builder = Builder::new(&self.fast, b"0200")?;
            FIELDS.iter().try_for_each(|(field, content)| builder.set(*field, black_box(content)).map(drop))?;
            builder.pack_into(bytes);
            Ok::<_, iso_8583_rs::Error>(bytes.len())
        };
        write().unwrap_or(0)
    }

    /// `iso8583-codec`, writing.
    pub fn write_codec(&self) -> usize {
        let write = || {
            let mut message = CodecMessage::new(CodecMti::parse(b"0200")?);
            for (field, content) in FIELDS {
                let value = match field {
                    64 => FieldValue::binary(*content),
                    41 | 42 | 49 => FieldValue::text(text(content))?,
                    _ => FieldValue::digits(text(content))?,
                };
                message.set_field(*field as u8, black_box(value))?;
            }
            Ok::<_, iso8583_codec::Error>(message.encode(&self.codec)?.len())
        };
        write().unwrap_or(0)
    }

    /// `iso8583-msg`, writing.
    pub fn write_msg(&self) -> usize {
        let write = || {
            let mut message = MsgMessage::new("0200")?;
            for (field, content) in FIELDS {
                let content = if *field == 64 { "3935354630363937" } else { text(content) };
                message.set(*field as u8, black_box(content))?;
            }
            Ok::<_, iso8583_msg::Error>(message.encode(&self.msg)?.len())
        };
        write().unwrap_or(0)
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self::new()
    }
}

/// By hand, what `xingka_wire::decode` makes of a message: which one it is, and what it says.
fn typed(read: &FastMessage<'_>) -> Option<Request<'static>> {
    let private = read.get(60)?;
    let number = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0_u32, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let kind = (&read.mti, number(read.get(3)?.get(..2)?)?, read.get_u64(25)?, number(private.get(..2)?)?);
    if kind != (b"0200", 31, 0, 1) {
        return None;
    }
    let origin = Origin {
        terminal: read.get(41)?.try_into().ok()?,
        merchant: read.get(42)?.try_into().ok()?,
        stan: u32::try_from(read.get_u64(11)?).ok()?,
        batch: number(private.get(2..8)?)?,
    };
    let presented = Presented {
        origin,
        card: CardRef::Pan(Pan::from_ascii(read.get(2)?)?),
        amount_fen: read.get_u64(4),
        entry_mode: u16::try_from(read.get_u64(22)?).ok()?,
        currency: read.get(49)?.try_into().ok()?,
        integrity: Default::default(),
    };
    Some(Request::StarInquiry(StarInquiry { presented }))
}

/// The inquiry's fields as ASCII.
const FIELDS: &[(usize, &[u8])] = &[
    (2, PAN),
    (3, b"310000"),
    (11, b"000001"),
    (22, b"072"),
    (25, b"00"),
    (41, b"QZ000001"),
    (42, b"999520153990001"),
    (49, b"156"),
    (60, b"0100000100060"),
    (64, &MAC),
];

fn text(content: &[u8]) -> &str {
    str::from_utf8(content).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use xingka_wire::dialect::CUP;

    use super::*;

    #[test]
    fn everybody_reads_and_writes_the_same_inquiry() {
        let peers = Peers::new();
        for dialect in [&CUP, &ASCII87, &ASCII87_HEX] {
            assert!(frame_ours(&[dialect], &frame(dialect)).is_some_and(|frame| read_ours(&frame)));
        }
        assert_eq!(hex::encode_upper(frame(&CUP)).split_at(26).1.len(), 2 * 73);
        assert!(peers.read_fast() && peers.read_fast_typed() && peers.read_codec() && peers.read_msg());
        let mut bytes = Vec::new();
        assert_eq!(peers.write_fast(&mut bytes), peers.hex.len());
        assert_eq!(bytes, peers.hex);
        assert_eq!((peers.write_codec(), peers.write_msg()), (peers.binary.len(), peers.binary.len()));
    }
}
