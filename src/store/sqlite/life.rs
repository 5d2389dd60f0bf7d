//! The row of one life in `sessions`.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row};

use super::failure::Setback;
use super::later_id;
use super::row::{self, Table, number, optional_text, text};
use super::traits::Traits;
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::store::{Bucket, FenceReason, Lane, NewRecord, Record, TurnMarker, class_name, lane};

/// How many bytes an [`OpenTurn`] takes in its column.
const OPEN_TURN_BYTES: usize = 56;

/// The row of a life.
const BY_INCARNATION: &str = "SELECT incarnation, id, key, label, created_at, active_at, generation, version, \
     next_seq, entries, open, traits, crc FROM sessions WHERE incarnation = ?1";

/// One life, as its row has it: what a write does not look at is not parsed.
#[derive(Debug)]
pub(super) struct Life {
    /// Which life.
    pub(super) incarnation: Incarnation,
    /// Whose: the id under which it was created.
    pub(super) id: String,
    /// The key under which it was created.
    key: Option<String>,
    /// The line for people.
    pub(super) label: Option<String>,
    /// When it began.
    created_at: Timestamp,
    /// When it was last used.
    pub(super) active_at: Timestamp,
    /// The newest turn.
    pub(super) generation: Generation,
    /// The counter of changes.
    pub(super) version: u64,
    /// The next entry's number.
    pub(super) next_seq: u64,
    /// How many entries there are.
    pub(super) entries: u64,
    /// The open turns, oldest first.
    pub(super) open: Vec<OpenTurn>,
    /// What most have none of, as its column has it.
    traits: Option<String>,
    /// Since when it rests, as far as its lane knows; `None` if it has to be filed anew.
    filed: Option<Bucket>,
}

/// An open turn, and what its end has to look for: most have one input and no pieces, and a statement
/// that would find nothing is not made.
#[derive(Debug)]
pub(super) struct OpenTurn {
    /// The turn.
    pub(super) marker: TurnMarker,
    /// The number of the input that it began with; 0 if there was none.
    pub(super) input: u64,
    /// The number of the first input that was added to it; 0 if there is none.
    pub(super) steered: u64,
    /// How many chunks are kept of what it has said.
    pub(super) chunks: u64,
}

impl Life {
    /// A life that begins.
    pub(super) fn new(incarnation: Incarnation, new: &NewRecord) -> Self {
        Self {
            incarnation,
            id: new.id.to_string(),
            key: new.binding.as_ref().map(|binding| binding.key.to_string()),
            label: new.label.clone(),
            created_at: new.at,
            active_at: new.at,
            generation: Generation::default(),
            version: 0,
            next_seq: 1,
            entries: 0,
            open: Vec::new(),
            traits: Traits {
                class: new.class.clone(),
                expiry: new.expiry.clone(),
                previous: new.previous.clone(),
                ..Traits::default()
            }
            .encode(),
            filed: None,
        }
    }

    /// The life `incarnation`, if it has had `id`; refused if there is no such life or its row is damaged.
    pub(super) fn load(
        connection: &Connection,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> Result<Self, Setback> {
        let life = Self::find(connection, incarnation)?;
        let life = life.ok_or(Setback::fenced(FenceReason::NoSuchLife))?.ok_or_else(|| {
            let which = format_args!("{id} (life {})", incarnation.get());
            Setback::Refused(Table::Sessions.damaged(which))
        })?;
        if life.id == id.to_string() || later_id::find(connection, id)? == Some(incarnation) {
            Ok(life)
        } else {
            Err(Setback::fenced(FenceReason::NoSuchLife))
        }
    }

    /// The life `incarnation`, if it is there; the inner `None` says that its row is damaged.
    #[expect(clippy::option_option, reason = "missing and damaged are two answers")]
    pub(super) fn find(
        connection: &Connection,
        incarnation: Incarnation,
    ) -> rusqlite::Result<Option<Option<Self>>> {
        let mut select = connection.prepare_cached(BY_INCARNATION)?;
        let mut rows = select.query([incarnation.get().cast_signed()])?;
        Ok(rows.next()?.map(Self::read))
    }

    /// How many removals from its transcript the life `incarnation` counts, if it was created as `id`: what a
    /// reader of that needs of the row, without the rest. `None` also if the row is damaged.
    pub(super) fn find_revisions(
        connection: &Connection,
        id: &str,
        incarnation: Incarnation,
    ) -> rusqlite::Result<Option<u64>> {
        let mut select = connection.prepare_cached(BY_INCARNATION)?;
        let mut rows = select.query([incarnation.get().cast_signed()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(row::read(Table::Sessions, row, |row| {
            let is_it = row::get_text(row, 1)? == id;
            let traits = row::get_optional_text(row, 11)?;
            is_it.then_some(Traits::decode(traits)?.revisions)
        }))
    }

    /// Whose it is; `None` if that is no id, which is damage.
    pub(super) fn session_id(&self) -> Option<SessionId> {
        SessionId::new(&self.id).ok()
    }

    /// The life in `row`; `None` if it is damaged.
    pub(super) fn read(row: &Row<'_>) -> Option<Self> {
        row::read(Table::Sessions, row, |row| {
            let time = |column| row::get_number(row, column).map(Timestamp::from_millis);
            let active_at = time(5)?;
            Some(Self {
                incarnation: Incarnation::new(row::get_number(row, 0)?),
                id: row::get_text(row, 1)?.to_owned(),
                key: row::get_optional_text(row, 2)?.map(str::to_owned),
                label: row::get_optional_text(row, 3)?.map(str::to_owned),
                created_at: time(4)?,
                active_at,
                generation: Generation::new(row::get_number(row, 6)?),
                version: row::get_number(row, 7)?,
                // The first is 1.
                next_seq: row::get_count(row, 8).filter(|next| *next > 0)?,
                entries: row::get_count(row, 9)?,
                open: match row.get_ref(10).ok()?.as_blob_or_null().ok()? {
                    Some(blob) => decode_open(blob)?,
                    None => Vec::new(),
                },
                traits: row::get_optional_text(row, 11)?.map(str::to_owned),
                filed: Some(Bucket::of(active_at)),
            })
        })
    }

    /// Writes the row of a life that begins.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO sessions (incarnation, id, key, label, created_at, active_at, \
             generation, version, next_seq, entries, open, traits, crc) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        insert.execute(self.seal(&encode_open(&self.open)))?;
        self.file(connection)
    }

    /// Writes what can change of the row.
    pub(super) fn update(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update = connection.prepare_cached(
            "UPDATE sessions SET label = ?4, active_at = ?6, generation = ?7, version = ?8, \
             next_seq = ?9, entries = ?10, open = ?11, traits = ?12, crc = ?13 \
             WHERE incarnation = ?1",
        )?;
        update.execute(self.seal(&encode_open(&self.open)))?;
        // A session that is used all the time stays where it is for a quarter of an hour.
        if self.filed == Some(Bucket::of(self.active_at)) { Ok(()) } else { self.file(connection) }
    }

    /// Files it where it is found when its time may be over.
    fn file(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (lane, bucket) = self.lane().map(|(lane, bucket)| (lane.name(), bucket.get())).unzip();
        let mut update = connection
            .prepare_cached("UPDATE sessions SET lane = ?2, lane_at = ?3 WHERE incarnation = ?1")?;
        let bucket = bucket.map(u64::cast_signed);
        update.execute((self.incarnation.get().cast_signed(), lane, bucket)).map(drop)
    }

    /// Where it stands; nowhere, if it is damaged.
    pub(super) fn lane(&self) -> Option<(Lane, Bucket)> {
        let traits = Traits::decode(self.traits.as_deref()).filter(|traits| !traits.pinned)?;
        let key = self.key.as_ref().and_then(|key| key.parse::<SessionKey>().ok());
        let class = class_name(traits.class.as_deref(), key.as_ref());
        lane(class, traits.standing, traits.expiry.as_deref(), self.active_at)
    }

    /// What most have none of.
    pub(super) fn traits(&self) -> Result<Traits, Setback> {
        Traits::decode(self.traits.as_deref()).ok_or_else(|| {
            let which = format_args!("{} (life {})", self.id, self.incarnation.get());
            Setback::Refused(Table::Sessions.damaged(which))
        })
    }

    /// Changes what most have none of, and files it anew.
    pub(super) fn set_traits(&mut self, traits: &Traits) {
        self.traits = traits.encode();
        self.filed = None;
    }

    /// So many removals from its transcript are kept from now on.
    pub(super) fn count_revisions(&mut self, revisions: u64) -> Result<(), Setback> {
        let traits = self.traits()?;
        if traits.revisions != revisions {
            // Not filed anew: that says nothing of when its time is over.
            self.traits = Traits { revisions, ..traits }.encode();
        }
        Ok(())
    }

    /// A turn has committed: whatever crashed before does not any more.
    pub(super) fn forgive_crashes(&mut self) -> Result<(), Setback> {
        if self.traits.is_some() {
            let traits = self.traits()?;
            if traits.crashes > 0 {
                self.set_traits(&Traits { crashes: 0, ..traits });
            }
        }
        Ok(())
    }

    /// The row's columns and their checksum.
    fn seal<'a>(&'a self, open: &'a [u8]) -> impl Params + 'a {
        let columns = [
            number(self.incarnation.get()),
            text(&self.id),
            optional_text(self.key.as_deref()),
            optional_text(self.label.as_deref()),
            number(self.created_at.as_millis()),
            number(self.active_at.as_millis()),
            number(self.generation.get()),
            number(self.version),
            number(self.next_seq),
            number(self.entries),
            if open.is_empty() { ValueRef::Null } else { ValueRef::Blob(open) },
            optional_text(self.traits.as_deref()),
        ];
        row::seal(Table::Sessions, columns)
    }

    /// What the library makes of it, without its later ids; `None` if its first id, its key or its traits are
    /// none, which is damage.
    pub(super) fn into_record(self) -> Option<Record> {
        let traits = Traits::decode(self.traits.as_deref())?;
        let Traits { class, standing, expiry, pinned, crashes, previous, .. } = traits;
        Some(Record {
            id: SessionId::new(&self.id).ok()?,
            former_ids: Vec::new(),
            incarnation: self.incarnation,
            key: match self.key {
                Some(key) => Some(key.parse::<SessionKey>().ok()?),
                None => None,
            },
            label: self.label,
            created_at: self.created_at,
            last_active_at: self.active_at,
            generation: self.generation,
            version: self.version,
            next_seq: self.next_seq,
            entries: self.entries,
            open: self.open.into_iter().map(|turn| turn.marker).collect(),
            class,
            standing,
            expiry,
            pinned,
            crashes,
            previous,
        })
    }

    /// The open turn `generation`.
    pub(super) fn open_mut(&mut self, generation: Generation) -> Result<&mut OpenTurn, Setback> {
        let open = self.open.iter_mut().find(|turn| turn.marker.generation == generation);
        open.ok_or(Setback::fenced(FenceReason::TurnNotOpen))
    }

    /// Takes the turn `generation` out of the open ones.
    pub(super) fn take_open(&mut self, generation: Generation) -> Result<OpenTurn, Setback> {
        let open = self.open.iter().position(|turn| turn.marker.generation == generation);
        let open = open.ok_or(Setback::fenced(FenceReason::TurnNotOpen))?;
        Ok(self.open.remove(open))
    }
}

/// The column `open`: for each turn its generation, instance, begin, inputs and chunks, big endian.
fn encode_open(open: &[OpenTurn]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(open.len() * OPEN_TURN_BYTES);
    for OpenTurn { marker, input, steered, chunks } in open {
        blob.extend(marker.generation.get().to_be_bytes());
        blob.extend(marker.instance.as_bits().to_be_bytes());
        blob.extend(marker.began_at.as_millis().to_be_bytes());
        blob.extend(input.to_be_bytes());
        blob.extend(steered.to_be_bytes());
        blob.extend(chunks.to_be_bytes());
    }
    blob
}

/// Undoes [`encode_open`]; `None` if `blob` is not something it produces.
fn decode_open(blob: &[u8]) -> Option<Vec<OpenTurn>> {
    let (turns, rest) = blob.as_chunks::<OPEN_TURN_BYTES>();
    let decode = |turn: &[u8; OPEN_TURN_BYTES]| {
        let (generation, rest) = turn.split_first_chunk::<8>()?;
        let (instance, rest) = rest.split_first_chunk::<16>()?;
        let (began_at, rest) = rest.split_first_chunk::<8>()?;
        let (input, rest) = rest.split_first_chunk::<8>()?;
        let (steered, rest) = rest.split_first_chunk::<8>()?;
        let (chunks, _) = rest.split_first_chunk::<8>()?;
        let marker = TurnMarker {
            generation: Generation::new(u64::from_be_bytes(*generation)),
            instance: InstanceId::from_random(u128::from_be_bytes(*instance)),
            began_at: Timestamp::from_millis(u64::from_be_bytes(*began_at)),
        };
        Some(OpenTurn {
            marker,
            input: u64::from_be_bytes(*input),
            steered: u64::from_be_bytes(*steered),
            chunks: u64::from_be_bytes(*chunks),
        })
    };
    if rest.is_empty() { turns.iter().map(decode).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    // A fuzzer of rows with right checksums found that numbers which this library never writes ran over where
    // it counted on.
    #[test]
    fn a_row_whose_counters_nobody_can_have_counted_is_damaged() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        let new = NewRecord::new(SessionId::new("a").unwrap(), Timestamp::default());
        let life = |number| Life::new(Incarnation::new(number), &new);
        let largest = i64::MAX.cast_unsigned();
        let lives = [
            (Life { next_seq: largest, entries: largest, ..life(1) }, true),
            (Life { next_seq: 0, ..life(2) }, false),
            (Life { next_seq: largest + 1, ..life(3) }, false),
            (Life { entries: u64::MAX, ..life(4) }, false),
        ];
        for (life, is_intact) in lives {
            let life = Life { id: life.incarnation.get().to_string(), ..life };
            life.insert(&connection).unwrap();
            let found = Life::find(&connection, life.incarnation).unwrap().unwrap();
            assert_eq!(found.is_some(), is_intact, "{life:?}");
        }
    }

    #[test]
    fn a_commit_changes_nothing_of_what_a_later_version_has_added_unless_there_were_crashes() {
        let new = NewRecord::new(SessionId::new("a").unwrap(), Timestamp::default());
        let forgiven = |traits: &str| {
            let (traits, filed) = (Some(traits.to_owned()), Some(Bucket::default()));
            let mut life = Life { traits, filed, ..Life::new(Incarnation::new(1), &new) };
            life.forgive_crashes().unwrap();
            (life.traits.unwrap(), life.filed.is_some())
        };
        let later = r#"{"pinned":true,"later":1}"#;
        assert_eq!(forgiven(later), (later.to_owned(), true));
        let crashed = r#"{"pinned":true,"crashes":1}"#;
        assert_eq!(forgiven(crashed), (r#"{"pinned":true}"#.to_owned(), false));
    }
}
