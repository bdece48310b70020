"""Plays an SPC backend that has its own database and its own ids, with Andon beside it.

    pip install websockets
    andon serve
    curl -H 'Content-Type: application/json' -d '{"name": "Force", "key": "press-4"}' \
        http://127.0.0.1:8080/api/v1/characteristics
    python spc_backend.py http://127.0.0.1:8080 press-4

It judges its samples itself and tells Andon what it found: `POST /events`. It listens over WebSocket, so that what
operators acknowledge in Andon is acknowledged here, too; what they acknowledge here it tells Andon. Everything it
says may be said again: Andon takes each event once. Commands, one per line:

    measure VALUE                           a sample, judged by this backend's own limits
    acknowledge VIOLATION USER REASON...    on this side
    resend                                  everything, as after a crash that lost the answers
    show                                    this backend's violations
"""

import asyncio
import datetime
import json
import sqlite3
import sys
import urllib.request

import websockets

SOURCE = "spc-backend"
LCL, CENTER_LINE, UCL = 7.0, 10.0, 13.0


class Backend:
    def __init__(self, server, key):
        self.server, self.key = server, key
        self.database = sqlite3.connect(":memory:")
        self.database.row_factory = sqlite3.Row
        self.database.executescript(
            """
            CREATE TABLE samples (id TEXT PRIMARY KEY, value REAL, at TEXT, in_control INTEGER);
            CREATE TABLE violations (id TEXT PRIMARY KEY, sample_id TEXT, side TEXT, ack_user TEXT, ack_reason TEXT,
                                     acknowledged_here INTEGER);
            """
        )

    # What Andon is told. The ids of the events follow from our own, so a repeat has the same ones.

    def sample_event(self, sample):
        payload = {
            "sample_id": sample["id"],
            "value": sample["value"],
            "timestamp": sample["at"],
            "in_control": bool(sample["in_control"]),
            "ucl": UCL,
            "center_line": CENTER_LINE,
            "lcl": LCL,
        }
        return self.event("sample", f"sample:{sample['id']}", payload)

    def violation_event(self, violation):
        sample = self.one("SELECT * FROM samples WHERE id = ?", violation["sample_id"])
        payload = {
            "violation_id": violation["id"],
            "sample_id": sample["id"],
            "rule_id": 1,
            "rule_name": "Beyond limits",
            "severity": "CRITICAL",
            "side": violation["side"],
            "value": sample["value"],
            "ucl": UCL,
            "center_line": CENTER_LINE,
            "lcl": LCL,
            "timestamp": sample["at"],
            "involved_sample_ids": [sample["id"]],
        }
        return self.event("violation", f"violation:{violation['id']}", payload)

    def acknowledgement_event(self, violation):
        payload = {
            "violation_id": violation["id"],
            "user": violation["ack_user"],
            "reason": violation["ack_reason"],
        }
        return self.event("ack_update", f"acknowledgement:{violation['id']}", payload)

    def event(self, kind, event_id, payload):
        named = {"source": SOURCE, "id": event_id, "type": kind, "characteristic_key": self.key}
        return {**named, "payload": payload}

    async def tell(self, events):
        answer = await asyncio.to_thread(self.call, "/events", {"events": events})
        say("told", **answer)

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server}/api/v1{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    # What happens on this side.

    async def measure(self, value):
        sample_id = f"S-{self.one('SELECT count(*) AS n FROM samples')['n'] + 1}"
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        in_control = LCL <= value <= UCL
        self.database.execute("INSERT INTO samples VALUES (?, ?, ?, ?)", (sample_id, value, now, in_control))
        events = [self.sample_event(self.one("SELECT * FROM samples WHERE id = ?", sample_id))]
        if not in_control:
            violation_id, side = f"V-{sample_id}", "upper" if value > UCL else "lower"
            row = (violation_id, sample_id, side)
            self.database.execute("INSERT INTO violations VALUES (?, ?, ?, NULL, NULL, NULL)", row)
            events.append(self.violation_event(self.one("SELECT * FROM violations WHERE id = ?", violation_id)))
        await self.tell(events)

    async def acknowledge(self, violation_id, user, reason):
        if self.keep_acknowledgement(violation_id, user, reason, here=True):
            await self.tell([self.acknowledgement_event(self.one("SELECT * FROM violations WHERE id = ?", violation_id))])

    async def resend(self):
        events = [self.sample_event(sample) for sample in self.all("SELECT * FROM samples ORDER BY rowid")]
        events += [self.violation_event(violation) for violation in self.all("SELECT * FROM violations ORDER BY rowid")]
        own = self.all("SELECT * FROM violations WHERE acknowledged_here ORDER BY rowid")
        await self.tell(events + [self.acknowledgement_event(violation) for violation in own])

    # What Andon tells.

    def mirror(self, acknowledged):
        """Keeps an acknowledgement of one of our violations, unless it is our own that comes back."""
        if acknowledged["source"] != SOURCE or acknowledged["ack_source"] == SOURCE:
            return
        violation_id, user, reason = (acknowledged[name] for name in ("external_id", "user", "reason"))
        if self.keep_acknowledgement(violation_id, user, reason, here=False):
            say("mirrored", violation_id=violation_id, user=user, reason=reason)

    async def catch_up(self):
        """What was acknowledged while nobody listened. (Ours among them are acknowledged here already.)"""
        offset, total = 0, 1
        while offset < total:
            path = f"/violations?characteristic_key={self.key}&acknowledged=true&limit=1000&offset={offset}"
            page = await asyncio.to_thread(self.call, path)
            for violation in page["items"]:
                user, reason = violation["ack_user"], violation["ack_reason"]
                self.mirror({**violation, "ack_source": None, "user": user, "reason": reason})
            offset, total = offset + 1000, page["total"]

    async def listen(self):
        async for socket in websockets.connect(self.server.replace("http", "ws", 1) + "/api/v1/ws"):
            try:
                await socket.send(json.dumps({"type": "subscribe", "characteristic_keys": [self.key]}))
                async for text in socket:
                    message = json.loads(text)
                    if message["type"] == "subscribed":
                        await self.catch_up()
                        say("listening", characteristic_ids=message["characteristic_ids"])
                    elif message["type"] == "ack_update":
                        self.mirror(message["payload"])
                    elif message["type"] == "error":
                        sys.exit(message["message"])
            except websockets.ConnectionClosed:
                continue

    # Our own database.

    def keep_acknowledgement(self, violation_id, user, reason, here):
        """The first answer stands."""
        kept = self.database.execute(
            "UPDATE violations SET ack_user = ?, ack_reason = ?, acknowledged_here = ? WHERE id = ? AND ack_user IS NULL",
            (user, reason, here, violation_id),
        )
        return kept.rowcount == 1

    def one(self, query, *parameters):
        return self.database.execute(query, parameters).fetchone()

    def all(self, query):
        return self.database.execute(query).fetchall()


def say(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


async def main(server, key):
    backend = Backend(server, key)
    listening = asyncio.create_task(backend.listen())
    commands = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(commands)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := (await commands.readline()).decode():
        match line.split():
            case ["measure", value]:
                await backend.measure(float(value))
            case ["acknowledge", violation_id, user, *reason]:
                await backend.acknowledge(violation_id, user, " ".join(reason))
            case ["resend"]:
                await backend.resend()
            case ["show"]:
                rows = backend.all("SELECT id, ack_user, ack_reason FROM violations ORDER BY rowid")
                say("violations", violations=[dict(row) for row in rows])
            case _:
                say("unknown", command=line.strip())
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


asyncio.run(main(sys.argv[1], sys.argv[2]))
