"""Four-voice chorales on a grid of sixteenths: one network that writes step after step, one that fills any gaps.

Writer: a decoder-only Transformer (Vaswani et al. 2017; rotary positions, Su et al. 2021) over steps, whose state at a
step is then read by a small network voice by voice, each seeing the voices written before it, as in RNN-NADE
(Boulanger-Lewandowski et al. 2012). A step enters as its four pitches, how long each has been held, the place in the
bar, the beats that are left and the key; the last two are hidden half of the time, so that they may be unknown.
With `relative` intervals count beside pitches, since music that is transposed is the same music: a step enters with the
intervals between its voices, the one by which each voice came and, where the key is known, with their degrees of its
scale; a note is foretold as a pitch, a degree, a move from where the voice stood and an interval to each voice that is
written already (to the same end as the relative attention of Huang et al. 2018, "Music Transformer").
Filler: an orderless model after Coconet (Huang et al. 2017, "Counterpoint by Convolution") and DeepBach (Hadjeres et
al. 2017): given any subset of the notes it foretells each of the others. It is sampled by blocked Gibbs with masks that
grow smaller (Yao et al. 2014). Departures: a Transformer over steps instead of convolutions; besides Coconet's uniform
masks, whole voices and whole passages are hidden in training, since that is what is asked for.
Notes are codes in [0, notes.CODES), see `encode.notes`; a batch is (B, T, 4) int64, voices soprano to bass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.encode.notes import CODES, HIGH, KEYS, LOW, RANGES
from danqing.errors import BadRequest

VOICES = 4
HIDDEN = CODES  # the code of a note that is not shown, and of what precedes the first step
PLACES = 48  # steps of a bar that are told apart
BEATS = 16  # beats before the end that are told apart; more are as many
LONGEST = 32  # steps of holding that are told apart
LEAP = 12  # semitones of a move that are told apart
MOVES = 2 * LEAP + 2  # of a voice: none known, then from −LEAP to LEAP
DEGREES = 25  # semitones above the tonic of a major key, of a minor one; none known
PAIRS = tuple((lower, upper) for upper in range(4) for lower in range(upper + 1, 4))  # of voices
KINDS = ("writer", "filler")


@dataclass(frozen=True)
class Config:
    """What defines a model; saved in the weights' header and enough to rebuild it."""

    kind: str = "writer"  # | "filler"
    width: int = 192  # channels of a step
    depth: int = 4
    heads: int = 6  # width / heads is even
    reader: int = 2  # layers that read a step's state for one voice
    reach: int = 256  # steps that attention looks back, or to either side
    order: tuple[int, ...] = (0, 3, 1, 2)  # in which the writer's voices are written: soprano, bass, alto, tenor
    dropout: float = 0.1
    relative: bool = False  # of a writer: whether intervals count beside pitches
    forget: float = 0.0  # of a writer in training: share of the beats of each voice that it does not hear

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadRequest(f"kind {self.kind!r} is not known; it is one of {', '.join(KINDS)}")
        if self.relative and self.kind != "writer":
            raise BadRequest("relative is a writer's: a filler hears both sides, and has no step it comes from")
        if self.width % self.heads or self.width // self.heads % 2:
            raise BadRequest(f"width {self.width} in {self.heads} heads: a head's width must be a whole, even number")
        if sorted(self.order) != list(range(VOICES)):
            raise BadRequest(f"order is {self.order}; it names each of the voices 0 to 3 once")
        object.__setattr__(self, "order", tuple(self.order))


@dataclass(frozen=True)
class Frame:
    """What is known of a piece besides its notes; each (B, T) int64."""

    place: Tensor  # step of the bar, in [0, PLACES)
    beats: Tensor  # whole beats to the end, in [0, BEATS); BEATS: unknown
    key: Tensor  # in [0, KEYS); KEYS: unknown

    def cut(self, steps: slice) -> Frame:
        """Some of the steps."""
        return Frame(self.place[:, steps], self.beats[:, steps], self.key[:, steps])

    def to(self, device: torch.device) -> Frame:
        """On a device."""
        return Frame(self.place.to(device), self.beats.to(device), self.key.to(device))

    def joined(self, other: Frame) -> Frame:
        """With the rows of another below."""
        pairs = ((self.place, other.place), (self.beats, other.beats), (self.key, other.key))
        return Frame(*(torch.cat(pair) for pair in pairs))

    def unknown(self) -> Frame:
        """Neither the key nor where it ends is known."""
        return replace(self, beats=torch.full_like(self.beats, BEATS), key=torch.full_like(self.key, KEYS))


def frame(length: int, pickup: int, bar: int, key: int = KEYS, ends: bool = True) -> Frame:
    """The frame of one piece of `length` steps, B = 1. ends: whether it is known that it ends there."""
    steps = torch.arange(length)
    left = ((length - 1 - steps) // 4).clamp(max=BEATS - 1) if ends else torch.full_like(steps, BEATS)
    place = ((steps - pickup) % bar).clamp(max=15) if bar == 16 else 16 + (steps - pickup) % bar % (PLACES - 16)
    return Frame(place[None], left[None], torch.full((1, length), key))


# --- networks ---------------------------------------------------------------------------------------------------------


def _norm(x: Tensor) -> Tensor:
    y: Tensor = F.rms_norm(x, x.shape[-1:], eps=1e-5)
    return y


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """x (B, H, T, D) turned by its position: angles (2, T, D), cos and sin; pairs are (i, i + D/2)."""
    cos, sin = angles
    turned: Tensor = x * cos + x.roll(x.shape[-1] // 2, -1) * sin
    return turned


def _angles(start: int, stop: int, width: int, like: Tensor) -> Tensor:
    rates = 10_000.0 ** -(torch.arange(0, width, 2, device=like.device, dtype=torch.float32) / width)
    turns = torch.arange(start, stop, device=like.device, dtype=torch.float32)[:, None] * rates
    cos, sin = turns.cos(), turns.sin()
    return torch.stack([torch.cat([cos, cos], 1), torch.cat([-sin, sin], 1)]).to(like.dtype)


class Thought(nn.Module):
    """SwiGLU (Shazeer 2020), added to what came in."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.up = nn.Linear(width, 2 * hidden, bias=False)  # gate, up
        self.down = nn.Linear(hidden, width, bias=False)
        nn.init.normal_(self.up.weight, std=width**-0.5 / 2)
        nn.init.normal_(self.down.weight, std=(2 * layers * hidden) ** -0.5 / 2)

    def forward(self, x: Tensor) -> Tensor:
        """x (…, C) → (…, C)."""
        gate, up = self.up(_norm(x)).chunk(2, dim=-1)
        down: Tensor = self.down(F.silu(gate) * up)
        return x + F.dropout(down, self.dropout, self.training)


class Block(nn.Module):
    """Attention, then SwiGLU, each added to what came in."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.mix = nn.Linear(width, 3 * width, bias=False)  # queries, keys, values
        self.out = nn.Linear(width, width, bias=False)
        self.think = Thought(width, round(width * 8 / 3 / 32) * 32, config.depth, config.dropout)
        nn.init.normal_(self.mix.weight, std=width**-0.5 / 2)
        nn.init.normal_(self.out.weight, std=(2 * config.depth * width) ** -0.5 / 2)

    def forward(self, x: Tensor, angles: Tensor, mask: Tensor | None, past: Past | None = None) -> Tensor:
        """x (B, T, C); angles of these steps; mask (T, S) bool, True where a step may look. Returns (B, T, C).

        past: what earlier steps left, grown by these; S counts those too.
        """
        b, t, c = x.shape
        q, k, v = self.mix(_norm(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = _turned(q, angles), _turned(k, angles)
        if past is not None:
            k, v = past.grown(self, k, v)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        seen = self.out(seen.transpose(1, 2).reshape(b, t, c))
        thought: Tensor = self.think(x + F.dropout(seen, self.dropout, self.training))
        return thought


class Past:
    """Keys and values of the last `reach` steps, for writing one step after another."""

    def __init__(self, reach: int) -> None:
        self.reach, self.length = reach, 0
        self.held: dict[Block, tuple[Tensor, Tensor]] = {}

    def grown(self, block: Block, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Those of a block with these appended, the oldest dropped."""
        if block in self.held:
            before = self.held[block]
            k, v = torch.cat([before[0], k], 2)[:, :, -self.reach :], torch.cat([before[1], v], 2)[:, :, -self.reach :]
        self.held[block] = (k, v)
        return k, v


class Model(nn.Module):
    """What both networks share: how steps enter, and the Transformer over them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.pitch = nn.Parameter(torch.randn(VOICES, CODES + 1, width) * 0.02)  # HIDDEN is the last
        self.hold = nn.Parameter(torch.randn(VOICES, LONGEST, width) * 0.02)
        self.place = nn.Embedding(PLACES, width)
        self.beats = nn.Embedding(BEATS + 1, width)
        self.key = nn.Embedding(KEYS + 1, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.voice = nn.Parameter(torch.randn(VOICES, width) * 0.02)
        self.readers = nn.ModuleList(
            Thought(width, round(width * 4 / 3 / 32) * 32, config.reader, config.dropout) for _ in range(config.reader)
        )
        self.output = nn.Parameter(torch.zeros(VOICES, CODES, width))
        if config.relative:
            self.chord = nn.Parameter(torch.randn(len(PAIRS), 13, width) * 0.02)
            self.came = nn.Parameter(torch.randn(VOICES, MOVES, width) * 0.02)
            self.move = nn.Parameter(torch.zeros(VOICES, MOVES, width))
            self.apart = nn.Parameter(torch.zeros(VOICES, VOICES, 13, width))  # of the voice foretold, of the one heard
            self.degree = nn.Parameter(torch.randn(VOICES, DEGREES, width) * 0.02)
            self.scale = nn.Parameter(torch.zeros(VOICES, DEGREES, width))
            self.degrees = nn.Buffer(_degrees(), persistent=False)
            self.moves = nn.Buffer(_moves(), persistent=False)
            self.intervals = nn.Buffer(_intervals(), persistent=False)
        for table in (self.place, self.beats, self.key):
            nn.init.normal_(table.weight, std=0.02)

    def _enter(self, notes: Tensor, heard: Heard | None, known: Frame) -> Tensor:
        """notes (B, T, 4), HIDDEN allowed; heard: these with how they came, or none → (B, T, C) of unit mean square."""
        x = self.place(known.place) + self.beats(known.beats) + self.key(known.key)
        for voice in range(VOICES):
            x = x + F.embedding(notes[..., voice], self.pitch[voice])
            if heard is not None:
                x = x + F.embedding(heard.holds[..., voice], self.hold[voice])
        if heard is not None and self.config.relative:
            for voice in range(VOICES):
                x = x + F.embedding(heard.came[..., voice], self.came[voice])
                x = x + F.embedding(self.degrees[known.key, notes[..., voice]], self.degree[voice])
            for table, (lower, upper) in zip(self.chord, PAIRS, strict=True):
                x = x + F.embedding(self.intervals[notes[..., lower], notes[..., upper]], table)
        return F.dropout(_norm(x), self.config.dropout, self.training)

    def _turns(self, x: Tensor, length: int) -> Tensor:
        return _angles(0, length, self.config.width // self.config.heads, x)

    def _through(self, x: Tensor, mask: Tensor | None, turns: Tensor, past: Past | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, turns, mask, past)
        return _norm(x)

    def _read(self, state: Tensor, voice: int) -> Tensor:
        """state (…, C) → logits of one voice (…, CODES)."""
        return F.linear(self._thought(state, voice), self.output[voice])

    def _thought(self, state: Tensor, voice: int) -> Tensor:
        x = state + self.voice[voice]
        for reader in self.readers:
            x = reader(x)
        return _norm(x)


def _moves() -> Tensor:
    """(CODES + 1, CODES): the move from one code to another, in [0, MOVES)."""
    before, now = torch.arange(CODES + 1)[:, None], torch.arange(CODES)
    known = (before > 0) & (before < HIDDEN) & (now > 0)
    return torch.where(known, (now - before).clamp(-LEAP, LEAP) + LEAP + 1, 0)


def _degrees() -> Tensor:
    """(KEYS + 1, CODES + 1): what a code is in a key, in [0, DEGREES)."""
    key, code = torch.arange(KEYS + 1)[:, None], torch.arange(CODES + 1)
    known = (key < KEYS) & (code > 0) & (code < HIDDEN)
    return torch.where(known, (code - 1 + LOW - key) % 12 + 12 * (key >= 12), DEGREES - 1)


def _intervals() -> Tensor:
    """(CODES + 1, CODES + 1): semitones from one code up to another within the octave; 12 where one is no pitch."""
    codes = torch.arange(CODES + 1)
    pitch = (codes > 0) & (codes < HIDDEN)
    return torch.where(pitch[:, None] & pitch, (codes - codes[:, None]) % 12, 12)


@dataclass(frozen=True)
class Heard:
    """What stands at a step; each (B, T, 4) int64."""

    notes: Tensor  # codes, HIDDEN before the first step
    holds: Tensor  # how many steps each note has stood when the step ends, in [0, LONGEST)
    came: Tensor  # the move by which the voice came to it, in [0, MOVES)

    @classmethod
    def none(cls, pieces: int) -> Heard:
        """What precedes the first step: T = 1."""
        nothing = torch.zeros(pieces, 1, VOICES, dtype=torch.int64)
        return cls(nothing + HIDDEN, nothing, nothing)

    @classmethod
    def of(cls, notes: Tensor) -> Heard:
        """Of whole pieces: notes (B, T, 4)."""
        steps = torch.arange(notes.shape[1], device=notes.device)[None, :, None]
        fresh = torch.ones_like(notes, dtype=torch.bool)
        fresh[:, 1:] = notes[:, 1:] != notes[:, :-1]
        since = torch.where(fresh, steps, -1).cummax(dim=1).values
        moves = _moves().to(notes.device)[_earlier(notes, HIDDEN), notes]
        return cls(notes, (steps - since).clamp(max=LONGEST - 1), moves.gather(1, since))

    def then(self, notes: Tensor) -> Heard:
        """A step on: notes (B, 1, 4)."""
        same = notes == self.notes
        holds = torch.where(same, (self.holds + 1).clamp(max=LONGEST - 1), 0)
        return Heard(notes, holds, torch.where(same, self.came, _moves()[self.notes, notes]))

    def earlier(self) -> Heard:
        """At every step what stood the step before."""
        return Heard(_earlier(self.notes, HIDDEN), _earlier(self.holds, 0), _earlier(self.came, 0))

    def last(self) -> Heard:
        """The last step alone."""
        return Heard(self.notes[:, -1:], self.holds[:, -1:], self.came[:, -1:])

    def times(self, count: int, device: torch.device) -> Heard:
        """All pieces `count` times over, on a device."""
        return Heard(*(x.repeat(count, 1, 1).to(device) for x in (self.notes, self.holds, self.came)))


def _earlier(x: Tensor, first: int) -> Tensor:
    return F.pad(x[:, :-1], (0, 0, 1, 0), value=first)


def _causal(length: int, reach: int, device: torch.device) -> Tensor:
    """(T, T) bool: a step looks at itself and at those before it, as far as `reach`."""
    steps = torch.arange(length, device=device)
    apart = steps[:, None] - steps
    return (apart >= 0) & (apart < reach)


class Writer(Model):
    """Foretells every note from all earlier steps and the voices before it in its own step."""

    def forward(self, notes: Tensor, known: Frame) -> Tensor:
        """Logits of every note: notes (B, T, 4) int64 → (B, T, 4, CODES) float32."""
        heard = Heard.of(notes).earlier()
        mask = _causal(notes.shape[1], self.config.reach, notes.device)
        x = self._enter(*self._half_heard(heard), known)
        state = self._through(x, mask, self._turns(x, x.shape[1]))
        logits: list[Tensor] = [state] * VOICES
        for voice in self.config.order:
            logits[voice] = self._foretell(state, voice, heard.notes, notes, known.key)
            state = self._told(state, voice, heard.notes, notes)
        return torch.stack(logits, dim=2).float()

    def _half_heard(self, heard: Heard) -> tuple[Tensor, Heard]:
        """In training whole beats of a voice go unheard, so that no tune is known by heart from what precedes."""
        if not (self.training and self.config.forget):
            return heard.notes, heard
        b, t, _ = heard.notes.shape
        lost = torch.rand(b, -(-t // 4), VOICES, device=heard.notes.device) < self.config.forget
        lost = lost.repeat_interleave(4, dim=1)[:, :t]
        notes = heard.notes.masked_fill(lost, HIDDEN)
        return notes, Heard(notes, heard.holds.masked_fill(lost, 0), heard.came.masked_fill(lost, 0))

    def _foretell(self, state: Tensor, voice: int, before: Tensor, now: Tensor, key: Tensor) -> Tensor:
        """Logits of one voice (…, CODES): state (…, C); before, now (…, 4), `now` as far as it is written; key (…)."""
        if not self.config.relative:
            return self._read(state, voice)
        thought = self._thought(state, voice)
        logits = F.linear(thought, self.output[voice])
        logits = logits + F.linear(thought, self.move[voice]).gather(-1, self.moves[before[..., voice]])
        logits = logits + F.linear(thought, self.scale[voice]).gather(-1, self.degrees[key, :CODES])
        for other in self.config.order[: self.config.order.index(voice)]:
            apart = self.intervals[now[..., other], :CODES]
            logits = logits + F.linear(thought, self.apart[voice, other]).gather(-1, apart)
        return logits

    def _told(self, state: Tensor, voice: int, before: Tensor, now: Tensor) -> Tensor:
        """The state (…, C) that knows what one voice sings."""
        told = F.embedding(now[..., voice], self.pitch[voice])
        if self.config.relative:
            told = told + F.embedding(self.moves[before[..., voice], now[..., voice]], self.came[voice])
        known: Tensor = state + told * self.config.width**0.5
        return known


class Filler(Model):
    """Foretells every note that is hidden from all that are shown, before and after."""

    def forward(self, notes: Tensor, known: Frame) -> Tensor:
        """Logits of every note: notes (B, T, 4) int64, HIDDEN where unknown → (B, T, 4, CODES) float32."""
        steps = torch.arange(notes.shape[1], device=notes.device)
        mask = (steps[:, None] - steps).abs() < self.config.reach
        x = self._enter(notes, None, known)
        state = self._through(x, mask, self._turns(x, x.shape[1]))
        return torch.stack([self._read(state, voice) for voice in range(VOICES)], dim=2).float()


def build(config: Config) -> Writer | Filler:
    """A model of this config with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Writer(config) if config.kind == "writer" else Filler(config)


# --- losses -----------------------------------------------------------------------------------------------------------


def surprise(model: Writer, notes: Tensor, known: Frame) -> Tensor:
    """−log p of every note in nats, given all before it: notes (B, T, 4) → (B, T, 4) float32."""
    logits = model(notes, known)
    return F.cross_entropy(logits.flatten(0, 2), notes.flatten(), reduction="none").view(notes.shape)


def masked_surprise(model: Filler, notes: Tensor, hidden: Tensor, known: Frame) -> Tensor:
    """−log p of every hidden note in nats, given those that are shown; 0 at the others.

    notes (B, T, 4) int64, whole; hidden (B, T, 4) bool. Returns (B, T, 4) float32.
    """
    logits = model(notes.masked_fill(hidden, HIDDEN), known)
    found = F.cross_entropy(logits.flatten(0, 2), notes.flatten(), reduction="none").view(notes.shape)
    return found * hidden


def orderless(valid: Tensor, generator: torch.Generator) -> Tensor:
    """Coconet's masks: of a piece's n notes any number from 1 to n, each as likely. valid (B, T, 4) bool."""
    draw = torch.rand(valid.shape, generator=generator).masked_fill(~valid, 2.0).flatten(1)
    count = valid.flatten(1).sum(1)
    wanted = 1 + (torch.rand(len(valid), generator=generator) * count).long().clamp(max=count - 1)
    rank = draw.argsort(1).argsort(1)
    return (rank < wanted[:, None]).view(valid.shape) & valid


def asked(valid: Tensor, generator: torch.Generator) -> Tensor:
    """Masks like what is asked for, voices or a passage, a part of it shown already. valid (B, T, 4) bool."""
    b, t, _ = valid.shape
    hidden = torch.zeros_like(valid)
    for row in range(b):
        draw = torch.rand(4, generator=generator)
        if draw[0] < 0.5:  # every voice but one, two or three
            shown = torch.randperm(VOICES, generator=generator)[: int(1 + 3 * draw[1] ** 2)]
            if draw[2] < 0.5:
                shown = torch.tensor([0])  # the melody
            hidden[row] = True
            hidden[row, :, shown] = False
        else:
            length = 16 + int(draw[1] * min(t - 16, 128)) if t > 16 else t
            start = int(draw[2] * (t - length + 1))
            hidden[row, start : start + length] = True
        hidden[row] &= torch.rand(t, VOICES, generator=generator) < 1 - draw[3] * torch.rand((), generator=generator)
    return hidden & valid


# --- sampling ---------------------------------------------------------------------------------------------------------

OnStep = Callable[[int, int], None]  # (done, total)


def heedless(done: int, total: int) -> None:
    """The on_step of those who do not watch."""


@dataclass(frozen=True)
class Sampling:
    """How notes are drawn."""

    temperature: float = 0.9  # 0 takes the likeliest note
    min_p: float = 0.03  # only notes at least this likely, as a share of the likeliest
    ranges: tuple[tuple[int, int], ...] = RANGES  # MIDI, lowest and highest of each voice
    silence: bool = False  # whether a voice may rest
    parallels: bool = False  # whether two voices may go on in parallel fifths or octaves
    guidance: float = 1.0  # of `write`: how much key and end count; 1 as much as the model has it, 0 not at all
    rounds: int = 48  # of `fill`

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise BadRequest(f"temperature is {self.temperature}; it lies between 0 (the likeliest) and 10")
        if not 0 <= self.min_p <= 1:
            raise BadRequest(f"min_p is {self.min_p}; it lies between 0 (all notes) and 1")
        if not 0 <= self.guidance <= 10:
            raise BadRequest(f"guidance is {self.guidance}; it lies between 0 (key and end do not count) and 10")
        if self.rounds < 1:
            raise BadRequest(f"rounds is {self.rounds}; it is 1 or more")
        if len(self.ranges) != VOICES or any(not LOW <= low <= high <= HIGH for low, high in self.ranges):
            raise BadRequest(f"ranges are four of (lowest, highest) within MIDI {LOW} to {HIGH}; got {self.ranges}")

    def allowed(self) -> Tensor:
        """(4, CODES) bool: the notes that each voice may sing."""
        allowed = torch.zeros(VOICES, CODES, dtype=torch.bool)
        for voice, (low, high) in enumerate(self.ranges):
            allowed[voice, low - LOW + 1 : high - LOW + 2] = True
        allowed[:, 0] = self.silence
        return allowed


def parallel(before: Tensor, now: Tensor, voice: int) -> Tensor:
    """The notes of one voice that would go in parallel fifths, octaves or unisons with another voice.

    before, now (…, 4) codes of two steps; a voice that is HIDDEN or silent in one of them takes no part. Time may run
    either way. Returns (…, CODES) bool.
    """
    others = [other for other in range(VOICES) if other != voice]
    candidates = torch.arange(CODES, device=now.device)
    own = before[..., voice, None, None]
    was, here = before[..., others, None], now[..., others, None]  # (…, 3, 1)
    apart = (own - was) % 12
    fifth = torch.tensor([[7 if voice < other else 5] for other in others], device=now.device)
    perfect = (apart == 0) | (apart == fifth)
    sounding = (was > 0) & (was < HIDDEN) & (here > 0) & (here < HIDDEN) & (own > 0) & (own < HIDDEN)
    moves = (here - was) * (candidates - own) > 0
    same = (candidates - here) % 12 == apart
    return (perfect & sounding & moves & same).any(-2) & (candidates > 0)


def _check(notes: Tensor, known: Frame) -> None:
    if notes.ndim != 3 or notes.shape[2] != VOICES or not notes.shape[1]:
        raise BadRequest(f"notes are (pieces, steps, 4); got {tuple(notes.shape)}")
    if known.place.shape[1] != notes.shape[1]:
        raise BadRequest(f"the frame has {known.place.shape[1]} steps, the notes {notes.shape[1]}")


def _draw(logits: Tensor, allowed: Tensor, temperature: float, min_p: float, generator: torch.Generator) -> Tensor:
    """One note for each row: logits (…, CODES) float32, allowed broadcasts to it. Returns (…) int64."""
    logits = logits.masked_fill(~allowed, -torch.inf)
    if temperature == 0:
        return logits.argmax(-1)
    p = torch.softmax(logits / temperature, -1)
    p = p.masked_fill(p < min_p * p.amax(-1, keepdim=True), 0).double().cumsum(-1)
    point = torch.rand(p.shape[:-1], generator=generator, dtype=torch.float64)[..., None] * p[..., -1:]
    return torch.searchsorted(p, torch.minimum(point, p[..., -1:] * (1 - 1e-12)), right=True)[..., 0]


WRITING = Sampling(guidance=2.0)
FILLING = Sampling(temperature=0.7, min_p=0.02)


@torch.inference_mode()
def write(
    model: Writer,
    notes: Tensor,
    known: Frame,
    generator: torch.Generator,
    sampling: Sampling = WRITING,
    on_step: OnStep = heedless,
) -> Tensor:
    """Write every note that is HIDDEN, step after step; the others stay as they are and are heard when they come.

    With a guidance other than 1 the model is asked twice, told key and end and not told, and what the telling changes
    in its logits counts so many times (Ho & Salimans 2022, "Classifier-Free Diffusion Guidance"; for sequences Sanchez
    et al. 2023, "Stay on topic"). notes (B, T, 4) int64; known: its frame, B rows or one. The generator is on the CPU;
    the same one gives the same notes. Returns (B, T, 4) int64 without HIDDEN.
    """
    _check(notes, known)
    model.eval()
    allowed = sampling.allowed()
    device = model.voice.device
    b, t, _ = notes.shape
    out, fixed = notes.clone(), notes != HIDDEN
    known = Frame(*(x.expand(b, t).to(device) for x in (known.place, known.beats, known.key)))
    guided = sampling.guidance != 1
    if guided:
        known = known.joined(known.unknown())
    past, turns = Past(model.config.reach), model._turns(model.voice, t)
    last = Heard.none(b)
    lead = int(fixed.all(2).all(0).long().cumprod(0).sum())  # steps that are there in every piece: read in one go
    if lead:
        read = Heard.of(out[:, :lead])
        heard = read.earlier().times(1 + guided, device)
        entered = model._enter(heard.notes, heard, known.cut(slice(lead)))
        model._through(entered, _causal(lead, model.config.reach, device), turns[:, :lead], past)
        last = read.last()
    for step in range(lead, t):
        heard = last.times(1 + guided, device)
        here = known.cut(slice(step, step + 1))
        entered = model._enter(heard.notes, heard, here)
        state = model._through(entered, None, turns[:, step : step + 1], past)[:, 0]
        for voice in model.config.order:
            free = ~fixed[:, step, voice]
            if free.any():
                may = allowed[voice]
                if not sampling.parallels:
                    may = _but(may, parallel(last.notes[:, 0], out[:, step], voice))
                now = out[:, step].repeat(1 + guided, 1).to(device)
                logits = model._foretell(state, voice, heard.notes[:, 0], now, here.key[:, 0]).float().cpu()
                if guided:
                    logits = torch.lerp(logits[b:], logits[:b], sampling.guidance)
                drawn = _draw(logits, may, sampling.temperature, sampling.min_p, generator)
                out[:, step, voice] = torch.where(free, drawn, out[:, step, voice])
            now = out[:, step].repeat(1 + guided, 1).to(device)
            state = model._told(state, voice, heard.notes[:, 0], now)
        last = last.then(out[:, step : step + 1])
        on_step(step + 1, t)
    return out


def log_probs(model: Writer, notes: Tensor, given: Tensor, known: Frame, sampling: Sampling) -> Tensor:
    """log p of every note that `write` drew, under what it drew from: ranges, silence, parallels and temperature.

    notes (B, T, 4) int64, what came back; given (B, T, 4), what it was handed, HIDDEN where it wrote; known: the frame,
    B rows or one; sampling: min_p is passed over, so it is that of `write` where it was 0. Differentiable in the
    model's weights. Returns (B, T, 4) float32, 0 where a note was given.
    """
    if sampling.temperature <= 0 or sampling.guidance != 1:
        raise BadRequest("log p is that of the model itself: temperature above 0 and guidance 1")
    logits = model(notes, Frame(*(x.expand(notes.shape[:2]) for x in (known.place, known.beats, known.key))))
    allowed = sampling.allowed().to(notes.device)
    before = _earlier(notes, HIDDEN)
    now, found = given.clone(), [torch.zeros_like(logits[:, :, 0, 0])] * VOICES
    for voice in model.config.order:
        may = allowed[voice]
        if not sampling.parallels:
            may = _but(may, parallel(before, now, voice))
        narrowed = (logits[:, :, voice] / sampling.temperature).masked_fill(~may, -torch.inf)
        found[voice] = torch.log_softmax(narrowed, -1).gather(-1, notes[..., voice, None])[..., 0]
        now[..., voice] = notes[..., voice]
    return torch.stack(found, dim=2).masked_fill(given != HIDDEN, 0.0)


def _but(allowed: Tensor, bad: Tensor) -> Tensor:
    """What is allowed and not bad; all that is allowed where nothing else is left. Both broadcast to (…, CODES)."""
    good = allowed & ~bad
    return torch.where(good.any(-1, keepdim=True), good, allowed)


def _between(notes: Tensor) -> Tensor:
    """The notes in parallel with the step before or with the one after: (B, T, 4) → (B, T, 4, CODES) bool."""
    before, after = F.pad(notes[:, :-1], (0, 0, 1, 0)), F.pad(notes[:, 1:], (0, 0, 0, 1))
    bad = [parallel(before, notes, voice) | parallel(after, notes, voice) for voice in range(VOICES)]
    return torch.stack(bad, dim=2)


@torch.inference_mode()
def fill(
    model: Filler,
    notes: Tensor,
    known: Frame,
    generator: torch.Generator,
    sampling: Sampling = FILLING,
    on_step: OnStep = heedless,
) -> Tensor:
    """Fill every note that is HIDDEN by blocked Gibbs sampling; all others come back as they were given.

    In each round a share of the gaps, at first all, at last few (Yao et al. 2014), is hidden again and drawn anew, all
    at once; the temperature falls to half along the way. notes (B, T, 4) int64; known: its frame, B rows or one.
    The generator is on the CPU; the same one gives the same notes. Returns (B, T, 4) int64.
    """
    _check(notes, known)
    model.eval()
    allowed = sampling.allowed()
    device = model.voice.device
    b, t, _ = notes.shape
    gaps, out = notes == HIDDEN, notes.clone()
    known = Frame(*(x.expand(b, t).to(device) for x in (known.place, known.beats, known.key)))
    for done in range(sampling.rounds):
        along = done / max(1, sampling.rounds - 1)
        share = max(0.03, 1 - along / 0.85)
        hidden = gaps & (torch.rand(gaps.shape, generator=generator) < share) if done else gaps
        logits = model(out.masked_fill(hidden, HIDDEN).to(device), known).cpu()
        may = allowed if sampling.parallels else _but(allowed, _between(out))
        drawn = _draw(logits, may, sampling.temperature * (1 - 0.5 * along), sampling.min_p, generator)
        out = torch.where(hidden, drawn, out)
        on_step(done + 1, sampling.rounds)
    return out
