//! A terminal's side of the wire: builds requests, checks answers, keeps keys and counts.
//!
//! Bytes in, bytes out, as `xingka-wire` is: no socket, no clock, no allocation, so that
//! the same code can run in a terminal's firmware, in `xingka swipe` and in a load
//! generator. Whoever uses it sends the bytes and reads the answer.
//!
//! ```
//! # use xingka_terminal::{Profile, Swipe, Terminal};
//! # use xingka_wire::{dialect::CUP, mac::MacAlgorithm, pan::Pan, session_keys::Tmk};
//! let profile = Profile::new(*b"QZ000001", *b"999520153990001", &CUP, MacAlgorithm::AesCmac);
//! let mut terminal = Terminal::new(profile, Tmk::new([0x31; 16]), 1);
//! let mut frame = [0; 512];
//! let sent = terminal.sign_in(&mut frame)?;
//! // … send `frame[..sent.length]`, read the answer, then:
//! // terminal.signed_in(&sent, &answer)?;
//! # assert_eq!(terminal.purchase(&Swipe::of(Pan::from_ascii(b"6299990000000000012").unwrap()), 100, &mut frame).unwrap_err(),
//! #     xingka_terminal::TerminalFault::NotSignedIn);
//! # Ok::<(), xingka_terminal::TerminalFault>(())
//! ```

#![no_std]

mod fault;
mod follow_up;
mod settle;

pub use fault::TerminalFault;
pub use follow_up::{Offline, Reversible};
pub use settle::{Settled, Transaction};
pub use xingka_wire::messages::{Original, Totals};

use xingka_wire::answer::Answer;
use xingka_wire::code::ResponseCode;
use xingka_wire::dialect::Dialect;
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::{Frame, Step, next_frame};
use xingka_wire::integrity::IntegrityRequest;
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::messages::{CounterService, Echo, Origin, Presented, Purchase, SignIn, SignOff, StarInquiry};
use xingka_wire::mti::{Head, Mti};
use xingka_wire::pan::{CardRef, Pan};
use xingka_wire::parameters::Told;
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

/// Bytes that are enough for any request or answer here, without frame.
const MAX_MESSAGE_BYTES: usize = 1_024;

/// STANs count from 1 to this, then from 1 again.
pub const LAST_STAN: u32 = 999_999;

/// What a terminal is.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Field 41.
    pub terminal: [u8; 8],
    /// Field 42.
    pub merchant: [u8; 15],
    /// How its messages are written.
    pub dialect: &'static Dialect,
    /// How they are sealed.
    pub mac: MacAlgorithm,
    /// The keys it signs in for.
    pub layout: KeyLayout,
    /// What stands in front of its messages.
    pub head: Head,
}

impl Profile {
    /// A terminal that signs in for the usual keys of its MAC.
    pub const fn new(terminal: [u8; 8], merchant: [u8; 15], dialect: &'static Dialect, mac: MacAlgorithm) -> Self {
        let layout = match mac {
            MacAlgorithm::Sm4Cbc | MacAlgorithm::CupEcbSm4 => KeyLayout::Sm4,
            _ => KeyLayout::Tdes,
        };
        let head = Head::of_terminal([0x00, 0x03], [0x00, 0x00]);
        Self { terminal, merchant, dialect, mac, layout, head }
    }
}

/// A card at the terminal, and what is asked beyond the message's kind.
#[derive(Debug, Clone)]
pub struct Swipe<'a> {
    /// The card.
    pub card: CardRef<'a>,
    /// Field 22: contactless without PIN, unless something else is said.
    pub entry_mode: u16,
    /// Field 57.
    pub integrity: IntegrityRequest<'a>,
}

impl Swipe<'_> {
    /// Just the card.
    pub fn of(pan: Pan) -> Self {
        Self { card: CardRef::Pan(pan), entry_mode: 72, integrity: IntegrityRequest::default() }
    }
}

/// A request that was written: what its answer must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The frame's length in bytes.
    pub length: usize,
    /// Its STAN.
    pub stan: u32,
    /// The batch it belongs to.
    pub batch: u32,
    /// Its MTI.
    pub mti: Mti,
    sealed: bool,
}

/// A terminal.
#[derive(Debug, Clone)]
pub struct Terminal {
    profile: Profile,
    tmk: Tmk,
    next_stan: u32,
    batch: u32,
    session: Option<MacKey>,
}

impl Terminal {
    /// A terminal that has not signed in; its STANs count on from `next_stan`.
    pub fn new(profile: Profile, tmk: Tmk, next_stan: u32) -> Self {
        Self { profile, tmk, next_stan, batch: 0, session: None }
    }

    /// What it is.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether it has session keys.
    pub const fn is_signed_in(&self) -> bool {
        self.session.is_some()
    }

    /// The batch that its requests carry: what the last sign-in was told, or the one after it
    /// once that was settled; 0 before the first sign-in.
    pub const fn batch(&self) -> u32 {
        self.batch
    }

    /// Takes the STANs from another place on, for whoever keeps them elsewhere.
    pub const fn set_next_stan(&mut self, next_stan: u32) {
        self.next_stan = next_stan;
    }

    /// Writes a sign-in.
    pub fn sign_in(&mut self, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let request = SignIn { origin: self.origin(), layout: self.profile.layout };
        self.write(SignIn::MTI, false, frame, |writer| request.encode(writer))
    }

    /// Takes a sign-in's answer: session keys and the open batch.
    pub fn signed_in(&mut self, sent: &Sent, frame: &[u8]) -> Result<(), TerminalFault> {
        let answer = self.read(sent, frame)?;
        if answer.code != ResponseCode::APPROVED {
            return Err(TerminalFault::Refused(answer.code));
        }
        let Profile { layout, mac, .. } = self.profile;
        let field = answer.fields.bytes(62).ok_or(TerminalFault::Missing(62))?;
        let batch = answer.batch().ok_or(TerminalFault::Missing(60))?;
        let keys = SessionKeys::unwrap(layout, mac, &self.tmk, field)?;
        self.session = Some(MacKey::new(mac, keys.mac_key())?);
        self.batch = batch;
        Ok(())
    }

    /// Writes a sign-off.
    pub fn sign_off(&mut self, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let request = SignOff { origin: self.origin() };
        self.write(SignOff::MTI, false, frame, |writer| request.encode(writer))
    }

    /// Writes an echo.
    pub fn echo(&mut self, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let request = Echo { origin: self.origin(), holds: None };
        self.write(Echo::MTI, false, frame, |writer| request.encode(writer))
    }

    /// Writes an echo that asks for parameters, with the version that the terminal holds, 0 for none.
    pub fn ask_for_parameters(&mut self, holds: u32, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let request = Echo { origin: self.origin(), holds: Some(holds) };
        self.write(Echo::MTI, false, frame, |writer| request.encode(writer))
    }

    /// Takes its answer; `None` where the switch has no parameters to give.
    ///
    /// A terminal that is signed in takes only parameters with the right seal: 08xx messages carry
    /// no MAC, so anybody could have sent others.
    pub fn parameters(&self, sent: &Sent, frame: &[u8]) -> Result<Option<Told>, TerminalFault> {
        let answer = self.read(sent, frame)?;
        if answer.code != ResponseCode::APPROVED {
            return Err(TerminalFault::Refused(answer.code));
        }
        let Some(field) = answer.fields.bytes(62) else { return Ok(None) };
        let origin = (&self.profile.terminal, sent.stan);
        let told = Told::decode(field, origin, self.session.as_ref()).ok_or(TerminalFault::Missing(62))?;
        match (told.sealed, &self.session) {
            (Some(true), _) | (None, None) => Ok(Some(told)),
            _ => Err(TerminalFault::WrongMac),
        }
    }

    /// Writes a star inquiry; with an amount, about that purchase.
    pub fn star_inquiry(
        &mut self,
        swipe: &Swipe<'_>,
        amount_fen: Option<u64>,
        frame: &mut [u8],
    ) -> Result<Sent, TerminalFault> {
        let request = StarInquiry { presented: self.presented(swipe, amount_fen) };
        self.write(StarInquiry::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Writes a purchase.
    pub fn purchase(&mut self, swipe: &Swipe<'_>, amount_fen: u64, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let request = Purchase { presented: self.presented(swipe, Some(amount_fen)) };
        self.write(Purchase::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Writes a counter service.
    pub fn counter_service(&mut self, swipe: &Swipe<'_>, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let request = CounterService { presented: self.presented(swipe, None) };
        self.write(CounterService::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Checks an answer: type, STAN, terminal, and its MAC where it must have one.
    pub fn read<'a>(&self, sent: &Sent, frame: &'a [u8]) -> Result<Answer<'a>, TerminalFault> {
        let answer = Answer::decode(&whole_frame(self.profile.dialect, frame)?)?;
        let stan = answer.fields.number(11);
        if answer.mti != sent.mti.answer() || stan != Some(u64::from(sent.stan)) {
            return Err(TerminalFault::AnotherAnswer);
        }
        if answer.fields.bytes(41) != Some(&self.profile.terminal) {
            return Err(TerminalFault::AnotherAnswer);
        }
        match (&self.session, answer.fields.mac()) {
            (Some(key), Some(mac)) if sent.sealed && !key.verify(answer.fields.mab(), &mac) => {
                Err(TerminalFault::WrongMac)
            }
            // An unsealed answer may say that there is no session, and nothing else.
            (_, None) if sent.sealed && answer.code.approves() => Err(TerminalFault::WrongMac),
            _ => Ok(answer),
        }
    }

    /// Whether a message, its own say, is sealed with the session's key.
    pub fn verifies(&self, frame: &[u8]) -> Result<bool, TerminalFault> {
        let frame = whole_frame(self.profile.dialect, frame)?;
        let message = xingka_wire::decode(&frame).map_err(|malformed| malformed.fault)?;
        let key = self.session.as_ref().ok_or(TerminalFault::NotSignedIn)?;
        Ok(message.mac().is_some_and(|mac| key.verify(message.mab(), &mac)))
    }

    fn origin(&self) -> Origin {
        let Profile { terminal, merchant, .. } = self.profile;
        Origin { terminal, merchant, stan: self.next_stan, batch: self.batch }
    }

    fn presented<'a>(&self, swipe: &Swipe<'a>, amount_fen: Option<u64>) -> Presented<'a> {
        Presented {
            origin: self.origin(),
            card: swipe.card.clone(),
            amount_fen,
            entry_mode: swipe.entry_mode,
            currency: *b"156",
            integrity: swipe.integrity,
        }
    }

    /// Writes a request under the next STAN, and counts on.
    fn write(
        &mut self,
        mti: Mti,
        sealed: bool,
        frame: &mut [u8],
        encode: impl FnOnce(&mut Writer<'_>),
    ) -> Result<Sent, TerminalFault> {
        let sent = self.write_as(mti, self.next_stan, sealed, frame, encode)?;
        self.next_stan = self.next_stan % LAST_STAN + 1;
        Ok(sent)
    }

    fn write_as(
        &self,
        mti: Mti,
        stan: u32,
        sealed: bool,
        frame: &mut [u8],
        encode: impl FnOnce(&mut Writer<'_>),
    ) -> Result<Sent, TerminalFault> {
        let Profile { dialect, head, .. } = self.profile;
        let key = match (&self.session, sealed) {
            (None, true) => return Err(TerminalFault::NotSignedIn),
            (key, sealed) => key.as_ref().filter(|_| sealed),
        };
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let seal = if sealed { Seal::Narrow } else { Seal::None };
        let mut writer = Writer::new(dialect, mti, seal, &mut buffer);
        encode(&mut writer);
        let mab = writer.finish()?;
        let length = seal_frame(dialect, head, mab, key.map(|key| key.mac(mab)), frame)?;
        Ok(Sent { length, stan, batch: self.batch, mti, sealed })
    }
}

/// The frame that `bytes` are, and nothing more.
fn whole_frame<'a>(dialect: &'static Dialect, bytes: &'a [u8]) -> Result<Frame<'a>, TerminalFault> {
    match next_frame(&[dialect], bytes) {
        Step::Frame(frame, length) if length == bytes.len() => Ok(frame),
        _ => Err(TerminalFault::NoFrame),
    }
}
