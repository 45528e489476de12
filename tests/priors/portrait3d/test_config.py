"""What the way from text to a tri-grid depends on."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from pipeline.errors import UserError
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.stages.plain_values import read


def test_it_survives_json():
    config = Portrait3DConfig(seed=7)
    assert read(Portrait3DConfig, json.loads(json.dumps(asdict(config))), "portrait3d") == config
    assert read(Portrait3DConfig, {}, "portrait3d") == Portrait3DConfig()


def test_the_phases_are_as_long_as_published():
    assert Portrait3DConfig().phases == (("inversion", 500), ("sds", 2000), ("view_fit", 399))
    assert Portrait3DConfig().view_refinement.views == 21


def test_shorter_phases_keep_their_proportions():
    config = Portrait3DConfig().scaled(0.1)
    assert config.phases == (("inversion", 50), ("sds", 200), ("view_fit", 42))
    assert config.distillation.ema_every == 10
    assert [steps for _, steps in Portrait3DConfig().scaled(1e-6).phases] == [1, 1, 21]
    with pytest.raises(UserError, match="num_steps_scale is nan"):
        Portrait3DConfig().scaled(float("nan"))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"inversions": {}}, "portrait3d has no field 'inversions'"),
        ({"image": {"size": 500}}, "image.size is 500; it must be a multiple of 8"),
        ({"inversion": {"steps": 0}}, "inversion.steps is 0; it goes from 1"),
        ({"inversion": {"ramp_up": 2}}, "inversion.ramp_up is 2.0; it goes from 0 to 1"),
        ({"distillation": {"timesteps": [500, 400]}}, r"timesteps\[0\] is 500; it goes from 0 to 400"),
        ({"distillation": {"timesteps": [20, 1000]}}, r"timesteps\[1\] is 1000; it goes from 20 to 999"),
        ({"distillation": {"polar": [60, 190]}}, r"polar\[1\] is 190.0; it goes from 60.0 to 180.0"),
        ({"distillation": {"azimuth": [0, 360]}}, r"azimuth\[1\] is 360.0; it goes from 0.0 to 180.0"),
        ({"distillation": {"adan": {"betas": [0.98, 1, 0.99]}}}, r"adan.betas\[1\] is 1.0; it goes from 0 to"),
        ({"inversion": {"betas": [0.9, 1.5]}}, r"inversion.betas\[1\] is 1.5; it goes from 0 to"),
        ({"distillation": {"learning_rates": []}}, "learning_rates is empty"),
        ({"view_refinement": {"patch": 600}}, "patch is 600; it goes from 8 to 512"),
        ({"view_refinement": {"vertical": [2.0]}}, r"vertical\[0\] is 2.0; it goes from 5.0 to 175.0"),
        ({"view_refinement": {"vertical": []}}, "vertical is empty"),
    ],
)
def test_a_wrong_value_is_named(values, told):
    with pytest.raises(UserError, match=told):
        read(Portrait3DConfig, values, "portrait3d")
