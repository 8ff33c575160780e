//! One connection: frames in, answers out, in order.
//!
//! Every complete frame in the buffer is handled before the next read, and answers that
//! wait for the same commit are woken by it once and written together. While answers
//! wait, reading goes on, up to a bound; a peer that doesn't take its answers isn't read
//! from either.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use xingka_wire::dialect::{ASCII87, CUP, Dialect};
use xingka_wire::frame::{FrameFault, Step, next_frame};

use crate::line::Line;
use crate::newcomers::Peer;
use crate::node::Node;
use crate::outgoing::Outgoing;

/// Holds two of the longest frames.
const INBOX_BYTES: usize = 8_448;

/// Answers that may wait on one connection before it is read from again.
const MAX_OUTGOING: usize = 1_024;

/// From a frame's first byte to its last, and for writing answers.
const PEER_PATIENCE: Duration = Duration::from_secs(10);

/// Dropped frames after which a connection is closed.
const MAX_DROPPED_FRAMES: u32 = 16;

/// The dialects that may open a frame here.
const DIALECTS: &[&Dialect] = &[&CUP, &ASCII87];

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer closed it, or the node is stopping.
    Closed,
    /// Silence, half a frame for too long, or answers not taken.
    TooSlow,
    /// Too much that isn't a frame.
    Unframed,
    /// More than its address's share, and nothing authentic yet.
    Limited,
    /// The network failed.
    Io(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(crate) struct Connection {
    node: Arc<Node>,
    line: Line,
    peer: Peer,
    inbox: Inbox,
    outgoing: VecDeque<Outgoing>,
    last_heard: Instant,
    /// Fires when the peer's patience may be over. It is not wound again at every byte,
    /// only looked at when it fires and when half a frame shortens it: a timer touched twice
    /// a request would cost more than the request.
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(node: Arc<Node>, line: Line, peer: Peer) -> Self {
        let last_heard = Instant::now();
        let alarm = Box::pin(sleep_until(last_heard + node.settings.idle_timeout));
        Self { node, line, peer, inbox: Inbox::new(), outgoing: VecDeque::new(), last_heard, alarm }
    }

    /// Serves until the peer goes, misbehaves, or the node stops.
    pub(crate) async fn serve(mut self) -> Ended {
        loop {
            if let Err(ended) = self.turn().await {
                self.line.close();
                return ended;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Ended> {
        self.handle_frames().await?;
        self.send_ready().await?;
        if self.inbox.ended || self.node.is_stopping() {
            return self.drain().await;
        }
        let reads = self.outgoing.len() < MAX_OUTGOING;
        let patience = self.patience();
        let Self { line, inbox, outgoing, alarm, .. } = self;
        if alarm.deadline() > patience {
            alarm.as_mut().reset(patience);
        }
        tokio::select! {
            read = inbox.read(line), if reads => {
                read?;
                self.last_heard = Instant::now();
            }
            () = ready(outgoing.front()) => {}
            () = alarm.as_mut() => self.alarmed()?,
        }
        Ok(())
    }

    /// The alarm fired: either the patience is over, or it was wound before the last byte.
    fn alarmed(&mut self) -> Result<(), Ended> {
        let patience = self.patience();
        if patience <= Instant::now() {
            return Err(Ended::TooSlow);
        }
        self.alarm.as_mut().reset(patience);
        Ok(())
    }

    /// Until when the peer has time for its next byte.
    fn patience(&self) -> Instant {
        match self.inbox.frame_since {
            Some(since) => since + PEER_PATIENCE,
            // Whoever waits for an answer isn't idle.
            None if !self.outgoing.is_empty() => Instant::now() + self.node.settings.idle_timeout,
            None => self.last_heard + self.node.settings.idle_timeout,
        }
    }

    /// Handles every whole frame in the inbox.
    async fn handle_frames(&mut self) -> Result<(), Ended> {
        while self.outgoing.len() < MAX_OUTGOING {
            match next_frame(DIALECTS, self.inbox.unread()) {
                Step::Frame(frame, consumed) => {
                    match self.node.handle(&frame, self.last_heard, &self.peer).await {
                        Outgoing::HangUp => return Err(Ended::Limited),
                        outgoing => self.outgoing.push_back(outgoing),
                    }
                    self.inbox.consume(consumed);
                }
                Step::Dropped { fault, skip } => self.drop_frame(fault, skip)?,
                Step::NeedMore { .. } => break,
            }
        }
        self.inbox.note_partial_frame(self.last_heard);
        Ok(())
    }

    fn drop_frame(&mut self, fault: FrameFault, skip: usize) -> Result<(), Ended> {
        self.node.metrics.dropped.count(fault);
        self.inbox.dropped += 1;
        if self.inbox.dropped >= MAX_DROPPED_FRAMES {
            return Err(Ended::Unframed);
        }
        let within = self.node.limits.noise(self.peer.address, &self.node.metrics.limited);
        if within.is_err() && !self.peer.is_proven() {
            return Err(Ended::Limited);
        }
        self.inbox.consume(skip);
        Ok(())
    }

    /// Writes all answers at the front that no longer wait, in one go.
    async fn send_ready(&mut self) -> Result<(), Ended> {
        let mut bytes = Vec::new();
        while self.outgoing.front().is_some_and(Outgoing::is_ready) {
            if let Some(outgoing) = self.outgoing.pop_front() {
                self.node.respond(outgoing, &self.peer, &mut bytes).await;
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        match timeout(PEER_PATIENCE, self.line.write_all(&bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::TooSlow),
        }
    }

    /// The peer has said all it will, or the node stops: answers what is in flight, then ends.
    async fn drain(&mut self) -> Result<(), Ended> {
        while !self.outgoing.is_empty() {
            ready(self.outgoing.front()).await;
            self.send_ready().await?;
        }
        Err(Ended::Closed)
    }
}

/// Makes a connection see the end of its input, so that it looks up from waiting: how a
/// stopping node reaches those that are silent. (A channel in every connection's wait would
/// cost two locks a request.)
pub(crate) fn end_input(stream: &TcpStream) {
    // One that is gone already needs no telling.
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Read);
}

/// Waits until the first answer can leave; forever where there is none.
async fn ready(front: Option<&Outgoing>) {
    match front {
        Some(outgoing) => outgoing.ready().await,
        None => pending().await,
    }
}

/// Bytes read and not yet handled.
struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes of a dropped frame that haven't arrived yet.
    skip: usize,
    dropped: u32,
    /// When the first byte of an unfinished frame came.
    frame_since: Option<Instant>,
    /// The peer will send no more.
    ended: bool,
}

impl Inbox {
    fn new() -> Self {
        let bytes = vec![0; INBOX_BYTES].into_boxed_slice();
        Self { bytes, start: 0, end: 0, skip: 0, dropped: 0, frame_since: None, ended: false }
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        let there = count.min(self.end - self.start);
        self.start += there;
        self.skip += count - there;
        self.frame_since = None;
    }

    fn note_partial_frame(&mut self, now: Instant) {
        if self.start == self.end && self.skip == 0 {
            self.frame_since = None;
        } else {
            self.frame_since.get_or_insert(now);
        }
    }

    /// Reads what there is, after making room. Nothing is lost when it is cancelled.
    async fn read(&mut self, line: &mut Line) -> io::Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let count = line.read(self.bytes.get_mut(self.end..).unwrap_or_default()).await?;
        self.took(count);
        Ok(())
    }

    fn took(&mut self, count: usize) {
        self.ended = count == 0;
        self.end += count;
        let skipped = self.skip.min(self.end);
        self.skip -= skipped;
        self.start += skipped;
    }
}
