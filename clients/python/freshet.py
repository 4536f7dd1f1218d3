"""Follow channels of a freshet server, and publish to them.

    async with freshet.connect("http://localhost:7070") as server:
        async for event in server.subscribe("chat/**", last=20):
            print(event["channel"], event["data"])
            await server.publish("log/chat", {"seen": event["id"]})

A subscription is a cursor, a position in the server's log, and a queue of the events after it. All subscriptions of a client share one
connection, the feed. The feed reads by the first mechanism that gets through: a WebSocket, a stream of server-sent events, or
long-polls. All three bring the same records with the same ids. So whatever happens to a connection, the next one begins at the lowest
cursor, and each subscription passes over what it has had.

A new subscription first reads pages up to now. Meanwhile what the feed brings waits, since it may be newer than what the pages lack.

Needs httpx, and websockets for the first mechanism. Python 3.9 and later.
"""

import asyncio
import base64
import inspect
import json
import logging
import random
import time
import urllib.parse
import uuid
from contextlib import suppress

import httpx

try:
    import websockets
except ImportError:  # streams and polls do without
    websockets = None

__all__ = ["connect", "Client", "Subscription", "Presence", "FreshetError", "matches"]

OPENING_S = 8  # for a connection's first record: some proxies hold streams back
SILENCE_S = 60  # heartbeats come every 25 seconds; for a token, too
EARLY_S = 1  # a token is replaced when it has less than that to live
PAUSE_S = (0.5, 10)  # before the next try: it doubles from the first to the last
JOIN_S = 2  # at most between two tries of a state, while the subscription that makes the member is not there yet
QUEUE_MAX = 10_000  # events and records that wait in a subscription
LIST_MAX = 10_000  # members: of more only the first page is read, and the count is kept
PASSING = (408, 410, 425, 429, 500, 502, 503, 504)  # the same request may succeed later


class FreshetError(Exception):
    """A refusal by the server: `problem` is its document (RFC 9457), `status` the status of HTTP."""

    def __init__(self, problem, status, *, token=None, retry_s=None):
        super().__init__(problem.get("detail") or problem.get("title") or f"the server answered {status}")
        self.problem, self.status, self.token, self.retry_s = problem, status, token, retry_s

    @property
    def is_final(self):
        # a share of the server that is used up stays so, though its status is 429
        is_share = self.problem.get("type", "").endswith("/presence-share")
        return self.status >= 400 and (self.status not in PASSING or is_share)


def matches(pattern, channel):
    """Says whether a name or pattern stands for a channel. Wildcards do not stand for the server's own channels."""
    wanted, given = pattern.split("/"), channel.split("/")
    if given[0].startswith("$") and wanted[0] != given[0]:
        return False
    if wanted[-1] == "**":
        wanted.pop()
        fits = len(given) > len(wanted)
    else:
        fits = len(given) == len(wanted)
    return fits and all(part in ("*", name) for part, name in zip(wanted, given))


def _end_of(token):
    """When a JWT ends, in seconds since 1970; 0 for one without end, and for what is no JWT."""
    try:
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return 0


def _call(function, *values):
    """Calls a function of the user's. Its failure is no failure of a connection, and must not keep records from others."""
    if function:
        try:
            function(*values)
        except Exception:
            logging.getLogger("freshet").exception("a function of the user's has failed")


def _pause_after(failures):
    return min(PAUSE_S[0] * 2 ** min(failures, 10), PAUSE_S[1]) * random.uniform(0.5, 1)


async def _end_all(tasks):
    """Ends tasks. Before Python 3.12 `wait_for` may lose an order to end, so it is repeated. An order to end that comes
    meanwhile is obeyed once they have ended: they would else go on with nobody to end them."""
    tasks = set(tasks)
    order = None
    while any(not task.done() for task in tasks):
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks, timeout=0.1)
        except asyncio.CancelledError as cancelled:
            order = cancelled
    for task in tasks:
        task.cancelled() or task.exception()
    if order:
        raise order


class Subscription:
    """The events of a selection, as an asynchronous iterator. All up to `cursor` have been taken from it."""

    def __init__(self, client, channels, types, on_gap):
        self.client, self.channels, self.types, self.on_gap = client, channels, types, on_gap
        self.id = uuid.uuid4().hex
        self.cursor = self.at = self.told = ""  # `at`: how far it has been served, taken or not
        self.joined = self.ended = False
        self.behind = self.spilt = False  # too much waits to be taken; too much came before the pages were read
        self.waiting = []  # None once the feed's order is the subscription's
        self.ready = asyncio.Queue()

    def __aiter__(self):
        return self

    async def __anext__(self):
        kind, value = await self.ready.get()
        if self.behind and not self.ended and self.ready.qsize() < QUEUE_MAX / 2:
            self.behind, self.waiting = False, []
            self.client._spawn(self.client._begin(self, {"after": self.at, **({"told": self.told} if self.told else {})}))
        if kind == "event":
            self.cursor = value.get("id", self.cursor)
            self._rest()
            return value
        self.ready.put_nowait(("end", None))  # for whoever else takes from it
        if kind == "error":
            raise value
        raise StopAsyncIteration

    async def close(self):
        self.client._drop(self)
        self.ended = True
        while not self.ready.empty():
            self.ready.get_nowait()
        self.ready.put_nowait(("end", None))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    def _end(self, last):
        if not self.ended:
            self.ended = True
            self.ready.put_nowait(last)

    def _refused(self, error):
        self.client._drop(self)
        self._end(("error", error))

    def _take(self, record):
        if self.waiting is None:
            self._apply(record)
        elif self.spilt or len(self.waiting) >= QUEUE_MAX:
            self.spilt, self.waiting = True, []
        else:
            self.waiting.append(record)

    def _rest(self):
        """Moves the cursor to where the feed is, once nothing waits to be taken."""
        if self.ready.empty():
            self.cursor = self.at

    def _apply(self, record):
        if self.behind or self.ended:
            return
        if self.joined and self.ready.qsize() >= QUEUE_MAX:  # what follows is read when there is room
            self.behind, self.joined = True, False
            self.client.feed.leave(self)
        elif record["op"] == "event":
            self._apply_event(record["event"], record.get("apart"))
        elif record["op"] == "beat":
            self.at = max(self.at, record["cursor"])
        elif record["op"] == "gap":
            self._apply_gap(record)
        self._rest()

    def _apply_event(self, event, apart):
        """An event of another subscription's channel says where the feed is, unless it came `apart` from the order of the log."""
        if event.get("id", "~") <= self.at:
            return
        is_own = any(matches(name, event["channel"]) for name in self.channels)
        if is_own or not apart:
            self.at = event.get("id", self.at)
        if is_own and (not self.types or event["type"] in self.types):
            self.ready.put_nowait(("event", event))

    def _apply_gap(self, record):
        earliest = record["earliest"]
        if record.get("reason") == "unknown":  # the cursor is of another log, and above all of this one
            self.at = earliest
        elif earliest <= self.told or not (record.get("passed") or earliest > self.at):
            return
        self.told = earliest
        _call(self.on_gap, {name: record.get(name) for name in ("after", "earliest", "reason")})

    def _flow(self):
        """Ends the waiting: from here on the feed's order is the subscription's."""
        waiting, self.waiting = self.waiting or [], None
        for record in sorted((r for r in waiting if r["op"] != "beat"), key=lambda r: r.get("event", {}).get("id", "")):
            self._apply(record)


def _path_of(channel):
    parts = channel.split("/")
    if any(part in (".", "..") for part in parts):  # which would make it the path of another channel
        raise FreshetError({"title": f"{channel} is not a channel's name"}, 400)
    return "/".join(urllib.parse.quote(part, safe="") for part in parts)


class Presence:
    """Who is on a channel, by `async with`; as an asynchronous iterator it gives each change, as a kind and a member.

    The server lists the members and says up to which event the list is good; from there on `$presence/CHANNEL` tells each change.
    The list is read again where events are gone for good, or where the server says `reset` because it has lost some itself.
    """

    def __init__(self, client, channel):
        self.client, self.channel = client, channel
        self.path = "/presence/" + _path_of(channel)
        self.count = self.anonymous = 0
        self.listed = True
        self.me = None
        self.list = {}
        self.is_part = False  # the list has only the first page of the members
        self.state = None
        self.order = asyncio.Lock()
        self.changes = asyncio.Queue()
        self.following = self.task = None
        self.is_stale = self.is_closed = False

    def members(self):
        """The members, by a key for each; kept current."""
        return self.list

    async def set(self, state):
        """Says something of this member to all who watch; None takes it back. Waits while the client's own subscription of the
        channel is beginning, or beginning anew; without one a client that is no member is refused (409)."""
        self.state = state
        return await self._put({"state": state})

    async def read(self, id):
        """Says that this member has read the event of this id, and all before it."""
        return await self._put({"read": id})

    async def close(self):
        self.is_closed = True
        if self.task:
            await _end_all({self.task})
        if self.following:
            await self.following.close()
        self.changes.put_nowait(None)

    async def __aenter__(self):
        await self._begin()
        self.task = self.client._spawn(self._follow())
        return self

    async def __aexit__(self, *_):
        await self.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        change = await self.changes.get()
        if isinstance(change, Exception):
            raise change
        if change is None:
            self.changes.put_nowait(None)  # for whoever else takes from it
            raise StopAsyncIteration
        return change

    @staticmethod
    def _key(member):
        """Names that people gave themselves are told apart from those that the server has checked."""
        return ("" if member["verified"] else "?") + "/" + member["member"]

    async def _put(self, change):
        """Changes are made in the order of the calls."""
        query = {"as": self.client.as_} if self.client.as_ else {}
        headers = {"Content-Type": "application/json"}
        content = json.dumps(change).encode()
        put = lambda: self.client._ask("PUT", self.path + "/me", query, headers=headers, content=content)
        async with self.order:
            pause = 0.05
            while True:
                try:
                    self.me = await self.client._insist(put)
                    return self.me
                except FreshetError as error:
                    if error.status != 409 or self.is_closed or not self.client._follows(self.channel):
                        raise
                pause = min(2 * pause, JOIN_S)
                await asyncio.sleep(pause)

    async def _page(self, after=None):
        return await self.client._insist(lambda: self.client._ask("GET", self.path, {"limit": 1000, **(after or {})}))

    async def _begin(self):
        """Reads the list, and follows it from there."""
        first = page = await self._page()
        members = list(first["members"])
        while page["more"] and first["count"] <= LIST_MAX:
            last = members[-1]
            page = await self._page({"after_member": last["member"], "after_verified": int(last["verified"])})
            members += page["members"]
        self.list.clear()
        self.list.update((self._key(one), one) for one in members)
        self.count, self.anonymous = first["count"], first["anonymous"]
        self.is_part = first["count"] > LIST_MAX
        self.is_stale = False
        self.following = self.client.subscribe("$presence/" + self.channel, after=first["cursor"], on_gap=self._miss)
        mine = self.me and self.list.get(self._key(self.me))
        if mine and "state" not in mine:
            self._say_again()

    def _miss(self, _gap):
        self.is_stale = True
        self.following._end(("end", None))

    async def _follow(self):
        try:
            while True:
                async for event in self.following:
                    self._take(event["type"], event["time"], event["data"])
                    if self.is_stale:
                        break
                if not self.is_stale:
                    return
                await self.following.close()
                await self._begin()
        except FreshetError as error:
            self.changes.put_nowait(error)
        finally:
            self.changes.put_nowait(None)

    def _take(self, kind, time, data):
        key = self._key(data) if "member" in data else None
        known = self.list.get(key)
        if kind in ("count", "reset"):
            self.is_stale |= kind == "reset" or (bool(data.get("listed")) and not self.listed)
            self.count, self.anonymous, self.listed = data["count"], data["anonymous"], data.get("listed", True)
            change = data
        elif kind == "joined" and known or kind == "left" and not known and not self.is_part:
            return  # the list was read between the change and its event
        elif kind == "left":
            change = {**(self.list.pop(key, None) or {}), **data}
        elif kind == "joined":
            change = self.list[key] = {"connections": 1, "since": time, **data}
            if self.me and self._key(self.me) == key:
                self._say_again()
        elif kind == "read" and known and known.get("read", "") >= data["read"]:
            return
        else:  # a read mark may also come from somebody who is away
            change = {**(known or {}), **data}
            if known:
                self.list[key] = change
        if self.is_part:
            self.count += (kind == "joined") - (kind == "left")
        elif kind not in ("count", "reset") and self.listed:
            self.count = len(self.list)
        if self.changes.qsize() < QUEUE_MAX:
            self.changes.put_nowait((kind, change))

    def _say_again(self):
        """The server has this member without the state that it had said."""
        async def say():
            with suppress(FreshetError):
                await self.set(self.state)

        if self.state is not None:
            self.client._spawn(say())


class _NoToken(Exception):
    """The function for tokens has failed, or has not answered in time."""


class _NoFreshet(Exception):
    """An answer that the server does not give: something in between, or in its place, does."""


class _Changed(Exception):
    """The selection has changed: the connection begins anew."""


class _Feed:
    """The connection that serves all subscriptions which have read their pages."""

    def __init__(self, client):
        self.client = client
        self.mechanisms = client.mechanisms
        self.at = self.failures = 0
        self.open, self.socket = set(), None  # `open`: the channels; None while a stream or poll is beginning
        self.since = ""  # every channel that is open is so at the latest from this position on
        self.apart = 0  # subscriptions whose channels a WebSocket brings apart from the others, until it says that they are live
        self.changed = asyncio.Event()
        self.begun = False
        self.retry_s = 0
        self.joining = set()

    def joined(self):
        return [one for one in self.client.subscriptions if one.joined]

    def selection(self):
        """All that is wanted, from the lowest cursor on; None if nothing is. `told` is left out where gaps are not known to all."""
        every = self.joined()
        if not every:
            return None
        told = min(one.told if one.told > one.at else "" for one in every)
        return {"channels": list(dict.fromkeys(name for one in every for name in one.channels)),
                "after": min(one.at for one in every), **({"told": told} if told else {})}

    def join(self, one):
        """Serves `one` from its cursor on. Where the connection lacks a channel, or may have it only from a later position on, what
        waits does so until a new connection brings it once more."""
        is_open = self.open is not None and all(name in self.open for name in one.channels)
        if one.spilt or one.at < self.since or not (self.socket or is_open):
            one.spilt = False
            self.changed.set()
        elif self.socket:
            self.apart += 1
            self.since = one.at
            self.open.update(one.channels)
            self._send({"op": "subscribe", "channels": one.channels, "after": one.at, "ref": one.id,
                        **({"told": one.told} if one.told else {})})
        else:
            one._flow()

    def leave(self, one):
        """A stream or poll that is beginning may have the channel: it begins anew."""
        wanted = {name for other in self.joined() for name in other.channels}
        gone = [name for name in one.channels if name not in wanted and (self.open is None or name in self.open)]
        if gone:
            self.open = self.open and self.open.difference(gone)
            if self.socket and wanted:
                self._send({"op": "unsubscribe", "channels": gone, "ref": 1})
            else:
                self.changed.set()

    def _send(self, message):
        task = asyncio.ensure_future(self.socket.send(json.dumps(message)))
        self.joining.add(task)
        task.add_done_callback(lambda task: (self.joining.discard(task), task.cancelled() or task.exception()))

    async def run(self):
        while True:
            self.changed.clear()
            self.begun = False
            self.retry_s = 0
            self.open = None
            if not self.selection():
                self.client._state("idle")
                await self.changed.wait()
                continue
            error = None
            try:
                await self._until_changed(getattr(self, "_" + self.mechanisms[self.at])())
            except _Changed:
                continue
            except Exception as failure:  # whatever a connection ends by, the next one begins at the cursors
                error = failure
            finally:
                self.open, self.socket = set(), None
            self.client._state("connecting")
            await self._ended(error)

    async def _until_changed(self, reading):
        """Runs a connection until it ends, or the selection changes."""
        connection = asyncio.ensure_future(reading)
        change = asyncio.ensure_future(self.changed.wait())
        try:
            await asyncio.wait({connection, change}, return_when=asyncio.FIRST_COMPLETED)
            if not connection.done():
                raise _Changed
            if not connection.cancelled():  # else it took too long
                connection.result()
        finally:
            await _end_all({connection, change})

    async def _ended(self, error):
        """A mechanism that twice did not begin, although the server answers other requests, gives its place to the next."""
        if isinstance(error, FreshetError) and error.is_final and not await self.client._renewed(error):
            await self._refused(error)
        self.failures = 0 if self.begun else self.failures + 1
        later = isinstance(error, FreshetError) and error.problem.get("type") and not error.is_final
        lame = self.failures > 1 and not later and await self.client._answers()
        if lame:
            self.at = (self.at + 1) % len(self.mechanisms)
            self.failures = 0
        if not lame or self.at == 0:
            with suppress(asyncio.TimeoutError):
                pause = self.retry_s or getattr(error, "retry_s", None) or _pause_after(self.failures)
                await asyncio.wait_for(self.changed.wait(), pause)

    async def _refused(self, refusal):
        """Asks for each subscription alone which of them a refusal concerns. If only all are too much, the newest has to go."""
        every = self.joined()
        for one in every:
            try:
                await self.client._page({"channels": one.channels, "after": one.at, "limit": 1})
            except FreshetError as error:
                if error.is_final:
                    one._refused(error)
            except Exception:  # no answer is no refusal
                pass
        if len(every) > 1 and len(self.joined()) == len(every) and refusal.status in (400, 414):
            every[-1]._refused(refusal)

    def _began(self, selection):
        """A new connection, which serves `selection`, brings once more what waits; the last one may have lacked a channel."""
        self.open, self.since, self.apart = set(selection["channels"]), selection["after"], 0
        joined = self.joined()
        for one in self.client.subscriptions:
            one.waiting = None if one in joined else one.waiting and []

    def _hear(self, record):
        if self.changed.is_set():  # the next connection brings it once more, to those who have just joined too
            return
        if not self.begun:
            self.begun = True
            self.client._state("live", self.mechanisms[self.at])
        self.client.connection = record.get("connection", self.client.connection)
        if record["op"] == "bye":
            self.retry_s = record.get("retry_ms", 0) / 1000
        elif record["op"] == "live":
            self._hear_live(record.get("ref"))
        elif record["op"] in ("event", "beat", "gap"):
            record["apart"] = self.apart
            for one in list(self.client.subscriptions):
                one._take(record)

    def _hear_live(self, ref):
        self.apart -= bool(ref)
        for one in self.joined():
            if one.id == ref and one.spilt:
                self.join(one)
            elif one.id == ref:
                one._flow()

    async def _ws(self):
        if not websockets:
            raise RuntimeError("websockets is not installed")
        self.open = set()  # what is wanted is said once the socket is open
        token = await self.client._token()
        protocols = ["freshet.v1"] + ([f"freshet.token.{token}"] if token else [])
        url = self.client._url("/events").replace("http", "ws", 1)
        socket = await asyncio.wait_for(
            websockets.connect(url, subprotocols=protocols, max_size=None, compression=None), OPENING_S)
        renewal = None
        try:
            selection = self.selection()
            if not selection:
                raise _Changed
            self.socket = socket
            self._began(selection)
            await socket.send(json.dumps({"op": "subscribe", "ref": 0, **selection}))
            renewal = asyncio.ensure_future(self._renew(socket, token))
            while True:
                record = json.loads(await asyncio.wait_for(socket.recv(), SILENCE_S if self.begun else OPENING_S))
                if record["op"] == "error":
                    raise FreshetError(record["problem"], record["problem"].get("status", 400), token=self.client.known)
                if record["op"] == "lost" or record.get("lost"):
                    raise FreshetError({"title": "the rights have changed"}, 403)
                self._hear(record)
        except websockets.ConnectionClosed:
            code, reason = socket.close_code or 1006, socket.close_reason
            if 4400 <= code < 4600:
                raise FreshetError({"type": reason, "title": f"the server closed: {reason}"}, code - 4000,
                                   token=self.client.known) from None
        finally:
            if renewal:
                renewal.cancel()
            self.socket = None
            with suppress(Exception):
                await asyncio.wait_for(socket.close(), 1)

    async def _renew(self, socket, token):
        """Hands over a new token shortly before `token` ends, and so on. Without one the connection ends with the old one."""
        with suppress(_NoToken, websockets.ConnectionClosed):
            while callable(self.client.token) and _end_of(token):
                await asyncio.sleep(max((_end_of(token) - time.time()) * 0.8, EARLY_S))
                token = await self.client._ask_token()
                await socket.send(json.dumps({"op": "auth", "token": token, "ref": 2}))

    async def _sse(self):
        selection = self.selection()
        watch = asyncio.get_running_loop().call_later(OPENING_S, asyncio.current_task().cancel)
        try:
            async with self.client._stream("/events", {**selection, "stream": "sse", "format": "event"}) as response:
                fields = {}
                async for line in _lines(response):
                    name, _, value = line.partition(": ")
                    if name:
                        fields[name] = value
                        continue
                    if "data" in fields:
                        watch.cancel()
                        self.begun or self._began(selection)
                        data = json.loads(fields["data"])
                        own = fields.get("event", "")
                        self._hear({"op": own[1:], "retry_ms": int(fields.get("retry", 0)), **data} if own.startswith("$") else {"op": "event", "event": data})
                    fields = {}
        finally:
            watch.cancel()

    async def _poll(self):
        told = {}
        while True:
            selection = self.selection()
            if not selection:
                raise _Changed
            wait = {"wait": 25} if self.begun else {}
            asked = time.monotonic()
            page = await self.client._page({**selection, **told, **wait})
            told = {"told": page["told"]} if "told" in page else {}
            self.begun or self._began(selection)
            for record in page["records"]:
                self._hear(record)
            if wait and len(page["records"]) == 1 and time.monotonic() - asked < PAUSE_S[0]:
                await asyncio.sleep(PAUSE_S[0])  # something in between has it answered without a wait


async def _lines(response):
    """The lines of a stream. Only a line feed ends one: httpx ends them at separators that data may hold, too."""
    rest = ""
    async for text in response.aiter_text():
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield line


class Client:
    """A client of one server; see `connect`."""

    def __init__(self, url, *, token=None, as_=None, mechanisms=("ws", "sse", "poll"), on_state=None, http=None):
        self.base = url.rstrip("/")
        self.as_, self.connection = as_, None
        self.token, self.mechanisms, self.on_state = token, list(mechanisms), on_state
        self.http = http or httpx.AsyncClient(timeout=httpx.Timeout(10, read=SILENCE_S))
        self.subscriptions = {}
        self.known = None
        self.state, self.mechanism = "idle", None
        self.order = asyncio.Lock()
        self.tasks = set()
        self.feed = None

    async def __aenter__(self):
        self.feed = _Feed(self)
        self._spawn(self.feed.run())
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        for one in list(self.subscriptions):
            await one.close()
        try:
            await _end_all(self.tasks)
        finally:
            await self.http.aclose()
            self._state("closed")

    def subscribe(self, channels, *, after="now", last=None, types=None, on_gap=None):
        """Follows a channel or pattern, or a list of them, after a cursor, a time, "earliest" or now; or from the newest `last` on."""
        names = [channels] if isinstance(channels, str) else list(channels)
        one = Subscription(self, names, types, on_gap)
        self.subscriptions[one] = True
        self._spawn(self._begin(one, {"last": last} if last else {"after": after}))
        return one

    def presence(self, channel):
        """Watches who is on a channel: `async with client.presence("chat/room1") as room`."""
        return Presence(self, channel)

    async def publish(self, channel, data, *, type=None, key=None, ephemeral=False, if_match=None, except_=None):
        """Publishes text, bytes, or anything else as JSON, and answers with the receipt. Repeats until the server has answered."""
        is_bytes, is_text = isinstance(data, (bytes, bytearray)), isinstance(data, str)
        headers = {"Content-Type": "application/octet-stream" if is_bytes else "text/plain" if is_text else "application/json"}
        if type:
            headers["Event-Type"] = type
        if if_match:
            headers["If-Match"] = f'"{if_match}"'
        if except_:
            headers["Event-Except"] = except_
        if not ephemeral:
            headers["Idempotency-Key"] = f'"{key or uuid.uuid4().hex}"'
        content = bytes(data) if is_bytes else (data if is_text else json.dumps(data)).encode()
        path = "/channels/" + _path_of(channel)

        if any(not value.isprintable() for value in headers.values()):
            raise FreshetError({"title": f"{headers} cannot be headers"}, 400)
        query = {"ephemeral": 1} if ephemeral else {}
        post = lambda: self._ask("POST", path, query, headers=headers, content=content, expected=["time"])
        if ephemeral:
            return await self._insist(post)
        async with self.order:
            return await self._insist(post)

    # What follows is for the feed.

    def _spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _state(self, state, mechanism=None):
        if (state, mechanism) != (self.state, self.mechanism):
            self.state, self.mechanism = state, mechanism
            _call(self.on_state, state, mechanism)

    def _follows(self, channel):
        """Whether a subscription has this channel by its name, which makes a member, now or soon."""
        return any(channel in one.channels for one in self.subscriptions)

    def _drop(self, one):
        if self.subscriptions.pop(one, None) and one.joined:
            self.feed.leave(one)

    async def _begin(self, one, start):
        """Reads pages up to now, then hands the subscription to the feed."""
        try:
            more = True
            while more and one in self.subscriptions:
                query = {"channels": one.channels, "limit": 1000, **({"type": one.types} if one.types else {}), **start}
                page = await self._insist(lambda: self._page(query))
                for record in page["records"]:
                    one._apply(record)
                while one.ready.qsize() >= QUEUE_MAX and one in self.subscriptions:
                    await asyncio.sleep(0.05)
                before, start = start, {"after": one.at or start.get("after"), **({"told": page["told"]} if "told" in page else {})}
                more = page["more"] or page.get("told", "~") < one.at
                if more and start == before:  # something in between says so each time
                    await asyncio.sleep(PAUSE_S[0])
            if one in self.subscriptions:
                one.joined = True
                self.feed.join(one)
        except Exception as error:
            one._refused(error)

    async def _insist(self, ask):
        """Asks until there is an answer that stays."""
        failures = 0
        while True:
            try:
                return await ask()
            except FreshetError as error:
                if error.is_final and not await self._renewed(error):
                    raise
                pause = error.retry_s
            except httpx.UnsupportedProtocol:
                raise
            except (httpx.RequestError, _NoFreshet, _NoToken):
                pause = None
            await asyncio.sleep(pause or _pause_after(failures))
            failures += 1

    def _url(self, path, query=None):
        pairs = [("as", self.as_)] if self.as_ and path == "/events" else []
        for name, value in (query or {}).items():
            for one in value if isinstance(value, list) else [value]:
                pairs.append(("channel" if name == "channels" else name, one))
        return self.base + path + ("?" + urllib.parse.urlencode(pairs) if pairs else "")

    async def _headers(self):
        token = await self._token()
        return token, {"Authorization": f"Bearer {token}"} if token else {}

    async def _request(self, method, path, query=None, *, headers=None, content=None):
        token, own = await self._headers()
        response = await self.http.request(method, self._url(path, query), headers={**own, **(headers or {})}, content=content)
        if response.status_code >= 400:
            raise self._error(response, token)
        return response

    async def _ask(self, *request, expected=(), **options):
        """The document of an answer, which has the `expected` members."""
        response = await self._request(*request, **options)
        try:
            document = response.json()
        except ValueError as error:
            raise _NoFreshet() from error
        if not isinstance(document, dict) or any(name not in document for name in expected):
            raise _NoFreshet()
        return document

    def _stream(self, path, query):
        return _Stream(self, self._url(path, query))

    def _error(self, response, token):
        try:
            problem = response.json()
        except ValueError:
            problem = None
        problem = problem if isinstance(problem, dict) else {}
        retry = response.headers.get("retry-after", "")
        return FreshetError(problem, response.status_code, token=token, retry_s=int(retry) if retry.isdigit() else None)

    async def _page(self, query):
        """A page as records, and whether there is more. A gap (410) is a page that says so."""
        try:
            page = await self._ask("GET", "/events", query, expected=["events", "cursor", "more"])
        except FreshetError as error:
            if error.status != 410 or "earliest" not in error.problem:  # which something said that is no freshet
                raise
            earliest = error.problem["earliest"]
            passed = earliest <= str(query.get("after"))
            return {"records": [{"op": "gap", **error.problem, "passed": passed}], "more": True, "told": earliest}
        events = [{"op": "event", "event": event} for event in page["events"]]
        return {"records": events + [{"op": "beat", "cursor": page["cursor"]}], **{name: page[name] for name in ("more", "told") if name in page}}

    async def _answers(self):
        """The server answers something, so that a mechanism which does not begin is to blame itself."""
        try:
            await self._request("GET", "/healthz")
            return True
        except Exception:
            return False

    async def _token(self):
        if not callable(self.token):
            return self.token
        end = _end_of(self.known)
        if self.known is None or end and end < time.time() + EARLY_S:
            return await self._ask_token()
        return self.known

    async def _ask_token(self):
        try:
            answer = self.token()
            self.known = await asyncio.wait_for(answer, SILENCE_S) if inspect.isawaitable(answer) else answer
        except Exception as error:
            if isinstance(error, asyncio.TimeoutError):
                logging.getLogger("freshet").error("the function for tokens has not answered for %s seconds", SILENCE_S)
            raise _NoToken() from error
        return self.known

    async def _renewed(self, error):
        """After a 401: whether there is another token than the refused one."""
        if error.status != 401 or not callable(self.token):
            return False
        if self.known == error.token:
            self.known = None
        try:
            return await self._token() != error.token
        except _NoToken:  # there may be one later
            return True


class _Stream:
    """A response that is read as it comes."""

    def __init__(self, client, url):
        self.client, self.url = client, url

    async def __aenter__(self):
        token, headers = await self.client._headers()
        request = self.client.http.build_request("GET", self.url, headers=headers)
        self.response = await self.client.http.send(request, stream=True)
        if self.response.status_code >= 400:
            await self.response.aread()
            raise self.client._error(self.response, token)
        return self.response

    async def __aexit__(self, *_):
        await self.response.aclose()


def connect(url="http://localhost:7070", **options):
    """A client of the server at `url`, to be used by `async with`.

    token       a credential, or a function (also an asynchronous one) that gives one; it is asked before a JWT ends, after a 401, and
                again if it fails or takes longer than a minute
    as_         the name under which others see this client as a member, where it has no credential with a subject
    mechanisms  to try in this order: "ws", "sse", "poll"
    on_state    is called with the state ("idle", "connecting", "live", "closed") and the mechanism
    http        an httpx.AsyncClient of yours: for proxies, certificates, time-outs; it should read for longer than 25 seconds, as
                heartbeats and polls take
    """
    return Client(url, **options)
