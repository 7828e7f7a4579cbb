#!/usr/bin/env python3
"""Kills (SIGKILL) one worker of a running Ferry that has a role. Usage: kill_worker.py ADMIN-URL ROLE"""
import json
import os
import signal
import sys
import urllib.request

admin, role = sys.argv[1:]
workers = json.load(urllib.request.urlopen(admin + "/fleet"))["workers"]
worker = next(worker for worker in workers if role in worker["roles"])
os.kill(worker["pid"], signal.SIGKILL)
