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
        mem_mb=memory("evaluate"),
        runtime=run_time("evaluate"),
        gpu=1,
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
        mem_mb=memory("curve"),
        runtime=run_time("curve"),
        gpu=1,
    params:
        model=lambda wildcards, input: str(Path(input.weights).parent),
    shell:
        "holofusion curve --config {input.config} --data {input.data} --model {params.model}"
        " --out {output} --threads {threads} --log {log}"


rule consistency:
    input:
        config="<results>/config/consistency/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        views=lambda wildcards: views_of(**wildcards),
    output:
        "<results>/metrics/consistency-{method}-{category}-s{seed}.json",
    log:
        "<results>/logs/consistency/{method}-{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/consistency/{method}-{category}-s{seed}.tsv"
    threads: PARAMS.threads.consistency
    resources:
        mem_mb=memory("consistency"),
        runtime=run_time("consistency"),
        gpu=1,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
    shell:
        "holofusion consistency --config {input.config} --data {input.data} --views {params.views}"
        " --out {output} --threads {threads} --log {log}"


# Real images in the place of generated ones: the floor and the ceilings of the table.
rule reference:
    input:
        config="<results>/config/evaluate/{real}-{category}.yaml",
        data="<results>/data/{category}",
        other=other_data,
        floor=lambda wildcards: (
            []
            if wildcards.real == FLOOR
            else f"<results>/metrics/{FLOOR}-{wildcards.category}.json"
        ),
    output:
        "<results>/metrics/{real}-{category}.json",
    log:
        "<results>/logs/reference/{real}-{category}.log",
    benchmark:
        "<results>/benchmarks/reference/{real}-{category}.tsv"
    threads: PARAMS.threads.evaluate
    resources:
        mem_mb=memory("reference"),
        runtime=run_time("reference"),
        gpu=1,
    params:
        other=lambda wildcards, input: f"--other {input.other}" if input.other else "",
    shell:
        "holofusion reference --config {input.config} --data {input.data} {params.other}"
        " --out {output} --threads {threads} --log {log}"


# Surfaces: what they consist of, and how they compare with the true ones where these are known (embedded objects).
rule geometry:
    input:
        config="<results>/config/geometry/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        dataset=true_surfaces,
        meshes=lambda wildcards: meshes_of(**wildcards),
    output:
        "<results>/metrics/geometry-{method}-{category}-s{seed}.json",
    log:
        "<results>/logs/geometry/{method}-{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/geometry/{method}-{category}-s{seed}.tsv"
    threads: 1
    resources:
        mem_mb=memory("geometry"),
        runtime=run_time("geometry"),
    params:
        meshes=lambda wildcards, input: str(Path(input.meshes[0]).parent),
        dataset=lambda wildcards, input: (
            f"--dataset {Path(input.dataset).parent}" if input.dataset else ""
        ),
    shell:
        "holofusion geometry --config {input.config} --data {input.data} --meshes {params.meshes} {params.dataset}"
        " --out {output} --threads {threads} --log {log}"


rule geometry_floor:
    input:
        config=f"<results>/config/geometry/{FLOOR}-{{category}}.yaml",
        data="<results>/data/{category}",
        dataset=true_surfaces,
    output:
        f"<results>/metrics/geometry-{FLOOR}-{{category}}.json",
    log:
        f"<results>/logs/geometry/{FLOOR}-{{category}}.log",
    benchmark:
        f"<results>/benchmarks/geometry/{FLOOR}-{{category}}.tsv"
    threads: 1
    resources:
        mem_mb=memory("geometry"),
        runtime=run_time("geometry"),
    params:
        dataset=lambda wildcards, input: str(Path(input.dataset).parent),
    shell:
        "holofusion geometry --config {input.config} --data {input.data} --dataset {params.dataset}"
        " --out {output} --threads {threads} --log {log}"


rule evaluate:
    input:
        expand("<results>/metrics/{method}-{category}-s{seed}.json", **RUNS),
        expand("<results>/metrics/consistency-{method}-{category}-s{seed}.json", **RUNS),
        expand(
            "<results>/metrics/geometry-{method}-{category}-s{seed}.json",
            **(RUNS | {"method": MADE}),
        ),
        expand(
            f"<results>/metrics/geometry-{FLOOR}-{{category}}.json",
            category=[] if PHOTOGRAPHS else PARAMS.categories,
        ),
        [
            f"<results>/metrics/{row}-{category}.json"
            for category in PARAMS.categories
            for row in real_rows(PARAMS, category)
        ],
        expand(
            "<results>/metrics/curve-{method}-{category}-s{seed}.json",
            **(RUNS | FROM_NOISE),
        ),
