#!/usr/bin/env python3
"""A second implementation of the table format, written from its description alone and in the way of
the original: state is read when a table is opened and kept in memory, selecting walks the field files
side by side, and nothing is checked that the original does not check. It shares no code with the
store, so that the two can be held against each other.

  buzhug.py dump TABLE               what a reader of the original finds, as in expected.json
  buzhug.py compare TABLE [EXPECTED] compares that with `tablestore select --json` lines on stdin,
                                     and with the table's entry in EXPECTED
  buzhug.py work TABLE SEED COUNT    inserts, updates, deletes and cleans up at random
"""
import json
import math
import os
import random
import struct
import sys

BIAS = 2**30
FIXED = {"int": 5, "float": 10, "bool": 2}
LINES = {"date": 8, "datetime": 14, "time": 6}


def decode(kind, block):
    flag, body = block[:1], block[1:]
    if flag == b"!":
        return None
    if kind == "int":
        return struct.unpack(">i", body)[0] - BIAS
    if kind.startswith("<base>"):
        return struct.unpack(">i", body)[0]
    if kind == "bool":
        return body != b"0"
    if kind == "float":
        if body[0] == 128:
            return 0.0
        exponent = struct.unpack(">H", body[:2])[0]
        mantissa = struct.unpack(">d", b"\x3f" + body[2:])[0]
        if body[0] < 128:
            return math.ldexp(mantissa - 1.1, 16384 - exponent)
        return math.ldexp(mantissa, exponent - 49152)
    text = body[:-1]
    if kind in LINES:
        digits = text.decode()
        day = "-".join((digits[:4], digits[4:6], digits[6:8]))
        if kind == "date":
            return day
        hour = digits[-6:]
        clock = ":".join((hour[:2], hour[2:4], hour[4:]))
        return clock if kind == "time" else day + "T" + clock
    parts = text.replace(b"\\\\", b"\0\0").replace(b"\\n", b"\n").replace(b"\\r", b"\r")
    whole = parts.replace(b"\0\0", b"\\")
    return whole.decode() if kind == "unicode" else whole


def encode(kind, value):
    if value is None:
        if kind in LINES:
            return b"!" + b"x" * LINES[kind] + b"\n"
        return b"!\n" if kind in ("str", "unicode") else b"!" + bytes(FIXED.get(kind, 5) - 1)
    if kind == "int":
        return b"-" + struct.pack(">i", value + BIAS)
    if kind.startswith("<base>"):
        return b"-" + struct.pack(">i", value)
    if kind == "bool":
        return b"-1" if value else b"-0"
    if kind == "float":
        if value == 0:
            return b"-\x80" + bytes(8)
        mantissa, exponent = math.frexp(value)
        field = exponent + 49152 if value > 0 else 16384 - exponent
        return b"-" + struct.pack(">H", field) + struct.pack(
            ">d", mantissa if value > 0 else 1.1 + mantissa)[1:]
    if kind in LINES:
        return b"-" + "".join(c for c in value if c.isdigit()).encode() + b"\n"
    data = value.encode() if kind == "unicode" else value
    return b"-" + data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r") + b"\n"


class Base:
    def __init__(self, path):
        self.path = path
        with open(os.path.join(path, "__info__"), encoding="utf-8") as info:
            self.fields = [word.split(":", 1) for word in info.read().split()]
        self.names = [name for name, _ in self.fields]
        self.files = {n: open(os.path.join(path, n), "r+b", buffering=0) for n in self.names}
        self.ids = open(os.path.join(path, "_id_pos"), "r+b", buffering=0)
        self.slots = open(os.path.join(path, "__pos__"), "r+b", buffering=0)
        self.dead_rows_file = open(os.path.join(path, "__del_rows__"), "r+b", buffering=0)
        self.line = 1 + 4 * len(self.fields)
        slots = self.slots.read()
        self.dead_slots = [i // self.line for i in range(0, len(slots), self.line)
                           if slots[i:i + 1] == b"#"]
        self.count = len(slots) // self.line - len(self.dead_slots)
        self.next_id = self.ids.seek(0, 2) // 5
        self.dead_rows = {int(line) for line in self.dead_rows_file.read().splitlines()}
        self.defaults = self.read_defaults()

    def read_defaults(self):
        with open(os.path.join(self.path, "__defaults__"), "rb") as file:
            data = file.read()
        found, at, kinds = {}, 0, dict(self.fields)
        while at < len(data):
            blank = data.index(b" ", at)
            name = data[at:blank].decode()
            fixed = FIXED.get(kinds[name], 5 if kinds[name].startswith("<base>") else 0)
            end = blank + 1 + fixed if fixed else data.index(b"\n", blank) + 1
            found[name] = data[blank + 1:end]
            at = end
        return found

    def blocks(self, name, kind):
        file = self.files[name]
        file.seek(0)
        data = file.read()
        fixed = FIXED.get(kind, 5 if kind.startswith("<base>") else 0)
        if not fixed:
            return data.splitlines(keepends=True) if b"\r" not in data and not any(
                c in data for c in (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85")
            ) else [part + b"\n" for part in data.split(b"\n")[:-1]]
        return [data[i:i + fixed] for i in range(0, len(data), fixed)]

    def scan(self):
        """The files side by side, as a selection sees them."""
        columns = [self.blocks(name, kind) for name, kind in self.fields]
        if len({len(column) for column in columns}) != 1:
            raise ValueError("rows do not line up: %s" % [len(c) for c in columns])
        for row, blocks in enumerate(zip(*columns)):
            if blocks[0][:1] != b"#" and row not in self.dead_rows:
                yield [decode(kind, b) for (_, kind), b in zip(self.fields, blocks)]

    def block_at(self, name, kind, offset):
        file = self.files[name]
        file.seek(offset)
        fixed = FIXED.get(kind, 5 if kind.startswith("<base>") else 0)
        return file.read(fixed) if fixed else file.readline()

    def slot(self, number):
        self.slots.seek(number * self.line)
        line = self.slots.read(self.line)
        return line[:1], list(struct.unpack(">%di" % len(self.fields), line[1:]))

    def get(self, number):
        """By id: through _id_pos and __pos__. None when it is deleted."""
        self.ids.seek(5 * number)
        block = self.ids.read(5)
        if block[:1] == b"#":
            return None
        _, offsets = self.slot(decode("int", block))
        return [decode(kind, self.block_at(name, kind, offset))
                for (name, kind), offset in zip(self.fields, offsets)]

    def append(self, file, data):
        offset = file.seek(0, 2)
        file.write(data)
        return offset

    def flag(self, file, offset):
        file.seek(offset)
        file.write(b"#")

    def insert(self, values):
        offsets = [self.files[n].seek(0, 2) for n in self.names]
        line = b"-" + struct.pack(">%di" % len(offsets), *offsets)
        for name, kind in self.fields[1:]:
            if name == "__version__":
                block = encode(kind, 0)
            else:
                block = encode(kind, values[name]) if name in values else self.defaults[name]
            self.append(self.files[name], block)
        if self.dead_slots:
            number = self.dead_slots.pop(0)
            self.slots.seek(number * self.line)
            self.slots.write(line)
        else:
            number = self.append(self.slots, line) // self.line
        self.append(self.files["__id__"], encode("int", self.next_id))
        self.append(self.ids, encode("int", number))
        self.next_id += 1

    def remove_row(self, offsets):
        for name, offset in zip(self.names, offsets):
            self.flag(self.files[name], offset)
        row = offsets[0] // 5
        self.append(self.dead_rows_file, b"%d\n" % row)
        self.dead_rows.add(row)

    def place(self, number):
        self.ids.seek(5 * number)
        slot = decode("int", self.ids.read(5))
        return slot, self.slot(slot)[1]

    def update(self, number, values):
        slot, offsets = self.place(number)
        record = dict(zip(self.names, self.get(number)))
        record.update(values)
        record["__version__"] += 1
        if all(dict(self.fields)[n] in FIXED for n in values):
            for (name, kind), offset in zip(self.fields, offsets):
                if name in values or name == "__version__":
                    self.files[name].seek(offset)
                    self.files[name].write(encode(kind, record[name]))
            return
        new = [self.append(self.files[n], encode(k, record[n])) for n, k in self.fields]
        self.slots.seek(slot * self.line)
        self.slots.write(b"-" + struct.pack(">%di" % len(new), *new))
        self.remove_row(offsets)

    def delete(self, number):
        slot, offsets = self.place(number)
        self.remove_row(offsets)
        self.flag(self.slots, slot * self.line)
        self.flag(self.ids, number * 5)
        self.dead_slots = sorted(self.dead_slots + [slot])

    def cleanup(self):
        size = self.slots.seek(0, 2) // self.line
        new = {name: b"" for name in self.names}
        for number in range(size):
            flag, offsets = self.slot(number)
            if flag == b"#":
                continue
            moved = [len(new[name]) for name in self.names]
            for (name, kind), offset in zip(self.fields, offsets):
                new[name] += self.block_at(name, kind, offset)
            self.slots.seek(number * self.line + 1)
            self.slots.write(struct.pack(">%di" % len(moved), *moved))
        for name, data in new.items():
            self.files[name].truncate(0)
            self.files[name].seek(0)
            self.files[name].write(data)
        self.dead_rows_file.truncate(0)
        self.dead_rows = set()


def plain(value):
    """Bytes as select --json and expected.json show them, as far as they can be told apart."""
    if isinstance(value, dict):
        return plain(bytes.fromhex(value["bytes"])) if "bytes" in value else value["ref"][1]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def as_text(kind, value):
    """What stands for a str in any of the sources."""
    if kind == "str" and isinstance(value, str):
        value = value.encode()
    return plain(value)


def normalize(base, records):
    kinds = dict(base.fields)
    return sorted(([[n, as_text(kinds[n], r[n])] for n in sorted(r)] for r in records),
                  key=lambda r: dict(r)["__id__"])


def compare(path, expected):
    base = Base(path)
    scanned = normalize(base, [dict(zip(base.names, r)) for r in base.scan()])
    by_id = [base.get(number) for number in range(base.next_id)]
    by_id = normalize(base, [dict(zip(base.names, r)) for r in by_id if r is not None])
    shown = normalize(base, [json.loads(line) for line in sys.stdin])
    assert scanned == by_id, "%s: scanning and getting by id differ" % path
    assert scanned == shown, "%s: the original's way of reading finds other records" % path
    assert base.count == len(scanned), "%s: %d slots, %d records" % (path, base.count, len(scanned))
    if expected:
        with open(expected, encoding="utf-8") as file:
            wanted = json.load(file)[os.path.basename(path)]
        assert scanned == normalize(base, wanted["records"]), "%s: not what was expected" % path
        assert base.next_id == wanted["next_id"] and base.count == wanted["count"]
        assert [list(f) for f in base.fields] == [
            [n, k if isinstance(k, str) else "<base>" + k["ref"]] for n, k in wanted["fields"]]
        defaults = {n: plain(decode(dict(base.fields)[n], b)) for n, b in base.defaults.items()}
        assert defaults == {n: plain(v) for n, v in wanted["defaults"].items()}


def random_value(kind, chance):
    if chance.random() < 0.1:
        return None
    if kind == "int":
        return chance.randint(-BIAS, BIAS - 1)
    if kind == "float":
        return chance.choice([0.0, 1.5, -2.25, chance.uniform(-1e9, 1e9)])
    if kind == "bool":
        return chance.random() < 0.5
    if kind == "date":
        return "%04d-%02d-%02d" % (chance.randint(1, 9999), chance.randint(1, 12), 28)
    if kind == "time":
        return "%02d:%02d:%02d" % (chance.randint(0, 23), chance.randint(0, 59), 7)
    if kind == "datetime":
        return random_value("date", random.Random(1)) + "T12:30:00"
    if kind == "unicode":
        return "é\n\\%d" % chance.randint(0, 10**6)
    return b"x\r\\n\xff%d" % chance.randint(0, 10**6) if kind == "str" else None


def work(path, seed, count):
    base, chance = Base(path), random.Random(seed)
    kinds = [(n, k) for n, k in base.fields[2:]]
    for _ in range(count):
        values = {n: random_value(k, chance) for n, k in kinds if chance.random() < 0.5}
        live = [r[0] for r in base.scan()]
        choice = chance.random()
        if choice < 0.4 or not live:
            base.insert(values)
        elif choice < 0.75:
            base.update(chance.choice(live), values)
        elif choice < 0.97:
            base.delete(chance.choice(live))
        else:
            base.cleanup()


def main():
    command, path = sys.argv[1:3]
    if command == "compare":
        compare(path, sys.argv[3] if len(sys.argv) > 3 else None)
    elif command == "work":
        work(path, int(sys.argv[3]), int(sys.argv[4]))
    else:
        base = Base(path)
        for record in base.scan():
            print(record)


main()
