"""What requests that are made to stall a service do to the others: `python -m bench.stalling`.

A whole Second Look runs on this machine. An observer in a process of its own asks `/healthz` of router and reviewer API
and claims and judges items, first alone, then beside each attack: 8 clients that send the same request again and again,
or half-sent requests. `p99_ratio` is the worse of the observer's two p99s, health and claims, over all attacks
together, each beside the same without an attack; `p99_ratio_ATTACK` is that of one attack. `rss_ratio` is the resident
memory of the service that grew most, after the attacks beside before them. `half_sent_held` counts the half-sent
requests that are still open once the limits say that none may be.
"""

import json
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from bench.deployment import Deployment, deployment
from bench.report import console, report
from bench.stalling_observer import Observer, Seen, observed
from bench.stalling_requests import HALF_SENT, ITEM, Attack, attacks, open_half_sent
from secondlook.common.http.limits import GAP_SECONDS

PORT = 18_700
CLIENTS = 8
ITEMS = 2_500
WARM_SECONDS, BEFORE_SECONDS, ATTACK_SECONDS = 5.0, 12.0, 6.0
HELD_SECONDS = GAP_SECONDS + 5
SERVICES = ("router", "reviewer-api")
QUIET = {"SECONDLOOK_RETRAIN_LABELS": "1000000"}  # the first bundle is the last: another would take time and memory
BUNDLE_SECONDS = 120.0
TARGETS = {"p99_ratio": 3.0, "rss_ratio": 1.2, "half_sent_held": 0.0, "failed": 0.0}


def main() -> int:
    """Run it all, report, and return 1 if a target is missed."""
    with TemporaryDirectory(prefix="second-look-") as folder, deployment(Path(folder), PORT, QUIET) as system:
        keys = system.workspace.keys
        _publish(keys["upstream"])
        _await_bundle()
        with observed(PORT, keys["reviewer"]) as observer:
            figures = _measure(system, keys, observer)
    settings = {"clients": CLIENTS, "half_sent": HALF_SENT, "attack_seconds": ATTACK_SECONDS}
    report("stalling", figures, TARGETS, settings)
    return int(any(figures[name] > target for name, target in TARGETS.items()))


def _measure(system: Deployment, keys: dict[str, str], observer: Observer) -> dict[str, float]:
    time.sleep(WARM_SECONDS)
    before = observer.during(lambda: time.sleep(BEFORE_SECONDS))
    resident = _resident(system)
    during: dict[str, list[Seen]] = {}
    for attack in attacks(PORT, keys):
        during[attack.name] = observer.during(lambda attack=attack: _attack(attack))  # type: ignore[misc]
        console.print(f"{attack.name}: {_ratio(during[attack.name], before):.2f}, {_resident(system)}")
    held: list[int] = []

    def half_sent() -> None:
        with open_half_sent(PORT, keys) as still_open:
            time.sleep(HELD_SECONDS)
            held.append(still_open())

    during["half_sent"] = observer.during(half_sent)
    console.print(f"half_sent: {_ratio(during['half_sent'], before):.2f}, {held}")
    everything = [one for seen in during.values() for one in seen]
    after = _resident(system)
    return {
        "p99_ratio": _ratio(everything, before),
        "rss_ratio": max(after[name] / resident[name] for name in SERVICES),
        "half_sent_held": held[0],
        "failed": sum(one.failed for one in everything),
        **{f"{kind}_p99_ms_before": _p99(before, kind) for kind in ("healthz", "claim")},
        **{f"{kind}_p99_ms": _p99(everything, kind) for kind in ("healthz", "claim")},
        **{f"p99_ratio_{name}": _ratio(seen, before) for name, seen in during.items()},
    }


def _attack(attack: Attack) -> None:
    """Send it from CLIENTS threads for ATTACK_SECONDS."""
    until = time.monotonic() + ATTACK_SECONDS
    odd: list[int] = []

    def send() -> None:
        headers = {"Content-Type": "application/json"}
        if attack.key:
            headers["Authorization"] = f"Bearer {attack.key}"
        while time.monotonic() < until:
            connection = HTTPConnection("127.0.0.1", attack.port, timeout=60)
            with suppress(OSError, HTTPException):  # turned away in the middle of the body
                connection.request("POST", attack.path, attack.body, headers)
            with suppress(OSError, HTTPException):
                answer = connection.getresponse()
                answer.read()
                odd.extend([answer.status] if answer.status not in attack.allowed else [])
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if odd:
        raise RuntimeError(f"{attack.name} was answered {sorted(set(odd))}")


def _publish(key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT + 1}", headers=headers, timeout=30) as client:
        lines = [json.dumps({**ITEM, "content_id": f"c{number}"}) for number in range(ITEMS)]
        answer = client.post("/v1/content/batch", content="\n".join(lines))
        if answer.status_code != 202 or answer.json()["accepted"] != ITEMS:
            raise RuntimeError(f"the items were not accepted: {answer.text}")


def _await_bundle() -> None:
    """Return when the router has its model in memory."""
    until = time.monotonic() + BUNDLE_SECONDS
    while "secondlook_router_bundle_usable 1.0" not in httpx.get(f"http://127.0.0.1:{PORT + 1}/metrics").text:
        if time.monotonic() > until:
            raise RuntimeError("the trainer published no bundle")
        time.sleep(0.5)


def _resident(system: Deployment) -> dict[str, float]:
    """Memory of the services in MB."""
    found = {name: system.service(name) for name in SERVICES}
    return {name: round(process.memory_info().rss / 1e6) for name, process in found.items() if process}


def _ratio(during: list[Seen], before: list[Seen]) -> float:
    return max(_p99(during, kind) / _p99(before, kind) for kind in ("healthz", "claim"))


def _p99(seen: list[Seen], kind: str) -> float:
    return float(np.percentile([1000 * one.seconds for one in seen if one.kind == kind], 99))


if __name__ == "__main__":
    sys.exit(main())
