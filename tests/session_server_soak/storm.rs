//! Everything at once in one session, and nobody waits for anything. What each is told depends on who was first, so it is only
//! held against what any order could bring; the records, against what was told.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use super::account::Account;
use super::answer::Told;
use super::client::{Checked, Client, Running};
use super::plan::{Chat, End, Plan};
use super::world::Busy;
use crate::rig::spawn;

/// What was set going.
#[derive(Default)]
struct Storm {
    chats: Vec<(Chat, Running, Option<Duration>)>,
    /// Whatever answers with one of these.
    others: Vec<JoinHandle<Checked>>,
    cancels: bool,
    deletes: bool,
}

impl Client {
    /// Does several things at once, and deletes the session at the end: a chat whose client has left may still be on its way
    /// to the server when everything there looks idle.
    pub(crate) async fn storm(&mut self, mut account: Account) -> Checked {
        let mut storm = Storm::default();
        for _ in 0..3 + self.dice.below(4) {
            self.set_going(&account.id, &mut storm);
        }
        let may = |chat: &Chat| self.storm_may(chat, &storm);
        let may: Vec<_> = storm.chats.iter().map(|(chat, ..)| may(chat)).collect();
        for ((chat, mut running, leaves), may) in storm.chats.into_iter().zip(may) {
            let judged = match leaves {
                Some(after) => tokio::time::timeout(after, &mut running).await.ok(),
                None => Some((&mut running).await),
            };
            if let Some(judged) = judged {
                let judged = judged.map_err(|error| format!("a chat that panicked: {error}"))??;
                Self::note(&mut account, &chat, judged, &may)?;
            } else {
                running.abort();
                self.world.count("left", 1);
                account.leave_open(&chat.text);
            }
        }
        for other in storm.others {
            other.await.map_err(|error| format!("a request that panicked: {error}"))??;
        }
        if storm.deletes {
            return Ok(());
        }
        self.until_idle(&account.id).await?;
        self.check(&mut account).await?;
        self.bury(&account.id).await
    }

    /// What a chat may be told in it.
    fn storm_may(&self, chat: &Chat, storm: &Storm) -> Vec<Told> {
        let mut may = self.expected(chat);
        if storm.cancels {
            may.push(Told::Ended);
        }
        if storm.deletes {
            may.push(Told::Gone);
        }
        if storm.deletes && chat.plan.end == End::Whole {
            may.push(Told::Stale);
        }
        may.extend(match self.world.settings.busy {
            Busy::Parallel if chat.plan.end == End::Whole => Some(Told::Superseded),
            Busy::Parallel => None,
            Busy::Reject | Busy::Queue => Some(Told::Busy),
            Busy::Interrupt => Some(Told::Ended),
        });
        may
    }

    /// Sets something going.
    fn set_going(&mut self, id: &str, storm: &mut Storm) {
        let path = format!("/sessions/{id}");
        match self.dice.below(10) {
            0..5 => {
                let (plan, streams) = (Plan::any(&mut self.dice), self.dice.once_in(2));
                let chat = self.draw(plan, streams);
                let leaves = self.dice.once_in(3).then(|| self.dice.below(30));
                let leaves = leaves.map(|after| Duration::from_millis(after.into()));
                let running = self.begin(id, &chat);
                storm.chats.push((chat, running, leaves));
            }
            5 => {
                storm.cancels = true;
                let cancel = self.ask(Method::POST, &format!("{path}/cancel")).json(&json!({}));
                self.also(storm, cancel, &[200]);
            }
            6 => self.also(storm, self.ask(Method::GET, &format!("{path}/status")), &[200]),
            7 => self.also(storm, self.ask(Method::GET, &format!("{path}/stream")), &[200, 204]),
            8 if !storm.deletes && self.dice.once_in(2) => {
                storm.deletes = true;
                self.world.count("deleted", 1);
                self.also(storm, self.ask(Method::DELETE, &path), &[204]);
            }
            _ => self.also(storm, self.ask(Method::GET, &path), &[200]),
        }
    }

    /// Sends a request and reads its answer to the end, which is one of these, or that the session is gone.
    fn also(&self, storm: &mut Storm, request: reqwest::RequestBuilder, expected: &[u16]) {
        let mut expected = expected.to_vec();
        if expected != [204] {
            expected.push(self.world.gone());
        }
        let world = self.world.clone();
        storm.others.push(spawn(async move {
            let response = super::client::within("an answer", request.send()).await?;
            let response = response.map_err(|error| format!("no answer: {error:?}"))?;
            world.count("requests", 1);
            let status = response.status().as_u16();
            let read = super::client::within("a whole answer", response.text()).await?;
            let read = read.map_err(|error| format!("{status}: an answer that broke: {error}"))?;
            let fine = expected.contains(&status);
            fine.then_some(()).ok_or_else(|| format!("{status}, not one of {expected:?}: {read}"))
        }));
    }
}
