"""The kit against itself: every transport, every PROXY version, no edge."""

import pytest

import sipkit
from sipkit import Call, Client, Uas

HEADERS = (None, "v1", "v2")
ANNOUNCED = (("198.51.100.7", 40007), ("2001:db8::7", 40007))


@pytest.mark.parametrize("kind", sipkit.TRANSPORTS)
def test_flows_and_headers(kind, run, tls_server, tls_client):
    async def scenario():
        for version in HEADERS:
            for src in ANNOUNCED if version else (None,):
                uas = await Uas(kind, pp=version, tls=tls_server).start()
                header = sipkit.pp_write(version, src, ("203.0.113.9", 5060), kind == "udp") \
                    if version == "v2" or src and "." in src[0] else \
                    sipkit.pp_write(version, src, ("2001:db8::9", 5060)) if version else b""
                client = await Client(kind, ("127.0.0.1", uas.port), tls=tls_client,
                                      header=header).open()
                await sipkit.answered_call(client, uas.uri_for("x-ok"), uas)
                await sipkit.busy_call(client, uas.uri_for("x-busy"), uas)
                await sipkit.cancelled_call(client, uas.uri_for("x-ring"), uas)
                assert len(uas.seen) == 10
                for s in uas.seen:
                    assert (s.pp.src if version else s.pp) == (src if version else None)
                assert not uas.violations and not client.violations
                client.close()
                uas.stop()
    run(scenario())


@pytest.mark.parametrize("kind", sipkit.TRANSPORTS)
@pytest.mark.parametrize("version", ("v1", "v2"))
def test_unexpected_header_is_a_violation(kind, version, run, tls_server, tls_client):
    async def scenario():
        uas = await Uas(kind, tls=tls_server).start()
        client = Client(kind, ("127.0.0.1", uas.port), pp=version, tls=tls_client,
                        announced=("198.51.100.7", 4000))
        try:
            await client.open(timeout=2)
            await Call(client, uas.uri_for("x")).ask("OPTIONS", timeout=0.3)
        except (AssertionError, ConnectionError):
            pass
        assert len(uas.violations) == 1
        assert not uas.seen
        client.close()
        uas.stop()
    run(scenario())


def test_header_reader_refuses_what_is_no_header():
    src, dst = ("192.0.2.1", 1), ("192.0.2.2", 2)
    for whole in (sipkit.pp1(src, dst), sipkit.pp2(src, dst, checksum=True, tlvs=[(2, b"host")]),
                  sipkit.pp2(None, None, local=True)):
        for n in range(1, len(whole)):
            with pytest.raises(sipkit.ProxyMore):
                sipkit.pp_read(whole[:n])
        assert sipkit.pp_read(whole + b"more").raw == whole
    broken = bytearray(sipkit.pp2(src, dst, checksum=True))
    broken[17] ^= 1
    for bad in (b"INVITE sip:", b"PROXY TCP4 1.2.3.4 2001:db8::1 1 2\r\n", bytes(broken)):
        with pytest.raises(sipkit.ProxyBad):
            sipkit.pp_read(bad)
    assert sipkit.crc32c(b"123456789") == 0xe3069283
    assert sipkit.spp_read(sipkit.spp(src, dst)).src == src
