"""Sessions as an asyncio program keeps them: a dictionary, and a lock for each.

Reads a request a line, does the work on this thread, and answers a line with what an operation took, in
nanoseconds on the clock and of processor time, and how many were done. The other end is src/rival/python.rs.
"""

import asyncio
import gc
import json
import random
import sys
import time
import tracemalloc
import uuid


class Session:
    """What a gateway that was made by hand keeps: the turn that runs, numbers, a transcript."""

    __slots__ = ("lock", "running", "generation", "committed", "entries", "payload")

    def __init__(self):
        self.lock = asyncio.Lock()
        self.running = None
        self.generation = 0
        self.committed = 0
        self.entries = []
        self.payload = bytes(200)


class Sessions:
    """The dictionary."""

    def __init__(self):
        self.by_key = {}

    def open(self, key):
        session = self.by_key.get(key)
        if session is None:
            session = self.by_key[key] = Session()
        return session


def keys(first, count):
    """The same keys as everybody's."""
    return [f"irc/chat=room-{number:012d}/user=somebody" for number in range(first, first + count)]


async def turn(session, input=None, reply=None):
    """Begin under the lock, commit under it, with a ticket in between."""
    async with session.lock:
        if session.running is not None:
            raise RuntimeError("nobody else is there")
        session.generation += 1
        session.running = stream = uuid.uuid4()
        if input is not None:
            session.entries.append(json.dumps(input))
    async with session.lock:
        if session.running is not stream:
            raise RuntimeError("nobody has ended it")
        session.running = None
        session.committed += 1
        if reply is not None:
            session.entries.append(json.dumps(reply))


def zipf(sessions, exponent=0.99):
    """The weights of the first, of the first two, and so on; who comes where is mixed."""
    sums, total = [], 0.0
    for rank in range(1, sessions + 1):
        total += rank**-exponent
        sums.append(total)
    order = list(range(sessions))
    random.Random(77).shuffle(order)
    return order, sums


class Work:
    """What can be asked for. Each answers with how many it has done and how long that took."""

    def __init__(self):
        self.sessions = Sessions()
        self.opened = []

    def timed(self, count, start):
        cpu, wall = start
        return {
            "cpu": (time.process_time_ns() - cpu) / count,
            "wall": (time.perf_counter_ns() - wall) / count,
            "done": count,
        }

    @staticmethod
    def now():
        gc.collect()
        return time.process_time_ns(), time.perf_counter_ns()

    async def fill(self, sessions):
        """Has so many sessions for what comes."""
        self.sessions = Sessions()
        self.opened = [self.sessions.open(key) for key in keys(0, sessions)]
        return {"cpu": 0, "wall": 0, "done": len(self.sessions.by_key)}

    async def create(self, count):
        names, sessions = keys(0, count), Sessions()
        start = self.now()
        for key in names:
            sessions.open(key)
        found = self.timed(count, start)
        assert len(sessions.by_key) == count
        return found

    async def look_up(self, sessions, count):
        names = keys(0, sessions)
        drawn = [names[random.randrange(sessions)] for _ in range(count)]
        by_key = self.sessions.by_key
        start = self.now()
        for key in drawn:
            if by_key.get(key) is None:
                raise RuntimeError("it is known")
        return self.timed(count, start)

    async def turns(self, sessions, count, popularity, said):
        if popularity == "zipf":
            order, sums = zipf(sessions)
            drawn = random.choices(order, cum_weights=sums, k=count)
        else:
            drawn = [random.randrange(sessions) for _ in range(count)]
        input = {"role": "user", "content": "m" * 32} if said else None
        reply = {"role": "assistant", "content": "m" * 128} if said else None
        opened = self.opened
        before = sum(session.committed for session in opened)
        start = self.now()
        for number in drawn:
            await turn(opened[number], input, reply)
        found = self.timed(count, start)
        assert sum(session.committed for session in opened) == before + count
        return found

    async def race(self, count, racers):
        names, sessions = keys(0, count), Sessions()

        async def open(key):
            return sessions.open(key)

        start = self.now()
        for key in names:
            found = await asyncio.gather(*[asyncio.create_task(open(key)) for _ in range(racers)])
            if any(session is not found[0] for session in found):
                raise RuntimeError("they are one")
        answer = self.timed(count, start)
        assert len(sessions.by_key) == count
        return answer

    async def delete(self, count):
        names, sessions = keys(0, count), Sessions()
        for key in names:
            sessions.open(key)
        start = self.now()
        for key in names:
            del sessions.by_key[key]
        found = self.timed(count, start)
        assert not sessions.by_key
        return found

    async def sweep(self, count, due):
        """Finds those that are due and takes them out, by looking at all of them."""
        names, sessions = keys(0, count), Sessions()
        for key in names:
            sessions.open(key)
        for key in random.sample(names, due):
            sessions.by_key[key].generation = -1
        start = self.now()
        gone = [key for key, session in sessions.by_key.items() if session.generation < 0]
        for key in gone:
            del sessions.by_key[key]
        found = self.timed(due, start)
        assert len(sessions.by_key) == count - due
        return found

    async def memory(self, count):
        """What one weighs, key and all, as the interpreter counts it."""
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        sessions = Sessions()
        for number in range(count):
            sessions.open(keys(number, 1)[0])
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(sessions.by_key) == count
        return {"cpu": (after - before) / count, "wall": (after - before) / count, "done": count}

    async def stuck(self, sessions, each, stuck):
        """The slowest but one in a hundred of turns, beside a session whose lock is held, or not."""
        opened, took = self.opened, []
        hold, waiting = opened[0], []
        if stuck:
            await hold.lock.acquire()
            waiting = [asyncio.create_task(turn(hold)) for _ in range(8)]

        async def busy(session):
            for _ in range(each):
                start = time.perf_counter_ns()
                await turn(session)
                took.append(time.perf_counter_ns() - start)
                await asyncio.sleep(0)

        await asyncio.gather(*[busy(session) for session in opened[1 : sessions + 1]])
        for task in waiting:
            task.cancel()
        if stuck:
            hold.lock.release()
        await asyncio.gather(*waiting, return_exceptions=True)
        took.sort()
        p99 = took[len(took) * 99 // 100]
        return {"cpu": p99, "wall": p99, "done": len(took)}


async def main():
    work = Work()
    for line in sys.stdin:
        request = json.loads(line)
        answer = await getattr(work, request.pop("work"))(**request)
        print(json.dumps(answer), flush=True)


asyncio.run(main())
