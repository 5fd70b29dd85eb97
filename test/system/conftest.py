"""Fixtures of the system tests: the server under test, certificates, one loop.

    VIADUCT          the binary (default build/viaduct of this tree)
    VIADUCT_WORKERS  passed through to it: its number of worker threads

A sanitizer build needs no switch: it is recognised, its report fails the
test, and limits on memory and time are widened.
"""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sipkit  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VIADUCT = os.environ.get("VIADUCT") or os.path.join(TREE, "build", "viaduct")
COMPLAINT = re.compile(r"ERROR: \w*Sanitizer|runtime error:|must\(|panic|Assertion .* failed")
MODULES = ("proto_udp proto_tcp proto_tls proto_ws proto_wss tls_mgm tls_openssl "
           "tm sl rr maxfwd signaling sipmsgops textops").split()

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def sanitized():
    with open(VIADUCT, "rb") as f:
        return b"__asan_init" in f.read()


class Edge:
    """One running viaduct, its log and its counters."""

    def __init__(self, folder, config, name="edge", args=(), env=None):
        self.folder, self.name = str(folder), name
        self.config = os.path.join(self.folder, f"{name}.cfg")
        self.log_path = os.path.join(self.folder, f"{name}.log")
        with open(self.config, "w") as f:
            f.write(config)
        self.args = list(args)
        self.env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:exitcode=99",
                        UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1", **(env or {}))
        self.process = None
        self.asan = sanitized()

    def start(self, timeout=20):
        log = open(self.log_path, "wb")
        self.process = subprocess.Popen([VIADUCT, "-F", "-E", "-f", self.config] + self.args,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=self.env, cwd=self.folder)
        log.close()
        end = time.monotonic() + timeout
        while not re.search(r"\bready\b", self.log()):
            code, late = self.process.poll(), time.monotonic() > end
            if code is not None or late:
                self.process.kill()
                self.process.wait()
                self.process = None     # reported here, nothing to stop
                pytest.fail(f"{self.name} {'is not ready' if code is None else f'ended with {code}'}:\n"
                            f"{self.log()[-4000:]}", pytrace=False)
            time.sleep(0.01)
        return self

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    @property
    def workers(self):
        return int(re.search(r"\bready: (\d+) worker", self.log()).group(1))

    @property
    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Orderly shutdown; a crash or a sanitizer report fails the test."""
        if self.process is None:
            return
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail(f"{self.name} did not end on SIGTERM:\n{self.log()[-4000:]}")
        code, self_log = self.process.returncode, self.log()
        self.process = None
        found = COMPLAINT.search(self_log)
        if found or code != 0:
            at = found.start() if found else max(0, len(self_log) - 4000)
            pytest.fail(f"{self.name} ended with {code}:\n{self_log[at:at + 6000]}")

    def counters(self):
        """The counters as printed on SIGUSR1."""
        before = len(self.log())
        os.kill(self.process.pid, signal.SIGUSR1)
        end, last = time.monotonic() + 5, None
        while time.monotonic() < end:
            found = dict(re.findall(r"counter (\S+) (-?\d+)", self.log()[before:]))
            if found and found == last:
                return {name: int(value) for name, value in found.items()}
            last = found
            time.sleep(0.03)
        raise AssertionError("no counters on SIGUSR1")

    def rss(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024

    def cpu(self):
        """CPU seconds used so far, user and system."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def preamble(certs, more=""):
    """The part that every test script shares."""
    loads = "\n".join(f'loadmodule "{m}.so"' for m in MODULES)
    return f"""
log_level = 3
xlog_level = 3
{more}
{loads}
modparam("tls_mgm", "certificate", "{certs}/server.pem")
modparam("tls_mgm", "private_key", "{certs}/server.key")
modparam("tls_mgm", "ca_list", "{certs}/ca.pem")
modparam("tls_mgm", "verify_cert", "0")
modparam("tls_mgm", "require_cert", "0")
"""


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return sipkit.make_certificates(str(tmp_path_factory.mktemp("certs")))


@pytest.fixture(scope="session")
def tls_server(certs):
    return sipkit.server_tls(certs)


@pytest.fixture(scope="session")
def tls_client():
    return sipkit.client_tls()


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    """start(config, ...) -> Edge; every one is stopped and examined at the end."""
    running = []

    def start(config, name=None, **kw):
        edge = Edge(tmp_path_factory.mktemp("edge"), config, name or f"edge{len(running)}", **kw)
        running.append(edge)
        return edge.start()

    yield start
    first = None
    for edge in reversed(running):
        try:
            edge.stop()
        except BaseException as e:
            first = first or e
    if first:
        raise first


@pytest.fixture(scope="module")
def run():
    """run(coroutine): one event loop per test file, so that sockets of
    module-wide peers live across its tests."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def run_one(coroutine, timeout=120):
        return loop.run_until_complete(asyncio.wait_for(coroutine, timeout))

    yield run_one
    loop.run_until_complete(asyncio.sleep(0))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
