"""The benchmark app: its timing, its tables, and that contestants compute the same."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import json
import math
import operator
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from lecture import descend
from PIL import Image

from catnet import Classifier
from catnet.training.photo.config import PhotoConfig
from catnet_bench import __main__ as app
from catnet_bench.cases import (
    classes,
    cold_start,
    folder,
    growth,
    lecture,
    photo,
    rules,
    sequences,
    sweep,
    tax,
)
from catnet_bench.harness import case, report
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row, markdown
from catnet_bench.harness.timing import alternate, per_call, time_once
from catnet_bench.harness.worker import Contestant, Worker, installed, race, race_from_start
from catnet_bench.peers import lecture as lecture_peers
from catnet_bench.peers import plain
from catnet_bench.peers import sequences as sequence_peers

TINY = PhotoConfig(widths=(4,), blocks=(1,))
INSTANT = Options(rounds=1, quick=True)


class FakeClock:
    """Time that passes only when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def passes(self, *seconds: float) -> Callable[[], None]:
        """Work that takes these seconds, one after another."""
        each = iter(seconds)

        def work() -> None:
            self.now += next(each)

        return work


@pytest.fixture
def no_waiting(monkeypatch) -> None:
    """Every contestant runs once a round; what other tests have compiled is kept."""
    monkeypatch.setattr(Options, "least", 0.0)
    monkeypatch.setattr(jax, "clear_caches", lambda: None)


# ---- timing


def test_contestants_take_turns_and_every_second_round_goes_backwards() -> None:
    ran: list[str] = []
    clock = FakeClock()
    a, b = clock.passes(1, 2, 3), clock.passes(10, 20, 30)
    seconds = alternate(
        {
            "a": time_once(lambda: (ran.append("a"), a()), clock),
            "b": time_once(lambda: (ran.append("b"), b()), clock),
        },
        rounds=3,
    )
    assert "".join(ran) == "abbaab"
    assert seconds == {"a": (1, 2, 3), "b": (10, 20, 30)}


def test_short_work_is_repeated_until_it_fills_a_round() -> None:
    clock = FakeClock()
    contestant = per_call(clock.passes(1, 2, 3, 4, 5, 6), least=9.0, clock=clock)
    assert contestant() == pytest.approx((1 + 2 + 3 + 4) / 4)  # 6 seconds were too few
    assert contestant() == pytest.approx((5 + 6) / 2)


def test_a_round_of_no_length_has_one_call() -> None:
    clock = FakeClock()
    assert per_call(clock.passes(7), least=0.0, clock=clock)() == 7


# ---- tables


@pytest.mark.parametrize(
    ("row", "ratio", "meets_goal"),
    [
        (Row("a", "s", [1, 9, 2], "b", [40, 20, 60], at_least=15), "20× as fast", True),
        (Row("a", "s", [4.0], "b", [40.0], at_least=15), "10× as fast", False),
        (Row("a", "images/s", [300.0], "b", [100.0], at_least=2), "3× as fast", True),
        (Row("a", "images/s", [50.0], "b", [100.0], at_least=0.6), "0.5× as fast", False),
        (Row("a", "s", [1.02], "b", [1.0], at_most=1.03), "1.02× of it", True),
        (Row("a", "s", [1.04], "b", [1.0], at_most=1.03), "1.04× of it", False),
        (Row("a", "bytes", [10.0], "b", [20.0]), "0.50× of it", None),
        (Row("a", "bytes", [0.0], "b", [0.0], at_most=1), "1.00× of it", True),
        (Row("a", "s", [1.0]), "", None),
    ],
)
def test_medians_are_compared_and_the_goal_decides(row: Row, ratio: str, meets_goal) -> None:
    assert row.cells()[4] == ratio
    assert row.meets_goal is meets_goal
    verdict = {True: "met", False: "MISSED", None: ""}[meets_goal]
    assert row.cells()[5].endswith(verdict)


def test_numbers_have_three_digits_and_a_unit() -> None:
    shown = [report.number(v, "s") for v in (1e-6, 0.0123456, 1.0, 123.4)]
    assert shown == ["1 µs", "12.3 ms", "1 s", "123 s"]
    assert report.number(3_770_000, "bytes") == "3.77 MB"
    assert report.number(1234.5, "images/s") == "1234 images/s"


def test_the_table_is_markdown_without_empty_columns() -> None:
    rows = [
        Row("training", "s", [1.0, 3.0, 2.0], "PyTorch", [50.0], at_least=15),
        Row("growth", "bytes", [2e6]),
    ]
    lines = markdown(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["measured", "jaxnn", "peer", "the peer's", "jaxnn is", "goal"]
    assert set("".join(cells[1])) == {"-"}
    assert cells[2] == ["training", "2 s", "PyTorch", "50 s", "25× as fast", "≥ 15×: met"]
    assert cells[3] == ["growth", "2 MB", "", "", "", ""]


# ---- the command


def test_the_command_prints_the_table_writes_all_rounds_and_fails_on_a_missed_goal(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    options_seen: list[Options] = []

    def rows(options: Options) -> list[Row]:
        options_seen.append(options)
        return [Row("a thing", "s", (2.0, 3.0), "somebody", (2.0, 2.0), at_least=1)]

    monkeypatch.setattr(rules, "rows", rows)
    file = tmp_path / "all.json"
    assert app.main(["rules", "--rounds", "2", "--quick", "--json", str(file)]) == 1
    assert options_seen == [Options(None, 2, True, None, None)]
    out, err = capsys.readouterr()
    assert "| a thing  | 2.5 s | somebody | 2 s        | 0.8× as fast | ≥ 1×: MISSED |" in out
    assert "Quick" in out
    assert "missed: a thing" in err
    written = json.loads(file.read_text())
    assert written["cases"]["rules"][0]["ours"] == [2.0, 3.0]
    assert written["cases"]["rules"][0]["meets_goal"] is False
    assert written["machine"]["cores"] >= 1
    assert written["machine"]["versions"]["jax"] == jax.__version__


def test_wrong_words_are_refused(capsys) -> None:
    for words in (["lectures"], ["--rounds", "0"]):
        with pytest.raises(SystemExit) as stop:
            app.main(words)
        assert stop.value.code == 2
    assert "lectures is not one of lecture, sweep" in capsys.readouterr().err


def test_a_folder_without_the_course_is_refused_in_one_line(tmp_path: Path, capsys) -> None:
    for label in ("cat", "non-cat"):
        (tmp_path / label).mkdir()
        for i in range(2):
            Image.new("RGB", (64, 64), (i, 0, 0)).save(tmp_path / label / f"{i}.png")
    assert app.main(["lecture", "--data", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert f"catnet_bench: --data {tmp_path}: is not the folder with the course's h5 files" in err


@pytest.mark.parametrize("name", app.CASES)
def test_every_case_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"catnet_bench.cases.{name}").rows)


# ---- processes


# Work of a process: to count how often it was asked for.
COUNTING = Contestant(functools.partial, (next, itertools.count(10)))
FAILING = Contestant(operator.truediv, (1, 0))


def test_a_process_is_prepared_once_and_works_on_request() -> None:
    seconds, values = race({"a": COUNTING}, rounds=3, warm_up=2)
    assert len(seconds["a"]) == 3
    assert values == {"a": 14}


def test_whole_processes_begin_anew_and_take_longer_than_their_work() -> None:
    whole, work, values = race_from_start({"a": COUNTING}, rounds=2)
    assert values == {"a": 10}
    assert all(a > b >= 0 for a, b in zip(whole["a"], work["a"], strict=True))


def test_what_goes_wrong_in_a_process_is_said() -> None:
    worker = Worker(FAILING)
    try:
        with pytest.raises(RuntimeError, match="truediv: ZeroDivisionError: division by zero"):
            worker.ready()
    finally:
        worker.close()


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(capsys) -> None:
    there = installed({"us": COUNTING, "Nobody": FAILING._replace(needs="nobody_has_this")})
    assert there == {"us": COUNTING}
    assert "without Nobody" in (line := capsys.readouterr().err)
    assert "pip install 'jaxnn[bench]'" in line


# ---- the cases, on tiny sizes

SIZES = (12, 5, 3, 1)
LECTURE = [
    lambda file, steps: lecture_peers.ours(file, steps),
    lambda file, steps: lecture_peers.numpy(file, steps, "float32"),
    lambda file, steps: lecture_peers.numpy(file, steps, "float64"),
    lambda file, steps: lecture_peers.scan(file, steps),
]


@pytest.fixture
def lecture_file(tmp_path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (9, 2, 2, 3), dtype=np.uint8)
    labels = (images[:, 0, 0, 0] > 120).astype(np.int32)
    return lecture.write(tmp_path / "lecture.npz", images, labels, SIZES)


@pytest.fixture
def lecture_costs(lecture_file: Path) -> list[float]:
    x, y, layers = lecture_peers.read(lecture_file, np.float64)
    return descend(layers, x.T, y.T, lecture_peers.RATE, 40)[1]


@pytest.mark.parametrize("peer", LECTURE, ids=["ours", "float32", "float64", "scan"])
def test_peers_make_the_lecture_s_descent(peer, lecture_file, lecture_costs) -> None:
    np.testing.assert_allclose(peer(lecture_file, 40)(), lecture_costs, rtol=1e-5)


def test_descents_that_differ_are_told_apart() -> None:
    costs = [0.7 - 0.001 * i for i in range(200)]
    assert lecture.agree(costs, costs)
    assert lecture.agree(costs, [*costs[:150], *(c + 0.1 for c in costs[150:])])  # rounding grew
    assert not lecture.agree(costs, [c + 0.01 for c in costs])
    assert not lecture.agree(costs, costs[:-1])


def test_the_parts_of_our_training_are_named(lecture_file: Path) -> None:
    result = lecture.parts(lecture_file, 40)()
    assert len(result) == 3
    assert all(math.isfinite(seconds) for seconds in result.values())


def test_the_stand_in_has_the_course_s_shape_and_says_what_it_is() -> None:
    images, labels, source = case.course(None)
    assert images.shape == (209, 64, 64, 3)
    assert images.dtype == np.uint8
    assert 50 < labels.sum() < 100
    assert "stand-in" in source


def test_networks_of_a_sweep_learn(lecture_file: Path) -> None:
    costs = sweep.ours(lecture_file, 40, (3, 2), count=2)()
    assert len(costs) == 2
    assert costs[0] != costs[1]
    assert all(cost < 1 for cost in costs)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    case.large_photos(tmp_path / "photos", count=5, distinct=2, size=(300, 200))
    return tmp_path / "photos"


def test_large_photos_are_detailed_and_drawn_by_their_number(photos: Path, tmp_path: Path) -> None:
    files = folder.files(photos)
    assert [file.name for file in files] == [f"000{i}.jpg" for i in range(5)]
    contents = [file.read_bytes() for file in files]
    assert contents[0] != contents[1]
    assert contents[0] == contents[2] == contents[4]
    with Image.open(files[0]) as image:
        assert image.size == (300, 200)
        assert np.asarray(image).std() > 20
    (tmp_path / "again").mkdir()
    case.large_photos(tmp_path / "again", count=2, distinct=2, size=(300, 200))
    assert [file.read_bytes() for file in folder.files(tmp_path / "again")] == contents[:2]


def test_answers_of_a_folder_are_those_one_by_one(photos: Path) -> None:
    together = folder.ours(photos)()
    expected = [
        (answer.probabilities or {})["cat"]
        for answer in Classifier.load().predict(folder.files(photos))
    ]
    assert together == expected
    folder.check_one_by_one(photos, together)
    with pytest.raises(AssertionError, match="0000"):
        folder.check_one_by_one(photos, [p + 0.01 for p in together])
    assert folder.decode_alone(photos)() == 5


def test_images_of_the_peer_are_small_and_nearly_ours(photos: Path) -> None:
    from catnet.images.decode import decode

    paths = folder.files(photos)
    for draft in (False, True):
        for geometry in ((64, None), (96, 1.15)):
            model = {"network": {"geometry": geometry}}
            theirs = folder.Photos(paths, model, draft)[0]
            assert theirs.shape == (geometry[0], geometry[0], 3)
            assert np.abs(theirs.astype(int) - decode(paths[0], *geometry)).mean() < 6


def test_commands_are_run_with_a_cache_of_their_own(tmp_path: Path, monkeypatch) -> None:
    ran: list[tuple[tuple[str, ...], Path]] = []

    def run(command, cache: Path) -> str:
        ran.append((tuple(command), cache))
        return {"predict": '{"probabilities": {"cat": 0.25}}', "--help": "usage"}.get(
            command[3], "non-cat  0.26  x"
        )

    monkeypatch.setattr(cold_start, "run", run)
    script = ("python", "script.py", "model.pt", "photo.jpg")
    result = cold_start.compare(tmp_path, "photo.jpg", script, rounds=3)
    assert [row.at_most for row in result] == [0.75, 0.6, 1.0]
    first = [cache for command, cache in ran if "predict" in command and cache.name != "cache"]
    assert len(first) == len(set(first)) == 4  # each run with nothing in its cache
    assert sum(command[0] == "python" for command, _ in ran) == 4
    wrong = ("python", "script.py", "model.pt", "x")
    monkeypatch.setattr(
        cold_start, "run", lambda c, _: "non-cat  0.9  x" if c[3] == "x" else run(c, _)
    )
    with pytest.raises(AssertionError, match="PyTorch answers"):
        cold_start.compare(tmp_path, "photo.jpg", wrong, rounds=1)


def test_help_is_a_command_that_runs(tmp_path: Path) -> None:
    assert "predict" in cold_start.run((*cold_start.CATNET, "--help"), tmp_path)
    with pytest.raises(RuntimeError, match="invalid choice"):
        cold_start.run((*cold_start.CATNET, "no-such-command"), tmp_path)


def test_the_photo_network_in_plain_jax_is_the_same() -> None:
    subject = tax.photo(PhotoConfig(widths=(4, 6), blocks=(1, 1)), 5, 2)
    both = jax.jit(lambda p, x: (subject.net.apply(p, x), subject.forward(p, x)))
    ours, theirs = both(subject.params, subject.x)
    assert ours.shape == (2, 5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_lecture_s_network_in_plain_jax_is_the_same(no_waiting) -> None:
    x = np.random.default_rng(0).random((9, 12), dtype=np.float32)
    result = tax.compare(tax.lecture(SIZES, x, np.arange(9) % 2), INSTANT)
    assert [row.unit for row in result] == ["s", "s", "bytes"] * 2
    assert [row.at_most for row in result] == [1.03, 1.2, 1, 1.05, 1.2, 1]


def test_values_that_differ_are_refused() -> None:
    a = {"W": np.ones(3, np.float32)}
    tax.check(a, a)
    with pytest.raises(AssertionError, match="values differ by 1"):
        tax.check(a, {"W": np.array([1, 1, 2], np.float32)})


def test_every_rule_is_compared_with_the_same_mathematics() -> None:
    each = rules.rules_of((4, 8), size=16)
    assert len({rule.name for rule in each}) == 14

    xs = [np.random.default_rng(0).random((2, *rule.shape), np.float32) for rule in each]
    params = [photo.draw_params(rule.layer, x) for rule, x in zip(each, xs, strict=True)]

    @jax.jit
    def both(params, xs) -> list:
        cases = list(zip(each, params, xs, strict=True))
        return [(rule.layer.apply(p, x), rule.forward(p, x)) for rule, p, x in cases]

    for ours, theirs in both(params, xs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_rule_is_timed_forward_and_backward_and_a_wrong_one_refused(no_waiting) -> None:
    [pool] = [rule for rule in rules.rules_of((4,), size=16) if rule.name == "max_pool"]
    forward, backward = rules.compare(pool, 2, INSTANT)
    assert (forward.what, backward.what) == (
        "max_pool, 4×4×4 to 4, forward",
        "max_pool, 4×4×4 to 4, backward",
    )
    with pytest.raises(AssertionError, match="values differ"):
        rules.compare(pool._replace(forward=plain.average_pool), 2, INSTANT)


@pytest.mark.parametrize("train", [classes.by_catnet, classes.by_torch])
def test_a_training_of_many_classes_is_scored_on_its_test_part(tmp_path: Path, train) -> None:
    if train is classes.by_torch:
        pytest.importorskip("torch")
    data = classes.draw_classes(tmp_path / "drawn")
    config = dataclasses.replace(TINY, steps=160, batch_size=16, augment="none")
    right, examples, count = score = train(classes.Budget(data, tmp_path / "cache", config))()
    assert count == 3
    assert 180 * 0.03 < examples < 180 * 0.12
    assert right > examples * 0.6  # a third by chance
    assert f"{examples} test images right" in str(score)


def test_contestants_of_the_photo_network_agree_or_are_refused() -> None:
    problem = photo.make_problem(TINY, 5, 2)
    [logits] = photo.our_answers(problem)()
    assert logits.shape == (2, 5)
    cost, *gradients = photo.our_gradients(problem)()
    assert [leaf.shape for leaf in gradients] == [leaf.shape for leaf in problem.leaves]
    [costs] = photo.our_steps(problem)()
    assert costs[0] == pytest.approx(cost, rel=1e-5)
    assert costs[-1] < costs[0]
    photo.check("logits", {"jaxnn": [logits], "somebody": [logits * 1.0001]})
    with pytest.raises(AssertionError, match="somebody differs"):
        photo.check("logits", {"jaxnn": [logits], "somebody": [logits * 1.1]})


def test_growth_is_measured_and_drawn(tmp_path: Path, no_waiting) -> None:
    sizes = [growth.dense(8 * k, 4, 2) for k in (1, 2)]
    result = growth.measure("against examples", sizes, INSTANT)
    assert result.work == [256, 512]
    assert result.megabytes == sorted(result.megabytes)
    assert all(seconds > 0 for seconds in result.seconds)
    growth.draw(tmp_path / "growth.png", [result])
    with Image.open(tmp_path / "growth.png") as image:
        assert image.format == "PNG"


def test_what_is_not_straight_is_told() -> None:
    x = [1, 2, 3, 4, 5, 6]
    assert growth.nonlinearity(x, [2.0 + 3 * v for v in x]) < 1e-9
    assert growth.nonlinearity(x, [v**2.0 for v in x]) > 0.05


@pytest.mark.parametrize("kind", list(sequence_peers.LAYERS))
@pytest.mark.parametrize("peer", list(sequences.PEERS))
def test_gradients_of_sequences_agree_with_those_of_the_peers(kind: str, peer: str) -> None:
    prepare, module = sequences.PEERS[peer]
    pytest.importorskip(module, reason=f"needs {module}, of the extra bench")
    problem = sequence_peers.make_problem(kind, 3, 2, 8, 8)
    problem = problem._replace(params={name: p + 0.1 for name, p in problem.params.items()})
    theirs, ours = prepare(problem)(), sequence_peers.by_hand(problem)()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
