//! Messages on which not all agree: the rows of `DISAGREEMENTS.md` that reading shows.

use xingka_wire::dialect::CUP;
use xingka_wire::fault::FaultKind;

use crate::{Said, Values, ours};

/// Bytes, and who reads them.
pub struct Probe {
    /// Its row's name.
    pub row: &'static str,
    /// The message from its MTI on, in `ascii87`.
    pub message: Vec<u8>,
    /// The fault for which we don't read it.
    pub ours: Option<(u8, FaultKind)>,
    /// Whether each of [`crate::PEERS`] reads it. The last of them is handed only what it
    /// gets through without a panic.
    pub peers: [bool; 4],
    /// Whether pyiso8583 reads it.
    pub python: bool,
}

/// What an echo says.
const ECHO_SAID: [(u8, &[u8]); 4] =
    [(11, b"000001"), (41, b"QZ000001"), (42, b"999520153990001"), (60, b"0000000130160")];

/// An echo's fields as they are written.
const ECHO: [(u8, &[u8]); 4] =
    [(11, b"000001"), (41, b"QZ000001"), (42, b"999520153990001"), (60, b"0130000000130160")];

/// An echo with another field (none where it is 0), its prefix written already, behind a
/// bitmap of so many bytes.
pub fn echo_with(field: u8, written: &[u8], bitmap_bytes: usize) -> Vec<u8> {
    let mut fields = ECHO.to_vec();
    fields.extend((field > 0).then_some((field, written)));
    fields.sort_unstable_by_key(|(field, _)| *field);
    let mut bitmap = vec![0_u8; bitmap_bytes];
    // Each half but the last says that another one follows.
    (8..bitmap_bytes).step_by(8).for_each(|next| bitmap[next - 8] |= 0x80);
    for (field, _) in &fields {
        bitmap[usize::from(field - 1) / 8] |= 0x80 >> ((field - 1) % 8);
    }
    let values: Vec<_> = fields.iter().flat_map(|(_, written)| written.iter().copied()).collect();
    [b"0820", bitmap.as_slice(), &values].concat()
}

/// A frame of `cup` with a nibble over 9 in field 4: the row `packed-letter`.
pub fn packed_letter() -> Result<Vec<u8>, String> {
    let amount = (4, b"000000010000".to_vec());
    let values: Values = ECHO_SAID.map(|(field, value)| (field, value.to_vec())).into_iter().chain([amount]).collect();
    let mut frame = ours::encode(&CUP, &Said { mti: 820, values })?;
    // Field 4 is the first one: behind the length, TPDU and header, MTI and bitmap.
    let amount = frame.get_mut(2 + 11 + 2 + 8).ok_or("too short")?;
    *amount = 0xA0;
    Ok(frame)
}

/// All of them in `ascii87`.
pub fn probes() -> Vec<Probe> {
    let field = |field, written| echo_with(field, written, 8);
    let content = |field| Some((field, FaultKind::Content));
    let probe = |row, message, ours, peers, python| Probe { row, message, ours, peers, python };
    let trailing = [echo_with(0, b"", 8), vec![0]].concat();
    let too_long = field(2, b"2062999900000000000123");
    let mac_of_64 = echo_with(64, b"955F0697", 16);
    vec![
        probe("separator", field(35, b"206299990000000012D301"), content(35), [true; 4], true),
        probe("letter-in-n", field(26, b"1X"), content(26), [false, true, false, true], true),
        probe("sign-in-an", field(49, b"1-6"), content(49), [true, true, false, true], true),
        probe("control", field(38, b"00\n000"), content(38), [false, true, false, true], true),
        probe("too-long", too_long, Some((2, FaultKind::TooLong)), [false, true, false, true], false),
        probe("signed-prefix", field(44, b"+5HELLO"), Some((44, FaultKind::Prefix)), [false, true, false, true], true),
        probe("empty-n", field(32, b"00"), None, [false, true, true, true], true),
        probe("trailing", trailing, Some((0, FaultKind::TrailingBytes)), [false, false, false, true], false),
        probe("mac-of-64", mac_of_64, Some((64, FaultKind::UnknownField)), [true; 4], true),
        // We take the third bitmap for field 11.
        probe("third-bitmap", echo_with(0, b"", 24), content(11), [false, true, false, true], true),
        probe("wide-for-nothing", echo_with(0, b"", 16), None, [true; 4], true),
    ]
}
