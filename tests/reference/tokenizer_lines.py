"""Lines of text that a tokenizer can get wrong, the same on every machine and Python.

lines(seed) gives bytes objects. All but the last group (`broken`) are valid UTF-8. Characters are those
that Unicode 3.2 assigned (Python carries that database in every version) and the newer ones listed
here, so that no two Unicode versions in use disagree about them.
"""
import unicodedata


class Draw:
    """splitmix64, so that the lines do not depend on Python's random module."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & (2**64 - 1)
        z = (z ^ z >> 27) * 0x94D049BB133111EB & (2**64 - 1)
        return ((z ^ z >> 31) >> 32) * n >> 32

    def pick(self, items):
        return items[self.below(len(items))]

    def some(self, items, low, high):
        return [self.pick(items) for _ in range(low + self.below(high - low + 1))]


NEWER = [(0x1F300, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F900, 0x1F9FF), (0x2D30, 0x2D67), (0x12000, 0x12399),
         (0x13000, 0x1342E), (0x1E900, 0x1E943), (0xA722, 0xA787), (0x7C0, 0x7FA), (0x10D40, 0x10D65),
         (0x1D400, 0x1D454), (0x1D7CE, 0x1D7FF), (0x20000, 0x2A6D6), (0x30000, 0x3134A)]
BLOCKS = [(0x21, 0x7E), (0xA1, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x370, 0x3FF), (0x400, 0x4FF),
          (0x530, 0x58F), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7B1), (0x900, 0x97F),
          (0x980, 0x9FF), (0xA00, 0xA7F), (0xA80, 0xAFF), (0xB00, 0xB7F), (0xB80, 0xBFF), (0xC00, 0xC7F),
          (0xC80, 0xCFF), (0xD00, 0xD7F), (0xD80, 0xDFF), (0xE00, 0xE7F), (0xE80, 0xEFF), (0xF00, 0xFFF),
          (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF),
          (0x1401, 0x1676), (0x1681, 0x169C), (0x16A0, 0x16F0), (0x1780, 0x17E9), (0x1800, 0x18A9),
          (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2010, 0x2027), (0x2030, 0x205E), (0x2070, 0x209C),
          (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2150, 0x218F), (0x2190, 0x23FF), (0x2460, 0x24FF),
          (0x2500, 0x27BF), (0x2800, 0x28FF), (0x2E80, 0x2FDF), (0x3001, 0x303F), (0x3041, 0x309F),
          (0x30A0, 0x30FF), (0x3105, 0x312F), (0x3131, 0x318E), (0x3200, 0x33FF), (0x4E00, 0x9FA5),
          (0xA000, 0xA4C6), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFDFF),
          (0xFE20, 0xFEFF), (0xFF01, 0xFFEE), (0x10300, 0x1034A), (0x10400, 0x1044D)] + NEWER
MARKS = [chr(c) for c in (*range(0x300, 0x350), 0x20D0, 0x20DD, 0x20E3, 0x591, 0x5B4, 0x64B, 0x651, 0x93C,
                          0x94D, 0xE31, 0xE48, 0x302A, 0x3099, 0xFE0E, 0xFE0F, 0xFE20, 0x1D165)]
SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 32, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
                           0x2028, 0x2029, 0x202F, 0x205F, 0x3000)]
# What looks like white space to some programs and is not here: separators, zero widths, the BOM.
NEAR_SPACES = [chr(c) for c in (0x1C, 0x1D, 0x1E, 0x1F, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0)]
CONTROLS = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200E, 0x202A, 0x202E, 0x2066, 0xFFF9,
                             0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 0x10FFFF, 0xE0001)]
NUMBERS = [chr(c) for c in (*range(0x30, 0x3A), *range(0x660, 0x66A), *range(0x966, 0x970), 0xB2, 0xB9, 0xBC,
                            0xBE, *range(0x2150, 0x218A), *range(0x2460, 0x2474), 0x3007, *range(0x3021, 0x302A),
                            *range(0xFF10, 0xFF1A), *range(0x1D7CE, 0x1D800), 0x10107, 0x10320, *range(0xE50, 0xE5A))]
EMOJI = ["😀", "👩🏽‍🍳", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵", "1️⃣", "#️⃣", "✋🏿", "❤️", "❤", "🤷‍♀️", "🏴\U000E0067\U000E0062"
         "\U000E0073\U000E0063\U000E0074\U000E007F", "🫱🏻‍🫲🏿", "☕️", "🔪", "🥄", "🧽", "🍳", "🧑‍💻"]
SPECIAL = ["<mask>", "<mask>", "<s>", "</s>", "<pad>", "<unk>"]
NEARLY_SPECIAL = ["<mask", "mask>", "<Mask>", "<MASK>", "< mask >", "<<mask>>", "<s", "</ s>", "<s/>", "<pad>>",
                  "<unk>k", "<|endoftext|>", "<mas<mask>k>", "&lt;s&gt;", "<", "<<<<", "</s"]
QUOTES = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M", "'LL", "'D", "'", "''",
          "’s", "’t", "‘", "'x", "'l", "'r", "'v", "'sx", "'dd", "'m'm"]
WHO = ["C", "the man X", "a woman Y", "the lady", "the child B", "person A"]
VERBS = ["picks up", "puts down", "opens", "closes", "lifts", "takes", "shakes", "stirs", "wipes", "cuts", "pours",
         "pushes", "hands over", "looks around", "washes", "turns", "holds", "places", "drops", "adjusts"]
COLOURS = ["red", "green", "blue", "yellow", "white", "black", "orange", "grey"]
THINGS = ["cup", "bottle", "bowl", "plate", "pan", "knife", "spoon", "sponge", "box", "book", "phone", "apple",
          "chopping board", "tap", "drawer", "cupboard", "fridge door", "napkin"]
TAILS = ["with the left hand", "with both hands", "from the counter", "on the table", "in the sink", "again", "", ""]
PROSE = ["It's not what I'd call quick, but we've got time.", "They're here; you'll see them, won't you?",
         "I'm sure she'd have said so: \"don't\".", "Where did I put the scissors?", "How many eggs are in the bowl?",
         "What was on the counter before I opened the fridge?", "The kettle (1.7 l) boils at 100 °C in 3:45 min.",
         "At 12:30 on 2024-05-17 the price was $3.99, i.e. 15% less.", "e-mail: someone@example.org, http://a.b/c?d=e&f=g#h",
         "for (int i = 0; i < n; i++) x[i] *= 2.5e-3f;", "¿Dónde está la cuchara? ¡Aquí!", "Où est passé l'œuf d'hier ?",
         "Der Mann schließt die Tür, öffnet das Fenster; größer wär's nicht.", "Gdzie położyłem żółty kubek?",
         "Где лежит синяя тарелка?", "Πού είναι το κόκκινο μαχαίρι;", "איפה שמתי את הכוס?", "أين وضعت الملعقة؟",
         "मैंने चम्मच कहाँ रखा?", "ฉันวางช้อนไว้ที่ไหน", "숟가락을 어디에 두었지?", "スプーンはどこに置きましたか。", "我把勺子放在哪里了？",
         "Bıçağı nereye koydum? İIıi", "ﬁne ﬂour, ²³ and ½ cup", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "აბგდ ევზთ", "ሰላም ለዓለም", "naïve café, nai\u0308ve cafe\u0301"]


def assigned(first, last):
    newer = {c for a, b in NEWER for c in range(a, b + 1)} if (first, last) in NEWER else ()
    return [chr(c) for c in range(first, last + 1)
            if c in newer or unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs")]


ALPHABETS = [assigned(*block) for block in BLOCKS]


def narration(draw):
    words = ["#C C" if draw.below(4) else "#O " + draw.pick(WHO), draw.pick(VERBS), draw.pick(["the", "a", "his", "her"])]
    if draw.below(2):
        words.append(draw.pick(COLOURS))
    words += [draw.pick(THINGS), draw.pick(TAILS)]
    return " ".join(words).rstrip() + draw.pick(["", "", ".", " #unsure", "\n"])


def word(draw, alphabet, most=8):
    return "".join(draw.some(alphabet, 1, most))


def script(draw):
    alphabet = draw.pick(ALPHABETS)
    return draw.pick(["", " ", ", ", "'s "]).join(word(draw, alphabet) for _ in range(1 + draw.below(4)))


def mixed(draw):
    return "".join(word(draw, draw.pick([draw.pick(ALPHABETS), SPACES, NUMBERS, MARKS, EMOJI, QUOTES]), 3)
                   for _ in range(2 + draw.below(6)))


def marks(draw):
    return "".join(draw.pick("aeioun ÅकกΩ1.") + "".join(draw.some(MARKS, 0, 4)) for _ in range(1 + draw.below(6)))


def blanks(draw):
    return "".join(draw.pick(["a", "bc", "7", "!", "é", "", draw.pick(NEAR_SPACES)]) + "".join(draw.some(SPACES, 0, 4))
                   for _ in range(1 + draw.below(6)))


def controls(draw):
    return "".join(draw.pick(["x", " ", "9", "ß"]) + "".join(draw.some(CONTROLS, 0, 2)) for _ in range(1 + draw.below(6)))


def quotes(draw):
    return "".join(draw.pick(["it", "WE", "I", " ", "7", "-", "", "é"]) + draw.pick(QUOTES) for _ in range(1 + draw.below(6)))


def numbers(draw):
    return draw.pick(["", " ", ".", "x", "-"]).join(word(draw, NUMBERS, 5) for _ in range(1 + draw.below(4)))


def emoji(draw):
    return draw.pick(["", " ", "a", "\u200d", "\ufe0f"]).join(draw.some(EMOJI, 1, 4))


def special(draw):
    parts = [draw.pick(SPECIAL if draw.below(3) else NEARLY_SPECIAL) + "".join(draw.some(SPACES + NEAR_SPACES, 0, 2))
             + draw.pick(["", "", " the", "cup", " ", "é", "'s"]) for _ in range(1 + draw.below(5))]
    return draw.pick(["", " ", "#C C ", "\u3000", "x\u00a0 "]) + "".join(parts)


def runs(draw):
    c = draw.pick([" ", "\t", "\n", "a", "A", "0", "-", "é", "\u3000", " \n", "ab", "the", "中", "😀", "'", "<"])
    return draw.pick(["", "x", " "]) + c * (1 + draw.below(120 // len(c.encode()))) + draw.pick(["", "y", " z", "!"])


def prose(draw):
    text = draw.pick(PROSE)
    return [text, text.upper(), text.lower(), text.swapcase(), " " + text, text + "  " + draw.pick(PROSE)][draw.below(6)]


GROUPS = [(narration, 700), (prose, 500), (script, 900), (mixed, 700), (marks, 400), (blanks, 500), (controls, 300),
          (quotes, 450), (numbers, 400), (emoji, 300), (special, 600), (runs, 250)]
BROKEN = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xc3", b"\xfe\xfe"]


def fixed():
    """Every character below U+0300 on its own and between others, and a few long lines."""
    yield ""
    for c in range(0x300):
        yield f"{chr(c)}a {chr(c)}{chr(c)}  {chr(c)}7{chr(c)}"
    yield "antidisestablishmentarianism" * 40
    yield "a" * 2047
    yield " " * 1000 + "x"
    yield "".join(chr(0x4E00 + i) for i in range(300))


def broken(draw):
    return b"".join(draw.pick([b"a", b" ", b"7", b"<mask>", "é".encode(), b"'s", draw.pick(BROKEN)]) + draw.pick(BROKEN)
                    for _ in range(1 + draw.below(4)))


def lines(seed=1):
    draw = Draw(seed)
    for text in fixed():
        yield text.encode()
    for group, count in GROUPS:
        for _ in range(count):
            yield group(draw).encode()
    for _ in range(200):
        yield broken(draw)
