//! TLS for terminals: who is let in and who isn't, sessions that are resumed, files that change.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion};
use support::{Deployment, Serving, Till, pan, read_frame_from, terminals};
use xingka_terminal::{Profile, Terminal};
use xingka_wire::dialect::CUP;
use xingka_wire::session_keys::Tmk;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A served city whose terminals have certificates.
struct World {
    deployment: Deployment,
    serving: Serving,
}

impl World {
    fn new() -> Self {
        Self::with("listen = \"127.0.0.1:0\"\n")
    }

    fn with(switch: &str) -> Self {
        let deployment = Deployment::with_city();
        let folder = deployment.dir().join("tls");
        deployment.json(&["terminal", "certificates", folder.to_str().unwrap()]);
        deployment.configure(&format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n[switch]\n{switch}[switch.tls]\nlisten = \"127.0.0.1:0\"\n\
             cert = \"tls/switch.pem\"\nkey = \"tls/switch.key\"\nclient_ca = \"tls/ca.pem\"\ncrl = \"tls/crl.pem\"\n"
        ));
        let serving = deployment.serve();
        Self { deployment, serving }
    }

    fn tls(&self) -> SocketAddr {
        self.serving.tls.unwrap_or(self.serving.address)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.deployment.dir().join("tls").join(name)
    }

    /// What a client that has the certificate of `name` connects with.
    fn client(&self, name: Option<&str>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut authorities = RootCertStore::empty();
        authorities.add(CertificateDer::from_pem_file(self.file("ca.pem")).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(authorities);
        Arc::new(match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        })
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> Stream {
        let stream = support::connect(self.tls());
        let name = ServerName::IpAddress(self.tls().ip().into());
        StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), stream)
    }

    fn handshakes(&self, by: &str) -> f64 {
        self.serving.metric(&format!("xingka_handshakes_total{{by=\"{by}\"}}"))
    }

    /// The code of an inquiry on this line in the name of a terminal, signed in first.
    fn swipes(&self, stream: &mut Stream, index: usize) -> String {
        let (id, place, mac) = terminals()[index].clone();
        let profile = Profile::new(id.as_bytes().try_into().unwrap(), place.as_bytes().try_into().unwrap(), &CUP, mac);
        let mut terminal = Terminal::new(profile, Tmk::new(support::tmk(index)), fresh_stan());
        let mut frame = [0; 1_024];
        let sent = terminal.sign_in(&mut frame).unwrap();
        let answer = exchange(stream, &frame[..sent.length]).unwrap();
        if let Err(fault) = terminal.signed_in(&sent, &answer) {
            return fault.to_string();
        }
        let card = xingka_terminal::Swipe::of(xingka_wire::pan::Pan::from_ascii(pan(3).as_bytes()).unwrap());
        let sent = terminal.star_inquiry(&card, None, &mut frame).unwrap();
        let answer = exchange(stream, &frame[..sent.length]).unwrap();
        terminal.read(&sent, &answer).unwrap().code.to_string()
    }
}

/// Trace numbers that no other line of the same terminal uses.
fn fresh_stan() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(10, std::sync::atomic::Ordering::Relaxed)
}

fn exchange(stream: &mut Stream, frame: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(frame)?;
    stream.flush()?;
    read_frame_from(stream)
}

/// Whether the switch takes this client: a line that isn't welcome ends before a byte comes.
fn is_refused(mut stream: Stream) -> bool {
    let echo = Till::connect(stream.sock.peer_addr().unwrap(), 0).write(|terminal, frame| terminal.echo(frame)).1;
    exchange(&mut stream, &echo).is_err()
}

#[test]
fn a_terminal_swipes_over_both_versions_and_on_its_own_line_only() {
    let world = World::new();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = world.client(Some("QZ000000"), version);
        let mut stream = world.connect(&client);
        assert_eq!(world.swipes(&mut stream, 0), "00", "{version:?}");
        assert_eq!(world.swipes(&mut stream, 1), "the sign-in was refused with 58", "another terminal's name");
        assert_eq!(world.swipes(&mut stream, 0), "00", "the line goes on");
    }
    // Plain TCP is open beside it, because it is configured.
    let mut till = Till::signed_in(world.serving.address, 1);
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00");
    let swiped = world.deployment.json(&[
        "swipe",
        "--terminal",
        "QZ000002",
        "--pan",
        &pan(5),
        "--tls",
        world.file("").to_str().unwrap(),
        "--host",
        &world.tls().to_string(),
    ]);
    assert_eq!(swiped["code"], "00");
}

#[test]
fn who_has_no_good_certificate_is_not_let_in() {
    let world = World::new();
    assert!(is_refused(world.connect(&world.client(None, &rustls::version::TLS13))), "none at all");
    assert!(is_refused(world.connect(&world.client(Some("switch"), &rustls::version::TLS13))), "the switch's own");
    // Another authority's, which says the same names.
    let other = World::new();
    let mut foreign = (*other.client(Some("QZ000000"), &rustls::version::TLS13)).clone();
    foreign.dangerous().set_certificate_verifier(Arc::new(Anyone));
    assert!(is_refused(world.connect(&Arc::new(foreign))), "another authority's");
    // Bytes that are no handshake.
    let mut plain = support::connect(world.tls());
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    assert!(plain.read_to_end(&mut rest).is_ok() && rest.len() < 64, "an alert at the most");
    wait(|| world.handshakes("certificate") >= 3.0 && world.handshakes("broken") >= 1.0);
    let client = world.client(Some("QZ000000"), &rustls::version::TLS13);
    assert_eq!(world.swipes(&mut world.connect(&client), 0), "00");
}

/// Takes every switch's certificate: for a client that is to be refused, not to refuse.
#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn sessions_are_resumed_until_their_certificate_is_revoked() {
    let world = World::new();
    for (version, index, name) in [(&rustls::version::TLS13, 0, "QZ000000"), (&rustls::version::TLS12, 1, "QZ000001")] {
        let client = world.client(Some(name), version);
        let mut open = world.connect(&client);
        assert_eq!(world.swipes(&mut open, index), "00");
        assert_eq!(open.conn.handshake_kind(), Some(HandshakeKind::Full));
        let mut again = world.connect(&client);
        assert_eq!(world.swipes(&mut again, index), "00");
        assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");

        let reloads = || world.serving.metric("xingka_tls_reloads_total{outcome=\"taken\"}");
        let before = reloads();
        let revoked = world.deployment_free(&["terminal", "revoke", name, world.file("").to_str().unwrap()]);
        assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
        wait(|| reloads() > before);
        assert!(is_refused(world.connect(&client)), "by resumption");
        assert!(is_refused(world.connect(&world.client(Some(name), version))), "by a full handshake");
        assert_eq!(world.swipes(&mut open, index), "00", "a line that is open goes on");
    }
    assert_eq!((world.handshakes("resumed"), world.handshakes("revoked")), (2.0, 2.0));
    // A list that is empty, as when it is just being written anew, lets nobody in who was revoked.
    let failed = || world.serving.metric("xingka_tls_reloads_total{outcome=\"failed\"}");
    std::fs::write(world.file("crl.pem"), "").unwrap();
    wait(|| failed() > 0.0);
    assert!(is_refused(world.connect(&world.client(Some("QZ000000"), &rustls::version::TLS13))));
    let other = world.client(Some("QZ000002"), &rustls::version::TLS13);
    assert_eq!(world.swipes(&mut world.connect(&other), 2), "00");
}

impl World {
    fn deployment_free(&self, args: &[&str]) -> std::process::Output {
        support::xingka(args.iter().map(AsRef::as_ref))
    }
}

fn wait(mut until: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !until() {
        assert!(Instant::now() < end, "it never came to that");
    }
}

#[test]
fn broken_new_files_leave_the_former_ones_in_force() {
    let world = World::new();
    let client = world.client(Some("QZ000000"), &rustls::version::TLS13);
    let mut open = world.connect(&client);
    assert_eq!(world.swipes(&mut open, 0), "00");
    let good = std::fs::read(world.file("switch.pem")).unwrap();
    std::fs::write(world.file("switch.pem"), "not a certificate").unwrap();
    wait(|| world.serving.metric("xingka_tls_reloads_total{outcome=\"failed\"}") > 0.0);
    let fresh = world.client(Some("QZ000000"), &rustls::version::TLS13);
    assert_eq!(world.swipes(&mut world.connect(&fresh), 0), "00");
    // A new certificate of the switch: open lines go on, new ones see it.
    std::fs::write(world.file("switch.pem"), &good).unwrap();
    std::fs::remove_file(world.file("switch.pem")).unwrap();
    let folder = world.file("");
    world.deployment.json(&["terminal", "certificates", folder.to_str().unwrap()]);
    assert_ne!(std::fs::read(world.file("switch.pem")).unwrap(), good);
    wait(|| world.serving.metric("xingka_tls_reloads_total{outcome=\"taken\"}") > 0.0);
    let mut stream = world.connect(&world.client(Some("QZ000000"), &rustls::version::TLS13));
    assert_eq!(world.swipes(&mut stream, 0), "00");
    let presented = stream.conn.peer_certificates().unwrap()[0].clone();
    assert_eq!(presented, CertificateDer::from_pem_file(world.file("switch.pem")).unwrap());
    assert_eq!(world.swipes(&mut open, 0), "00");
}

#[test]
fn an_address_has_its_share_of_handshakes() {
    let World { deployment, serving } = World::new();
    drop(serving.kill());
    // One a second, and ten seconds' worth at once.
    let config = std::fs::read_to_string(deployment.config()).unwrap();
    deployment.configure(&(config + "[limits]\naddress_per_s = 1\n"));
    let serving = deployment.serve();
    let world = World { deployment, serving };
    let client = world.client(Some("QZ000000"), &rustls::version::TLS13);
    let refused = (0..40).filter(|_| is_refused(world.connect(&client))).count();
    assert!((1..40).contains(&refused), "{refused} of 40");
    assert!(world.serving.metric("xingka_limited_total{by=\"address\"}") >= 1.0);
}

#[test]
fn without_plain_tcp_the_switch_is_where_tls_is() {
    let world = World::with("listen = \"none\"\n");
    assert_eq!(world.serving.tls, None, "named once");
    let client = world.client(Some("QZ000000"), &rustls::version::TLS13);
    assert_eq!(world.swipes(&mut world.connect(&client), 0), "00");
    let doctor = world.deployment.json(&["doctor"]);
    let tls = doctor["checks"].as_array().unwrap().iter().find(|check| check["what"] == "tls").unwrap();
    assert!(tls["ok"] == true && tls["found"].as_str().unwrap().contains("is good for"), "{doctor}");
    // Nothing in the log of a stop says more than it should.
    let (code, log) = world.serving.terminate();
    assert_eq!(code, Some(0));
    assert!(!log.concat().contains("BEGIN"), "{log:#?}");
}

#[test]
fn what_is_missing_is_named_before_anything_starts() {
    let deployment = Deployment::with_city();
    for (switch, named) in [
        ("listen = \"none\"\n", "there must be `switch.tls`"),
        ("tls = { listen = \"127.0.0.1:0\" }\n", "`switch.tls.cert`"),
        ("tls = { cert = \"a\", key = \"b\", client_ca = \"c\" }\n", "`switch.tls.listen`"),
        ("tls = \"yes\"\n", "must be a table"),
        ("tls = { listen = \"127.0.0.1:0\", cert = \"no.pem\", key = \"b\", client_ca = \"c\" }\n", "no.pem"),
        ("tls = { listen = \"127.0.0.1:0\", certificate = \"a\" }\n", "switch.tls.cert"),
    ] {
        deployment.configure(&format!("[switch]\n{switch}"));
        let output = deployment.run(&["serve"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(named), "{switch}: {said}");
    }
}
