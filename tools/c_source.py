"""Reading C well enough for the checks beside this file: no compiler, no libraries, fast."""
import os
import re

_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')|//[^\n]*|/\*.*?\*/', re.S)


def arguments(args, program):
    """(root of the tree to check, remaining arguments): the program's own tree unless --root DIR says another."""
    if args[:1] == ['--root'] and len(args) > 1:
        return os.path.abspath(args[1]), args[2:]
    return os.path.dirname(os.path.dirname(program)), args


def files(root, folder, endings):
    """Paths below root/folder relative to root, sorted."""
    found = []
    for at, dirs, names in os.walk(os.path.join(root, folder)):
        dirs[:] = [d for d in dirs if not d.startswith('.') and d not in ('__pycache__', 'node_modules')]
        found += [os.path.relpath(os.path.join(at, n), root) for n in names if n.endswith(endings)]
    return sorted(found)


def read(path):
    with open(path, encoding='utf-8', errors='surrogateescape') as f:
        return f.read()


def _blank(text):
    return re.sub(r'[^\n]', ' ', text)


def without_comments(text):
    """Comments become spaces; strings stay; every line keeps its number."""
    return _COMMENT.sub(lambda m: m.group(1) or _blank(m.group(0)), text)


def bare(text):
    """Comments and the insides of strings become spaces."""
    def sub(m):
        t = m.group(0)
        return _blank(t) if t[0] == '/' else t[0] + _blank(t[1:-1]) + t[-1]
    return _NOISE.sub(sub, text)


def without_directives(text):
    """Preprocessor lines, continuations included, become spaces."""
    return re.sub(r'^[ \t]*#(?:[^\n\\]|\\\n|\\.)*', lambda m: _blank(m.group(0)), text, flags=re.M)


def line_of(text, at):
    return text.count('\n', 0, at) + 1


def _opening(text, close):
    """Index of the parenthesis that text[close] closes."""
    depth = 0
    for i in range(close, -1, -1):
        if text[i] == ')':
            depth += 1
        elif text[i] == '(':
            depth -= 1
            if depth == 0:
                return i
    return -1


class Function:
    def __init__(self, path, name, first, last, body):
        self.path, self.name, self.first, self.last, self.body = path, name, first, last, body

    @property
    def lines(self):
        return self.last - self.first + 1

    @property
    def cyclomatic(self):
        """McCabe's number: one, and one for each place where the path forks."""
        return 1 + len(re.findall(r'\b(?:if|for|while|case)\b|&&|\|\||\?', self.body))

    def __str__(self):
        return '%s:%s' % (self.path, self.name)


def functions(path, text):
    """Every function defined in the text."""
    code = without_directives(bare(text))
    found, depth, start, i = [], 0, 0, 0
    head = None
    for m in re.finditer(r'[{};]', code):
        c, i = m.group(0), m.start()
        if c == '{':
            if depth == 0:
                before = code[start:i].rstrip()
                head = _function_head(code, start, start + len(before)) if before.endswith(')') else None
                body_at = i
            depth += 1
        elif c == '}':
            depth -= 1
            if depth == 0:
                if head:
                    name, at = head
                    found.append(Function(path, name, line_of(code, at), line_of(code, i), code[body_at:i + 1]))
                    start = i + 1
                head = None
        elif depth == 0:
            start = i + 1
    return found


def _function_head(code, start, end):
    """(name, index of the first character) of the function whose head is code[start:end], or None."""
    open_at = _opening(code, end - 1)
    name = re.search(r'(\w+)\s*$', code[start:open_at]) if open_at >= start else None
    if not name or '=' in code[start:open_at]:
        return None
    first = re.search(r'\S', code[start:end])
    return name.group(1), start + first.start()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else 0
