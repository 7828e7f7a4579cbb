"""A Ferry server for a measurement: loopback only, on ports of the system's choice."""
import subprocess
import urllib.request


def started(ferry, *options):
    """The process, the API's (host, port) and the admin listener's URL. The caller ends the process."""
    server = subprocess.Popen(
        [ferry, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", "log.level=error", *options],
        stdout=subprocess.PIPE, text=True)
    addresses = {}
    while len(addresses) < 2:
        line = server.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        what, _, address = line.strip().partition(" on ")
        addresses[what] = address
    host, port = addresses["listening"].removeprefix("http://").split(":")
    return server, (host, int(port)), addresses["admin"]


def metric(admin, name):
    """The sum of all series of a metric."""
    text = urllib.request.urlopen(admin + "/metrics").read().decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith((name + "{", name + " ")))
