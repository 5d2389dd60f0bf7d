//! Everything that can be asked of a store, and what a whole file answers.

use session_supervisor::store::{Found, Write};
use session_supervisor::{
    Generation, Incarnation, RecordFilter, SessionId, SessionKey, SqliteStore, Store, StoreError,
    Timestamp,
};

use crate::witness::{Asked, Operation};

/// One question.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    List,
    LookUp(SessionId),
    BoundTo(SessionKey),
    KeysOf(SessionId, Incarnation),
    Entries(SessionId, Incarnation),
    Datum(SessionId, Incarnation, &'static str),
    Turn(SessionId, Incarnation, Generation),
    Partial(SessionId, Incarnation, Generation),
    Request(SessionId, Incarnation, String),
    Branches(SessionId, Incarnation),
    Revisions(SessionId, Incarnation),
    Resume(SessionId, Incarnation),
}

/// All of them, each with its answer.
#[derive(Debug)]
pub(crate) struct Questions {
    /// In the order in which they are asked.
    all: Vec<(Question, Vec<String>)>,
    /// The lives that there are, with the numbers of their next entries.
    lives: Vec<(SessionId, Incarnation, u64)>,
}

impl Questions {
    /// What can be asked of a whole store that was asked for all this.
    pub(crate) async fn of(store: &SqliteStore, asked: &[Asked]) -> Self {
        let mut questions = vec![Question::List];
        let mut lives = Vec::new();
        let page =
            store.list(RecordFilter::default(), None, usize::MAX).await.expect("it is whole");
        for record in page.records {
            let (id, life) = (record.id.clone(), record.incarnation);
            lives.push((id.clone(), life, record.next_seq));
            questions.extend(record.former_ids.iter().cloned().map(Question::LookUp));
            questions.extend([
                Question::LookUp(id.clone()),
                Question::KeysOf(id.clone(), life),
                Question::Entries(id.clone(), life),
                Question::Datum(id.clone(), life, "mood"),
                Question::Branches(id.clone(), life),
                Question::Revisions(id.clone(), life),
                Question::Resume(id, life),
            ]);
        }
        for asked in asked {
            questions.extend(asked_about(asked, &lives));
        }
        let mut all: Vec<(Question, Vec<String>)> = Vec::new();
        for question in questions {
            let answer = question.ask(store).await.expect("it is whole");
            let known = all.iter().any(|(it, _)| format!("{it:?}") == format!("{question:?}"));
            if !known {
                all.push((question, answer));
            }
        }
        Self { all, lives }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Each with its answer.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Question, &Vec<String>)> {
        self.all.iter().map(|(question, answer)| (question, answer))
    }

    /// The lives that there are, with the numbers of their next entries.
    pub(crate) fn lives(&self) -> &[(SessionId, Incarnation, u64)] {
        &self.lives
    }
}

/// What else an operation says that there is to be asked for.
fn asked_about(asked: &Asked, lives: &[(SessionId, Incarnation, u64)]) -> Vec<Question> {
    match &asked.operation {
        Operation::Create(new) => {
            let mut questions = vec![Question::LookUp(new.id.clone())];
            questions.extend(new.binding.iter().map(|it| Question::BoundTo(it.key.clone())));
            questions
        }
        Operation::Bind(binding, _) => vec![Question::BoundTo(binding.key.clone())],
        Operation::Write(_, life, write) => {
            let Some((id, ..)) = lives.iter().find(|(_, live, _)| live == life) else {
                return Vec::new();
            };
            let (id, life) = (id.clone(), *life);
            match &**write {
                Write::Begin { marker, extra, .. } => {
                    let turn = marker.generation;
                    let mut questions = vec![
                        Question::Turn(id.clone(), life, turn),
                        Question::Partial(id.clone(), life, turn),
                    ];
                    let request = extra.as_ref().and_then(|extra| extra.request.as_ref());
                    let named = |it: &session_supervisor::store::Request| {
                        Question::Request(id.clone(), life, it.key.clone())
                    };
                    questions.extend(request.map(named));
                    questions
                }
                _ => Vec::new(),
            }
        }
        Operation::Forget(..)
        | Operation::OpenRun(..)
        | Operation::CloseRun(..)
        | Operation::Heal => Vec::new(),
    }
}

impl Question {
    /// Asks it; a line for each thing that is there, in order.
    pub(crate) async fn ask(&self, store: &SqliteStore) -> Result<Vec<String>, StoreError> {
        fn lines<T: std::fmt::Debug>(all: impl IntoIterator<Item = T>) -> Vec<String> {
            all.into_iter().map(|it| format!("{it:?}")).collect()
        }
        Ok(match self {
            Self::List => {
                let page = store.list(RecordFilter::default(), None, usize::MAX).await?;
                let mut all = lines(page.records);
                all.extend(page.damaged.into_iter().map(|it| format!("damaged {it}")));
                all
            }
            Self::LookUp(id) => match store.look_up(id, Timestamp::from_millis(0)).await? {
                Found::Unknown => Vec::new(),
                found => lines([found]),
            },
            Self::BoundTo(key) => lines(store.bound_to(key).await?),
            Self::KeysOf(id, life) => lines(store.keys_of(id, *life).await?),
            Self::Entries(id, life) => lines(store.entries(id, *life, 0, usize::MAX).await?),
            Self::Datum(id, life, name) => lines(store.datum(id, *life, name).await?),
            Self::Turn(id, life, turn) => lines(store.turn(id, *life, *turn).await?),
            // What was said last may be missing, and is no other text then.
            Self::Partial(id, life, turn) => {
                let partial = store.partial(id, *life, *turn).await?;
                let text = partial.map(|it| String::from_utf8_lossy(&it.text).into_owned());
                lines(text.unwrap_or_default().split("chunk ").filter(|it| !it.is_empty()))
            }
            Self::Request(id, life, key) => lines(store.request(id, *life, key).await?),
            Self::Branches(id, life) => lines(store.branches(id, *life).await?),
            // An entry that is missing in one is told apart from one that is another.
            Self::Revisions(id, life) => {
                let mut all = Vec::new();
                for mut revision in store.revisions(id, *life).await? {
                    let entries = std::mem::take(&mut revision.entries);
                    all.push(format!("{revision:?}"));
                    all.extend(lines(entries));
                }
                all
            }
            Self::Resume(id, life) => {
                let record = store.resume(id, *life, "cli").await?;
                if record == session_supervisor::store::ResumeRecord::default() {
                    Vec::new()
                } else {
                    lines([record])
                }
            }
        })
    }
}
