# Scores, from pictures and camera files alone.
rule evaluate_run:
    input:
        config="<results>/config/evaluate/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        views=lambda wildcards: views_of(**wildcards),
        # scored first, it leaves the features of the real images for all runs
        # (not `ancient`: when the floor is scored again, Snakemake 9.27 then overlooks every other reason)
        floor="<results>/metrics/real_floor-{category}.json",
    output:
        "<results>/metrics/{method}-{category}-s{seed}.json",
    log:
        "<results>/logs/evaluate/{method}-{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/evaluate/{method}-{category}-s{seed}.tsv"
    threads: PARAMS.threads.evaluate
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPU,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
    shell:
        "holofusion evaluate --config {input.config} --data {input.data} --views {params.views}"
        " --out {output} --threads {threads} --log {log}"


rule curve:
    input:
        config="<results>/config/curve/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        weights=weights,
        floor="<results>/metrics/real_floor-{category}.json",
    output:
        "<results>/metrics/curve-{method}-{category}-s{seed}.json",
    log:
        "<results>/logs/curve/{method}-{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/curve/{method}-{category}-s{seed}.tsv"
    threads: PARAMS.threads.curve
    resources:
        mem_mb=6000,
        runtime=240,
        gpu=GPU,
    params:
        model=lambda wildcards, input: str(Path(input.weights).parent),
    shell:
        "holofusion curve --config {input.config} --data {input.data} --model {params.model}"
        " --out {output} --threads {threads} --log {log}"


rule floor:
    input:
        config="<results>/config/evaluate/real_floor-{category}.yaml",
        data="<results>/data/{category}",
    output:
        "<results>/metrics/real_floor-{category}.json",
    log:
        "<results>/logs/floor/{category}.log",
    benchmark:
        "<results>/benchmarks/floor/{category}.tsv"
    threads: PARAMS.threads.evaluate
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPU,
    shell:
        "holofusion floor --config {input.config} --data {input.data} --out {output} --threads {threads} --log {log}"


rule evaluate:
    input:
        expand("<results>/metrics/{method}-{category}-s{seed}.json", **ROWS),
        expand(
            "<results>/metrics/real_floor-{category}.json", category=PARAMS.categories
        ),
        expand(
            "<results>/metrics/curve-{method}-{category}-s{seed}.json",
            **(ROWS | FROM_NOISE),
        ),
