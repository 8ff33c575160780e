//! Respond: the two ways out.
//!
//! An answer that decides something is given by [`respond`], which asks for the proof that its
//! record is in the journal. A refusal from before anything was decided is given by [`refuse`],
//! which can say nothing else.

use alloc::vec;
use alloc::vec::Vec;

use xingka_wire::dialect::Dialect;
use xingka_wire::encode::{EncodeFault, MAX_FRAME_BYTES, seal_frame};
use xingka_wire::mti::{Command, Head};

use crate::answer::{RequestView, Stamp, compose_echo, compose_refusal};
use crate::record::Recorded;
use crate::session::SessionKey;
use crate::verdict::Refusal;

/// Gives a recorded answer: sealed under `key` (none for housekeeping), its header current, with
/// what the terminal is to do next.
pub fn respond(
    recorded: &Recorded,
    dialect: &Dialect,
    (request, command): (Head, Command),
    key: Option<&SessionKey>,
) -> Result<Vec<u8>, EncodeFault> {
    frame(dialect, request.answer(command), &recorded.answer, key)
}

/// Refuses a request that nothing was decided about.
pub fn refuse(
    asked: RequestView<'_, '_>,
    request: Head,
    refusal: Refusal,
    stamp: Stamp,
    key: Option<&SessionKey>,
) -> Result<Vec<u8>, EncodeFault> {
    let mab = compose_refusal(asked, key.is_some(), stamp, refusal)?;
    let command = match refusal {
        // The keys are no good here, or there are none: new ones will help.
        Refusal::NotSignedIn | Refusal::WrongMac => Command::SignIn,
        _ => Command::None,
    };
    frame(asked.fields.dialect(), request.answer(command), &mab, key)
}

/// Says that the switch is there, and gives the terminal its parameters where it asks for them.
/// An echo decides nothing, so there is nothing to record.
pub fn echo(
    asked: RequestView<'_, '_>,
    (request, command): (Head, Command),
    stamp: Stamp,
    parameters: Option<&[u8]>,
) -> Result<Vec<u8>, EncodeFault> {
    frame(asked.fields.dialect(), request.answer(command), &compose_echo(asked, stamp, parameters)?, None)
}

fn frame(dialect: &Dialect, head: Head, mab: &[u8], key: Option<&SessionKey>) -> Result<Vec<u8>, EncodeFault> {
    let mac = key.map(|key| key.mac.mac(mab));
    let mut frame = vec![0; (mab.len() + 32).min(MAX_FRAME_BYTES)];
    let length = seal_frame(dialect, head, mab, mac, &mut frame)?;
    frame.truncate(length);
    Ok(frame)
}
