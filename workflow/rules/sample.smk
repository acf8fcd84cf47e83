# Scenes, their super-resolved views, and pictures, in shards. Scenes are made from noise, or from those of another row.
rule sample_shard:
    input:
        unpack(sources),
        config="<results>/config/sample/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        weights=weights,
    output:
        directory("<results>/samples/{method}-{category}-s{seed}/{shard}"),
    log:
        "<results>/logs/sample/{method}-{category}-s{seed}/{shard}.log",
    benchmark:
        "<results>/benchmarks/sample/{method}-{category}-s{seed}/{shard}.tsv"
    threads: PARAMS.threads.sample
    resources:
        mem_mb=memory("sample"),
        runtime=run_time("sample"),
        gpu=1,
    params:
        model=lambda wildcards, input: str(Path(input.weights).parent),
        sources=lambda wildcards, input: " ".join(
            f"--{name} {input[name]}"
            for name in ("coarse", "hypotheses")
            if name in input.keys()
        ),
    shell:
        "holofusion sample --config {input.config} --data {input.data} --model {params.model} {params.sources}"
        " --shard {wildcards.shard} --out {output} --threads {threads} --log {log}"


rule hypotheses:
    input:
        config="<results>/config/hypotheses/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        weights=weights,
        coarse=coarse_scenes,
    output:
        directory("<results>/hypotheses/{method}-{category}-s{seed}/{shard}"),
    log:
        "<results>/logs/hypotheses/{method}-{category}-s{seed}/{shard}.log",
    benchmark:
        "<results>/benchmarks/hypotheses/{method}-{category}-s{seed}/{shard}.tsv"
    threads: PARAMS.threads.hypotheses
    resources:
        mem_mb=memory("hypotheses"),
        runtime=run_time("hypotheses"),
        gpu=1,
    params:
        model=lambda wildcards, input: str(Path(input.weights).parent),
    shell:
        "holofusion hypotheses --config {input.config} --data {input.data} --model {params.model} --coarse {input.coarse}"
        " --shard {wildcards.shard} --out {output} --threads {threads} --log {log}"


rule render:
    input:
        config="<results>/config/render/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        samples="<results>/samples/{method}-{category}-s{seed}/{shard}",
    output:
        directory("<results>/views/{method}-{category}-s{seed}/{shard}"),
    log:
        "<results>/logs/render/{method}-{category}-s{seed}/{shard}.log",
    benchmark:
        "<results>/benchmarks/render/{method}-{category}-s{seed}/{shard}.tsv"
    threads: PARAMS.threads.render
    resources:
        mem_mb=memory("render"),
        runtime=run_time("render"),
        gpu=1,
    shell:
        "holofusion render --config {input.config} --data {input.data} --samples {input.samples}"
        " --out {output} --threads {threads} --log {log}"


rule mesh:
    input:
        config="<results>/config/mesh/{method}-{category}-s{seed}.yaml",
        samples="<results>/samples/{method}-{category}-s{seed}/{shard}",
    output:
        directory("<results>/meshes/{method}-{category}-s{seed}/{shard}"),
    log:
        "<results>/logs/mesh/{method}-{category}-s{seed}/{shard}.log",
    benchmark:
        "<results>/benchmarks/mesh/{method}-{category}-s{seed}/{shard}.tsv"
    threads: PARAMS.threads.mesh
    resources:
        mem_mb=memory("mesh"),
        runtime=run_time("mesh"),
        gpu=1,
    shell:
        "holofusion mesh --config {input.config} --samples {input.samples} --out {output} --threads {threads} --log {log}"


ruleorder: import_views > render


rule import_views:
    input:
        config="<results>/config/import/external-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        pictures=lambda wildcards: f"{PARAMS.external.folder}/{wildcards.category}",
    output:
        directory("<results>/views/external-{category}-s{seed}/0"),
    log:
        "<results>/logs/import/external-{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/import/external-{category}-s{seed}.tsv"
    threads: PARAMS.threads.render
    resources:
        mem_mb=memory("import"),
        runtime=run_time("import"),
    shell:
        "holofusion import --config {input.config} --data {input.data} --out {output} --threads {threads} --log {log}"


rule sample:
    input:
        [views_of(*run) for run in product(*RUNS.values())],
