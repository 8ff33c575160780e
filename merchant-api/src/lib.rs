//! The HTTP side of a node. So far what those who watch it need: [`operations`].

pub mod operations;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long requests in flight have when the node stops.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// A running HTTP server.
pub struct Api {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Api {
    /// Serves `routes` at `listener` until [`Self::stop`].
    pub fn start(listener: TcpListener, routes: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let until_stopped = async {
            // A sender that is gone stops it as well.
            let _ = stopped.await;
        };
        let serving =
            tokio::spawn(async move { axum::serve(listener, routes).with_graceful_shutdown(until_stopped).await });
        Ok(Self { address, stop, serving })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and gives those in flight a moment.
    pub async fn stop(mut self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        match timeout(DRAIN_PATIENCE, &mut self.serving).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the API ended badly"),
            Ok(Err(error)) => tracing::error!(%error, "the API's task failed"),
            Err(_) => self.serving.abort(),
        }
    }
}
