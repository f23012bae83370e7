//! What is so precious that it is stored twice, each copy with a checksum of its own.

use rusqlite::{OptionalExtension, params};

use crate::checksum::{Checksum, Summer};
use crate::error::StoreError;
use crate::infrastructure::Record;
use crate::schema;
use crate::session::Session;

/// Which copies there are.
const COPIES: [i64; 2] = [1, 2];

/// One text that each infrastructure has, in a table of its own.
pub(crate) struct Twice<T> {
    /// What its checksums begin with.
    pub(crate) domain: &'static str,
    /// The format in which stores have had it since.
    pub(crate) format_since: i64,
    /// Stores a text: infrastructure, copy, text, checksum.
    pub(crate) insert: &'static str,
    /// Reads text and checksum of an infrastructure's copy.
    pub(crate) select: &'static str,
    /// Says what is wrong with one copy.
    pub(crate) half: &'static str,
    /// Says what is wrong with both.
    pub(crate) full: &'static str,
    /// The same, before the words "of infrastructure", and behind its name.
    pub(crate) lost: (&'static str, &'static str),
    /// Reads the text.
    pub(crate) parse: fn(&str) -> Option<T>,
}

/// What is wrong with the copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// One copy is intact.
    Half,
    /// None is, or they contradict each other.
    Full,
}

impl<T: PartialEq> Twice<T> {
    /// Stores a text, in place of what is there.
    pub(crate) fn write(
        &self,
        session: Session<'_>,
        number: i64,
        text: &str,
    ) -> Result<(), StoreError> {
        for copy in COPIES {
            let checksum = self.checksum(number, copy, text);
            session.execute(self.insert, params![number, copy, text, checksum])?;
        }
        Ok(())
    }

    /// Reads it from either copy; `None` only where stores had no such thing yet.
    pub(crate) fn read(
        &self,
        session: Session<'_>,
        record: &Record,
    ) -> Result<Option<T>, StoreError> {
        if schema::version(session)? < self.format_since {
            return Ok(None);
        }
        for place in COPIES {
            if let Some(value) = self.copy(session, record.number, place)? {
                return Ok(Some(value));
            }
        }
        let (what, changed) = self.lost;
        Err(session.corrupt(format!(
            "{what} of infrastructure `{}` {changed}",
            record.id
        )))
    }

    /// Compares the copies.
    pub(crate) fn damage(
        &self,
        session: Session<'_>,
        record: &Record,
    ) -> Result<Option<Damage>, StoreError> {
        if schema::version(session)? < self.format_since {
            return Ok(None);
        }
        let [one, two] = COPIES.map(|place| self.copy(session, record.number, place));
        Ok(match (one?, two?) {
            (Some(one), Some(two)) if one == two => None,
            (Some(_), None) | (None, Some(_)) => Some(Damage::Half),
            _ => Some(Damage::Full),
        })
    }

    /// Says in one line what is wrong.
    pub(crate) const fn text(&self, damage: Damage) -> &'static str {
        match damage {
            Damage::Half => self.half,
            Damage::Full => self.full,
        }
    }

    /// Reads one copy; `None` if it is missing or damaged.
    fn copy(&self, session: Session<'_>, number: i64, copy: i64) -> Result<Option<T>, StoreError> {
        let row = session
            .prepare(self.select)?
            .query_row([number, copy], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Checksum>(1)?))
            })
            .optional()
            .map_err(|source| session.failed(source))?;
        Ok(row
            .filter(|(text, sum)| self.checksum(number, copy, text) == *sum)
            .and_then(|(text, _)| (self.parse)(&text)))
    }

    fn checksum(&self, number: i64, copy: i64, text: &str) -> Checksum {
        Summer::new(self.domain)
            .number(number)
            .number(copy)
            .text(text)
            .finish()
    }
}

/// Returns the numbers of all infrastructures, to give them what they lack.
pub(crate) fn numbers(session: Session<'_>) -> Result<Vec<i64>, StoreError> {
    let mut statement = session.prepare("SELECT number FROM infrastructures NOT INDEXED")?;
    let rows = statement.query_map([], |row| row.get(0));
    rows.and_then(Iterator::collect)
        .map_err(|source| session.failed(source))
}
