//! What must be in the file after a kill, and how the next run of the process begins.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use session_supervisor::{
    BeginError, ChatMessage, CommitOutcome, Entry, EntryMark, RecordFilter, Session, SqliteOptions,
    SqliteStore, Store, StreamId, Supervisor,
};

use crate::child::{answer, chunk, named};
use crate::log::{Known, Log, Told};
use crate::stage::{assert_clean, key, reply, runtime, user};
use crate::{Job, builder};

/// What holds over all rounds on one file.
#[derive(Debug, Default)]
pub(crate) struct Parent {
    /// The turns that a start has told as settled.
    named: HashSet<StreamId>,
    /// How many turns were acknowledged, and how many replies were found cut off.
    acknowledged: usize,
    cut_off: usize,
    /// Of the writes that a kill came into, how many did not happen, and how many did.
    cut_into: [usize; 2],
}

/// An entry, wherever it is.
#[derive(Debug)]
struct Row {
    seq: u64,
    stream: Option<StreamId>,
    input: bool,
    mark: EntryMark,
    text: String,
    /// Whether it was taken out of the transcript.
    taken: bool,
}

/// A session after the restart.
struct Found<'a> {
    session: &'a Session,
    store: &'a SqliteStore,
    log: &'a Log,
    policy: &'a str,
    rows: Vec<Row>,
    /// Of the log's `backs`, those that happened.
    backs: Vec<usize>,
}

impl Parent {
    pub(crate) fn summary(&self) -> String {
        let Self { named, acknowledged, cut_off, cut_into: [lost, made] } = self;
        let settled = named.len();
        format!(
            "{acknowledged} turns acknowledged, {settled} settled by a start, {cut_off} replies cut \
             off; of the begins and ends in the middle of which it was killed {made} were there, \
             {lost} were not"
        )
    }

    /// Opens the file again and compares it with what was said.
    pub(crate) fn compare(&mut self, job: &Job, log: &Log) {
        runtime(1).block_on(async {
            let store = SqliteStore::open(&job.path, SqliteOptions::default()).await.unwrap();
            let opened = builder(&job.policy).shared_store(Arc::new(store.clone()));
            let supervisor = opened.start().await.unwrap();
            assert_eq!(supervisor.loaded(), 0);
            assert_eq!(supervisor.recovery().damaged, Vec::<String>::new());
            let by_this = supervisor.recovery().settled.iter().map(|turn| turn.stream);
            for stream in log.named.iter().copied().chain(by_this) {
                assert!(self.named.insert(stream), "{stream} is told as settled twice");
                assert!(log.turns.contains_key(&stream), "{stream} was settled in another round");
            }
            let mut replying = RecordFilter::default();
            replying.replying = Some(true);
            assert_eq!(supervisor.list(replying, None, 9).await.unwrap().records, []);
            let names = if job.scenario == "starts" { vec!["a", "b", "c"] } else { vec!["a"] };
            for name in names {
                let session = supervisor.open(&key(&job.chat(name))).await.unwrap();
                let id = log.opened.get(name);
                assert!(id.is_none_or(|id| id == session.id()), "{id:?} was acknowledged");
                let found = Found::new(&session, &store, log, &job.policy).await;
                self.compare_turns(&found).await;
                if job.scenario == "named" {
                    repeat(&found).await;
                }
                go_on(&session).await;
            }
            assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
            assert_clean(&supervisor).await;
            let end = Supervisor::shutdown(&supervisor, Duration::from_secs(5)).await.unwrap();
            assert!(end.clean);
        });
    }

    /// Each turn that the store was asked to begin, and that there is nothing else.
    async fn compare_turns(&mut self, found: &Found<'_>) {
        let life = found.session.record().await.unwrap().incarnation;
        let of_this = |stream: &StreamId| stream.incarnation() == life;
        let turns = found.log.turns.iter().filter(|(stream, _)| of_this(stream));
        for (stream, told) in turns {
            self.acknowledged += usize::from(told.began);
            self.compare_turn(found, *stream, told).await;
        }
        for row in &found.rows {
            let of = row.stream.and_then(|stream| found.log.turns.get(&stream));
            assert!(of.is_some(), "nobody wrote {row:?}");
        }
        // A text is in the transcript once, whichever turn it is of.
        let mut inputs = BTreeMap::new();
        for row in found.rows.iter().filter(|row| row.input && !row.taken) {
            assert!(found.log.tried.contains(&row.text), "nobody said {row:?}");
            assert_eq!(inputs.insert(&row.text, row.seq), None, "{row:?} is there twice");
        }
    }

    async fn compare_turn(&mut self, found: &Found<'_>, stream: StreamId, told: &Told) {
        let (id, life, turn) = (found.session.id(), stream.incarnation(), stream.generation());
        let ended = found.store.turn(id, life, turn).await.unwrap();
        let kept = found.session.partial(stream).await.unwrap();
        let mine: Vec<_> = found.rows.iter().filter(|row| row.stream == Some(stream)).collect();
        if told.begin == Known::Asked {
            self.cut_into[usize::from(ended.is_some())] += 1;
        }
        let Some(ended) = ended else {
            assert!(!told.began && told.begin == Known::Asked, "{stream} was acknowledged");
            assert!(mine.is_empty() && kept.is_none(), "{stream} is there in part");
            return;
        };
        let outcome = ended.outcome.as_str();
        self.compare_outcome(found, stream, told, outcome);
        for row in &mine {
            let covered =
                |back: &&usize| **back >= told.backs && found.log.backs[**back].from <= row.seq;
            assert_eq!(row.taken, found.backs.iter().any(|back| covered(&back)), "{row:?}");
        }
        let committed = outcome == "committed";
        let input_goes = told.drops_input && outcome == "failed";

        let inputs: Vec<_> = mine.iter().filter(|row| row.input).collect();
        let more = told.more.iter().filter(|(seq, (text, known))| {
            let there = inputs.iter().any(|row| row.seq == **seq && row.text == *text);
            assert!(there || *known == Known::Asked, "{text} was acknowledged");
            there
        });
        assert_eq!(inputs.len(), usize::from(!input_goes) + more.count(), "{stream}: {inputs:?}");
        assert!(input_goes || inputs[0].text == told.text, "{inputs:?}");
        let mark = if committed { EntryMark::Kept } else { EntryMark::Unanswered };
        assert!(inputs.iter().all(|row| row.mark == mark), "{outcome}: {inputs:?}");

        let (partials, replies): (Vec<&Row>, Vec<&Row>) =
            mine.iter().filter(|row| !row.input).partition(|row| row.mark == EntryMark::Partial);
        let expected = committed.then(|| answer(&told.text));
        let texts: Vec<_> = replies.iter().map(|row| row.text.clone()).collect();
        assert_eq!(texts, Vec::from_iter(expected), "{stream} {outcome}");
        if let (Some((_, seq)), [reply]) = (&told.ended, &replies[..]) {
            assert_eq!(reply.seq, *seq);
            assert_eq!(reply.mark, EntryMark::Kept);
        }

        // What was said, as it is kept, and how many chunks it must be.
        let least = if outcome == "interrupted" { told.kept } else { told.emitted };
        let bracketed = |row: &&Row| {
            let text = row.text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            text.unwrap().to_owned()
        };
        let goes = committed || input_goes;
        let said = match found.policy {
            "beside" if !goes => {
                assert_eq!(partials.len(), 0, "{partials:?}");
                let kept = kept.map(|kept| (kept.text, kept.chunks));
                kept.inspect(|(text, chunks)| assert_eq!(text.matches(' ').count() as u64, *chunks))
                    .map(|(text, _)| text)
            }
            "entry" if !goes => {
                assert_eq!(kept, None);
                assert!(partials.len() <= 1, "{partials:?}");
                partials.iter().map(bracketed).next()
            }
            _ => {
                assert_eq!(kept, None, "{stream} {outcome}");
                assert_eq!(partials.len(), 0, "{stream} {outcome}: {partials:?}");
                return;
            }
        };
        let said = said.unwrap_or_default();
        let chunks = said.matches(' ').count() as u64;
        let beginning: String = (1..=chunks).map(|number| chunk(&told.text, number)).collect();
        assert_eq!(said, beginning);
        assert!(
            (least..=told.emitted).contains(&chunks),
            "{chunks} of {least}: {outcome} {told:?}"
        );
        self.cut_off += usize::from(outcome == "interrupted" && chunks > 0);
    }

    /// One end, and the one that was told if one was.
    fn compare_outcome(&mut self, found: &Found<'_>, stream: StreamId, told: &Told, outcome: &str) {
        if let Some((ended, _)) = &told.ended {
            assert_eq!(outcome, ended, "{stream} was told otherwise");
        }
        let (may_be, known) = match &told.end {
            Some((end, known)) => (&**end, *known),
            None => ("interrupted", Known::Stored),
        };
        if known == Known::Asked && may_be != "interrupted" {
            self.cut_into[usize::from(outcome == may_be)] += 1;
        }
        let interrupted = known == Known::Asked && outcome == "interrupted";
        assert!(outcome == may_be || interrupted, "{stream} {outcome}, not {may_be}");
        let named = self.named.contains(&stream);
        if outcome != "interrupted" {
            assert!(!named, "{stream} {outcome} is told as settled");
            return;
        }
        // A start that was killed itself told nobody.
        let by_a_killed_start = told.end.as_ref().is_some_and(|(end, _)| end == "interrupted");
        let told_all = found.log.points.iter().any(|point| point == "start");
        assert!(named || (by_a_killed_start && !told_all), "{stream} was settled in silence");
    }
}

impl<'a> Found<'a> {
    async fn new(
        session: &'a Session,
        store: &'a SqliteStore,
        log: &'a Log,
        policy: &'a str,
    ) -> Self {
        let record = session.record().await.unwrap();
        assert_eq!(record.open, []);
        let entries = session.entries(0, usize::MAX).await.unwrap();
        let transcript = session.transcript().await.unwrap();
        assert!(entries.iter().map(|it| it.seq).eq(transcript.iter().map(|it| it.seq)));
        assert_eq!(record.entries, entries.len() as u64);
        let row = |entry: Entry<ChatMessage>, taken| {
            let text = entry.content.unwrap().content;
            let (seq, stream, input, mark) = (entry.seq, entry.stream, entry.input, entry.mark);
            Row { seq, stream, input, mark, text, taken }
        };
        let mut rows: Vec<_> = entries.into_iter().map(|entry| row(entry, false)).collect();
        assert!(rows.is_sorted_by(|one, next| one.seq < next.seq), "{rows:?}");
        assert!(rows.last().is_none_or(|last| last.seq < record.next_seq));
        let mut backs = Vec::new();
        for revision in session.revisions().await.unwrap() {
            let asked = log.backs.iter().position(|back| back.version == revision.version);
            backs.push(asked.unwrap_or_else(|| panic!("nobody took back {revision:?}")));
            rows.extend(revision.entries.into_iter().map(|entry| row(entry, true)));
        }
        for (place, back) in log.backs.iter().enumerate() {
            let there = backs.contains(&place);
            assert!(
                there || back.known == Known::Asked || back.incarnation != record.incarnation.get()
            );
        }
        rows.sort_by_key(|row| row.seq);
        assert!(rows.is_sorted_by(|one, next| one.seq < next.seq), "{rows:?}");
        Self { session, store, log, policy, rows, backs }
    }
}

/// The platform delivers the message again.
async fn repeat(found: &Found<'_>) {
    let stored = found.rows.iter().any(|row| row.text == "in1");
    match found.session.begin(&user("in1"), named()).await {
        Err(BeginError::Repeated { stream, outcome, .. }) => {
            assert!(stored && found.log.turns.contains_key(&stream), "{stream}");
            let (life, turn) = (stream.incarnation(), stream.generation());
            let turn = found.store.turn(found.session.id(), life, turn).await.unwrap();
            assert_eq!(outcome, Some(turn.unwrap().outcome));
        }
        Ok(turn) => {
            assert!(!stored, "the message is answered twice");
            let committed = turn.commit(&reply(&answer("in1"))).await.unwrap();
            assert!(matches!(committed, CommitOutcome::Committed { .. }));
        }
        Err(error) => panic!("{error:?}"),
    }
    let entries = found.session.transcript().await.unwrap();
    let is_it = |entry: &&Entry<ChatMessage>| entry.content.as_ref().unwrap().content == "in1";
    assert_eq!(entries.iter().filter(is_it).count(), 1);
    let again = found.session.begin(&user("in1"), named()).await.unwrap_err();
    assert!(matches!(again, BeginError::Repeated { .. }), "{again:?}");
    let other = found.session.begin(&user("other"), named()).await.unwrap_err();
    assert!(matches!(other, BeginError::KeyReused { .. }), "{other:?}");
}

/// The conversation goes on behind what is there.
async fn go_on(session: &Session) {
    let next_seq = session.record().await.unwrap().next_seq;
    let turn = session.begin(&user("next"), ()).await.unwrap();
    let CommitOutcome::Committed { seq, .. } = turn.commit(&reply("yes")).await.unwrap() else {
        panic!("nothing else runs")
    };
    assert_eq!(seq, next_seq + 1);
    let entries = session.transcript().await.unwrap();
    assert!(entries.is_sorted_by(|one, next| one.seq < next.seq));
    let texts = entries.iter().rev().map(|entry| &*entry.content.as_ref().unwrap().content);
    assert_eq!(texts.take(2).collect::<Vec<_>>(), ["yes", "next"]);
}
