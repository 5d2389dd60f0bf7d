//! What a client does while a turn of its session is in flight. The upstream holds the turn until it is done, so each of
//! these has one answer only.

use reqwest::Method;
use serde_json::{Value, json};

use super::account::Account;
use super::answer::{Judged, Told};
use super::client::{Checked, Client, Running, within};
use super::plan::{Chat, End, Hold, Plan, chunks};
use super::scripted::Held;
use super::world::Busy;

/// A turn that is held, and who waits for its answer.
struct InFlight {
    chat: Chat,
    held: Held,
    running: Running,
}

impl Client {
    /// A chat, and something else while the upstream holds it.
    pub(crate) async fn chat_and_meanwhile(
        &mut self,
        mut account: Account,
    ) -> Checked<Option<Account>> {
        let streams = self.dice.once_in(2);
        let hold = if streams && self.dice.once_in(2) { Hold::Middle } else { Hold::Head };
        let plan = Plan::any(&mut self.dice).held(hold);
        let chat = self.draw(plan, streams);
        let mut gate = self.world.upstream.hold(&chat.text);
        let mut running = self.begin(&account.id, &chat);
        let early = tokio::select! {
            () = gate.arrived() => None,
            early = &mut running => Some(early),
        };
        if let Some(early) = early {
            // Refused, or over before it was held.
            let judged = early.map_err(|error| format!("a chat that panicked: {error}"))??;
            Self::note(&mut account, &chat, judged, &self.expected(&chat))?;
            return Ok(Some(account));
        }
        let rejoins = hold == Hold::Middle && plan.end == End::Whole;
        let turn = InFlight { chat, held: gate, running };
        let mut account = match self.dice.below(8) {
            0 => return self.delete_meanwhile(account, turn).await,
            1 => self.cancel_meanwhile(account, turn).await?,
            2 => self.cancel_another(account, turn).await?,
            3 | 4 => self.chat_once_more(account, turn).await?,
            5 => self.leave(account, turn).await?,
            6 if rejoins => self.rejoin(account, turn).await?,
            _ => self.look_meanwhile(account, turn).await?,
        };
        self.check(&mut account).await?;
        Ok(Some(account))
    }

    /// Waits for the answer to a turn that is in flight.
    async fn told(
        &self,
        account: &mut Account,
        turn: (Chat, Running),
        may: &[Told],
    ) -> Checked<Told> {
        let (chat, running) = turn;
        let judged: Judged = self.finish(running).await?;
        Self::note(account, &chat, judged, may)
    }

    async fn look_meanwhile(&mut self, mut account: Account, turn: InFlight) -> Checked<Account> {
        let InFlight { chat, held, running } = turn;
        let status = self.get(&format!("/sessions/{}/status", account.id)).await?;
        let active = status["active_stream"].as_str().unwrap_or_default().to_owned();
        if status["phase"] != "running" || status["kept_by"] != json!(["turn"]) {
            return Err(format!("a session whose turn runs: {status}"));
        }
        self.check(&mut account).await?;
        held.let_go();
        account.over = None;
        let expected = self.expected(&chat);
        let told = self.told(&mut account, (chat.clone(), running), &expected).await?;
        // What the server says by itself names no turn.
        if account.over.as_ref().is_some_and(|stream| *stream != active) {
            return Err(format!("{told:?} of {:?}, and {active} ran: {chat:?}", account.over));
        }
        Ok(account)
    }

    async fn cancel_meanwhile(&mut self, mut account: Account, turn: InFlight) -> Checked<Account> {
        let InFlight { chat, held, running } = turn;
        let (path, status) = (format!("/sessions/{}", account.id), "/status");
        let active = self.get(&format!("{path}{status}")).await?["active_stream"].clone();
        let which = if self.dice.once_in(2) { json!({"stream_id": active}) } else { json!({}) };
        let cancel = self.ask(Method::POST, &format!("{path}/cancel")).json(&which);
        let told = self.json(cancel).await?;
        if told != json!({"cancelled": true, "stream_id": active}) {
            return Err(format!("a cancel of {active}: {told}"));
        }
        within("a call that is dropped", held.dropped()).await?;
        self.told(&mut account, (chat, running), &[Told::Ended]).await?;
        // It is over, and a cancel hits nobody.
        account.over = active.as_str().map(str::to_owned);
        self.cancel_stale(&account).await?;
        Ok(account)
    }

    /// Cancels a turn that is over.
    async fn cancel_stale(&self, account: &Account) -> Checked {
        let Some(over) = &account.over else { return Ok(()) };
        let path = format!("/sessions/{}/cancel?stream_id={over}", account.id);
        let told: Value = self.json(self.ask(Method::POST, &path)).await?;
        let nobody = told == json!({"cancelled": false, "stream_id": over});
        nobody.then_some(()).ok_or_else(|| format!("a cancel of {over}, which is over: {told}"))
    }

    async fn cancel_another(&mut self, mut account: Account, turn: InFlight) -> Checked<Account> {
        let InFlight { chat, held, running } = turn;
        self.cancel_stale(&account).await?;
        held.let_go();
        let expected = self.expected(&chat);
        self.told(&mut account, (chat, running), &expected).await?;
        Ok(account)
    }

    async fn delete_meanwhile(
        &mut self,
        account: Account,
        turn: InFlight,
    ) -> Checked<Option<Account>> {
        let InFlight { chat, held, running } = turn;
        self.bury(&account.id).await?;
        let mut again = None;
        if self.dice.once_in(2) {
            let reuse = json!({"session_id": account.id, "allow_reuse": true});
            self.json(self.ask(Method::POST, "/sessions").json(&reuse)).await?;
            self.world.count("created", 1);
            again = Some(Account::new(account.id.clone()));
        }
        held.let_go();
        let told = if chat.plan.end == End::Whole { Told::Stale } else { Told::Failed };
        self.told(&mut Account::new(account.id), (chat, running), &[told]).await?;
        if let Some(again) = &mut again {
            // Nothing of what was.
            self.check(again).await?;
        }
        Ok(again)
    }

    /// Leaves: the turn goes on, or it is told to end, as is set.
    async fn leave(&mut self, mut account: Account, turn: InFlight) -> Checked<Account> {
        let InFlight { chat, held, running } = turn;
        running.abort();
        self.world.count("left", 1);
        if self.world.cancels() {
            within("the call of a client that left", held.dropped()).await?;
        } else {
            held.let_go();
        }
        self.until_idle(&account.id).await?;
        if chat.plan.end == End::Whole && !self.world.cancels() {
            account.commit(&chat.text);
        }
        Ok(account)
    }

    /// Waits until nothing runs in a session.
    pub(crate) async fn until_idle(&self, id: &str) -> Checked {
        let idle = async {
            loop {
                let status = self.get(&format!("/sessions/{id}/status")).await?;
                if status["phase"] == "idle" && status["queued"] == 0 {
                    return Ok(());
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        within("a session that is idle", idle).await?
    }

    /// A second turn, while the first is held.
    async fn chat_once_more(&mut self, mut account: Account, turn: InFlight) -> Checked<Account> {
        let InFlight { chat, held, running } = turn;
        let plan = Plan::any(&mut self.dice);
        let streams = self.dice.once_in(2);
        let more = self.draw(plan, streams);
        let second = self.begin(&account.id, &more);
        let mut first_may = self.expected(&chat);
        let mut second_may = self.expected(&more);
        match self.world.settings.busy {
            Busy::Parallel => {
                let told = self.told(&mut account, (more, second), &second_may).await?;
                if told == Told::Committed && chat.plan.end == End::Whole {
                    first_may = vec![Told::Superseded];
                }
                held.let_go();
                self.told(&mut account, (chat, running), &first_may).await?;
            }
            Busy::Reject => {
                self.told(&mut account, (more, second), &[Told::Busy]).await?;
                held.let_go();
                self.told(&mut account, (chat, running), &first_may).await?;
            }
            Busy::Queue => {
                // It may come so late that nothing runs any more, and wait for too long.
                second_may.push(Told::Busy);
                held.let_go();
                self.told(&mut account, (chat, running), &first_may).await?;
                account.next_round();
                self.told(&mut account, (more, second), &second_may).await?;
            }
            Busy::Interrupt => {
                within("a call that is interrupted", held.dropped()).await?;
                self.told(&mut account, (chat, running), &[Told::Ended]).await?;
                self.told(&mut account, (more, second), &second_may).await?;
            }
        }
        Ok(account)
    }

    /// Reads the stream, loses it, and comes back for the rest.
    async fn rejoin(&mut self, mut account: Account, turn: InFlight) -> Checked<Account> {
        let InFlight { chat, held, running } = turn;
        let path = format!("/sessions/{}/stream", account.id);
        let mut first = self.send(self.ask(Method::GET, &path), &[200]).await?;
        let mut read = String::new();
        while !read.contains("\n\n") {
            let bytes = within("the first event", first.chunk()).await?;
            let bytes = bytes.map_err(|error| format!("a stream that broke: {error}"))?;
            read.push_str(&String::from_utf8_lossy(&bytes.ok_or("a stream that ended")?));
        }
        drop(first);
        let id = read.lines().find_map(|line| line.strip_prefix("id: ")).ok_or("no id")?;
        let request = self.ask(Method::GET, &path).header("last-event-id", id);
        let again = self.send(request, &[200]).await?;
        held.let_go();
        let rest = within("the rest of a stream", again.text()).await?;
        let rest = rest.map_err(|error| format!("a stream that broke: {error}"))?;
        let data: Vec<_> = rest.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let mut expected = chunks(&chat.text);
        expected.remove(0);
        expected.push("[DONE]".to_owned());
        if data != expected {
            return Err(format!("the rest of the stream of {chat:?} after {id}: {rest}"));
        }
        self.world.count("rejoined", 1);
        let expected = self.expected(&chat);
        self.told(&mut account, (chat, running), &expected).await?;
        Ok(account)
    }
}
