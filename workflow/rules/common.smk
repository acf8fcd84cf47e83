# What there is to make, from the settings and the list of methods. A run is <method>-<category>-s<seed>.
from itertools import product

from holofusion.pipeline.checks import categories_of, other_category, real_rows
from holofusion.config.load import discard_shards
from holofusion.pipeline.registry import (
    FLOOR,
    REAL_ROWS,
    ROWS,
    Source,
    coarse_of,
    needs_warmup,
)
from holofusion.pipeline.resources import memory_mb, run_minutes


wildcard_constraints:
    method="[a-z][a-z0-9_]*",
    category="[a-z][a-z0-9_]*",
    seed=r"\d+",
    shard=r"\d+",
    real="|".join(REAL_ROWS),


SHARDS = range(PARAMS.sampling.shards)
RUNS = {"method": PARAMS.methods, "category": PARAMS.categories, "seed": PARAMS.seeds}
MADE = [method for method in PARAMS.methods if ROWS[method].source != Source.IMAGES]
TRAINED = {"method": sorted({ROWS[method].trained_by for method in MADE})}

FROM_NOISE = {"method": sorted({coarse_of(method) for method in MADE})}


onstart:
    discard_shards(RESULTS, len(SHARDS))
    refuse_lost_arrays()


def refuse_lost_arrays():
    """Stop where a job array could be held back: with plugin 2.8, `--jobs` below the jobs that are ready lets it wait for ever."""
    arrays = getattr(workflow.executor_settings, "array_jobs", None)
    most = len(RUNS["category"]) * len(RUNS["seed"]) * len(MADE) * len(SHARDS)
    if arrays and workflow.nodes < most:
        sys.exit(
            f"error: --jobs {workflow.nodes}: fewer than the {most} shards that may be ready at once, of which job arrays are"
            f' made; give --jobs {most} or more, or no arrays: --slurm-array-jobs ""'
        )


def memory(step):
    """The resource `mem_mb` of a step's jobs."""
    return lambda wildcards, attempt: memory_mb(step, PARAMS, attempt)


def run_time(step):
    """The resource `runtime` of a step's jobs, in minutes."""
    return lambda wildcards, attempt: run_minutes(step, PARAMS, attempt)


def trained_run(wildcards):
    """Folder of the weights that a run uses."""
    method = ROWS[wildcards.method].trained_by
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
    source, found = ROWS[wildcards.method].source, {}
    if source in (Source.COARSE, Source.HYPOTHESES):
        found["coarse"] = coarse_scenes(wildcards)
    if source == Source.HYPOTHESES:
        method = ROWS[wildcards.method].trained_by
        found["hypotheses"] = (
            f"<results>/hypotheses/{method}-{wildcards.category}-s{wildcards.seed}/{wildcards.shard}"
        )
    return found
