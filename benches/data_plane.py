#!/usr/bin/env python3
"""What the forms of a listen path cost a request on a real gateway, against a plain one.

    TYK_GATEWAY_URL=http://127.0.0.1:8080 TYK_GATEWAY_SECRET=... \\
        benches/data_plane.py --backend http://127.0.0.1:8081 --routes 10 [--pid PID_OF_THE_GATEWAY] [--rounds 8]

Needs wrk, and a backend that answers every path at once, nginx for example. Each round measures every form in turn, so
that what else the machine does strikes all alike. With --pid the gateway's CPU time of a request is measured, which
depends less on other programs than requests a second do. The gateway ends as it was.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import urllib.error
import urllib.request

EXACT = "/foo{tykp:/|$}"
SERVER = {
    "version_data": {"not_versioned": True, "versions": {"Default": {
        "name": "Default", "use_extended_paths": True, "global_response_headers": {"Server": "Tyk"}}}},
    "response_processors": [{"name": "header_injector", "options": {}}],
}


def definition(name, listen_path, backend, domain=None, strip=False, **more):
    return {
        "api_id": f"data-plane-{name}", "name": name, "org_id": "", "active": True, "use_keyless": True,
        "domain": domain or f"{name}.test",
        "version_data": {"not_versioned": True, "versions": {"Default": {"name": "Default"}}},
        "proxy": {"listen_path": listen_path, "target_url": backend, "strip_listen_path": strip,
                  "preserve_host_header": True, "disable_strip_slash": True},
        **more,
    }


def forms(backend):
    return {
        "plain": definition("plain", "/foo", backend),
        "plain, Server header": definition("plain-server", "/foo", backend, **SERVER),
        "exact": definition("exact", EXACT, backend),
        "exact, domain as rendered": definition("exact-domain", EXACT, backend, r"{tykhost:(?i)exact-domain\.test[.]?}"),
        "exact, Server header": definition("exact-server", EXACT, backend, **SERVER),
        "plain, strip": definition("plain-strip", "/foo/", backend, strip=True),
        "exact, strip": definition("exact-strip", EXACT, backend, strip=True),
    }


def call(method, path, body=None):
    request = urllib.request.Request(
        os.environ["TYK_GATEWAY_URL"] + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"x-tyk-authorization": os.environ["TYK_GATEWAY_SECRET"]})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(host, seconds, pid):
    """Requests a second, and microseconds of CPU for each."""
    before = cpu_seconds(pid) if pid else 0
    out = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}s", "-H", f"Host: {host}", os.environ["TYK_GATEWAY_URL"] + "/foo/bar"],
        capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise SystemExit(f"{host} does not answer 200:\n{out}")
    requests = int(re.search(r"(\d+) requests in", out)[1])
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1])
    return rate, (cpu_seconds(pid) - before) * 1e6 / requests if pid else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--routes", type=int, default=10, help="routes of other hosts beside those that are measured")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--pid", type=int)
    args = parser.parse_args()
    measured = forms(args.backend)
    others = [definition(f"other-{n}", EXACT, args.backend) for n in range(args.routes)]
    made = list(measured.values()) + others
    try:
        for api in made:
            call("POST", "/tyk/apis", api)
        call("GET", "/tyk/reload/?block=true")
        results = {form: [] for form in measured}
        for _ in range(args.rounds):
            for form, api in measured.items():
                results[form].append(measure(api["api_id"].removeprefix("data-plane-") + ".test", args.seconds, args.pid))
    finally:
        for api in made:
            try:
                call("DELETE", "/tyk/apis/" + api["api_id"])
            except urllib.error.HTTPError:
                pass  # It was not made, or is not loaded.
        call("GET", "/tyk/reload/?block=true")
    print(f"{args.routes} other routes, median of {args.rounds} rounds")
    for form, rounds in results.items():
        pairs = list(zip(rounds, results["plain"]))
        rate = statistics.median(one / plain for (one, _), (plain, _) in pairs)
        line = f"{form:26} {rate:6.3f} of the requests of plain"
        if args.pid:
            cpu = statistics.median(one / plain for (_, one), (_, plain) in pairs)
            line += f", {cpu:6.3f} of its CPU time ({statistics.median(one for _, one in rounds):.0f} us)"
        print(line)


if __name__ == "__main__":
    main()
