"""Two candidates never lead at once, whatever is delayed, lost, stopped or deleted."""

import random
from dataclasses import dataclass, replace

import pytest

from penstock_operator.leadership import election
from penstock_operator.leadership.election import Ask, Candidate, Lease, Leave, Timing

TIMING = Timing(15.0, 10.0, 2.0)
#: Seconds a clock shows per second; the fastest and the slowest differ by less than 15 : 10.
RATES = (0.82, 1.0, 1.2)
STEPS = 400
HISTORIES_PER_TEST = 250


@dataclass
class Process:
    """A candidate with a clock of its own, and its request or the answer that is on its way."""

    candidate: Candidate
    rate: float
    offset: float
    asleep_until: float = 0.0
    request: tuple[Ask, float] | None = None
    answer: tuple[Lease, float] | None = None

    def now(self, real: float) -> float:
        """What its clock shows."""
        return self.offset + self.rate * real

    def leads(self, real: float) -> bool:
        """By its own clock."""
        return self.candidate.held(self.now(real))


class History:
    """An API server that compares and swaps, and processes that do anything at any time."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.real = 0.0
        self.lease: Lease | None = None
        self.writes = 0
        self.named = 0
        self.deleted = False
        self.led: dict[int, str] = {}
        self.leaders: set[str] = set()
        self.processes = [self.process(rate) for rate in RATES]

    def process(self, rate: float) -> Process:
        """One that has just started."""
        self.named += 1
        return Process(Candidate(f"pod-{self.named}", TIMING), rate, 1000.0 * self.named)

    def write(self, holder: str, transitions: int) -> Lease:
        """The server takes a write."""
        self.writes += 1
        self.lease = Lease(holder, transitions, TIMING.duration_seconds, str(self.writes))
        return self.lease

    def step(self) -> None:
        """Time passes, a process gets on with what it does, or something happens to it."""
        what = self.chance.random()
        if what < 0.35:
            self.real += self.chance.choice((0.1, 0.5, 1.0, 2.0, 2.0, 4.0, 9.0))
        elif what < 0.95:
            self.goes_on(self.chance.randrange(len(RATES)))
        else:
            happens = (self.ends, self.sleeps, self.is_deleted, self.is_touched)
            self.chance.choices(happens, weights=(3, 6, 1, 1))[0]()
        leading = [one.candidate.identity for one in self.processes if one.leads(self.real)]
        assert len(leading) <= 1, f"{leading} lead at {self.real:.1f} s"

    def goes_on(self, who: int) -> None:
        """Its answer arrives, or its request does, or it looks and decides."""
        process = self.processes[who]
        if self.real < process.asleep_until:
            return
        if process.answer is not None:
            (lease, asked_at), process.answer = process.answer, None
            process.candidate = process.candidate.won(lease, asked_at, process.now(self.real))
            self.note(process)
        elif process.request is not None:
            (ask, asked_at), process.request = process.request, None
            if ask.version == (self.lease.version if self.lease else ""):
                lease = self.write(process.candidate.identity, ask.transitions)
                process.answer = None if self.chance.random() < 0.1 else (lease, asked_at)
        else:
            self.looks(who, process)

    def looks(self, who: int, process: Process) -> None:
        """One reads the Lease; it may ask, and the request may take its time."""
        now = process.now(self.real)
        process.candidate = process.candidate.saw(self.lease, now)
        alive = self.chance.random() < 0.9
        at_least = self.chance.choice((0, 0, 0, process.candidate.highest + 2))
        match election.decide(process.candidate, now, alive=alive, at_least=at_least):
            case Ask() as ask:
                process.request = (ask, now)
            case Leave():
                self.processes[who] = self.process(process.rate)

    def note(self, process: Process) -> None:
        """An epoch is one process's own; only a deleted Lease forgets how far they had come."""
        epoch, identity = process.candidate.epoch, process.candidate.identity
        assert epoch >= 1
        assert self.deleted or self.led.setdefault(epoch, identity) == identity
        if process.leads(self.real):
            self.leaders.add(identity)

    def ends(self) -> None:
        """One is killed or ends politely, giving the Lease back if it can; another is started."""
        who = self.chance.randrange(len(RATES))
        candidate = self.processes[who].candidate
        if self.lease is None:
            return  # who starts now would not know that there was one: see the decision
        if self.lease.holder == candidate.identity and self.chance.random() < 0.5:
            assert candidate.released().deadline < 0
            self.write("", self.lease.transitions)
        self.processes[who] = self.process(self.processes[who].rate)

    def sleeps(self) -> None:
        """One is stopped for a while, whatever is on its way."""
        process = self.chance.choice(self.processes)
        process.asleep_until = self.real + self.chance.choice((3.0, 8.0, 14.0, 40.0))

    def is_deleted(self) -> None:
        """A person deletes the Lease, which all have seen; no creation is on its way."""
        if all(one.candidate.highest >= 0 for one in self.processes):
            self.lease, self.deleted = None, True
            for one in self.processes:
                if one.request and not one.request[0].version:
                    one.request = None

    def is_touched(self) -> None:
        """An annotation, say: the version changes and nothing else."""
        if self.lease:
            self.writes += 1
            self.lease = replace(self.lease, version=str(self.writes))


@pytest.mark.parametrize("first", range(0, 4 * HISTORIES_PER_TEST, HISTORIES_PER_TEST))
def test_at_most_one_candidate_leads_in_any_history(first: int) -> None:
    handovers = 0
    for seed in range(first, first + HISTORIES_PER_TEST):
        history = History(seed)
        try:
            for _ in range(STEPS):
                history.step()
        except AssertionError as error:
            pytest.fail(f"history {seed}: {error}")
        handovers += len(history.leaders) - 1
    assert handovers >= HISTORIES_PER_TEST, "the histories must try what they are for"
