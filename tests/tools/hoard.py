#!/usr/bin/env python3
"""Asks for N connections to ADDRESS, port 7, at once and keeps what it gets until it is ended: hoard.py ADDRESS N"""
import signal, socket, sys

kept = []
for i in range(int(sys.argv[2])):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((sys.argv[1], 7))
    kept.append(s)
print("ready", flush=True)
signal.pause()
