"""A repeatable set of malformed SIP messages, built from a template of slots.

Every slot of a sound INVITE is filled with every anomaly, then come structural
faults, cuts at every byte, and byte flips from a fixed seed.  Each message has
its own Call-ID and branch where the anomaly leaves them alone."""

import random

SLOTS = {
    "method": "INVITE", "uri": "sip:target@127.0.0.1", "version": "SIP/2.0",
    "via_version": "SIP/2.0/UDP", "via_host": "127.0.0.1", "via_port": "5099",
    "via_params": "rport", "from_name": '"Tester"', "from_uri": "sip:tester@127.0.0.1",
    "from_params": "tag=t", "to_name": "Receiver", "to_uri": "sip:target@127.0.0.1",
    "to_params": "x=y", "cseq": "1", "cseq_method": "INVITE",
    "contact": "<sip:tester@127.0.0.1:5099>", "max_forwards": "70", "expires": "1200",
    "route": "<sip:127.0.0.1;lr>", "require": "x", "extra_name": "X-Thing", "extra": "thing",
    "content_type": "application/sdp", "length": None, "origin": "0 0 0 IN IP4 127.0.0.1",
    "media": "audio 9876 RTP/AVP 0",
}

ANOMALIES = [
    b"", b" ", b"\t", b"a", b"a" * 33, b"a" * 257, b"a" * 1025, b"a" * 8193, b"a" * 30000,
    b"%s%n%x" * 20, b"\0", b"a\0b", b"\xff\xfe\xfd", b"\xc3\x28", "\u202e\u0000x".encode(),
    b"-1", b"0", b"+1", b"256", b"65536", b"2147483648", b"4294967296", b"18446744073709551616",
    b"9" * 200, b"1.5", b"0x10", b"<", b">", b"<>", b"<<<>>>", b'"', b'"\\', b'"a\\"', b";", b";;;;",
    b",", b",,,,", b"=", b"a=", b"=a", b";" * 300, b"," * 300, b"@", b"a@", b"@@@@", b":", b"::::", b"[",
    b"[]", b"[::", b"[::1", b"[::1]:", b"]", b"%", b"%0", b"%00", b"%zz", b"\r", b"\n", b"\r\n",
    b"\r\n ", b"\r\n\t\r\n ", b"\r\nVia: x", b"\r\n\r\n", b"sip:", b"sips:a@b", b"tel:+1", b"sip:a@b?c=d&e",
    b"sip:a@b;c;d=e;;", b"()", b"((((", b"(" * 500 + b")" * 500, b"\\", b"*", b"\x7f", b"\x1b[2J",
]


def fill(number, slots):
    def text(name):
        value = slots[name]
        return value if isinstance(value, bytes) else value.encode()
    body = (b"v=0\r\no=" + text("origin") + b"\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=" +
            text("media") + b"\r\na=rtpmap:0 PCMU/8000\r\n")
    length = str(len(body)).encode() if slots["length"] is None else text("length")
    unique = b"m%d" % number
    return b"".join([
        text("method"), b" ", text("uri"), b" ", text("version"), b"\r\n",
        b"Via: ", text("via_version"), b" ", text("via_host"), b":", text("via_port"),
        b";branch=z9hG4bK", unique, b";", text("via_params"), b"\r\n",
        b"From: ", text("from_name"), b" <", text("from_uri"), b">;", text("from_params"), b"\r\n",
        b"To: ", text("to_name"), b" <", text("to_uri"), b">;", text("to_params"), b"\r\n",
        b"Call-ID: ", unique, b"@mutate.test\r\n",
        b"CSeq: ", text("cseq"), b" ", text("cseq_method"), b"\r\n",
        b"Contact: ", text("contact"), b"\r\n", b"Max-Forwards: ", text("max_forwards"), b"\r\n",
        b"Expires: ", text("expires"), b"\r\n", b"Route: ", text("route"), b"\r\n",
        b"Require: ", text("require"), b"\r\n", text("extra_name"), b": ", text("extra"), b"\r\n",
        b"Content-Type: ", text("content_type"), b"\r\n", b"Content-Length: ", length, b"\r\n\r\n",
        body])


def structural(number):
    sound = fill(number, SLOTS)
    head, _, body = sound.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for i in range(1, len(lines)):
        yield b"\r\n".join(lines[:i] + lines[i + 1:]) + b"\r\n\r\n" + body         # one header missing
        yield b"\r\n".join(lines[:i] + [lines[i]] * 40 + lines[i + 1:]) + b"\r\n\r\n" + body
        yield b"\r\n".join(lines[:i] + [lines[i].replace(b":", b"")] + lines[i + 1:]) + b"\r\n\r\n" + body
        yield b"\r\n".join(lines[:i] + [b" " + lines[i]] + lines[i + 1:]) + b"\r\n\r\n" + body
        yield b"\r\n".join(lines[:i] + [lines[i] + b"," + lines[i].split(b": ", 1)[1]] + lines[i + 1:]) + \
            b"\r\n\r\n" + body
    yield head.replace(b"\r\n", b"\n") + b"\n\n" + body
    yield head.replace(b"\r\n", b"\r") + b"\r\r" + body
    yield b"\r\n" * 2000 + sound
    yield sound + sound
    yield head + b"\r\n" + b"X: y\r\n" * 9000 + b"\r\n"
    yield b"SIP/2.0 " + b"9" * 50 + b" x\r\n" + b"\r\n".join(lines[1:]) + b"\r\n\r\n"
    yield b"SIP/2.0 200 OK\r\n" + b"\r\n".join(lines[1:]) + b"\r\n\r\n"


def messages(flips=400, seed=2026):
    """Every message once, in a fixed order."""
    number = 0
    for slot in SLOTS:
        for anomaly in ANOMALIES:
            number += 1
            yield fill(number, dict(SLOTS, **{slot: anomaly}))
    number += 1
    for made in structural(number):
        number += 1
        yield made.replace(b"m%d" % (len(SLOTS) * len(ANOMALIES) + 1), b"m%d" % number)
    sound = fill(number + 1, SLOTS)
    for cut in range(1, len(sound), 3):
        yield sound[:cut]
    chance = random.Random(seed)
    for _ in range(flips):
        number += 1
        changed = bytearray(fill(number, SLOTS))
        for _ in range(chance.choice((1, 1, 2, 8))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        yield bytes(changed)
