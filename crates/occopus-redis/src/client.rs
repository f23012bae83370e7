//! The commands that are sent, all of which only read.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Client, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo};
use redis::{RedisError, RedisResult, ServerErrorKind, cmd, pipe};

use crate::error::{ReadError, one_line, reason};
use crate::instance;
use crate::keys::{self, Content};
use crate::limits::{
    ANSWER_TIMEOUT, CONNECT_TIMEOUT, FIELDS_PER_TRIP, INFRASTRUCTURES_MAX, INSTANCES_MAX, KEYS_MAX,
    SCAN_COUNT, TOTAL_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::stored::{self, Definition, Infrastructure, Installation, Owner};

/// What is read, and from where in the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The database with node definitions.
    pub definitions_database: u32,
    /// The database with infrastructures.
    pub infrastructures_database: u32,
    /// The ids of the infrastructures that are wanted; all if `None`.
    pub ids: Option<BTreeSet<String>>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            definitions_database: 1,
            infrastructures_database: 10,
            ids: None,
        }
    }
}

/// Reads what Occopus keeps in the Redis server at `url`: `redis://…`,
/// `rediss://…` for TLS, or `redis+unix:///…`. Blocks until it is done.
///
/// What cannot be understood is listed among the problems of its
/// infrastructure; only a server that cannot be used is an error.
pub fn read(url: &str, options: &ReadOptions) -> Result<Installation, ReadError> {
    let mut reader = Reader::connect(url)?;
    let mut installation = Installation::default();
    reader.select(options.infrastructures_database)?;
    let found = reader.keys(options.infrastructures_database)?;
    let owners = group(&found);
    let is_wanted = |id: &String| options.ids.as_ref().is_none_or(|ids| ids.contains(id));
    let (wanted, others): (Vec<_>, Vec<_>) = owners
        .into_iter()
        .partition(|(owner, _)| is_wanted(&owner.id));
    installation.others = others
        .into_iter()
        .filter(|(_, contents)| {
            let mut contents = contents.iter();
            contents.any(|(content, _)| *content == Content::Description)
        })
        .map(|(owner, _)| owner)
        .collect();
    if wanted.len() > INFRASTRUCTURES_MAX {
        return Err(ReadError::TooManyInfrastructures);
    }
    for (owner, contents) in wanted {
        let infrastructure = reader.infrastructure(owner, &contents)?;
        installation.infrastructures.push(infrastructure);
    }
    reader.select(options.definitions_database)?;
    for key in reader.keys(options.definitions_database)? {
        let definition = reader.definition(&key)?;
        installation.definitions.push(definition);
    }
    Ok(installation)
}

/// Puts the keys of each infrastructure together.
fn group(keys: &BTreeSet<String>) -> BTreeMap<Owner, Vec<(Content, String)>> {
    let mut owners: BTreeMap<Owner, Vec<(Content, String)>> = BTreeMap::new();
    for key in keys {
        if let Some((owner, content)) = keys::parse(key) {
            owners
                .entry(owner)
                .or_default()
                .push((content, key.clone()));
        }
    }
    owners
}

/// A value, or why there is none.
type Fetched = Result<String, String>;

struct Reader {
    server: String,
    connection: Connection,
    bytes_left: u64,
}

impl Reader {
    fn connect(url: &str) -> Result<Self, ReadError> {
        let info: ConnectionInfo =
            url.into_connection_info()
                .map_err(|error| ReadError::Address {
                    reason: reason(&error),
                })?;
        if let ConnectionAddr::TcpTls { .. } = info.addr() {
            // Another provider may be there already, and is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let server = info.addr().to_string();
        // Announcing the client's name would be a command that does more than read.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        let connection = Client::open(info)
            .and_then(|client| client.get_connection_with_timeout(CONNECT_TIMEOUT))
            .and_then(|connection| {
                connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
                Ok(connection)
            })
            .map_err(|error| refused(&server, &error))?;
        Ok(Self {
            server,
            connection,
            bytes_left: TOTAL_BYTES_MAX,
        })
    }

    fn failed(&self, operation: &str, error: &RedisError) -> ReadError {
        if is_authentication(error) {
            return refused(&self.server, error);
        }
        ReadError::Command {
            server: self.server.clone(),
            operation: operation.to_owned(),
            reason: reason(error),
        }
    }

    fn select(&mut self, database: u32) -> Result<(), ReadError> {
        let selected: RedisResult<()> = cmd("SELECT").arg(database).query(&mut self.connection);
        selected.map_err(|error| self.failed(&format!("select database {database}"), &error))
    }

    /// Returns the names of all keys of the selected database.
    fn keys(&mut self, database: u32) -> Result<BTreeSet<String>, ReadError> {
        let (mut keys, mut cursor) = (BTreeSet::new(), 0_u64);
        loop {
            let step: RedisResult<(u64, Vec<Vec<u8>>)> = cmd("SCAN")
                .arg(cursor)
                .arg("COUNT")
                .arg(SCAN_COUNT)
                .query(&mut self.connection);
            let (next, found) = step.map_err(|error| self.failed("list its keys", &error))?;
            // What is not UTF-8 is not Occopus's.
            keys.extend(
                found
                    .into_iter()
                    .filter_map(|key| String::from_utf8(key).ok()),
            );
            if keys.len() > KEYS_MAX {
                return Err(ReadError::TooManyKeys { database });
            }
            if next == 0 {
                return Ok(keys);
            }
            cursor = next;
        }
    }

    /// Takes the bytes of a value out of the budget.
    fn spend(&mut self, bytes: u64) -> Result<(), ReadError> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(ReadError::TooLarge),
        }
    }

    /// Reads a value, whose size is asked for first.
    fn value(&mut self, key: &str) -> Result<Fetched, ReadError> {
        let operation = format!("read `{}`", one_line(key));
        let size: RedisResult<u64> = cmd("STRLEN").arg(key).query(&mut self.connection);
        let size = match size {
            Err(error) if is_type(&error) => return Ok(Err("it is no text".to_owned())),
            size => size.map_err(|error| self.failed(&operation, &error))?,
        };
        if let Some(problem) = too_large(size) {
            return Ok(Err(problem));
        }
        self.spend(size)?;
        let bytes: RedisResult<Vec<u8>> = cmd("GET").arg(key).query(&mut self.connection);
        let bytes = bytes.map_err(|error| self.failed(&operation, &error))?;
        Ok(String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()))
    }

    /// Reads the fields of a hash; the sizes are asked for first.
    fn fields(&mut self, key: &str) -> Result<Result<Vec<(String, Fetched)>, String>, ReadError> {
        let operation = format!("read `{}`", one_line(key));
        let count: RedisResult<usize> = cmd("HLEN").arg(key).query(&mut self.connection);
        let count = match count {
            Err(error) if is_type(&error) => return Ok(Err("it is no hash".to_owned())),
            count => count.map_err(|error| self.failed(&operation, &error))?,
        };
        if count > INSTANCES_MAX {
            return Ok(Err(format!("it has more than {INSTANCES_MAX} fields")));
        }
        let names: RedisResult<Vec<Vec<u8>>> = cmd("HKEYS").arg(key).query(&mut self.connection);
        let names = names.map_err(|error| self.failed(&operation, &error))?;
        let names: Vec<String> = names
            .into_iter()
            .filter_map(|name| String::from_utf8(name).ok())
            .collect();
        let mut fields = Vec::with_capacity(names.len());
        for part in names.chunks(FIELDS_PER_TRIP) {
            let mut sizes = pipe();
            for name in part {
                sizes.cmd("HSTRLEN").arg(key).arg(name);
            }
            let sizes: RedisResult<Vec<u64>> = sizes.query(&mut self.connection);
            let sizes = sizes.map_err(|error| self.failed(&operation, &error))?;
            for (name, size) in part.iter().zip(sizes) {
                if let Some(problem) = too_large(size) {
                    fields.push((name.clone(), Err(problem)));
                    continue;
                }
                self.spend(size)?;
                let bytes: RedisResult<Option<Vec<u8>>> =
                    cmd("HGET").arg(key).arg(name).query(&mut self.connection);
                let bytes = bytes.map_err(|error| self.failed(&operation, &error))?;
                // What is gone meanwhile was deleted by Occopus.
                let Some(bytes) = bytes else { continue };
                let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
                fields.push((name.clone(), text));
            }
        }
        Ok(Ok(fields))
    }

    fn definition(&mut self, key: &str) -> Result<Definition, ReadError> {
        let owner = Owner::parse(key);
        let text = self.value(key)?;
        let implementations = text.and_then(|text| stored::implementations(key, &text));
        Ok(Definition {
            user: owner.user,
            name: owner.id,
            implementations,
        })
    }

    fn infrastructure(
        &mut self,
        owner: Owner,
        contents: &[(Content, String)],
    ) -> Result<Infrastructure, ReadError> {
        let mut found = Infrastructure::new(owner);
        for (content, key) in contents {
            match content {
                Content::Description => {
                    let text = self.value(key)?;
                    found.has_description = true;
                    match text.and_then(|text| stored::describe(&mut found, &text)) {
                        Ok(()) => {}
                        Err(problem) => {
                            found.unreadable = true;
                            found.note(format!("its description cannot be read: {problem}"));
                        }
                    }
                }
                Content::State(node) => self.instances(&mut found, node, key)?,
                Content::FailedNodes => {
                    // The archive is only counted: what is in it exists no more.
                    let counted = self.value(key)?.and_then(|text| stored::value(key, &text));
                    match counted {
                        Ok(value) => found.failed = instance::archived(&value),
                        Err(problem) => found.note(format!("`failed_nodes`: {problem}")),
                    }
                }
                Content::FailTime => {
                    if let Some(fields) = self.hash(&mut found, key)? {
                        found.failing = fields.into_iter().map(|(node, _)| node).collect();
                    }
                }
                Content::Scaling => {
                    if let Some(fields) = self.hash(&mut found, key)? {
                        instance::read_scaling(&mut found, fields);
                    }
                }
                Content::Notification => found.has_notification = true,
                Content::FirstMaintenance => found.was_complete = true,
            }
        }
        found.settle();
        Ok(found)
    }

    /// Reads a hash of short texts.
    fn hash(
        &mut self,
        found: &mut Infrastructure,
        key: &str,
    ) -> Result<Option<Vec<(String, String)>>, ReadError> {
        let fields = match self.fields(key)? {
            Ok(fields) => fields,
            Err(problem) => {
                found.note(format!("`{}`: {problem}", one_line(key)));
                return Ok(None);
            }
        };
        let mut texts = Vec::with_capacity(fields.len());
        for (name, text) in fields {
            match text {
                Ok(text) => texts.push((name, text)),
                Err(problem) => found.note(format!("field `{}`: {problem}", one_line(&name))),
            }
        }
        Ok(Some(texts))
    }

    fn instances(
        &mut self,
        found: &mut Infrastructure,
        node: &str,
        key: &str,
    ) -> Result<(), ReadError> {
        let fields = match self.fields(key)? {
            Ok(fields) => fields,
            Err(problem) => {
                found.unreadable = true;
                found.note(format!(
                    "the instances of node `{node}` cannot be read: {problem}"
                ));
                return Ok(());
            }
        };
        for (id, text) in fields {
            let read = text.and_then(|text| {
                let value = stored::value(&id, &text)?;
                instance::read(node, &id, &value)
            });
            match read {
                Ok(instance) => found.instances.push(instance),
                Err(problem) => {
                    found.unreadable = true;
                    let id = one_line(&id);
                    found.note(format!(
                        "instance `{id}` of node `{node}` cannot be read: {problem}"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn too_large(size: u64) -> Option<String> {
    (size > VALUE_BYTES_MAX).then(|| format!("it has {size} bytes, more than {VALUE_BYTES_MAX}"))
}

fn is_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

fn is_authentication(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
        || error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

fn refused(server: &str, error: &RedisError) -> ReadError {
    let (server, reason) = (server.to_owned(), reason(error));
    if is_authentication(error) {
        ReadError::Authentication { server, reason }
    } else {
        ReadError::Connect { server, reason }
    }
}
