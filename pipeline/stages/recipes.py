"""The two published refinements, number by number."""

from __future__ import annotations

from pipeline.stages.config import Densification, LearningRates, Phase, RefinementConfig

NEGATIVE_EYES = (
    "tattoo, hair, eyelash, make up, oversaturation, low-resolution, unrealistic, blurry, low quality, out of focus, "
    "ugly, low contrast, dull"
)
NEGATIVE_MOUTH = "tattoo, highlight, blur, no-shadow, lowres, bad anatomy, cropped, worst quality"
NEGATIVE_HEAD = "tattoo, blur, lowres, bad anatomy, bad hands, cropped, worst quality"
NEGATIVE_EDIT = (
    "oversaturation, low-resolution, unrealistic, blurry, low quality, out of focus, ugly, low contrast, dull"
)
NEGATIVE_HEADSTUDIO = (
    "shadow, dark face, eyeglass, glasses, noise,pattern, strange color, (deformed iris, deformed pupils, "
    "semi-realistic, cgi, 3d, render, sketch, cartoon, drawing, anime:1.4), text, close up, cropped, out of frame, "
    "worst quality, low quality, jpeg artifacts, ugly, duplicate, morbid, mutilated, poorly drawn face, mutation, "
    "deformed, blurry, dehydrated, bad anatomy, bad proportions, extra limbs, cloned face, disfigured, gross "
    "proportions,long neck"
)
LARGE_SPLATS_WHILE_DISTILLING, LARGE_SPLATS_WHILE_EDITING = 5e7, 1e4
"""Weights of AnimPortrait3D's sum over too large splats."""

ANIMPORTRAIT3D = RefinementConfig(
    recipe="animportrait3d",
    phases=(
        Phase(
            name="eyes",
            method="sdedit",
            steps=500,
            regions=("eye_left", "eye_right"),
            trained="eyes",
            guidance_scale=10.0,
            negative=NEGATIVE_EYES,
            strength=0.9,
            photometric="l2",
            scale_weight=LARGE_SPLATS_WHILE_EDITING,
            densification=Densification(steps=(100, 200, 300, 400)),
        ),
        Phase(
            name="mouth_ism",
            method="ism",
            steps=500,
            regions=("mouth",),
            trained="mouth",
            guidance_scale=7.5,
            negative=NEGATIVE_MOUTH,
            views=3,
            timesteps=(750, 15),
            pool="open_mouth",
            yaw=(40.0, 140.0),
            scale_weight=LARGE_SPLATS_WHILE_DISTILLING,
            densification=Densification(steps=(100,)),
        ),
        Phase(
            name="mouth_edit",
            method="sdedit",
            steps=500,
            regions=("mouth",),
            trained="mouth",
            guidance_scale=7.5,
            negative=NEGATIVE_EDIT,
            strength=0.35,
            photometric="l1+lpips",
            pool="open_mouth",
            yaw=(40.0, 140.0),
            scale_weight=LARGE_SPLATS_WHILE_EDITING,
        ),
        Phase(
            name="full_ism",
            method="ism",
            steps=1000,
            regions=("full", "face", "eye_left", "eye_right", "mouth"),
            trained="all",
            guidance_scale=100.0,
            negative=NEGATIVE_HEAD,
            views=3,
            timesteps=(300, 15),
            weighted_pool=True,
            turns_head=True,
            yaw=(0.0, 180.0),
            back_share=0.3,
            named_views=True,
            scale_weight=LARGE_SPLATS_WHILE_DISTILLING,
            densification=Densification(steps=(50, 100), prune_steps=(50, 100)),
        ),
        Phase(
            name="full_edit",
            method="sdedit",
            steps=750,
            regions=("full", "face", "eye_left", "eye_right", "mouth"),
            trained="all",
            guidance_scale=7.5,
            negative=NEGATIVE_EDIT,
            strength=0.3,
            conditioned=False,
            photometric="l1+lpips",
            weighted_pool=True,
            turns_head=True,
            yaw=(0.0, 180.0),
            back_share=0.3,
            scale_weight=LARGE_SPLATS_WHILE_EDITING,
        ),
    ),
    seed=42,
    sh_degree=3,
)
"""AnimPortrait3D (SIGGRAPH 2025), as its published code runs it.

It draws a fresh SDEdit target in each step; ours come from ``edit_pool`` pairs, since they depend on the frozen start
alone."""

HEADSTUDIO = RefinementConfig(
    recipe="headstudio",
    phases=(
        Phase(
            name="head_dsd",
            method="dsd",
            steps=10_000,
            regions=("full",),
            trained="all",
            guidance_scale=7.5,
            negative=NEGATIVE_HEADSTUDIO,
            views=8,
            timesteps=(800, 50),
            late_timesteps=(550, 20),
            late_from=3000,
            conditioned_full=True,
            condition_scale=1.5,
            one_pose=True,
            moves_eyes=False,
            named_views=True,
            regularizer="area",  # divided by √a as in the paper's equation 9; the code divides by a
            scale_weight=0.1,
            position_weight=0.1,
            position_from=2400,
            densification=Densification(
                steps=(600, 900, 1200, 1500, 1800),
                prune_steps=(1800, 2700, 3000),  # at 1800 the code looks at the size alone
                gradient=1e-3,  # of every published command; the code's default is 2e-3
                normalized=True,
                split_scale=0.01,  # 0.04 of their units, of which the extent has 4
                max_scale=0.03,  # 0.12 of their units
                max_radius=60.0,
            ),
        ),
    ),
    learning_rates=LearningRates(
        means=5e-5,  # paper; the code runs from 2e-4 down to 1e-4
        quats=1e-2,  # paper; 1e-3 in the code
        log_scales=1e-3,  # paper; 5e-3 in the code
        opacity_logits=1e-2,
        sh=1.25e-2,
        shape=1e-3,
        betas=(0.9, 0.99),  # paper; the code leaves them at Adam's (0.9, 0.999)
    ),
    frame=1024,
    background=(0.0, 0.0, 0.0),
    condition="landmarks",
    cameras="headstudio",
    start="super_dense",  # as many on each triangle, as in the paper; the code draws 100,000 by area
    per_triangle=10,
    shape_until=8000,  # paper; 7000 in the code
)
"""HeadStudio (ECCV 2024); where its paper and its code differ, the paper's constants."""

RECIPES = {config.recipe: config for config in (ANIMPORTRAIT3D, HEADSTUDIO)}
"""By name."""
