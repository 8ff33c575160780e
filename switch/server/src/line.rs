//! One line: plain TCP, or TLS over it.
//!
//! TLS is driven here directly, record by record over the same socket, rather than by a stream of its
//! own: reading can then be cancelled at any moment without losing a byte (all that has arrived is in
//! the session), a plain line costs nothing for it, and the work of a handshake can be held back while
//! there are swipes to answer (see [`crate::tls`]).

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::ServerConnection;
use tokio::net::TcpStream;

/// A line to a terminal.
pub(crate) struct Line {
    stream: Arc<TcpStream>,
    tls: Option<Box<ServerConnection>>,
}

impl Line {
    pub(crate) const fn plain(stream: Arc<TcpStream>) -> Self {
        Self { stream, tls: None }
    }

    pub(crate) const fn tls(stream: Arc<TcpStream>, session: Box<ServerConnection>) -> Self {
        Self { stream, tls: Some(session) }
    }

    /// Reads what there is, at least a byte; 0 when the peer has said all it will. Nothing is lost
    /// when it is cancelled.
    pub(crate) async fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => read_plain(&self.stream, to).await,
            Some(session) => read_tls(session, &self.stream, to).await,
        }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(session) = &mut self.tls else {
            return write_plain(&self.stream, bytes).await;
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = session.writer().write(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            flush(session, &self.stream).await?;
        }
        Ok(())
    }

    /// Says that nothing more will come; the line may be gone already.
    pub(crate) fn close(mut self) {
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
            // What doesn't fit into the socket now, nobody waits for.
            let _ = session.write_tls(&mut Socket(&self.stream));
        }
    }
}

async fn read_plain(stream: &TcpStream, to: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(to) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

async fn write_plain(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read_tls(session: &mut ServerConnection, stream: &TcpStream, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match session.reader().read(to) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // Cut off without a close_notify: for messages that have lengths that is an end like any other.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            read => return read,
        }
        receive(session, stream).await?;
        process(session)?;
        // Answers to what was not a request: alerts, key updates.
        flush(session, stream).await?;
    }
}

/// Takes records off the socket; does nothing with them yet.
pub(crate) async fn receive(session: &mut ServerConnection, stream: &TcpStream) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match session.read_tls(&mut Socket(stream)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Opens the records that have arrived.
pub(crate) fn process(session: &mut ServerConnection) -> io::Result<()> {
    session.process_new_packets().map(drop).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// Sends all records that wait.
pub(crate) async fn flush(session: &mut ServerConnection, stream: &TcpStream) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(&mut Socket(stream)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A socket as the TLS session sees it: reads and writes what can be at once.
struct Socket<'s>(&'s TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(to)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
