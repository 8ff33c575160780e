//! Who is let in: connections are accepted as long as there is room, newcomers make some, and a
//! stopping node waits for those it has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout};

use crate::connection::{Connection, Ended, end_input};
use crate::line::Line;
use crate::newcomers::Peer;
use crate::node::Node;
use crate::tls::{Acceptor, Greeted};

/// After an accept failed (out of descriptors, say), before the next.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// How long connections have to take their last answers when the node stops.
const DRAIN_PATIENCE: Duration = Duration::from_secs(6);

/// Where terminals come in.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<Acceptor>>,
}

/// Connections, by the task that serves them.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    streams: HashMap<task::Id, Weak<TcpStream>>,
}

/// Accepts connections until the node stops, then waits for those there are.
pub(crate) async fn accept(node: Arc<Node>, door: Door, room: Arc<Semaphore>, mut stop: watch::Receiver<bool>) {
    let Door { listener, tls } = door;
    let mut connections = Connections::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => connections.admit(&node, stream, from.ip(), &room, tls.clone()),
                // Out of descriptors, say: a newcomer gives one back, or somebody does meanwhile.
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    node.newcomers.put_out_oldest(Instant::now());
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(ended) = connections.tasks.join_next_with_id() => connections.forget(ended),
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    node.stop();
    connections.drain().await;
}

/// Waits until the node stops; nobody left to say so says it too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Connections {
    fn admit(
        &mut self,
        node: &Arc<Node>,
        stream: TcpStream,
        from: IpAddr,
        room: &Arc<Semaphore>,
        tls: Option<Arc<Acceptor>>,
    ) {
        let place = room.clone().try_acquire_owned().ok();
        if place.is_none() {
            if !node.newcomers.put_out_oldest(Instant::now()) {
                return node.metrics.ended.refused.increment(1);
            }
            node.metrics.put_out.increment(1);
        }
        // Answers are written whole; waiting for more to send would only make them late.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let stream = Arc::new(stream);
        let weak = Arc::downgrade(&stream);
        let peer = Peer::new(from, node.newcomers.enter(&stream));
        let (node, room) = (node.clone(), room.clone());
        let task = self.tasks.spawn(async move {
            // Whoever was put out is about to leave a place.
            let place = match place {
                Some(place) => Ok(place),
                None => room.acquire_owned().await,
            };
            if let Ok(_place) = place {
                greet(node, stream, peer, tls).await;
            }
        });
        self.streams.insert(task.id(), weak);
    }

    fn forget(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a connection's task failed");
                error.id()
            }
        };
        self.streams.remove(&id);
    }

    async fn drain(mut self) {
        self.streams.values().filter_map(Weak::upgrade).for_each(|stream| end_input(&stream));
        let drained = timeout(DRAIN_PATIENCE, async { while self.tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(left = self.tasks.len(), "connections that don't take their answers are cut");
            self.tasks.shutdown().await;
        }
    }
}

/// Shakes hands where the door asks for it, then serves.
async fn greet(node: Arc<Node>, stream: Arc<TcpStream>, mut peer: Peer, tls: Option<Arc<Acceptor>>) {
    let Some(acceptor) = tls else {
        return serve(node, Line::plain(stream), peer).await;
    };
    // A handshake costs as much as many swipes: of those an address has its share, as of housekeeping.
    if node.limits.housekeeping(peer.address, &node.metrics.limited).is_err() {
        return node.metrics.ended.limited.increment(1);
    }
    match acceptor.greet(&stream).await {
        Ok(Greeted { session, terminal, resumed }) => {
            node.metrics.greeted(resumed);
            peer.certify(terminal);
            serve(node, Line::tls(stream, session), peer).await;
        }
        Err(fault) => {
            node.metrics.not_greeted(&fault);
            tracing::debug!(%fault, from = %peer.address, "a handshake came to nothing");
        }
    }
}

async fn serve(node: Arc<Node>, line: Line, peer: Peer) {
    node.metrics.connections.increment(1);
    let ended = &node.metrics.ended;
    match Connection::new(node.clone(), line, peer).serve().await {
        Ended::Closed => ended.closed.increment(1),
        Ended::TooSlow => ended.too_slow.increment(1),
        Ended::Unframed => ended.unframed.increment(1),
        Ended::Limited => ended.limited.increment(1),
        Ended::Io(error) => {
            ended.broken.increment(1);
            tracing::debug!(%error, "a connection broke");
        }
    }
    node.metrics.connections.decrement(1);
}
