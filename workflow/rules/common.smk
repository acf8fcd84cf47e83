# What rules share: where the files of a step lie, from the list of steps, and what there is to make, from the settings.
from functools import cache, partial
from shlex import quote

from holofusion.pipeline.registry import FLOOR, ROWS, Source
from holofusion.pipeline.resolve import discard_shards
from holofusion.pipeline.resources import memory_mb, run_minutes
from holofusion.pipeline.runs import CONSTRAINTS, Run, real_name
from holofusion.pipeline.scopes import categories_of, other_category
from holofusion.pipeline.steps import STEPS


wildcard_constraints:
    **CONSTRAINTS,


SHARDS = range(PARAMS.sampling.shards)
ELSEWHERE = [row for row in ROWS if ROWS[row].source == Source.IMAGES]


onstart:
    discard_shards(RESULTS, len(SHARDS))
    refuse_lost_arrays()


def refuse_lost_arrays():
    """Stop where a job array could be held back: with plugin 2.8, `--jobs` below the jobs that are ready lets it wait for ever."""
    arrays = getattr(workflow.executor_settings, "array_jobs", None)
    most = len(made("render"))
    if arrays and workflow.nodes < most:
        sys.exit(
            f"error: --jobs {workflow.nodes}: fewer than the {most} shards that may be ready at once, of which job arrays are"
            f' made; give --jobs {most} or more, or no arrays: --slurm-array-jobs ""'
        )


def config_of(step):
    """The settings file of a step, with wildcards."""
    return f"<results>/{STEPS[step].config}"


def output_of(step):
    """What a step makes, with wildcards; of a folder of which it declares some files, these."""
    path = f"<results>/{STEPS[step].output}"
    files = STEPS[step].files
    return multiext(f"{path}/", *files) if files else path


def log_of(step):
    return f"<results>/logs/{STEPS[step].trace}.log"


def benchmark_of(step):
    return f"<results>/benchmarks/{STEPS[step].trace}.tsv"


def threads_of(step):
    """CPU threads of a step's jobs; one where the settings do not say."""
    return getattr(PARAMS.threads, step, 1)


def memory(step):
    """The resource `mem_mb` of a step's jobs."""
    asked = cache(partial(memory_mb, step, PARAMS))
    return lambda wildcards, attempt: asked(attempt)


def run_time(step):
    """The resource `runtime` of a step's jobs, in minutes."""
    asked = cache(partial(run_minutes, step, PARAMS))
    return lambda wildcards, attempt: asked(attempt)


def made(step):
    """Everything that a step makes for these settings: the files by which it is known to be finished."""
    scope, shards = STEPS[step].scope, SHARDS if STEPS[step].sharded else [0]
    paths = [
        STEPS[step].path(Path("<results>"), scope.name(subject), shard)
        for subject in scope.subjects(PARAMS)
        for shard in shards
    ]
    return [
        str(path / file) for path in paths for file in STEPS[step].files[:1] or [""]
    ]


def path_of(step, name, shard=0):
    """What a step makes for a name (and a shard)."""
    return str(STEPS[step].path(Path("<results>"), name, shard))


def run_of(wildcards):
    return Run(wildcards.method, wildcards.category, int(wildcards.seed))


def weights(wildcards):
    """The weights that a run uses."""
    return f"{path_of('train', run_of(wildcards).training.name)}/model.safetensors"


def warmup(wildcards):
    """The warm-up's weights, or nothing for a method that trains by itself: the input `warmup` of a training."""
    name = run_of(wildcards).warmup
    return f"{path_of('warmup', name)}/model.safetensors" if name else []


def codes(wildcards):
    """The objects' codes, or nothing for a method that does without: the input `codes` of a training."""
    name = run_of(wildcards).codes
    return f"{path_of('encode', name)}/model.safetensors" if name else []


def base(wildcards):
    """The weights that a training takes over, or nothing for one that does not: the input `base` of a training."""
    run = run_of(wildcards).base
    return f"{path_of('train', run.name)}/model.safetensors" if run else []


def reconstructions(wildcards):
    """The grids of the objects of a run's category."""
    return path_of("reconstruct", wildcards.category)


def samples_of(name):
    """All shards of a run's scenes."""
    return [path_of("sample", name, shard) for shard in SHARDS]


def views_of(wildcards):
    """All shards of a run's views; those made elsewhere are one."""
    step = "import" if wildcards.method in ELSEWHERE else "render"
    shards = SHARDS if STEPS[step].sharded else [0]
    return [path_of(step, run_of(wildcards).name, shard) for shard in shards]


def meshes_of(wildcards):
    """All shards of a run's surfaces."""
    return [path_of("mesh", run_of(wildcards).name, shard) for shard in SHARDS]


def true_surfaces(wildcards):
    """The embedded objects, whose surfaces are known; nothing for photographs."""
    return [] if PHOTOGRAPHS else path_of("dataset", wildcards.category)


def floor(wildcards):
    """The floor's score, which leaves the features of the real images for all; nothing for the floor itself."""
    if wildcards.get("real") == FLOOR:
        return []
    return path_of("reference", real_name(FLOOR, wildcards.category))


def other_data(wildcards):
    """Prepared data of the category that serves as a ceiling, for the row that needs it."""
    if wildcards.real != "real_other":
        return []
    return path_of("prepare", other_category(PARAMS, wildcards.category))


def coarse_scenes(wildcards):
    """The shard's scenes made from noise that a run starts from."""
    return path_of("sample", run_of(wildcards).coarse.name, wildcards.shard)


def sources(wildcards):
    """What a shard of scenes is made from, beside the weights: inputs of the rule of `sample`, named like its options."""
    source, inputs = ROWS[wildcards.method].source, {}
    if source in (Source.COARSE, Source.HYPOTHESES):
        inputs["coarse"] = coarse_scenes(wildcards)
    if source == Source.HYPOTHESES:
        first_stage = run_of(wildcards).first_stage.name
        inputs["hypotheses"] = path_of("hypotheses", first_stage, wildcards.shard)
    return inputs


def options(*names, folder=False):
    """A parameter: the options of those of these inputs that there are; with `folder`, each names the folder of its input."""

    def text(wildcards, input):
        given = {name: input.get(name) for name in names if input.get(name)}
        paths = {
            name: path if isinstance(path, str) else path[0]
            for name, path in given.items()
        }
        return " ".join(
            f"--{name} {quote(str(Path(path).parent) if folder else str(path))}"
            for name, path in paths.items()
        )

    return text
