"""How GANs are trained and brought back: any generator, discriminator, loss, regulariser and augmentation together.

A step trains the discriminator (`critics` times), then the generator once. The generator's step judges again the
pictures of the last discriminator step, as DCGAN's own code does, which saves one of its passes; the papers of the
other families draw new latents there. Slopes (R1, R2) are taken by the augmented pictures, not by those before
augmentation. A discriminator that scores each picture by itself gets real and made ones in one batch, which is the same
but for rounding and for the numbers that dropout draws, and faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.compute import checkpoint, device, seed
from danqing.compute.blocks import Features
from danqing.encode.image import to_picture
from danqing.errors import BadRequest
from danqing.techniques import augment, gan, progan, projected, r3gan, stylegan
from danqing.training import data, engine, metrics, pictures
from danqing.training.generators import Sampler
from danqing.training.run import Run

FAMILIES: dict[str, Any] = {"gan": gan, "progan": progan, "stylegan": stylegan, "r3gan": r3gan, "projected": projected}
SHEET = 8  # pictures a row and a column of a sheet
PROBES = 128  # held-out pictures that are looked at as training goes on


@dataclass(frozen=True)
class Play:
    """The rules of the game, whatever the nets."""

    family: str = "gan"
    loss: str = "nonsaturating"
    critics: int = 1  # steps of the discriminator for one of the generator
    between: float = 0.0  # weight of the penalty between real and made pictures
    r1: float = 0.0  # weight of the squared slope at real pictures, halved as in the papers
    r2: float = 0.0  # the same at made pictures
    every: int = 1  # steps from one R1 (and R2) to the next; the weight grows with it
    drift: float = 0.0  # weight of the squared scores of real pictures
    path: float = 0.0  # weight of StyleGAN's path lengths
    path_every: int = 4  # steps from one to the next
    mixing: float = 0.0  # share of the pictures that are made from two latents (StyleGAN)
    augment: str = "none"
    target: float = 0.6  # of the adaptive augmentation
    ramp: float = 50_000  # pictures in which its probability could go from 0 to 1
    rate: float = 2e-4  # the generator's learning rate
    rate_discriminator: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    decay: bool = False  # learning rates fall along half a cosine
    batch: int = 64
    seed: int = 7

    def __post_init__(self) -> None:
        for name, known in (("family", FAMILIES), ("loss", gan.LOSSES), ("augment", augment.AUGMENTS)):
            if getattr(self, name) not in known:
                raise BadRequest(f"{name} is {getattr(self, name)!r}; it is one of {', '.join(known)}")
        if min(self.critics, self.batch, self.every, self.path_every) < 1:
            raise BadRequest("critics, batch, every and path_every are whole numbers of 1 or more")
        if self.family == "projected" and (self.between or self.r1 or self.r2):
            raise BadRequest("between, r1 and r2 are slopes of a discriminator that sees pictures; leave them at 0")
        if self.family != "stylegan" and (self.path or self.mixing):
            raise BadRequest(f"path and mixing are for stylegan; {self.family} has no styles: leave them at 0")


class Game:
    """The nets of one run and what a step does with them."""

    def __init__(
        self,
        play: Play,
        config: Any,
        nets: tuple[nn.Module, nn.Module],
        collection: pictures.Collection,
        eyes: Features | None = None,
    ) -> None:
        """nets: generator and discriminator, fresh, fp32; config: theirs, of which `latent` and `classes` are used.

        eyes: the frozen network that a `projected` discriminator looks through.
        """
        if isinstance(nets[1], projected.Discriminator) != (eyes is not None):
            raise ValueError("a projected discriminator looks through a frozen network, and no other does")
        self.eyes = eyes
        self.play, self.config, self.collection = play, config, collection
        self.compute = device.choose()
        self.loss = gan.LOSSES[play.loss]
        self.generator, self.discriminator = (engine.cast(net, self.compute) for net in nets)
        self.adaptive = augment.Adaptive(play.target, play.ramp)
        self.lengths = stylegan.PathLength()
        self._ahead: data.Prefetch[list[tuple[Tensor, Tensor | None]]] | None = None
        self._apart: bool | None = None  # whether the discriminator scores each picture by itself; None: not yet known

    def trainee(self) -> engine.Trainee:
        """What the engine trains. The last two nets learn nothing by gradients: their buffers are the run's state."""
        nets = {"generator": self.generator, "discriminator": self.discriminator}
        rates = {"generator": self.play.rate, "discriminator": self.play.rate_discriminator}
        betas = (self.play.beta1, self.play.beta2)
        optimisers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(net.parameters(), lr=rates[name], betas=betas, eps=1e-8, fused=True)
            for name, net in nets.items()
        }
        nets |= {"augmentation": self.adaptive, "lengths": self.lengths}
        return engine.Trainee(nets, optimisers, self.step, self.sheet, self.watch, averaged=("generator",))

    # --- one step -----------------------------------------------------------------------------------------------------

    def draw(self, step: int, rank: int, world: int) -> list[tuple[Tensor, Tensor | None]]:
        """The step's real pictures (B, 3, S, S) and classes (B,), once for each of the discriminator's steps."""
        train, found = self.collection.training, []
        generator = seed.generator(self.play.seed, stream=10_000_000 + step * world + rank)
        for number in range(self.play.critics):
            place = (step * self.play.critics + number) * world + rank
            numbers = data.draw_order(len(train), self.play.batch, place, self.play.seed)
            classes = train.classes(numbers) if self.config.classes else None
            found.append((train.batch(numbers, generator), classes))
        return found

    def step(self, moment: engine.Moment) -> Mapping[str, Tensor]:
        """The discriminator's steps, then the generator's."""
        self._ahead = self._ahead or data.Prefetch(lambda n: self.draw(n, moment.rank, moment.world), moment.index)
        self.grow(moment.progress)
        batches = self._ahead.get(moment.index)
        factor = metrics.cosine(moment.progress, warmup=0.0) if self.play.decay else 1.0
        figures: dict[str, Tensor] = {}
        for number, (drawn, classes) in enumerate(batches):
            real = self.seen(self.compute.tensor(drawn))
            classes = None if classes is None else classes.to(real.device)
            with torch.set_grad_enabled(number == len(batches) - 1):
                made, styles = self.make(moment, len(real), classes)
            seen = self.look(self.augmented(made, moment)) if self.eyes else None
            figures |= self.judge(moment, real, made.detach(), classes, seen)
            moment.update("discriminator", factor)
        self.discriminator.requires_grad_(False)  # it judges here and does not learn
        figures |= self.please(moment, real, made, styles, classes, seen)
        self.discriminator.requires_grad_(True)
        moment.update("generator", factor)
        return figures

    def make(self, moment: engine.Moment, count: int, classes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Pictures of new latents, with their styles where the generator has some."""

        def latents() -> Tensor:
            z = torch.randn(count, self.config.latent, generator=moment.generator)
            return z.to(self.compute.device, self.compute.dtype)

        if not isinstance(self.generator, stylegan.Generator):
            return self.generator(latents(), classes), None
        styles = stylegan.mixed(self.generator, latents(), latents(), self.play.mixing, classes)
        return self.generator.synthesise(styles), styles

    def judge(
        self,
        moment: engine.Moment,
        real: Tensor,
        made: Tensor,
        classes: Tensor | None,
        seen: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The discriminator's loss and gradients. seen: the made pictures through the eyes, where there are eyes."""
        play, discriminator = self.play, self.discriminator
        real = self.augmented(real, moment)
        due = moment.index % play.every == 0
        if seen is None:
            made = self.augmented(made, moment)
            of_real, of_made, slopes = self.scores(real, made, classes, bool(play.r1) and due, bool(play.r2) and due)
        else:
            slopes = {}
            with torch.no_grad():
                looked = self.look(real)
            of_real, of_made = discriminator(looked, classes), discriminator([x.detach() for x in seen], classes)
        loss = objective = self.loss.discriminator(of_real, of_made)
        found = {"loss_discriminator": loss.detach()}
        for name, slope in slopes.items():
            objective = objective + 0.5 * getattr(play, name) * play.every * slope
            found[f"slope_{name}"] = slope.detach()
        if play.between:
            share = torch.rand(len(real), generator=moment.generator).to(real.device)
            penalty = gan.penalty_between(lambda x: discriminator(x, classes), real, made, share)
            objective = objective + play.between * penalty
            found["penalty"] = penalty.detach()
        if play.drift:
            objective = objective + play.drift * of_real.square().mean()
        moment.backward(objective, inputs=list(discriminator.parameters()))
        if play.augment == "adaptive":
            signs = gan.correct(self.loss, of_real.detach(), of_made.detach())
            self.adaptive.watch(signs.view(len(real), -1).mean(1).cpu())
            found["augmentation"] = self.adaptive.probability.clone()
        return found | {"gradient_discriminator": _norm(discriminator)}

    def scores(
        self, real: Tensor, made: Tensor, classes: Tensor | None, r1: bool, r2: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Of real and of made pictures, (B,) each; and their steepness, where `r1` and `r2` ask for it."""
        discriminator = self.discriminator
        if r1 == r2 and self.apart(real, classes):
            both = torch.cat([real, made]).requires_grad_(r1)
            scores = discriminator(both, None if classes is None else classes.repeat(2))
            of_real, of_made = scores.chunk(2)
            steep = [each.mean() for each in gan.steepness_each(scores, both).chunk(2)] if r1 else []
            return of_real, of_made, dict(zip(("r1", "r2"), steep, strict=False))
        of_real, of_made = (discriminator(x.requires_grad_(r), classes) for x, r in ((real, r1), (made, r2)))
        slopes = {"r1": gan.steepness(of_real, real)} if r1 else {}
        return of_real, of_made, slopes | ({"r2": gan.steepness(of_made, made)} if r2 else {})

    def apart(self, pictures: Tensor, classes: Tensor | None) -> bool:
        """Whether the discriminator scores each picture by itself; found out once, with two pictures."""
        if self._apart is None:
            if len(pictures) < 2:
                return False
            net, few = self.discriminator, None if classes is None else classes[:2]
            state = {name: buffer.clone() for name, buffer in net.named_buffers()}  # statistics see no picture twice
            with torch.random.fork_rng():
                self._apart = gan.apart(lambda x: torch.func.functional_call(net, state, (x, few)), pictures[:2])
        return self._apart

    def please(
        self,
        moment: engine.Moment,
        real: Tensor,
        made: Tensor,
        styles: Tensor | None,
        classes: Tensor | None,
        seen: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The generator's loss and gradients. seen: as `judge` has it; looked at once for both, which saves a pass."""
        of_made = self.discriminator(self.augmented(made, moment) if seen is None else seen, classes)
        of_real = of_made
        if self.loss.paired:
            with torch.no_grad():
                of_real = self.discriminator(self.look(self.augmented(real, moment)), classes)
        loss = objective = self.loss.generator(of_real, of_made)
        found = {"loss_generator": loss.detach()}
        if styles is not None and self.play.path and moment.index % self.play.path_every == 0:
            off = self.lengths(made, styles)
            objective = objective + self.play.path * self.play.path_every * off
            found["path"] = off.detach()
        moment.backward(objective)
        return found | {"gradient_generator": _norm(self.generator)}

    def look(self, x: Tensor) -> Any:
        """What the discriminator is shown of pictures in [-1, 1]: these, or a frozen network's maps of them."""
        if self.eyes is None:
            return x
        return cast(projected.Discriminator, self.discriminator).see(self.eyes(x * 0.5 + 0.5, projected.LAYERS))

    def augmented(self, x: Tensor, moment: engine.Moment) -> Tensor:
        """Real or made pictures, changed as the rules say."""
        if self.play.augment in ("diff", "window"):
            return getattr(augment, self.play.augment)(x, moment.generator)  # type: ignore[no-any-return]
        if self.play.augment == "adaptive":
            return cast(Tensor, self.adaptive(x, moment.generator))
        return x

    def grow(self, progress: float) -> None:
        """Let nets that grow reach the level of this moment."""
        if isinstance(self.generator, progan.Generator) and isinstance(self.discriminator, progan.Discriminator):
            self.generator.level = self.discriminator.level = progan.level_at(progress, self.config.levels)

    def seen(self, real: Tensor) -> Tensor:
        """Real pictures at the size that the nets have reached."""
        return progan.faded(real, self.generator.level) if isinstance(self.generator, progan.Generator) else real

    # --- a look from outside ------------------------------------------------------------------------------------------

    def sampler(self, nets: Mapping[str, nn.Module]) -> Plain | Styled:
        """The averaged generator as it will be shipped, on the CPU's latents."""
        return sampler(self.play.family, nets["generator"], self.collection.classes if self.config.classes else ())

    def sheet(self, nets: dict[str, nn.Module]) -> Picture:
        """Always the same latents, classes in turn."""
        return sheet(self.sampler(nets))

    @torch.no_grad()
    def watch(self, nets: dict[str, nn.Module]) -> Mapping[str, float]:
        """Held-out figures of the averaged generator and of the discriminator as it is."""
        held, own = self.collection.held, self.sampler(nets)
        numbers = range(min(PROBES, len(held)))
        real = held.centre(numbers)
        classes = held.classes(numbers) if self.config.classes else None
        made = _some(own, len(real), classes)
        discriminator = nets["discriminator"].eval()

        def scores(x: Tensor) -> Tensor:
            own_classes = None if classes is None else classes.to(self.compute.device)
            shown = self.look(self.seen(self.compute.tensor(x)))
            return cast(Tensor, discriminator(shown, own_classes)).cpu()

        of_real, of_made = scores(real), scores(made)
        middle = self.loss.middle
        if middle is None:  # between what it learns from and what it is shown
            learned = self.collection.training.centre(range(min(PROBES, len(self.collection.training))))
            if classes is not None:
                classes = self.collection.training.classes(range(len(learned)))
            middle = float(scores(learned).mean() + of_made.mean()) / 2
        return {
            "accuracy_real": float((of_real > middle).float().mean()),
            "accuracy_made": float((of_made < middle).float().mean()),
            "diversity": metrics.diversity(made),
            "diversity_real": metrics.diversity(real),
            "sliced_wasserstein": metrics.sliced_wasserstein(made, real),
        }


def _norm(net: nn.Module) -> Tensor:
    """The norm of all gradients together, a scalar float32."""
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)), dtype=torch.float32)
    return norm


def train(
    play: Play,
    config: Any,
    collection: pictures.Collection,
    run: Run,
    budget: engine.Budget,
    eyes: Features | None = None,
    **how: Any,
) -> Plain | Styled:
    """Train until the budget ends and save nothing yet. how: `on_step`. Returns the averaged generator's sampler.

    eyes: the frozen network that the family `projected` looks through.
    """
    torch.manual_seed(play.seed)
    game = Game(play, config, FAMILIES[play.family].build(config), collection, eyes)
    nets = engine.fit(run, game.trainee(), budget, play.seed, **how)
    nets["generator"].cpu()
    return game.sampler(nets)


# --- generators as everything else sees them --------------------------------------------------------------------------


@dataclass
class Plain:
    """A `Sampler` of a generator without styles."""

    family: str
    modules: nn.Module
    size: int
    classes: tuple[str, ...]
    latent: int

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, latent) float32, standard normal."""
        return torch.randn(count, self.latent, generator=generator)

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """(B, 3, S, S) in [-1, 1]. Truncation scales the latents; progan, which normalises them, is not moved by it."""
        here = next(self.modules.parameters()).device
        made = self.modules((latents * truncation).to(here), None if classes is None else classes.to(here)).to("cpu")
        if made.shape[-1] < self.size:  # a net that has not grown up yet
            made = F.interpolate(made, size=self.size)
        return cast(Tensor, made.clamp(-1, 1))


class Styled:
    """A `Sampler` of a generator with styles."""

    family = "stylegan"

    def __init__(self, generator: stylegan.Generator, classes: tuple[str, ...]) -> None:
        self.modules: nn.Module = generator
        self.generator = generator
        self.size, self.classes, self.latent = generator.config.size, classes, generator.config.latent
        self._average = stylegan.average_style(generator)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, latent) float32, standard normal."""
        return torch.randn(count, self.latent, generator=generator)

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """(B, 3, S, S) in [-1, 1]; truncation draws the styles toward the average one."""
        return self.from_styles(self.styles(latents, classes, truncation))

    def styles(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """One style for each layer: (B, layers, latent)."""
        here = self._average.device
        w = self.generator.mapping(latents.to(here), None if classes is None else classes.to(here))
        return self.generator.spread(torch.lerp(self._average, w, truncation)).to("cpu")

    def from_styles(self, styles: Tensor) -> Tensor:
        """The pictures of styles (B, layers, latent): (B, 3, S, S) in [-1, 1]."""
        return self.generator.synthesise(styles.to(self._average.device)).to("cpu").clamp(-1, 1)

    def style_weights(self) -> list[Tensor]:
        """What turns each layer's style into its modulation: (channels, latent) for each layer."""
        return self.generator.matrices()


def sampler(family: str, generator: nn.Module, classes: tuple[str, ...]) -> Plain | Styled:
    """The `Sampler` of a trained generator."""
    generator = generator.float().eval()
    if isinstance(generator, stylegan.Generator):
        return Styled(generator, classes)
    config: Any = generator.config
    return Plain(family, generator, config.size, classes, config.latent)


def save(path: Path, made: Plain | Styled, storage: str) -> None:
    """Write a generator as `restore` reads it."""
    config: Any = made.modules.config
    about = {"architecture": "gan", "family": made.family, "config": asdict(config),
             "classes": list(made.classes), "size": made.size}  # fmt: skip
    checkpoint.save_weights(path, checkpoint.pack(made.modules.state_dict(), storage), about)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Plain | Styled:
    """The sampler of a weights file's content."""
    family = str(about.get("family"))
    if family not in FAMILIES:
        raise BadRequest(f"these are weights of a GAN of the family {family!r}; known are {', '.join(FAMILIES)}")
    technique = FAMILIES[family]
    generator, _ = technique.build(technique.Config(**about["config"]))
    generator.load_state_dict(checkpoint.unpack(tensors))
    return sampler(family, generator.requires_grad_(False), tuple(about["classes"]))


# --- figures ----------------------------------------------------------------------------------------------------------


def _some(own: Sampler, count: int, classes: Tensor | None) -> Tensor:
    """Always the same pictures, (count, 3, S, S), of these classes."""
    latents = own.draw(count, torch.Generator().manual_seed(1))
    parts = [slice(i, i + 32) for i in range(0, count, 32)]
    return torch.cat([own.pictures(latents[p], None if classes is None else classes[p]) for p in parts])


@torch.no_grad()
def sheet(own: Plain | Styled) -> Picture:
    """Pictures of latents that are always the same, side by side, classes in turn."""
    count = SHEET**2
    made = _some(own, count, torch.arange(count) % len(own.classes) if own.classes else None)
    rows = made.view(SHEET, SHEET, *made.shape[1:]).permute(2, 0, 3, 1, 4)  # (3, row, y, column, x)
    return to_picture(rows.reshape(3, SHEET * own.size, -1) / 2 + 0.5)


@torch.no_grad()
def measure(own: Sampler, collection: pictures.Collection) -> dict[str, float]:
    """How near its pictures are to held-out ones, and how different they are."""
    numbers = range(min(4 * PROBES, len(collection.held)))
    real = collection.held.centre(numbers)
    made = _some(own, len(real), collection.held.classes(numbers) if own.classes else None)
    return {
        "sliced_wasserstein": metrics.sliced_wasserstein(made, real),
        "diversity": metrics.diversity(made),
        "diversity_real": metrics.diversity(real),
    }
