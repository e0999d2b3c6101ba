//! The handshake `Noise_KK_25519_ChaChaPoly_BLAKE2s` (the Noise Protocol
//! Framework, revision 34) and the channel that comes of it.
//!
//! Both ends know each other's key beforehand: nobody is trusted at first sight.
//! Which of the authorised keys a client has is said by a salted hash, so that who
//! listens cannot tell. Draws nothing itself but the handshake's ephemeral keys.
//!
//! ```text
//! client → server  "SLR" version salt(16) hint(16)  e, es, ss     84 bytes
//! server → client                                   e, ee, se     48 bytes
//! then both ways                                    sealed messages
//! ```

use std::collections::{HashSet, VecDeque};
use std::sync::LazyLock;

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState, TransportState};

use super::key::{Public, Secret};

/// The version of the protocol: whoever speaks another one is not understood.
pub const VERSION: u8 = 1;
/// How long a client's first message is.
pub const HELLO_BYTES: usize = OPENING + 48;
/// How long the server's answer to it is.
pub(super) const REPLY_BYTES: usize = 48;
/// What a sealed message is longer than what is in it.
pub(super) const TAG: usize = 16;

const MAGIC: &[u8; 3] = b"SLR";
/// What stands before the handshake's first message, in clear and covered by it.
const OPENING: usize = MAGIC.len() + 1 + SALT + HINT;
const SALT: usize = 16;
const HINT: usize = 16;
const PROTOCOL: &[u8] = b"socklab remote control";

/// Bytes that no client uses twice.
pub type Salt = [u8; SALT];

/// Why a connection is to be closed, at once and without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Broken {
    /// The first bytes are no client's of this protocol.
    #[error("what came is not this protocol")]
    Foreign,
    /// Another version.
    #[error("the other end speaks version {0} of the protocol, this one version {VERSION}")]
    Version(u8),
    /// No authorised key fits the hint.
    #[error("its key is not authorised")]
    Stranger,
    /// The handshake does not fit the keys.
    #[error("the handshake does not fit the keys: a wrong key, or a changed message")]
    Handshake,
    /// The same first message has come before.
    #[error("a handshake that was seen before was played again")]
    Replayed,
    /// A message was changed, left out, repeated or put elsewhere.
    #[error("a message was changed, repeated, left out or out of order")]
    Message,
    /// What was in a sealed message is nothing that the protocol knows.
    #[error("a message has no meaning")]
    Meaning,
    /// A message that has no place here.
    #[error("a message came that has no place here")]
    Order,
    /// A frame longer than anything there is to say.
    #[error("a frame is longer than anything there is to say")]
    TooLong,
    /// There was a failure before.
    #[error("the channel was closed before")]
    Closed,
}

static PATTERN: LazyLock<Option<NoiseParams>> =
    LazyLock::new(|| "Noise_KK_25519_ChaChaPoly_BLAKE2s".parse().ok());

/// First messages that have been answered, so that none is answered twice. Holds
/// the last of them only: an older one gains its sender an answer that only the
/// key's owner could use.
#[derive(Debug)]
pub struct Seen {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
    most: usize,
}

impl Seen {
    /// Remembers so many.
    pub fn last(most: usize) -> Self {
        Self {
            known: HashSet::new(),
            order: VecDeque::new(),
            most: most.max(1),
        }
    }

    fn has(&self, hello: &[u8]) -> bool {
        self.known.contains(blake3::hash(hello).as_bytes())
    }

    fn keep(&mut self, hello: &[u8]) {
        let hash = *blake3::hash(hello).as_bytes();
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// A client's handshake that waits for the answer.
pub(super) struct Greeting(Box<HandshakeState>);

/// A client's first message.
pub(super) fn greet(
    own: &Secret,
    server: &Public,
    salt: Salt,
) -> Result<(Greeting, Vec<u8>), Broken> {
    let mut hello = Vec::with_capacity(HELLO_BYTES);
    hello.extend_from_slice(MAGIC);
    hello.push(VERSION);
    hello.extend_from_slice(&salt);
    hello.extend_from_slice(&hint(&salt, server, &own.public()));
    let mut noise = builder(own, server, &prologue(&hello))?
        .build_initiator()
        .map_err(|_| Broken::Handshake)?;
    hello.resize(HELLO_BYTES, 0);
    match noise.write_message(&[], &mut hello[OPENING..]) {
        Ok(count) if OPENING + count == HELLO_BYTES => Ok((Greeting(Box::new(noise)), hello)),
        _ => Err(Broken::Handshake),
    }
}

impl Greeting {
    /// Takes the server's answer.
    pub(super) fn finish(mut self, reply: &[u8]) -> Result<Channel, Broken> {
        read_nothing(&mut self.0, reply)?;
        Channel::of(*self.0)
    }
}

/// A server's answer to a client that it knows.
pub(super) struct Answer {
    pub(super) client: Public,
    pub(super) reply: Vec<u8>,
    pub(super) channel: Channel,
}

/// Answers a first message.
pub(super) fn answer<'a>(
    own: &Secret,
    mut authorised: impl Iterator<Item = &'a Public>,
    hello: &[u8],
    seen: &mut Seen,
) -> Result<Answer, Broken> {
    let (opening, message) = opened(hello)?;
    if seen.has(hello) {
        return Err(Broken::Replayed);
    }
    let salt: &Salt = opening[MAGIC.len() + 1..]
        .first_chunk()
        .ok_or(Broken::Foreign)?;
    let hinted = &opening[OPENING - HINT..];
    let server = own.public();
    let client = *authorised
        .find(|client| hint(salt, &server, client) == hinted)
        .ok_or(Broken::Stranger)?;
    let mut noise = builder(own, &client, &prologue(opening))?
        .build_responder()
        .map_err(|_| Broken::Handshake)?;
    read_nothing(&mut noise, message)?;
    seen.keep(hello);
    let mut reply = vec![0; REPLY_BYTES];
    match noise.write_message(&[], &mut reply) {
        Ok(count) if count == reply.len() => {}
        _ => return Err(Broken::Handshake),
    }
    Ok(Answer {
        client,
        reply,
        channel: Channel::of(noise)?,
    })
}

/// The part in clear and the handshake's message.
fn opened(hello: &[u8]) -> Result<(&[u8], &[u8]), Broken> {
    if !hello.starts_with(MAGIC) {
        return Err(Broken::Foreign);
    }
    match hello.get(MAGIC.len()) {
        Some(&VERSION) => {}
        Some(&other) => return Err(Broken::Version(other)),
        None => return Err(Broken::Foreign),
    }
    if hello.len() != HELLO_BYTES {
        return Err(Broken::Foreign);
    }
    Ok(hello.split_at(OPENING))
}

/// By what a server that knows a client's key finds it.
fn hint(salt: &Salt, server: &Public, client: &Public) -> [u8; HINT] {
    let mut hash = blake3::Hasher::new();
    hash.update(PROTOCOL);
    hash.update(salt);
    hash.update(server.as_bytes());
    hash.update(client.as_bytes());
    let mut hint = [0; HINT];
    hash.finalize_xof().fill(&mut hint);
    hint
}

/// The prologue binds the protocol, its version, and all that is said in clear.
fn prologue(opening: &[u8]) -> Vec<u8> {
    [PROTOCOL, opening].concat()
}

fn builder<'a>(
    own: &'a Secret,
    peer: &'a Public,
    prologue: &'a [u8],
) -> Result<Builder<'a>, Broken> {
    let pattern = PATTERN.as_ref().ok_or(Broken::Handshake)?;
    Builder::new(pattern.clone())
        .local_private_key(own.as_bytes())
        .and_then(|builder| builder.remote_public_key(peer.as_bytes()))
        .and_then(|builder| builder.prologue(prologue))
        .map_err(|_| Broken::Handshake)
}

/// Reads a handshake message, in which nothing may be said yet.
fn read_nothing(noise: &mut HandshakeState, message: &[u8]) -> Result<(), Broken> {
    // As long as the message, which is longer than what is in it.
    let mut said = vec![0; message.len()];
    match noise.read_message(message, &mut said) {
        Ok(0) => Ok(()),
        _ => Err(Broken::Handshake),
    }
}

/// What both ends say after the handshake: sealed, in order, each once.
///
/// The first failure is the last thing that happens to it.
pub(super) struct Channel(Option<Box<TransportState>>);

impl Channel {
    fn of(noise: HandshakeState) -> Result<Self, Broken> {
        let transport = noise.into_transport_mode().map_err(|_| Broken::Handshake)?;
        Ok(Self(Some(Box::new(transport))))
    }

    /// Seals a message.
    pub(super) fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let transport = self.0.as_mut().ok_or(Broken::Closed)?;
        let mut sealed = vec![0; message.len() + TAG];
        match transport.write_message(message, &mut sealed) {
            Ok(count) if count == sealed.len() => Ok(sealed),
            _ => {
                self.0 = None;
                Err(Broken::Message)
            }
        }
    }

    /// Opens the next message.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let transport = self.0.as_mut().ok_or(Broken::Closed)?;
        let mut message = vec![0; sealed.len()];
        if let Ok(count) = transport.read_message(sealed, &mut message) {
            message.truncate(count);
            return Ok(message);
        }
        self.0 = None;
        Err(Broken::Message)
    }
}
