"""The suite against trainers: sound ones pass, and each fault is found by the checks that are there for it."""

import json

import pytest

from tests.engine.verification.faults import FAULTS

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Models and adapters that the benches of this module share."""
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(trainer, folder, sources, names=()):
    from training.engine.verification import suite
    from training.engine.verification.bench import Bench

    bench = Bench(trainer, folder, sources)
    return {check.name: suite.run_check(check, bench) for check in suite.select(names)}


def test_a_sound_trainer_passes_every_check(tmp_path, sources):
    from tests.engine.verification.plain_trainer import PlainTrainer

    found = results(PlainTrainer(), tmp_path, sources)
    others = {name: (result.status, result.words) for name, result in found.items() if result.status != "pass"}
    assert set(others) == {"merge-tied"}, others
    assert others["merge-tied"][0] == "refused"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_checks(tmp_path, sources, fault):
    from tests.engine.verification.plain_trainer import PlainTrainer

    names = FAULTS[fault]
    found = results(PlainTrainer(fault), tmp_path, sources, names)
    passed = {name: result.words for name, result in found.items() if result.status != "fail"}
    assert not passed
    assert not [result.words for result in found.values() if "crashed" in result.words]


def test_every_check_has_a_fault_that_it_finds():
    from training.engine.verification.checks.catalogue import ALL

    covered = {name for names in FAULTS.values() for name in names}
    assert covered == {check.name for check in ALL}
    assert len({check.name for check in ALL}) == len(ALL)


OURS = ("initial-loss", "initial-loss-after-sft", "log-probabilities", "loss", "gradient", "labels-together", "merge")


def test_our_trainer_passes_what_is_cheap_to_check(tmp_path, sources):
    from training.engine.verification.adapters.konomi import Konomi, in_this_process

    found = results(Konomi(in_this_process), tmp_path, sources, OURS)
    assert {name: result.words for name, result in found.items() if result.status != "pass"} == {}
    assert list(found) == [name for name in OURS if name in found]
    assert found["initial-loss"].figure <= found["initial-loss"].tolerance


class Broken:
    """An adapter whose trainer does what `train` says."""

    name = "broken"

    def versions(self):
        return {"broken": "1.0"}

    def train(self, job):
        raise ZeroDivisionError("no rows")


class Declines(Broken):
    def train(self, job):
        from training.engine.verification.jobs import Refused

        raise Refused("only models of one layer")


class OffersNothing(Broken):
    def train(self, job):
        from training.engine.verification.jobs import Outcome, without_labels

        without_labels(job, name="this trainer")
        return Outcome([{"loss": 0.6931471805599453}] * job.settings.steps, job.model)


def verify(*arguments):
    from training.engine import verify

    return verify.main(list(arguments))


def test_the_program_reports_failures_and_ends_with_1(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n<!-- begin: python -m training.engine.verify --markdown -->\nold\n<!-- end -->\n\nThe end.\n"
    )
    figures = tmp_path / "figures.json"
    here = f"{__name__}:"
    only = ["--only", "initial-loss,soft-labels,lora-head,log-probabilities"]
    trainers = [part for name in ("Broken", "Declines", "OffersNothing") for part in ("--trainer", here + name)]
    assert verify(*trainers, *only, "--json", str(figures), "--markdown", str(page)) == 1
    shown = capsys.readouterr()
    assert "crashed: ZeroDivisionError: no rows" in shown.out
    assert "broken 1/4 initial-loss … " in shown.err
    assert "fail (0." in shown.err
    statuses = [
        {result["name"]: result["status"] for result in trainer["results"]}
        for trainer in json.loads(figures.read_text())["trainers"]
    ]
    # A crash and a refusal of what every trainer can do are failures.
    assert statuses[0] == dict.fromkeys(("initial-loss", "log-probabilities", "soft-labels", "lora-head"), "fail")
    assert statuses[1] == {**statuses[0], "lora-head": "refused"}
    assert statuses[2] == {
        "initial-loss": "pass",
        "log-probabilities": "not offered",
        "soft-labels": "not offered",
        "lora-head": "fail",  # nothing was written
    }
    text = page.read_text()
    assert text.startswith("# Page\n")
    assert text.endswith("<!-- end -->\n\nThe end.\n")
    assert "old" not in text
    assert "| `soft-labels` |" in text
    assert "only models of one layer" in text


def test_the_program_ends_with_0_where_no_check_fails(capsys):
    assert verify("--trainer", f"{__name__}:OffersNothing", "--only", "initial-loss,soft-labels") == 0
    assert "1 pass, 1 not offered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "initial-los"], "no such check or group; --list shows them"),
        (["--trainer", "mine"], "an adapter as module:attribute"),
        (["--trainer", "no.such.module:Trainer"], "cannot be imported"),
        (["--trainer", f"{__name__}:NoSuchClass"], "cannot be imported"),
    ],
)
def test_wrong_arguments_are_named(arguments, words, capsys):
    assert verify(*arguments) == 2
    assert words in capsys.readouterr().err


def test_the_list_shows_every_check(capsys):
    from training.engine.verification.checks.catalogue import ALL

    assert verify("--list") == 0
    shown = capsys.readouterr().out
    assert all(check.name in shown and check.asserts[:40] in shown for check in ALL)


def test_a_crash_of_a_separate_process_is_a_failure_with_its_words(tmp_path, monkeypatch):
    from training.engine.verification import apart
    from training.engine.verification.jobs import NotOffered, Refused

    monkeypatch.setattr(apart, "PRELOAD", ["torch"])
    log = tmp_path / "log.txt"
    assert apart.call(max, 3, 5, log=log) == 5
    with pytest.raises(apart.Crashed, match="ValueError: invalid literal"):
        apart.call(int, "three", log=log)
    with pytest.raises(apart.Crashed, match="exit code 7"):
        apart.call(die, 7, log=log)
    with pytest.raises(apart.Crashed, match="no answer within 1 s"):
        apart.call(sleep, 60, log=log, limit=1)
    for kind in (Refused, NotOffered):
        with pytest.raises(kind, match="a reason"):
            apart.call(decline, kind, log=log)
    assert "invalid literal" in log.read_text()


def die(code):
    import os

    os._exit(code)


def sleep(seconds):
    import time

    time.sleep(seconds)


def decline(kind):
    raise kind("a reason")
