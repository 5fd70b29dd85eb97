"""tools/check-docs against a small tree with stand-ins for the binaries: each planted fault must be found."""
import os
import shutil
import subprocess
import sys

import pytest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../tools')
VIADUCT = r'''#!/bin/sh
case "$1" in
-h) echo "  -f FILE  -C check  -F foreground  -E stderr"; exit 0 ;;
esac
[ "$1" = -C ] && [ "$2" = -f ] || exit 9
grep -q 'loadmodule "tm.so"' "$3" || grep -q whole "$3" || { echo "$3:1:1: error: tm is not loaded" >&2; exit 255; }
grep -q broken "$3" && { echo "$3:1:1: error: broken" >&2; exit 255; }
grep -q careless "$3" && echo "$3:1:1: warning: careless" >&2
grep -o '/[^"]*/cert.pem' "$3" | while read -r cert; do [ -s "$cert" ] || exit 1; done || { echo "no certificate" >&2; exit 255; }
exit 0
'''
PAGES = {
    'functions': '# Functions\n| function | in | what |\n|---|---|---|\n| `t_relay([flags])` | route | relay |\n',
    'variables': '# Variables\n| variable | access | what |\n|---|---|---|\n| `$ru` | read, write | R-URI |\n| `$avp(name)` | read | attribute |\n',
    'transformations': '# Transformations\n| `{s.len}` | length |\n',
    'parameters': '# Parameters\n\n## tm\n\n| `fr_timeout` | int | `30` | seconds |\n',
    'counters': '# Counters\n| `net.udp_in` | datagrams |\n| `pp_reject.bad_crc` | CRC |\n',
}
GOOD = '''# Guide

See [the other](other.md#two-words) and [the source](../src/net/udp.c), or <https://example.org>.

`t_relay()` sends to `$ru`, `$(avp(x){s.len})` and `{s.len}`; `net.udp_in` counts, `net_send()` is C; `UDP_BATCH` bounds it in `net/udp.c`.

| socket option | meaning |
|---|---|
| `send_proxy_protocol` | header |

```opensips
# whole
loadmodule "tm.so"
```

```opensips part
route { t_relay(); }
```

```opensips route
t_relay();
```

```opensips error
# whole
broken
```

```text said
my.cfg:1:1: error: broken
```

```sh
script/run
build/viaduct -C -f my.cfg   # says whether it is good
```
'''


@pytest.fixture
def tree(tmp_path):
    """A tree that passes; write(path, text) changes it."""
    def write(path, text, mode=0o644):
        at = tmp_path / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
        at.chmod(mode)
    write.root = tmp_path
    write('README.md', '# Read me\n\n[Guide](docs/guide.md)\n')
    write('docs/guide.md', GOOD)
    write('docs/other.md', '# Other\n\n## Two words\n')
    write('src/net/udp.c', 'int net_send(void);\nenum { UDP_BATCH = 64 };\nconst char *const words[] = { "send_proxy_protocol" };\n')
    write('etc/edge.cfg', '# whole\nroute { exit; }\n')
    write('script/run', '#!/bin/sh\n', 0o755)
    write('build/viaduct', VIADUCT, 0o755)
    for name, text in PAGES.items():
        write('docs/reference/%s.md' % name, text)
        write('build/page.%s' % name, text)
    write('build/tools/viaduct-reference', '#!/bin/sh\nexec cat "$(dirname "$0")/../page.$1"\n', 0o755)
    return write


def run(tree, *args):
    done = subprocess.run([sys.executable, os.path.join(TOOLS, 'check-docs'), '--root', str(tree.root), *args], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def fails(tree, *words):
    code, said = run(tree)
    assert code == 1, said
    for w in words:
        assert w in said, said
    assert said.count('\n') == 2, 'one fault was planted: ' + said


def test_good_tree_passes(tree):
    code, said = run(tree)
    assert code == 0 and '5 configurations, 3 links' in said and said.endswith('good\n'), said


@pytest.mark.parametrize('old, new, words', [
    ('loadmodule "tm.so"\n', 'loadmodule "tm.so"\nbroken\n', ['docs/guide.md:11', 'error: broken']),
    ('route { t_relay(); }', 'route { broken }', ['docs/guide.md', 'error: broken']),
    ('route { t_relay(); }', 'route { careless }', ['warning: careless']),
    ('t_relay();\n```', 'broken\n```', ['error: broken']),
    ('# whole\nbroken', '# whole\nfine', ['should be refused']),
    ('1:1: error: broken\n', '1:2: error: broken\n', ['says something else']),
    ('```opensips part', '```', ['not marked']),
    ('```opensips part', '```opensips parts', ['unknown kind']),
    ('other.md#', 'mother.md#', ['link to mother.md#two-words: no such file']),
    ('#two-words', '#three-words', ['no such heading']),
    ('`t_relay()` sends', '`t_reley()` sends', ['no function t_reley()']),
    ('`$ru`', '`$rU`', ['no variable $rU']),
    ('avp(x){s.len}', 'avp(x){s.lenn}', ['no transformation {s.lenn}']),
    ('and `{s.len}`', 'and `{s.size}`', ['no transformation {s.size}']),
    ('`net.udp_in`', '`net.udp_inn`', ['no counter net.udp_inn']),
    ('`UDP_BATCH`', '`UDP_BATCHES`', ['no UDP_BATCHES in the sources']),
    ('`net/udp.c`', '`net/tcp.c`', ['no file net/tcp.c']),
    ('| `send_proxy_protocol`', '| `send_proxi_protocol`', ['the configuration language has no such word']),
    ('script/run\n', 'script/walk\n', ['script/walk: no such command']),
    ('viaduct -C', 'viaduct -Z', ['viaduct has no option -Z']),
])
def test_fault_is_found(tree, old, new, words):
    assert GOOD.count(old) == 1
    tree('docs/guide.md', GOOD.replace(old, new))
    fails(tree, *words)


def test_bad_default_configuration(tree):
    tree('etc/edge.cfg', '# whole\nbroken\n')
    fails(tree, 'etc/edge.cfg:1', 'error: broken')


def test_stale_reference_page(tree):
    tree('build/page.counters', PAGES['counters'] + '| `net.udp_out` | new |\n')
    fails(tree, 'docs/reference/counters.md:4', 'differs')


def test_missing_reference_page(tree):
    (tree.root / 'docs/reference/variables.md').unlink()
    fails(tree, 'docs/reference/variables.md:1: missing')


def test_undocumented_global(tree):
    tree('src/script/globals.c', 'rows = { { "log_level", NUMBER, AS_INT }, { "fork", BOOLEAN, NOTHING } };')
    tree('docs/globals.md', '# Globals\n\n`log_level` bounds the log.\n')
    fails(tree, 'the global `fork` is missing')


def test_no_build_says_so(tree):
    shutil.rmtree(tree.root / 'build')
    code, said = run(tree)
    assert code == 1 and 'is not there: build first' in said, said
    code, said = run(tree, str(tree.root / 'elsewhere'))
    assert code == 1 and 'elsewhere' in said, said


def test_build_directory_by_name(tree):
    os.rename(tree.root / 'build', tree.root / 'build-clang')
    assert run(tree, str(tree.root / 'build-clang'))[0] == 0


def test_certificates_are_there_for_configurations(tree):
    tree('docs/guide.md', GOOD.replace('loadmodule "tm.so"', 'loadmodule "tm.so"\nmodparam("tls_mgm", "certificate", "/etc/viaduct/cert.pem")'))
    assert run(tree)[0] == 0, run(tree)[1]
