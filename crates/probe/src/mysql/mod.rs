//! Logins to `MySQL` and `MariaDB`, as far as a check needs them.
//!
//! The protocol is our own: libraries want to make their connections
//! themselves, and a login needs little of what they bring.

mod login;
mod packet;

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::timeout;
use zenekar_base::resource::MysqlProbe;

use self::login::{Login, Refusal};
use self::packet::Channel;
use crate::reason::{Reason, seconds};
use crate::{Network, dial, tls};

/// The port of `MySQL`; Occopus knows no other.
const PORT: u16 = 3306;

/// A database accepts a login within this time, also over a slow TLS handshake.
const MYSQL_DEADLINE: Duration = Duration::from_secs(5);

/// Checks that a database accepts a login.
pub(crate) async fn check(
    network: &dyn Network,
    addresses: &[Ipv4Addr],
    probe: &MysqlProbe,
) -> Result<(), Reason> {
    let login = Login::new(probe)?;
    match timeout(MYSQL_DEADLINE, log_in(network, addresses, &login)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no login within {}", seconds(MYSQL_DEADLINE))),
    }
}

/// Logs in, over TLS where the server has it.
///
/// A server whose TLS is too old or broken is asked once more without: most
/// plugins never send the password itself, and those that do refuse then.
async fn log_in(
    network: &dyn Network,
    addresses: &[Ipv4Addr],
    login: &Login<'_>,
) -> Result<(), Reason> {
    match attempt(network, addresses, login, true).await {
        Ok(()) => Ok(()),
        Err(Refusal::Final(reason)) => Err(reason),
        Err(Refusal::Tls(broken)) => match attempt(network, addresses, login, false).await {
            Ok(()) => Ok(()),
            Err(Refusal::Final(reason) | Refusal::Tls(reason)) => {
                Err(format!("{reason} (without TLS, because of: {broken})"))
            }
        },
    }
}

async fn attempt(
    network: &dyn Network,
    addresses: &[Ipv4Addr],
    login: &Login<'_>,
    may_use_tls: bool,
) -> Result<(), Refusal> {
    let stream = dial::connect(network, addresses, PORT).await?;
    let host = stream
        .peer_addr()
        .map_or_else(|_| String::new(), |address| address.ip().to_string());
    let mut channel = Channel::new(stream);
    let greeting = login::greeting(&mut channel).await?;
    if !(may_use_tls && greeting.offers_tls()) {
        return login.run(channel, &greeting, false).await;
    }
    channel.write(&login.request_for_tls(&greeting)).await?;
    let (stream, sequence) = channel.into_parts();
    let stream = tls::start(&host, stream).await.map_err(Refusal::Tls)?;
    let channel = Channel::with_sequence(stream, sequence);
    login.run(channel, &greeting, true).await
}
