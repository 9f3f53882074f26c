#!/usr/bin/env python3
"""stutter.py SECONDS NETNS...: a machine that stands still now and then. Every process of these network namespaces, one after
another at random, is stopped for up to so many seconds, and goes on. Until SIGTERM (see STUTTER in tests/e2e/lib.sh)."""
import os, random, signal, subprocess, sys, time

most, spaces, gone = float(sys.argv[1]), sys.argv[2:], []
signal.signal(signal.SIGTERM, lambda *_: gone.append(1))


def tell(pid, what):
    try:
        os.kill(pid, what)
    except OSError:
        pass


while not gone:
    pids = [int(p) for n in spaces for p in subprocess.run(["ip", "netns", "pids", n], capture_output=True, text=True).stdout.split()]
    chosen = random.sample(pids, min(len(pids), 1 + len(pids) // 4))
    for p in chosen:
        tell(p, signal.SIGSTOP)
    time.sleep(random.uniform(0, most))
    for p in chosen:
        tell(p, signal.SIGCONT)
    time.sleep(random.uniform(0, most))
