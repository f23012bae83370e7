//! The conversation of a login: greeting, answer, changes of plugin, verdict.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use tokio::io::{AsyncRead, AsyncWrite};
use zenekar_base::resource::MysqlProbe;

use super::packet::{Channel, Fields};
use crate::reason::Reason;

/// Packets that a server may send before its verdict: a change of plugin and
/// two words of `caching_sha2_password` make three.
const ROUNDS_MAX: u32 = 8;

/// Bytes of a server's challenge.
const NONCE_BYTES: usize = 20;

/// The version of the protocol since `MySQL` 3.21.
const PROTOCOL_VERSION: u8 = 10;

/// `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

const LONG_PASSWORD: u32 = 1;
const CONNECT_WITH_DATABASE: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const TLS: u32 = 1 << 11;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTHENTICATION: u32 = 1 << 19;

const OK: u8 = 0x00;
const MORE_DATA: u8 = 0x01;
const CHANGE_PLUGIN: u8 = 0xfe;
const ERROR: u8 = 0xff;
const FAST_LOGIN_ACCEPTED: u8 = 3;
const WHOLE_PASSWORD_WANTED: u8 = 4;
const COMMAND_QUIT: u8 = 1;

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";

/// Why a login failed, and whether another way is worth a try.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server's TLS does not work.
    Tls(Reason),
    /// Everything else.
    Final(Reason),
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Final(reason)
    }
}

/// What a server says first.
#[derive(Debug)]
pub(super) struct Greeting {
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
}

impl Greeting {
    pub(super) fn offers_tls(&self) -> bool {
        self.capabilities & TLS != 0
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        if fields.byte()? != PROTOCOL_VERSION {
            return None;
        }
        let _server_version = fields.text();
        let _connection = fields.bytes(4)?;
        let mut nonce = fields.bytes(8)?.to_vec();
        let _filler = fields.byte()?;
        let mut capabilities = u32::from(fields.short()?);
        // Servers before 4.1 stop here.
        let _collation = fields.byte()?;
        let _status = fields.short()?;
        capabilities |= u32::from(fields.short()?) << 16;
        let nonce_bytes = usize::from(fields.byte()?);
        let _reserved = fields.bytes(10)?;
        if capabilities & PROTOCOL_41 == 0 || capabilities & SECURE_CONNECTION == 0 {
            return None;
        }
        nonce.extend(fields.bytes(nonce_bytes.saturating_sub(8).max(13))?);
        let plugin = if capabilities & PLUGIN_AUTHENTICATION == 0 {
            NATIVE.to_owned()
        } else {
            String::from_utf8_lossy(fields.text()).into_owned()
        };
        Some(Self {
            capabilities,
            nonce,
            plugin,
        })
    }
}

/// Reads the greeting of a server.
pub(super) async fn greeting<S>(channel: &mut Channel<S>) -> Result<Greeting, Reason>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let payload = channel.read().await?;
    if payload.first() == Some(&ERROR) {
        return Err(error_in_words(&payload, false));
    }
    Greeting::parse(&payload)
        .ok_or_else(|| "the server does not speak a known version of MySQL's protocol".to_owned())
}

/// An account and a database to log in to.
pub(super) struct Login<'a> {
    user: &'a str,
    password: &'a str,
    database: &'a str,
}

impl<'a> Login<'a> {
    pub(super) fn new(probe: &'a MysqlProbe) -> Result<Self, Reason> {
        // A zero ends these texts in the protocol.
        for (what, text) in [
            ("name", &probe.name),
            ("user", &probe.user),
            ("password", &probe.password),
        ] {
            if text.contains('\0') {
                return Err(format!("the {what} has a zero byte"));
            }
        }
        Ok(Self {
            user: &probe.user,
            password: &probe.password,
            database: &probe.name,
        })
    }

    /// Returns the packet that asks for TLS: the beginning of the answer.
    pub(super) fn request_for_tls(&self, greeting: &Greeting) -> Vec<u8> {
        self.beginning(greeting, true)
    }

    fn beginning(&self, greeting: &Greeting, secure: bool) -> Vec<u8> {
        let mut capabilities = LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION;
        capabilities |= greeting.capabilities & PLUGIN_AUTHENTICATION;
        if secure {
            capabilities |= TLS;
        }
        if !self.database.is_empty() {
            capabilities |= CONNECT_WITH_DATABASE;
        }
        let mut packet = capabilities.to_le_bytes().to_vec();
        // Sixteen megabytes, the usual largest packet; none comes near it.
        packet.extend((1_u32 << 24).to_le_bytes());
        packet.push(COLLATION);
        packet.extend([0; 23]);
        packet
    }

    /// Answers a greeting and goes on until the server's verdict.
    pub(super) async fn run<S>(
        &self,
        mut channel: Channel<S>,
        greeting: &Greeting,
        secure: bool,
    ) -> Result<(), Refusal>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Where the server prefers a plugin that is not known here, the
        // account may still have one that is: the server then changes to it.
        let plugin = Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native);
        channel
            .write(&self.answer(greeting, &plugin, secure)?)
            .await?;
        let mut state = Conversation {
            plugin,
            secure,
            knows_password: false,
        };
        for _ in 0..ROUNDS_MAX {
            let payload = channel.read().await?;
            match self.react(&mut state, &payload)? {
                Reaction::Accepted => {
                    // The server has said all that matters; a goodbye that
                    // gets lost changes nothing.
                    channel.restart();
                    let _ = channel.write(&[COMMAND_QUIT]).await;
                    return Ok(());
                }
                Reaction::Wait => {}
                Reaction::Send(packet) => channel.write(&packet).await?,
            }
        }
        Err(Refusal::Final(format!(
            "no verdict after {ROUNDS_MAX} packets"
        )))
    }

    /// Decides what follows from a packet of the server.
    fn react(&self, state: &mut Conversation, payload: &[u8]) -> Result<Reaction, Reason> {
        match (payload.first(), payload.get(1), &state.plugin) {
            (Some(&OK), _, _) => Ok(Reaction::Accepted),
            (Some(&CHANGE_PLUGIN), _, _) => {
                let (plugin, challenge) = changed_plugin(payload);
                state.plugin = plugin;
                // An account may have several plugins. The server goes on to
                // the next when it gets an empty answer for the one before.
                let proof = state.plugin.prove(self.password, challenge)?;
                Ok(Reaction::Send(proof))
            }
            (Some(&ERROR), _, Plugin::Other(name)) => Err(format!(
                "the account logs in with the plugin `{name}`, which checks do not know"
            )),
            (Some(&ERROR), _, _) => Err(error_in_words(payload, state.knows_password)),
            (Some(&MORE_DATA), Some(&FAST_LOGIN_ACCEPTED), Plugin::Caching) => Ok(Reaction::Wait),
            (Some(&MORE_DATA), Some(&WHOLE_PASSWORD_WANTED), Plugin::Caching) => {
                if !state.secure {
                    return Err(format!(
                        "the account needs a secure channel for its first login \
                         (`{CACHING}`), and the server has no TLS"
                    ));
                }
                let mut whole = self.password.as_bytes().to_vec();
                whole.push(0);
                state.knows_password = true;
                Ok(Reaction::Send(whole))
            }
            _ => Err(malformed()),
        }
    }

    fn answer(
        &self,
        greeting: &Greeting,
        plugin: &Plugin,
        secure: bool,
    ) -> Result<Vec<u8>, Reason> {
        let scrambled = plugin.prove(self.password, &greeting.nonce)?;
        let mut packet = self.beginning(greeting, secure);
        packet.extend(self.user.as_bytes());
        packet.push(0);
        packet.push(u8::try_from(scrambled.len()).expect("a digest is shorter than 256 bytes"));
        packet.extend(scrambled);
        if !self.database.is_empty() {
            packet.extend(self.database.as_bytes());
            packet.push(0);
        }
        if greeting.capabilities & PLUGIN_AUTHENTICATION != 0 {
            packet.extend(plugin.name().as_bytes());
            packet.push(0);
        }
        Ok(packet)
    }
}

/// Where a conversation stands.
struct Conversation {
    plugin: Plugin,
    /// Whether the channel is encrypted.
    secure: bool,
    /// Whether the server was told the password itself.
    knows_password: bool,
}

/// What follows from a packet of the server.
enum Reaction {
    Accepted,
    Wait,
    Send(Vec<u8>),
}

/// A way to prove that one knows the password.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Plugin {
    Native,
    Caching,
    /// One that is not known here, by name.
    Other(String),
}

impl Plugin {
    /// Returns a plugin that is known here.
    fn named(name: &str) -> Option<Self> {
        match name {
            NATIVE => Some(Self::Native),
            CACHING => Some(Self::Caching),
            _ => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Native => NATIVE,
            Self::Caching => CACHING,
            Self::Other(name) => name,
        }
    }

    /// Returns the proof for a challenge: empty for an empty password, and
    /// where the plugin is not known.
    fn prove(&self, password: &str, challenge: &[u8]) -> Result<Vec<u8>, Reason> {
        let algorithm = match self {
            Self::Native => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Caching => &SHA256,
            Self::Other(_) => return Ok(Vec::new()),
        };
        let nonce = challenge.get(..NONCE_BYTES).ok_or_else(malformed)?;
        if password.is_empty() {
            return Ok(Vec::new());
        }
        let once = digest(algorithm, password.as_bytes());
        let twice = digest(algorithm, once.as_ref());
        let mixed = match self {
            Self::Native => [nonce, twice.as_ref()],
            Self::Caching | Self::Other(_) => [twice.as_ref(), nonce],
        };
        let mask = digest(algorithm, &mixed.concat());
        let masked = once.as_ref().iter().zip(mask.as_ref());
        Ok(masked.map(|(proof, mask)| proof ^ mask).collect())
    }
}

/// Reads to which plugin the server changes, and the challenge for it.
fn changed_plugin(payload: &[u8]) -> (Plugin, &[u8]) {
    let mut fields = Fields::new(payload.get(1..).unwrap_or_default());
    let name = fields.text();
    let name = if name.is_empty() {
        // The first plugin of all has no name in this packet.
        "mysql_old_password".to_owned()
    } else {
        String::from_utf8_lossy(name).into_owned()
    };
    let plugin = Plugin::named(&name).unwrap_or(Plugin::Other(name));
    (plugin, fields.rest())
}

/// Repeats a server's error. Of one that knows the password only the number
/// is taken: its text could hold it, and to blot it out there would show
/// which word it is.
fn error_in_words(payload: &[u8], knows_password: bool) -> Reason {
    let mut fields = Fields::new(payload.get(1..).unwrap_or_default());
    let Some(number) = fields.short() else {
        return malformed();
    };
    if knows_password {
        let meaning = match number {
            1044 => ": no right to use the database",
            1045 => ": access denied for this user with this password",
            1049 => ": unknown database",
            _ => "",
        };
        return format!("error {number}{meaning}");
    }
    let text = match fields.rest() {
        // A mark and five characters of a state that the number implies.
        [b'#', state_and_text @ ..] => state_and_text.get(5..).unwrap_or_default(),
        text => text,
    };
    let hint = match number {
        // MariaDB does not name such a plugin.
        1698 => " (its plugin takes no password, as `unix_socket` does not)",
        _ => "",
    };
    format!("error {number}: {}{hint}", String::from_utf8_lossy(text))
}

fn malformed() -> Reason {
    "the server sent something that is no part of a login".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hexadecimal(bytes: &[u8]) -> String {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.concat()
    }

    #[test]
    fn proofs_are_those_of_other_clients() {
        let challenge: Vec<u8> = (1..=20).chain([0]).collect();
        // Computed with PyMySQL 1.2.
        for (plugin, expected) in [
            (Plugin::Native, "b32bb3a583e1340c0a1108d58b1be49781ad8c2f"),
            (
                Plugin::Caching,
                "746ebe205d56a0707acb3e796e834e0dd7b1d61743b26bd5202c7a623230c7c9",
            ),
        ] {
            let proof = plugin.prove("secret", &challenge).expect("a proof");
            assert_eq!(hexadecimal(&proof), expected);
            assert_eq!(plugin.prove("", &challenge), Ok(Vec::new()));
            assert_eq!(plugin.prove("secret", &challenge[..19]), Err(malformed()));
        }
    }

    #[test]
    fn errors_have_words() {
        let packet = b"\xff\x15\x04#28000it was `secret`";
        assert_eq!(error_in_words(packet, false), "error 1045: it was `secret`");
        assert_eq!(
            error_in_words(packet, true),
            "error 1045: access denied for this user with this password"
        );
        assert_eq!(error_in_words(&packet[..7], false), "error 1045: ");
        assert_eq!(error_in_words(b"\xff\x01\x00secret", true), "error 1");
        assert_eq!(error_in_words(&packet[..2], false), malformed());
    }

    #[test]
    fn cut_greetings_are_refused() {
        let mut packet = vec![PROTOCOL_VERSION];
        packet.extend(b"8.0.1\0");
        packet.extend([1, 0, 0, 0]);
        packet.extend([7; 8]);
        packet.push(0);
        packet.extend([0x00, 0x8a, 45, 2, 0, 0x08, 0x00, 21]);
        packet.extend([0; 10]);
        packet.extend([8; 12]);
        packet.push(0);
        let whole = packet.len();
        packet.extend(b"caching_sha2_password\0");
        let greeting = Greeting::parse(&packet).expect("a greeting");
        assert_eq!(greeting.plugin, CACHING);
        assert_eq!(greeting.nonce.len(), 21);
        assert!(greeting.offers_tls());
        for length in 0..whole {
            assert!(Greeting::parse(&packet[..length]).is_none(), "{length}");
        }
    }
}
