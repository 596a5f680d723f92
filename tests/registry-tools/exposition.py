#!/usr/bin/env python3
"""Checks a file against the rules of Prometheus' text exposition format, version 0.0.4."""
import re
import sys

LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{(' + LABEL + r'(?:,' + LABEL + r')*)\} (\S+)')
helps, types, samples, order = {}, {}, {}, []
text = open(sys.argv[1], 'rb').read().decode('utf-8')
assert text.endswith('\n'), 'no newline at the end'
for line in text.splitlines():
    if line.startswith('# '):
        kind, name, rest = line[2:].split(' ', 2)
        table = {'HELP': helps, 'TYPE': types}[kind]
        assert name not in table, f'{kind} of {name} twice'
        assert rest
        table[name] = rest
        if kind == 'TYPE':
            assert name not in samples
            order.append(name)
        continue
    match = SAMPLE.fullmatch(line)
    assert match, f'no sample: {line!r}'
    name, labels, value = match.groups()
    base = re.sub(r'_(bucket|sum|count)$', '', name)
    family = base if types.get(base) == 'histogram' else name
    assert family == order[-1], f'{name} is not below its TYPE'
    key = (name, labels)
    assert key not in samples, f'{key} twice'
    samples[key] = float(value)
    assert samples[key] >= 0
assert set(helps) == set(types)
for name, kind in types.items():
    assert re.fullmatch(r'[a-z][a-z0-9_]*', name), name
    assert (kind == 'counter') == name.endswith('_total'), name
    if kind == 'histogram':
        assert name.endswith('_seconds')
        series = {}
        for (sample, labels), value in samples.items():
            if sample == name + '_bucket':
                rest, bound = re.fullmatch(r'(.*),le="([^"]+)"', labels).groups()
                series.setdefault(rest, []).append((float(bound), value))
        for rest, buckets in series.items():
            assert buckets == sorted(buckets), 'bounds are not in order'
            counts = [count for _, count in buckets]
            assert counts == sorted(counts), 'counts are not cumulative'
            assert buckets[-1][0] == float('inf')
            assert buckets[-1][1] == samples[(name + '_count', rest)]
            assert (name + '_sum', rest) in samples
print(len(samples), 'samples')
