"""Sequence models that write one token after another, and one that sees both sides of a gap; their training losses.

How they write is `decoding`.

Transformer: Vaswani et al. 2017, decoder only, with rotary positions (Su et al. 2021), RMSNorm before each part (Zhang
and Sennrich 2019), SwiGLU (Shazeer 2020) and one matrix for embedding and output (Press and Wolf 2017). LSTM:
Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014. The masked variant (Devlin et al. 2019) is the same Transformer
without the causal mask.
Departures: norms have no gain of their own but the last, since the layer that follows can learn it; recurrent layers
after the first are residual; norms, rotation, attention, SwiGLU and cross-entropy have hand-written backward passes:
on a CPU in bf16 elementwise passes and PyTorch's attention backward take the time, not the matrix products.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.errors import BadRequest

ARCHITECTURES = ("transformer", "lstm", "gru")
EPSILON = 1e-5  # under the root of a norm
CHUNK = 1024  # rows of logits held at once by the loss: 16 MB in bf16 at 8,000 tokens; more leave the cache


@dataclass(frozen=True)
class Config:
    """What defines a model; saved in the weights' header and enough to rebuild it."""

    vocabulary: int
    width: int = 256  # channels of a token
    depth: int = 6
    heads: int = 4  # of the Transformer; width / heads is even
    context: int = 192  # tokens that the Transformer sees at once
    architecture: str = "transformer"  # | "lstm" | "gru"
    causal: bool = True  # False: the masked variant, which sees both sides
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise BadRequest(
                f"architecture {self.architecture!r} is not known; it is one of {', '.join(ARCHITECTURES)}"
            )
        if min(self.vocabulary, self.width, self.depth, self.heads, self.context) < 1:
            raise BadRequest("vocabulary, width, depth, heads and context are whole numbers of 1 or more")
        if self.architecture == "transformer" and (self.width % self.heads or self.width // self.heads % 2):
            raise BadRequest(
                f"width {self.width} in {self.heads} heads: the width of a head must be a whole, even number"
            )
        if self.architecture != "transformer" and not self.causal:
            raise BadRequest(f"the masked variant is a transformer; {self.architecture} reads one way only")
        if not 0 <= self.dropout < 1:
            raise BadRequest(f"dropout is {self.dropout}; it lies in [0, 1)")

    @property
    def hidden(self) -> int:
        """Channels inside a SwiGLU: 8/3 of the width, so that three matrices weigh as much as two of 4, to 64."""
        return max(64, round(self.width * 8 / 3 / 64) * 64)


# --- parts with their own backward pass -------------------------------------------------------------------------------


class _Norm(torch.autograd.Function):
    """x / rms(x) over the last axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = _scale(x)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        y, scale = ctx.saved_tensors
        (g,) = gradients
        along = (g * y).sum(-1, keepdim=True).div_(-y.shape[-1])
        return torch.addcmul(g, y, along).mul_(scale)


def _scale(x: Tensor) -> Tensor:
    """1 / rms over the last axis, taken in fp32 at least: (…, C) → (…, 1)."""
    exact = torch.promote_types(x.dtype, torch.float32)
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact)
    return length.square_().div_(x.shape[-1]).add_(EPSILON).rsqrt_().to(x.dtype)


def _norm(x: Tensor) -> Tensor:
    return cast(Tensor, _Norm.apply(x))  # type: ignore[no-untyped-call]


class _Attend(torch.autograd.Function):
    """Multi-head attention between the input and the output projection, with rotary positions.

    mixed (B, T, 3·C): queries, keys, values; angles (2, 2, T, D): see `rotary`; mask broadcasts to (B·H, T, T).
    Returns (B·T, C). For a few hundred tokens the whole (T, T) table of a head stays in the cache: with matrix
    products alone, forward and backward together took a third of the processor time of
    `scaled_dot_product_attention` at 96 tokens, six tenths at 192 (24 rows, 6 heads of 64, bf16, one core).
    """

    @staticmethod
    def forward(ctx: Any, mixed: Tensor, angles: Tensor, mask: Tensor, heads: int) -> Tensor:
        b, t, c = mixed.shape
        qkv = mixed.view(b, t, 3, heads, -1).permute(2, 0, 3, 1, 4).contiguous()
        q, k, v = turned(qkv, angles).flatten(1, 2)
        p = torch.softmax(torch.baddbmm(mask, q, k.transpose(1, 2)), dim=-1)
        ctx.save_for_backward(q, k, v, p, angles)
        ctx.heads = heads
        return torch.bmm(p, v).view(b, heads, t, -1).transpose(1, 2).reshape(b * t, c // 3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        q, k, v, p, angles = ctx.saved_tensors
        n, t, d = q.shape
        g = gradients[0].view(-1, t, ctx.heads, d).transpose(1, 2).reshape(n, t, d)
        to_p = torch.bmm(g, v.transpose(1, 2))
        to_scores = torch.ops.aten._softmax_backward_data(to_p, p, -1, p.dtype)
        to_qkv = q.new_empty(3, n, t, d)
        torch.bmm(to_scores, k, out=to_qkv[0])
        torch.bmm(to_scores.transpose(1, 2), q, out=to_qkv[1])
        torch.bmm(p.transpose(1, 2), g, out=to_qkv[2])
        back = turned(to_qkv.view(3, -1, ctx.heads, t, d), torch.stack([angles[0], -angles[1]]))
        return back.permute(1, 3, 0, 2, 4).reshape(-1, t, 3 * ctx.heads * d), None, None, None


def rotary(start: int, stop: int, width: int, like: Tensor) -> Tensor:
    """The tables of `turned` for positions start … stop − 1, in the dtype of `like`: (2, 2, T, D).

    First axis: cos, sin (its first half negated); second: for queries (divided by √D, which attention asks for), keys.
    """
    rates = 10_000.0 ** -(torch.arange(0, width, 2, device=like.device, dtype=torch.float32) / width)
    angles = torch.arange(start, stop, device=like.device, dtype=torch.float32)[:, None] * rates
    cos, sin = angles.cos(), angles.sin()
    table = torch.stack([torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)])
    return torch.stack([table * width**-0.5, table], dim=1).to(like.dtype)


def turned(qkv: Tensor, angles: Tensor) -> Tensor:
    """qkv (3, B, H, T, D), changed in place: queries and keys turned by their position, pairs being (i, i + D/2)."""
    cos, sin = angles
    both = qkv[:2]
    crossed = both.roll(both.shape[-1] // 2, -1)
    both.mul_(cos[:, None, None]).addcmul_(crossed, sin[:, None, None])
    return qkv


class _Think(torch.autograd.Function):
    """x + down(silu(gate(y)) · up(y)): SwiGLU, added to what came in. x, y (N, C); inner (2F, C); outer (C, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
        half = len(inner) // 2
        gate, up = y @ inner[:half].T, y @ inner[half:].T  # two products, so that each result lies in one piece
        opened = F.silu(gate)
        passed = opened * up
        ctx.save_for_backward(y, inner, outer, gate, up, opened, passed)
        return torch.addmm(x, passed, outer.T)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        y, inner, outer, gate, up, opened, passed = ctx.saved_tensors
        (g,) = gradients
        half = len(inner) // 2
        to_passed = g @ outer
        to_up = to_passed * opened
        to_gate = torch.ops.aten.silu_backward(to_passed.mul_(up), gate)
        to_y = torch.addmm(to_gate @ inner[:half], to_up, inner[half:])
        to_inner = torch.empty_like(inner)
        torch.mm(to_gate.T, y, out=to_inner[:half])
        torch.mm(to_up.T, y, out=to_inner[half:])
        return g, to_y, to_inner, g.T @ passed


class _CrossEntropy(torch.autograd.Function):
    """Σ weight · −log softmax(x Wᵀ)[target], by chunks of rows, both gradients made on the way forward.

    x (N, C), W (V, C) of one dtype; targets (N,) int64; weights (N,) float32. The N × V table passes memory three
    times: written, made probabilities, read by the two products of the gradients. −log of the probability, which bf16
    keeps to 0.4 %, is closer than a log-probability rounded to bf16 would be.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        total = x.new_zeros((), dtype=torch.float32)
        to_x, to_weight = torch.empty_like(x), torch.zeros_like(weight)
        size = min(CHUNK, len(x))
        logits, places = x.new_empty(2, size, len(weight)), torch.arange(size, device=x.device)
        for start in range(0, len(x), CHUNK):
            rows = slice(start, start + CHUNK)
            part, target, share = x[rows], targets[rows], weights[rows, None]
            raw, p = logits[:, : len(part)]
            torch.mm(part, weight.T, out=raw)
            torch.softmax(raw, dim=-1, out=p)
            surprise = p.gather(1, target[:, None]).float().clamp_min_(1e-30).log_()
            total -= (surprise * share).sum()
            p[places[: len(part)], target] -= 1  # `scatter_add_` took as long as a product here
            share = share.to(x.dtype)
            torch.mul(p @ weight, share, out=to_x[rows])
            to_weight.addmm_(p.T, part * share)
        ctx.save_for_backward(to_x, to_weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_x, to_weight = ctx.saved_tensors
        (g,) = gradients
        return to_x * g.to(to_x.dtype), to_weight * g.to(to_weight.dtype), None, None


# --- networks ---------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Attention, then SwiGLU, each added to what came in."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.mix = nn.Linear(config.width, 3 * config.width, bias=False)  # queries, keys, values
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.up = nn.Linear(config.width, 2 * config.hidden, bias=False)  # gate, up
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor, angles: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C); angles from `rotary`; mask (T, T) or (B·H, 1, T), 0 or −inf. Returns (B, T, C)."""
        rows = x.flatten(0, 1)
        mixed = self.mix(_norm(x))
        seen = cast(Tensor, _Attend.apply(mixed, angles, mask, self.heads))  # type: ignore[no-untyped-call]
        if self.dropout and self.training:
            rows = rows + F.dropout(self.out(seen), self.dropout)
            thought = _Think.apply(torch.zeros_like(rows), _norm(rows), self.up.weight, self.down.weight)  # type: ignore[no-untyped-call]
            return (rows + F.dropout(thought, self.dropout)).view_as(x)
        rows = torch.addmm(rows, seen, self.out.weight.T)
        rows = cast(Tensor, _Think.apply(rows, _norm(rows), self.up.weight, self.down.weight))  # type: ignore[no-untyped-call]
        return rows.view_as(x)

    def step(self, x: Tensor, angles: Tensor, held: Tensor, start: int, layers: Sequence[Linear]) -> Tensor:
        """x (B, n, C) of positions start … start + n − 1; held (2, B, H, context, D), keys and values, written to.

        angles: from `rotary`, of these positions; layers: mix, out, up, down as `_prepared` gives them.
        Returns (B, n, C).
        """
        b, n, c = x.shape
        mix, out, up, down = layers
        qkv = mix(x * _scale(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).contiguous()
        q = turned(qkv, angles)[0]
        held[:, :, :, start : start + n] = qkv[1:]
        k, v = held[:, :, :, : start + n]
        mask = None if n == 1 else torch.ones(n, start + n, dtype=torch.bool, device=x.device).tril_(start)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)  # forward alone, it is the faster way
        x = x + out(seen.transpose(1, 2).reshape(b, n, c))
        gate, passed = up(x * _scale(x)).chunk(2, dim=-1)
        return x + down(F.silu(gate).mul_(passed))


Linear = Callable[[Tensor], Tensor]


def _prepared(weight: Tensor, quick: bool) -> Linear:
    """x → x Wᵀ, with the weight laid out for the processor's matrix units once where it is bf16 on a CPU.

    For a few rows of x the time goes to reading the weight, which PyTorch would lay out anew at every call.
    """
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    fits = onednn and weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    if fits and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), 16)
        return lambda x: cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, laid_out, None, "none", [], ""))
    if quick and weight.device.type == "cpu" and weight.dtype == torch.float32 and "fbgemm" in _ENGINES:
        return _in_int8(weight)
    return lambda x: F.linear(x, weight)


_ENGINES = torch.backends.quantized.supported_engines


def _in_int8(weight: Tensor) -> Linear:
    """x → x Wᵀ with the weight in int8, a scale a row, as our models are stored, and x rounded to 7 bits at each call.

    A quarter of the bytes to read: for 8 rows of x the poet's matrices took 1.6 ms instead of 6.3 (one AVX2 core). 7
    bits, since without VNNI instructions 8 overflow. The poet's distributions move by 0.02 nats.
    """
    rows = weight.detach()
    scales = rows.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny).double() / 127
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch will part with quantised tensors; until then they serve
        int8 = torch.quantize_per_channel(rows, scales, torch.zeros(len(rows), dtype=torch.long), 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(int8, None)

    def linear(x: Tensor) -> Tensor:
        y: Tensor = torch.ops.quantized.linear_dynamic(x.flatten(0, -2), packed, True)
        return y.view(*x.shape[:-1], -1)

    return linear


# The prepared layers of models that write, and what the weights were when they were made. Not an attribute of the
# model, which must remain a thing that can be copied and saved.
_PREPARED: weakref.WeakKeyDictionary[nn.Module, tuple[Any, list[Linear]]] = weakref.WeakKeyDictionary()


class Memory(Protocol):
    """What a model keeps of the tokens it has read, for every row of a batch."""

    @property
    def length(self) -> int:
        """Tokens read so far."""
        ...

    def pick(self, rows: Sequence[int]) -> Memory:
        """The memory of these rows, in this order; a row may be taken several times."""
        ...


@dataclass
class _KeysAndValues:
    held: Tensor  # (depth, 2, B, H, context, D)
    angles: Tensor  # (2, 2, context, D)
    layers: list[Linear]  # see `Transformer.layers`
    length: int = 0

    def pick(self, rows: Sequence[int]) -> _KeysAndValues:
        index = torch.tensor(rows, device=self.held.device)
        return _KeysAndValues(self.held.index_select(2, index), self.angles, self.layers, self.length)


@dataclass
class _States:
    held: list[Any]  # of each layer: (h, c) of an LSTM, h of a GRU, each (1, B, C); None before the first token
    length: int = 0

    def pick(self, rows: Sequence[int]) -> _States:
        def picked(state: Any) -> Any:
            if state is None:
                return None
            return tuple(map(picked, state)) if isinstance(state, tuple) else state[:, list(rows)]

        return _States([picked(state) for state in self.held], self.length)


class Model(nn.Module):
    """What all architectures share: one matrix for embedding and output, and a last norm with a gain."""

    quick = False  # whether a Transformer may round what it multiplies while it writes: on CPUs, in int8

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.gain = nn.Parameter(torch.ones(config.width))

    def features(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Of every position before the output matrix: tokens (B, T) int64 → (B, T, C)."""
        raise NotImplementedError

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits. tokens (B, T) int64 in [0, V); valid (B, T) bool, False at padding, for the masked variant only.

        Returns (B, T, V) in the weights' dtype. A causal model needs no `valid`: padding stands to the right.
        """
        return F.linear(self.features(tokens, valid), self.embedding.weight)

    @torch.inference_mode()
    def see(self, tokens: Tensor) -> Tensor:
        """Logits of every place with both its sides in sight: tokens (B, T) int64 → (B, T, V) float32 on the CPU.

        Raises BadRequest for a causal model, which sees only what stands before.
        """
        if self.config.causal:
            raise BadRequest("gaps are filled by a model built with causal=False; a causal one sees one side only")
        logits: Tensor = self(tokens.to(self.gain.device))
        return logits.float().cpu()

    @property
    def window(self) -> int | None:
        """How many tokens fit the memory; None where there is no limit."""
        return None

    def start(self, batch: int) -> Any:
        """An empty memory for `batch` rows, see `Memory`."""
        raise NotImplementedError

    def step(self, tokens: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Read on: tokens (B, n) int64. Returns the logits after the last one, (B, V), and the memory, grown by n."""
        raise NotImplementedError

    def embed(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) → (B, T, C) of unit mean square, with dropout in training."""
        x = _norm(self.embedding(tokens))
        return F.dropout(x, self.config.dropout) if self.config.dropout and self.training else x


class Transformer(Model):
    """Decoder-only where causal, encoder-only where not."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        for block in self.blocks:
            assert isinstance(block, Block)
            for layer in (block.mix, block.up):
                nn.init.normal_(layer.weight, std=config.width**-0.5 / 2)
            for layer, fan in ((block.out, config.width), (block.down, config.hidden)):
                nn.init.normal_(layer.weight, std=(2 * config.depth * fan) ** -0.5 / 2)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def features(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """See `Model.features`."""
        config = self.config
        length = tokens.shape[1]
        if length > config.context:
            raise BadRequest(f"{length} tokens are more than the model's context of {config.context}")
        x = self.embed(tokens)
        angles = rotary(0, length, config.width // config.heads, x)
        mask = x.new_zeros(1, 1)
        if config.causal:
            mask = x.new_full((length, length), -torch.inf).triu_(1)
        elif valid is not None:
            mask = x.new_zeros(valid.shape).masked_fill_(~valid, -torch.inf)
            mask = mask[:, None, None].expand(-1, config.heads, -1, -1).reshape(-1, 1, length)
        for block in self.blocks:
            x = block(x, angles, mask)
        return _norm(x) * self.gain

    @property
    def window(self) -> int | None:
        """See `Model.window`."""
        return self.config.context

    def start(self, batch: int) -> _KeysAndValues:
        """See `Model.start`."""
        config, like = self.config, self.embedding.weight
        if not config.causal:
            raise BadRequest("a masked model fills gaps (`fill`); it cannot write one token after another")
        width = config.width // config.heads
        held = like.new_empty(config.depth, 2, batch, config.heads, config.context, width)
        return _KeysAndValues(held.detach(), rotary(0, config.context, width, like.detach()), self.layers())

    @torch.inference_mode()
    def step(self, tokens: Tensor, memory: _KeysAndValues) -> tuple[Tensor, _KeysAndValues]:
        """See `Model.step`. Raises BadRequest when the context is full."""
        start, stop = memory.length, memory.length + tokens.shape[1]
        if stop > self.config.context:
            raise BadRequest(f"{stop} tokens are more than the model's context of {self.config.context}")
        x = self.embedding(tokens.to(self.gain.device))
        x = x * _scale(x)
        angles = memory.angles[:, :, start:stop]
        for i, (block, held) in enumerate(zip(self.blocks, memory.held, strict=True)):
            x = cast(Block, block).step(x, angles, held, start, memory.layers[4 * i : 4 * i + 4])
        memory.length = stop
        x = x[:, -1]
        return memory.layers[-1](x * _scale(x) * self.gain), memory

    def layers(self) -> list[Linear]:
        """Every matrix as a function made ready for few rows: mix, out, up, down of each block; the output."""
        weights: list[Tensor] = []
        for block in self.blocks:
            assert isinstance(block, Block)
            weights += [block.mix.weight, block.out.weight, block.up.weight, block.down.weight]
        weights.append(self.embedding.weight)
        stamp = [self.quick, *((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)]
        found = _PREPARED.get(self)
        if found is None or found[0] != stamp:
            found = _PREPARED[self] = (stamp, [_prepared(w, self.quick) for w in weights])
        return found[1]


class Recurrent(Model):
    """LSTM or GRU layers; those after the first add to what came in."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[config.architecture]
        self.layers = nn.ModuleList(kind(config.width, config.width, batch_first=True) for _ in range(config.depth))
        nn.init.normal_(self.embedding.weight, std=0.02)
        for layer in self.layers:
            for name, p in layer.named_parameters():
                if name.startswith("bias"):
                    nn.init.zeros_(p)
                    if config.architecture == "lstm" and name.startswith("bias_ih"):
                        p.data[config.width : 2 * config.width] = 1  # remember, until taught to forget
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(p)
                else:
                    nn.init.normal_(p, std=config.width**-0.5)

    def features(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """See `Model.features`."""
        x = self.embed(tokens)
        for i, layer in enumerate(self.layers):
            y, _ = layer(x)
            y = F.dropout(y, self.config.dropout, self.training) if self.config.dropout else y
            x = x + y if i else y
        return _norm(x) * self.gain

    def start(self, batch: int) -> _States:
        """See `Model.start`."""
        return _States([None] * len(self.layers))

    @torch.inference_mode()
    def step(self, tokens: Tensor, memory: _States) -> tuple[Tensor, _States]:
        """See `Model.step`."""
        x = _norm(self.embedding(tokens.to(self.gain.device)))
        states = []
        for i, (layer, state) in enumerate(zip(self.layers, memory.held, strict=True)):
            y, state = layer(x, state)
            x = x + y if i else y
            states.append(state)
        return F.linear(_norm(x[:, -1]) * self.gain, self.embedding.weight), _States(
            states, memory.length + tokens.shape[1]
        )


def build(config: Config) -> Model:
    """A model of this config with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Transformer(config) if config.architecture == "transformer" else Recurrent(config)


# --- losses -----------------------------------------------------------------------------------------------------------


def loss(model: Model, tokens: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted mean cross-entropy of each next token, in nats.

    tokens (B, T + 1) int64; weights (B, T) float ≥ 0, of the targets tokens[:, 1:]: 0 at padding (to the right) and
    wherever nothing is to be learned; all 1 when left out. Returns a scalar float32. Only positions of weight above 0
    go through the output matrix.
    """
    features = model.features(tokens[:, :-1])
    return _entropy(features, model.embedding.weight, tokens[:, 1:], weights)


def masked_loss(
    model: Model,
    tokens: Tensor,
    masked: Tensor,
    mask: int,
    valid: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of the tokens behind the mask, in nats.

    tokens (B, T) int64, whole; masked (B, T) bool: shown to the model as the token `mask`; valid (B, T) bool, False at
    padding. Returns a scalar float32.
    """
    if model.config.causal:
        raise BadRequest("masked_loss needs a model built with causal=False")
    features = model.features(tokens.masked_fill(masked, mask), valid)
    weights = masked.float() if valid is None else (masked & valid).float()
    return _entropy(features, model.embedding.weight, tokens, weights)


def _entropy(features: Tensor, output: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    x, target = features.flatten(0, 1), targets.flatten()
    if weights is None:
        share = torch.full(target.shape, 1 / len(target), device=x.device)
    else:
        flat = weights.flatten().float()
        wanted = flat.nonzero()[:, 0]
        if len(wanted) < len(flat):
            x, target, flat = x.index_select(0, wanted), target[wanted], flat[wanted]
        share = flat / flat.sum().clamp_min(1e-12)
    # In evaluation the logits are exact: fp32 products of whatever the features are.
    if not torch.is_grad_enabled():
        return _exact_entropy(x, output, target, share)
    return cast(Tensor, _CrossEntropy.apply(x, output, target, share))  # type: ignore[no-untyped-call]


def _exact_entropy(x: Tensor, output: Tensor, target: Tensor, share: Tensor) -> Tensor:
    total = share.new_zeros(())
    matrix = output.float()
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        logits = x[rows].float() @ matrix.T
        total += (F.cross_entropy(logits, target[rows], reduction="none") * share[rows]).sum()
    return total
