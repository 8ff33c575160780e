//! A terminal of the bench on its line: keys, trace numbers, bytes out and in.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use xingka_wire::dialect::Dialect;
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::mti::Head;
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

use crate::bench::Checked;
use crate::message::{Message, Seen};

/// A line to whatever is tested: a TCP or TLS stream with a time limit on reads.
pub trait Line: Read + Write + Send {}

impl<L: Read + Write + Send> Line for L {}

/// Opens lines for terminals, by their ids.
pub type Dial<'d> = dyn Fn(&str) -> io::Result<Box<dyn Line>> + 'd;

/// Keys of one sign-in.
pub(crate) struct Keys {
    pub(crate) mac: MacKey,
    /// The MAC key and the PIN key as they came, to recognise what was made with them by mistake.
    pub(crate) mac_bytes: Vec<u8>,
    pub(crate) pin_bytes: Vec<u8>,
}

/// A terminal on its line.
pub struct Station {
    checked: Checked,
    line: Box<dyn Line>,
    /// Newest first.
    keys: Vec<Keys>,
    pub(crate) batch: u32,
    pub(crate) stan: u32,
}

impl Station {
    pub(crate) fn new(checked: Checked, line: Box<dyn Line>, first_stan: u32) -> Self {
        Self { checked, line, keys: Vec::new(), batch: 0, stan: first_stan }
    }

    pub(crate) fn dialect(&self) -> &'static Dialect {
        self.checked.dialect
    }

    pub(crate) fn mac(&self) -> MacAlgorithm {
        self.checked.mac
    }

    pub(crate) fn layout(&self) -> KeyLayout {
        self.checked.layout
    }

    pub(crate) fn keys(&self) -> &[Keys] {
        &self.keys
    }

    pub(crate) fn key(&self) -> Option<&MacKey> {
        self.keys.first().map(|keys| &keys.mac)
    }

    /// Goes on with another line.
    pub(crate) fn replace_line(&mut self, line: Box<dyn Line>) {
        self.line = line;
    }

    /// Takes the keys of a sign-in's answer.
    pub(crate) fn take_keys(&mut self, layout: KeyLayout, field_62: &[u8]) -> Result<(), String> {
        let Checked { mac, tmk, .. } = self.checked;
        let keys = SessionKeys::unwrap(layout, mac, &Tmk::new(tmk), field_62).map_err(|fault| fault.to_string())?;
        let made = MacKey::new(mac, keys.mac_key()).map_err(|_| "the MAC key has the wrong length".to_owned())?;
        let (mac_bytes, pin_bytes) = (keys.mac_key().to_vec(), keys.pin_key().to_vec());
        self.keys.insert(0, Keys { mac: made, mac_bytes, pin_bytes });
        self.keys.truncate(2);
        Ok(())
    }

    /// The next trace number.
    pub(crate) fn next_stan(&mut self) -> u32 {
        self.stan = self.stan % 999_999 + 1;
        self.stan
    }

    /// A message with what every message has; `private` is type and network code.
    pub(crate) fn message(&mut self, mti: u16, (kind, network_code): (u32, u32)) -> Message {
        let stan = self.next_stan();
        Message::new(mti, Head::of_terminal([0x00, 0x03], [0x00, 0x31]))
            .with(11, format!("{stan:06}"))
            .with(41, self.checked.terminal)
            .with(42, self.checked.merchant)
            .with(60, format!("{kind:02}{:06}{network_code:03}60", self.batch))
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.line.write_all(frame)?;
        self.line.flush()
    }

    /// The next whole frame.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 2];
        self.line.read_exact(&mut length)?;
        let mut frame = length.to_vec();
        frame.resize(2 + usize::from(u16::from_be_bytes(length)), 0);
        match frame.get_mut(2..) {
            Some(rest) => self.line.read_exact(rest)?,
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(frame)
    }

    /// Sends bytes and waits for the next frame; how long that took.
    pub(crate) fn exchange(&mut self, frame: &[u8]) -> io::Result<(Vec<u8>, Duration)> {
        let begun = Instant::now();
        self.send(frame)?;
        let answer = self.receive()?;
        Ok((answer, begun.elapsed()))
    }

    /// Reads an answer.
    pub(crate) fn read(&self, frame: &[u8]) -> Result<Seen, String> {
        Seen::read(self.dialect(), frame)
    }
}
