"""What both Python servers keep: a dictionary of sessions, with a lock for each.

What a chat needs of the contract is there: the body is checked, turns run in parallel, the first to commit wins, a session that
is deleted meanwhile records nothing, and records are told. There is no store, no stream, no limit and no metric.
"""

import argparse
import asyncio
import json
import time
import uuid

CHAT = "/v1/chat/completions"
MAX_BODY = 32 << 20
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 600
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length",
}


class Refused(Exception):
    """What the client is told instead."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status
        self.text = text


class Session:
    __slots__ = ("lock", "version", "deleted", "records")

    def __init__(self):
        self.lock = asyncio.Lock()
        self.version = 0
        self.deleted = False
        self.records = []


class Turn:
    """One chat, from its body to its record."""

    __slots__ = ("session_id", "session", "asked", "began", "version")

    def headers(self, headers):
        """What the upstream is told."""
        kept = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
        kept["X-SMG-Routing-Key"] = self.session_id
        return kept

    def failed(self, failure):
        return Refused(502, f"backend transport error: {failure}: session_id={self.session_id}")

    async def commit(self, answer):
        """Records an answer of the upstream; answers with what became of it."""
        session = self.session
        try:
            answered = json.loads(answer)
            answered["choices"][0]["message"]
        except (ValueError, LookupError, TypeError):
            text = f"the upstream's answer has no choices[0].message: session_id={self.session_id}"
            raise Refused(502, text) from None
        async with session.lock:
            if session.deleted:
                return "stale"
            if session.version != self.version:
                return "superseded"
            session.version += 1
            session.records.append({
                "timestamp": time.time(), "request_timestamp": self.began, "method": "POST",
                "path": CHAT, "request": self.asked, "response": answered, "status_code": 200,
            })
            return "committed"


class Sessions:
    def __init__(self):
        self.sessions = {}

    def create(self):
        session_id = uuid.uuid4().hex
        self.sessions[session_id] = Session()
        return {"session_id": session_id}

    def find(self, session_id):
        session = self.sessions.get(session_id)
        if session is None:
            raise Refused(404, f"session not found: session_id={session_id}")
        return session

    def show(self, session_id):
        return {"session_id": session_id, "records": self.find(session_id).records}

    async def delete(self, session_id):
        session = self.find(session_id)
        async with session.lock:
            session.deleted = True
            del self.sessions[session_id]

    async def begin(self, session_id, body):
        turn = Turn()
        turn.session_id, turn.session = session_id, self.find(session_id)
        try:
            turn.asked = json.loads(body)
        except ValueError:
            raise Refused(400, f"the body is not JSON: session_id={session_id}") from None
        turn.began = time.time()
        async with turn.session.lock:
            turn.version = turn.session.version
        return turn


def arguments():
    known = argparse.ArgumentParser()
    known.add_argument("--port", type=int, required=True)
    known.add_argument("--upstream", required=True)
    return known.parse_args()
