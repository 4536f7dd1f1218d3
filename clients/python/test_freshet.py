"""freshet.py against the server itself (FRESHET_BIN, else build/freshet): every mechanism brings the same events."""

import asyncio
import contextlib
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
    """Passes bytes on, until they are cut."""

    async def start(self, port):
        self.port, self.writers = port, set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        try:
            other_reader, other = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        pair = {writer, other}
        self.writers |= pair
        await asyncio.wait({asyncio.ensure_future(self._pass(reader, other)), asyncio.ensure_future(self._pass(other_reader, writer))},
                           return_when=asyncio.FIRST_COMPLETED)
        self.writers -= pair
        for one in pair:
            one.close()

    async def _pass(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    def cut(self):
        for one in list(self.writers):
            one.transport.abort()


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

            async def _request(self, method, path, query=None, *, headers=None, content=None):
                if method == "PUT":
                    said.append(content)
                    return httpx.Response(200, json={"member": "alice", "verified": False})
                return httpx.Response(200, json=answers)

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


class Door(httpx.AsyncHTTPTransport):
    """Passes on the answers to pages of a channel once `opened` is set."""

    def __init__(self, channel):
        super().__init__()
        self.channel, self.answered, self.opened = channel, asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request):
        query = request.url.params
        is_page = request.method == "GET" and "stream" not in query and "wait" not in query
        response = await super().handle_async_request(request)
        if is_page and self.channel in query.get_list("channel"):
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
