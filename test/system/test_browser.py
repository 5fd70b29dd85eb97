"""Chromium with JsSIP over WSS through haproxy places calls that are answered."""

import asyncio
import re

import pytest

import sipkit
from browser import Chromium, Pages, peers_of
from peers import Haproxy, sipp, sipp_errors, sipp_scenario
from scripts import Doors
from sipkit import Uas

ANSWER = "\r\n".join([
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=ice-lite",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=rtcp-mux", "a=mid:0",
    "a=ice-ufrag:edge", "a=ice-pwd:0123456789abcdef01234567",
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:passive",
    "a=rtpmap:111 opus/48000/2", "a=sendrecv", ""])


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.stop()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    server = Pages(tmp_path_factory.mktemp("pages"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def doors():
    return Doors(kinds=("udp", "tcp", "tls", "ws", "wss"), versions=(None, "v2"))


@pytest.fixture(scope="module")
def edge(doors, certs, edges):
    return edges(doors.config(certs), "browser")


@pytest.fixture(scope="module")
def gateway(doors, edge, tmp_path_factory):
    port = sipkit.free_port()
    haproxy = Haproxy(tmp_path_factory.mktemp("haproxy"), f"""
listen wss
    bind 127.0.0.1:{port}
    server edge 127.0.0.1:{doors.inbound["wss", True]} send-proxy-v2
""", port)
    yield port
    haproxy.stop()


async def page_event(chromium, wanted, timeout=20):
    end = asyncio.get_running_loop().time() + timeout
    while True:
        events = await asyncio.to_thread(chromium.run, "return events")
        if any(re.match(wanted, e) for e in events):
            return events
        assert asyncio.get_running_loop().time() < end, f"no {wanted!r} in {events}"
        assert not any(e.startswith("failed") for e in events), events
        await asyncio.sleep(0.05)


async def dial(chromium, pages, gateway, target):
    await asyncio.to_thread(chromium.open, pages.url)
    await asyncio.to_thread(chromium.run, "dial(arguments[0], arguments[1])",
                            f"wss://127.0.0.1:{gateway}", target)
    await page_event(chromium, "confirmed")


async def hang_up_socket(chromium, gateway):
    await asyncio.to_thread(chromium.run, "agent.stop()")
    end = asyncio.get_running_loop().time() + 10
    while peers_of(gateway):
        assert asyncio.get_running_loop().time() < end, "the browser's socket stays open"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("who", ("browser", "callee"))
def test_call_hung_up_by(who, run, chromium, pages, gateway, edge):
    """The upstream and the script see the browser's own socket."""
    async def scenario():
        uas = await Uas("tcp", pp="v2").start()
        uas.sdp = ANSWER.encode()
        await dial(chromium, pages, gateway, uas.uri_for("tcp-v2-ok"))
        call_id = next(iter(uas.by_call))
        await uas.wait(call_id, "ACK")
        browser = peers_of(gateway)
        assert len(browser) == 1, browser
        if who == "browser":
            await asyncio.to_thread(chromium.run, "session.terminate()")
            await page_event(chromium, "ended local")
            await uas.wait(call_id, "BYE")
        else:
            assert (await uas.hang_up(call_id)).status == 200
            await page_event(chromium, "ended remote")
        requests = [s for s in uas.by_call[call_id] if not s.msg.is_response]
        assert {s.pp.src for s in requests} == browser
        saw = re.findall(rf"SAW\|{re.escape(call_id)}\|(\w+)\|([^|]*)\|([^|]*)\|", edge.log())
        assert {(ip, int(p)) for m, ip, p in saw if m != "BYE" or who == "browser"} == browser
        assert not uas.violations
        uas.stop()
        await hang_up_socket(chromium, gateway)
    run(scenario())


def test_call_answered_by_sipp(run, chromium, pages, gateway, edge, tmp_path):
    text = sipp_scenario("uas")
    media = re.search(r"\n *v=0\n.*?(?=\n *\]\]>)", text, re.S).group(0)
    text = text.replace(media, "\n" + ANSWER.replace("\r\n", "\n").rstrip())
    # the built-in scenario forgets Record-Route in its 180 and 200
    text = text.replace("[last_CSeq:]", "[last_CSeq:]\n      [last_Record-Route:]", 2)
    server = sipp(tmp_path, "uas", "udp", text, calls=1)
    try:
        async def scenario():
            await dial(chromium, pages, gateway, f"sip:udp-none-sipp@127.0.0.1:{server.port}")
            await asyncio.to_thread(chromium.run, "session.terminate()")
            await page_event(chromium, "ended local")
            await asyncio.to_thread(server.process.wait, 20)
        run(scenario())
        assert server.process.returncode == 0, sipp_errors(server)
    finally:
        server.stop()
