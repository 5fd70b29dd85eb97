"""Headless Chromium by the W3C WebDriver protocol, and a bundle of JsSIP."""

import functools
import http.client
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import time

import sipkit

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
         "--disable-background-networking --disable-component-update --disable-sync "
         "--disable-dev-shm-usage --use-fake-device-for-media-stream "
         "--use-fake-ui-for-media-stream --ignore-certificate-errors").split()


def packages():
    """node_modules with JsSIP as package-lock.json names it."""
    folder = os.path.join(HERE, "browser")
    modules = os.path.join(folder, "node_modules")
    if not os.path.isdir(os.path.join(modules, "jssip")):
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
    return modules


def entry_file(path):
    """The file a CommonJS path names."""
    for candidate in (path, path + ".js", path + ".json", os.path.join(path, "index.js")):
        if os.path.isfile(candidate):
            return candidate
    with open(os.path.join(path, "package.json")) as f:
        facts = json.load(f)
    main = facts.get("browser")
    return entry_file(os.path.join(path, main if isinstance(main, str) else facts["main"]))


def bundle(modules, name):
    """One script of a CommonJS package and all it requires; sets window.JsSIP."""
    texts, numbers = {}, {}

    def add(path):
        path = os.path.realpath(path)
        if path in numbers:
            return numbers[path]
        number = numbers[path] = len(numbers)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if path.endswith(".json"):
            text = f"module.exports = {text};"
        else:
            def resolve(m):
                base = os.path.dirname(path) if m.group(2).startswith(".") else modules
                target = os.path.join(base, m.group(2))
                return f"require({add(entry_file(os.path.normpath(target)))})"
            text = re.sub(r"""\brequire\((['"])([^'"]+)\1\)""", resolve, text)
        texts[number] = text
        return number

    first = add(entry_file(os.path.join(modules, name)))
    parts = ",\n".join(f"{n}: function (module, exports, require) {{\n{texts[n]}\n}}" for n in texts)
    return ("(function () { var process = { env: {} }, made = {}, files = {\n" + parts + "\n};\n"
            "function need(n) { if (!made[n]) { var m = made[n] = { exports: {} };\n"
            "files[n].call(m.exports, m, m.exports, need); } return made[n].exports; }\n"
            f"window.JsSIP = need({first}); }})();\n")


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


class Pages:
    """The page and its script, served on localhost: a secure context."""

    def __init__(self, folder):
        folder = str(folder)
        shutil.copy(os.path.join(HERE, "browser", "page.html"), os.path.join(folder, "index.html"))
        with open(os.path.join(folder, "jssip.js"), "w", encoding="utf-8") as f:
            f.write(bundle(packages(), "jssip"))
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(QuietFiles, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://localhost:{self.server.server_address[1]}/"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Chromium:
    """A browser of its own profile, driven by chromedriver."""

    def __init__(self, folder):
        self.port = sipkit.free_port()
        profile = os.path.join(str(folder), "profile")
        with open(os.path.join(str(folder), "chromedriver.log"), "wb") as log:
            self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=log,
                                           stderr=log, env=dict(os.environ, HOME=str(folder)))
        end = time.monotonic() + 15
        while True:
            try:
                if self.ask("GET", "/status")["ready"]:
                    break
            except OSError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)
        binary = shutil.which("chromium") or shutil.which("chromium-browser")
        self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": True,
            "goog:chromeOptions": {"binary": binary, "args": FLAGS + [f"--user-data-dir={profile}"]},
        }}})["sessionId"]

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{path}: {answer['error']}: {answer.get('message')}")
        return answer

    def open(self, url):
        self.ask("POST", f"/session/{self.session}/url", {"url": url})

    def run(self, script, *words):
        return self.ask("POST", f"/session/{self.session}/execute/sync",
                        {"script": script, "args": list(words)})

    def stop(self):
        try:
            if getattr(self, "session", None):
                self.ask("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait(10)


def peers_of(port):
    """Local ends of the connections established to a loopback TCP port, as the kernel lists them."""
    found = set()
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            words = line.split()
            local, remote, state = words[1], words[2], words[3]
            if state == "01" and int(remote.split(":")[1], 16) == port:
                host = bytes.fromhex(local.split(":")[0])[::-1]
                found.add((".".join(map(str, host)), int(local.split(":")[1], 16)))
    return found
