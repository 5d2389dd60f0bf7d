//! What commands do.

use session_supervisor::{
    CancelOutcome, ChatMessage, CreateError, DeleteOutcome, Entry, EntryMark, NewSession, Session,
    SessionId, StreamId,
};

use crate::chat::Chat;
use crate::command::{Command, HELP};
use crate::said::{self, Partials};
use crate::sessions::{self, Named, short};
use crate::words::{age, chain};

/// How many entries are repeated when a session is opened.
const REPEATED: usize = 4;

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
            Command::Retry(turns) => {
                self.retry(turns);
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
            self.repeat(None).await?;
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
                let places = self.left.come_back(&id);
                self.repeat(places.front().map(|place| place.cursor.stream())).await?;
                self.following.come_back(places, &self.session);
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
        let partials = self.partials(&entries).await;
        self.screen.block(&said::history(&entries, &partials, self.supervisor.now()));
        Ok(())
    }

    /// `/stop`
    fn stop(&mut self) {
        let again = self.again.take().is_some();
        // If something was, its end tells the rest.
        if self.session.stop() == CancelOutcome::NotRunning && !again {
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
        // What was said there is nobody's any more.
        self.left.forget(&id);
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
        self.left.leave(self.session.id(), self.following.leave());
        self.again = None;
        self.session = session;
    }

    /// Repeats the last entries of the session. If the turn `shown` is about to be shown, they are those
    /// up to what it was begun with, since the rest comes.
    async fn repeat(&mut self, shown: Option<StreamId>) -> Result<(), Failed> {
        let mut entries = self.session.entries(0, usize::MAX).await?;
        let begun = |entry: &Entry<ChatMessage>| entry.input && entry.stream == shown;
        if let Some(last) = shown.and_then(|_| entries.iter().position(begun)) {
            entries.truncate(last + 1);
        }
        entries.drain(..entries.len().saturating_sub(REPEATED));
        let mut partials = self.partials(&entries).await;
        partials.retain(|stream, _| Some(*stream) != shown);
        self.screen.block(&said::repeated(&entries, &partials, self.supervisor.now()));
        if let Some(hint) = said::hint(&entries, &partials).filter(|_| shown.is_none()) {
            self.screen.warn(hint);
        }
        Ok(())
    }

    /// What is kept of the replies that these entries did not get.
    async fn partials(&mut self, entries: &[Entry<ChatMessage>]) -> Partials {
        let mut partials = Partials::new();
        let unanswered = entries.iter().filter(|entry| entry.mark == EntryMark::Unanswered);
        for stream in unanswered.filter_map(|entry| entry.stream) {
            match self.session.partial(stream).await {
                Ok(Some(partial)) => drop(partials.insert(stream, partial)),
                Ok(None) => {}
                // The rest of the conversation is shown all the same.
                Err(error) => {
                    self.screen.warn(&format!("the beginning of a reply: {}", chain(&error)));
                }
            }
        }
        partials
    }
}
