"""The search: ranges as they are written, studies that go on, trials that are cut short."""

import pytest

from danqing.errors import BadRequest, Cancelled, TrainingFailed
from danqing.training import tuning


def quadratic(settings, folder, look):
    return {"kid": (float(settings["rate"]) - 0.3) ** 2}


SPACE = {"rate": tuning.Range(low=0.0, high=1.0)}


def test_a_search_comes_near_the_best_value(tmp_path):
    found = tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 15, quadratic)
    assert len(found.trials) == 15
    assert abs(float(found.best.settings["rate"]) - 0.3) < 0.1
    assert found.best.value == min(t.value for t in found.trials)


def test_a_study_goes_on_where_it_stood(tmp_path):
    asked = []

    def objective(settings, folder, look):
        asked.append(settings["rate"])
        return quadratic(settings, folder, look)

    first = tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 3, objective)
    second = tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 6, objective)
    assert second.trials[:3] == first.trials
    assert len(asked) == len(set(asked)) == 6
    tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 6, objective)
    assert len(asked) == 6  # there was nothing left to do


def test_a_trial_that_was_stopped_is_the_first_to_go_on(tmp_path):
    asked = []

    def objective(settings, folder, look):
        asked.append((settings, folder))
        if len(asked) == 2:
            raise Cancelled("stopped")
        return quadratic(settings, folder, look)

    with pytest.raises(Cancelled):
        tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 3, objective)
    found = tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 3, objective)
    assert asked[1] == asked[2]
    assert sum(t.state == "complete" for t in found.trials) == 3


def test_a_trial_that_does_worse_than_most_is_pruned(tmp_path):
    def objective(settings, folder, look):
        for step in range(5):
            look(step, float(settings["rate"]))
        return {"kid": float(settings["rate"])}

    found = tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 12, objective)
    pruned = [float(t.settings["rate"]) for t in found.trials if t.state == "pruned"]
    assert pruned
    assert min(pruned) > float(found.best.settings["rate"])


def test_precision_is_better_when_larger(tmp_path):
    found = tuning.search(
        tmp_path / "study.db", "toy", SPACE, "precision", 6, lambda s, f, k: {"precision": float(s["rate"])}
    )
    assert found.best.value == max(t.value for t in found.trials)


def test_a_figure_that_is_not_measured_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(BadRequest, match="choose by --metric one of: kid"):
        tuning.search(tmp_path / "study.db", "toy", SPACE, "speed", 2, quadratic)


def test_a_recipe_that_always_fails_ends_the_search(tmp_path):
    def fails(settings, folder, look):
        raise TrainingFailed("loss became nan")

    with pytest.raises(TrainingFailed, match="narrow the ranges"):
        tuning.search(tmp_path / "study.db", "toy", SPACE, "kid", 2, fails)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-4..1e-2", tuning.Range(low=1e-4, high=1e-2)),
        ("4..16", tuning.Range(low=4, high=16, whole=True)),
        ("yes,no", tuning.Range(words=("yes", "no"))),
        ("32", None),
    ],
)
def test_ranges_are_read(text, expected):
    assert tuning.parse("x", text) == expected


@pytest.mark.parametrize("text", ["a..b", "2..1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(BadRequest, match="rate is searched over"):
        tuning.parse("rate", text)
