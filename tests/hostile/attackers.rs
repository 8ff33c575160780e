//! One function a kind of bad peer. Each goes on until it is told to stop, takes whatever
//! the switch does to it, and checks that what the switch says is well-formed.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use socket2::{Domain, Socket, Type};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::{ASCII87, CUP};
use xingka_wire::frame::{Step, next_frame};

use crate::Count;
use crate::support::{Till, Told, pan};

/// What was sent, and how fast it may be.
pub struct Sent {
    begun: Instant,
    /// Frames a second of all attackers together.
    per_s: f64,
    garbage: Count,
    changed: Count,
    truncated: Count,
    oversized: Count,
    slow_bytes: Count,
    left: Count,
    flooded: Count,
    replayed: Count,
    unread: Count,
    sign_ins: Count,
}

impl Sent {
    /// Nothing yet.
    pub fn new(per_s: f64) -> Self {
        let none = Count::default;
        Self {
            begun: Instant::now(),
            per_s,
            garbage: none(),
            changed: none(),
            truncated: none(),
            oversized: none(),
            slow_bytes: none(),
            left: none(),
            flooded: none(),
            replayed: none(),
            unread: none(),
            sign_ins: none(),
        }
    }

    /// Counts frames, and holds whoever sends them to the pace.
    fn count(&self, kind: &Count, frames: u64) {
        kind.add(frames);
        while self.frames() as f64 > self.per_s * self.begun.elapsed().as_secs_f64() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Frames a second so far.
    pub fn frames_per_s(&self) -> f64 {
        self.frames() as f64 / self.begun.elapsed().as_secs_f64()
    }

    /// Each kind's count.
    pub fn kinds(&self) -> [(u64, &'static str); 10] {
        [
            (self.garbage.get(), "frames of garbage"),
            (self.changed.get(), "valid frames, changed"),
            (self.truncated.get(), "frames cut short"),
            (self.oversized.get(), "frames with a length out of bounds"),
            (self.slow_bytes.get(), "bytes, one at a time"),
            (self.left.get(), "connections opened and left"),
            (self.flooded.get(), "requests flooding one terminal's session"),
            (self.replayed.get(), "recorded frames, replayed"),
            (self.unread.get(), "requests whose answers nobody took"),
            (self.sign_ins.get(), "sign-ins in one terminal's name"),
        ]
    }

    /// Frames of every kind.
    pub fn frames(&self) -> u64 {
        let not_frames = self.slow_bytes.get() + self.left.get();
        self.kinds().iter().map(|(count, _)| count).sum::<u64>() - not_frames
    }
}

/// Where it attacks, which attacker it is, what it counts, when it stops.
type Attack = fn(SocketAddr, u64, &Sent, &AtomicBool);

/// All of them.
pub const ATTACKERS: &[Attack] =
    &[garbage, changed, changed, truncated, oversized, slow, open_and_leave, flood, replay, never_read, sign_ins];

/// The attackers' terminals, beside the honest ones.
const FLOODER: usize = 4;
const REPLAYER: usize = 5;
const SPOKEN_FOR: usize = 6;
const CHANGED: usize = 7;
const DEAF: usize = 8;

/// Requests that are written before answers are read.
const BATCH: usize = 32;

/// From one of a thousand addresses of the loopback network.
fn connect(to: SocketAddr, random: &mut Rng) -> io::Result<TcpStream> {
    connect_from(Ipv4Addr::new(127, 0, random.u8(1..=4), random.u8(1..=250)), to)
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&to.into())?;
    // An attacker that the switch has nothing to say to goes on.
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.set_write_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket.into())
}

/// Runs one connection after the other; the switch may end each as it likes.
fn again_and_again(number: u64, stop: &AtomicBool, mut attack: impl FnMut(&mut Rng) -> io::Result<()>) {
    let mut random = Rng::with_seed(number);
    while !stop.load(Ordering::Relaxed) {
        // Cut off is what an attacker expects.
        let _ = attack(&mut random);
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn noise(random: &mut Rng, lengths: std::ops::Range<usize>) -> Vec<u8> {
    let length = random.usize(lengths);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Bytes that are no message, in frames that are; all from one address, so that its share ends.
fn garbage(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    again_and_again(number, stop, |random| {
        let mut stream = connect_from(Ipv4Addr::new(127, 0, 9, 9), switch)?;
        for _ in 0..20 {
            let mut body = noise(random, 21..400);
            // Some look right for a few bytes more.
            let opening: &[u8] =
                [&[][..], &[0x60], b"0", &[0x60, 0, 3, 0, 0, 0x60, 0x31, 0, 0x31, 1, 0]][random.usize(0..4)];
            body[..opening.len()].copy_from_slice(opening);
            stream.write_all(&framed(&body))?;
            sent.count(&sent.garbage, 1);
        }
        check_answers(&mut stream)
    });
}

/// Valid requests with a few bytes changed: every field, every check.
fn changed(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let valid = valid_frames(&mut Till::connect(switch, CHANGED));
    again_and_again(number, stop, |random| {
        let mut stream = connect(switch, random)?;
        for _ in 0..100 {
            let batch: Vec<u8> =
                (0..BATCH).flat_map(|_| change(&valid[random.usize(0..valid.len())], random)).collect();
            stream.write_all(&batch)?;
            sent.count(&sent.changed, BATCH as u64);
            read_some(&mut stream)?;
        }
        check_answers(&mut stream)
    });
}

fn valid_frames(till: &mut Till) -> Vec<Vec<u8>> {
    till.sign_in();
    let mut frames: Vec<Vec<u8>> = (0..5).map(|star| till.purchase(&pan(star), 10_000).1).collect();
    frames.push(till.write(counter).1);
    frames.push(till.write(|terminal, frame| terminal.sign_in(frame)).1);
    frames.push(till.write(|terminal, frame| terminal.echo(frame)).1);
    frames
}

fn change(frame: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut body = frame[2..].to_vec();
    for _ in 0..random.usize(1..4) {
        let place = random.usize(0..body.len());
        match random.u8(0..4) {
            0 => body[place] ^= 1 << random.u8(0..8),
            1 => body[place] = random.u8(..),
            2 => body.insert(place, random.u8(..)),
            _ => drop(body.remove(place)),
        }
    }
    framed(&body)
}

/// Half a frame, and then the end.
fn truncated(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let whole = {
        let mut till = Till::connect(switch, SPOKEN_FOR);
        till.write(|terminal, frame| terminal.sign_in(frame)).1
    };
    again_and_again(number, stop, |random| {
        let mut stream = connect(switch, random)?;
        stream.write_all(&whole[..random.usize(1..whole.len())])?;
        sent.count(&sent.truncated, 1);
        stream.shutdown(Shutdown::Write)?;
        check_answers(&mut stream)
    });
}

/// Lengths that no frame has.
fn oversized(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    again_and_again(number, stop, |random| {
        let mut stream = connect(switch, random)?;
        for _ in 0..8 {
            let length = if random.bool() { random.u16(4_097..) } else { random.u16(..11) };
            stream.write_all(&length.to_be_bytes())?;
            let sends = usize::from(length).min(random.usize(0..9_000));
            stream.write_all(&vec![0x60; sends])?;
            sent.count(&sent.oversized, 1);
            if sends < usize::from(length) {
                break;
            }
        }
        stream.shutdown(Shutdown::Write)?;
        check_answers(&mut stream)
    });
}

/// One byte a second, on fifty lines.
fn slow(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let mut random = Rng::with_seed(number);
    let mut lines: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        lines.extend((lines.len()..50).filter_map(|_| connect(switch, &mut random).ok()));
        lines.retain_mut(|line| line.write_all(&[0]).is_ok());
        sent.slow_bytes.add(lines.len() as u64);
        thread::sleep(Duration::from_millis(1_000));
    }
}

/// More connections than there is room for, and nothing said on them.
fn open_and_leave(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let mut random = Rng::with_seed(number);
    let mut left = std::collections::VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(stream) = connect(switch, &mut random) {
            left.push_back(stream);
            sent.left.add(1);
        }
        if left.len() > 400 {
            left.drain(..100);
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A terminal that has gone mad: its keys are right, and it doesn't stop.
fn flood(switch: SocketAddr, _: u64, sent: &Sent, stop: &AtomicBool) {
    let mut till = Till::signed_in(switch, FLOODER);
    while !stop.load(Ordering::Relaxed) {
        let requests: Vec<_> = (0..BATCH).map(|_| till.purchase(&pan(5), 10_000)).collect();
        let batch: Vec<u8> = requests.iter().flat_map(|(_, frame)| frame.clone()).collect();
        till.stream.write_all(&batch).expect("a terminal that proved itself isn't cut off");
        for (request, _) in &requests {
            let answer = crate::support::read_frame(&mut till.stream).unwrap();
            let told = Told::read(&till.terminal, request, &answer);
            assert!(["00", "11", "96", "94"].contains(&told.code.as_str()), "{told:?}");
        }
        sent.count(&sent.flooded, BATCH as u64);
    }
}

fn counter(
    terminal: &mut xingka_terminal::Terminal,
    frame: &mut [u8],
) -> Result<xingka_terminal::Sent, xingka_terminal::TerminalFault> {
    let pan = xingka_wire::pan::Pan::from_ascii(pan(5).as_bytes()).unwrap();
    terminal.counter_service(&xingka_terminal::Swipe::of(pan), frame)
}

/// Frames that somebody recorded on the line.
fn replay(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let mut till = Till::signed_in(switch, REPLAYER);
    let (request, frame) = till.purchase(&pan(5), 10_000);
    let first = till.ask(&request, &frame);
    assert_eq!(first.code, "00");
    again_and_again(number, stop, |random| {
        let mut stream = connect(switch, random)?;
        for _ in 0..100 {
            stream.write_all(&frame)?;
            sent.count(&sent.replayed, 1);
            let answer = crate::support::read_frame(&mut stream)?;
            let again = Told::read(&till.terminal, &request, &answer);
            assert!(again == first || again.code == "96", "{again:?}");
        }
        Ok(())
    });
}

/// A peer that asks and never listens.
fn never_read(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let mut till = Till::signed_in(switch, DEAF);
    again_and_again(number, stop, |random| {
        let mut stream = connect(switch, random)?;
        while !stop.load(Ordering::Relaxed) {
            let batch: Vec<u8> = (0..BATCH).flat_map(|_| till.purchase(&pan(1), 100).1).collect();
            stream.write_all(&batch)?;
            sent.count(&sent.unread, BATCH as u64);
        }
        Ok(())
    });
}

/// Sign-ins in a terminal's name, which need no key.
fn sign_ins(switch: SocketAddr, number: u64, sent: &Sent, stop: &AtomicBool) {
    let mut till = Till::connect(switch, SPOKEN_FOR);
    let mut unknown = Till::connect(switch, SPOKEN_FOR);
    unknown.terminal = unknown_terminal();
    again_and_again(number, stop, |random| {
        let mut stream = connect(switch, random)?;
        for till in [&mut till, &mut unknown] {
            let (_, frame) = till.write(|terminal, frame| terminal.sign_in(frame));
            stream.write_all(&frame)?;
            sent.count(&sent.sign_ins, 1);
        }
        check_answers(&mut stream)
    });
}

fn unknown_terminal() -> xingka_terminal::Terminal {
    use xingka_terminal::{Profile, Terminal};
    use xingka_wire::mac::MacAlgorithm;
    use xingka_wire::session_keys::Tmk;
    let profile = Profile::new(*b"NOBODY00", *b"999520153990001", &CUP, MacAlgorithm::AesCmac);
    Terminal::new(profile, Tmk::new([9; 16]), 1)
}

/// Takes what has been answered, so that the switch can go on.
fn read_some(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16_384];
    match stream.read(&mut bytes)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Reads until the switch has no more to say: whole frames, each a well-formed answer.
fn check_answers(stream: &mut TcpStream) -> io::Result<()> {
    let _ = stream.shutdown(Shutdown::Write);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let mut rest = &bytes[..];
    while let Step::Frame(frame, taken) = next_frame(&[&CUP, &ASCII87], rest) {
        let answer = Answer::decode(&frame);
        assert!(answer.is_ok(), "{:?}: {:02X?}", answer.err(), frame.body);
        rest = &rest[taken..];
    }
    Ok(())
}
