#!/usr/bin/env python3
"""Writes libcore/text/unicode_table.h: which characters are letters, numbers and white space.

The classes are Unicode 16.0's, the version that the `tokenizers` package uses (0.23.3: every scalar
value compared, none differs). Python 3.14's unicodedata has it; before that `pip install
unicodedata2==16.0.0` does.

    python3 tests/reference/make_unicode_table.py > libcore/text/unicode_table.h
"""
import sys

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

VERSION = "16.0.0"
# The White_Space property, which no category gives: unlike Python's str.isspace it lacks U+001C..1F.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
               0x202F, 0x205F, 0x3000}


def kind(c):
    if c in WHITE_SPACE:
        return "SPACE"
    return {"L": "LETTER", "N": "NUMBER"}.get(unicodedata.category(chr(c))[0])


def ranges():
    """(first, last, kind) of every run outside ASCII that is not `other`."""
    first, current = 0, None
    for c in range(0x80, 0x110001):
        k = kind(c) if c <= 0x10FFFF else None
        if k != current:
            if current:
                yield first, c - 1, current
            first, current = c, k


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"Unicode {VERSION} expected, {unicodedata.unidata_version} found: "
                 f"pip install unicodedata2=={VERSION}, or Python 3.14")
    cells = [f"{{0x{a:X}, 0x{b:X}, {k}}}," for a, b, k in ranges()]
    print("/* Letters (L*), numbers (N*) and white space beyond ASCII, Unicode 16.0.\n"
          " *\n"
          " * Written by tests/reference/make_unicode_table.py: do not edit. For text/split.c alone.\n"
          " * Sorted; whatever is in no range is neither of the three.\n"
          " */\n"
          "#ifndef EGO_TEXT_UNICODE_TABLE_H\n"
          "#define EGO_TEXT_UNICODE_TABLE_H\n\n"
          "#include <stdint.h>\n\n"
          "enum { OTHER, LETTER, NUMBER, SPACE };\n\n"
          "typedef struct unicode_range {\n"
          "    uint32_t first, last : 24, kind : 8;\n"
          "} unicode_range;\n\n"
          "/* clang-format off */\n"
          "static const unicode_range unicode_table[] = {")
    line = "   "
    for cell in cells:
        if len(line) + 1 + len(cell) > 100:
            print(line)
            line = "   "
        line += " " + cell
    print(line + "\n};\n/* clang-format on */\n\n#endif")


main()
