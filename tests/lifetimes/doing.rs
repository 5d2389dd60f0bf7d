//! Does what a step says, on a real supervisor, and says what was answered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use session_supervisor::{
    BeginError, BindError, BusyPolicy, ChatMessage, CommitOutcome, DeleteOutcome, ExpiryRules,
    FailedInput, Lease, LeaseError, LeaseRenewal, Lookup, NewSession, Parallel, Previous,
    RecordFilter, Session, SessionError, SessionId, Turn,
};

use crate::driver::{Driver, account, keyed};
use crate::history::{CLASSES, Change, Finish, Policy, Step, Verb};
use crate::model::{Played, Refusal, Report, Told, World};

impl Driver {
    pub(crate) async fn act(
        &mut self,
        step: &Step,
        played: &mut Played<'_>,
        world: &mut World,
    ) -> Told {
        let who = played.who.unwrap_or_default();
        match step {
            Step::Open { key, class, own } => {
                let new = new(*class, own.clone());
                let opened = self.supervisor().open_with(&keyed(*key), || new).await.unwrap();
                self.opened(&opened.session, opened.created, opened.previous.as_ref())
            }
            Step::Reset { key, class } => {
                let opened =
                    self.supervisor().reset(&keyed(*key), new(*class, None)).await.unwrap();
                self.opened(&opened.session, opened.created, opened.previous.as_ref())
            }
            Step::Create { class, own } => {
                let new = new(*class, own.clone());
                let session = self.supervisor().create(new).await.unwrap();
                self.opened(&session, true, None)
            }
            Step::Say { key } => {
                let said = ChatMessage::user("a line");
                let began = self.supervisor().begin(&keyed(*key), &said, BusyPolicy::Reject).await;
                // The session may have come to be by it.
                let bound = self.behind.bound_to(&keyed(*key)).await.unwrap().unwrap();
                let who = self.number(&bound);
                self.began(who, began, played)
            }
            Step::Begin { policy, .. } => self.begin(who, *policy, played).await,
            Step::Finish { turn, how } => {
                if self.turns.is_empty() {
                    return Told::Skipped;
                }
                let (begin, who, turn) = self.turns.remove(usize::from(*turn) % self.turns.len());
                (played.begin, played.who) = (begin, Some(who));
                finish(turn, *how).await
            }
            Step::Change { what, .. } => {
                let session = match self.handle(who).await {
                    Ok(session) => session,
                    Err(refusal) => return Told::Refused(refusal),
                };
                done(match what {
                    Change::Append => {
                        session.append(&[ChatMessage::user("a note")]).await.map(|_| ())
                    }
                    Change::Insert => session.insert("mood", &"good").await.map(|_| ()),
                    Change::Label => session.set_label(Some("a title")).await,
                })
            }
            Step::Touch { .. } => match self.handle(who).await {
                Ok(session) => done(session.touch().await),
                Err(refusal) => Told::Refused(refusal),
            },
            Step::Lease { millis, .. } => match self.handle(who).await {
                Ok(session) => {
                    let taken = session.lease("a job", Duration::from_millis(*millis)).await;
                    self.leased(taken, played)
                }
                Err(refusal) => Told::Refused(refusal),
            },
            Step::Renew { lease, millis } => {
                if self.leases.is_empty() {
                    return Told::Skipped;
                }
                let (number, lease) = &self.leases[usize::from(*lease) % self.leases.len()];
                played.begin = *number;
                match lease.renew(Duration::from_millis(*millis)).unwrap() {
                    LeaseRenewal::Expired => Told::Late,
                    _ => Told::Done,
                }
            }
            Step::Release { lease } => {
                if self.leases.is_empty() {
                    return Told::Skipped;
                }
                let at = usize::from(*lease) % self.leases.len();
                let (number, lease) = self.leases.remove(at);
                played.begin = number;
                if lease.release() { Told::Done } else { Told::Late }
            }
            Step::Look { .. } => self.look(who).await,
            Step::LookUp { .. } => {
                match self.supervisor().look_up(&self.sessions[who]).await.unwrap() {
                    Lookup::Live(session) => {
                        self.handles.insert(who, session);
                        Told::Found
                    }
                    Lookup::Gone(tombstone) => Told::Refused(Refusal::Gone(tombstone.reason)),
                    _ => Told::Refused(Refusal::Unknown),
                }
            }
            Step::Cancel { .. } => {
                let Some(session) = self.handles.get(&who).filter(|_| !self.hangs()) else {
                    return Told::Skipped;
                };
                session.stop();
                self.told = true;
                Told::Done
            }
            Step::Verb { .. } | Step::Pin { .. } | Step::Rules { .. } => {
                match self.handle(who).await {
                    Ok(session) => done(say(&session, step).await),
                    Err(refusal) => Told::Refused(refusal),
                }
            }
            Step::Rebind { key, .. } => match self.handle(who).await {
                Ok(session) => rebound(self.supervisor().rebind(&keyed(*key), &session).await),
                Err(refusal) => Told::Refused(refusal),
            },
            Step::Unbind { key } => {
                self.supervisor().unbind(&keyed(*key)).await.unwrap();
                Told::Done
            }
            Step::Delete { .. } => {
                match self.supervisor().delete(&self.sessions[who]).await.unwrap() {
                    DeleteOutcome::Deleted(_) => Told::Deleted,
                    DeleteOutcome::AlreadyGone(tombstone) => Told::AlreadyGone(tombstone.reason),
                    _ => Told::Refused(Refusal::Unknown),
                }
            }
            Step::Wait { millis } => {
                self.pass_time(millis - 1).await;
                Told::Done
            }
            Step::Edge { late, .. } => {
                let left = world.left(who, self.now()).unwrap_or(0) + i64::from(*late) - 1;
                let Ok(left) = u64::try_from(left) else { return Told::Skipped };
                self.pass_time(left).await;
                Told::Done
            }
            Step::Jump { .. } if self.hangs() => Told::Skipped,
            Step::Jump { millis } => {
                let wall = self.clock.wall.fetch_add(*millis, Ordering::Relaxed);
                assert!(wall > 0);
                world.jump(*millis);
                played.before = self.now();
                // Somebody has to see it before much time passes: what is stored between the two is taken for
                // older than the jump.
                self.supervisor().prune(true).await.unwrap();
                self.host.asked.lock().unwrap().clear();
                Told::Done
            }
            Step::Mood { keeps, rites } => {
                self.set_moods((*keeps, *rites), world);
                Told::Done
            }
            Step::Prune { dry } => self.prune(*dry).await,
            Step::Explain { .. } => {
                Told::Explained(account(self.supervisor(), &self.sessions[who]).await)
            }
            Step::Restart { how, .. } => self.stop(*how).await,
            Step::Started => Told::Done,
        }
    }

    pub(crate) fn opened(
        &mut self,
        session: &Session,
        created: bool,
        previous: Option<&Previous>,
    ) -> Told {
        let previous = self.previous(previous);
        let says = self.previous(session.previous());
        let who = self.number(session.id());
        self.handles.insert(who, session.clone());
        Told::Opened { who, created, previous, says }
    }

    pub(crate) fn began(
        &mut self,
        who: usize,
        began: Result<Turn, BeginError>,
        played: &mut Played<'_>,
    ) -> Told {
        self.begins += 1;
        (played.begin, played.who) = (self.begins, Some(who));
        match began {
            Ok(turn) => {
                self.turns.push((self.begins, who, turn));
                Told::Begun
            }
            Err(error) => Told::Refused(refused(error)),
        }
    }

    pub(crate) fn leased(
        &mut self,
        taken: Result<Lease, LeaseError>,
        played: &mut Played<'_>,
    ) -> Told {
        self.begins += 1;
        played.begin = self.begins;
        match taken {
            Ok(lease) => {
                self.leases.push((self.begins, lease));
                Told::Done
            }
            Err(LeaseError::Session(error)) => done(Err(error)),
            Err(error) => Told::Refused(Refusal::Other(format!("{error:?}"))),
        }
    }

    pub(crate) async fn begin(
        &mut self,
        who: usize,
        policy: Policy,
        played: &mut Played<'_>,
    ) -> Told {
        let session = match self.handle(who).await {
            Ok(session) => session,
            Err(refusal) => return Told::Refused(refusal),
        };
        let said = ChatMessage::user("a line");
        let policy = match policy {
            Policy::Reject => {
                let began = session.begin(&said, BusyPolicy::Reject).await;
                return self.began(who, began, played);
            }
            Policy::Queue => BusyPolicy::queue(),
            Policy::Parallel => BusyPolicy::Parallel(Parallel::FirstCommit),
        };
        let begin = tokio::spawn(async move { session.begin(&said, policy).await });
        self.answer().await;
        if begin.is_finished() {
            return self.began(who, begin.await.unwrap(), played);
        }
        self.begins += 1;
        played.begin = self.begins;
        self.waiting.push((self.begins, who, begin));
        Told::Waits
    }

    pub(crate) async fn look(&self, who: usize) -> Told {
        if let Some(session) = self.handles.get(&who) {
            session.status();
            // Whatever they say: it may be gone.
            drop(session.entries(0, 10).await);
            drop(session.get::<String>("mood").await);
            drop(session.record().await);
        }
        let supervisor = self.supervisor();
        supervisor.record(&self.sessions[who]).await.unwrap();
        supervisor.list(RecordFilter::default(), None, 10).await.unwrap();
        supervisor.inspect(&self.sessions[who]);
        Told::Done
    }

    pub(crate) async fn prune(&mut self, dry: bool) -> Told {
        let report = self.supervisor().prune(dry).await.unwrap();
        assert_eq!(report.expired, report.expired_sessions.len());
        assert_eq!(report.kept, report.kept_sessions.len());
        assert_eq!((report.failed, report.dry_run), (report.failures.len(), dry));
        let expired = report.expired_sessions.iter().map(|it| {
            let active = i64::try_from(it.last_active_at.as_millis()).unwrap();
            (self.number(&it.id), it.clock, active)
        });
        let expired = expired.collect();
        let kept = report.kept_sessions.iter().map(|(id, by)| (self.number(id), by.clone()));
        let kept = kept.collect();
        Told::Report(Report { expired, kept, deleted: report.deleted, failures: report.failures })
    }
}

fn new(class: Option<u8>, own: Option<ExpiryRules>) -> NewSession<ChatMessage> {
    let mut new = NewSession::new();
    if let Some(class) = class {
        new = new.class(CLASSES[usize::from(class)]);
    }
    match own {
        Some(own) => new.expiry(own),
        None => new,
    }
}

async fn say(session: &Session, step: &Step) -> Result<(), SessionError> {
    match step {
        Step::Verb { verb: Verb::Suspend, .. } => session.suspend().await,
        Step::Verb { verb: Verb::Resume, .. } => session.resume().await,
        Step::Verb { verb: Verb::Archive, .. } => session.archive().await,
        Step::Verb { verb: Verb::Restore, .. } => session.restore().await,
        Step::Verb { verb: Verb::End, .. } => session.end().await,
        Step::Pin { pinned: true, .. } => session.pin().await,
        Step::Pin { pinned: false, .. } => session.unpin().await,
        Step::Rules { own, .. } => session.set_expiry(own.clone()).await,
        _ => panic!("{step:?}"),
    }
}

async fn finish(turn: Turn, how: Finish) -> Told {
    let failed = match how {
        Finish::Commit => {
            return match turn.commit(&ChatMessage::assistant("a reply")).await.unwrap() {
                CommitOutcome::Committed { .. } => Told::Ended,
                CommitOutcome::Superseded { .. } => Told::Lost,
                _ => Told::Late,
            };
        }
        Finish::Drop => return Told::Done,
        Finish::FailKeep => FailedInput::Keep,
        Finish::FailDrop => FailedInput::Drop,
    };
    if turn.fail(failed).await.unwrap().is_some() { Told::Late } else { Told::Ended }
}

fn done(result: Result<(), SessionError>) -> Told {
    match result {
        Ok(()) => Told::Done,
        Err(SessionError::Inactive { standing, .. }) => Told::Refused(Refusal::Inactive(standing)),
        Err(SessionError::Gone { tombstone, .. }) => Told::Refused(Refusal::Gone(tombstone.reason)),
        Err(SessionError::Unknown { .. }) => Told::Refused(Refusal::Unknown),
        Err(error) => Told::Refused(Refusal::Other(format!("{error:?}"))),
    }
}

pub(crate) fn refused(error: BeginError) -> Refusal {
    match error {
        BeginError::Inactive { standing, .. } => Refusal::Inactive(standing),
        BeginError::Gone { tombstone, .. } => Refusal::Gone(tombstone.reason),
        BeginError::Unknown { .. } => Refusal::Unknown,
        BeginError::Closing { .. } => Refusal::Closing,
        BeginError::Busy { .. } => Refusal::Busy,
        BeginError::Cancelled { .. } => Refusal::Told,
        error => Refusal::Other(format!("{error:?}")),
    }
}

fn rebound(result: Result<Option<SessionId>, BindError>) -> Told {
    match result {
        Ok(_) => Told::Done,
        Err(BindError::Gone { tombstone, .. }) => Told::Refused(Refusal::Gone(tombstone.reason)),
        Err(BindError::Unknown { .. }) => Told::Refused(Refusal::Unknown),
        Err(BindError::Unroutable { standing, .. }) => Told::Refused(Refusal::Inactive(standing)),
        Err(error) => Told::Refused(Refusal::Other(format!("{error:?}"))),
    }
}
