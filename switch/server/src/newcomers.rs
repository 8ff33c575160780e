//! Connections on which nothing has been authentic yet.
//!
//! Whoever opens connections and leaves them must not keep terminals out: when as many are
//! open as may be, the newcomer that has waited longest makes room for the next one. It has
//! had its chance: [`GRACE`], or, in a flood that would fill every place within that, until
//! [`FLOOD`] others came after it. A connection that has carried one authentic request is never
//! put out this way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;
use xingka_core::ids::TerminalId;

/// Time enough to sign in and swipe.
const GRACE: Duration = Duration::from_secs(1);

/// Connections that come in less than that time only where somebody floods.
const FLOOD: u64 = 200;

/// Everybody who has yet to prove anything, in the order they came.
#[derive(Default)]
pub(crate) struct Newcomers(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    /// Counts all that ever came, also those for whom there was no room.
    arrivals: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    stream: Weak<TcpStream>,
}

impl Queue {
    /// The one who came first, if it has had its chance.
    fn pop_oldest(&mut self, now: Instant) -> Option<Waiting> {
        let oldest = self.waiting.first_entry()?;
        let had_its_chance = oldest.get().since + GRACE <= now || oldest.key() + FLOOD < self.arrivals;
        had_its_chance.then(|| oldest.remove())
    }
}

impl Newcomers {
    /// Adds a connection.
    pub(crate) fn enter(self: &Arc<Self>, stream: &Arc<TcpStream>) -> Newcomer {
        self.add(Arc::downgrade(stream))
    }

    /// Adds somebody who has no connection: there is nothing to be put out.
    pub(crate) fn enter_unseen(self: &Arc<Self>) -> Newcomer {
        self.add(Weak::new())
    }

    fn add(self: &Arc<Self>, stream: Weak<TcpStream>) -> Newcomer {
        let mut queue = self.0.lock();
        queue.arrivals += 1;
        let number = queue.arrivals;
        queue.waiting.insert(number, Waiting { since: Instant::now(), stream });
        Newcomer { number, among: self.clone() }
    }

    /// Cuts the line of the one who came first; false, and one more for whom there was no room,
    /// where nobody has had a chance yet.
    pub(crate) fn put_out_oldest(&self, now: Instant) -> bool {
        loop {
            // Bound first: the lock is let go before the line is cut.
            let oldest = self.0.lock().pop_oldest(now);
            let Some(Waiting { stream, .. }) = oldest else {
                self.0.lock().arrivals += 1;
                return false;
            };
            // One that is just ending makes room without being told.
            if let Some(stream) = stream.upgrade() {
                // Its task sees the end and goes; a line that is broken needs no cutting.
                let _ = SockRef::from(&*stream).shutdown(std::net::Shutdown::Both);
                return true;
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

/// A place among the newcomers, until it is dropped.
pub(crate) struct Newcomer {
    number: u64,
    among: Arc<Newcomers>,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.among.0.lock().waiting.remove(&self.number);
    }
}

/// Who is at the other end of a connection, as far as anybody knows.
pub(crate) struct Peer {
    /// Where it connected from.
    pub(crate) address: IpAddr,
    /// Whose certificate it has shown; nobody's on a plain line.
    certified: Option<TerminalId>,
    newcomer: Mutex<Option<Newcomer>>,
    proven: AtomicBool,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, newcomer: Newcomer) -> Self {
        Self { address, certified: None, newcomer: Mutex::new(Some(newcomer)), proven: AtomicBool::new(false) }
    }

    /// It has shown the certificate of a terminal: it needn't make room for others any more. Whether it
    /// sends anything authentic is another matter.
    pub(crate) fn certify(&mut self, terminal: TerminalId) {
        self.certified = Some(terminal);
        drop(self.newcomer.get_mut().take());
    }

    /// Whose requests may come on this line, where not everybody's.
    pub(crate) const fn certified(&self) -> Option<&TerminalId> {
        self.certified.as_ref()
    }

    /// It has sent something authentic.
    pub(crate) fn prove(&self) {
        // Looked at first: every request comes by here, and only the first has anything to write.
        if !self.proven.load(Ordering::Relaxed) && !self.proven.swap(true, Ordering::Relaxed) {
            drop(self.newcomer.lock().take());
        }
    }

    /// Whether it ever has.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }
}
