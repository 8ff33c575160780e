//! `xingka-wire` behind the same face as its peers: `ascii87` for the Rust ones, and for
//! those that know packed digits any dialect.

use xingka_wire::answer::Answer;
use xingka_wire::decode;
use xingka_wire::dialect::{ASCII87, Content, Dialect, FIELDS};
use xingka_wire::encode::{MAX_FRAME_BYTES, Seal, Writer, seal_frame};
use xingka_wire::fault::Fault;
use xingka_wire::fields::Fields;
use xingka_wire::frame::{Frame, Step, next_frame};
use xingka_wire::messages::Request;
use xingka_wire::mti::{Head, Mti};

use crate::{Said, Values};

/// The length in front of a frame; what peers read and write begins behind it.
pub const LENGTH_BYTES: usize = 2;

/// How a message is sealed: by the field its MAC is in.
pub fn seal_of(values: &Values) -> Seal {
    match (values.contains_key(&64), values.contains_key(&128)) {
        (_, true) => Seal::Wide,
        (true, false) => Seal::Narrow,
        (false, false) => Seal::None,
    }
}

/// Writes a message as a whole frame.
pub fn encode(dialect: &'static Dialect, said: &Said) -> Result<Vec<u8>, String> {
    sealed(dialect, said, |writer| write_values(&said.values, writer))
}

/// Writes a frame whose fields `write` writes; MTI and MAC are those of `said`.
pub fn sealed(dialect: &'static Dialect, said: &Said, write: impl FnOnce(&mut Writer<'_>)) -> Result<Vec<u8>, String> {
    let mut buffer = vec![0; MAX_FRAME_BYTES];
    let mut writer = Writer::new(dialect, Mti(said.mti), seal_of(&said.values), &mut buffer);
    write(&mut writer);
    let mab = writer.finish().map_err(|fault| fault.to_string())?;
    framed(dialect, mab, mac_of(&said.values)?)
}

fn framed(dialect: &Dialect, mab: &[u8], mac: Option<[u8; 8]>) -> Result<Vec<u8>, String> {
    let mut frame = vec![0; MAX_FRAME_BYTES];
    let head = Head::of_terminal([0, 3], [0, 0]);
    let length = seal_frame(dialect, head, mab, mac, &mut frame).map_err(|fault| fault.to_string())?;
    frame.truncate(length);
    Ok(frame)
}

fn mac_of(values: &Values) -> Result<Option<[u8; 8]>, String> {
    let mac = values.get(&128).or(values.get(&64));
    mac.map(|mac| mac.as_slice().try_into().map_err(|_| "a MAC has 8 bytes".to_owned())).transpose()
}

/// Writes every field but the MAC.
pub fn write_values(values: &Values, writer: &mut Writer<'_>) {
    for (field, value) in values.iter().filter(|(field, _)| !matches!(field, 64 | 128)) {
        let row = FIELDS.get(usize::from(*field)).copied().flatten();
        match row.map(|row| row.content) {
            Some(Content::N | Content::Z) => writer.digits(*field, value),
            _ => writer.bytes(*field, value),
        }
    }
}

/// A frame around a message that has its MAC already, if it has one.
pub fn around(dialect: &Dialect, message: &[u8]) -> Result<Vec<u8>, String> {
    framed(dialect, message, None)
}

/// Reads a request's frame and hands what it says to `look`, if it is one.
pub fn read_request<T>(frame: &[u8], look: impl FnOnce(&Request<'_>) -> T) -> Result<(Said, T), String> {
    let frame = whole(&ASCII87, frame)?;
    let message = decode(&frame).map_err(|malformed| malformed.fault.to_string())?;
    let said = Said { mti: message.mti.0, values: values(&message.fields) };
    Ok((said, look(&message.request)))
}

/// Reads an answer's frame.
pub fn read_answer(frame: &[u8]) -> Result<Said, String> {
    let answer = Answer::decode(&whole(&ASCII87, frame)?).map_err(|fault| fault.to_string())?;
    Ok(Said { mti: answer.mti.0, values: values(&answer.fields) })
}

/// What is wrong with a message from its MTI on; `None` where it is well-formed, whatever
/// message it is.
pub fn fault(message: &[u8]) -> Result<Option<Fault>, String> {
    fault_of(&ASCII87, &around(&ASCII87, message)?)
}

/// What is wrong with the message in a frame.
pub fn fault_of(dialect: &'static Dialect, frame: &[u8]) -> Result<Option<Fault>, String> {
    Ok(decode(&whole(dialect, frame)?).err().map(|malformed| malformed.fault))
}

/// The one frame in these bytes.
pub fn whole<'a>(dialect: &'static Dialect, bytes: &'a [u8]) -> Result<Frame<'a>, String> {
    match next_frame(&[dialect], bytes) {
        Step::Frame(frame, taken) if taken == bytes.len() => Ok(frame),
        Step::Dropped { fault, .. } => Err(format!("dropped: {fault:?}")),
        Step::Frame(..) | Step::NeedMore { .. } => Err("not one whole frame".into()),
    }
}

/// The fields as they stand, which in this dialect is what they say.
pub fn values(fields: &Fields<'_>) -> Values {
    fields.numbers().filter_map(|field| Some((field, fields.bytes(field)?.to_vec()))).collect()
}
