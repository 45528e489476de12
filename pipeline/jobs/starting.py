"""What a run starts from: the head of the procedural prior, or a static portrait that is rigged."""

from __future__ import annotations

from dataclasses import replace

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import save_avatar_folder
from pipeline.jobs.config import PortraitFile, RunConfig
from pipeline.jobs.journal import RunJournal
from pipeline.jobs.making import device_of, loaded
from pipeline.portrait_models import portrait_models
from pipeline.portraits import PRIORS, Portrait, portrait_in, sha256_of
from pipeline.recipe import Recipe
from pipeline.rigging import Static, rig
from pipeline.stages.initialization import InitializationConfig


def described(portrait: Portrait) -> PortraitFile:
    """What a run's config says of a portrait. Raises `UserError` for one that cannot be used."""
    portrait.source()
    return PortraitFile(portrait.kind, portrait.files)


def make_start(journal: RunJournal, config: RunConfig) -> None:
    """The head to begin with, as the avatar folder ``out/start`` of the run."""
    from pipeline.animportrait3d import AnimPortrait3DPipeline  # diffusers' pipelines take seconds to import

    if config.initialization is None:
        made = AnimPortrait3DPipeline()(config.prompt, seed=config.seed, attributes=config.attributes, head=config.head)
        avatar, recipe = made.avatars[0], made.recipes[0]
    else:
        avatar, recipe = _rigged(journal, config, config.initialization)
    save_avatar_folder(avatar, recipe, journal.run.start)


def _rigged(journal: RunJournal, config: RunConfig, initialization: InitializationConfig) -> tuple[SplatAvatar, Recipe]:
    """The run's portrait, or the one that Portrait3D makes of its prompt, on a rig."""
    device = device_of(config)
    if config.portrait is None:
        static = _from_text(journal, config)
    else:
        kind, files = config.portrait.kind, config.portrait.files
        static = Static(portrait_in(journal.run.source, kind).source(device), config.prompt, PRIORS[kind], files)
    models = portrait_models(config.landmarks, config.parser, config.normals, device)
    avatar, recipe = rig(static, config.head, initialization, journal, models, device)
    told = [str(event["sentence"]) for event in journal.run.events() if event["kind"] == "note"]
    return avatar, replace(recipe, notes=list(dict.fromkeys([*told, *recipe.notes])))


def _from_text(journal: RunJournal, config: RunConfig) -> Static:
    """The tri-grid that the diffusion model and the generator make of the prompt."""
    from pipeline.priors.portrait3d.generator_file import read_generator
    from pipeline.priors.portrait3d.portrait_file import write_portrait
    from pipeline.priors.portrait3d.weights import find_generator

    if config.text_to_trigrid is None:
        raise ValueError("this run starts from no text")
    journal.at("models")
    # All are read, so that a wrong one is told before hours of work, and all but one let go: they need memory.
    detector = portrait_models(config.landmarks, config.parser, config.normals).detector
    path = find_generator()
    generator = read_generator(path).to(device_of(config))
    pipeline = loaded(config)
    journal.heed_stop()
    source = pipeline.portrait(config.prompt, generator, config.text_to_trigrid, journal, detector)
    write_portrait(journal.run.portrait, source.trigrid)
    return Static(source, config.prompt, PRIORS["trigrid"], {path.name: sha256_of(path)}, config.num_steps_scale)
