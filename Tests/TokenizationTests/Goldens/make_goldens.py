#!/usr/bin/env python3
"""Makes Fixtures/ from the Python package `tokenizers` (and `xxhash`): tokenizers of our own making, and what the reference gives.

    python3 -m venv VENV && VENV/bin/pip install tokenizers xxhash
    VENV/bin/python make_goldens.py [SHARED]

SHARED is the folder of foreign tokenizers and texts; without it only our own tokenizers are done. Digests are XXH3 with 128 bits
over little-endian 32-bit ids, or over UTF-8; parts of a list are separated by -1 or by the byte 0xFF.
"""
import json, os, random, struct, sys, unicodedata
import tokenizers, xxhash
from tokenizers import Tokenizer, models, trainers, pre_tokenizers, decoders, normalizers, processors, Regex, AddedToken

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "Fixtures")

PROSE = """The harbour wakes before the town does. A ferry leaves at six, half empty, and comes back full; by noon nobody can say how
many times it has crossed. We don't count crossings, we count people: 12 in the morning, 340 at midday, 27 when the lamps are lit.
"Where's the captain?" she'd ask, and they'll answer that he's asleep, that he'll be back, that it isn't their business. I'm sure
you've heard it before. The water is grey, then green, then grey again. Ropes, crates, bicycles, dogs; everything that can be
carried is carried, and everything that can't be carried waits on the quay until someone thinks of a way.
Numbers: 1, 22, 333, 4444, 3.14159, 1,000,000. Symbols: a+b=c, x_1, {y}, [z], <tag/>, #hash, @name, 50% off!
Überfahrt, café, naïve, Łódź, ñandú; Привет, море; γειά σου; 海へ行く; 바다; שלום; مرحبا. 🚢⚓️🌊
    def cross(river, width=10):
        return [plank for plank in river if plank.length > width]
"""


def strings():
    short = [
        "", " ", "a", "Hello world", " Hello  world ", "don't DON'T I'm I'M we'll WE'LL they'Ve 'S 's 'Re 'ſ x'd", "'", "''", "'s's", " 's",
        "👨‍👩‍👧‍👦 👍🏽 🇩🇪 🏳️‍🌈 ☺️", "e\u0301 é ế a\u0323\u0307 a\u0307\u0323 \u0301x", "עברית שלום مرحبا ‏rtl‎", "日本語のテキスト、漢字。",
        "中文文本，没有空格", "한국어 \u1112\u1161\u11ab", "ΣΑΣ ὈΔΥΣΣΕΎΣ", "Ёж и\u0306", "हिन्दी क्षि", "ไทย", "tiếng Việt",
        "\x00\x01\x02\x1f\x7f\x80\x9f", "tab\tnew\nline\r\ncr\r", "\n", "\n\n\n", "\r\n\r\n", " \n ", "  \n\n  x", "x  \n", "x\n  y",
        "\t\t\tx", "x   y    z", "   ", " " * 20, "\n" * 20, " \n" * 10, "a" + " " * 17 + "b",
        "\u00a0\u00a0x\u2003y\u3000z\u200bq\ufeff", "\u180e x\u0085y\u2028z\u2029",
        "1", "12", "123", "1234", "12345678901", "3.14 1,000,000 0x1F ½ ² ⅷ ١٢٣ १२३ 𝟙𝟚 ①②", "a1b22c333d4444", " 1 22 333", "x²y³", "²³¹¼½¾ µ ª º",
        "<|endoftext|>", "a<|endoftext|>b", " <|im_start|>user\nhi<|im_end|>\n", "<s>", "</s>", "<s> </s>", "<unk>",
        "a <|user|> \n b <|assistant|>  c<|end|>", "<|endoftext|", "<<|endoftext|>>", ">>TITLE<< x >>ABSTRACT<<", "<|end|>  </s>  x",
        "<0x0A> <0xE2>", "▁ ▁▁ a▁b", "Ġ Ċ Ã", "<image><tool_call>{}</tool_call>", "MARK aMARK MARK  b mark WORD aWORD WORD. left  LEFT  right",
        "def f(x):\n    return x**2  # c\n\n\nclass A:\n\tpass\n", "https://example.com/a?b=c&d=e#f", "!!!???...,,,;;;:::",
        "--- *** ___ ### ``` ~~~", "$100 €50 £20 +−×÷=≠≈", "“quotes” ‘single’ «g» „low“ — – …", "a_b_c __init__", "CamelCase snake_case",
        "\ud7ff\ue000\ufffd\ufffe\uffff\U0010ffff", "\u0378\u0379 \U0003ffff", "\ua7cb\u088f\U00031350\U0002ebf0", "ﬁ ﬀ Ａ １ ｱ ﾞ", "Å Å Ω Ω ℵ",
        "ǆ ǅ İ ı ſ ß ẞ", "\u1100\u1161\u11a8 \uac00\u11a8", "\u0344 \u0958 \u2126 \ufb1d", "q\u0307\u0323 \u1e9b\u0323", "\u0f73\u0f75 \u0f71\u0f72",
        "\U0001D15E \U0002F800", "naïve café Zażółć", "The quick brown fox jumps over the lazy dog.", "cross the river, captain 340",
    ]
    many = ["😀" * 20, "a" * 1000, "ab" * 500, "é" * 300, "\u0301" * 50, "日" * 200, "x" * 100 + " " + "y" * 100, "the " * 200, "1" * 300,
            "." * 300, " ." * 100, " " * 500, "\n" * 500, "▁" * 100, "abcdefghij" * 50]
    r = random.Random(7)
    ranges = [(0x20, 0x7f)] * 3 + [(0, 0x20), (0x80, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0xe00), (0x1e00, 0x2100), (0x2000, 0x2070),
              (0x2100, 0x2c00), (0x3000, 0x3100), (0x4e00, 0x5000), (0xac00, 0xad00), (0xfb00, 0xfe00), (0xff00, 0xfff0), (0x1f300, 0x1f700),
              (0x10000, 0x12000), (0x1d400, 0x1d800)]
    words = ["'s", "'T", "'ll", " ", "  ", "\n", "\r\n", "\t", "123", "the", "Hello", " world", "é", "<|endoftext|>", "<s>", "▁", "日本", "👍", "x²", "MARK"]
    for _ in range(150):
        many.append("".join(r.choice(words) if r.random() < .5 else chr(r.randrange(*r.choice(ranges))) for _ in range(r.randrange(1, 30))))
    for _ in range(50):
        scalars = [r.randrange(0x110000) for _ in range(r.randrange(1, 20))]
        many.append("".join(chr(c) for c in scalars if not 0xD800 <= c <= 0xDFFF))
    return short, many


def ids_digest(lists):
    data = struct.pack("<i", -1).join(struct.pack(f"<{len(l)}i", *l) for l in lists)
    return xxhash.xxh3_128_hexdigest(data)


def text_digest(texts):
    return xxhash.xxh3_128_hexdigest(b"\xff".join(t.encode() for t in texts))


def random_ids(count, size):
    state, out = 1, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 33) % size)
    return out


def golden(tokenizer, texts=()):
    short, many = strings()
    encode = lambda s: tokenizer.encode(s, add_special_tokens=True).ids
    plain = lambda s: tokenizer.encode(s, add_special_tokens=False).ids
    size = max(tokenizer.get_vocab().values()) + 1
    chunks = [random_ids(4000, size)[i:i + 40] for i in range(0, 4000, 40)]
    return {
        "size": size,
        "short": [encode(s) for s in short],
        "many": ids_digest([plain(s) for s in many]),
        "decoded": text_digest([tokenizer.decode(encode(s), skip_special_tokens=False) for s in short + many]),
        "decodedWithoutSpecial": text_digest([tokenizer.decode(encode(s), skip_special_tokens=True) for s in short + many]),
        "decodedRandom": text_digest([tokenizer.decode(c, skip_special_tokens=False) for c in chunks]),
        "texts": {name: {"head": ids_digest([plain(head(t))]), "whole": ids_digest([plain(t)])} for name, t in texts},
    }


def head(text):
    """The text up to the last line end within its first 40,000 bytes."""
    data = text.encode()[:40000]
    return data[:data.rindex(b"\n") + 1].decode()


def train(tokenizer, size, special, alphabet=()):
    tokenizer.train_from_iterator([PROSE] * 2, trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=list(alphabet), show_progress=False))


def save(tokenizer, name, change=lambda spec: None):
    spec = json.loads(tokenizer.to_str())
    change(spec)
    folder = os.path.join(FIXTURES, "own", name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(spec, f, ensure_ascii=False, separators=(",", ":"))


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# cl100k_base as tiktoken writes it today.
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
QWEN2 = LLAMA3.replace("{1,3}", "")


def own():
    letters = pre_tokenizers.ByteLevel.alphabet()

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    train(t, 500, ["<|endoftext|>"], letters)
    t.add_tokens([AddedToken("MARK", lstrip=True, rstrip=True, normalized=False), AddedToken("WORD", single_word=True, normalized=False),
                  AddedToken("LEFT", lstrip=True)])
    save(t, "gpt2", lambda s: s["model"].update(merges=[" ".join(m) for m in s["model"]["merges"]]))

    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 480, ["<s>", "<|end|>"], letters)
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])])
    save(t, "llama3")

    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 450, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], letters)
    t.add_tokens(["<tool_call>", "</tool_call>"])
    save(t, "qwen2")

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Digits(False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    t.decoder = decoders.ByteLevel()
    train(t, 420, ["<|endoftext|>"], letters)
    save(t, "falcon")

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.pre_tokenizer = pre_tokenizers.Metaspace(split=True, prepend_scheme="never")
    train(t, 480, ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])
    t.pre_tokenizer = None
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    def demote(spec):
        spec["added_tokens"] = [a for a in spec["added_tokens"] if a["id"] < 3]
    save(t, "llama2", demote)

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(split=True, prepend_scheme="first")
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    train(t, 300, ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(0xC0)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    def partial(spec):
        spec["added_tokens"] = [a for a in spec["added_tokens"] if a["id"] < 3]
    save(t, "metaspace", partial)

    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip(),
                                         normalizers.Replace(Regex(r"\d+"), "0"), normalizers.Replace("--", "—")])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.CharDelimiterSplit("/"), pre_tokenizers.Split("an", "merged_with_next"),
        pre_tokenizers.Split(Regex("[aeiou]{1,2}+"), "merged_with_previous"), pre_tokenizers.Punctuation("isolated"),
        pre_tokenizers.Whitespace()])
    train(t, 260, ["<unk>"])
    t.add_tokens([AddedToken("MARK", normalized=True, special=False), AddedToken("word", single_word=True, normalized=True, special=False)])
    save(t, "mixture")


def forms():
    """Texts in which marks stand in every order, and their four normal forms."""
    r = random.Random(3)
    marks = ["\u0301", "\u0327", "\u0323", "\u0345", "\u0338", "\u0344", "\u0340", "\u0f73", "\u05b0", "\u064b", "\u3099", "\u093c"]
    others = ["a", "e\u0302", "\u00e9", "q", " ", "\u1e9b", "\u0958", "\u2126", "\u1100", "\u1161", "\u11a8", "\uac00", "\ufb01", "\ufdfa", "\u0f71"]
    texts = ["".join(r.choice(marks if r.random() < .7 else others) for _ in range(r.randrange(1, 16))) for _ in range(80)]
    names = ["NFC", "NFD", "NFKC", "NFKD"]
    table = [{"text": t} | {n: getattr(normalizers, n)().normalize_str(t) for n in names} for t in texts]
    with open(os.path.join(FIXTURES, "forms.json"), "w") as f:
        json.dump(table, f, indent=0)


def patterns():
    """How the reference cuts texts at patterns that name properties, classes and code points."""
    # Every kind of character, from those that all versions of the standard see alike.
    old = [chr(c) for c in range(0x20000) if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs") and not 0x363 <= c <= 0x36F]
    kinds = {}
    for c in old:
        kinds.setdefault(unicodedata.category(c), []).append(c)
    sample = "".join(c for k in sorted(kinds) for c in kinds[k][::max(1, len(kinds[k]) // 12)])
    sample += "".join(chr(c) for c in range(0x20, 0x100)) + "\u180e\u200b\u2028\u203f\u0345\u0378\u20ac\u3002\u3001"
    posix = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()
    names = "Alpha Alnum Punct Word Space Upper Lower L Lu Nd Letter Decimal_Number ^L Any Assigned Emoji White_Space Uppercase".split()
    scripts = "Han Hiragana Katakana Arabic Devanagari Greek Latin Cyrillic Hangul Thai Common Hani".split()
    table = [(f"[[:{n}:]]+", sample) for n in posix] + [(rf"\p{{{n}}}+", sample) for n in names + scripts]
    table += [(f"[[:^{n}:]]+", sample) for n in posix if n not in ("alnum", "blank", "word")] + [(f"[^[:{n}:]]+", sample) for n in posix]
    table += [(rf"\P{{{n}}}+", sample) for n in ("Alnum", "Punct", "Han", "L")]
    table += [
        (r"\p{Han}+", "\u6f22\u3002\u5b57"), (r"\p{Hiragana}+", "\u304b\u30fc\u306a"), (r"\p{Katakana}+", "\u30ab\u30fb\u30ca"),
        (r"\p{Arabic}+", "\u0645\u060c\u0631"), (r"\p{Devanagari}+", "\u0905\u0964\u0905"), (r"[\p{Latin}]+", "a\u0363b"),
        (r"\p{N}{1,3}+", "ab 1234567 c"), (r"\p{L}{1,2}+x", "aaaax bx"), (r"\x{1F6A2}{1,2}+b", "a\U0001f6a2\U0001f6a2\U0001f6a2b"),
        (r"\x{20}?a", "b a aa"), (r"\x61{2}+", "aaab"), (r"\p{N}{2}", "1234"), (r"\P{N}{2}+", "ab1abc2"), (r"[\x{61}-\x{63}]+", "abcd"),
        (r"(?i)\p{Lu}", "aBc"), (r"(?i)[\p{L}]+", "a\u0345b1"), (r"(?i)s+t", "a\ufb06b sST"), (r"(?i:'s|'t|ll)", "a'S 'T LL"),
        (r"(?i:a)ss", "Ass a\xdf ASS"), (r"x{a", "x{a"), (r"a{,2}b", "aaab"),
        (CL100K, "ab 123 c'LL 1234  \n x\u3000"),
    ]
    rows = []
    for pattern, text in table:
        pieces = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
        rows.append({"pattern": pattern, "text": text if text is not sample else None, "ends": [end for _, (_, end) in pieces]})
    with open(os.path.join(FIXTURES, "patterns.json"), "w") as f:
        json.dump({"sample": sample, "rows": rows}, f, separators=(",", ":"))


def main():
    os.makedirs(FIXTURES, exist_ok=True)
    own()
    forms()
    patterns()
    short, many = strings()
    with open(os.path.join(FIXTURES, "strings.json"), "w") as f:
        json.dump({"short": short, "many": many}, f, ensure_ascii=False, indent=0)
    result = {"tokenizers": tokenizers.__version__, "own": {}, "shared": {}}
    for name in sorted(os.listdir(os.path.join(FIXTURES, "own"))):
        result["own"][name] = golden(Tokenizer.from_file(os.path.join(FIXTURES, "own", name, "tokenizer.json")), [("prose", PROSE)])
    if len(sys.argv) > 1:
        shared = sys.argv[1]
        names = ["texts/tinyshakespeare/input.txt", "texts/wikitext-2/test.txt", "texts/wikitext-2/valid.txt"]
        texts = [(n, open(os.path.join(shared, n), newline="").read()) for n in names]
        for kind in ("models", "tokenizers"):
            for name in sorted(os.listdir(os.path.join(shared, kind))):
                path = os.path.join(shared, kind, name, "tokenizer.json")
                if os.path.exists(path):
                    result["shared"][f"{kind}/{name}"] = golden(Tokenizer.from_file(path), texts)
    result["prose"] = PROSE
    with open(os.path.join(FIXTURES, "goldens.json"), "w") as f:
        json.dump(result, f, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
