from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from danqing import lessons
from danqing.errors import BadRequest, Cancelled, UnknownName

LARGEST = 256 * 1024  # bytes of a frame
# Each lesson at a size that a test can wait for.
SHORT: Mapping[str, Mapping[str, Any]] = {
    "gan": {"rounds": 200},
    "collapse": {"rounds": 100},
    "latent": {"steps": 100},
    "style-layers": {},
    "flow": {"rounds": 100},
    "reward": {"rounds": 40},
    "form": {},
    "attention": {},
}
REPEATED = ("gan", "latent", "reward", "form", "attention")  # told twice; the others are made of the same parts


def told(name: str, given: Mapping[str, Any], seed: int = lessons.SEED) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    lessons.run(name, given, seed, frames.append)
    return frames


@cache
def run(name: str) -> list[dict[str, Any]]:
    if name != "style-layers":
        return told(name, SHORT[name])
    from danqing.lessons import style_layers

    with pytest.MonkeyPatch.context() as patched:  # it has no control that would make it short
        patched.setattr(style_layers, "PASSES", 3)
        patched.setattr(style_layers, "STEPS", {"content": 3, "style": 3})
        return told(name, {})


def last(frames: list[dict[str, Any]], figure: str) -> float:
    return next(frame["figures"][figure] for frame in reversed(frames) if figure in frame.get("figures", {}))


# --- what every lesson keeps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", lessons.names())
def test_a_lesson_is_explained_in_both_languages(name: str):
    lesson = lessons.get(name)
    assert lesson.name == name
    assert [part.kind for part in lesson.passages] == ["see", "try", "means", "paper"]
    texts = [lesson.title, lesson.summary, *(part.text for part in lesson.passages)]
    texts += [control.label for control in lesson.controls]
    for text in texts:
        assert text.en
        assert text.zh
    for text in (lesson.title, lesson.summary, *(part.text for part in lesson.passages)):
        assert any("\u4e00" <= char <= "\u9fff" for char in text.zh)
        assert text.en != text.zh


@pytest.mark.parametrize("name", lessons.names())
def test_defaults_are_values_that_the_controls_take(name: str):
    lesson = lessons.get(name)
    asked = lesson.read({})
    assert lesson.read({key: str(value) for key, value in asked.items()}) == asked


@pytest.mark.parametrize("name", lessons.names())
def test_the_first_frame_is_the_scene_and_the_others_fill_its_panels(name: str):
    first, *others = run(name)
    panels = {panel["id"] for panel in first["scene"]["panels"]}
    figures = set(first["scene"]["figures"])
    assert others
    filled: set[str] = set()
    for frame in others:
        assert 0 <= frame["step"] <= frame["of"]
        assert set(frame["panels"]) <= panels
        assert set(frame.get("figures", {})) <= figures
        filled |= set(frame["panels"])
    curves = {panel["id"] for panel in first["scene"]["panels"] if panel["kind"] == "curves"}
    assert filled == panels - curves
    assert others[-1]["step"] == others[-1]["of"]


@pytest.mark.parametrize("name", lessons.names())
def test_frames_are_plain_json_of_a_bounded_size(name: str):
    for frame in run(name):
        text = json.dumps(frame, allow_nan=False)
        assert len(text) < LARGEST
        assert json.loads(text) == frame


@pytest.mark.parametrize("name", REPEATED)
def test_the_same_seed_tells_the_same(name: str):
    assert told(name, SHORT[name]) == run(name)


@pytest.mark.parametrize("name", ["gan", "latent", "form"])
def test_a_lesson_stops_when_its_watcher_says_so(name: str):
    seen = []

    def stop(frame: dict[str, Any]) -> None:
        seen.append(frame)
        if len(seen) == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        lessons.run(name, SHORT[name], 1, stop)
    assert len(seen) == 3


def test_a_run_leaves_the_random_numbers_of_others_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    told("attention", {})
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("gan", {"penalty": 9}, "penalty is 9; it is a number between 0 and 2"),
        ("gan", {"turns": 1.5}, "a whole number between 1 and 5"),
        ("gan", {"turns": "many"}, "a whole number between 1 and 5"),
        ("gan", {"rounds": True}, "a whole number"),
        ("form", {"form": "五言"}, "'五言' is not known"),
        ("flow", {"stpes": 3}, "Did you mean 'steps'?"),
    ],
)
def test_a_control_that_cannot_be_is_refused_in_one_line(name: str, given: Mapping[str, Any], words: str):
    with pytest.raises(BadRequest) as refused:
        told(name, given)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_lesson_and_a_bad_seed_are_refused():
    with pytest.raises(UnknownName, match="Did you mean 'latent'"):
        lessons.get("latents")
    with pytest.raises(BadRequest, match="seed is -1"):
        told("form", {}, seed=-1)


def test_the_list_of_lessons_needs_no_pytorch():
    code = (
        "import sys; from danqing import lessons; [lessons.get(n).as_dict() for n in lessons.names()]; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- what a learner relies on -----------------------------------------------------------------------------------------


def test_the_points_of_the_gan_come_to_lie_on_the_shape():
    import torch

    from danqing.lessons import shapes

    frames = told("gan", {"data": "ring", "rounds": 600})
    found = [
        shapes.covered(torch.tensor(frame["panels"]["game"]["points"]["made"]).view(-1, 2, 1, 1) / 1000, "ring")[0]
        for frame in (frames[1], frames[-1])
    ]
    assert found[0] == 0
    assert found[1] >= 6


def test_wasserstein_with_penalty_covers_more_heaps_than_the_plain_gan():
    frames = told("collapse", {"rounds": 500})
    plain, cured = last(frames, "plain_modes"), last(frames, "cured_modes")
    assert cured >= 7
    assert plain <= cured - 2


def test_without_its_penalty_the_cure_is_gone():
    frames = told("collapse", {"rounds": 200, "penalty": 0})
    assert last(frames, "cured_modes") <= 2


def test_a_cheaper_map_keeps_more_and_returns_digits_better():
    cheap, dear = (told("latent", {"steps": 150, "beta": beta}) for beta in (0.1, 60))
    assert last(cheap, "nats") > last(dear, "nats")
    assert last(cheap, "error") < last(dear, "error")


def test_the_map_that_can_be_walked_comes_with_the_last_frame():
    atlas = run("latent")[-1]["panels"]["map"]["atlas"]
    import base64
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(atlas["png"].partition(",")[2])))
    assert picture.size == (atlas["n"] * atlas["side"],) * 2
    assert all("atlas" not in frame["panels"].get("map", {}) for frame in run("latent")[1:-1])


def test_one_step_of_a_flow_lands_in_the_middle_and_many_on_the_shape():
    import torch

    from danqing.lessons import shapes

    def ends(steps: int) -> torch.Tensor:
        frames = told("flow", {"data": "ring", "rounds": 300, "steps": steps})
        return torch.tensor(frames[-1]["panels"]["plane"]["points"]["made"]).view(-1, 2, 1, 1) / 1000

    once, often = ends(1), ends(20)
    assert once.flatten(1).norm(dim=1).mean() < 0.6  # of a ring with radius 1.5
    assert shapes.covered(often, "ring")[1] > 3 * shapes.covered(once, "ring")[1]


def test_heun_and_euler_take_the_steps_that_were_asked_for():
    for sampler in ("euler", "heun"):
        frames = told("flow", {"rounds": 100, "steps": 4, "sampler": sampler})
        assert sum("Sampling" in frame["say"]["en"] for frame in frames[1:]) == 5  # where it begins, and four steps


def test_without_a_price_on_kl_the_agent_plays_one_thing_and_forgets_the_rest():
    free = told("reward", {"kl": 0, "rounds": 120})
    held = told("reward", {"kl": 0.1, "rounds": 120})
    assert last(free, "reward") > last(held, "reward") + 0.2
    assert last(free, "kl") > 10 * last(held, "kl")
    assert last(free, "likeness") < last(held, "likeness")
    assert last(free, "different") < 24 < last(held, "different")


def test_a_reward_is_earned_in_every_kind():
    from danqing.lessons.reward import REWARDS

    assert set(REWARDS) == {"rises", "leaps", "long", "returns", "high"}
    for kind in ("leaps", "returns", "high"):
        frames = told("reward", {"reward": kind, "kl": 0, "rounds": 40})
        earned = [frame["figures"]["reward"] for frame in frames if "figures" in frame]
        assert earned[-1] > earned[0] + 0.05, kind


@pytest.mark.parametrize("form", ["五绝", "七律", "对联"])
def test_every_character_of_the_poem_is_one_that_its_form_allows(form: str):
    frames = told("form", {"form": form, "temperature": 1.5})
    chosen = []
    for frame in frames[2:]:
        taken = [one for one in frame["panels"]["next"]["candidates"] if one["chosen"]]
        assert [one["why"] for one in taken] == [""]  # chosen, so not forbidden
        chosen.append(taken[0]["c"])
    from danqing.encode import forms
    from danqing.encode.prosody import Prosody
    from danqing.lessons import poet

    assert forms.deviations(form, "".join(chosen), poet.opened()[1], Prosody.load()) == ()


def test_what_the_form_forbids_is_struck_out_with_a_reason():
    frames = told("form", {"form": "七绝", "temperature": 1.0})
    whys = {one["why"] for frame in frames[2:] for one in frame["panels"]["next"]["candidates"]}
    assert whys <= {"", "tone", "rhyme", "again", "place", "kept"}
    assert {"tone", "rhyme", "place"} <= whys
    for frame in frames[2:]:
        assert 0 <= frame["figures"]["forbidden"] <= 1


def test_attention_reads_the_poem_and_looks_only_back():
    frames = run("attention")
    import base64

    import numpy as np

    tables = frames[1]["panels"]["heads"]["tables"]
    assert [table["label"] for table in tables] == ["1", "2", "3", "4"]
    for table in tables:
        levels = np.frombuffer(base64.b64decode(table["data"]), dtype=np.uint8).reshape(table["n"], table["n"])
        assert not np.triu(levels, 1).any()


def test_the_attention_shown_is_the_models_own():
    import torch

    from danqing.lessons import attention, poet
    from danqing.techniques import sequence

    torch.manual_seed(0)
    model = sequence.build(sequence.Config(50, 32, 2, 2, 16)).eval()
    tokens = torch.randint(50, (1, 9))
    tables, logits = attention.looks(model, tokens)
    assert [tuple(table.shape) for table in tables] == [(2, 9, 9)] * 2
    assert torch.allclose(torch.stack(tables).sum(-1), torch.ones(2, 2, 9), atol=1e-5)
    assert torch.allclose(logits, model(tokens)[0], atol=1e-5)
    assert poet.POET == "poet"


def test_couplets_are_seen_where_the_lesson_says_they_are():
    """At 踪, head 2 of the last layer looks back at 绝, which stands where 灭 has to stand."""
    frames = told("attention", {"poem": "江雪", "layer": 6, "head": "2"})
    said = next(frame["say"]["en"] for frame in frames[1:] if frame["say"]["en"].startswith("Reading 踪"))
    assert "looks back at 绝" in said
