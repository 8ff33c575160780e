//! Decode: a frame becomes a typed message, or a fault with whatever was read before it.

use core::fmt;

use crate::code::ResponseCode;
use crate::dialect::Dialect;
use crate::fault::{Fault, FaultKind};
use crate::fields::Fields;
use crate::frame::Frame;
use crate::integrity::check_emv;
use crate::messages::Request;
use crate::mti::{Head, Mti};

/// A request, decoded: borrowed from its frame.
#[derive(Clone)]
pub struct Message<'a> {
    /// TPDU and header.
    pub head: Head,
    /// The message type.
    pub mti: Mti,
    /// All fields.
    pub fields: Fields<'a>,
    /// What it says.
    pub request: Request<'a>,
}

impl<'a> Message<'a> {
    /// How it is written.
    pub const fn dialect(&self) -> &'static Dialect {
        self.fields.dialect()
    }

    /// What its MAC is over.
    pub fn mab(&self) -> &'a [u8] {
        self.fields.mab()
    }

    /// Its MAC.
    pub fn mac(&self) -> Option<[u8; 8]> {
        self.fields.mac()
    }
}

/// A well-framed message that can't be served, with the fields read before the fault: its
/// answer repeats some of them.
#[derive(Debug, Clone)]
pub struct Malformed<'a> {
    /// TPDU and header.
    pub head: Head,
    /// The message type.
    pub mti: Mti,
    /// What was read.
    pub fields: Fields<'a>,
    /// What is wrong.
    pub fault: Fault,
}

impl Fault {
    /// 40 for a message that doesn't exist, 30 for one that is wrong.
    pub const fn code(&self) -> ResponseCode {
        match self.kind {
            FaultKind::UnknownMessage => ResponseCode::UNKNOWN_MESSAGE,
            _ => ResponseCode::FORMAT_ERROR,
        }
    }
}

/// Decodes a request. Total: any bytes give a message or a fault.
#[expect(clippy::result_large_err, reason = "nothing is allocated, and the answer needs what was read")]
pub fn decode<'a>(frame: &Frame<'a>) -> Result<Message<'a>, Malformed<'a>> {
    let Frame { head, mti, .. } = *frame;
    // Filled where it stands: it is large, and would be copied on every way back.
    let mut fields = Fields::none(frame.dialect, frame.body);
    let read = fields.read().and_then(|()| check_tlv(&fields));
    match read.and_then(|()| Request::decode(mti, &fields)) {
        Ok(request) => Ok(Message { head, mti, fields, request }),
        Err(fault) => Err(Malformed { head, mti, fields, fault }),
    }
}

/// Fields 55 and 57 of whatever message must be well-formed: a malformed one is never a guess.
fn check_tlv(fields: &Fields<'_>) -> Result<(), Fault> {
    let emv = fields.bytes(55).map_or(Ok(()), check_emv).map_err(|kind| Fault::new(55, kind));
    emv.and_then(|()| match fields.bytes(57) {
        Some(field) => crate::integrity::check(field).map_err(|kind| Fault::new(57, kind)),
        None => Ok(()),
    })
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("mti", &self.mti).field("fields", &self.fields).finish_non_exhaustive()
    }
}
