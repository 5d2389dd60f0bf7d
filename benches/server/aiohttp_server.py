"""The server on aiohttp, as server and as client, with its C parts and one pool of connections: the fast choice.

uvloop would make it faster still, and is one more dependency with an event loop of its own, so it is not taken.
"""

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from sessions import CHAT, CONNECT_TIMEOUT, MAX_BODY, READ_TIMEOUT, Refused, Sessions, arguments


class Server:
    def __init__(self, upstream):
        self.sessions = Sessions()
        self.upstream = upstream

    async def client(self, app):
        timeout = ClientTimeout(total=None, sock_read=READ_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
        self.http = ClientSession(connector=TCPConnector(limit=0), timeout=timeout)
        yield
        await self.http.close()

    async def health(self, request):
        return web.json_response({"status": "ok"})

    async def create(self, request):
        return web.json_response(self.sessions.create())

    async def show(self, request):
        return web.json_response(self.sessions.show(request.match_info["id"]))

    async def delete(self, request):
        await self.sessions.delete(request.match_info["id"])
        return web.Response(status=204)

    async def chat(self, request):
        turn = await self.sessions.begin(request.match_info["id"], body := await request.read())
        headers = turn.headers(request.headers)
        try:
            async with self.http.post(self.upstream + CHAT, data=body, headers=headers) as response:
                answer = await response.read()
                status, kind = response.status, response.headers.get("content-type")
        except ClientError as failure:
            raise turn.failed(failure) from None
        told = {"content-type": kind or "application/json"}
        if status == 200:
            told["x-session-commit"] = await turn.commit(answer)
        return web.Response(status=status, body=answer, headers=told)


@web.middleware
async def refusals(request, handler):
    try:
        return await handler(request)
    except Refused as refused:
        return web.json_response({"error": refused.text}, status=refused.status)


def main():
    said = arguments()
    server = Server(said.upstream)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[refusals])
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
