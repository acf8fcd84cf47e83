"""Claims judged on numbers made up for the purpose."""

import numpy as np
import pytest

from holofusion.evaluation.claims import FAILS, HOLDS, UNDECIDED, UNTESTED, Claim, above, claims_for, verdict_of
from holofusion.pipeline.registry import ROWS

CLAIMS = claims_for(["holofusion"])
OVER_CODES = claims_for(["holofusion", "code_fusion"])
LOWER = Claim("lower", "the first is lower", (above("kernel", "second", "first"),))


def entries(values: dict[str, list[float]], noise: float, shared: float = 0.0) -> dict:
    """Entries of every method and seed: replicates scatter by `noise` on their own and by `shared` together."""
    random, found = np.random.default_rng(0), {}
    for seed in range(len(next(iter(values.values())))):
        together = shared * random.normal(size=400)
        for method, numbers in values.items():
            scatter = together + noise * random.normal(size=400)
            entry = {"value": numbers[seed], "replicates": list(numbers[seed] + scatter), "units": 1000}
            found[method, "kernel", seed] = entry
    return found


def verdict(values: dict[str, list[float]], noise: float, shared: float = 0.0, claim: Claim = LOWER):
    found = entries(values, noise, shared)
    seeds = list(range(len(next(iter(values.values())))))
    return verdict_of(claim, lambda *key: found.get(key), seeds, list(values))


@pytest.mark.parametrize(
    ("second", "noise", "expected"),
    [
        ([2.0], 0.1, HOLDS),
        ([0.0], 0.1, FAILS),
        ([1.1], 0.1, UNDECIDED),
        ([0.9], 0.1, UNDECIDED),
        ([1.0, 3.0], 0.1, UNDECIDED),
    ],
)
def test_verdict_follows_value_and_interval(second: list[float], noise: float, expected: str) -> None:
    assert verdict({"first": [1.0] * len(second), "second": second}, noise).verdict == expected


def test_interval_is_that_of_the_difference() -> None:
    found = verdict({"first": [1.0], "second": [1.2]}, 0.05, shared=3.0)
    (measured,) = found.measured
    assert found.verdict == HOLDS and measured.value == pytest.approx(0.2)
    assert (measured.low, measured.high) == (pytest.approx(0.2 - 0.139, abs=0.02), pytest.approx(0.2 + 0.139, abs=0.02))


def test_seeds_that_disagree_decide_nothing() -> None:
    found = verdict({"first": [1.0, 1.0, 1.0], "second": [3.0, 3.0, 0.9]}, 0.01)
    assert (found.verdict, found.reason) == (UNDECIDED, "the seeds disagree")
    assert found.measured[0].seeds == pytest.approx((2, 2, -0.1))


def test_three_seeds_narrow_the_interval() -> None:
    widths = []
    for count in (1, 3):
        (measured,) = verdict({"first": [1.0] * count, "second": [1.5] * count}, 0.1).measured
        widths.append(measured.high - measured.low)
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(3), rel=0.2)


@pytest.mark.parametrize(
    ("mse", "expected"), [([1.02], HOLDS), ([0.97], HOLDS), ([1.3], FAILS), ([0.7], FAILS), ([1.1], UNDECIDED)]
)
def test_a_tie_has_two_sides(mse: list[float], expected: str) -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "mse_ties")
    assert verdict({"holofusion": [1.0], "holofusion_mse": mse}, 0.01, claim=claim).verdict == expected


def test_keeping_half_of_the_gain() -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "keeps_gain")
    values = {"holodiffusion": [3.0], "holodiffusion_star": [1.0]}
    assert verdict({**values, "holofusion": [1.5]}, 0.01, claim=claim).verdict == HOLDS
    assert verdict({**values, "holofusion": [2.5]}, 0.01, claim=claim).verdict == FAILS


def test_what_is_missing_is_named() -> None:
    found = verdict_of(LOWER, lambda *key: None, [0], ["first", "second"])
    assert found.verdict == UNTESTED and found.reason == "not measured: second kernel (seed 0), first kernel (seed 0)"
    entry = {"value": 1.0, "replicates": None, "units": 2}
    found = verdict_of(LOWER, lambda *key: entry, [0], ["first", "second"])
    assert (found.verdict, found.reason) == (UNDECIDED, "too few scenes for an interval")


def test_best_of_those_that_were_run() -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "best_consistent")
    values = {"holofusion": [1.0], "holodiffusion": [2.0], "eg3d": [3.0]}
    found = verdict(values, 0.01, claim=claim)
    assert found.verdict == HOLDS and len(found.measured) == 2
    assert verdict({**values, "eg3d": [0.5]}, 0.01, claim=claim).verdict == FAILS


@pytest.mark.parametrize("claims", [CLAIMS, OVER_CODES], ids=["features", "codes"])
def test_claims_speak_of_methods_there_are(claims: tuple[Claim, ...]) -> None:
    assert {method for claim in claims for part in claim.sums for method in part.weights} <= set(ROWS)
    assert len({claim.name for claim in claims}) == len(claims)


def test_with_codes_the_claims_are_about_the_rows_over_codes() -> None:
    values = {"code_fusion": [1.0], "code_fusion_mse": [1.02], "holofusion": [2.0], "holofusion_mse": [9.0]}
    by_name = {claim.name: claim for claim in OVER_CODES}
    assert verdict(values, 0.01, claim=by_name["mse_ties"]).verdict == HOLDS
    assert verdict(values, 0.01, claim=by_name["codes_nearer"]).verdict == HOLDS
    assert "codes_nearer" not in {claim.name for claim in CLAIMS}
