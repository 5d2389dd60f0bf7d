"""The server on FastAPI, uvicorn and httpx: what most such servers in front of a model are.

uvicorn has its fast parts, uvloop and httptools, as it is deployed; httpx has one pool of connections without a limit.
"""

from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from sessions import CHAT, CONNECT_TIMEOUT, READ_TIMEOUT, Refused, Sessions, arguments

said = arguments()
sessions = Sessions()


@asynccontextmanager
async def client(app):
    timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(timeout=timeout, limits=limits) as http:
        app.state.http = http
        yield


app = FastAPI(lifespan=client)


@app.exception_handler(Refused)
async def refused(request: Request, refused: Refused):
    return JSONResponse({"error": refused.text}, status_code=refused.status)


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.post("/sessions")
async def create():
    return sessions.create()


@app.get("/sessions/{session_id}")
async def show(session_id: str):
    return JSONResponse(sessions.show(session_id))


@app.delete("/sessions/{session_id}")
async def delete(session_id: str):
    await sessions.delete(session_id)
    return Response(status_code=204)


@app.post("/sessions/{session_id}/v1/chat/completions")
async def chat(session_id: str, request: Request):
    turn = await sessions.begin(session_id, body := await request.body())
    headers = turn.headers(request.headers)
    try:
        response = await request.app.state.http.post(said.upstream + CHAT, content=body, headers=headers)
    except httpx.HTTPError as failure:
        raise turn.failed(failure) from None
    told = {"content-type": response.headers.get("content-type", "application/json")}
    if response.status_code == 200:
        told["x-session-commit"] = await turn.commit(response.content)
    return Response(response.content, status_code=response.status_code, headers=told)


uvicorn.run(app, host="127.0.0.1", port=said.port, access_log=False, log_level="warning")
