"""tools/check-layers and tools/check-shape against small trees, each with one fault that must be found."""
import os
import shutil
import subprocess

import pytest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../tools')
GUARDED = '#ifndef %s_H\n#define %s_H\n%s\n#endif\n'


def header(name, body=''):
    return GUARDED % (name, name, body)


@pytest.fixture
def tree(tmp_path):
    """A tree that passes; write(path, text) changes it."""
    def write(path, text):
        at = tmp_path / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
    write.root = tmp_path
    (tmp_path / 'docs').mkdir()
    shutil.copy(os.path.join(TOOLS, '../docs/layers.txt'), tmp_path / 'docs')
    write('src/base/base.h', header('BASE', '#define must(e) ((void)(e))\n/* A sum. */\nint base_sum(int a, int b);'))
    write('src/base/base.c', '#include "base/base.h"\n\nint base_sum(int a, int b)\n{\n\tmust(a + b);\n\treturn a + b;\n}\n')
    write('src/loop/loop.h', header('LOOP', '#include "base/base.h"'))
    write('src/net/net.h', header('NET', '#include "loop/loop.h"'))
    write('src/core/core.h', header('CORE', '#include "net/net.h"'))
    write('src/script/script.h', header('SCRIPT', '#include "core/core.h"'))
    write('src/mod/tm/api.h', header('TM_API', '#include "script/script.h"'))
    write('src/mod/tm/tm.h', header('TM', '#include "mod/tm/api.h"'))
    write('src/mod/rr/rr.c', '#include "mod/tm/api.h"\n')
    write('test/all.c', 'int x;\n' * 100)
    return write


def run(tool, tree, *args):
    done = subprocess.run([os.path.join(TOOLS, tool), '--root', str(tree.root), *args], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def fails(tool, tree, *words):
    code, said = run(tool, tree)
    assert code == 1, said
    for w in words:
        assert w in said, said


@pytest.mark.parametrize('tool', ['check-layers', 'check-shape'])
def test_good_tree_passes(tree, tool):
    assert run(tool, tree)[0] == 0, run(tool, tree)[1]


@pytest.mark.parametrize('path, text, words', [
    ('src/net/udp.c', '#include "core/core.h"\n', ['src/net/udp.c:1', 'core/core.h', 'net may include loop wire base']),
    ('src/base/x.c', '\n#include "loop/loop.h"\n', ['src/base/x.c:2', 'base may include nothing']),
    ('src/net/udp.c', '#include "../base/base.h"\n', ['no ../']),
    ('test/unit/x.c', '#include "../wall.h"\n', ['test/unit/x.c:1', 'no ../']),
    ('src/net/udp.c', '#include "loop/nowhere.h"\n', ['no such file']),
    ('src/odd/x.c', '#include "base/base.h"\n', ['odd is not in docs/layers.txt']),
    ('src/mod/rr/rr.c', '#include "mod/tm/tm.h"\n', ['another module only through its api.h']),
    ('src/net/net.h', header('NET', 'struct s { size_t n; };'), ['src/net/net.h: does not compile alone', 'size_t']),
    ('src/net/net.h', header('NET', '#include "loop/loop.h"\nint f(int x) { return y; }'), ['does not compile alone']),
    ('src/base/a.h', header('A', '#include "base/base.h"\n#include "base/b.h"'), ['no such file']),
    ('src/core/x.c', 'pthread_mutex_t m;\n', ['src/core/x.c:1', 'pthread_mutex_t', 'only in']),
    ('src/core/x.c', 'void f(void)\n{\n\tpthread_mutex_lock(0);\n}\n', ['src/core/x.c:3', 'pthread_mutex_lock']),
    ('src/core/x.c', 'int f(void) { return time(0); }\n', ['time', 'main/*']),
    ('src/core/x.c', 'int f(void) { return rand(); }\n', ['rand']),
    ('src/wire/sip/x.c', 'void *f(void) { return malloc(1); }\n', ['malloc', 'never here']),
])
def test_fault_is_found(tree, path, text, words):
    tree(path, text)
    fails('check-layers', tree, *words)


def test_private_header_of_another_room(tree):
    tree('src/loop/inbox.h', header('INBOX'))
    tree('src/net/udp.c', '#include "loop/inbox.h"\n')
    fails('check-layers', tree, 'private to its folder', 'loop/loop.h')


def test_cycle_of_files(tree):
    tree('src/net/a.h', header('A', '#include "net/b.h"'))
    tree('src/net/b.h', header('B', '#include "net/a.h"'))
    fails('check-layers', tree, 'include cycle of files: net/a.h -> net/b.h -> net/a.h')


def test_cycle_of_modules(tree):
    tree('src/mod/rr/api.h', header('RR', '#include "script/script.h"'))
    tree('src/mod/tm/tm.c', '#include "mod/rr/api.h"\n')
    fails('check-layers', tree, 'include cycle of folders: mod/rr -> mod/tm -> mod/rr')


@pytest.mark.parametrize('text', [
    '/* #include "core/core.h" pthread_mutex_lock() */\n// time(0)\n',
    'const char *f(void) { return "malloc(1) time(0)"; }\n',
    'struct c { int (*time)(int); };\nint f(struct c *c) { return c->time(1); }\n',
    '#include <time.h>\n#include <pthread.h>\n',
])
def test_words_elsewhere_are_innocent(tree, text):
    tree('src/net/udp.c', text)
    assert run('check-layers', tree)[0] == 0, run('check-layers', tree)[1]


@pytest.mark.parametrize('text, found', [
    ('int counter;\n', True), ('int counter = 1;\n', True), ('_Thread_local int counter;\n', True),
    ('static int counter;\nint f(void) { return ++counter; }\n', False), ('const int limit = 1;\n', False),
    ('int f(void);\nint (*const table[])(void) = { f };\n', False),
])
def test_mutable_globals(tree, text, found):
    tree('src/net/udp.c', text)
    lib = tree.root / 'build/src/net'
    lib.mkdir(parents=True)
    for cmd in (['cc', '-fPIC', '-c', str(tree.root / 'src/net/udp.c'), '-o', str(lib / 'udp.o')],
                ['ar', 'rcs', str(lib / 'libnet.a'), str(lib / 'udp.o')]):
        subprocess.run(cmd, check=True)
    code, said = run('check-layers', tree, str(tree.root / 'build'))
    assert (code == 1) == found, said
    assert ('counter is a mutable global' in said) == found


def function(lines, body='\tx++;\n'):
    return 'int big(int x)\n{\n' + body * lines + '\treturn x;\n}\n'


FILL = ''.join('int f%d(int x)\n{\n\tmust(x);\n\treturn x + %d;\n}\n\n' % (i, i) for i in range(120))


@pytest.mark.parametrize('text, words', [
    (FILL + function(160), ['function length max', '164 lines  src/net/x.c:big']),
    (FILL + function(1, '\tif (x)\n' * 40 + '\tx++;\n'), ['cyclomatic max', '41 paths  src/net/x.c:big']),
    (FILL * 3, ['.c file length max']),
    ('int f(int x)\n{\n\treturn x;\n}\n' * 60, ['must() per kLOC']),
    (FILL + 'int g(void)\n{\n%s}\n' % ('\tlog_at(1, "x");\n' * 20), ['log calls per kLOC']),
    (FILL + '#define TRY(x) do { if (!(x)) return -1; } while (0)\n', ['macros hiding control flow', 'src/net/x.c:TRY']),
    (FILL + '/* TO' 'DO later */\n', ['marks of unfinished work', 'src/net/x.c:721']),
    (FILL + ''.join('\tx%d();\n' % i for i in range(50)) * 2, ['copied lines']),
])
def test_gate_breaks(tree, text, words):
    tree('src/net/x.c', text)
    tree('test/all.c', 'int x;\n' * 5000)
    fails('check-shape', tree, 'BROKEN', *words)


def test_undocumented_declaration(tree):
    tree('src/net/net.h', header('NET', '/* Said. */\nint a(int x);\nint b(int x);\n\nint c(int x,\n\tint y);\n'
                                 'struct only_named;\n\nstruct d {\n\tint x;\n};\n\nint e(void);   /* said */'))
    code, said = run('check-shape', tree)
    assert code == 1
    assert 'src/net/net.h:c' in said and 'src/net/net.h:d' in said
    for name in 'abe':
        assert 'src/net/net.h:%s\n' % name not in said


def test_too_few_tests(tree):
    tree('test/all.c', 'int x;\n')
    fails('check-shape', tree, 'test lines per 100 source lines')


def test_exception_lets_through_and_is_missed_when_idle(tree):
    big = function(1, ''.join('\tx += %d;\n' % i for i in range(160)))
    tree('src/net/x.c', FILL[:3000].rpartition('int')[0] + big)
    tree('test/all.c', 'int x;\n' * 5000)
    assert run('check-shape', tree)[0] == 1
    tree('tools/shape-exceptions', '# list\nlength src/net/x.c:big -- a table written as code\n')
    assert run('check-shape', tree)[0] == 0, run('check-shape', tree)[1]
    tree('src/net/x.c', FILL + function(3))
    fails('check-shape', tree, 'no longer needed')
    tree('tools/shape-exceptions', 'length src/net/x.c:big\n')
    fails('check-shape', tree, 'expected "MEASURE PATH[:NAME] -- REASON"')


def test_row_macro_and_function_macro_hide_nothing(tree):
    tree('src/net/x.c', FILL + '#define ROW(n) case n: return #n;\nconst char *g(int x)\n{\n\tswitch (x) { ROW(1) }\n\treturn 0;\n}\n#undef ROW\n'
         '#define GET(n) int get_##n(int x) \\\n\t{ return x + n; }\n')
    tree('test/all.c', 'int x;\n' * 5000)
    assert run('check-shape', tree)[0] == 0, run('check-shape', tree)[1]
