#!/usr/bin/env python3
"""Writes the expected outputs of the chat template tests with Python's jinja2 (3.1), set up as chat templates expect it.

  make_template_goldens.py [--shared DIR] [--random N] [--seed N] [--output DIR]

  family_goldens.json   every template of Fixtures/templates with every conversation of conversations.json
  case_goldens.json     letters with uncommon cases: [template, output]
  random_goldens.json   random small templates, the same for everyone: [template, output or null for an error]
  shared_goldens.json   with --shared: templates of models below DIR; only length and FNV-1a hash of the output are kept
"""
import argparse, copy, datetime, json, os, random, re, warnings
import jinja2, jinja2.ext, jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATES = os.path.join(HERE, "..", "Fixtures", "templates")
NOW = datetime.datetime(2025, 3, 7, 14, 5, 9)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Generation(jinja2.ext.Extension):
    """{% generation %}: a passage of the assistant; its own scope, nothing else."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("passage"), [], [], body).set_lineno(line)

    def passage(self, caller):
        return caller()


class Raised(Exception):
    pass


def environment(kind=ImmutableSandboxedEnvironment, optimized=True):
    def raise_exception(message):
        raise Raised(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = kind(
        trim_blocks=True, lstrip_blocks=True, optimized=optimized, extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return made


ENV = environment()


def render(source, conversation, prompt, tokens=TOKENS):
    """{"output": …} or {"raised": …} or {"error": true}"""
    variables = dict(tokens, documents=None, **{})
    variables.update(conversation.get("extra", {}))
    variables.update(messages=conversation["messages"], tools=conversation.get("tools"), add_generation_prompt=prompt)
    try:
        return {"output": ENV.from_string(source).render(**variables)}
    except Raised as error:
        return {"raised": str(error)}
    except Exception:
        return {"error": True}


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def families(conversations):
    cases = []
    for name in sorted(os.listdir(TEMPLATES)):
        if not name.endswith(".jinja"):
            continue
        source = open(os.path.join(TEMPLATES, name), newline="").read()
        for conversation in conversations:
            for prompt in (True, False):
                result = render(source, conversation, prompt)
                cases.append(dict(template=name, conversation=conversation["name"], prompt=prompt, **result))
    return cases


def shared(root, conversations):
    cases = []
    for folder in ("tokenizers/qwen2.5", "tokenizers/phi-3-mini", "models/pilot"):
        configuration = json.load(open(os.path.join(root, folder, "tokenizer_config.json")))
        tokens = {k: v if isinstance(v, str) else v["content"] for k in
                  ("bos_token", "eos_token", "unk_token", "pad_token") if (v := configuration.get(k))}
        for conversation in conversations:
            for prompt in (True, False):
                result = render(configuration["chat_template"], conversation, prompt, tokens)
                if "output" in result:
                    result = {"bytes": len(result["output"].encode()), "fnv": fnv(result["output"])}
                cases.append(dict(folder=folder, conversation=conversation["name"], prompt=prompt, **result))
    return cases


# Random templates

VARIABLES = {
    "s": "Hello, World", "t": "  pad ded\n", "u": "Größe ✓ 世界", "empty": "", "n": 7, "m": -3, "z": 0, "f": 2.5, "g": -0.125,
    "yes": True, "no": False, "nil": None, "l": [3, 1, 2], "words": ["b", "A", "c", "a"], "mixed": [1, "1", 1.0, None, True],
    "nest": [[1, 2], [3, [4, 5]]], "d": {"b": 2, "a": 1, "items": 3}, "rows": [{"k": "x", "v": 1}, {"k": "y", "v": 2}, {"k": "x"}],
}


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *choices):
        return self.r.choice(choices)

    def string(self):
        return self.pick("''", "'a'", '"lo"', "'Hello'", "' '", "'\\n'", "'é'", "','", '"it\'s"', "'<b>'", "'%s'", "'12'", "'3.5'", "'x y  z'")

    def number(self):
        return self.pick("0", "1", "2", "3", "-1", "5", "10", "2.5", "0.1", "1e3", "-2.5", "1_000", "100")

    def atom(self):
        return self.pick(self.string(), self.number(), "true", "false", "none", self.r.choice(list(VARIABLES)),
                         self.r.choice(list(VARIABLES)), self.r.choice(list(VARIABLES)), "missing", "d.a", "d['b']", "rows[0].k", "l[0]", "l[-1]")

    def method(self):
        return self.pick("strip()", "strip('Hd')", "lstrip()", "rstrip('\\n ')", "upper()", "lower()", "title()", "capitalize()",
                         "split()", "split('l')", "split(',', 1)", "split(none, 1)", "rsplit('o', 1)", "rsplit(none, 1)", "splitlines()", "splitlines(true)",
                         "startswith('H')", "endswith('d')", "startswith(('a', 'H'))", "find('o')", "rfind('o')", "index('o')", "count('l')", "replace('l', 'LL')",
                         "replace('', '-')", "replace('l', '', 1)", "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "join(words)",
                         "join(['x'])", "zfill(15)", "center(21)", "ljust(14, '.')", "rjust(14)", "partition(', ')", "rpartition('o')",
                         "removeprefix('Hel')", "removesuffix('ld')", "swapcase()", "items()", "keys()", "values()", "get('a')", "get('q', 9)", "index(1)",
                         "count(1)", "append(1)", "pop()", "update({})", "copy()", "nosuch()", "encode", "isnumeric()", "isdecimal()", "isascii()", "format(1)")

    def filter(self):
        return self.pick("length", "count", "trim", "upper", "lower", "title", "capitalize", "string", "int", "float", "abs", "round", "round(1)",
                         "round(2, 'ceil')", "round(0, 'floor')", "round(-1)", "list", "first", "last", "join", "join(', ')", "join('-', attribute='k')", "sort", "sort(reverse=true)",
                         "sort(case_sensitive=true)", "sort(attribute='k')", "unique|list", "reverse|list", "reverse", "sum", "sum(attribute='v')", "min", "max", "tojson", "tojson(indent=2)",
                         "tojson(ensure_ascii=true)", "default('D')", "d('D', true)", "default", "items|list", "dictsort", "dictsort(reverse=true)", "dictsort(by='value')",
                         "map('upper')|list", "map('string')|join(',')", "map(attribute='k')|list", "map(attribute='v', default=0)|list", "map('abs')|list", "select|list", "reject|list",
                         "select('string')|list", "select('odd')|list", "select('gt', 1)|list", "select('equalto', 1)|list", "reject('none')|list", "selectattr('v')|list",
                         "selectattr('k', 'equalto', 'x')|list", "selectattr('v', 'defined')|list", "rejectattr('k', 'eq', 'x')|list", "rejectattr('v', '>', 1)|list",
                         "replace('l', 'r')", "replace('o', '0', 1)", "indent", "indent(2, true)", "indent('> ', first=true, blank=true)", "wordcount", "center(20)",
                         "attr('a')", "batch(2)|list", "batch(2, 0)|list", "groupby('k')|list", "int(9)", "int(base=16)", "float(1.5)", "format(n)", "format(s, n)", "min(case_sensitive=true)", "last|string", "list|length", "sum(start=10)", "trim('Hd ')", "map('length')|list", "map('int')|sum", "sort|join(' ')", "list|join('|')")

    def test(self):
        return self.pick("defined", "undefined", "none", "not none", "string", "number", "integer", "float", "mapping", "iterable", "sequence", "boolean",
                         "true", "false", "odd", "even", "divisibleby 2", "divisibleby(3)", "eq 1", "equalto 'a'", "ne 1", "lt 3", "gt(2)", "ge 2", "le 2", "in l", "in [1, 2, none]",
                         "in 'Hello'", "sameas none", "sameas(true)", "upper", "lower", "callable", "filter", "test", "not defined", "not string")

    def expression(self, depth):
        if depth == 0 or self.r.random() < 0.15:
            return self.atom()
        sub = lambda: self.expression(depth - 1)
        kind = self.r.random()
        if kind < 0.12:
            return f"{self.numbers(depth)} {self.pick('+', '-', '*', '/', '//', '%', '**', '<', '>=', '==')} {self.numbers(depth)}"
        if kind < 0.18:
            return f"{self.strings(depth)} {self.pick('+', '~', '==', '<', 'in', '%', '!=')} {self.strings(depth)}"
        if kind < 0.24:
            return f"{self.operand(depth)} {self.pick('+', '-', '*', '/', '//', '%', '**', '~', '~', '+')} {self.operand(depth)}"
        if kind < 0.36:
            return f"{self.operand(depth)} {self.pick('==', '!=', '<', '<=', '>', '>=', 'in', 'not in')} {self.operand(depth)}"
        if kind < 0.42:
            return self.pick(f"{sub()} and {sub()}", f"{sub()} or {sub()}", f"not {sub()}")
        if kind < 0.46:
            return self.pick(f"{sub()} if {sub()} else {sub()}", f"({sub()} if {sub()})")
        if kind < 0.62:
            return f"{self.pick(self.lists, self.lists, self.strings, self.numbers)(depth)}|{self.filter()}"
        if kind < 0.72:
            return f"{self.operand(depth)} is {self.test()}"
        if kind < 0.86:
            return f"{self.pick(self.strings, self.strings, self.strings, self.lists)(depth)}.{self.method()}"
        if kind < 0.92:
            bound = lambda: self.pick("", "", "1", "-1", "2", "-2", "0", "100", "-100")
            return f"{self.pick(self.strings, self.lists)(depth)}[{bound()}:{bound()}{self.pick('', ':2', ':-1', ':-2', ':')}]"
        if kind < 0.95:
            return f"{self.operand(depth)}[{self.pick(chr(39) + 'a' + chr(39), '0', '-1', '1', '9', 'n', sub())}]"
        if kind < 0.97:
            return f"-{self.operand(depth)}"
        return self.pick(f"[{sub()}, {sub()}]", f"({sub()},)", f"({sub()}, {sub()})", f"{{'k': {sub()}, {self.atom()}: 1}}",
                         f"range({self.number()})|list", f"range(1, {self.number()}, 2)", f"dict(a={sub()})", f"range({sub()}, 3)|list")

    def typed(self, depth, *atoms):
        """Mostly a value of a fitting kind, since most random mixtures only fail."""
        return self.pick(*atoms) if self.r.random() < 0.75 else self.operand(depth)

    def strings(self, depth):
        return self.typed(depth, self.string(), "s", "t", "u", "s", "empty", "(s ~ n)", "words[0]", "words|join(',')", "(t|trim)", "rows[0].k", "s[1:]")

    def numbers(self, depth):
        return self.typed(depth, "n", "m", "f", "g", "z", "l[0]", "(l|length)", self.number(), self.number(), "true", "d.a", "(n + f)")

    def lists(self, depth):
        return self.typed(depth, "l", "words", "mixed", "nest", "d", "rows", "[f, n, m]", "(l + [9])", "range(5)", "(1, 2)", "s", "words[1:]")

    def operand(self, depth):
        text = self.expression(depth - 1)
        return text if self.r.random() < 0.3 or re.fullmatch(r"[\w.]+", text) else f"({text})"

    def space(self):
        return "".join(self.pick("", "", " ", "  ", "\n", "\t", "\n\n", " \n ", "a", "b ", "é", "\r\n") for _ in range(self.r.randrange(4)))

    def sign(self):
        return self.pick("", "", "", "-", "+")

    def tag(self, body):
        return "{%" + self.sign() + " " + body + " " + self.sign() + "%}"

    def statements(self, depth):
        parts = [self.space()]
        for _ in range(self.r.randrange(1, 4)):
            parts.append(self.statement(depth))
            parts.append(self.space())
        return "".join(parts)

    def statement(self, depth):
        kind = self.r.random()
        value = lambda: self.expression(self.pick(0, 0, 1))
        if depth == 0 or kind < 0.3:
            return "{{" + self.pick("", "", "-") + " " + self.pick(self.atom(), "x", "y", "ns.c", "loop.index", "loop.last") + " " + self.pick("", "", "-") + "}}"
        body = lambda: self.statements(depth - 1)
        if kind < 0.38:
            return "{#" + self.sign() + " c " + self.pick("", "{{ x }}", "\n") + self.sign() + "#}"
        if kind < 0.5:
            return self.tag(f"if {value()}") + body() + (self.tag(f"elif {value()}") + body() if self.r.random() < 0.3 else "") + \
                (self.tag("else") + body() if self.r.random() < 0.4 else "") + self.tag("endif")
        if kind < 0.66:
            head = self.pick("for x in l", "for x in words", "for k, y in d.items()", "for x in l if x > 1", "for x in range(3)", "for x in missing", "for x in s[:3]", "for x in [1, 2, 3]|reverse")
            inner = body()
            if self.r.random() < 0.3:
                inner += self.tag(f"if {self.pick('loop.index == 2', 'x == 1', 'loop.first')}") + self.tag(self.pick("break", "continue")) + self.tag("endif") + body()
            return self.tag(head) + inner + (self.tag("else") + body() if self.r.random() < 0.3 else "") + self.tag("endfor")
        if kind < 0.76:
            return self.tag(f"set {self.pick('x', 'y')} = {value()}")
        if kind < 0.8:
            return self.tag("set ns = namespace(c=1)") + body() + self.tag(f"set ns.c = {value()}")
        if kind < 0.84:
            return self.tag(self.pick("set x", "set y | trim", "set x | upper")) + body() + self.tag("endset")
        if kind < 0.9:
            call = self.pick("f()", "f(1)", "f(1, y=2)", "f(y='q')", "f(x=n)", "f(1, 2, 3)", "f(z=1)")
            return self.tag("macro f(x, y='dy')") + body() + self.tag("endmacro") + "{{ " + call + " }}"
        if kind < 0.93:
            return self.tag("filter " + self.pick("upper", "trim", "replace('a', 'A')", "indent(2)")) + body() + self.tag("endfilter")
        if kind < 0.96:
            return self.tag("with x = 5") + body() + self.tag("endwith")
        return self.tag("raw") + self.space() + "{{ r }}" + self.space() + self.tag("endraw")


SKIP = []


class Checked(ImmutableSandboxedEnvironment):
    """Notes results that only Python has: integers beyond 64 bits and complex numbers."""
    intercepted_binops = frozenset(["+", "-", "*", "**", "//"])

    def call_binop(self, context, operator, left, right):
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, complex) or isinstance(result, int) and abs(result) >= 2**63:
            SKIP.append(result)
        return result


def cases():
    """Letters whose case depends on their neighbours, or that have three cases."""
    texts = ["ΑΣ", "ΑΣ ΒΣ", "ΣΑΣ", "Σ", "ΑΣ.", "ΑΣ'Α", "ΑΣ\u0301", "Α\u0301Σ", ".Σ", "ΑΣΣ-ΑΣ(ΣΣ", "ǅΑΣ", "ǆ ǅ Ǆ", "ßΣ İΣ", "ΑΣ\u00adΑ ς σ", "1Σ aΣ"]
    operations = [".lower()", "|lower", ".title()", "|title", ".capitalize()", "|capitalize", ".swapcase()", ".upper()"]
    sources = ["{{ '%s'%s }}" % (t.replace("'", "\\'"), o) for t in texts for o in operations]
    sources += ["{{ ['ΑΣ', 'ας', 'ασ']|unique|list }}", "{{ ['Ας', 'ΑΣΑ']|sort }}"]
    return [[source, ENV.from_string(source).render()] for source in sources]


def randoms(count, seed):
    # Folding constants gives some expressions a value that they do not have at run time.
    ENV = environment(Checked, optimized=False)
    maker = Maker(seed)
    cases, seen = [], set()
    while len(cases) < count:
        statement = len(cases) % 3 == 2
        SKIP.clear()
        source = maker.statements(2) if statement else "{{ " + maker.expression(3) + " }}"
        # Slices of literals and names of tests that do not exist are found at another time than in Python.
        if source in seen or len(source) > 300 or re.search(r"\b(none|true|false|\d[\d._e]*)\[|is (not )?\w+\.\w", source):
            continue
        try:
            output = ENV.from_string(source).render(**copy.deepcopy(VARIABLES))
        except Exception:
            output = None
        if SKIP:
            continue
        # Not comparable: addresses of objects, integers beyond 64 bits, markup-safe text, and words of objects without a value.
        if output is not None and (re.search(r"0x[0-9a-f]{6}|\d{18}|&(amp|lt|gt|#3)|Markup|<Namespace|reversed object|<function|<class|<Macro", output) or len(output) > 1500):
            continue
        # Errors are rarer than random templates make them.
        if output is None and maker.r.random() < 0.93:
            continue
        seen.add(source)
        cases.append([source, output])
    return cases


def write(folder, name, cases):
    with open(os.path.join(folder, name), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared")
    parser.add_argument("--random", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default=TEMPLATES)
    options = parser.parse_args()
    conversations = json.load(open(os.path.join(TEMPLATES, "conversations.json")))
    write(options.output, "family_goldens.json", families(conversations))
    write(options.output, "case_goldens.json", cases())
    write(options.output, "random_goldens.json", [VARIABLES] + randoms(options.random, options.seed))
    if options.shared:
        write(options.output, "shared_goldens.json", shared(options.shared, conversations))


main()
