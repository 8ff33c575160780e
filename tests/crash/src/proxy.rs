//! A line that can be cut: bytes go through it as long as it is open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Bytes go through.
    Open,
    /// Whoever is on it is thrown off, and nobody gets on.
    Cut,
    /// Nothing goes through, and nobody is told.
    Silent,
}

/// A line to some address.
pub struct Proxy {
    /// Where it is.
    pub address: SocketAddr,
    state: Arc<Mutex<(Mood, SocketAddr)>>,
}

impl Proxy {
    /// Opens one.
    pub async fn to(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new((Mood::Open, target)));
        tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state })
    }

    /// From now on.
    pub fn set(&self, mood: Mood) {
        self.state.lock().0 = mood;
    }

    /// It leads elsewhere from now on; who is on it stays where he is.
    pub fn lead_to(&self, target: SocketAddr) {
        self.state.lock().1 = target;
    }
}

type State = Arc<Mutex<(Mood, SocketAddr)>>;

async fn accept(listener: TcpListener, state: State) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while lines.try_join_next().is_some() {}
        lines.spawn(carry(client, state.clone()));
    }
}

async fn carry(client: TcpStream, state: State) {
    let (mood, target) = *state.lock();
    if mood == Mood::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Small frames that each wait for an answer.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Whichever ends first ends both.
    tokio::select! {
        () = copy(from_client, to_server, &state) => {}
        () = copy(from_server, to_client, &state) => {}
        () = until_cut(&state) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        while state.lock().0 == Mood::Silent {
            sleep(Duration::from_millis(10)).await;
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        if count == 0 || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn until_cut(state: &State) {
    while state.lock().0 != Mood::Cut {
        sleep(Duration::from_millis(10)).await;
    }
}
