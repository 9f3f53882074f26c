#!/usr/bin/env python3
"""slowlog.py SECONDS PIPE: what comes by PIPE goes to stdout so many seconds later (see SLOW_LOGS in tests/e2e/lib.sh)."""
import collections, os, select, signal, sys, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends after the last writer
signal.signal(signal.SIGINT, signal.SIG_IGN)
late, source, held, end = float(sys.argv[1]), os.open(sys.argv[2], os.O_RDONLY), collections.deque(), False
while held or not end:
    wait = max(0, held[0][0] - time.monotonic()) if held else None
    if end:
        time.sleep(wait)
    elif select.select([source], [], [], wait)[0]:
        data = os.read(source, 1 << 16)
        end = not data
        held.append((time.monotonic() + late, data))
    while held and held[0][0] <= time.monotonic():
        os.write(1, held.popleft()[1])
