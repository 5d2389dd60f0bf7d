//! What commands do.

use session_supervisor::{
    CancelOutcome, CreateError, DeleteOutcome, NewSession, Session, SessionId,
};

use crate::chat::Chat;
use crate::command::{Command, HELP};
use crate::said;
use crate::sessions::{self, Named, short};
use crate::words::{age, chain};

/// How many entries are repeated when a session is opened.
const REPEATED: u64 = 4;

/// Why a command failed; told to the user, who goes on.
type Failed = Box<dyn std::error::Error>;

impl Chat {
    /// Does what a line asks for. An error is told, and the chat goes on.
    pub(crate) async fn perform(&mut self, command: Command) {
        let done = match command {
            Command::Nothing => Ok(()),
            Command::Say(text) => {
                self.say(text).await;
                Ok(())
            }
            Command::New => self.start_anew().await,
            Command::Sessions => self.list().await,
            Command::Open(word) => self.open(&word).await,
            Command::History => self.history().await,
            Command::Stop => {
                self.stop();
                Ok(())
            }
            Command::Delete(word) => self.delete(word.as_deref()).await,
            Command::Help => {
                self.screen.block(HELP);
                Ok(())
            }
            Command::Quit => {
                self.end();
                Ok(())
            }
            Command::Unclear(hint) => {
                self.screen.warn(&hint);
                Ok(())
            }
        };
        if let Err(error) = done {
            self.screen.warn(&chain(&*error));
        }
    }

    /// What is told about the session at the start.
    pub(crate) async fn welcome(&mut self) -> Result<(), Failed> {
        if self.session.record().await?.entries > 0 {
            self.screen.note("you were talking about this; /new starts anew");
            self.repeat().await?;
        }
        Ok(())
    }

    /// `/new`
    async fn start_anew(&mut self) -> Result<(), Failed> {
        let opened = self.supervisor.reset(&self.key, NewSession::new()).await?;
        self.go_to(opened.session);
        self.screen.note(&format!("a new session, {}", short(self.session.id())));
        Ok(())
    }

    /// `/sessions`
    async fn list(&mut self) -> Result<(), Failed> {
        let records = sessions::under(&self.supervisor, &self.key).await?;
        self.listed = records.iter().map(|record| record.id.clone()).collect();
        let list = sessions::list(&self.supervisor, &records, self.session.id());
        self.screen.block(&list);
        Ok(())
    }

    /// `/open`
    async fn open(&mut self, word: &str) -> Result<(), Failed> {
        let Some(id) = self.named(word).await? else { return Ok(()) };
        match self.supervisor.open_id(&id).await {
            Ok(session) => {
                self.go_to(session);
                self.screen.note(&format!("session {}", short(&id)));
                self.repeat().await?;
                if let Some(subscription) = self.session.subscribe() {
                    self.following.attach(subscription);
                }
            }
            Err(CreateError::Gone { tombstone, .. }) => {
                let when = age(self.supervisor.now().since(tombstone.at));
                self.screen.warn(&format!("session {} was deleted {when}", short(&id)));
            }
            Err(CreateError::Unknown { .. }) => {
                self.screen.warn(&format!("there is no session {id}; /sessions lists them"));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// `/history`
    async fn history(&mut self) -> Result<(), Failed> {
        let entries = self.session.entries(0, usize::MAX).await?;
        self.screen.block(&said::history(&entries, self.supervisor.now()));
        Ok(())
    }

    /// `/stop`
    fn stop(&mut self) {
        // If something was, its end tells the rest.
        if self.session.stop() == CancelOutcome::NotRunning {
            self.screen.note("nothing is running");
        }
    }

    /// `/delete`
    async fn delete(&mut self, word: Option<&str>) -> Result<(), Failed> {
        let id = match word {
            Some(word) => self.named(word).await?,
            None => Some(self.session.id().clone()),
        };
        let Some(id) = id else { return Ok(()) };
        let short = short(&id);
        match self.supervisor.delete(&id).await? {
            DeleteOutcome::Deleted(_) => self.screen.note(&format!("session {short} is deleted")),
            DeleteOutcome::AlreadyGone(tombstone) => {
                let when = age(self.supervisor.now().since(tombstone.at));
                self.screen.note(&format!("session {short} was deleted already, {when}"));
            }
            _ => self.screen.warn(&format!("there is no session {id}; /sessions lists them")),
        }
        if id == *self.session.id() {
            let session = self.supervisor.open(&self.key).await?;
            self.go_to(session);
            self.screen.note(&format!("now in session {}", sessions::short(self.session.id())));
        }
        Ok(())
    }

    /// Which session `word` means; tells if it means none.
    async fn named(&mut self, word: &str) -> Result<Option<SessionId>, Failed> {
        let records = sessions::under(&self.supervisor, &self.key).await?;
        if self.listed.is_empty() {
            self.listed = records.iter().map(|record| record.id.clone()).collect();
        }
        match sessions::named(word, &self.listed, &records) {
            Named::Session(id) => return Ok(Some(id)),
            Named::Several => self.screen.warn(&format!("several sessions start with {word}")),
            Named::Nothing => {
                self.screen.warn(&format!("there is no session {word}; /sessions lists them"));
            }
        }
        Ok(None)
    }

    /// Makes another session the one that is open. What runs in the old one goes on unseen.
    fn go_to(&mut self, session: Session) {
        self.screen.end_reply();
        self.following.detach();
        self.session = session;
    }

    /// Repeats the last entries of the session.
    async fn repeat(&mut self) -> Result<(), Failed> {
        let record = self.session.record().await?;
        let after = record.next_seq.saturating_sub(1 + REPEATED);
        let entries = self.session.entries(after, usize::MAX).await?;
        self.screen.block(&said::repeated(&entries, self.supervisor.now()));
        Ok(())
    }
}
