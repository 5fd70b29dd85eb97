"""Floods of datagrams from many addresses while calls go on: nobody's call is
lost, memory stays where the kind of message allows, and the edge answers after."""

import asyncio
import os
import random
import socket

import pytest

import sipkit
from scripts import Doors
from sipkit import Call, Client, Uas

COUNT = int(os.environ.get("VIADUCT_FLOOD", "4000"))


def request(method, user, source, more=(), to_tag=""):
    return sipkit.build(f"{method} sip:{user}@edge.test SIP/2.0", [
        ("Via", f"SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK{os.urandom(6).hex()};rport"),
        ("Max-Forwards", "70"), ("From", "<sip:a@x>;tag=1"), ("To", f"<sip:b@x>{to_tag}"),
        ("Call-ID", os.urandom(6).hex()), ("CSeq", f"1 {method}"), *more])


def forged_reply(edge):
    """Our Via by the look of it, and below it somebody to be hit."""
    return sipkit.build("SIP/2.0 200 OK", [
        ("Via", f"SIP/2.0/UDP {edge[0]}:{edge[1]};branch=z9hG4bK{os.urandom(26).hex()}"),
        ("Via", "SIP/2.0/UDP 127.0.0.99:9;branch=z9hG4bKvictim"), ("From", "<sip:a@x>;tag=1"),
        ("To", "<sip:b@x>;tag=2"), ("Call-ID", os.urandom(6).hex()), ("CSeq", "1 INVITE")])


# name: (what one datagram is, KB of memory that one may leave behind)
FLOODS = {
    "options": (lambda at, edge: request("OPTIONS", "ping", at), 0.5),
    "noise": (lambda at, edge: os.urandom(random.randrange(1, 200)), 0.5),
    "replies": (lambda at, edge: forged_reply(edge), 0.5),
    "cancels": (lambda at, edge: request("CANCEL", "udp-none-x", at), 0.5),
    "acks": (lambda at, edge: request("ACK", "udp-none-x", at, to_tag=";tag=9"), 0.5),
    "errors": (lambda at, edge: request("MESSAGE", "boom", at, [("Subject", "((((")]), 0.5),
    "unanswered": (lambda at, edge: request("INVITE", "deaf", at), 24),
}
BOOM = """
	if ($rU == "boom") {
		$var(x) = "a" + 1 / 0;
		if ($hdr(Subject) =~ "$hdr(Subject)")
			xlog("never\\n");
		sl_send_reply(400, "boom");
		exit;
	}
	if ($rU == "deaf") {
		$du = "sip:127.0.0.1:DEAF";
		t_relay();
		exit;
	}
"""


@pytest.fixture(scope="module")
def doors():
    return Doors(kinds=("udp",), versions=(None,))


@pytest.fixture(scope="module")
def edge(doors, certs, edges):
    deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    deaf.bind(("127.0.0.1", 0))
    config = doors.config(certs).replace("\tt_check_trans();\n\troute(OUT);",
                                         BOOM.replace("DEAF", str(deaf.getsockname()[1])) +
                                         "\tt_check_trans();\n\troute(OUT);")
    assert "boom" in config
    yield edges(config, "floods")
    deaf.close()


@pytest.mark.parametrize("kind", FLOODS)
def test_flood(kind, run, doors, edge):
    make, each = FLOODS[kind]
    at = doors.entry("udp", False)

    async def flood():
        sockets = []
        for _ in range(60):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setblocking(False)
            s.bind((f"127.{random.randrange(1, 250)}.{random.randrange(250)}.{random.randrange(1, 250)}", 0))
            sockets.append(s)
        for n in range(COUNT):
            s = sockets[n % len(sockets)]
            try:
                s.sendto(make(s.getsockname(), at), at)
            except BlockingIOError:
                pass
            if n % 20 == 0:
                await asyncio.sleep(0.002)
        for s in sockets:
            s.close()

    async def calls(client, uas, flooding):
        done = 0
        while not flooding.done() or done < 3:
            call = Call(client, uas.uri_for("udp-none-ok"))
            assert (await call.invite()).status == 200
            assert (await call.ask("BYE")).status == 200
            done += 1

    async def scenario():
        uas = await Uas("udp").start()
        client = await Client("udp", at).open()
        await calls(client, uas, asyncio.ensure_future(asyncio.sleep(0)))
        before = edge.rss()
        flooding = asyncio.ensure_future(flood())
        await calls(client, uas, flooding)
        await flooding
        assert (await Call(client, "sip:ping@edge.test").ask("OPTIONS")).status == 200
        grown = (edge.rss() - before) / 1024
        print(f"{kind}: {grown:.0f} KB for {COUNT}")
        if not edge.asan:
            assert grown < 6 << 10 or grown / COUNT < each, f"{grown:.0f} KB for {COUNT}"
        assert not client.violations and not uas.violations
        client.close()
        uas.stop()
    run(scenario())
