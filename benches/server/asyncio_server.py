"""The server as an asyncio program: a dictionary of sessions, a lock for each, aiohttp on both sides.

What a chat needs of the contract is there: the body is checked, turns run in parallel, the first to commit wins, a session that
is deleted meanwhile records nothing, and records are told. There is no store, no stream, no limit and no metric.
aiohttp with its C parts and one pool of connections is the fast choice; uvloop would make it faster still, and is one
more dependency with an event loop of its own, so it is not taken.
"""

import argparse
import asyncio
import json
import time
import uuid

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

CHAT = "/v1/chat/completions"
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length",
}


class Session:
    __slots__ = ("lock", "version", "deleted", "records")

    def __init__(self):
        self.lock = asyncio.Lock()
        self.version = 0
        self.deleted = False
        self.records = []


def error(status, text):
    return web.json_response({"error": text}, status=status)


class Server:
    def __init__(self, upstream):
        self.sessions = {}
        self.upstream = upstream

    async def client(self, app):
        timeout = ClientTimeout(total=None, sock_read=600, sock_connect=10)
        self.http = ClientSession(connector=TCPConnector(limit=0), timeout=timeout)
        yield
        await self.http.close()

    def find(self, request):
        session_id = request.match_info["id"]
        session = self.sessions.get(session_id)
        return session_id, session

    async def health(self, request):
        return web.json_response({"status": "ok"})

    async def create(self, request):
        session_id = uuid.uuid4().hex
        self.sessions[session_id] = Session()
        return web.json_response({"session_id": session_id})

    async def show(self, request):
        session_id, session = self.find(request)
        if session is None:
            return error(404, f"session not found: session_id={session_id}")
        return web.json_response({"session_id": session_id, "records": session.records})

    async def delete(self, request):
        session_id, session = self.find(request)
        if session is None:
            return error(404, f"session not found: session_id={session_id}")
        async with session.lock:
            session.deleted = True
            del self.sessions[session_id]
        return web.Response(status=204)

    async def chat(self, request):
        session_id, session = self.find(request)
        if session is None:
            return error(404, f"session not found: session_id={session_id}")
        body = await request.read()
        try:
            asked = json.loads(body)
        except ValueError:
            return error(400, f"the body is not JSON: session_id={session_id}")
        began = time.time()
        async with session.lock:
            version = session.version
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        }
        headers["X-SMG-Routing-Key"] = session_id
        try:
            async with self.http.post(self.upstream + CHAT, data=body, headers=headers) as response:
                answer = await response.read()
                status, kind = response.status, response.headers.get("content-type")
        except ClientError as failure:
            return error(502, f"backend transport error: {failure}: session_id={session_id}")
        told = {"content-type": kind or "application/json"}
        if status != 200:
            return web.Response(status=status, body=answer, headers=told)
        try:
            answered = json.loads(answer)
            answered["choices"][0]["message"]
        except (ValueError, LookupError, TypeError):
            return error(502, f"the upstream's answer has no choices[0].message: session_id={session_id}")
        async with session.lock:
            if session.deleted:
                commit = "stale"
            elif session.version != version:
                commit = "superseded"
            else:
                commit = "committed"
                session.version += 1
                session.records.append({
                    "timestamp": time.time(), "request_timestamp": began, "method": "POST",
                    "path": CHAT, "request": asked, "response": answered, "status_code": status,
                })
        told["x-session-commit"] = commit
        return web.Response(body=answer, headers=told)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--upstream", required=True)
    said = arguments.parse_args()
    server = Server(said.upstream)
    app = web.Application(client_max_size=32 << 20)
    app.cleanup_ctx.append(server.client)
    app.add_routes([
        web.get("/health", server.health),
        web.post("/sessions", server.create),
        web.get("/sessions/{id}", server.show),
        web.delete("/sessions/{id}", server.delete),
        web.post("/sessions/{id}/v1/chat/completions", server.chat),
    ])
    web.run_app(app, host="127.0.0.1", port=said.port, access_log=None, print=None)


main()
