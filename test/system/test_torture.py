"""Hostile and tortuous messages: RFC 4475, RFC 5118, PROTOS c07, and our own set.

The torture corpus names what a proxy may do with each message; the other sets
have one rule: the server lives, answers OPTIONS, and does not grow."""

import asyncio
import glob
import json
import os
import re
import tarfile

import pytest

import mutate
import sipkit
from conftest import TREE, preamble
from scripts import PATIENT, TIMEOUTS
from sipkit import Call, Client, Framer, Msg, Uas

CORPUS = os.path.join(TREE, "test", "corpus", "torture")
with open(os.path.join(CORPUS, "expect.json")) as _f:
    EXPECT = json.load(_f)

# PROTOS is under the GPL and stands beside the tree, if anywhere.
PROTOS = os.environ.get("VIADUCT_PROTOS") or "".join(glob.glob(os.path.join(
    os.path.dirname(TREE), "*", "corpus", "protos-c07-sip", "c07-sip-expanded.tar.xz"))[:1])

SCRIPT = """
route {
	if (is_method("OPTIONS") && $rU == "ping") {
		sl_send_reply(200, "OK");
		exit;
	}
	if (!mf_process_maxfwd_header(70)) {
		sl_send_reply(483, "Too Many Hops");
		exit;
	}
	if (is_present_hf("Proxy-Require")) {
		append_to_reply("Unsupported: $hdr(Proxy-Require)\\r\\n");
		sl_send_reply(420, "Bad Extension");
		exit;
	}
	if (is_method("CANCEL")) {
		if (t_check_trans())
			t_relay();
		exit;
	}
	$du = "sip:127.0.0.1:%d";
	t_relay();
}
"""


class Place:
    """The edge of this file, its doors, and the upstream behind it."""


@pytest.fixture(scope="module")
def place(run, certs, edges):
    p = Place()
    p.uas = Uas("udp")
    p.doors = {k: ("127.0.0.1", sipkit.free_port()) for k in ("udp", "tcp", "ws")}
    p.edge = edges("\n".join(
        [preamble(certs, PATIENT + "tcp_max_msg_time = 3\n"), TIMEOUTS] +
        [f"socket = {k}:{h}:{n}" for k, (h, n) in p.doors.items()] + [SCRIPT % p.uas.port]), "torture")
    run(p.uas.start())
    yield p
    p.uas.stop()


async def ping(place, timeout=10):
    client = await Client("udp", place.doors["udp"]).open()
    answer = await Call(client, "sip:ping@edge.test").ask("OPTIONS", timeout=timeout)
    assert answer.status == 200
    client.close()


# ------------------------------------------------------------ torture corpus

def unique(raw, mark):
    """The same message with a branch and Call-ID nobody used before."""
    head, end, body = raw.partition(b"\r\n\r\n")
    if len(re.findall(rb"(?im)^(?:call-id|i)[ \t]*:", head)) == 1:
        head = re.sub(rb"(?im)^((?:call-id|i)[ \t]*:\s*)", rb"\g<1>" + mark, head, count=1)
    head = re.sub(rb"(branch=z9hG4bK)(?=[^;,\s])", rb"\g<1>" + mark, head, count=1)
    return head + end + body


def via_port(raw):
    """Where a response without rport goes: the port of the top Via."""
    head = re.sub(rb"\r\n[ \t]+", b" ", raw.partition(b"\r\n\r\n")[0])
    m = re.search(rb"(?im)^(?:via|v)[ \t]*:\s*\S+?\s*/\s*[\d.]+\s*/\s*\S+\s+(?:\[[^\]]*\]|[^\s;:,]+)\s*(?::\s*(\d+))?", head)
    return int(m.group(1)) if m and m.group(1) else 5060


class Listener(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        self.got.append(Msg(data))


async def told(got, uas, call_id, wanted, timeout):
    """Outcomes seen so far, once one of those wanted is there or time is over."""
    end = asyncio.get_running_loop().time() + timeout
    while True:
        seen = [s for s in uas.by_call.get(call_id, ()) if not s.msg.is_response]
        codes = [m.status for m in got if m.status >= 200]
        outcome = set()
        if seen:
            outcome = {"forward"}
        elif codes:
            outcome = {codes[0]}
        if outcome & wanted or asyncio.get_running_loop().time() > end:
            return outcome, seen
        await asyncio.sleep(0.01)


def judge(entry, raw, got, outcome, seen, allowed):
    name = entry["file"]
    assert outcome & allowed or not outcome and "drop" in allowed, \
        f"{name}: {outcome or 'nothing'}, not {allowed}; answers {[m.start for m in got]}"
    for s in seen:
        assert re.fullmatch(r"\S+ \S+ SIP/2\.0", s.msg.start), (name, s.msg.start)
        assert not name.startswith("escruri") or "?" not in s.msg.uri, (name, s.msg.start)
        lengths = re.findall(rb"(?im)^(?:content-length|l)[ \t]*:", s.msg.raw.partition(b"\r\n\r\n")[0])
        assert len(lengths) == 1, (name, s.msg.raw)
        if "forward" in entry["proxy"] and not name.startswith("dblreq"):
            assert s.msg.body == raw.partition(b"\r\n\r\n")[2], name
    if 420 in outcome:
        assert "noProxiesSupportThis" in next(m for m in got if m.status == 420).get("unsupported")


def wanted_of(entry):
    wanted = set(entry["proxy"])
    if "forward-normalised" in wanted:
        wanted.add("forward")
    return wanted


def load(entry, mark):
    with open(os.path.join(CORPUS, entry["file"]), "rb") as f:
        return unique(f.read(), mark)


def is_response(entry):
    return bool(set(entry["proxy"]) & {"forward-response", "drop-no-transaction"}) or \
        entry["file"] in ("scalarlg.dat", "bigcode.dat", "bcast.dat")


def test_corpus_is_whole():
    assert len(EXPECT) == 63
    assert len(glob.glob(os.path.join(CORPUS, "*.dat"))) == 63


def test_torture_udp(run, place):
    async def one(n, entry):
        raw = load(entry, b"u%d-" % n)
        # an address of its own, so that the Via's port is free there
        transport, listener = await asyncio.get_running_loop().create_datagram_endpoint(
            Listener, local_addr=(f"127.77.0.{n + 1}", via_port(raw)))
        transport.sendto(raw, place.doors["udp"])
        wanted = wanted_of(entry)
        if is_response(entry):
            await asyncio.sleep(0.3)
            assert not listener.got, entry["file"]
        elif wanted != {"no-crash"}:
            outcome, seen = await told(listener.got, place.uas, Msg(raw).call_id, wanted,
                                       0.5 if "drop" in wanted else 5)
            judge(entry, raw, listener.got, outcome, seen, wanted)
            if entry["file"] == "dblreq.dat":
                assert len(seen) == 1 and not seen[0].msg.body
        transport.abort()
        await ping(place)

    async def scenario():
        failures = await asyncio.gather(*[one(n, e) for n, e in enumerate(EXPECT)],
                                        return_exceptions=True)
        failures = [f"{e['file']}: {f!r}" for e, f in zip(EXPECT, failures) if f]
        assert not failures, f"{len(failures)} of {len(EXPECT)}:\n" + "\n".join(failures)
        assert not [s for s in place.uas.seen if s.msg.call_id.startswith(("scalarlg", "bigcode", "bcast"))]
    run(scenario())
    assert place.edge.alive


class Wire(asyncio.Protocol):
    """A bare TCP connection that frames what comes back."""

    def __init__(self):
        self.got, self.framer, self.closed = [], Framer(), False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(6, 1, 1)

    def data_received(self, data):
        self.got += [Msg(raw) for raw in self.framer.feed(data)]

    def connection_lost(self, exc):
        self.closed = True


async def stream_outcome(place, entry, raw, pieces, patience=5):
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(Wire, *place.doors["tcp"])
    for piece in pieces:
        if wire.closed:
            break
        wire.transport.write(piece)
        await asyncio.sleep(0)
    if entry["stream"] in ("wait", "close"):
        end = loop.time() + 8
        while not wire.closed and loop.time() < end:
            await asyncio.sleep(0.01)
        assert wire.closed, f"{entry['file']}: the connection stays open"
        assert not [m for m in wire.got if m.status != 400], wire.got
        assert not place.uas.by_call.get(Msg(raw).call_id), f"{entry['file']}: forwarded"
        return
    wanted = wanted_of(entry)
    if is_response(entry) or wanted == {"no-crash"}:
        await asyncio.sleep(0.2)
    else:
        outcome, seen = await told(wire.got, place.uas, Msg(raw).call_id, wanted,
                                   0.5 if "drop" in wanted else patience)
        judge(entry, raw, wire.got, outcome, seen, wanted)
    wire.transport.abort()


def test_torture_tcp_byte_by_byte(run, place):
    async def one(n, entry):
        raw = load(entry, b"t%d-" % n)
        await stream_outcome(place, entry, raw, [raw[i:i + 1] for i in range(len(raw))])
        await ping(place)

    async def scenario():
        failures = await asyncio.gather(*[one(n, e) for n, e in enumerate(EXPECT)],
                                        return_exceptions=True)
        failures = [f"{e['file']}: {f!r}" for e, f in zip(EXPECT, failures) if f]
        assert not failures, f"{len(failures)} of {len(EXPECT)}:\n" + "\n".join(failures)
    run(scenario())
    assert place.edge.alive


@pytest.mark.parametrize("name", os.environ.get("VIADUCT_SPLIT", "wsinv.dat lwsdisp.dat").split())
def test_torture_tcp_cut_in_two(name, run, place):
    """The same message cut at every place, the halves apart in time."""
    entry = next(e for e in EXPECT if e["file"] == name)

    async def scenario():
        gate = asyncio.Semaphore(200)

        async def one(cut):
            raw = load(entry, b"c%d-" % cut)
            raw = raw.replace(b"390skdjuw", b"390skdjuw%d" % cut)
            async with gate:
                loop = asyncio.get_running_loop()
                _, wire = await loop.create_connection(Wire, *place.doors["tcp"])
                wire.transport.write(raw[:cut])
                await asyncio.sleep(0.02)
                wire.transport.write(raw[cut:])
                outcome, _ = await told(wire.got, place.uas, Msg(raw).call_id, wanted_of(entry), 5)
                assert outcome & wanted_of(entry), (cut, wire.got)
                wire.transport.abort()
        size = len(load(entry, b""))
        await asyncio.gather(*[one(cut) for cut in range(1, size)])
    run(scenario())


def test_torture_websocket(run, place):
    """One message per frame; the frame gives the end, a missing length is legal there."""
    async def one(n, entry):
        raw, wanted = load(entry, b"w%d-" % n), wanted_of(entry)
        got = []
        loop = asyncio.get_running_loop()
        _, conn = await loop.create_connection(
            lambda: sipkit.Conn("ws", False, lambda _, m: got.append(Msg(m))), *place.doors["ws"])
        await conn.ready
        conn._write_clear(sipkit.ws_frame(raw, sipkit.WS_BINARY, masked=True))
        if is_response(entry) or wanted == {"no-crash"}:
            await asyncio.sleep(0.2)
        else:
            if entry["stream"] == "close" and "forward" in wanted:
                wanted.add(400)
            outcome, seen = await told(got, place.uas, Msg(raw).call_id, wanted,
                                       0.5 if "drop" in wanted else 5)
            judge(entry, raw, got, outcome, seen, wanted)
        conn.close()
        await ping(place)

    async def scenario():
        failures = await asyncio.gather(*[one(n, e) for n, e in enumerate(EXPECT)],
                                        return_exceptions=True)
        failures = [f"{e['file']}: {f!r}" for e, f in zip(EXPECT, failures) if f]
        assert not failures, f"{len(failures)} of {len(EXPECT)}:\n" + "\n".join(failures)
    run(scenario())
    assert place.edge.alive


# ---------------------------------------------------------- sets in hundreds

def kernel_drops(port):
    """Datagrams the kernel threw away because that socket's buffer was full."""
    with open("/proc/net/udp") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return sum(int(r[-1]) for r in rows if int(r[1].split(":")[1], 16) == port)


async def pour(place, messages):
    """All of them, OPTIONS answered after each hundred; datagrams, or a
    connection of its own for what no datagram can hold."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Listener, local_addr=("127.0.0.1", 0))
    count = 0
    for raw in messages:
        count += 1
        if len(raw) <= 65507:
            transport.sendto(raw, place.doors["udp"])
        else:
            _, wire = await loop.create_connection(Wire, *place.doors["tcp"])
            wire.transport.write(raw)
            await asyncio.sleep(0.01)
            wire.transport.close()
        if count % 10 == 0:
            await asyncio.sleep(0)
        if count % 100 == 0:
            await ping(place)
    await ping(place)
    transport.abort()
    assert kernel_drops(place.doors["udp"][1]) == 0, "not every message reached the edge"
    place.uas.seen.clear()
    place.uas.by_call.clear()
    place.uas.answered.clear()
    return count


def test_mutations(run, place):
    flips = int(os.environ.get("VIADUCT_MUTATIONS", "400"))

    async def scenario():
        assert await pour(place, mutate.messages(flips)) > 2000
    run(scenario(), timeout=600)
    assert place.edge.alive


def test_mutations_leave_no_memory_behind(run, place):
    """A third and fourth pass cost nothing that the second had not."""
    async def scenario():
        sizes = []
        for n in range(3):
            def renamed():
                for raw in mutate.messages(0):
                    yield raw.replace(b"branch=z9hG4bKm", b"branch=z9hG4bKr%dm" % n)
            await pour(place, renamed())
            sizes.append(place.edge.rss())
        return sizes
    sizes = run(scenario(), timeout=600)
    growth = sizes[2] - sizes[1]
    # transactions of one pass linger for 32 seconds beside those of the last
    limit = 64 << 20 if place.edge.asan else 12 << 20
    assert growth < limit, f"RSS after each pass: {sizes}"


if PROTOS:
    def test_protos(run, place):
        def members():
            with tarfile.open(PROTOS, "r:xz") as tar:
                for member in tar:
                    if member.isfile():
                        yield tar.extractfile(member).read()

        async def scenario():
            assert await pour(place, members()) == 4527
        run(scenario(), timeout=900)
        assert place.edge.alive
