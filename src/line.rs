//! A terminal's line: the thin I/O around [`Terminal`], for `swipe`, `load` and `demo`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use xingka_core::city::Terminal as Known;
use xingka_core::ids::DecisionId;
use xingka_store::CityTerminal;
use xingka_store::vault::MasterKey;
use xingka_terminal::{Profile, Sent, Terminal, TerminalFault};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::TextEncoding;
use xingka_wire::encode::MAX_FRAME_BYTES;
use xingka_wire::session_keys::{KeyLayout, Tmk};

/// How long a terminal waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal of the city, its master key opened, ready to sign in.
pub fn terminal(known: &CityTerminal, master: &MasterKey, next_stan: u32) -> Result<Terminal> {
    let id = known.terminal.id;
    let clear = master
        .reveal_tmk(id, &known.tmk_wrapped)
        .with_context(|| format!("the master key of terminal {id} does not open"))?;
    let clear: [u8; 16] = clear.as_slice().try_into().with_context(|| format!("the master key of terminal {id}"))?;
    let Known { merchant, mac, profile, .. } = known.terminal;
    let profile = Profile::new(id.0, merchant.id.0, profile, mac);
    debug_assert!(KeyLayout::mac_key_bytes(profile.layout, profile.mac).is_some());
    Ok(Terminal::new(profile, Tmk::new(clear), next_stan))
}

/// What bytes go over.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.read_exact(bytes).await.map(drop),
            Self::Tls(stream) => stream.read_exact(bytes).await.map(drop),
        }
    }

    async fn read_u16(&mut self) -> std::io::Result<u16> {
        let mut bytes = [0; 2];
        self.read(&mut bytes).await?;
        Ok(u16::from_be_bytes(bytes))
    }
}

/// A connection to a switch.
pub struct Line {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Line {
    /// Connects; with TLS where a terminal's certificate is given.
    pub async fn connect(address: SocketAddr, certificate: Option<Arc<ClientConfig>>) -> Result<Self> {
        let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
        let stream = connected
            .context("no connection in time")
            .and_then(|stream| stream.map_err(Into::into))
            .with_context(|| format!("connecting to {address}; is `xingka serve` running there?"))?;
        stream.set_nodelay(true)?;
        let stream = match certificate {
            None => Stream::Plain(stream),
            Some(certificate) => {
                let name = ServerName::IpAddress(address.ip().into());
                let shaken = timeout(PATIENCE, TlsConnector::from(certificate).connect(name, stream)).await;
                let shaken = shaken.context("no handshake in time").and_then(|stream| stream.map_err(Into::into));
                Stream::Tls(Box::new(shaken.with_context(|| format!("shaking hands with {address}"))?))
            }
        };
        Ok(Self { stream, buffer: vec![0; MAX_FRAME_BYTES] })
    }

    /// Signs a terminal in.
    pub async fn sign_in(&mut self, terminal: &mut Terminal) -> Result<()> {
        let mut frame = [0; 512];
        let sent = terminal.sign_in(&mut frame)?;
        let answer = self.exchange(frame.get(..sent.length).unwrap_or_default()).await?;
        terminal.signed_in(&sent, answer).context("signing in")
    }

    /// Sends a frame and waits for the next one.
    pub async fn exchange(&mut self, frame: &[u8]) -> Result<&[u8]> {
        let answered = timeout(PATIENCE, async {
            self.stream.write(frame).await?;
            let length = usize::from(self.stream.read_u16().await?);
            let [high, low] = (length as u16).to_be_bytes();
            let whole = self.buffer.get_mut(..2 + length);
            let whole = whole.ok_or_else(|| std::io::Error::other("an answer longer than any frame"))?;
            (whole[0], whole[1]) = (high, low);
            self.stream.read(&mut whole[2..]).await?;
            std::io::Result::Ok(2 + length)
        });
        let length = answered.await.context("no answer in time")?.context("the line broke")?;
        Ok(&self.buffer[..length])
    }

    /// One swipe: what `write` writes, and what the terminal then saw.
    pub async fn swipe(
        &mut self,
        terminal: &mut Terminal,
        write: impl FnOnce(&mut Terminal, &mut [u8]) -> Result<Sent, TerminalFault>,
    ) -> Result<Seen> {
        let mut frame = [0; 1_024];
        let sent = write(terminal, &mut frame)?;
        let begun = Instant::now();
        let answer = self.exchange(frame.get(..sent.length).unwrap_or_default()).await?;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let answer = terminal.read(&sent, answer)?;
        Ok(Seen::of(&answer, terminal.profile().dialect.text, micros))
    }
}

/// What a terminal saw in an answer; nothing where it wasn't told.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Field 39.
    pub code: String,
    /// Field 4 of an approved purchase.
    pub payable_fen: Option<u64>,
    /// DF13.
    pub off_bp: Option<u16>,
    /// DF17.
    pub priority: Option<u8>,
    /// DF1C.
    pub days: Option<u8>,
    /// DF11.
    pub star: Option<u8>,
    /// DF18.
    pub benefits: Option<Vec<u32>>,
    /// DF1E.
    pub waivers: Option<Vec<u32>>,
    /// DF1B.
    pub decision_id: Option<String>,
    /// DF1A.
    pub text: Option<String>,
    /// From sending to the whole answer.
    pub micros: u64,
}

impl Seen {
    fn of(answer: &Answer<'_>, encoding: TextEncoding, micros: u64) -> Self {
        let integrity = &answer.integrity;
        let purchase = answer.mti.0 == 210 && answer.fields.number(3) == Some(0);
        let counter = answer.mti.0 == 110;
        let approved = answer.code.approves();
        Self {
            code: answer.code.to_string(),
            payable_fen: answer.fields.number(4).filter(|_| purchase && approved),
            off_bp: integrity.discount_bp,
            priority: integrity.priority,
            days: integrity.days,
            star: integrity.star,
            benefits: integrity.original_fen.map(|_| integrity.benefits.iter().collect()),
            waivers: (counter && approved).then(|| integrity.waivers.iter().collect()),
            decision_id: integrity.decision_id.map(|id| DecisionId(id).to_string()),
            text: integrity.text.map(|text| decode_text(text, encoding)),
            micros,
        }
    }
}

fn decode_text(text: &[u8], encoding: TextEncoding) -> String {
    match encoding {
        TextEncoding::Utf8 => String::from_utf8_lossy(text).into_owned(),
        TextEncoding::Gbk => encoding_rs::GBK.decode_without_bom_handling(text).0.into_owned(),
    }
}

/// Reads `HOST:PORT`.
pub async fn resolve(host: &str) -> Result<SocketAddr> {
    let mut found = tokio::net::lookup_host(host).await.with_context(|| format!("`{host}` is no HOST:PORT"))?;
    let address = found.next();
    ensure!(address.is_some(), "`{host}` has no address");
    address.context("no address")
}
