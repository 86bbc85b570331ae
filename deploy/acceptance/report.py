"""What the acceptance kit has found: written to report.json and report.md after each step, so that there is one however it ends."""

import datetime
import json
import statistics
import threading

# In us-east-1, in USD an hour: an interface endpoint in one zone, an instance of these types, 8 GiB of gp3 for an hour.
RATES = {"endpoint": 0.01, "t3.micro": 0.0104, "t3.small": 0.0208, "volume": 0.0009}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def seconds_between(first, last):
    def parse(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))

    return (parse(last) - parse(first)).total_seconds()


class Report:
    """Everything that was measured. Several clusters write at once."""

    def __init__(self, folder, title):
        self.folder, self.title, self.began = folder, title, now()
        self.steps, self.checks, self.timings, self.downs, self.left = [], [], {}, [], None
        self.lock = threading.Lock()

    def step(self, cluster, name, took, outcome, text=""):
        with self.lock:
            self.steps.append(
                {"cluster": cluster, "step": name, "seconds": round(took, 1), "outcome": outcome, "text": text}
            )
        print(f"{cluster:<14} {name:<12} {outcome:<8} {took:6.0f} s  {text.splitlines()[0] if text else ''}", flush=True)
        self.write()

    def check(self, finding, what, verdict, measured):
        """A verdict is ok, wrong or not-measured."""
        with self.lock:
            self.checks.append({"finding": finding, "what": what, "verdict": verdict, "measured": str(measured)})
        self.write()

    def events(self, lines):
        """Takes the times of EC2's steps from a controller's events."""
        with self.lock:
            for name, seconds in timings(lines):
                self.timings.setdefault(name, []).append(round(seconds, 1))

    def members_down(self, rollouts):
        with self.lock:
            slots = [slot for rollout in rollouts for slot in rollout["slots"]]
            self.downs += [slot["memberDownSeconds"] for slot in slots if slot["memberDownSeconds"] is not None]

    def is_good(self):
        wrong = [one for one in self.steps if one["outcome"] != "ok"] + [
            one for one in self.checks if one["verdict"] == "wrong"
        ]
        return not wrong and self.left == []

    def document(self):
        rows = {**self.timings, "member down": self.downs} if self.downs else self.timings
        return {
            "formatVersion": "1.0",
            "title": self.title,
            "began": self.began.isoformat(),
            "seconds": round((now() - self.began).total_seconds()),
            "good": self.is_good(),
            "steps": self.steps,
            "timings": {name: spread(values) for name, values in rows.items() if values},
            "checks": self.checks,
            "leftBehind": self.left,
        }

    def write(self):
        with self.lock:
            document = self.document()
            (self.folder / "report.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            (self.folder / "report.md").write_text(markdown(document), encoding="utf-8")


def spread(values):
    return {"times": len(values), "least": min(values), "median": round(statistics.median(values), 1), "most": max(values)}


def timings(events):
    """The time from each of EC2's changes to what a controller did or saw next in that slot. A launch is in two parts: until the
    instance runs, and until its status checks have passed. A member's boot begins when it has its volume."""
    of_slot = {}
    for event in events:
        if event.get("slot"):
            of_slot.setdefault((event["cluster"], event["slot"]), []).append(event)
    for line in of_slot.values():
        for number, event in enumerate(line):
            if event["kind"] == "action" and event.get("result") == "done":
                action = next(
                    (n for n, one in enumerate(line[number + 1 :], number + 1) if one["kind"] == "action"), len(line)
                )
                yield from timings_of(event, line[number + 1 : action], line[action : action + 1])


def timings_of(event, waits, next_action):
    """Those of one change, with what was waited for until the next one."""
    own = [one for one in waits if one.get("step") == event["action"]]
    others = [one for one in waits if one.get("step") != event["action"]]
    if event["action"] == "launch":
        checks = [one for one in own if "to pass its status checks" in one["text"]]
        if checks:
            yield "launch", seconds_between(event["at"], checks[0]["at"])
            if next_action:
                yield "status checks", seconds_between(checks[0]["at"], next_action[0]["at"])
    elif own:
        # What nobody had to wait for is no time of EC2's.
        following = (others + next_action)[:1]
        if following:
            yield event["action"], seconds_between(event["at"], following[0]["at"])
        back = [one for one in others if "to stay healthy until" in one.get("text", "")]
        if event["action"] == "attach" and back:
            yield "boot of the member", seconds_between(following[0]["at"], back[0]["at"])


def cell(text):
    """Text of a table's cell: nothing in it ends the cell or the line."""
    return " ".join(str(text).replace("|", "\\|").replace("<", "&lt;").split())


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell(one) for one in row) + " |" for row in rows])


def markdown(document):
    left = document["leftBehind"]
    if left is None:
        told = "**Not looked at yet**: the run has not come to its end."
    elif left:
        told = table(["what", "id", "goes with"], [(one["what"], one["id"], f"`{one['command']}`") for one in left])
    else:
        told = "Nothing."
    return (
        "\n\n".join(
            [
                f"# {document['title']}",
                f"{'**Good.**' if document['good'] else '**Not good.**'} Begun {document['began']}, "
                f"{document['seconds'] // 60} min {document['seconds'] % 60} s.",
                "## What was done",
                table(
                    ["cluster", "step", "outcome", "seconds", ""],
                    [
                        (one["cluster"], one["step"], one["outcome"], one["seconds"], one["text"])
                        for one in document["steps"]
                    ],
                ),
                "## What EC2 takes",
                "In seconds, as the controller saw it.",
                table(
                    ["step", "times", "least", "median", "most"],
                    [
                        (name, one["times"], one["least"], one["median"], one["most"])
                        for name, one in sorted(document["timings"].items())
                    ],
                ),
                "## What only an account can tell",
                table(
                    ["finding", "what", "verdict", "measured"],
                    [(one["finding"], one["what"], one["verdict"], one["measured"]) for one in document["checks"]],
                ),
                "## What was left behind",
                told,
            ]
        )
        + "\n"
    )
