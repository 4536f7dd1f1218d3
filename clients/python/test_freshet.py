"""freshet.py against the server itself (FRESHET_BIN, else build/freshet): every mechanism brings the same events."""

import asyncio
import base64
import contextlib
import http
import json
import os
import random
import re
import socket
import subprocess
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import freshet
import httpx
import websockets

BIN = os.environ.get("FRESHET_BIN") or str(Path(__file__).resolve().parents[2] / "build/freshet")
PATIENCE_S = 180  # six times what the grace of a poller takes
MECHANISMS = ("ws", "sse", "poll")
SECRET = "correct horse battery staple and more"
RULES = f'access: {{anybody: []}}\ntokens:\n  - secret: "{SECRET}"\n    leeway_s: 0\n'


def free_port():
    """A port on which nobody listens, below those that the kernel gives to whoever asks for any: a server comes back to it."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Server:
    """The program, in a folder of its own."""

    def __init__(self, config=None, data=False):
        self.folder = tempfile.TemporaryDirectory(prefix="freshet-python-")
        self.port = free_port()
        self.args = ["serve", "--listen", f"127.0.0.1:{self.port}"]
        self.args += ["--data", self.folder.name + "/data"] if data else ["--memory"]
        if config:
            Path(self.folder.name, "freshet.yaml").write_text(config)
            self.args += ["--config", self.folder.name + "/freshet.yaml"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen([BIN, *self.args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder.name)
        while b"serves" not in self.process.stdout.readline():
            assert self.process.poll() is None, "the server did not start"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def token(self, ttl, channels="chat/**"):
        done = subprocess.run([BIN, "token", "--secret", SECRET, "--sub", "alice", "--read", channels, "--publish", channels,
                               "--ttl", ttl], capture_output=True, check=True, text=True)
        return done.stdout.strip()

    def end(self):
        self.kill()
        self.folder.cleanup()


class Proxy:
    """Passes bytes on, until they are cut. While `flows` is not set, what streams, waiting polls and WebSockets bring stays."""

    async def start(self, port):
        self.port, self.writers, self.flows = port, set(), asyncio.Event()
        self.flows.set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        try:
            other_reader, other = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        pair, request = {writer, other}, {}
        self.writers |= pair
        await asyncio.wait({asyncio.ensure_future(self._pass_requests(reader, other, request)),
                            asyncio.ensure_future(self._pass(other_reader, writer, request))}, return_when=asyncio.FIRST_COMPLETED)
        self.writers -= pair
        for one in pair:
            one.close()

    async def _pass_requests(self, reader, writer, request):
        try:
            while data := await reader.read(65536):
                if re.match(rb"\w+ /", data):
                    request["follows"] = re.search(rb"[?&](stream|wait)=|upgrade: websocket", data, re.I)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    async def _pass(self, reader, writer, request):
        try:
            while data := await reader.read(65536):
                if request["follows"]:
                    await self.flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    def cut(self):
        for one in list(self.writers):
            one.transport.abort()


class Pretend:
    """A server with an empty log: pages tell `CURSOR`, and `talk(socket, message)` answers what is asked over its WebSockets."""

    CURSOR = "0000000000000001"

    def __init__(self, talk):
        self.talk = talk
        self.opened = asyncio.Event()  # a WebSocket waits for that
        self.opened.set()
        self.handshakes = 0

    async def __aenter__(self):
        self.server = await websockets.serve(self._serve, "127.0.0.1", 0, subprotocols=["freshet.v1"], process_request=self._request)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.opened.set()
        self.server.close()
        await self.server.wait_closed()

    async def _request(self, _path, headers):
        if "Upgrade" not in headers:
            return http.HTTPStatus.OK, [], json.dumps({"events": [], "cursor": self.CURSOR, "more": False}).encode()
        self.handshakes += 1
        await self.opened.wait()

    async def _serve(self, socket):
        async for message in socket:
            for record in self.talk(json.loads(message)):
                await socket.send(json.dumps(record))

    @classmethod
    def answer(cls, message, history=()):
        return [{"op": "ok", "ref": message["ref"]}, *history, {"op": "live", "ref": message["ref"], "cursor": cls.CURSOR}]

    @staticmethod
    def event(number, channel):
        event = {"id": f"{number:016}", "channel": channel, "type": "message", "time": "2026-01-01T00:00:00Z", "data": f"{channel}{number}"}
        return {"op": "event", "event": event}


async def until(condition):
    for _ in range(PATIENCE_S * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


async def take(subscription, count):
    async def events():
        return [await subscription.__anext__() for _ in range(count)]
    return await asyncio.wait_for(events(), PATIENCE_S)


async def data_of(subscription, count):
    return [event["data"] for event in await take(subscription, count)]


class Case(unittest.IsolatedAsyncioTestCase):
    def serve(self, **options):
        server = Server(**options)
        self.addCleanup(server.end)
        return server

    async def by_each(self, check):
        """Runs `check(mechanism)` for all mechanisms side by side: each mostly waits."""
        ends = await asyncio.gather(*(check(mechanism) for mechanism in MECHANISMS), return_exceptions=True)
        for mechanism, end in zip(MECHANISMS, ends):
            with self.subTest(mechanism):
                if isinstance(end, BaseException):
                    raise end


class Freshet(Case):
    async def test_tasks_have_ended_also_when_their_end_was_cancelled(self):
        async def stubborn():  # loses its first orders to end
            for _ in range(3):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(PATIENCE_S)

        task = asyncio.ensure_future(stubborn())
        ending = asyncio.ensure_future(freshet._end_all({task}))
        await asyncio.sleep(0)
        ending.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await ending
        self.assertTrue(task.done())

    def test_a_name_or_pattern_stands_for_the_channels_that_the_server_says(self):
        table = [("a", "a", True), ("a", "b", False), ("a/*", "a/b", True), ("a/*", "a", False), ("a/*", "a/b/c", False),
                 ("a/**", "a/b/c", True), ("a/**", "a", False), ("*/b", "a/b", True), ("**", "a", True),
                 ("**", "$webhooks/x", False), ("*/x", "$webhooks/x", False), ("$webhooks/*", "$webhooks/x", True)]
        for pattern, channel, wanted in table:
            self.assertEqual(freshet.matches(pattern, channel), wanted, f"{pattern} and {channel}")

    async def test_history_and_new_events_come_once_and_in_order_across_lost_connections(self):
        async def check(mechanism):
            server = self.serve(data=True)
            proxy = Proxy()
            await proxy.start(server.port)
            async with freshet.connect(server.url) as publisher, \
                    freshet.connect(proxy.url, mechanisms=[mechanism]) as client:
                for n in range(10):
                    await publisher.publish("a/x", n)
                every = client.subscribe("a/*", after="earliest")
                two = client.subscribe(["a/x", "b"], last=2)
                self.assertEqual(await data_of(every, 10), list(range(10)))
                self.assertEqual(await data_of(two, 2), [8, 9])
                for n in range(10, 50):
                    await client.publish("a/x", n)
                    if n % 10 == 5:
                        proxy.cut()
                self.assertEqual(await data_of(every, 40), list(range(10, 50)))
                self.assertEqual(client.mechanism, mechanism)
                server.kill()
                server.start()
                await client.publish("a/x", 50)
                self.assertEqual(await data_of(every, 1), [50])
                self.assertEqual(await data_of(two, 41), list(range(10, 51)))
            proxy.server.close()

        await self.by_each(check)

    async def test_subscriptions_that_come_and_go_under_load_miss_nothing(self):
        async def check(mechanism):
            server = self.serve()
            async with freshet.connect(server.url, mechanisms=[mechanism]) as client:
                end = False

                async def load():
                    n = 0
                    while not end:
                        await client.publish("xyz"[n % 3], n)
                        n += 1

                loading = asyncio.ensure_future(load())
                many = []
                for wanted in (["x"], ["x", "y"], ["*"], ["z", "y"], ["y"], ["**"], ["z"], ["x", "z"]):
                    one = client.subscribe(wanted)
                    many.append((one, await take(one, 5)))
                await many[1][0].close()
                end = True
                await loading
                whole = client.subscribe("*", after="earliest")
                last = {channel: (await client.publish(channel, "last"))["id"] for channel in "xyz"}
                log = []
                while not log or log[-1]["id"] != last["z"]:
                    log += await take(whole, 1)
                for index, (one, events) in enumerate(many):
                    if index == 1:
                        continue
                    mine = [event["id"] for event in log
                            if any(freshet.matches(name, event["channel"]) for name in one.channels)]
                    mine = mine[mine.index(events[0]["id"]):]
                    events += await take(one, len(mine) - len(events))
                    self.assertEqual([event["id"] for event in events], mine, one.channels)

        await self.by_each(check)

    async def test_a_gap_is_told_once_and_what_is_left_follows(self):
        async def check(mechanism):
            server = self.serve()
            async with freshet.connect(server.url, mechanisms=[mechanism]) as client:
                first = await client.publish("a", "one")
                await client.publish("a", "two")
                await client.http.request("DELETE", server.url + "/channels/a")
                await client.publish("a", "three")
                gaps = []
                one = client.subscribe("a", after=first["id"], on_gap=gaps.append)
                self.assertEqual(await data_of(one, 1), ["three"])
                await client.publish("a", "four")
                self.assertEqual(await data_of(one, 1), ["four"])
                self.assertEqual([gap["reason"] for gap in gaps], ["trimmed"])

        await self.by_each(check)

    async def test_a_channel_that_is_followed_already_hides_no_events_of_those_that_begin(self):
        async def check(mechanism):
            server, door = self.serve(), Door("b")
            async with freshet.connect(server.url, mechanisms=[mechanism], http=httpx.AsyncClient(transport=door)) as client:
                one = client.subscribe("a", after="earliest")
                await client.publish("a", "a0")
                self.assertEqual(await data_of(one, 1), ["a0"])
                both = client.subscribe(["a", "b"])
                got = asyncio.ensure_future(data_of(both, 2))
                await asyncio.wait_for(door.answered.wait(), PATIENCE_S)
                await client.publish("b", "b1")
                await client.publish("a", "a2")
                self.assertEqual(await data_of(one, 1), ["a2"])
                door.opened.set()
                self.assertEqual(await got, ["b1", "a2"])

        await self.by_each(check)

    async def test_of_two_subscriptions_to_a_channel_the_one_whose_pages_take_longer_misses_nothing(self):
        async def check(mechanism):
            server, door = self.serve(), Door("a", "last")
            async with freshet.connect(server.url, mechanisms=[mechanism], http=httpx.AsyncClient(transport=door)) as client:
                slow = client.subscribe("a", last=1)
                await asyncio.wait_for(door.answered.wait(), PATIENCE_S)
                await client.publish("a", "a0")
                quick = client.subscribe("a", after="earliest")
                self.assertEqual(await data_of(quick, 1), ["a0"])
                await until(lambda: client.state == "live")
                door.opened.set()
                await client.publish("a", "a1")
                self.assertEqual(await data_of(slow, 2), ["a0", "a1"])
                self.assertEqual(await data_of(quick, 1), ["a1"])

        await self.by_each(check)

    async def test_a_gap_that_one_subscription_knows_is_told_to_another_that_does_not(self):
        async def check(mechanism):
            server, proxy = self.serve(), Proxy()
            await proxy.start(server.port)
            async with freshet.connect(server.url) as publisher, freshet.connect(proxy.url, mechanisms=[mechanism]) as client:
                first = await publisher.publish("a", "a0")
                gaps = {"a": [], "b": []}
                behind = client.subscribe("b", after="earliest", on_gap=gaps["b"].append)
                await publisher.publish("b", "b0")
                self.assertEqual(await data_of(behind, 1), ["b0"])
                await until(lambda: client.state == "live")
                proxy.flows.clear()
                for channel in "ba":
                    await publisher.publish(channel, "gone")
                    await publisher.http.request("DELETE", server.url + "/channels/" + channel)
                told = client.subscribe("a", after=first["id"], on_gap=gaps["a"].append)
                await until(lambda: told.joined)
                proxy.cut()
                proxy.flows.set()
                await publisher.publish("b", "b2")
                self.assertEqual(await data_of(behind, 1), ["b2"])
                self.assertEqual([[gap["reason"] for gap in some] for some in gaps.values()], [["trimmed"]] * 2)
            proxy.server.close()

        await self.by_each(check)

    async def test_a_subscription_that_begins_while_others_catch_up_hides_nothing_from_them(self):
        filler = "x" * 250_000  # more than sockets hold: most of it stays with the server

        async def check(mechanism):
            server, proxy = self.serve(), Proxy()
            await proxy.start(server.port)
            async with freshet.connect(server.url) as publisher, freshet.connect(proxy.url, mechanisms=[mechanism]) as client:
                behind = client.subscribe("a")
                await until(lambda: client.state == "live")
                proxy.flows.clear()
                for n in range(50):
                    await publisher.publish("a", f"{n}{filler}")
                fresh = client.subscribe("b", after="earliest")
                await until(lambda: fresh.joined)
                await publisher.publish("b", "b0")
                proxy.flows.set()
                self.assertEqual(await data_of(fresh, 1), ["b0"])
                self.assertEqual([data.rstrip("x") for data in await data_of(behind, 50)], [str(n) for n in range(50)])
            proxy.server.close()

        await self.by_each(check)

    async def test_events_that_come_apart_from_others_while_their_subscription_begins_hide_none_of_them(self):
        event = Pretend.event

        def talk(message):
            return Pretend.answer(message, [event(9, "b"), event(5, "a"), event(7, "a")] if message["ref"] else [])

        async with Pretend(talk) as server, freshet.connect(server.url, mechanisms=["ws"]) as client:
            a = client.subscribe("a")
            await until(lambda: client.state == "live")
            b = client.subscribe("b")
            self.assertEqual(await data_of(b, 1), ["b9"])
            self.assertEqual(await data_of(a, 2), ["a5", "a7"])

    async def test_a_subscription_for_which_too_much_waits_while_it_begins_misses_nothing(self):
        history = [Pretend.event(n, "z") for n in range(2, 62)] + [Pretend.event(62, "b")]

        def talk(message):
            return Pretend.answer(message, history if "b" in message["channels"] else [])

        with unittest.mock.patch.object(freshet, "QUEUE_MAX", 50):
            async with Pretend(talk) as server, freshet.connect(server.url, mechanisms=["ws"]) as client:
                client.subscribe("a")
                await until(lambda: client.state == "live")
                self.assertEqual(await data_of(client.subscribe("b"), 1), ["b62"])

    async def test_a_websocket_that_nobody_wants_any_more_when_it_is_open_says_nothing_against_websockets(self):
        async with Pretend(Pretend.answer) as server, freshet.connect(server.url) as client:
            for round in range(1, 4):
                server.opened.clear()
                one = client.subscribe("a")
                await until(lambda: server.handshakes == round)
                await one.close()
                server.opened.set()
                await until(lambda: client.state == "idle")
            client.subscribe("a")
            await until(lambda: client.state == "live")
            self.assertEqual(client.mechanism, "ws")

    async def test_a_subscription_that_is_closed_gives_nothing_more_and_its_cursor_stays_there(self):
        server = self.serve()
        async with freshet.connect(server.url) as client:
            ids = [(await client.publish("a", n))["id"] for n in range(3)]
            one = client.subscribe("a", after="earliest")
            got = []
            async for event in one:
                got.append(event["data"])
                await until(lambda: one.joined)
                await one.close()
            self.assertEqual((got, one.cursor), ([0], ids[0]))

    async def test_a_subscription_has_a_cursor_before_its_first_event(self):
        server = self.serve()
        async with freshet.connect(server.url) as client:
            id = (await client.publish("b", "before"))["id"]
            one = client.subscribe("a")
            await until(lambda: one.joined)
            await one.close()
            await client.publish("a", "missed")
            self.assertEqual(one.cursor, id)
            self.assertEqual(await data_of(client.subscribe("a", after=one.cursor), 1), ["missed"])

    async def test_the_end_of_a_subscription_or_client_ends_all_who_wait_for_it(self):
        server = self.serve(config="namespaces: [{prefix: chat, presence: true}]\n")
        client = freshet.connect(server.url)
        async with client:
            one = client.subscribe("a")
            room = await client.presence("chat/a").__aenter__()

            async def all_of(iterator):
                return [each async for each in iterator]

            waiting = [asyncio.ensure_future(all_of(each)) for each in (one, one, room, room)]
            await asyncio.sleep(0)
            await client.close()
            self.assertEqual(await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S), [[]] * 4)
            self.assertEqual((await all_of(one), await all_of(room)), ([], []))

    async def test_answers_that_are_not_the_servers_end_nothing(self):
        server = self.serve()
        answers = [(200, b"{}"), (200, b"[]"), (200, b"<html>\xe4"), (200, b"null"), (302, b""), (410, b"{}"), (410, b"gone"),
                   (502, b"null"), (503, b'"later"'), (504, b"<html>")]
        for path in ("/events", "/channels/a"):
            door = Nonsense(path, answers)
            with unittest.mock.patch.object(freshet, "PAUSE_S", (0.01, 0.01)):
                async with freshet.connect(server.url, mechanisms=["poll"], http=httpx.AsyncClient(transport=door)) as client:
                    one = client.subscribe("a", after="now" if path == "/channels/a" else "earliest")
                    await until(lambda: one.joined)
                    await asyncio.wait_for(client.publish("a", path), PATIENCE_S)
                    self.assertEqual((await data_of(one, 1))[-1:], ["/events"] if path == "/events" else ["/channels/a"])
            self.assertEqual(door.answers, [])

    async def test_polls_that_are_answered_without_a_wait_are_asked_with_pauses(self):
        asked = []

        def answer(request):
            asked.append(request)
            return httpx.Response(200, json={"events": [], "cursor": Pretend.CURSOR, "more": False})

        with unittest.mock.patch.object(freshet, "PAUSE_S", (3600, 3600)):
            async with freshet.connect("http://x", mechanisms=["poll"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer))) as client:
                client.subscribe("a")
                await until(lambda: len(asked) == 3)
                for _ in range(100):
                    await asyncio.sleep(0)
                self.assertEqual(len(asked), 3)

    async def test_a_function_for_tokens_that_never_answers_is_told_and_asked_again(self):
        asked = []

        async def token():
            asked.append(True)
            if len(asked) == 1:
                await asyncio.Event().wait()
            return "second"

        def answer(request):
            if request.headers.get("authorization") != "Bearer second":
                return httpx.Response(401, json={"status": 401})
            return httpx.Response(200, json={"channel": "a", "time": "2026-01-01T00:00:00Z"})

        with unittest.mock.patch.object(freshet, "SILENCE_S", 0.01), self.assertLogs("freshet") as logs:
            async with freshet.connect("http://x", token=token, http=httpx.AsyncClient(transport=httpx.MockTransport(answer))) as client:
                await asyncio.wait_for(client.publish("a", "fine"), PATIENCE_S)
        self.assertGreaterEqual(len(asked), 2)
        self.assertIn("the function for tokens has not answered", logs.output[0])

    async def test_pages_that_bring_nothing_and_promise_more_are_asked_for_with_pauses(self):
        empty = {"events": [], "cursor": Pretend.CURSOR, "more": True}
        gap = {"status": 410, "earliest": Pretend.CURSOR, "reason": "trimmed"}
        for status, page in ((200, empty), (410, gap)):
            asked = []

            async def answer(request):
                asked.append(request)
                await asyncio.sleep(0)
                return httpx.Response(status, json=page)

            with self.subTest(status), unittest.mock.patch.object(freshet, "PAUSE_S", (3600, 3600)):
                async with freshet.connect("http://x", mechanisms=["poll"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer))) as client:
                    client.subscribe("a")
                    await until(lambda: len(asked) >= 2)
                    for _ in range(100):
                        await asyncio.sleep(0)
                    self.assertEqual(len(asked), 2)

    async def test_a_channel_that_is_left_while_its_stream_begins_is_not_followed(self):
        asked, begin = [], asyncio.Event()

        async def stream(waits):
            if waits:
                await begin.wait()
            yield b'event: $beat\ndata: {"cursor": "%s"}\n\n' % Pretend.CURSOR.encode()
            await asyncio.Event().wait()

        def answer(request):
            query = request.url.params
            if "stream" not in query:
                return httpx.Response(200, json={"events": [], "cursor": Pretend.CURSOR, "more": False})
            asked.append(query.get_list("channel"))
            return httpx.Response(200, content=stream(len(asked) == 2))

        async with freshet.connect("http://x", mechanisms=["sse"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer))) as client:
            client.subscribe("a")
            await until(lambda: client.state == "live")
            one = client.subscribe("b")
            await until(lambda: len(asked) == 2)
            await one.close()
            begin.set()
            await until(lambda: len(asked) == 3)
            self.assertEqual(asked, [["a"], ["a", "b"], ["a"]])

    async def test_what_a_stream_brought_that_lacked_a_channel_hides_no_event_of_the_next(self):
        streams, paged, answered = [], asyncio.Event(), asyncio.Event()

        def record(channel, number):
            event = {"id": f"{number:016}", "channel": channel, "type": "message", "data": f"{channel}{number}"}
            return f"data: {json.dumps(event)}\n\n".encode()

        async def stream(parts):
            yield b'event: $beat\ndata: {"cursor": "%s"}\n\n' % Pretend.CURSOR.encode()
            while True:
                yield await parts.get()

        async def answer(request):
            query = request.url.params
            if "stream" in query:
                streams.append((asyncio.Queue(), query.get_list("channel")))
                return httpx.Response(200, content=stream(streams[-1][0]))
            if query.get_list("channel") == ["a", "b"]:
                paged.set()
                await answered.wait()
            return httpx.Response(200, json={"events": [], "cursor": Pretend.CURSOR, "more": False})

        async with freshet.connect("http://x", mechanisms=["sse"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer))) as client:
            first = client.subscribe("a")
            await until(lambda: client.state == "live")
            both = client.subscribe(["a", "b"])
            await paged.wait()
            streams[0][0].put_nowait(record("a", 3))
            self.assertEqual([event["data"] for event in await take(first, 1)], ["a3"])
            client.subscribe("b")
            await until(lambda: len(streams) == 2 and client.state == "live")
            answered.set()
            await until(lambda: both.joined)
            for channel, number in [("b", 2), ("a", 3), ("b", 4)]:
                streams[1][0].put_nowait(record(channel, number))
            self.assertEqual([event["data"] for event in await take(both, 3)], ["b2", "a3", "b4"])
            self.assertEqual([channels for _, channels in streams], [["a"], ["a", "b"]])

    async def test_a_subscription_that_is_closed_in_the_pause_before_the_next_try_leaves_the_pause_as_it_is(self):
        polls = []

        def answer(request):
            if "limit" in request.url.params:
                return httpx.Response(200, json={"events": [], "cursor": Pretend.CURSOR, "more": False})
            polls.append(request)
            raise httpx.ConnectError("no network")

        with unittest.mock.patch.object(freshet, "PAUSE_S", (3600, 3600)):
            async with freshet.connect("http://x", mechanisms=["poll"], http=httpx.AsyncClient(transport=httpx.MockTransport(answer))) as client:
                client.subscribe("a")
                one = client.subscribe("b")
                await until(lambda: one.joined and polls)
                for _ in range(100):
                    await asyncio.sleep(0)
                before = len(polls)
                await one.close()
                for _ in range(100):
                    await asyncio.sleep(0)
                self.assertEqual(len(polls), before)

    async def test_a_publish_that_no_request_can_be_is_refused_and_the_next_goes_on(self):
        server = self.serve()
        async with freshet.connect(server.url) as client:
            for options in ({"type": "no\nline"}, {"key": "no\rline"}, {"if_match": "\0"}, {"type": "\U0001F600"}):
                with self.assertRaises((freshet.FreshetError, UnicodeError), msg=options):
                    await asyncio.wait_for(client.publish("a", "no", **options), PATIENCE_S)
            self.assertEqual((await client.publish("a", "yes"))["channel"], "a")
        async with freshet.connect("localhost:7070") as client:
            with self.assertRaises(httpx.UnsupportedProtocol):
                await asyncio.wait_for(client.publish("a", "no"), PATIENCE_S)

    async def test_a_token_that_cannot_be_renewed_leaves_no_failure_behind(self):
        def token():
            raise OSError("not now")

        claims = base64.urlsafe_b64encode(b'{"exp": 1}').decode()
        with unittest.mock.patch.object(freshet, "EARLY_S", 0):
            client = freshet.connect("http://x", token=token)
            self.assertIsNone(await freshet._Feed(client)._renew(None, f"a.{claims}.c"))
            await client.http.aclose()

    async def test_a_cursor_of_another_log_is_a_gap_and_the_events_of_this_log_follow(self):
        async def check(mechanism):
            server = self.serve()
            async with freshet.connect(server.url, mechanisms=[mechanism]) as client:
                foreign = str(int((await client.publish("b", "before"))["id"]) + 3_600_000_000)
                gaps, told = [], asyncio.Event()
                one = client.subscribe("a", after=foreign, on_gap=lambda gap: (gaps.append(gap), told.set()))
                got = asyncio.ensure_future(data_of(one, 1))
                await asyncio.wait_for(told.wait(), PATIENCE_S)
                await client.publish("a", "after")
                self.assertEqual(await got, ["after"])
                self.assertEqual([(gap["reason"], gap["after"]) for gap in gaps], [("unknown", foreign)])

        await self.by_each(check)

    async def test_publishes_keep_the_order_of_the_calls_and_come_with_a_receipt(self):
        server = self.serve()
        async with freshet.connect(server.url) as client:
            one = client.subscribe("a/b c", after="earliest")
            await asyncio.gather(*(client.publish("a/b c", {"n": n}, type="count") for n in range(30)))
            self.assertEqual(await data_of(one, 30), [{"n": n} for n in range(30)])
            receipt = await client.publish("a/b c", b"\x00\xff", key="k")
            self.assertEqual((await client.publish("a/b c", b"\x00\xff", key="k")), {**receipt, "duplicate": True})
            self.assertEqual((await take(one, 1))[0]["data_base64"], "AP8=")
            await client.publish("a/b c", "on top", if_match=receipt["id"])
            with self.assertRaises(freshet.FreshetError) as refused:
                await client.publish("a/b c", "late", if_match=receipt["id"])
            self.assertEqual(refused.exception.status, 412)

    async def test_a_token_that_ends_is_replaced_and_nothing_is_missed(self):
        async def check(mechanism):
            server = self.serve(config=RULES)
            asked = []

            async def token():
                asked.append(True)
                return server.token("3s")

            async with freshet.connect(server.url, mechanisms=[mechanism], token=token) as client:
                one = client.subscribe("chat/a", after="earliest")
                n = 0
                while len(asked) < 3:
                    await client.publish("chat/a", n)
                    n += 1
                self.assertEqual(await data_of(one, n), list(range(n)))

        await self.by_each(check)

    async def test_a_refusal_ends_the_subscription_that_it_concerns(self):
        server = self.serve(config=RULES)
        async with freshet.connect(server.url, token=server.token("1h")) as client:
            good, bad = client.subscribe("chat/a", after="earliest"), client.subscribe("staff")
            with self.assertRaises(freshet.FreshetError) as refused:
                await take(bad, 1)
            self.assertEqual((refused.exception.status, refused.exception.problem["channel"]), (403, "staff"))
            await client.publish("chat/a", "fine")
            self.assertEqual(await data_of(good, 1), ["fine"])

    async def test_a_subscription_that_is_not_read_holds_a_bounded_number_of_events_and_misses_none(self):
        async def check(mechanism):
            server = self.serve()
            async with freshet.connect(server.url, mechanisms=[mechanism]) as client:

                async def publish(numbers):
                    batch = [{"channel": "a", "data": n} for n in numbers]
                    (await client.http.post(server.url + "/events", json=batch)).raise_for_status()

                for block in range(3):
                    await publish(range(block * 1000, block * 1000 + 1000))
                old, new = client.subscribe("a", after="earliest"), client.subscribe(["a", "b"])
                while not new.joined:
                    await asyncio.sleep(0.01)
                await publish(range(3000, 3500))
                while not new.behind:
                    await asyncio.sleep(0.01)
                self.assertLessEqual(old.ready.qsize(), 1000)
                self.assertLessEqual(new.ready.qsize(), 50)
                self.assertEqual(await data_of(new, 500), list(range(3000, 3500)))
                self.assertEqual(await data_of(old, 3500), list(range(3500)))
                await client.publish("a", "last")
                self.assertEqual((await data_of(new, 1), await data_of(old, 1)), (["last"], ["last"]))

        with unittest.mock.patch.object(freshet, "QUEUE_MAX", 50):
            await self.by_each(check)

    async def test_data_with_separators_of_lines_is_data(self):
        texts = ["\u2028", "one\u2028two", "\u2029event: $bye\u2029", "\u0085", "a: b"]
        async def check(mechanism):
            server = self.serve()
            async with freshet.connect(server.url, mechanisms=[mechanism]) as client:
                one = client.subscribe("a", after="earliest")
                for text in texts:
                    await client.publish("a", text)
                self.assertEqual(await data_of(one, len(texts)), texts)

        await self.by_each(check)

    async def test_functions_that_fail_end_nothing(self):
        server = self.serve(config=RULES)
        tokens = [OSError("not now"), OSError("nor now")]

        def token():
            if tokens:
                raise tokens.pop()
            return server.token("1h")

        def fail(*_):
            raise ValueError("mine")

        with self.assertLogs("freshet"):
            async with freshet.connect(server.url, token=token, on_state=fail) as client:
                one = client.subscribe("chat/a", after="earliest", on_gap=fail)
                await asyncio.wait_for(client.publish("chat/a", "fine"), PATIENCE_S)
                self.assertEqual(await data_of(one, 1), ["fine"])
                await client.publish("chat/a", "still")
                self.assertEqual(await data_of(one, 1), ["still"])

    async def test_a_name_that_would_be_another_path_is_refused(self):
        server = self.serve()
        async with freshet.connect(server.url) as client:
            for name in ("a/../b", "..", "../healthz", "."):
                with self.assertRaises(freshet.FreshetError):
                    await client.publish(name, "no")

    async def test_more_channels_than_a_connection_may_have_are_refused_for_the_newest_alone(self):
        async def check(mechanism):
            server = self.serve()
            async with freshet.connect(server.url, mechanisms=[mechanism]) as client:
                every = [client.subscribe([f"c/{block}/{n}" for n in range(40)], after="earliest") for block in range(3)]
                with self.assertRaises(freshet.FreshetError):
                    await asyncio.wait_for(asyncio.gather(*(take(one, 1) for one in every)), PATIENCE_S)
                left = [one for one in every if not one.ended]
                self.assertEqual(len(left), 2)

        await self.by_each(check)

    async def test_the_list_is_read_anew_when_the_server_has_lost_events(self):
        server = self.serve(config="limits: {channels_max: 2}\nnamespaces: [{prefix: chat, presence: true}]\n")
        async with freshet.connect(server.url, as_="alice") as alice, httpx.AsyncClient(base_url=server.url) as plain:
            await alice.publish("x/1", "1")
            await alice.publish("x/2", "2")
            async with alice.presence("chat/a") as room:
                alice.subscribe("chat/a")
                while (await plain.get("/presence/chat/a")).json()["count"] != 1:
                    await asyncio.sleep(0.02)
                self.assertEqual(room.members(), {})  # the log has no channel left for her event
                await plain.delete("/channels/x/1")
                await plain.delete("/channels/x/2")
                for _ in range(PATIENCE_S * 50):
                    if [member["member"] for member in room.members().values()] == ["alice"]:
                        break
                    await asyncio.sleep(0.02)
                self.assertEqual((len(room.members()), room.count), (1, 1))

    async def test_a_publish_leaves_out_the_connection_that_it_names(self):
        server = self.serve()
        async with freshet.connect(server.url) as client, freshet.connect(server.url) as other:
            one, two = client.subscribe("a"), other.subscribe("a")
            while not (client.connection and other.connection and client.state == other.state == "live"):
                await asyncio.sleep(0.01)
            await client.publish("a", "mine", except_=client.connection)
            await client.publish("a", "ours")
            self.assertEqual((await data_of(one, 1), await data_of(two, 2)), (["ours"], ["mine", "ours"]))

    async def test_a_list_that_is_read_anew_keeps_state_count_and_marks(self):
        answers = {"count": 1, "anonymous": 0, "members": [{"member": "alice", "verified": False, "read": "8"}], "more": False, "cursor": "1"}
        said = []

        class Alone:
            as_ = "alice"

            async def _insist(self, ask):
                return await ask()

            async def _ask(self, method, path, query=None, *, headers=None, content=None):
                if method == "PUT":
                    said.append(content)
                    return {"member": "alice", "verified": False}
                return answers

            def subscribe(self, *_, **__):
                return None

            def _spawn(self, work):
                return asyncio.ensure_future(work)

        room = freshet.Presence(Alone(), "chat/a")
        await room._begin()
        await room.set(1)
        await room._begin()
        while len(said) < 2:
            await asyncio.sleep(0.01)
        self.assertEqual(said, [b'{"state": 1}'] * 2)
        room._take("read", "", {"member": "alice", "verified": False, "read": "5"})
        self.assertEqual(room.members()["?/alice"]["read"], "8")
        answers.update(count=20_000, more=True)
        await room._begin()
        room._take("read", "", {"member": "alice", "verified": False, "read": "9"})
        room._take("joined", "", {"member": "bob", "verified": False})
        room._take("left", "", {"member": "zoe", "verified": False})
        room._take("left", "", {"member": "bob", "verified": False})
        self.assertEqual(room.count, 19_999)


class Nonsense(httpx.AsyncHTTPTransport):
    """Gives `answers` first to those who ask for a path, then those of the server."""

    def __init__(self, path, answers):
        super().__init__()
        self.path, self.answers = path, list(answers)

    async def handle_async_request(self, request):
        if request.url.path == self.path and self.answers:
            status, content = self.answers.pop(0)
            return httpx.Response(status, content=content)
        return await super().handle_async_request(request)


class Door(httpx.AsyncHTTPTransport):
    """Passes on the answers to pages of a channel, those that are asked with `parameter`, once `opened` is set."""

    def __init__(self, channel, parameter="limit"):
        super().__init__()
        self.channel, self.parameter, self.answered, self.opened = channel, parameter, asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request):
        query = request.url.params
        response = await super().handle_async_request(request)
        if self.parameter in query and self.channel in query.get_list("channel"):
            self.answered.set()
            await self.opened.wait()
        return response


class Gate(httpx.AsyncHTTPTransport):
    """Passes requests on; those to /events only once `most` changes of a member were refused. `refused` counts them."""

    def __init__(self, most):
        super().__init__()
        self.most, self.refused, self.opened = most, 0, asyncio.Event()

    async def handle_async_request(self, request):
        if request.url.path == "/events":
            await self.opened.wait()
        response = await super().handle_async_request(request)
        self.refused += response.status_code == 409
        if self.refused >= self.most:
            self.opened.set()
        return response


class Presence(Case):
    """Apart from the others: it waits for the grace of pollers."""

    async def test_members_come_say_something_read_and_go(self):
        async def check(mechanism):
            server = self.serve(config="namespaces: [{prefix: chat, presence: true, presence_grace_ms: 500}]\n")
            async with freshet.connect(server.url, as_="alice", mechanisms=[mechanism]) as alice:
                alice.subscribe("chat/a b")
                async with alice.presence("chat/a b") as room:
                    changes = []

                    async def watch():
                        async for kind, member in room:
                            changes.append((kind, member.get("member")))

                    watching = asyncio.ensure_future(watch())

                    async def until(condition):
                        for _ in range(PATIENCE_S * 50):
                            if condition():
                                return
                            await asyncio.sleep(0.02)
                        self.fail(f"in vain: {room.members()} {changes}")

                    names = lambda: sorted(member["member"] for member in room.members().values())
                    bobs = lambda name: next((m.get(name) for m in room.members().values() if m["member"] == "bob"), None)
                    await until(lambda: names() == ["alice"])
                    async with freshet.connect(server.url, as_="bob", mechanisms=[mechanism]) as bob:
                        bob.subscribe("chat/a b")
                        async with bob.presence("chat/a b") as his:
                            me = await his.set({"mood": "fine"})
                            self.assertEqual((me["member"], me["verified"], me["state"]), ("bob", False, {"mood": "fine"}))
                            await until(lambda: bobs("state") == {"mood": "fine"})
                            id = (await bob.publish("chat/a b", "hello"))["id"]
                            self.assertEqual((await his.read(id))["read"], id)
                            await until(lambda: bobs("read") == id)
                            await until(lambda: (room.count, names()) == (2, ["alice", "bob"]))
                    await until(lambda: names() == ["alice"])
                    for kind in ("joined", "updated", "read", "left"):
                        await until(lambda kind=kind: (kind, "bob") in changes)
                await asyncio.wait_for(watching, PATIENCE_S)
                with self.assertRaises(freshet.FreshetError) as refused:
                    async with alice.presence("other"):
                        pass
                self.assertEqual(refused.exception.status, 404)

        await self.by_each(check)

    async def test_a_state_waits_for_the_subscription_however_long_that_takes(self):
        server = self.serve(config="namespaces: [{prefix: chat, presence: true}]\n")
        gate = Gate(10)
        with unittest.mock.patch.object(freshet, "JOIN_S", 0.05):
            async with freshet.connect(server.url, as_="alice", mechanisms=["sse"], http=httpx.AsyncClient(transport=gate)) as alice:
                alice.subscribe("chat/a")
                async with alice.presence("chat/a") as room:
                    me = await asyncio.wait_for(room.set("here"), PATIENCE_S)
                    self.assertEqual((me["member"], me["state"]), ("alice", "here"))
        self.assertGreaterEqual(gate.refused, 10)

    async def test_a_state_without_a_subscription_by_name_is_refused_at_once(self):
        server = self.serve(config="namespaces: [{prefix: chat, presence: true}]\n")
        gate = Gate(0)
        async with freshet.connect(server.url, as_="alice", http=httpx.AsyncClient(transport=gate)) as alice:
            alice.subscribe("chat/*")
            async with alice.presence("chat/a") as room:
                with self.assertRaises(freshet.FreshetError) as refused:
                    await room.set("here")
        self.assertEqual((refused.exception.status, gate.refused), (409, 1))

    async def test_a_state_that_waits_for_a_subscription_which_is_closed_is_refused(self):
        server = self.serve(config="namespaces: [{prefix: chat, presence: true}]\n")
        gate = Gate(1_000_000)
        async with freshet.connect(server.url, as_="alice", mechanisms=["sse"], http=httpx.AsyncClient(transport=gate)) as alice:
            subscription = alice.subscribe("chat/a")
            room = alice.presence("chat/a")
            waiting = asyncio.ensure_future(room.set("here"))
            for _ in range(PATIENCE_S * 50):
                if gate.refused:
                    break
                await asyncio.sleep(0.02)
            await subscription.close()
            with self.assertRaises(freshet.FreshetError) as refused:
                await asyncio.wait_for(waiting, PATIENCE_S)
            self.assertEqual(refused.exception.status, 409)
            gate.opened.set()


if __name__ == "__main__":
    unittest.main()
