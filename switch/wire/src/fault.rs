//! What is wrong with a message, and where: field and kind, never the value.

use core::fmt;

/// A fault in a framed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The field, 0 for the message as a whole.
    pub field: u8,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The bitmap is cut short or isn't written as the dialect does.
    Bitmap,
    /// The dialect has no such field.
    UnknownField,
    /// The message ends inside the field.
    CutShort,
    /// The length prefix isn't digits.
    Prefix,
    /// Longer than the field may be.
    TooLong,
    /// A character or digit that doesn't belong there, or a pad digit that isn't 0.
    Content,
    /// Bytes after the last field.
    TrailingBytes,
    /// The message needs it.
    Missing,
    /// The value means nothing here.
    Value,
    /// TLV: a tag that can't be read.
    TlvTag,
    /// TLV: a length that can't be read, isn't in its shortest form or reaches too far.
    TlvLength,
    /// TLV: a tag twice that may come once.
    TlvRepeated,
    /// TLV: too deep.
    TlvDepth,
    /// TLV: a known tag's value of the wrong length or content.
    TlvValue,
    /// There is no such message.
    UnknownMessage,
}

impl Fault {
    /// A fault in a field.
    pub const fn new(field: u8, kind: FaultKind) -> Self {
        Self { field, kind }
    }

    /// A field the message needs and doesn't have.
    pub const fn missing(field: u8) -> Self {
        Self::new(field, FaultKind::Missing)
    }

    /// A message that isn't in the table.
    pub const UNKNOWN_MESSAGE: Self = Self::new(0, FaultKind::UnknownMessage);
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field > 0 {
            write!(f, "field {}: ", self.field)?;
        }
        f.write_str(match self.kind {
            FaultKind::Bitmap => "the bitmap is cut short or badly written",
            FaultKind::UnknownField => "the dialect has no such field",
            FaultKind::CutShort => "the message ends inside it",
            FaultKind::Prefix => "its length prefix is not digits",
            FaultKind::TooLong => "it is longer than it may be",
            FaultKind::Content => "it has a character, digit or pad that does not belong there",
            FaultKind::TrailingBytes => "bytes follow the last field",
            FaultKind::Missing => "the message needs it",
            FaultKind::Value => "its value means nothing here",
            FaultKind::TlvTag => "a tag cannot be read",
            FaultKind::TlvLength => "a tag's length is not in its shortest form or reaches too far",
            FaultKind::TlvRepeated => "a tag stands twice that may come once",
            FaultKind::TlvDepth => "tags are nested too deep",
            FaultKind::TlvValue => "a tag's value has the wrong length or content",
            FaultKind::UnknownMessage => "there is no such message",
        })
    }
}
