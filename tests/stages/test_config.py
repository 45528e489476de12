"""What a refinement depends on, read strictly, and the published recipes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.errors import UserError
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.recipes import ANIMPORTRAIT3D, HEADSTUDIO, RECIPES


def without(path: list, value) -> dict:
    """HeadStudio's recipe as JSON has it, with one value replaced."""
    values = json.loads(json.dumps(HEADSTUDIO.to_dict()))
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return values


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    assert RefinementConfig.from_dict(json.loads(json.dumps(RECIPES[name].to_dict()))) == RECIPES[name]


def test_what_is_left_out_has_its_default():
    phase = {"name": "a", "method": "sds", "steps": 3, "regions": ["full"], "trained": "all", "guidance_scale": 5}
    read = RefinementConfig.from_dict({"recipe": "own", "phases": [{**phase, "negative": ""}]})
    assert read == RefinementConfig("own", (Phase("a", "sds", 3, ("full",), "all", 5.0, ""),))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["phases", 0, "step"], 3, r"config.phases\[0\] has no field 'step'; its fields are name, method"),
        (["phases", 0, "steps"], 3.5, r"config.phases\[0\].steps is 3.5; it must be a whole number"),
        (["phases", 0, "steps"], True, r"config.phases\[0\].steps is True; it must be a whole number"),
        (["phases", 0, "method"], "magic", r"phases\[0\].method is 'magic'; it must be one of ism, sds, dsd, sdedit"),
        (["phases", 0, "regions"], ["full", "ear"], r"regions\[1\] is 'ear'; it must be one of full, face"),
        (["phases", 0, "timesteps"], [1, 2, 3], r"timesteps has 3 values; it must have 2"),
        (["phases", 0, "densification", "steps"], 100, r"densification.steps is 100; it must be a list"),
        (["phases"], [], r"the phases are none"),
        (["learning_rates", "sh"], float("nan"), r"learning_rates.sh is nan; it must be a number"),
        (["learning_rates"], 1e-3, r"config.learning_rates is 0.001; it must be a dictionary"),
        (["background"], [0, "x", 0], r"background\[1\] is 'x'; it must be a number"),
        (["resolution"], 500, r"resolution is 500; it must be a multiple of 8"),
        (["phases", 0, "timesteps"], [1000, 0], r"timesteps is 1000; it goes from 0 to 999"),
        (["phases", 0, "steps"], 0, r"steps is 0; it goes from 1"),
        (["phases", 0, "regions"], [], r"phase 'head_dsd' has no regions"),
        (["phases", 0, "regions"], ["face"], r"add full to the regions"),
        (["phases", 0, "edit_steps"], 0, r"edit_steps is 0; it goes from 1"),
        (["rows"], -1, r"rows is -1; it goes from 1"),
        (["sh_degree"], 4, r"sh_degree is 4; it goes from 0 to 3"),
        (["learning_rates", "sh"], 10**400, r"learning_rates.sh is 1000"),
    ],
)
def test_a_wrong_field_is_named(path, value, told):
    with pytest.raises(UserError, match=told):
        RefinementConfig.from_dict(without(path, value))


def test_a_missing_field_is_named():
    values = HEADSTUDIO.to_dict()
    del values["recipe"]
    with pytest.raises(UserError, match=r"config\.recipe is missing"):
        RefinementConfig.from_dict(values)


def test_crops_are_not_looked_for_behind_the_head():
    eyes = ANIMPORTRAIT3D.phases[0]
    for change in ({"back_share": 0.1}, {"yaw": (0.0, 200.0)}):
        with pytest.raises(UserError, match="looks at eye_left, eye_right from behind"):
            replace(eyes, **change)


def test_phases_have_names_of_their_own():
    phase = ANIMPORTRAIT3D.phases[0]
    with pytest.raises(UserError, match="each with its own name"):
        replace(ANIMPORTRAIT3D, phases=(phase, phase))


def test_a_shape_is_learned_in_one_phase():
    """A second phase would go on from the first shape after a stop: the state of a phase holds its own alone."""
    again = replace(HEADSTUDIO.phases[0], name="again")
    with pytest.raises(UserError, match="in one phase alone, not in head_dsd, again"):
        replace(HEADSTUDIO, phases=(*HEADSTUDIO.phases, again))


def test_a_shorter_refinement_keeps_the_noise_schedule():
    short = HEADSTUDIO.scaled(0.01)
    phase, whole = short.phases[0], HEADSTUDIO.phases[0]
    assert (phase.steps, phase.late_from, phase.position_from, short.shape_until) == (100, 30, 24, 80)
    assert phase.densification.steps == (6, 9, 12, 15, 18)
    assert phase.densification.prune_steps == (18, 27, 30)
    assert (phase.timesteps, phase.late_timesteps) == (whole.timesteps, whole.late_timesteps)
    shortest = ANIMPORTRAIT3D.scaled(0.001)
    assert [phase.steps for phase in shortest.phases] == [1] * 5
    assert shortest.phases[0].densification.steps == (1,)
    assert [phase.edit_steps for phase in shortest.phases] == [phase.edit_steps for phase in ANIMPORTRAIT3D.phases]
    assert ANIMPORTRAIT3D.scaled(1) == ANIMPORTRAIT3D
    assert ANIMPORTRAIT3D.scaled(0.1).phases[3].warm_steps == 40


@pytest.mark.parametrize("scale", [0, -1, 11, float("nan")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(UserError, match="num_steps_scale"):
        ANIMPORTRAIT3D.scaled(scale)
