"""The process from its command line to its last signal."""

import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

import sipkit
from conftest import VIADUCT, sanitized

GOOD = """
log_level = 3
socket = udp:127.0.0.1:{port}
loadmodule "proto_udp.so"
loadmodule "sl.so"
route {{
	sl_send_reply(200, "{text}");
}}
"""
ROUTE = 'loadmodule "proto_udp.so"\nloadmodule "sl.so"\nroute { sl_send_reply(200, "OK"); }\n'
WAIT = 40 if sanitized() else 20


def call(folder, *args, stdin=None, env=None):
    """Run to the end: (exit code, standard output, standard error)."""
    done = subprocess.run([VIADUCT, *args], input=stdin, cwd=folder, timeout=WAIT, text=True,
                          env={**os.environ, "HOME": str(folder), **(env or {})},
                          stdin=None if stdin is not None else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


def write(folder, text, name="edge.cfg"):
    path = os.path.join(str(folder), name)
    with open(path, "w") as f:
        f.write(text)
    return path


def ask(port, text=None):
    """OPTIONS over UDP: the status line of the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.bind(("127.0.0.1", 0))
        here = s.getsockname()[1]
        s.sendto((text or
                  f"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{here};branch=z9hG4bKboot{here}\r\n"
                  f"From: <sip:a@b>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: boot{here}\r\nCSeq: 1 OPTIONS\r\n"
                  "Content-Length: 0\r\n\r\n").encode(), ("127.0.0.1", port))
        return s.recv(65536).split(b"\r\n")[0].decode()


class Running:
    """A server that this test started, with its standard error in a file."""

    def __init__(self, folder, *args, stdin=None, env=None):
        self.path = os.path.join(str(folder), "stderr")
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen([VIADUCT, "-F", "-E", *args], cwd=folder, stdout=log, stderr=log,
                                            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                                            env={**os.environ, "HOME": str(folder), **(env or {})})
        if stdin is not None:
            self.process.stdin.write(stdin.encode())
            self.process.stdin.close()
        end = time.monotonic() + WAIT
        while " ready: " not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                pytest.fail(f"not ready:\n{self.text()}")
            time.sleep(0.01)

    def text(self):
        with open(self.path) as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert code == 0, self.text()


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# ---- what it says and how it ends ----------------------------------------------------------------


def test_help_and_version(tmp_path):
    code, out, err = call(tmp_path, "-h")
    assert code == 0 and err == ""
    for option in "fClnFEdPwtugApoVh":
        assert f" -{option}" in out, option
    assert call(tmp_path, "--help") == (0, out, "")
    code, out, err = call(tmp_path, "-V")
    assert code == 0 and err == "" and re.fullmatch(r"viaduct \d+\.\d+\S*\n", out)
    assert call(tmp_path, "--version") == (0, out, "")


@pytest.mark.parametrize("args", [["-Z"], ["-f"], ["-n", "0"], ["-n", "-1"], ["-n", "many"], ["-n", "99999"], ["word"], ["--nonsense"],
                                  ["-l"] + ["x", "-l"] * 200 + ["x"]])
def test_bad_options(tmp_path, args):
    code, out, err = call(tmp_path, *args)
    assert code == 255 and out == "" and err != ""


def test_bad_number_of_workers_in_the_environment(tmp_path):
    code, _, err = call(tmp_path, "-V", env={"VIADUCT_WORKERS": "x"})
    assert code == 255 and '"x"' in err


def test_options_of_others_are_accepted(tmp_path):
    path = write(tmp_path, GOOD.format(port=5060, text="OK"))
    code, _, err = call(tmp_path, "-C", "-f", path, "-m", "64", "-M", "8", "-N", "4", "-r", "-R", "-v", "-a", "F_MALLOC", "-S", "0")
    assert code == 0, err


@pytest.mark.parametrize("flag", ["-C", "-c", "--check"])
def test_check_of_a_good_file(tmp_path, flag):
    path = write(tmp_path, GOOD.format(port=5060, text="OK"))
    code, out, err = call(tmp_path, flag, "-f", path)
    assert (code, out) == (0, "") and "good" in err


@pytest.mark.parametrize("text, finding", [
    ("route { nonsense(); }", "nonsense"),
    ("route { if (", "edge.cfg:1:"),
    ("nonsense = 1\nroute { exit; }", "nonsense"),
    ("socket = udp:127.0.0.1:99999\nroute { exit; }", "99999"),
    ('loadmodule "nonsense.so"\nroute { exit; }', "nonsense"),
    ('include_file "nowhere.cfg"\nroute { exit; }', "nowhere.cfg"),
    ("", "no listening socket"),
])
def test_check_of_a_bad_file(tmp_path, text, finding):
    path = write(tmp_path, text)
    code, out, err = call(tmp_path, "-C", "-f", path)
    assert code == 255 and out == ""
    assert finding in err and "good" not in err


def test_a_file_that_is_not_there(tmp_path):
    code, _, err = call(tmp_path, "-C", "-f", "nowhere.cfg")
    assert code == 255 and "nowhere.cfg: No such file" in err
    code, _, err = call(tmp_path, "-C", "-f", str(tmp_path))
    assert code == 255 and "Is a directory" in err


def test_a_file_that_is_too_large(tmp_path):
    path = write(tmp_path, "# " + "x" * (20 << 20))
    code, _, err = call(tmp_path, "-C", "-f", path)
    assert code == 255 and "larger than" in err


# ---- where the configuration comes from ---------------------------------------------------------------


def test_configuration_from_standard_input(tmp_path):
    port = sipkit.free_port()
    text = GOOD.format(port=port, text="Stdin")
    assert call(tmp_path, "-C", "-f", "-", stdin=text)[0] == 0
    assert call(tmp_path, "-C", "-f", "-", stdin="route {")[0] == 255
    with Running(tmp_path, "-f", "-", stdin=text):
        assert ask(port) == "SIP/2.0 200 Stdin"


def test_included_files(tmp_path):
    port = sipkit.free_port()
    os.mkdir(tmp_path / "parts")
    write(tmp_path / "parts", 'route { route(inner); }\ninclude_file "inner.cfg"\n', "outer.cfg")
    write(tmp_path / "parts", 'route[inner] { sl_send_reply(200, "Included"); }\n', "inner.cfg")
    write(tmp_path, 'route[inner] { sl_send_reply(200, "Included"); }\n', "inner.cfg")
    path = write(tmp_path, f'socket = udp:127.0.0.1:{port}\nloadmodule "proto_udp.so"\nloadmodule "sl.so"\ninclude_file "parts/outer.cfg"\n')
    with Running(tmp_path, "-f", path):
        assert ask(port) == "SIP/2.0 200 Included"


def test_files_that_include_themselves(tmp_path):
    path = write(tmp_path, 'include_file "edge.cfg"\n')
    code, _, err = call(tmp_path, "-C", "-f", path)
    assert code == 255 and "edge.cfg" in err


def test_a_preprocessor(tmp_path):
    port = sipkit.free_port()
    path = write(tmp_path, GOOD.format(port="THEPORT", text="Cooked"))
    with Running(tmp_path, "-f", path, "-p", f"sed s/THEPORT/{port}/"):
        assert ask(port) == "SIP/2.0 200 Cooked"
    code, _, err = call(tmp_path, "-C", "-f", path, "-p", "cat; exit 3")
    assert code == 255 and "preprocessor" in err
    # it need not read what it is given
    assert call(tmp_path, "-C", "-f", path, "-p", f"echo 'socket=udp:127.0.0.1:{port} loadmodule \"proto_udp.so\" '; echo 'route {{ exit; }}'")[0] == 0


def test_script_arguments(tmp_path):
    port = sipkit.free_port()
    path = write(tmp_path, f'socket = udp:127.0.0.1:{port}\nloadmodule "proto_udp.so"\nloadmodule "sl.so"\n'
                           'route { sl_send_reply(200, "$argv(one)-$argv(two)-$argv(three)"); }\n')
    with Running(tmp_path, "-f", path, "-o", "one=1=1", "-o", "two"):
        line = ask(port)
    assert line.startswith("SIP/2.0 200 1=1-") and line.endswith("-<null>")


# ---- sockets, workers, files --------------------------------------------------------------------------------


def test_sockets_of_the_command_line(tmp_path):
    one, two = sipkit.free_port(), sipkit.free_port()
    path = write(tmp_path, ROUTE)
    with Running(tmp_path, "-f", path, "-l", f"udp:127.0.0.1:{one}", "-l", f"127.0.0.1:{two}") as server:
        assert ask(one) == ask(two) == "SIP/2.0 200 OK"
        assert f"udp:127.0.0.1:{one}" in server.text()
    code, _, err = call(tmp_path, "-C", "-f", path, "-l", "nonsense:::")
    assert code == 255 and "nonsense" in err


def test_sockets_of_both(tmp_path):
    one, two = sipkit.free_port(), sipkit.free_port()
    path = write(tmp_path, GOOD.format(port=one, text="OK"))
    with Running(tmp_path, "-f", path, "-l", f"udp:127.0.0.1:{two}"):
        assert ask(one) == ask(two) == "SIP/2.0 200 OK"


def test_workers(tmp_path):
    port = sipkit.free_port()
    path = write(tmp_path, GOOD.format(port=port, text="OK"))
    with Running(tmp_path, "-f", path, "-n", "3", env={"VIADUCT_WORKERS": "2"}) as server:
        assert " ready: 3 workers" in server.text()
        assert len(os.listdir(f"/proc/{server.process.pid}/task")) >= 4
    with Running(tmp_path, "-f", path, env={"VIADUCT_WORKERS": "2"}) as server:
        assert " ready: 2 workers" in server.text()
    with Running(tmp_path, "-f", path, "-n", "1") as server:
        assert " ready: 1 worker," in server.text()


def test_a_pid_file(tmp_path):
    port = sipkit.free_port()
    path = write(tmp_path, GOOD.format(port=port, text="OK"))
    pidfile = tmp_path / "pid"
    with Running(tmp_path, "-f", path, "-P", str(pidfile)) as server:
        assert pidfile.read_text() == f"{server.process.pid}\n"
    assert not pidfile.exists()
    code, _, err = call(tmp_path, "-F", "-f", path, "-P", str(tmp_path / "nowhere" / "pid"))
    assert code not in (0, None) and "cannot write" in err


def test_a_port_in_use(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        port = s.getsockname()[1]
        path = write(tmp_path, f'socket = tcp:127.0.0.1:{port}\nloadmodule "proto_tcp.so"\nroute {{ exit; }}\n')
        for more in (["-F"], []):
            code, _, err = call(tmp_path, *more, "-f", path)
            assert code not in (0, 99) and f"127.0.0.1:{port}" in err and "in use" in err, (more, code, err)
        # the file itself is good
        assert call(tmp_path, "-C", "-f", path)[0] == 0


def test_an_address_of_somebody_else(tmp_path):
    path = write(tmp_path, 'socket = udp:192.0.2.1:5060\nloadmodule "proto_udp.so"\nroute { exit; }\n')
    code, _, err = call(tmp_path, "-F", "-f", path)
    assert code not in (0, 99) and "192.0.2.1:5060" in err


def test_a_missing_certificate(tmp_path, certs):
    text = """socket = tls:127.0.0.1:5061
loadmodule "proto_tls.so"
loadmodule "tls_mgm.so"
modparam("tls_mgm", "certificate", "{cert}")
modparam("tls_mgm", "private_key", "{key}")
modparam("tls_mgm", "verify_cert", "0")
route {{ exit; }}
"""
    good = {"cert": f"{certs}/server.pem", "key": f"{certs}/server.key"}
    assert call(tmp_path, "-C", "-f", write(tmp_path, text.format(**good)))[0] == 0
    for which in good:
        code, _, err = call(tmp_path, "-C", "-f", write(tmp_path, text.format(**{**good, which: "/nowhere/x.pem"})))
        assert code == 255 and "/nowhere/x.pem" in err and "No such file" in err


def test_the_state_directory(tmp_path):
    state = tmp_path / "deep" / "state"
    env = {"VIADUCT_STATE": str(state)}
    text = 'socket = udp:127.0.0.1:5060\nloadmodule "proto_udp.so"\nloadmodule "tls_mgm.so"\n' \
           'modparam("tls_mgm", "certificate", "${VIADUCT_STATE}/cert.pem")\n' \
           'modparam("tls_mgm", "private_key", "${VIADUCT_STATE}/key.pem")\nroute { exit; }\n'
    path = write(tmp_path, text)
    os.makedirs(state)
    write(state, "left over", "key.pem.new")
    os.chmod(state / "key.pem.new", 0o644)
    code, _, err = call(tmp_path, "-C", "-f", path, env=env)
    assert code == 0 and "made a self-signed certificate" in err
    key, cert = state / "key.pem", state / "cert.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = key.read_bytes(), cert.read_bytes()
    found = subprocess.run(["openssl", "x509", "-in", str(cert), "-noout", "-text"], capture_output=True, text=True).stdout
    assert "DNS:localhost" in found and "IP Address:127.0.0.1" in found
    # once and for all
    code, _, err = call(tmp_path, "-C", "-f", path, env=env)
    assert code == 0 and "made" not in err
    assert (key.read_bytes(), cert.read_bytes()) == first
    # without a name for it, beside other programs' state
    code, _, err = call(tmp_path, "-C", "-f", path, env={"VIADUCT_STATE": "", "XDG_STATE_HOME": str(tmp_path / "xdg")})
    assert code == 0 and (tmp_path / "xdg" / "viaduct" / "key.pem").exists()
    assert stat.S_IMODE((tmp_path / "xdg" / "viaduct").stat().st_mode) == 0o700
    # where nothing can be written
    write(tmp_path, "", "file")
    code, _, err = call(tmp_path, "-C", "-f", path, env={"VIADUCT_STATE": str(tmp_path / "file" / "state")})
    assert code == 255 and "state directory" in err


def test_the_built_in_configuration(tmp_path):
    code, _, err = call(tmp_path, "-C", env={"VIADUCT_STATE": str(tmp_path / "state")})
    assert code == 0, err


# ---- signals --------------------------------------------------------------------------------------------------------


def test_signals(tmp_path):
    port = sipkit.free_port()
    path = write(tmp_path, GOOD.format(port=port, text="OK"))
    with Running(tmp_path, "-f", path) as server:
        ask(port)
        os.kill(server.process.pid, signal.SIGUSR1)
        wait_for(lambda: "counter end.counters 0" in server.text())
        counters = dict(re.findall(r"^counter (\S+) (\d+)$", server.text(), re.M))
        assert counters["core.rcv_requests"] == "1" and counters["core.replies_sent"] == "1"
        for name in ("SIGHUP", "SIGUSR2", "SIGPIPE"):
            os.kill(server.process.pid, getattr(signal, name))
            assert ask(port) == "SIP/2.0 200 OK", name
        assert server.process.poll() is None


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_it_ends_with_zero(tmp_path, name):
    path = write(tmp_path, GOOD.format(port=sipkit.free_port(), text="OK"))
    with Running(tmp_path, "-f", path, "-n", "2") as server:
        os.kill(server.process.pid, getattr(signal, name))
        assert server.process.wait(WAIT) == 0


# ---- in the background --------------------------------------------------------------------------------------------------


def test_in_the_background(tmp_path):
    """The command returns when the service is there, and its own descriptors are free."""
    port = sipkit.free_port()
    path = write(tmp_path, GOOD.format(port=port, text="OK"))
    pidfile = tmp_path / "pid"
    code, out, err = call(tmp_path, "-f", path, "-P", str(pidfile))
    assert code == 0, err
    pid = int(pidfile.read_text())
    try:
        assert ask(port) == "SIP/2.0 200 OK"
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not pidfile.exists())
