// A client of rustls for tls_rustls.test.mjs: tries a server in many ways, and prints what came of each as JSON.
//
//     rustls_peer PORT CA.PEM

use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

type Stream = StreamOwned<ClientConnection, TcpStream>;

struct Peer {
    port: u16,
    roots: Arc<RootCertStore>,
}

impl Peer {
    fn config(&self, versions: &[&'static SupportedProtocolVersion], provider: CryptoProvider) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("versions and suites fit")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth()
    }

    fn usual(&self) -> ClientConfig {
        self.config(rustls::ALL_VERSIONS, ring::default_provider())
    }

    /// Connects, and finishes the handshake.
    fn dial(&self, config: &Arc<ClientConfig>, name: &str) -> Result<Stream, String> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(name.to_string()).map_err(|error| error.to_string())?;
        let connection = ClientConnection::new(config.clone(), name).map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| format!("refused: {error}"))?;
        }
        Ok(stream)
    }

    /// Asks once: "ok", and how; or the error. An end without close_notify is an error.
    fn ask(&self, config: ClientConfig, name: &str) -> String {
        let mut stream = match self.dial(&Arc::new(config), name) {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        let mut text = String::new();
        if let Err(error) = stream.write_all(REQUEST).and_then(|()| stream.read_to_string(&mut text)) {
            return format!("refused: {error}");
        }
        let version = format!("{:?}", stream.conn.protocol_version().expect("after the handshake"));
        if text.contains("200 OK") { format!("ok {version}") } else { format!("no answer: {text}") }
    }

    /// Each connection takes the tickets that the ones before have left.
    fn resumed(&self, version: &'static SupportedProtocolVersion) -> Vec<bool> {
        let config = Arc::new(self.config(&[version], ring::default_provider()));
        (0..5)
            .map(|_| {
                let mut stream = self.dial(&config, "localhost").expect("a connection");
                let mut text = String::new();
                stream.write_all(REQUEST).and_then(|()| stream.read_to_string(&mut text)).expect("an answer");
                stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
            })
            .collect()
    }

    /// Writes bytes that are no record, behind a good handshake: how the server ends the connection.
    fn garbled(&self, bytes: &[u8], closes: bool) -> String {
        let mut stream = self.dial(&Arc::new(self.usual()), "localhost").expect("a connection");
        stream.sock.write_all(bytes).expect("bytes");
        if closes {
            stream.sock.shutdown(Shutdown::Write).expect("a half close");
        }
        let mut text = Vec::new();
        match stream.read_to_end(&mut text) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => "still open".into(),
            _ => format!("ended, {} bytes", text.len()),
        }
    }

    /// Says that it is done before the answer comes.
    fn half_closed(&self) -> String {
        let mut stream = self.dial(&Arc::new(self.usual()), "localhost").expect("a connection");
        let mut text = String::new();
        let request = String::from_utf8_lossy(REQUEST).replace("Connection: close\r\n", "");
        stream.write_all(request.as_bytes()).expect("bytes");
        stream.conn.send_close_notify();
        let end = stream.flush().and_then(|()| stream.read_to_string(&mut text));
        if text.contains("200 OK") { "ok".into() } else { format!("{end:?} {text}") }
    }

    fn protocol(&self, offered: &[&str]) -> String {
        let mut config = self.usual();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        match self.dial(&Arc::new(config), "localhost") {
            Ok(stream) => stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into()).unwrap_or_default(),
            Err(error) => error,
        }
    }

    fn groups(&self, name: NamedGroup) -> ClientConfig {
        let mut provider = ring::default_provider();
        provider.kx_groups.retain(|group| group.name() == name);
        self.config(rustls::ALL_VERSIONS, provider)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&arguments[2]).expect("an authority")).expect("an authority");
    let peer = Peer { port: arguments[1].parse().expect("a port"), roots: Arc::new(roots) };
    let record = [b"\x17\x03\x03\x00\x20".as_slice(), &[b'x'; 32]].concat();
    let texts = [
        ("tls12", peer.ask(peer.config(&[&rustls::version::TLS12], ring::default_provider()), "localhost")),
        ("tls13", peer.ask(peer.config(&[&rustls::version::TLS13], ring::default_provider()), "localhost")),
        ("x25519", peer.ask(peer.groups(NamedGroup::X25519), "localhost")),
        ("p256", peer.ask(peer.groups(NamedGroup::secp256r1), "localhost")),
        ("p384", peer.ask(peer.groups(NamedGroup::secp384r1), "localhost")),
        ("other_name", peer.ask(peer.usual(), "other.example")),
        ("garbage", peer.garbled(b"GET / HTTP/1.1\r\n\r\n", false)),
        ("forged", peer.garbled(&record, false)),
        ("too_long", peer.garbled(b"\x17\x03\x03\xff\xff", false)),
        ("truncated", peer.garbled(&record[..20], true)),
        ("half_closed", peer.half_closed()),
        ("h2", peer.protocol(&["h2", "http/1.1"])),
        ("http1", peer.protocol(&["http/1.1"])),
        ("none", peer.protocol(&[])),
        ("no_such_thing", peer.protocol(&["spdy/3"])),
    ];
    let resumed = [("resumed12", peer.resumed(&rustls::version::TLS12)), ("resumed13", peer.resumed(&rustls::version::TLS13))];
    let members: Vec<String> = texts
        .iter()
        .map(|(name, text)| format!("{name:?}:{:?}", text.replace('\'', "")))
        .chain(resumed.iter().map(|(name, all)| format!("{name:?}:{all:?}")))
        .collect();
    println!("{{{}}}", members.join(","));
}
