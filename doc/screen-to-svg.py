#!/usr/bin/env python3
"""Draws a terminal's screen, as `tmux capture-pane -e` prints it, as SVG.

    screen-to-svg.py TITLE <screen >picture.svg

Every run of characters of one look is a text of its own with its width told, so that the columns
meet whatever monospaced font the viewer has.
"""
import re
import sys
from xml.sax.saxutils import escape

SIZE, WIDTH, HEIGHT, EDGE = 14, 8.4, 18, 14
BACKGROUND, FOREGROUND = "#16191d", "#d5d9de"
COLOURS = ["#3b4048", "#ef6b73", "#8cc570", "#e2b45a", "#6cb0ee", "#c586d8", "#5fc0c8", "#d5d9de"]
BRIGHT = ["#7d8590", "#ff8a91", "#a8dd8e", "#f5cd7c", "#8cc7ff", "#dca3ec", "#83dbe2", "#ffffff"]
PLAIN = {"colour": None, "ground": None, "bold": False, "faint": False, "reverse": False, "underline": False}


def indexed(number):
    """A colour of the 256."""
    if number < 16:
        return (COLOURS + BRIGHT)[number]
    if number >= 232:
        return "#" + "%02x" % (8 + 10 * (number - 232)) * 3
    steps = [0, 95, 135, 175, 215, 255]
    number -= 16
    return "#%02x%02x%02x" % (steps[number // 36], steps[number // 6 % 6], steps[number % 6])


def change(look, codes):
    """The look after an escape sequence with these codes."""
    look = dict(look)
    codes = iter(codes)
    for code in codes:
        if code == 0:
            look = dict(PLAIN)
        elif code in (1, 2, 4, 7):
            look[{1: "bold", 2: "faint", 4: "underline", 7: "reverse"}[code]] = True
        elif code == 22:
            look["bold"] = look["faint"] = False
        elif code in (24, 27):
            look["underline" if code == 24 else "reverse"] = False
        elif 30 <= code <= 37 or 90 <= code <= 97:
            look["colour"] = COLOURS[code - 30] if code < 40 else BRIGHT[code - 90]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            look["ground"] = COLOURS[code - 40] if code < 50 else BRIGHT[code - 100]
        elif code in (38, 48):
            if next(codes) == 5:
                look["colour" if code == 38 else "ground"] = indexed(next(codes))
        elif code in (39, 49):
            look["colour" if code == 39 else "ground"] = None
    return look


def runs_of(line, look):
    """[(column, text, look)], and the look at the line's end."""
    runs, column = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        sequence = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if sequence:
            look = change(look, [int(code or 0) for code in sequence[1].split(";")])
        elif part:
            runs.append((column, part, look))
            column += len(part)
    return runs, look


def drawn(row, column, text, look):
    """The elements of one run: its ground, where it has one, and its letters."""
    colour, ground = look["colour"] or FOREGROUND, look["ground"]
    if look["reverse"]:
        colour, ground = ground or BACKGROUND, colour
    x, y, width = EDGE + column * WIDTH, EDGE + row * HEIGHT, len(text) * WIDTH
    if ground:
        yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{HEIGHT}" fill="{ground}"/>'
    lead = len(text) - len(text.lstrip())
    text = text.strip()
    if text:
        style = f' fill="{colour}"' if colour != FOREGROUND else ""
        style += ' font-weight="bold"' if look["bold"] else ""
        style += ' opacity="0.6"' if look["faint"] else ""
        style += ' text-decoration="underline"' if look["underline"] else ""
        yield (f'<text x="{x + lead * WIDTH:.1f}" y="{y + HEIGHT - 5}" textLength="{len(text) * WIDTH:.1f}"'
               f' lengthAdjust="spacingAndGlyphs"{style}>{escape(text)}</text>')


def main():
    lines = sys.stdin.read().rstrip().split("\n")
    elements, columns, look = [], 0, dict(PLAIN)
    for row, line in enumerate(lines):
        runs, look = runs_of(line, look)
        for column, text, run_look in runs:
            elements += drawn(row, column, text, run_look)
            columns = max(columns, column + len(text.rstrip()))
    width, height = columns * WIDTH + 2 * EDGE, len(lines) * HEIGHT + 2 * EDGE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}"'
          f' viewBox="0 0 {width:.0f} {height}" role="img" xml:space="preserve">')
    print(f"<title>{escape(sys.argv[1])}</title>")
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    print(f'<g font-family="DejaVu Sans Mono,Menlo,Consolas,monospace" font-size="{SIZE}" fill="{FOREGROUND}">')
    print("\n".join(elements))
    print("</g>\n</svg>")


main()
