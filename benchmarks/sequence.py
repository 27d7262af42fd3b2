"""Measures sequence models: ours and the reference side by side in one run, ratios printed.

    python benchmarks/sequence.py [train] [sample] [shakespeare] [--json] [--data ../shared/data]

train        tokens/s of training at 6 layers × 384 wide, 8,000 characters, context 96. The reference is a plain PyTorch
             loop of the same size (fp32, its own layers, cross-entropy and AdamW); ours is timed with the same
             optimiser and with Muon, as the recipes train. Each runs in a process of its own, in turn.
sample       seconds for a poem of 64 tokens, one and eight at once, at the same size; beside `generate` of Hugging
             Face's GPT-2 of that size, fp32 and bf16, where transformers is installed.
shakespeare  validation loss on tinyshakespeare, by character, at the settings that nanoGPT publishes for a CPU
             (4 layers, 4 heads, 128 wide, block 64, batch 12, 2,000 iterations, no dropout): there, 1.88.
Without a name: train and sample.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY, WIDTH, DEPTH, HEADS, CONTEXT, BATCH = 8000, 384, 6, 6, 96, 24
POEM = 64  # tokens: a 七律 with its marks
PROMPT = list(range(100, 116))

Result = dict[str, Any]
Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each side takes")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder that holds text/")
    parser.add_argument("--seed", type=int, default=1337, help="of shakespeare")
    parser.add_argument("--rate", type=float, default=0.01, help="peak learning rate of shakespeare")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    results: Result = {"machine": {"cores": torch.get_num_threads(), "torch": torch.__version__}}
    for name in options.sections or ("train", "sample"):
        results[name] = SECTIONS[name](options)
        if not options.json:
            print(f"\n{name}")
            for key, value in results[name].items():
                print(f"  {key:<44}{value:.3f}" if isinstance(value, float) else f"  {key:<44}{value}")
    if options.json:
        print(json.dumps(results, indent=1))


# --- processes that take turns ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def worker(make: Callable[[], Step]) -> Iterator[Callable[[int], list[float]]]:
    """A process of its own that takes so many steps when it is asked to, and answers with the seconds of each."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=serve, args=(there, make), daemon=True)
    process.start()

    def ask(count: int) -> list[float]:
        here.send(count)
        return list(here.recv())

    try:
        ask(2)  # warm up
        yield ask
    finally:
        here.send(0)
        process.join()


def serve(pipe: Connection, make: Callable[[], Step]) -> None:
    step = make()
    while count := pipe.recv():
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        pipe.send(seconds)


def in_turn(sides: dict[str, Callable[[], Step]], rounds: int, count: int) -> dict[str, list[float]]:
    """Seconds of each side's steps, `count` at a turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(worker(make)) for name, make in sides.items()}
        for _ in range(rounds):
            for name, ask in workers.items():
                seconds[name] += ask(count)
    return seconds


# --- training ---------------------------------------------------------------------------------------------------------


class PlainBlock(nn.Module):
    """A GPT block as a tutorial has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(self.first(x)).view(b, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.second(x))))


class PlainModel(nn.Module):
    """A GPT as a tutorial has it: learnt positions, LayerNorm, GELU, tied embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(PlainBlock() for _ in range(DEPTH)))
        self.last = nn.LayerNorm(WIDTH)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.last(self.blocks(x)) @ self.tokens.weight.T


def batch() -> Tensor:
    return torch.randint(VOCABULARY, (BATCH, CONTEXT + 1))


def plain_training() -> Step:
    torch.manual_seed(0)
    model = PlainModel()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> None:
        x = batch()
        loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def our_training(muon: bool = False) -> Step:
    from danqing.compute import device
    from danqing.techniques import sequence
    from danqing.training import engine

    torch.manual_seed(0)
    compute = device.choose()
    model = sequence.build(sequence.Config(VOCABULARY, WIDTH, DEPTH, HEADS, CONTEXT))
    engine.cast(model, compute)
    optimisers = (
        optimisers_of(model, 1e-3, compute.dtype)
        if muon
        else [torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)]
    )
    masters = [engine._mastered(optimiser) for optimiser in optimisers]  # the engine's own way to train in bf16

    def step() -> None:
        sequence.loss(model, batch().to(compute.device)).backward()  # type: ignore[no-untyped-call]
        for optimiser, own in zip(optimisers, masters, strict=True):
            own.pull_gradients()
            optimiser.step()
            optimiser.zero_grad()
            own.push_values()

    return step


def muon_training() -> Step:
    return our_training(muon=True)


def optimisers_of(model: nn.Module, rate: float, dtype: torch.dtype, decay: float = 0.0) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, Adam for the rest."""
    from danqing.training.muon import Muon

    hidden = [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    chosen = set(map(id, hidden))
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        Muon(hidden, lr=rate, weight_decay=decay, dtype=dtype),
        torch.optim.Adam(rest, lr=rate, betas=(0.9, 0.95), fused=True),
    ]


def train(options: argparse.Namespace) -> Result:
    sides = {"plain fp32": plain_training, "ours": our_training, "ours with Muon": muon_training}
    seconds = in_turn(sides, options.rounds, 3)
    speed = {name: BATCH * CONTEXT / min(values) for name, values in seconds.items()}
    middle = {name: BATCH * CONTEXT / statistics.median(values) for name, values in seconds.items()}
    return {
        "parameters, plain / ours": f"{parameters(PlainModel()):,} / {parameters(our_model()):,}",
        **{f"{name}, tokens/s, best (median)": f"{speed[name]:,.0f} ({middle[name]:,.0f})" for name in sides},
        "ours / plain, best": speed["ours"] / speed["plain fp32"],
        "ours / plain, median": middle["ours"] / middle["plain fp32"],
        "ours with Muon / plain, median": middle["ours with Muon"] / middle["plain fp32"],
    }


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# --- sampling ---------------------------------------------------------------------------------------------------------


def our_model() -> Any:
    from danqing.techniques import sequence

    torch.manual_seed(0)
    model = sequence.build(sequence.Config(VOCABULARY, WIDTH, DEPTH, HEADS, 192))
    nn.init.normal_(model.embedding.weight, std=2e-3)  # untrained: let no token stand out, so that no two texts meet
    return model


class Length:
    """Sixty-four tokens, any of most of them: the work of a form's mask without its rules."""

    mask = np.ones(VOCABULARY, dtype=bool)
    mask[:10] = False

    def start(self) -> int:
        return 0

    def allowed(self, state: int) -> Any:
        return self.mask.copy()

    def advance(self, state: int, token: int) -> int:
        return state + 1

    def finished(self, state: int) -> bool:
        return state == POEM


def our_sampling(count: int) -> Step:
    from danqing.compute import seed
    from danqing.techniques import decoding

    model = our_model().eval().requires_grad_(False)
    model.quick = True  # as the arts do
    number = 0

    def step() -> None:
        nonlocal number
        number += 1
        generator = seed.generator(number)
        found = decoding.sample(model, PROMPT, Length(), decoding.Sampling(), count, generator, end=2, limit=POEM)  # type: ignore[arg-type]
        assert [len(one.tokens) for one in found] == [POEM] * count

    return step


def their_sampling(count: int, dtype: torch.dtype) -> Step:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=WIDTH,
        n_layer=DEPTH,
        n_head=HEADS,
        n_positions=192,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = GPT2LMHeadModel(config).eval().to(dtype)
    prompt = torch.tensor([PROMPT] * count)

    def step() -> None:
        found = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=True,
            temperature=0.9,
            top_k=0,
            min_p=0.05,
            min_new_tokens=POEM,
            max_new_tokens=POEM,
        )
        assert found.shape == (count, len(PROMPT) + POEM)

    return step


def ours_one() -> Step:
    return our_sampling(1)


def ours_eight() -> Step:
    return our_sampling(8)


def theirs_one() -> Step:
    return their_sampling(1, torch.float32)


def theirs_eight() -> Step:
    return their_sampling(8, torch.float32)


def theirs_one_bf16() -> Step:
    return their_sampling(1, torch.bfloat16)


def theirs_eight_bf16() -> Step:
    return their_sampling(8, torch.bfloat16)


def fast_bf16() -> bool:
    from danqing.compute import device

    return device.choose().dtype == torch.bfloat16


def sample(options: argparse.Namespace) -> Result:
    sides = {"ours, 1": ours_one, "ours, 8": ours_eight}
    there = importlib.util.find_spec("transformers") is not None
    if there:
        sides |= {"generate fp32, 1": theirs_one, "generate fp32, 8": theirs_eight}
        if fast_bf16():  # elsewhere it is emulated, and takes minutes
            sides |= {"generate bf16, 1": theirs_one_bf16, "generate bf16, 8": theirs_eight_bf16}
    seconds = in_turn(sides, options.rounds, 2)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    result: Result = {
        f"{name}, s a batch, best (median)": f"{min(v):.3f} ({middle[n]:.3f})"
        for n, v in seconds.items()
        for name in [n]
    }
    if not there:
        return result | {"generate": "not measured: transformers is not installed (pip install 'danqing[hub]')"}
    for kind in ("fp32", "bf16") if fast_bf16() else ("fp32",):
        for count in (1, 8):
            result[f"times faster than generate {kind}, {count}, median"] = (
                middle[f"generate {kind}, {count}"] / middle[f"ours, {count}"]
            )
    return result


# --- tinyshakespeare --------------------------------------------------------------------------------------------------


def shakespeare(options: argparse.Namespace) -> Result:
    """Trains at nanoGPT's published CPU settings; the loss is over the whole validation part, in blocks of 64."""
    from danqing.techniques import sequence

    text = (options.data / "text" / "tinyshakespeare.txt").read_text(encoding="utf-8")
    characters = sorted(set(text))
    numbers = {c: i for i, c in enumerate(characters)}
    data = torch.tensor([numbers[c] for c in text])
    cut = int(0.9 * len(data))
    learned, held = data[:cut], data[cut:]
    block, size, iterations = 64, 12, 2000
    torch.manual_seed(options.seed)
    model = sequence.build(sequence.Config(len(characters), width=128, depth=4, heads=4, context=block))
    optimisers = optimisers_of(model, options.rate, torch.float32, decay=0.01)
    start = time.perf_counter()
    for iteration in range(iterations):
        # Warm up for 100 steps, then fall along a cosine to nothing.
        share = min(1, (iteration + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * iteration / iterations))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = options.rate * share
        at = torch.randint(len(learned) - block, (size,))
        loss = sequence.loss(model, torch.stack([learned[i : i + block + 1] for i in at]))
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        if os.environ.get("DANQING_VERBOSE") and iteration % 250 == 0:
            print(iteration, loss.item(), flush=True)
    seconds = time.perf_counter() - start
    model.eval()
    whole = held[: (len(held) - 1) // block * block + 1]
    inputs = torch.stack([whole[i : i + block + 1] for i in range(0, len(whole) - 1, block)])
    with torch.no_grad():
        losses = [sequence.loss(model, part).item() * len(part) for part in inputs.split(256)]
    return {
        "parameters": parameters(model),
        "characters seen": iterations * size * block,
        "seconds of training": seconds,
        "validation loss, nats a character": sum(losses) / len(inputs),
        "published by nanoGPT": 1.88,
    }


SECTIONS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "train": train,
    "sample": sample,
    "shakespeare": shakespeare,
}

if __name__ == "__main__":
    main()
