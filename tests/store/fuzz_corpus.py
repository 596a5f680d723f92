#!/usr/bin/env python3
"""Packs the sample tables as inputs of fuzz_table: fuzz_corpus.py TABLES FUZZ_SOURCE CORPUS"""
import os
import re
import struct
import sys

tables, source, corpus = sys.argv[1:4]
with open(source, encoding="utf-8") as file:
    listed = re.search(r"file_names\[\] = \{(.*?)\}", file.read(), re.S).group(1)
names = re.findall(r'"([^"]+)"', listed)
os.makedirs(corpus, exist_ok=True)
for table in sorted(os.listdir(tables)):
    folder = os.path.join(tables, table)
    if not os.path.isdir(folder):
        continue
    packed = b""
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        packed += struct.pack("<BH", names.index(name), len(data)) + data
    with open(os.path.join(corpus, table), "wb") as file:
        file.write(packed)
