"""Real programs around the edge: haproxy, nginx stream, sipp."""

import glob
import os
import re
import socket
import subprocess
import time

import sipkit


def wait_listening(port, process, log, timeout=10):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() is not None:
            with open(log, errors="replace") as f:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}: {f.read()[-3000:]}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args[0]}: nobody listens on {port}")


class Program:
    """A process of ours with its log; ended by its own pid."""

    def __init__(self, folder, name, words, env=None):
        self.log_path = os.path.join(str(folder), f"{name}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=str(folder), env=env)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Haproxy(Program):
    def __init__(self, folder, sections, first_port):
        self.stats = os.path.join(str(folder), "stats.sock")
        path = os.path.join(str(folder), "haproxy.cfg")
        with open(path, "w") as f:
            f.write(f"""
global
    maxconn 2000
    nbthread 1
    stats socket {self.stats} mode 600 level admin
    tune.ssl.default-dh-param 2048
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
{sections}
""")
        super().__init__(folder, "haproxy", ["haproxy", "-db", "-f", path])
        wait_listening(first_port, self.process, self.log_path)

    def servers(self):
        """{server name: (status, check status)}"""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.stats)
            s.sendall(b"show stat\n")
            text = b""
            while chunk := s.recv(65536):
                text += chunk
        lines = text.decode().lstrip("# ").splitlines()
        names = lines[0].split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return {r["svname"]: (r["status"], r["check_status"]) for r in rows
                if r["svname"] not in ("FRONTEND", "BACKEND")}


class Nginx(Program):
    def __init__(self, folder, servers, first_port=None):
        module = glob.glob("/usr/lib*/nginx/modules/ngx_stream_module.so")
        load = f"load_module {module[0]};\n" if module else ""
        path = os.path.join(str(folder), "nginx.conf")
        with open(path, "w") as f:
            f.write(f"""{load}
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log info;
events {{ worker_connections 1000; }}
stream {{
{servers}
}}
""")
        super().__init__(folder, "nginx", ["nginx", "-p", str(folder), "-e",
                                           f"{folder}/nginx.error.log", "-c", path])
        if first_port:
            wait_listening(first_port, self.process, self.log_path)


SIPP_TRANSPORT = {"udp": "u1", "tcp": "t1", "tls": "t1"}


def sipp_scenario(name):
    """Text of a built-in scenario, without its four seconds of lingering."""
    text = subprocess.run(["sipp", "-sd", name], capture_output=True, text=True).stdout
    assert "<scenario" in text
    return re.sub(r'(<timewait milliseconds=)"\d+"', r'\1"200"', text)


def sipp(folder, name, kind, scenario, remote=None, calls=20, rate=100, words=()):
    """A sipp process playing a built-in scenario, "uac" or "uas", or a given
    text.  Its exit code is 0 when every call went through.  Debian builds it
    without TLS: for "tls" it speaks TCP and haproxy wraps it (tls_wrapper)."""
    port = sipkit.free_port()
    folder = os.path.join(str(folder), name)
    os.makedirs(folder)
    path = os.path.join(folder, "scenario.xml")
    with open(path, "w") as f:
        f.write(scenario if "<scenario" in scenario else sipp_scenario(scenario))
    line = ["sipp", "-sf", path, "-t", SIPP_TRANSPORT[kind], "-i", "127.0.0.1", "-p", str(port),
            "-cp", str(sipkit.free_port()), "-m", str(calls), "-nostdin", "-trace_err",
            "-timeout", "30s", "-timeout_error", *words]
    if remote:
        line += ["-r", str(rate), f"{remote[0]}:{remote[1]}"]
    program = Program(folder, name, line, env=dict(os.environ, TERM="xterm"))
    program.port = port
    program.folder = folder
    return program


def tls_wrapper(certs, enter=None, leave=None):
    """haproxy sections: TCP in, TLS out to `enter` = (port, edge port), and
    TLS in, TCP out to `leave` = (port, callee port)."""
    text = ""
    if enter:
        text += (f"listen enter\n    bind 127.0.0.1:{enter[0]}\n"
                 f"    server edge 127.0.0.1:{enter[1]} ssl verify none\n")
    if leave:
        text += (f"listen leave\n    bind 127.0.0.1:{leave[0]} ssl crt {certs}/server.both.pem\n"
                 f"    server callee 127.0.0.1:{leave[1]}\n")
    return text


def sipp_errors(program):
    text = program.log()[-1500:]
    for path in glob.glob(os.path.join(program.folder, "*errors.log")):
        with open(path, errors="replace") as f:
            text += f.read()[:3000]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)

