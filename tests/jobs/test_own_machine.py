"""The command that somebody types on a machine of their own is one that the program understands."""

from __future__ import annotations

import shlex
from dataclasses import replace

from pipeline.arguments import command_parser, is_about_runs
from pipeline.jobs.config import PortraitFile, RunConfig
from pipeline.jobs.own_machine import command_for_own_machine
from tests.jobs.fake import fake_config


def understood(config):
    words = shlex.split(command_for_own_machine(config))
    assert words[:3] == ["python", "-m", "pipeline"]
    options = command_parser().parse_args(words[3:])
    assert is_about_runs(options)
    return options


def test_of_a_refinement():
    config = replace(fake_config(), prompt="it's a man", attributes={"hair.style": "bob"}, num_steps_scale=0.25)
    options = understood(config)
    assert (options.prompt, options.seed, options.set) == ("it's a man", 3, ["hair.style=bob"])
    assert (options.refine, options.recipe, options.steps_scale) == (True, "animportrait3d", 0.25)
    assert (options.model, options.controlnet, options.resolution) == ("owner/base", "owner/c", None)


def test_of_a_portrait_with_networks_that_look_at_it():
    portrait = PortraitFile("trigrid", {"000.pth": "a" * 64, "decoder_512.ckpt": "b" * 64})
    config = RunConfig.of(
        "",
        refine=False,
        portrait=portrait,
        initialization="quick",
        landmarks="/mine/mesh.onnx",
        normals="owner/marigold",
    )
    options = understood(config)
    assert (options.prompt, str(options.portrait), options.views) == (None, "000.pth", "quick")
    assert (options.landmarks, options.parser, options.normals) == (None, None, "owner/marigold")
    assert (options.refine, options.model, options.controlnet) == (False, None, None)
