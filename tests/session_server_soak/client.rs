//! A client: sessions of its own, and what it does with them while nothing of theirs runs.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::account::Account;
use super::answer::{self, Judged, Told};
use super::dice::Dice;
use super::plan::{Chat, End, Hold, Plan};
use super::world::World;
use crate::rig::spawn;

/// How long anything may take. On a machine that others use as well, that is long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many sessions a client has. Where it has more it deletes one, so that there are always about as many.
const SESSIONS: usize = 3;

/// How many chats a session has before it is deleted, so that the records do not get longer and longer.
const CHATS: usize = 30;

/// What is wrong, or that nothing is.
pub(crate) type Checked<T = ()> = Result<T, String>;

/// A chat that runs.
pub(crate) type Running = JoinHandle<Checked<Judged>>;

/// A client.
pub(crate) struct Client {
    pub(crate) world: Arc<World>,
    pub(crate) dice: Dice,
    number: u32,
    http: reqwest::Client,
    sessions: Vec<Account>,
    /// How much it has said.
    said: u32,
}

/// Waits for something that has to happen.
pub(crate) async fn within<T>(what: &str, happens: impl Future<Output = T>) -> Checked<T> {
    let waited = tokio::time::timeout(PATIENCE, happens).await;
    waited.map_err(|_| format!("{what}: not within {PATIENCE:?}"))
}

impl Client {
    pub(crate) fn new(world: Arc<World>, number: u32) -> Self {
        let dice = Dice::new(world.settings.seed ^ (u64::from(number) << 32));
        let http = world.http.clone();
        Self { world, dice, number, http, sessions: Vec::new(), said: 0 }
    }

    /// Goes on until then; answers the sessions that it has at the end.
    pub(crate) async fn run(mut self, until: Instant) -> Vec<Account> {
        while Instant::now() < until {
            if let Err(wrong) = self.step().await {
                self.world.wrong(format!("client {}: {wrong}", self.number));
            }
        }
        self.sessions
    }

    /// Does something.
    async fn step(&mut self) -> Checked {
        if self.sessions.len() < SESSIONS {
            if let Some(account) = self.create().await? {
                self.sessions.push(account);
            }
            return Ok(());
        }
        let which = self.dice.below(u32::try_from(SESSIONS).unwrap()) as usize;
        // What goes wrong with a session costs the session.
        let mut account = self.sessions.swap_remove(which);
        account.next_round();
        if account.chats > CHATS || self.dice.once_in(12) {
            return self.delete(account).await;
        }
        let kept = match self.dice.below(20) {
            0..6 => self.chat(account).await?,
            6..14 => self.chat_and_meanwhile(account).await?,
            14..16 => return self.storm(account).await,
            16 | 17 => self.look(account).await?,
            18 => self.pass(account).await?,
            _ => self.list(account).await?,
        };
        self.sessions.extend(kept);
        Ok(())
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.world.url()))
    }

    /// Sends a request that has to be answered, with one of these.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        expected: &[u16],
    ) -> Checked<Response> {
        let sent = within("an answer", request.send()).await?;
        let response = sent.map_err(|error| format!("no answer: {error:?}"))?;
        self.world.count("requests", 1);
        let (status, path) = (response.status().as_u16(), response.url().path().to_owned());
        if expected.contains(&status) {
            return Ok(response);
        }
        let told = response.text().await.unwrap_or_default();
        Err(format!("{path}: {status}, and not one of {expected:?}: {told}"))
    }

    pub(crate) async fn json(&self, request: RequestBuilder) -> Checked<Value> {
        let response = self.send(request, &[200]).await?;
        response.json().await.map_err(|error| format!("no JSON: {error}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Checked<Value> {
        self.json(self.ask(Method::GET, path)).await
    }

    /// Says something that was not said before.
    pub(crate) fn draw(&mut self, plan: Plan, streams: bool) -> Chat {
        self.said += 1;
        Chat { text: format!("{}-{}/{}", self.number, self.said, plan.pieces), plan, streams }
    }

    /// Begins to chat, and reads the answer to its end.
    pub(crate) fn begin(&self, id: &str, chat: &Chat) -> Running {
        let path = format!("/sessions/{id}/v1/chat/completions");
        let request = self.ask(Method::POST, &path).json(&chat.body());
        let (chat, world) = (chat.clone(), self.world.clone());
        world.count("chats", 1);
        spawn(async move {
            let response = within("the head of an answer", request.send()).await?;
            let response = response.map_err(|error| format!("no answer: {error:?}"))?;
            let judged = within("an answer", answer::judge(&chat, response)).await?;
            let judged =
                judged.map_err(|wrong| format!("{}: {wrong}: {chat:?}", world.settings.busy))?;
            world.count(judged.told.name(), 1);
            Ok(judged)
        })
    }

    /// What a chat is told that nothing gets in the way of.
    pub(crate) fn expected(&self, chat: &Chat) -> Vec<Told> {
        let told = if chat.plan.end == End::Whole { Told::Committed } else { Told::Failed };
        let full = self.world.is_limited().then_some(Told::Full);
        [told].into_iter().chain(full).collect()
    }

    /// Takes note of what a chat was told, if it may be that.
    pub(crate) fn note(
        account: &mut Account,
        chat: &Chat,
        judged: Judged,
        may: &[Told],
    ) -> Checked<Told> {
        let Judged { told, stream } = judged;
        account.chats += 1;
        if !may.contains(&told) {
            return Err(format!("{}: {told:?}, and not one of {may:?}: {chat:?}", account.id));
        }
        if told == Told::Committed {
            account.commit(&chat.text);
        }
        if stream.is_some() && !matches!(told, Told::Busy | Told::Full) {
            account.over = stream;
        }
        Ok(told)
    }

    /// Creates a session, in one of the ways.
    async fn create(&mut self) -> Checked<Option<Account>> {
        self.said += 1;
        let own = format!("own-{}.{}_{:x}", self.number, self.said, self.world.settings.seed);
        let body = match self.dice.below(5) {
            0 => json!({}),
            1 => json!({"session_id": own}),
            2 => json!({"key": format!("key of {own}"), "ttl": "15m"}),
            3 => json!({"session_id": own, "key": format!("irc/chat={own}"), "ttl": 900}),
            _ if self.world.creates() => return self.create_by_chat(own).await,
            _ => return self.create_for_a_second(own).await,
        };
        let created = self.json(self.ask(Method::POST, "/sessions").json(&body)).await?;
        self.world.count("created", 1);
        let id = created["session_id"].as_str().ok_or("no id")?.to_owned();
        if body["session_id"].is_string() {
            let again = self.ask(Method::POST, "/sessions").json(&json!({"session_id": id}));
            self.send(again, &[409]).await?;
        } else if body["key"].is_string() {
            let again = self.json(self.ask(Method::POST, "/sessions").json(&body)).await?;
            if again["session_id"] != id.as_str() {
                return Err(format!("a key leads to {again} and {id}"));
            }
        }
        Ok(Some(Account::new(id)))
    }

    /// A chat with an id that nobody knows creates it.
    async fn create_by_chat(&mut self, id: String) -> Checked<Option<Account>> {
        let looked = self.get(&format!("/sessions/{id}")).await?;
        if looked["metadata"]["state"] != "unknown" {
            return Err(format!("a look has created {looked}"));
        }
        let chat = self.draw(Plan::whole(3), self.said.is_multiple_of(2));
        let judged = self.finish(self.begin(&id, &chat)).await?;
        self.world.count("created", 1);
        let mut account = Account::new(id);
        Self::note(&mut account, &chat, judged, &self.expected(&chat))?;
        Ok(Some(account))
    }

    /// A session that ends by itself, and that nobody looks at any more.
    async fn create_for_a_second(&self, id: String) -> Checked<Option<Account>> {
        let body = json!({"session_id": id, "ttl": 1});
        self.json(self.ask(Method::POST, "/sessions").json(&body)).await?;
        self.world.count("created", 1);
        self.world.forget(id);
        Ok(None)
    }

    pub(crate) async fn finish(&self, running: Running) -> Checked<Judged> {
        running.await.map_err(|error| format!("a chat that panicked: {error}"))?
    }

    /// A chat, with nothing beside it.
    async fn chat(&mut self, mut account: Account) -> Checked<Option<Account>> {
        let (plan, streams) = (Plan::any(&mut self.dice), self.dice.once_in(2));
        let chat = self.draw(plan, streams);
        let judged = self.finish(self.begin(&account.id, &chat)).await?;
        Self::note(&mut account, &chat, judged, &self.expected(&chat))?;
        Ok(Some(account))
    }

    /// Looks at what is there.
    async fn look(&mut self, mut account: Account) -> Checked<Option<Account>> {
        self.check(&mut account).await?;
        let status = self.get(&format!("/sessions/{}/status", account.id)).await?;
        let idle = status["session_id"] == account.id.as_str()
            && status["state"] == "active"
            && status["active_stream"].is_null()
            && status["queued"] == 0;
        idle.then_some(Some(account)).ok_or_else(|| format!("a session that is not idle: {status}"))
    }

    /// Holds the records against what was told.
    pub(crate) async fn check(&self, account: &mut Account) -> Checked<usize> {
        let session = self.get(&format!("/sessions/{}", account.id)).await?;
        let checked = account.check(&session);
        checked.map_err(|wrong| format!("{}: {wrong}", account.id))
    }

    /// Asks for something that is no chat.
    async fn pass(&mut self, account: Account) -> Checked<Option<Account>> {
        let path = format!("/sessions/{}/v1/models?limit=2", account.id);
        let response = self.send(self.ask(Method::GET, &path), &[200]).await?;
        let ours = answer::header(&response, "x-scripted").is_some();
        let body = response.text().await.map_err(|error| format!("passed on: {error}"))?;
        (ours && body == "passed on").then_some(Some(account)).ok_or(format!("passed on: {body}"))
    }

    /// Walks through all pages: what is its own is there, once.
    async fn list(&mut self, account: Account) -> Checked<Option<Account>> {
        let own: Vec<_> = self.sessions.iter().chain([&account]).map(|it| it.id.clone()).collect();
        let mut found = vec![0; own.len()];
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/sessions?limit=50{after}")).await?;
            for session in page["sessions"].as_array().ok_or("no sessions")? {
                let listed = own.iter().position(|id| session["session_id"] == id.as_str());
                if let Some(at) = listed {
                    found[at] += 1;
                }
            }
            if page["next"].is_null() {
                break;
            }
            after = format!("&after={}", page["next"]);
        }
        let once = found.iter().all(|times| *times == 1);
        once.then_some(Some(account)).ok_or_else(|| format!("{own:?} are listed {found:?} times"))
    }

    /// Deletes a session: what was recorded is looked at for the last time, and then there is nothing.
    async fn delete(&mut self, mut account: Account) -> Checked {
        self.check(&mut account).await?;
        self.bury(&account.id).await?;
        if self.dice.once_in(3) {
            let reuse = json!({"session_id": account.id, "allow_reuse": true});
            self.json(self.ask(Method::POST, "/sessions").json(&reuse)).await?;
            self.world.count("created", 1);
            self.sessions.push(Account::new(account.id));
        }
        Ok(())
    }

    /// Deletes a session.
    pub(crate) async fn bury(&mut self, id: &str) -> Checked {
        let path = format!("/sessions/{id}");
        self.send(self.ask(Method::DELETE, &path), &[204]).await?;
        self.world.count("deleted", 1);
        self.is_gone(id).await?;
        let again = self.ask(Method::POST, "/sessions").json(&json!({"session_id": id}));
        self.send(again, &[410]).await.map(drop)
    }

    /// Asks for a session that was deleted, on every route.
    async fn is_gone(&mut self, id: &str) -> Checked {
        let gone = [self.world.gone()];
        let chat = self.draw(Plan::whole(2).held(Hold::Nowhere), false);
        for (method, path) in [
            (Method::DELETE, ""),
            (Method::GET, ""),
            (Method::GET, "/status"),
            (Method::GET, "/stream"),
            (Method::POST, "/cancel"),
            (Method::POST, "/v1/chat/completions"),
            (Method::GET, "/v1/models"),
        ] {
            let asked = self.ask(method.clone(), &format!("/sessions/{id}{path}"));
            let asked = if method == Method::POST { asked.json(&chat.body()) } else { asked };
            let response = self.send(asked, &gone).await?;
            let told = answer::error(response).await?;
            if !told.contains(id) {
                return Err(format!("an error without the id: {told}"));
            }
        }
        Ok(())
    }
}
