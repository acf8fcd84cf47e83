# What there is to make, from the settings and the list of methods. A run is <method>-<category>-s<seed>.
from itertools import product

from holofusion.checks import categories_of, other_category, real_rows
from holofusion.config import discard_shards
from holofusion.methods.registry import (
    ENTRIES,
    FLOOR,
    REAL_ROWS,
    coarse_of,
    needs_warmup,
)


wildcard_constraints:
    method="[a-z][a-z0-9_]*",
    category="[a-z][a-z0-9_]*",
    seed=r"\d+",
    shard=r"\d+",
    real="|".join(REAL_ROWS),


GPU = int(
    config.get("gpu", 0)
)  # GPUs that each job of the steps with networks asks for
SHARDS = range(PARAMS.sampling.shards)
ROWS = {"method": PARAMS.methods, "category": PARAMS.categories, "seed": PARAMS.seeds}
MADE = [method for method in PARAMS.methods if ENTRIES[method].sampled_from != "images"]
TRAINED = {"method": sorted({ENTRIES[method].trained_by for method in MADE})}

FROM_NOISE = {"method": sorted({coarse_of(method) for method in MADE})}


onstart:
    discard_shards(RESULTS, len(SHARDS))


def trained_run(wildcards):
    """Folder of the weights that a run uses."""
    method = ENTRIES[wildcards.method].trained_by
    return f"<results>/runs/{method}-{wildcards.category}-s{wildcards.seed}"


def warmup(wildcards):
    """The warm-up's weights, or nothing for a method that trains by itself: the input `warmup` of the rule `train_run`."""
    if needs_warmup(wildcards.method):
        return (
            f"<results>/warmup/{wildcards.category}-s{wildcards.seed}/model.safetensors"
        )
    return []


def views_of(method, category, seed):
    """All shards of a run's pictures; those made elsewhere are one."""
    shards = SHARDS if method in MADE else [0]
    return [f"<results>/views/{method}-{category}-s{seed}/{shard}" for shard in shards]


def meshes_of(method, category, seed):
    """All shards of a run's surfaces."""
    return [f"<results>/meshes/{method}-{category}-s{seed}/{shard}" for shard in SHARDS]


def true_surfaces(wildcards):
    """The embedded objects, whose surfaces are known; nothing for photographs."""
    return [] if PHOTOGRAPHS else f"<results>/dataset/{wildcards.category}"


def other_data(wildcards):
    """Prepared data of the category that serves as a ceiling, for the row that needs it."""
    if wildcards.real != "real_other":
        return []
    return f"<results>/data/{other_category(PARAMS, wildcards.category)}"


def weights(wildcards):
    return f"{trained_run(wildcards)}/model.safetensors"


def coarse_scenes(wildcards):
    """The shard's scenes made from noise by the weights that a run uses."""
    method = coarse_of(wildcards.method)
    return f"<results>/samples/{method}-{wildcards.category}-s{wildcards.seed}/{wildcards.shard}"


def sources(wildcards):
    """What a shard of scenes is made from, beside the weights: inputs of the rule `sample`, named like its options."""
    source, found = ENTRIES[wildcards.method].sampled_from, {}
    if source in ("coarse", "hypotheses"):
        found["coarse"] = coarse_scenes(wildcards)
    if source == "hypotheses":
        method = ENTRIES[wildcards.method].trained_by
        found["hypotheses"] = (
            f"<results>/hypotheses/{method}-{wildcards.category}-s{wildcards.seed}/{wildcards.shard}"
        )
    return found
