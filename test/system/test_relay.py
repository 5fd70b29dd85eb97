"""The built-in configuration is no open relay: a To tag and a Route set prove no dialog."""

import os
import re
import socket
import subprocess
import time

import pytest

import sipkit
from conftest import VIADUCT


def udp(timeout=2):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(timeout)
    return s


def name(s):
    return "127.0.0.1:%d" % s.getsockname()[1]


def start(state, upstream, sip):
    ports = {k: str(sipkit.free_port()) for k in ("SIPS_PORT", "WS_PORT", "WSS_PORT")}
    env = dict(os.environ, LISTEN="127.0.0.1", VIADUCT_STATE=str(state), UPSTREAM=name(upstream), SIP_PORT=str(sip), **ports)
    log = open(state / "log", "w+")
    process = subprocess.Popen([VIADUCT, "-F", "-E", "-n", "1"], env=env, stdin=subprocess.DEVNULL, stderr=log)
    for _ in range(200):
        if "ready" in (state / "log").read_text():
            return process
        time.sleep(0.05)
    process.kill()
    pytest.fail((state / "log").read_text())


def request(client, method, ruri, routes="", call="call", tag="", cseq=1):
    lines = [f"{method} {ruri} SIP/2.0", f"Via: SIP/2.0/UDP {name(client)};branch=z9hG4bK{os.urandom(6).hex()};rport",
             "From: <sip:a@example.com>;tag=f", f"To: <sip:b@example.com>{tag}", f"Call-ID: {call}", f"CSeq: {cseq} {method}",
             "Max-Forwards: 70", f"Contact: <sip:a@{name(client)}>"]
    return ("\r\n".join(lines) + "\r\n" + routes + "Content-Length: 0\r\n\r\n").encode()


def test_no_open_relay_and_dialogs_outlive_a_restart(tmp_path):
    upstream, victim, client, sip = udp(), udp(0.4), udp(), sipkit.free_port()
    edge = ("127.0.0.1", sip)
    process = start(tmp_path, upstream, sip)
    try:
        here = f"127.0.0.1:{sip}"
        for routes in ("", f"Route: <sip:{here};lr>\r\n", f"Route: <sip:{name(victim)};lr>\r\n",
                       f"Route: <sip:{here};lr;vm=0123456789abcdef>\r\n"):
            client.sendto(request(client, "MESSAGE", f"sip:x@{name(victim)}", routes, tag=";tag=z"), edge)
            assert client.recv(4000).startswith(b"SIP/2.0 404 "), routes
            with pytest.raises(socket.timeout):
                victim.recv(4000)

        client.sendto(request(client, "INVITE", f"sip:bob@{here}"), edge)
        invite, back = upstream.recvfrom(4000)
        routes = re.findall(r"Record-Route: (.*)\r\n", invite.decode())
        kept = "".join(m for m in re.findall(r"(?:Via|Record-Route|From|Call-ID|CSeq): .*\r\n", invite.decode()))
        upstream.sendto(("SIP/2.0 200 OK\r\n" + kept + "To: <sip:b@example.com>;tag=u\r\nContact: <sip:b@" + name(upstream) +
                         ">\r\nContent-Length: 0\r\n\r\n").encode(), back)
        while not client.recv(4000).startswith(b"SIP/2.0 200 "):
            pass

        process.terminate()
        assert process.wait(10) == 0
        process = start(tmp_path, upstream, sip)
        path = "".join(f"Route: {r}\r\n" for r in routes)
        client.sendto(request(client, "BYE", f"sip:b@{name(upstream)}", path, tag=";tag=u", cseq=2), edge)
        assert upstream.recv(4000).startswith(b"BYE ")
        # The mark is worth nothing for another call.
        client.sendto(request(client, "MESSAGE", f"sip:x@{name(victim)}", path, call="other", tag=";tag=u"), edge)
        with pytest.raises(socket.timeout):
            victim.recv(4000)
    finally:
        process.terminate()
        assert process.wait(10) == 0
